"""A study: rows, each one setting of the model over the same seeds, and the question that they answer.

A row names a preset and what it changes; a cell is a row's one signature times the seeds. Shipped studies and a user's
own are YAML files of one shape:

    question: Do the memories help?
    baseline: jerex-grc
    rows:
      jerex-grc: {preset: jerex-grc}
      wide: {preset: memory-grc, settings: {memory: {slot_width: 256}}}

Next to rows, or instead of them, a study may name axes; every combination of their values on the base is a row:

    base: {preset: memory-grc}
    axes: [read-mode, {name: warmup, values: [0, 0.4]}, {name: lr, path: training.lr, values: [1.0e-5, 5.0e-5]}]
    baseline: read-mode=inverse+warmup=0.4+lr=5e-05

With a `search` section (`studies.search.spec`) the axes are searched instead.

From what a study's YAML holds to its struct, or one line about the first thing that is wrong, and where.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core.config.presets import NumberLoader, load_yaml, setting_names
from core.errors import UserError, did_you_mean
from core.scoring.metrics import TASKS
from studies.axes import Axis, find_axis
from studies.rows import Base, Choice, Row, resolve_axes, rows_of
from studies.search.space import SearchSpace
from studies.search.spec import Search, check_search

__all__ = ["SEEDS", "Base", "Choice", "Row", "Study", "check_study", "find_study", "read_study", "shipped_studies"]

FOLDER = Path(__file__).with_name("shipped")
SEEDS = (0, 1, 2, 3, 4)
"""The report seeds of every study that does not say otherwise."""
BASE, BEST = "base", "best"
"""The rows that a search adds: its base as it stands, and the best config that it found."""
LARGEST_SEED = 2**31 - 1
LONGEST = 64
"""Characters that a row's name may have: it is a tag in W&B."""


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows, the seeds that every row shares, and the question they answer."""

    question: str
    baseline: str
    rows: dict[str, Row] = {}
    """The rows; in a study that was read also those that its axes make."""
    seeds: tuple[int, ...] = SEEDS
    metric: str = "relation_strict"
    """The task whose F1 answers the question."""
    name: str = ""
    base: Base | None = None
    """What the rows that the axes make have in common."""
    axes: tuple[str | Choice, ...] = ()
    """The axes whose combinations are rows."""
    varies: tuple[str, ...] = ()
    """Settings and sections in which rows may differ from their baseline; empty: what axes and rows themselves say."""
    left_out: dict[str, str] = {}
    """Combinations of the axes that are no row, and why."""
    search: Search | None = None
    """How the axes are searched; none: their combinations are rows."""

    def row_title(self, row: str) -> str:
        """What a table calls a row."""
        return self.rows[row].title or row

    def row_baseline(self, row: str) -> str:
        """The row that a row is compared with."""
        return self.rows[row].baseline or self.baseline

    @property
    def declared_axes(self) -> tuple[Axis, ...]:
        """The axes, in full."""
        return resolve_axes(self.axes)

    def axis(self, name: str) -> Axis:
        """The axis of a name, the study's own before the declared one."""
        return next((axis for axis in self.declared_axes if axis.name == name), None) or find_axis(name)

    def row_tags(self, row: str) -> tuple[str, ...]:
        """What W&B finds a row by: study, row, and its places on axes."""
        at = self.rows[row].at
        return (self.name, row, *(f"{axis}={self.axis(axis).label(value)}" for axis, value in at.items()))

    def is_from_axes(self, row: str) -> bool:
        """Whether the axes made this row."""
        names = {choice if isinstance(choice, str) else choice.name for choice in self.axes}
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
    try:
        tree = load_yaml(path.read_text(encoding="utf-8"), NumberLoader)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give a shipped study or a YAML file") from None
    except ValueError as error:
        raise UserError(f"{path} is not readable YAML: {error}") from None
    try:
        study = study_of(tree, Study)
    except ValueError as error:
        raise UserError(f"{path} is no study: {error}") from None
    return check_study(expand_axes(study, where=str(path), name=study.name or path.stem), where=str(path))


def expand_axes(study: Study, *, where: str, name: str) -> Study:
    """The study with the rows that its axes make."""
    if bool(study.axes) != (study.base is not None):
        raise UserError(f"{where}: axes need a base and a base needs axes: give both, or only rows")
    if study.base is None:
        return msgspec.structs.replace(study, name=name)
    left_out: dict[str, str] = {}
    made = {BASE: Row(study.base.preset, study.base.settings, "base as it is")}
    try:
        if study.search is None:
            made, left_out = rows_of(study.base, study.declared_axes)
        else:
            SearchSpace(study.base, study.declared_axes)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    twice = study.rows.keys() & ({BASE, BEST} if study.search else made.keys())
    if twice:
        by = "search" if study.search else "axes"
        raise UserError(f"{where}: row {min(twice)} is also made by the {by}: leave it out, or rename it")
    return msgspec.structs.replace(study, name=name, rows=study.rows | made, left_out=left_out)


