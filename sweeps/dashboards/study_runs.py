"""A study in W&B: one `aggregate` run per cell with mean, spread and interval, one `study` run with table and report.

W&B's own table of runs groups seeds and shows their mean, but not how far they lie apart; here the spread is a column.
Everything is read from the records, and written again only where it has changed; ids are fixed, so that a study that
goes on stays one. It is written offline, beside the study's record, and goes up the way of everything offline
(`sweeps.dashboards.sync`): fragments of one id in the order in which they were written. W&B failing never fails a
study.

The table of a study as W&B shows it: F1 per task with its spread, as columns and as Markdown.

How W&B follows a study that was run, as its runs' configs say: its project, whose it is, online or not.
"""

import hashlib
import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from tabulate import tabulate

from core.config.presets import from_yaml
from core.config.schema import TrackingConfig
from core.errors import UserError
from core.files import atomic_write, make_folder
from core.progress import meter
from core.records.record import CONFIG
from core.records.summary import RunSummary, read_details, read_summary
from core.records.wandb_run import Identity, WandbRun
from core.scoring.metrics import TASKS
from studies.record import RECORD, StudyRecord, study_folder
from studies.statistics import summarize, t_interval

AGGREGATE, STUDY = "aggregate", "study"
"""Job types of what is written here; runs have others."""
WANDB, WRITTEN, REPORT = "wandb", "mirrored.json", "report"
SPLITS = ("validation", "test")
LEFT_OUT = ("seed", "tracking")
"""Settings in which the runs of a cell differ, or that say which study asked for them first."""
COSTS = ("seconds", "peak_memory_mib")


@dataclass(frozen=True)
class DashboardRun:
    """A W&B run to be written: its identity and its summary, the study's with table and files."""

    identity: Identity
    summary: dict[str, float | int]
    table: tuple[tuple[Any, ...], ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def digest(self) -> str:
        """Changes where anything that W&B would be told does."""
        one = self.identity
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.files]
        content = msgspec.json.encode([one.name, one.tags, one.notes, one.config, self.summary, self.table, hashes])
        return hashlib.sha256(content).hexdigest()[:16]


def mirrored(record: StudyRecord, runs: Path, tracking: TrackingConfig) -> str:
    """Mirror a study where its settings want it; what went wrong in a line, empty where nothing did."""
    if tracking.wandb == "disabled":
        return ""
    try:
        mirror(record, runs, tracking)
    except (UserError, OSError) as error:
        return f"the study was not told to W&B: {str(error).splitlines()[0]}"
    return ""


def mirror(record: StudyRecord, runs: Path, tracking: TrackingConfig) -> int:
    """Write what has changed of a study's aggregates and of the study itself; how many runs that was."""
    folder = study_folder(runs, record.label)
    make_folder(folder / WANDB, "give a folder that is yours (--runs DIR)")
    path = folder / WANDB / WRITTEN
    known: dict[str, str] = {}
    with suppress(OSError, msgspec.DecodeError):
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    cells = list(aggregates(record, runs))
    if not cells:
        return 0
    digests = {one.identity.run_id: (one.digest, one) for one in (*cells, study_run(record, cells, folder))}
    changed = [(run_id, digest, one) for run_id, (digest, one) in digests.items() if known.get(run_id) != digest]
    written = 0
    with meter("writing for W&B", len(changed)) as progress:
        for run_id, digest, one in changed:
            delete_older_offline_files(folder, run_id)
            if write(one, tracking):
                written += 1
                known[run_id] = digest
                atomic_write(path, msgspec.json.encode(known))
            progress.advance()
    return written


def aggregates(record: StudyRecord, runs: Path) -> Iterator[DashboardRun]:
    """The aggregate of every cell that has a finished run."""
    study, shared = record.study, record.shared
    own_tags = str((record.settings.get("tracking") or {}).get("tags") or "").split(",")
    for cell in record.row_runs:
        summaries = {seed: read_summary(runs / cell.signature / f"s{seed}") for seed in cell.runs}
        scored = {seed: summary for seed, summary in summaries.items() if summary.is_done}
        if cell.row in shared or not scored:
            continue
        settings, _ = read_details(next(iter(scored.values())).folder, "test")
        config = {name: value for name, value in settings.items() if name not in LEFT_OUT}
        rows = [cell.row, *(row for row, same in shared.items() if same == cell.row)]
        tags = [record.profile, *own_tags, *(tag for row in rows for tag in study.row_tags(row))]
        missing = sorted(cell.runs.keys() - scored.keys())
        told = {"study": record.label, "row": cell.row, "rows": rows, "seeds": sorted(scored), "missing_seeds": missing}
        identity = Identity(
            folder=study_folder(runs, record.label),
            run_id=wandb_id(f"{cell.signature}-{AGGREGATE}-{record.label}"),
            name=f"{' = '.join(rows)}: {len(scored)} seed{'s' * (len(scored) > 1)}",
            group=cell.signature,
            job_type=AGGREGATE,
            tags=tuple(dict.fromkeys(tag.strip() for tag in tags)),
            config=config | told,
        )
        yield DashboardRun(identity, spread(list(scored.values())))


