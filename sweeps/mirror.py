"""A study in W&B: one `aggregate` run per cell with mean, spread and interval, one `study` run with table and report.

W&B's own table of runs groups seeds and shows their mean, but not how far they lie apart; here the spread is a column.
Everything is read from the records, and written again only where it has changed; ids are fixed, so that a study that
goes on stays one. W&B failing never fails a study.
"""

import hashlib
import math
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.config import TrackingConfig
from core.errors import UserError
from core.metrics import TASKS
from core.progress import meter
from core.record import RECORD as RUN_RECORD
from core.record import SCORED
from core.replacing import make_folder, replace_file
from core.tracking import mode_of, open_wandb, tags_of
from studies.statistics import summarize, t_interval
from studies.study_record import RECORD, StudyRecord, study_folder

AGGREGATE, STUDY = "aggregate", "study"
"""Job types of what is written here; runs have others."""
WANDB, WRITTEN, REPORT = "wandb", "mirrored.json", "report"
SPLITS = ("validation", "test")
COSTS = ("seconds", "peak_memory_mib")


class Scored(msgspec.Struct, frozen=True):
    """What of a run's record is mirrored."""

    status: str
    config: dict[str, Any]
    metrics: dict[str, dict[str, Any]] = {}
    seconds: float = 0.0
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class Mirrored:
    """A W&B run to be written: its identity, its settings and its summary."""

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    config: dict[str, Any]
    summary: dict[str, float | int]

    def digest(self, mode: str) -> str:
        """Changes where anything that W&B would be told does."""
        content = msgspec.json.encode([mode, self.name, self.group, self.tags, self.config, self.summary])
        return hashlib.sha256(content).hexdigest()[:16]


def mirror(record: StudyRecord, runs: Path, tracking: TrackingConfig) -> int:
    """Write what has changed of a study's aggregates and of the study itself; how many runs that was.

    Raises a UserError where W&B cannot be reached; what was written until then is not written again.
    """
    folder = study_folder(runs, record.label)
    make_folder(folder / WANDB, "give a folder that is yours (--runs DIR)")
    path = folder / WANDB / WRITTEN
    mode = mode_of(tracking)
    known: dict[str, str] = {}
    with suppress(OSError, msgspec.DecodeError):
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    cells = list(aggregates(record, runs))
    if not cells:
        return 0
    files = report_files(folder)
    whole = study_run(record, cells, files)
    changed = [one for one in (*cells, whole) if known.get(one.id) != one.digest(mode)]
    with meter("telling W&B", len(changed)) as progress:
        for one in changed:
            forget_offline(folder, one.id)
            write(one, tracking, folder, table=cells if one is whole else (), files=files if one is whole else ())
            known[one.id] = one.digest(mode)
            replace_file(path, msgspec.json.encode(known))
            progress.advance()
    return len(changed)


def aggregates(record: StudyRecord, runs: Path) -> Iterator[Mirrored]:
    """The aggregate of every cell that has a finished run."""
    shared = record.shared
    for cell in record.cells:
        scored = {seed: one for seed in cell.runs if (one := read_scored(runs / cell.signature / f"s{seed}"))}
        if cell.row in shared or not scored:
            continue
        first = next(iter(scored.values()))
        config = {name: value for name, value in first.config.items() if name not in ("seed", "tracking")}
        tracking = TrackingConfig.model_validate(first.config.get("tracking") or {})
        tags = (record.study.name, record.profile, cell.row, *tags_of(tracking))
        yield Mirrored(
            id=slug(f"{cell.signature}-{AGGREGATE}-{record.label}"),
            name=f"{cell.row}: {len(scored)} seed{'s' * (len(scored) > 1)}",
            group=cell.signature,
            job_type=AGGREGATE,
            tags=tuple(dict.fromkeys(tags)),
            config=config | {"study": record.label, "row": cell.row, "seeds": sorted(scored)},
            summary=spread(list(scored.values())),
        )


def read_scored(folder: Path) -> Scored | None:
    """The scores of a finished run; None for any other, which has none."""
    try:
        found = msgspec.json.decode((folder / RUN_RECORD).read_bytes(), type=Scored)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.status in SCORED else None


