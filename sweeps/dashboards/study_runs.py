"""Study runs in W&B: an `aggregate` run per row with mean, std and interval, and a `study` run with table and report.

W&B's own table of runs groups seeds and shows their mean, but no std; here it is a column. Everything is read from the
records, and written again only where it has changed; ids are fixed, so that a study that is resumed stays one. It is
written offline, next to the study's record, and `sweeps.dashboards.sync` uploads it like every offline file.
"""

import hashlib
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tabulate import tabulate

from core.config.schema import TrackingConfig
from core.files import atomic_write, content_hash, make_folder
from core.progress import progress_bar
from core.records.record import read_record
from core.records.summary import RunSummary, read_summary
from core.records.wandb_run import FILES, Identity, WandbRun
from core.records.wandb_upload import broken_artifacts, pending_files
from core.scoring.metrics import TASKS
from studies.record import RECORD, StudyRecord, study_folder
from studies.statistics import Summary, summarize, t_test

AGGREGATE, STUDY = "aggregate", "study"
"""Job types of what is written here; runs have others."""
DIGESTS, REPORT = "mirrored.json", "report"
SPLITS = ("test", "validation")
OMITTED_SETTINGS = ("seed", "tracking")
"""Settings in which the runs of a row differ, or that depend on the study that computed them first."""
COSTS = ("seconds", "peak_memory_mib")


@dataclass(frozen=True)
class DashboardRun:
    """A W&B run to be written: its identity, its summary and, of the study's, its files."""

    identity: Identity
    summary: dict[str, float | int]
    files: tuple[Path, ...] = ()

    @property
    def digest(self) -> str:
        """Changes where anything does that W&B would show."""
        run = self.identity
        files = [content_hash(path) for path in self.files]
        content = msgspec.json.encode([run.name, run.group, run.tags, run.notes, run.config, self.summary, files])
        return hashlib.sha256(content).hexdigest()[:16]


def write_study_runs(record: StudyRecord, runs: Path, tracking: TrackingConfig, *, alert: bool = False) -> int:
    """Write what has changed, or of which a file was lost, of a study's aggregates and of the study itself.

    Returns how many runs that was. `alert`: whether failed runs of the study are told to W&B's alerts.
    """
    aggregates = list(build_aggregates(record, runs))
    if not aggregates:
        return 0
    folder = study_folder(runs, record.label)
    make_folder(folder / FILES, "give a folder that is yours (--runs DIR)")
    path = folder / FILES / DIGESTS
    digests: dict[str, str] = {}
    with suppress(OSError, msgspec.DecodeError):
        digests = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    written = 0
    with progress_bar("writing for W&B", len(aggregates) + 1) as progress:
        for run in (*aggregates, build_study_run(record, aggregates, runs)):
            progress.advance()
            run_id, digest = run.identity.run_id, run.digest
            pending = [file for file in pending_files(folder) if file.stem == f"run-{run_id}"]
            if digests.get(run_id) == digest and not broken_artifacts(pending):
                continue
            # Older offline files hold nothing that the new one does not; those that were uploaded stay.
            for older in pending:
                shutil.rmtree(older.parent, ignore_errors=True)
            wandb_run = WandbRun(run.identity, tracking, mode="offline")
            if run.files:
                wandb_run.log_artifact(run_id, REPORT, {file.name: file for file in run.files})
            if alert and (failed := run.summary.get("failed_runs")):
                wandb_run.alert(
                    f"{failed} run{'s' * (failed > 1)} failed",
                    f"of {run.identity.name}: engram study status {record.label}",
                )
            if wandb_run.close(run.summary, good=True):
                written += 1
                digests[run_id] = digest
                atomic_write(path, msgspec.json.encode(digests))
    return written


def build_aggregates(record: StudyRecord, runs: Path) -> Iterator[DashboardRun]:
    """The aggregate of every row that has a finished run; rows that are the same run share one."""
    shared = record.shared
    study_tags = str((record.settings.get("tracking") or {}).get("tags") or "").split(",")
    for row in record.row_runs:
        summaries = {seed: read_summary(runs / row.signature / f"s{seed}") for seed in row.runs}
        scored = {seed: summary for seed, summary in summaries.items() if summary.is_done}
        if row.row in shared or not scored:
            continue
        rows = [row.row, *(name for name, same in shared.items() if same == row.row)]
        tags = [record.profile, *study_tags, *(tag for name in rows for tag in record.study.row_tags(name))]
        first = read_record(next(iter(scored.values())).folder)
        settings = first.config if first is not None else {}
        config = {name: value for name, value in settings.items() if name not in OMITTED_SETTINGS} | {
            "study": record.label,
            "row": row.row,
            "rows": rows,
            "signature": row.signature,
            "run_ids": [row.runs[seed] for seed in sorted(scored)],
            "seeds": sorted(scored),
            "missing_seeds": sorted(row.runs.keys() - scored.keys()),
        }
        identity = Identity(
            folder=study_folder(runs, record.label),
            run_id=wandb_id(f"{row.signature}-{AGGREGATE}-{record.label}"),
            name=f"{' = '.join(rows)}: {len(scored)} seed{'s' * (len(scored) > 1)}",
            # Not that of the seeds: W&B's own means and spreads over a group would count it as one of them.
            group=f"{record.label} · {AGGREGATE}",
            job_type=AGGREGATE,
            tags=tuple(tag.strip() for tag in tags),
            config=config,
        )
        yield DashboardRun(identity, summarize_seeds(scored.values()))


