"""Studies: rows, each one setting of the model over the same seeds, and the question that they answer.

A row names a preset and what it changes; its runs are that one config under every seed. Next to rows, or instead of
them, a study may name axes: every combination of their values on the base is a row, or with a `search` section
(`studies.search.spec`) the axes are searched. Shipped studies and a user's own are YAML files of one shape, which
`engram study plan --help` (`studies.arguments`) shows.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from core.config.presets import setting_names, unknown_setting
from core.config.yaml_file import NumberLoader, read_yaml
from core.errors import UserError, did_you_mean
from core.scoring.metrics import TASKS
from studies.axes import Axis, find_axis
from studies.rows import Base, Row, check_source, resolve_axes, resolve_files, rows_from_axes
from studies.search.space import SearchSpace
from studies.search.spec import Search, Seed, check_search

FOLDER = Path(__file__).with_name("shipped")
SEEDS = (0, 1, 2, 3, 4)
"""The seeds of every study that does not name its own."""
BASE, BEST = "base", "best"
"""The rows that a search adds: its base as it stands, and the best config that it found."""
MAX_NAME = 64
"""Characters that a row's name may have: it is a tag in W&B."""
MAX_FOLDER_NAME = 100
"""Bytes that a study's name may have: with the profile it names a folder."""
EXTERNAL = "external"
"""What tables call a row whose numbers come from prediction files of another program."""
SHAPE = "a study has a question, a baseline and rows (`engram study plan --help` shows one)"


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows, the seeds that every row shares, and the question they answer."""

    question: str
    baseline: str
    rows: dict[str, Row] = {}
    """The rows; in a study that was read also those that its axes make."""
    seeds: Annotated[tuple[Seed, ...], msgspec.Meta(min_length=1)] = SEEDS
    metric: str = "relation_strict"
    """The task whose F1 answers the question."""
    name: str = ""
    base: Base | None = None
    """What the rows that the axes make have in common."""
    axes: tuple[str | Axis, ...] = ()
    """The axes whose combinations are rows."""
    varies: tuple[str, ...] = ()
    """Settings and sections in which rows may differ from their baseline; empty: those that axes and rows name."""
    left_out: dict[str, str] = {}
    """Combinations of the axes that are no row, and why."""
    search: Search | None = None
    """How the axes are searched; none: their combinations are rows."""

    def row_title(self, row: str) -> str:
        """What a table calls a row."""
        return (self.rows[row].title or row) + (f" ({EXTERNAL})" if self.rows[row].predictions else "")

    @property
    def external(self) -> dict[str, dict[int, Path]]:
        """Row -> seed -> prediction file, of the rows that are scored from files: no run computes them."""
        return {
            name: dict(zip(self.seeds, map(Path, row.predictions), strict=False))
            for name, row in self.rows.items()
            if row.predictions
        }

    def row_baselines(self, row: str) -> tuple[str, ...]:
        """The rows that a row is compared with; none for a row that is its own baseline."""
        named = self.rows[row].baseline or self.baseline
        return tuple(name for name in ((named,) if isinstance(named, str) else named) if name != row)

    @property
    def declared_axes(self) -> tuple[Axis, ...]:
        """The axes, in full."""
        return resolve_axes(self.axes)

    def axis(self, name: str) -> Axis:
        """The axis of a name, the study's own before the declared one."""
        return next((axis for axis in self.declared_axes if axis.name == name), None) or find_axis(name)

    def row_tags(self, row: str) -> tuple[str, ...]:
        """The tags of a row in W&B: study, row, and its values on axes."""
        values = self.rows[row].at.items()
        return (self.name, row, *(f"{axis}={self.axis(axis).label(value)}" for axis, value in values))

    def is_from_axes(self, row: str) -> bool:
        """Whether the axes made this row."""
        names = {axis if isinstance(axis, str) else axis.name for axis in self.axes}
        return self.search is None and bool(names) and self.rows[row].at.keys() == names


def shipped_studies() -> dict[str, Study]:
    """The studies that come with Engram."""
    return {path.stem: read_study(path) for path in sorted(FOLDER.glob("*.yaml"))}


def find_study(name: str) -> Study:
    """A shipped study by its name, or a user's own by the path of its YAML file."""
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return read_study(path)
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if name not in known:
        raise UserError(
            f"unknown study {name!r}: the studies are {', '.join(known)}.{did_you_mean(name, known)} A study of your "
            "own is a YAML file"
        )
    return read_study(FOLDER / f"{name}.yaml")


