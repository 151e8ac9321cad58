"""Every setting of a run, walked automatically: its path, the section that owns it, and other values it may have."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from core.config import presets
from core.config.memory import MemoryConfig
from core.config.presets import section_model
from core.config.schema import RunConfig
from core.config.section import Section
from core.config.signature import read_markers
from core.errors import UserError


class Setting(NamedTuple):
    """One plain setting: `path` from the run's config, and the section that owns it."""

    path: str
    owner: type[Section]

    @property
    def name(self) -> str:
        """The last step of the path."""
        return self.path.rpartition(".")[2]

    @property
    def marks(self) -> set[str]:
        """Names of its signature markers."""
        return {mark.name for mark in read_markers(self.owner, self.name)}

    @property
    def schema(self) -> dict[str, Any]:
        """Type, limits and default as JSON schema."""
        schema: dict[str, Any] = self.owner.model_json_schema()["properties"][self.name]
        return schema


def every_setting(model: type[Section] = RunConfig, before: str = "") -> Iterator[Setting]:
    """All plain settings below a section, those of optional sections too."""
    for name in model.model_fields:
        section = section_model(model, name)
        if section is None:
            yield Setting(before + name, model)
        else:
            assert issubclass(section, Section)
            yield from every_setting(section, f"{before}{name}.")


def every_section(model: type[Section] = RunConfig) -> Iterator[type[Section]]:
    """A section and all sections below it."""
    yield model
    for name in model.model_fields:
        section = section_model(model, name)
        if section is not None:
            assert issubclass(section, Section)
            yield from every_section(section)


def full_config() -> RunConfig:
    """A config in which no setting switches another off: every section open, every mode of reading on."""
    memory = MemoryConfig(
        read_mode="inverse-normal", slots_per_type=2, slot_width=64, entity_slot_width=32, ramp=0.1, pooling="sum"
    )
    return presets.validate({"memory": memory.model_dump(), "encoder": {"source": "scratch"}})


def changed(config: RunConfig, path: str, value: Any) -> RunConfig:
    """The config with one setting changed, validated again."""
    tree: Any = value
    for step in reversed(path.split(".")):
        tree = {step: tree}
    return presets.validate(presets.merge(config.model_dump(), tree))


def value_at(config: Any, path: str) -> Any:
    """The value of the setting at a path."""
    for step in path.split("."):
        config = getattr(config, step)
    return config


def alternatives(config: RunConfig, setting: Setting) -> Iterator[RunConfig]:
    """The config with other valid values of a setting: of its literals all, of its numbers near ones and the limits."""
    now = value_at(config, setting.path)
    for value in candidates(setting.schema, now):
        if value != now:
            try:
                yield changed(config, setting.path, value)
            except UserError:
                continue  # a limit that two settings share, such as warm-up and ramp


def candidates(schema: dict[str, Any], now: Any) -> Iterator[Any]:
    """Values that a JSON schema names or bounds, valid or just outside."""
    for option in schema.get("anyOf", [schema]):
        kind = option.get("type")
        if "enum" in option:
            yield from option["enum"]
        elif kind == "boolean":
            yield from (False, True)
        elif kind == "integer":
            yield from ((now or 1) + 1, (now or 2) - 1, option.get("minimum"), option.get("maximum"))
        elif kind == "number":
            yield from ((now or 0.1) / 2, (now or 0.1) * 1.25, option.get("minimum"), option.get("maximum"))
        elif kind == "string":
            yield "cpu" if "pattern" in option else f"another-{now}"
        else:
            assert kind == "null", f"no alternatives known for {option}"
            yield None
