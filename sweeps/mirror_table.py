"""The table of a study as W&B shows it: F1 per task with its spread, as columns and as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from core.metrics import TASKS

ENDS = {"mean": "", "std": "_std", "low": "_low", "high": "_high"}
"""What a column says of a score -> what its key in an aggregate's summary ends in."""
COLUMNS = ("row", "split", "seeds", *(f"{task} F1 {name}" for task in TASKS for name in ENDS))
SPLITS = ("test", "validation")
"""The split that a table shows: the first that was scored."""


def columns_of(row: str, summary: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row's values under `COLUMNS`; None where there is none."""
    split = next((name for name in SPLITS if f"{name}/{TASKS[0]}/f1" in summary), None)
    n = summary.get(f"{split}/{TASKS[0]}/f1_n", 0)
    return (row, split, n, *(summary.get(f"{split}/{task}/f1{end}") for task in TASKS for end in ENDS.values()))


def to_markdown(table: Sequence[Sequence[Any]]) -> str:
    """The table as Markdown: mean ± sample standard deviation over the seeds."""
    lines = []
    for row, split, n, *values in table:
        means, stds = values[:: len(ENDS)], values[1 :: len(ENDS)]
        lines.append([row, split or "–", n, *(spread(mean, std) for mean, std in zip(means, stds, strict=True))])
    headings = ["row", "split", "seeds", *(f"{task} F1" for task in TASKS)]
    return tabulate(lines, headings, tablefmt="pipe", disable_numparse=True)


def spread(mean: float | None, std: float | None) -> str:
    """Mean ± std, as far as they are known."""
    if mean is None:
        return "–"
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"