def spread(scored: Sequence[RunSummary]) -> dict[str, float | int]:
    """Mean (under the run's own key), sample std (ddof 1), n and 95 % t-interval of every score and cost.

    What so few seeds cannot say, the std of one, is left out.
    """
    values: dict[str, list[float]] = {}
    for summary in scored:
        for split in SPLITS:
            for task in TASKS if split in summary.metrics else ():
                for measure, value in msgspec.structs.asdict(getattr(summary.metrics[split], task)).items():
                    if value is not None:
                        values.setdefault(f"{split}/{task}/{measure}", []).append(value)
        for cost in COSTS:
            if (value := getattr(summary, cost)) is not None:
                values.setdefault(cost, []).append(value)
    told: dict[str, float | int] = {}
    for key, found in values.items():
        over_seeds = summarize(found)
        interval = t_interval(over_seeds)
        numbers = {"": over_seeds.mean, "_std": over_seeds.std, "_low": interval.low, "_high": interval.high}
        told |= {f"{key}{end}": number for end, number in numbers.items() if math.isfinite(number)}
        told[f"{key}_n"] = over_seeds.n
    return told


def study_run(record: StudyRecord, cells: Sequence[DashboardRun], folder: Path) -> DashboardRun:
    """The run that stands for the whole study: its record as config, its table, and its report where there is one."""
    study = record.study
    by_row = {one.identity.config["row"]: one.summary for one in cells}
    same = record.shared
    table = tuple(result_columns(cell.row, by_row.get(same.get(cell.row, cell.row), {})) for cell in record.row_runs)
    baseline = next((cell.signature for cell in record.row_runs if cell.row == study.baseline), "")
    identity = Identity(
        folder=folder,
        # The same study under the same profile on other documents is another study.
        run_id=wandb_id(f"{STUDY}-{baseline}-{record.label}"),
        name=f"study {record.label}",
        group=record.label,
        job_type=STUDY,
        tags=(study.name, record.profile),
        notes=f"{study.question}\n\n{to_markdown(table)}",
        config=msgspec.json.decode(msgspec.json.encode(record)),
    )
    done = sum(len(one.identity.config["seeds"]) for one in cells)
    wanted = len({run_id for cell in record.row_runs for run_id in cell.runs.values()})
    summary: dict[str, float | int] = {"rows": len(record.row_runs), "runs": wanted, "finished_runs": done}
    return DashboardRun(identity, summary, table, report_files(folder))


def report_files(folder: Path) -> tuple[Path, ...]:
    """The study's record and, where `engram report` has written them, its tables, figures and page."""
    return (folder / RECORD, *sorted(path for path in (folder / REPORT).glob("*") if path.is_file()))


def write(one: DashboardRun, tracking: TrackingConfig) -> bool:
    """Write one run into offline files; whether they hold everything."""
    run = WandbRun(one.identity, tracking, mode="offline")
    if one.table:
        run.show("results", COLUMNS, one.table)
    if one.files:
        run.attach(one.identity.run_id, REPORT, [(path, path.name) for path in one.files])
    return run.close(one.summary, good=True)


def delete_older_offline_files(folder: Path, run_id: str) -> None:
    """Delete older offline files of a run that are written whole again now; those that were uploaded stay."""
    for older in (folder / WANDB).glob(f"offline-run-*-{run_id}"):
        if older.name.split("-", 3)[3] == run_id and not list(older.glob("*.synced")):
            shutil.rmtree(older, ignore_errors=True)


def wandb_id(text: str) -> str:
    """A text as a W&B id: letters, digits, - and _."""
    return re.sub(r"[^\w-]", "-", text)[:120]


ENDS = {"mean": "", "std": "_std", "low": "_low", "high": "_high"}
"""What a column says of a score -> what its key in an aggregate's summary ends in."""
COLUMNS = ("row", "split", "seeds", *(f"{task} F1 {name}" for task in TASKS for name in ENDS))
TABLE_SPLITS = ("test", "validation")
"""The split that a table shows: the first that was scored."""


def result_columns(row: str, summary: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row's values under `COLUMNS`; None where there is none."""
    split = next((name for name in TABLE_SPLITS if f"{name}/{TASKS[0]}/f1" in summary), None)
    n = summary.get(f"{split}/{TASKS[0]}/f1_n", 0)
    return (row, split, n, *(summary.get(f"{split}/{task}/f1{end}") for task in TASKS for end in ENDS.values()))


def to_markdown(table: Sequence[Sequence[Any]]) -> str:
    """The table as Markdown: mean ± sample standard deviation over the seeds."""
    lines = []
    for row, split, n, *values in table:
        means, stds = values[:: len(ENDS)], values[1 :: len(ENDS)]
        lines.append(
            [row, split or "–", n, *(written_spread(mean, std) for mean, std in zip(means, stds, strict=True))]
        )
    headings = ["row", "split", "seeds", *(f"{task} F1" for task in TASKS)]
    return tabulate(lines, headings, tablefmt="pipe", disable_numparse=True)


def written_spread(mean: float | None, std: float | None) -> str:
    """Mean ± std, as far as they are known."""
    if mean is None:
        return "–"
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def read_tracking(record: StudyRecord, runs: Path) -> TrackingConfig:
    """The tracking of the first run that was started; the default where none was."""
    for run in record.runs_in(runs):
        if (run.folder / CONFIG).is_file():
            return from_yaml(run.folder / CONFIG).tracking
    return TrackingConfig()