def check_study(study: Study, *, where: str) -> Study:
    """The study itself, where its rows, baselines and seeds hold together."""
    if not study.rows:
        raise UserError(f"{where}: a study needs `rows`, or `base` and `axes`")
    for row in study.rows:
        if "," in row or len(row) > LONGEST:
            raise UserError(f"{where}: row name {row!r} must do without commas and have at most {LONGEST} characters")
    for row in study.rows:
        if study.row_baseline(row) in study.left_out:
            reason = study.left_out[study.row_baseline(row)]
            raise UserError(f"{where}: baseline {study.row_baseline(row)} is left out ({reason}): name another row")
        if study.row_baseline(row) not in study.rows:
            raise UserError(
                f"{where}: row {row} is compared with {study.row_baseline(row)!r}, which is none of the rows "
                f"({', '.join(study.rows)}): correct `baseline`.{did_you_mean(study.row_baseline(row), study.rows)}"
            )
    if study.metric not in TASKS:
        raise UserError(
            f"{where}: metric {study.metric!r} is no task: it is one of {', '.join(TASKS)}."
            f"{did_you_mean(study.metric, TASKS)}"
        )
    check_seeds(study.seeds, where=f"{where}: ")
    for path in study.varies:
        *section, last = path.split(".")
        known = setting_names(section)
        if last not in known:
            told = f"{'.'.join(section) or 'a run'} has {', '.join(known)}" if known else "there is no such section"
            raise UserError(f"{where}: varies names {path!r}, which is no setting: {told}.{did_you_mean(last, known)}")
    if study.search is not None:
        if study.base is None:
            raise UserError(f"{where}: a search needs `base` and `axes`: say what is searched")
        check_search(study.search, seeds=study.seeds, where=where)
    if set(study.name) & set("/@ "):
        raise UserError(f"{where}: the name {study.name!r} must do without '/', '@' and blanks: it names a folder")
    return study


def check_seeds(seeds: Sequence[int], *, where: str = "") -> None:
    """Raise a UserError for seeds that are not different numbers that a run can have."""
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) > LARGEST_SEED:
        raise UserError(f"{where}seeds {list(seeds)} must be different numbers from 0 to {LARGEST_SEED}")


T = TypeVar("T", bound=msgspec.Struct)
SHAPE = "a study has a question, a baseline and rows (`engram study plan --help` shows one)"

WORDS = {
    "object": "a mapping (name: value)",
    "array": "a list ([a, b])",
    "str": "text (in quotes, where it looks like a number)",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}
"""What msgspec calls the kinds of values, and what users do."""


def study_of(tree: Any, kind: type[T]) -> T:
    """The study in a nested dict, as `kind`; a ValueError names the row, axis or field that is wrong."""
    if not isinstance(tree, dict):
        raise ValueError(f"it holds {'nothing' if tree is None else type(tree).__name__}, not a mapping: {SHAPE}")
    for where, part, of in parts(tree):
        converted(part, of, where)
    return converted(tree, kind, "")


def parts(tree: dict[str, Any]) -> Iterator[tuple[str, Any, type[msgspec.Struct]]]:
    """The parts of a study, each with what to call it: a message about a whole study would name no row."""
    rows, axes = tree.get("rows"), tree.get("axes")
    for name, row in rows.items() if isinstance(rows, dict) else ():
        if not isinstance(name, str):
            raise ValueError(f"row {name}: a name is text: write {str(name)!r} in quotes")
        yield f"row {name}: ", row, Row
    for axis in axes if isinstance(axes, list) else ():
        if not isinstance(axis, str):
            yield f"axis {axis.get('name', '') if isinstance(axis, dict) else axis}: ", axis, Choice
    if tree.get("base") is not None:
        yield "base: ", tree["base"], Base


def converted(tree: Any, kind: type[T], where: str) -> T:
    """A part as its struct."""
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise ValueError(where + explained(str(error), kind)) from None


def explained(message: str, kind: type[msgspec.Struct]) -> str:
    """msgspec's message in a user's words, with the fields that there are where one is misspelt."""
    unknown = re.match(r"Object contains unknown field `([^`]*)`", message)
    if unknown is not None:
        known = [field.name for field in msgspec.structs.fields(kind)]
        return f"unknown field {unknown[1]!r}: the fields are {', '.join(known)}.{did_you_mean(unknown[1], known)}"
    wrong = re.match(r"Expected `([^`]*)`, got `([^`]*)`(?: - at `\$?\.?([^`]*)`)?", message)
    if wrong is not None:
        wanted, found = (" or ".join(WORDS.get(one, one) for one in kinds.split(" | ")) for kinds in wrong.group(1, 2))
        return f"{wrong[3] + ': ' if wrong[3] else ''}{found} is given, {wanted} is meant"
    return message
