"""Scores as tables for a terminal."""

from collections.abc import Mapping

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from core.metrics import HEADLINE, TASKS, Scores

TASK_NAMES = {"coref": "coreference", "relation_strict": "strict relation"}
MEASURE_NAMES = {"muc": "MUC", "b_cubed": "B³", "ceaf_phi4": "CEAF φ4", "mean": "mean of the three"}


def score_view(scores: Scores) -> RenderableType:
    """The five tasks in one table, the diagnostics in another, the notes below; percent throughout."""
    extra = scores.extra
    tasks = _table(f"{extra['documents']} documents, percent", "P", "R", "F1", *_macro_names(), "TP", "FP", "FN")
    for task in TASKS:
        values = [f"{value:.2f}" for value in msgspec.structs.astuple(getattr(scores, task))]
        counts = [str(extra["counts"][task][key]) for key in ("tp", "fp", "fn")]
        tasks.add_row(_name(task), *values, *counts, style="bold" if task == HEADLINE else None)
    beyond = _table("Beyond the five tasks, percent", "P", "R", "F1")
    for measure, values in extra["coreference"].items():
        _add(beyond, f"coreference, {MEASURE_NAMES[measure]}", values)
    for task, values in extra["lenient"].items():
        _add(beyond, f"{_name(task)}, found by first mention", values)
    for distance, values in extra.get("by_sentence_distance", {}).items():
        _add(beyond, f"{_name(HEADLINE)}, {distance}-sentence", values)
    if "ign" in extra:
        _add(beyond, f"{_name(HEADLINE)}, without training facts (Ign)", extra["ign"])
    notes = [f"- {note}" for note in extra["notes"]]
    if "ranking" in extra:
        ranking = extra["ranking"]
        found = f"average precision {ranking['average_precision']:.2f}, best F1 {ranking['best_f1']:.2f}"
        notes.insert(0, f"{_name(HEADLINE)}, ranked by score: {found} from {ranking['best_threshold']:.3f} on")
    return Group(tasks, beyond, *notes)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _macro_names() -> list[str]:
    return [f"macro {name}" for name in ("P", "R", "F1")]


def _name(task: str) -> str:
    return TASK_NAMES.get(task, task)


def _add(table: Table, name: str, values: Mapping[str, float]) -> None:
    table.add_row(name, *(f"{values[key]:.2f}" if key in values else "" for key in ("precision", "recall", "f1")))
