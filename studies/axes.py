"""Ablation axes: what of the model a study may vary, over which values, declared once.

Plans, tables, search spaces and W&B sweeps all read this tuple. An axis names a setting of `core.config.schema` by its
path; which value is the default is written there, not here. In a search an axis may be a range, all numbers between
`low` and `high` (`studies.search.ranges`).
"""

from typing import Any, cast

import msgspec

from core.config.presets import Tree, build
from core.config.schema import RunConfig
from core.errors import UserError, did_you_mean

Value = bool | int | float | str | None
"""One value of a setting; None is the setting's own `none` (slot width: the encoder's width)."""
SWITCH = ("off", "on")


class Axis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a study varies; in the study's file all but the name may be left out (`complete_axis`)."""

    name: str
    """What studies, row names and search parameters call it."""
    title: str = ""
    """What tables and figures call it."""
    path: str = ""
    """The setting, as in `memory.warmup`."""
    values: tuple[Value, ...] = ()
    sentence: str = ""
    """What it is and why one would vary it."""
    labels: tuple[str, ...] = ()
    """What rows and tables call the values, one each; empty: the values themselves."""
    low: int | float | None = None
    """The low end of a range, in a search, instead of values."""
    high: int | float | None = None
    log: bool = False
    """Whether a range is searched by orders of magnitude."""
    step: int | float | None = None
    """Distance of the numbers of a range; none: every number, or every whole one."""

    @property
    def is_range(self) -> bool:
        """Whether it is a range of numbers, which only a search can vary."""
        return not (self.low is None and self.high is None and self.step is None and not self.log)

    def label(self, value: Value) -> str:
        """What rows and tables call a value; that of a number of a range is the whole number."""
        if self.is_range and value is not None and not isinstance(value, str):
            return f"{value:.12g}"
        labels = dict(zip(self.values, self.labels, strict=False))
        return labels.get(value) or (f"{value:g}" if isinstance(value, float) else str(value))

    def setting(self, value: Value) -> Tree:
        """The settings that put a row at this value."""
        *sections, last = self.path.split(".")
        tree: Tree = {last: value}
        for section in reversed(sections):
            tree = {section: tree}
        return tree

    def value_in(self, config: RunConfig) -> Value:
        """The value that a config has; None also where it has no such section."""
        value: Any = config
        for step in self.path.split("."):
            value = getattr(value, step, None)
        return cast("Value", value)

    @property
    def is_width(self) -> bool:
        """Whether its None stands for the encoder's width."""
        return self.path.startswith("memory.") and self.path.endswith("slot_width")

    def check(self, preset: str) -> None:
        """Raise a UserError for an axis that has no values, no clear names for them, or no place in a preset."""
        if not self.is_range and (not self.values or (self.labels and len(self.labels) != len(self.values))):
            raise UserError(f"axis {self.name}: {len(self.values)} values and {len(self.labels)} labels: give one each")
        if len({self.label(value) for value in self.values}) < len(self.values):
            raise UserError(f"axis {self.name}: two of its values have one label: {', '.join(self.value_labels)}")
        if self.path.startswith("memory.") and build(preset).memory is None:
            raise UserError(f"axis {self.name} ({self.path}): preset {preset} has no memory, start from memory-grc")

    @property
    def value_labels(self) -> tuple[str, ...]:
        """The labels of its values, in order; of a range one that describes it."""
        if self.is_range:
            how = ", log" if self.log else f" in steps of {self.label(self.step)}" if self.step is not None else ""
            return (f"{self.label(self.low)} to {self.label(self.high)}{how}",)
        return tuple(self.label(value) for value in self.values)


AXES = (
    Axis(
        name="slot-width",
        title="Memory slot width",
        path="memory.slot_width",
        values=(32, 128, 256, None, 768, 1536),
        labels=("32", "128", "256", "H", "768", "1536"),
        sentence="Width of the slots of both memories, the poster's memory size; H is the encoder's (MiniLM: 384).",
    ),
    Axis(
        name="slots-per-type",
        title="Slots per type",
        path="memory.slots_per_type",
        values=(1, 2, 4, 8),
        sentence="Slots that each entity or relation type owns; the reference has one.",
    ),
    Axis(
        name="warmup",
        title="Warm-up share",
        path="memory.warmup",
        values=(0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0),
        sentence="Share of all steps in which memory is written but not yet read; 1 never reads.",
    ),
    Axis(
        name="read-mode",
        title="Read mode",
        path="memory.read_mode",
        values=("none", "inverse", "normal", "inverse-normal"),
        labels=("write-only", "inverse", "normal", "inverse-normal"),
        sentence="How memories are read: not at all, inverse (rows weighted by the attention that slots pay them), "
        "normal (slots mixed into rows), or inverse and then normal.",
    ),
    Axis(
        name="pooling",
        title="Pooling",
        path="memory.pooling",
        values=("mean", "sum", "concat", "gated", "residual"),
        sentence="How what was read joins the representation; without this axis mean after inverse, concat after "
        "normal, as in the reference; residual (normal read) adds it through a map that starts as 0.",
    ),
    Axis(
        name="slot-init",
        title="Slot start",
        path="memory.slot_init",
        values=("normal", "fan-in"),
        sentence="How slots and bilinear projections are drawn: N(0, 0.02), or with one over the root of their fan-in "
        "as standard deviation.",
    ),
    Axis(
        name="places",
        title="Read at",
        path="memory.places",
        values=("tokens", "mentions", "both"),
        sentence="Where memories are read: token states before spans are pooled, span vectors, or both.",
    ),
    Axis(
        name="memories",
        title="Memories read",
        path="memory.memories",
        values=("entity", "relation", "both"),
        sentence="Which of the two memories are read; both are written in any case.",
    ),
    Axis(
        name="read-gradient",
        title="Gradient through reads",
        path="memory.read_grad",
        values=(False, True),
        labels=SWITCH,
        sentence="Whether reading also trains the slots, or only writing does.",
    ),
    Axis(
        name="inverse-scale",
        title="Inverse scale",
        path="memory.inverse_scale",
        values=("sum", "mean"),
        sentence="Scale of the inverse read: summed attention, which falls with the number of rows, or an average "
        "weight of one.",
    ),
    Axis(
        name="reads",
        title="Memory read",
        path="memory.reads",
        values=("written", "learned", "random", "uniform", "constant"),
        sentence="What is read: the written slots, or a control in their place: a matrix trained by reading alone, a "
        "frozen random one, uniform attention, or (inverse read) a constant of the same mean.",
    ),
    Axis(
        name="ramp",
        title="Ramp",
        path="memory.ramp",
        values=(0.0, 0.2),
        labels=SWITCH,
        sentence="Whether reading fades in over a fifth of all steps after the warm-up, or is switched on at once.",
    ),
    Axis(
        name="relation-head",
        title="Relation head",
        path="model.relation_head",
        values=("grc", "mrc"),
        labels=("GRC", "MRC"),
        sentence="Relation classification: global over entity pairs, or multi-instance over mention pairs.",
    ),
)


def find_axis(name: str) -> Axis:
    """The declared axis of a name; an unknown one names its neighbours."""
    known = {axis.name: axis for axis in AXES}
    if name not in known:
        raise UserError(
            f"unknown axis {name!r}: the axes are {', '.join(known)}.{did_you_mean(name, known)} An axis of your own "
            "has a name, a path and values"
        )
    return known[name]