def read_study(path: Path) -> Study:
    """The study in a YAML file, checked as far as that goes without its configs."""
    tree = read_yaml(path, NumberLoader)
    try:
        study = parse_study(tree)
        rows = {name: resolve_files(row, path.absolute().parent) for name, row in study.rows.items()}
        return check_study(expand_axes(msgspec.structs.replace(study, rows=rows, name=study.name or path.stem)))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def parse_study(tree: Any) -> Study:
    """The study in a nested dict; a UserError names the row, axis or field that is wrong."""
    if not isinstance(tree, dict):
        raise UserError(f"it holds {'nothing' if tree is None else type(tree).__name__}, not a study: {SHAPE}")
    # Part by part first: msgspec's message about the whole study would name no row.
    rows, axes = tree.get("rows"), tree.get("axes")
    for name, row in rows.items() if isinstance(rows, dict) else ():
        _convert(row, Row, f"row {name}: ")
    for axis in axes if isinstance(axes, list) else ():
        if not isinstance(axis, str):
            _convert(axis, Axis, f"axis {axis.get('name', '') if isinstance(axis, dict) else axis}: ")
    for name, kind in (("base", Base), ("search", Search)):
        if tree.get(name) is not None:
            _convert(tree[name], kind, f"{name}: ")
    return _convert(tree, Study, "")


Part = TypeVar("Part", bound=msgspec.Struct)


def _convert(tree: Any, kind: type[Part], where: str) -> Part:
    """A part of a study as its struct; msgspec's errors in a user's words."""
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        message = str(error)
    unknown = re.match(r"Object contains unknown field `([^`]*)`$", message)
    if unknown is not None:
        fields = [field.name for field in msgspec.structs.fields(kind)]
        hint = did_you_mean(unknown[1], fields)
        message = f"unknown field {unknown[1]!r}: the fields are {', '.join(fields)}.{hint}"
    else:
        message = message.replace("`$.", "`").replace("`object", "`mapping").replace("`array", "`list")
    raise UserError(where + message)


def expand_axes(study: Study) -> Study:
    """The study with the rows that its axes make."""
    if bool(study.axes) != (study.base is not None):
        raise UserError("axes need a base and a base needs axes: give both, or only rows")
    if study.base is None:
        return study
    left_out: dict[str, str] = {}
    made = {BASE: Row(study.base.preset, study.base.settings, "base as it is")}
    if study.search is None:
        made, left_out = rows_from_axes(study.base, study.declared_axes)
    else:
        SearchSpace(study.base, study.declared_axes)
    twice = study.rows.keys() & ({BASE, BEST} if study.search else made.keys())
    if twice:
        by = "search" if study.search else "axes"
        raise UserError(f"row {min(twice)} is also made by the {by}: leave it out, or rename it")
    return msgspec.structs.replace(study, rows=study.rows | made, left_out=left_out)


def check_rows(study: Study) -> None:
    """Raise a UserError where rows, baselines and metric of a study do not hold together."""
    if not study.rows:
        raise UserError("a study needs `rows`, or `base` and `axes`")
    for row in study.rows:
        if "," in row or len(row) > MAX_NAME:
            raise UserError(f"row name {row!r}: use no commas and at most {MAX_NAME} characters")
        check_source(row, study.rows[row], len(study.seeds))
        for baseline in study.row_baselines(row):
            if baseline not in study.rows:
                raise UserError(
                    f"row {row} is compared with {baseline!r}, which is none of the rows "
                    f"({', '.join(study.rows)}): correct `baseline`.{did_you_mean(baseline, study.rows)}"
                )
    if study.metric not in TASKS:
        hint = did_you_mean(study.metric, TASKS)
        raise UserError(f"metric {study.metric!r} is no task: it is one of {', '.join(TASKS)}.{hint}")


def check_study(study: Study) -> Study:
    """The study itself, where it holds together; else a UserError."""
    check_rows(study)
    if len(study.external) == len(study.rows):
        raise UserError("all rows are scored from files: give one with a preset, or use `engram compare FILE FILE`")
    if len(set(study.seeds)) < len(study.seeds):
        raise UserError(f"seeds {list(study.seeds)} must be different")
    for path in study.varies:
        steps = path.split(".")
        for number, step in enumerate(steps):
            known = setting_names(steps[:number])
            if step not in known:
                hint = did_you_mean(step, known)
                raise UserError(f"varies: {unknown_setting(path, steps[:number], hint)}")
    if study.search is not None:
        if study.base is None:
            raise UserError("a search needs `base` and `axes`: they are what is searched")
        check_search(study.search, seeds=study.seeds)
    check_study_name(study.name)
    return study


def check_study_name(name: str) -> None:
    """Raise a UserError for a name under which a study cannot be kept: it is a part of its folder's name."""
    if (
        not re.fullmatch(r"[^.\s/\\@][^\s/\\@]*", name)
        or not name.isprintable()
        or len(os.fsencode(name)) > MAX_FOLDER_NAME
    ):
        raise UserError(
            f"study name {name!r}: use no '/', '\\\\', '@' or blank, no '.' in front and at most {MAX_FOLDER_NAME} "
            "bytes, as it names a folder"
        )
