"""Frame of a study's results: a line per row, seed and task, with the facts of its run; and what else reports read.

A run that has no scores keeps its lines, empty: a number that is not there is missing, never 0.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from core.progress import progress_bar
from core.records.memory_use import MemoryUse
from core.records.summary import PartScores
from core.scoring.metrics import TASKS
from reports.row_means import TableOptions, rows_by_group, task_headings
from reports.run_results import SCORES, WHOLE_NUMBERS, RunResult, read_external, read_run
from studies.record import RowRuns, StudyRecord
from studies.search.trials import SearchRecord

MAX_ROWS_WITH_TYPES = 8
"""Rows whose scores per relation type fit side by side; of more rows they are not read."""


@dataclass(frozen=True)
class ReportData:
    """A study and its results, each run read once: everything that tables and figures are made of."""

    study: StudyRecord
    frame: pd.DataFrame
    """A line per row, seed and task, see `collect`; `folder` is the run's, where it has one."""
    breakdowns: Mapping[str, Mapping[str, Mapping[str, PartScores]]] = field(default_factory=dict)
    """Run id -> kind of breakdown (distance, type) -> name -> strict relation scores; scored runs only."""
    configs: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Row -> the resolved config of its first run that has a record."""
    compared: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"row": []}))
    """The differences to the baselines, see `reports.baseline_differences.compare_to_baselines`."""
    memory_use: Mapping[str, MemoryUse] = field(default_factory=dict)
    """Run id -> whether it uses its memory; scored runs that read one and were measured."""
    knock_outs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"row": []}))
    """What knock-outs change, see `reports.memory_use.compare_knock_outs`."""
    type_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The readable names of types as the first record that has them holds them (`RunRecord.type_names`)."""
    search: SearchRecord | None = None
    """The trials that chose a row, where the study is a search."""
    options: TableOptions = field(default_factory=TableOptions)
    """How tables show the numbers."""

    @property
    def tasks(self) -> dict[str, str]:
        """The tasks that tables show, in their order, with their headings."""
        return task_headings(self.study, self.options)

    @property
    def rows(self) -> list[str]:
        """The rows that tables show, in their order."""
        return rows_by_group(self.study, self.options)

    def select(self, numbers: pd.DataFrame) -> pd.DataFrame:
        """The lines of a frame that are of a row and a task which tables show."""
        return numbers[numbers["row"].isin(self.rows) & numbers["task"].isin(self.tasks)] if len(numbers) else numbers


def load_study(study: StudyRecord, runs: Path, *, split: str = "test") -> ReportData:
    """Read a study's records; scores are those of one split. `compared`, `knock_outs` and `search` are the caller's to
    add.

    Raises a UserError for a finished run without scores of the split.
    """
    with_types = len(study.row_runs) <= MAX_ROWS_WITH_TYPES
    return collect(study, partial(read_run, runs=runs, split=split, types=with_types), split=split)


def collect(study: StudyRecord, read: Callable[[RowRuns, int, bool], RunResult], *, split: str) -> ReportData:
    """The results of a study from its runs, in the study's order; `read` gives the run of a row and seed.

    Its third argument is whether the run's config is needed: the first of a row is. The frame has the columns row,
    seed, split, task; the six scores of `core.scoring.metrics.TaskScores` in percent (NaN where the run has none); and
    the facts of the run, see `reports.run_results`.
    """
    results: dict[str, RunResult] = {}
    configs: dict[str, dict[str, Any]] = {}
    lines, scores = [], []
    no_scores = dict.fromkeys(SCORES, math.nan)
    row_seeds = [(row, seed, run_id) for row in list_row_runs(study) for seed, run_id in row.runs.items()]
    with progress_bar("records", len(row_seeds)) as progress:
        for row, seed, run_id in row_seeds:
            if run_id not in results:
                if study.study.rows[row.row].predictions:
                    results[run_id] = read_external(study.study, row.row, seed)
                else:
                    results[run_id] = read(row, seed, row.row not in configs)
            result = results[run_id]
            if result.config is not None:
                configs.setdefault(row.row, result.config)
            lines.append({"row": row.row, "seed": seed, "split": split, **result.facts})
            scores += [list(result.scores.get(task, no_scores).values()) for task in TASKS]
            progress.advance()
    facts = pd.DataFrame(lines).astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))
    frame = facts.loc[facts.index.repeat(len(TASKS))].reset_index(drop=True)
    frame.insert(3, "task", list(TASKS) * len(facts))
    for position, name in enumerate(SCORES):
        frame.insert(4 + position, name, pd.Series([values[position] for values in scores], dtype=float))
    breakdowns = {run_id: result.breakdowns for run_id, result in results.items() if result.scores}
    type_names = next((result.type_names for result in results.values() if result.type_names), {})
    memory_use = {run_id: use for run_id, result in results.items() if (use := result.memory_use) is not None}
    return ReportData(study, frame, breakdowns, configs, type_names=type_names, memory_use=memory_use)


def list_row_runs(study: StudyRecord) -> list[RowRuns]:
    """The runs of every row in the study's order; those of an external row are its prediction files."""
    known = {row.row: row for row in study.row_runs}
    for row, files in study.study.external.items():
        known[row] = RowRuns(row, "", {seed: f"{row}: {path}" for seed, path in files.items()})
    return [known[row] for row in study.study.rows if row in known]


def run_facts(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per row and seed: the run behind it, without scores."""
    return frame.drop_duplicates(["row", "seed"]).drop(columns=["task", *SCORES]).reset_index(drop=True)
