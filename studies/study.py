"""A study: rows, each one setting of the model over the same seeds, and the question that they answer.

A row names a preset and what it changes; a cell is a row's one signature times the seeds. Shipped studies and a user's
own are YAML files of one shape:

    question: Do the memories help?
    baseline: jerex-grc
    rows:
      jerex-grc: {preset: jerex-grc}
      wide: {preset: memory-grc, settings: {memory: {slot_width: 256}}}
"""

import difflib
from pathlib import Path

import msgspec
import yaml

from core.errors import UserError
from core.presets import Tree

FOLDER = Path(__file__).with_name("shipped")
SEEDS = (0, 1, 2, 3, 4)
"""The report seeds of every study that does not say otherwise."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a study's table: a preset and the settings that make the row."""

    preset: str
    settings: Tree = {}
    title: str = ""
    """What the table calls it; empty: its name."""
    group: str = ""
    """The part of the table that it stands in; the best of a group is set in bold."""
    baseline: str = ""
    """The row it is compared with; empty: the study's baseline."""


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows, the seeds that every row shares, and the question they answer."""

    question: str
    rows: dict[str, Row]
    baseline: str
    seeds: tuple[int, ...] = SEEDS
    metric: str = "relation_strict"
    """The task whose F1 answers the question."""
    name: str = ""

    def title_of(self, row: str) -> str:
        """What a table calls a row."""
        return self.rows[row].title or row

    def baseline_of(self, row: str) -> str:
        """The row that a row is compared with."""
        return self.rows[row].baseline or self.baseline


def shipped() -> dict[str, Study]:
    """The studies that come with Engram."""
    return {path.stem: read_study(path) for path in sorted(FOLDER.glob("*.yaml"))}


def find_study(name: str) -> Study:
    """A shipped study by its name, or a user's own by the path of its YAML file."""
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return read_study(path)
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"unknown study {name!r}: the studies are {', '.join(known)}.{hint} A study of your own is a YAML file"
        )
    return read_study(FOLDER / f"{name}.yaml")


def read_study(path: Path) -> Study:
    """The study in a YAML file, checked as far as that goes without its configs."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        study = msgspec.convert(tree, Study)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give a shipped study or a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not readable YAML: {str(error).splitlines()[0]}") from None
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is no study: {error}") from None
    return check(msgspec.structs.replace(study, name=study.name or path.stem), where=str(path))


def check(study: Study, *, where: str) -> Study:
    """The study itself, where its rows, baselines and seeds hold together."""
    for row in study.rows:
        if study.baseline_of(row) not in study.rows:
            raise UserError(
                f"{where}: row {row} is compared with {study.baseline_of(row)!r}, which is none of the rows "
                f"({', '.join(study.rows)}): correct `baseline`"
            )
    if not study.seeds or len(set(study.seeds)) < len(study.seeds) or min(study.seeds) < 0:
        raise UserError(f"{where}: seeds {list(study.seeds)} must be different numbers from 0")
    if set(study.name) & set("/@ "):
        raise UserError(f"{where}: the name {study.name!r} must do without '/', '@' and blanks: it names a folder")
    return study