def summarize_seeds(summaries: Iterable[RunSummary]) -> dict[str, float | int]:
    """Mean (under the run's own key), sample std (ddof 1), n and 95 % t-interval of every score and cost.

    What so few seeds cannot show, the std of one, is left out.
    """
    values: dict[str, list[float]] = {}
    for run in summaries:
        scores = {
            f"{split}/{task}/{measure}": value
            for split in SPLITS
            if split in run.metrics
            for task in TASKS
            for measure, value in msgspec.structs.asdict(getattr(run.metrics[split], task)).items()
        }
        for key, value in (scores | {cost: getattr(run, cost) for cost in COSTS}).items():
            if value is not None:
                values.setdefault(key, []).append(value)
    numbers: dict[str, float | int] = {}
    for key, of_seeds in values.items():
        summary = summarize(of_seeds)
        low, high = t_test(summary).interval
        statistics = {key: summary.mean, f"{key}_std": summary.std, f"{key}_low": low, f"{key}_high": high}
        numbers |= {name: number for name, number in statistics.items() if math.isfinite(number)}
        numbers[f"{key}_n"] = summary.n
    return numbers


def build_study_run(record: StudyRecord, aggregates: Sequence[DashboardRun], runs: Path) -> DashboardRun:
    """The run that stands for the whole study: its table, its record, and its report where there is one."""
    folder = study_folder(runs, record.label)
    by_row = {run.identity.config["row"]: run.summary for run in aggregates}
    rows = {row.row: by_row.get(record.shared.get(row.row, row.row), {}) for row in record.row_runs}
    signature = next((row.signature for row in record.row_runs if row.row == record.study.baseline), "")
    identity = Identity(
        folder=folder,
        # The same study under the same profile on other documents is another study.
        run_id=wandb_id(f"{STUDY}-{signature}-{record.label}"),
        name=f"study {record.label}",
        group=record.label,
        job_type=STUDY,
        tags=(record.study.name, record.profile),
        notes=f"{record.study.question}\n\n{markdown_table(rows)}",
        # Its record is a file: the names of its rows may have dots, which W&B's keys must not.
        config={
            "study": record.label,
            "profile": record.profile,
            "question": record.study.question,
            "baseline": record.study.baseline,
            "rows": list(rows),
            "signature": signature,
        },
    )
    statuses = [read_summary(run.folder).status for run in record.runs_in(runs)]
    summary: dict[str, float | int] = {
        "rows": len(rows),
        "runs": len(statuses),
        "failed_runs": statuses.count("failed") + statuses.count("diverged"),
        "finished_runs": sum(len(run.identity.config["seeds"]) for run in aggregates),
    }
    report = sorted(path for path in (folder / REPORT).glob("*") if path.is_file())
    return DashboardRun(identity, summary, (folder / RECORD, *report))


def markdown_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """F1 per row and task on the first split that was scored, mean ± sample standard deviation over the seeds."""
    lines = []
    for name, numbers in rows.items():
        split = next((split for split in SPLITS if f"{split}/{TASKS[0]}/f1" in numbers), "-")
        line = [name, split, int(numbers.get(f"{split}/{TASKS[0]}/f1_n", 0))]
        for key in (f"{split}/{task}/f1" for task in TASKS):
            mean, std = (numbers.get(key + ending, math.nan) for ending in ("", "_std"))
            line.append(str(Summary(mean, std, int(numbers.get(f"{key}_n", 0)))))
        lines.append(line)
    headings = ["row", "split", "seeds", *(f"{task} F1" for task in TASKS)]
    return tabulate(lines, headings, tablefmt="pipe", disable_numparse=True)


def wandb_id(text: str) -> str:
    """A text as a W&B id: letters, digits, - and _."""
    return re.sub(r"[^\w-]", "-", text)[:120]