def spread(scored: list[Scored]) -> dict[str, float | int]:
    """Mean (under the run's own key), sample std (ddof 1), n and 95 % t-interval of every score and cost.

    What so few seeds cannot say, the std of one, is left out.
    """
    values: dict[str, list[float]] = {}
    for one in scored:
        for split in SPLITS:
            for task in TASKS:
                for measure, value in one.metrics.get(split, {}).get(task, {}).items():
                    values.setdefault(f"{split}/{task}/{measure}", []).append(float(value))
        for cost in COSTS:
            if (value := getattr(one, cost)) is not None:
                values.setdefault(cost, []).append(float(value))
    told: dict[str, float | int] = {}
    for key, found in values.items():
        summary = summarize(found)
        interval = t_interval(summary)
        numbers = {"": summary.mean, "_std": summary.std, "_low": interval.low, "_high": interval.high}
        told |= {f"{key}{end}": number for end, number in numbers.items() if math.isfinite(number)}
        told[f"{key}_n"] = summary.n
    return told


def study_run(record: StudyRecord, cells: list[Mirrored], files: tuple[Path, ...]) -> Mirrored:
    """The run that stands for the whole study; the content of the report's files is part of its identity."""
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}
    return Mirrored(
        id=slug(f"{STUDY}-{record.label}"),
        name=f"study {record.label}",
        group=record.label,
        job_type=STUDY,
        tags=(record.study.name, record.profile),
        config={
            "study": record.label,
            "question": record.study.question,
            "baseline": record.study.baseline,
            "metric": record.study.metric,
            "seeds": list(record.study.seeds),
            "settings": record.settings,
            "report": hashes,
            "aggregates": {one.id: one.digest("") for one in cells},
        },
        summary={"rows": len(record.cells), "runs": sum(len(one.config["seeds"]) for one in cells)},
    )


def report_files(folder: Path) -> tuple[Path, ...]:
    """The study's record and, where `engram report` has written them, its tables, figures and page."""
    return (folder / RECORD, *sorted(path for path in (folder / REPORT).glob("*") if path.is_file()))


def write(
    one: Mirrored,
    tracking: TrackingConfig,
    folder: Path,
    *,
    table: list[Mirrored] | tuple[()] = (),
    files: tuple[Path, ...] = (),
) -> None:
    """Write one run to W&B, the study's with its table and its files as an artifact."""
    import wandb

    run = open_wandb(
        tracking,
        id=one.id,
        name=one.name,
        group=one.group,
        job_type=one.job_type,
        tags=one.tags,
        config=one.config,
        folder=folder,
    )
    try:
        run.summary.update(one.summary)
        if table:
            run.log({"results": wandb.Table(columns=COLUMNS, data=[line_of(cell) for cell in table])})
        if files:
            artifact = wandb.Artifact(one.id, type=REPORT)
            for path in files:
                artifact.add_file(str(path))
            run.log_artifact(artifact)
    finally:
        run.finish()


COLUMNS: list[str | int] = ["row", "seeds", *(f"{task} F1{end}" for task in TASKS for end in (" mean", " std"))]


def line_of(cell: Mirrored) -> list[str | int | float | None]:
    """A cell's line in the study's table: test scores, or validation where there is no test."""
    split = "test" if f"test/{TASKS[0]}/f1" in cell.summary else "validation"
    keys = [f"{split}/{task}/f1{end}" for task in TASKS for end in ("", "_std")]
    return [cell.config["row"], len(cell.config["seeds"]), *(cell.summary.get(key) for key in keys)]


def forget_offline(folder: Path, name: str) -> None:
    """Delete older offline files of a run that are written whole again now; those that were uploaded stay."""
    for older in (folder / WANDB).glob(f"offline-run-*-{name}"):
        if older.name.split("-", 3)[3] == name and not list(older.glob("*.synced")):
            shutil.rmtree(older, ignore_errors=True)


def slug(text: str) -> str:
    """A text as a W&B id: letters, digits, - and _."""
    return re.sub(r"[^\w-]", "-", text)[:120]


def mirrored(record: StudyRecord, runs: Path, tracking: TrackingConfig) -> str:
    """Mirror a study where its settings want it; what went wrong in a line, empty where nothing did."""
    if tracking.wandb == "disabled":
        return ""
    try:
        mirror(record, runs, tracking)
    except (UserError, OSError) as error:
        return f"the study was not told to W&B: {str(error).splitlines()[0]}; `engram study sync` tries again"
    return ""
