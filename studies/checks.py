"""Checks of a plan before anything starts: what is refused, what is warned of, and which finished runs are repeated.

A finished run of other code can be computed again. Its folder moves, in one rename, to
`runs/<signature>/earlier/s<seed>-<commit>` at the moment at which the new run is to start, not before: what waits its
turn stays in every table, and a kill at any moment leaves the old run in one of the two places. From there
`engram evaluate FOLDER` and `engram compare` still read it; lists of runs do not count it.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.config.signature import signature
from core.data.overlap import describe_overlaps, read_fingerprints
from core.errors import UserError
from core.files import check_writable, content_hash, make_folder
from core.records.provenance import UNCOMMITTED, Provenance, collect_provenance, describe_code
from core.records.record import FINAL
from core.records.summary import RunSummary, read_summary
from studies.estimate import estimate_plan, memory_warnings, refuse_full_disk
from studies.plan import Plan, joint_differences, refuse_undeclared

MIN_SEEDS = 5
"""Seeds from which a standard deviation and a paired test begin to show something."""
MAX_NAMED_ROWS = 4
"""Rows that a line names; of more it gives the number."""
EARLIER = "earlier"
"""The folder, next to those of a row's seeds, in which runs that were computed again are kept."""


def few_seeds(plan: Plan) -> Iterator[str]:
    """Fewer than five seeds."""
    seeds = len({run.seed for run in plan.runs})
    if seeds < MIN_SEEDS:
        yield (
            f"{seeds} seed{'s' * (seeds > 1)} per row: a standard deviation needs {MIN_SEEDS} or more "
            f"(--seeds {MIN_SEEDS})"
        )


def rows_normalised_over_spans(plan: Plan) -> list[str]:
    """Rows whose inverse read at mentions shrinks with the number of spans that a document has."""
    return [
        name
        for name, config in plan.configs.items()
        if (memory := config.memory) is not None
        and memory.ever_reads
        and "inverse" in memory.modes
        and memory.places != "tokens"
        and memory.inverse_scale == "sum"
    ]


def different_normalisation(plan: Plan) -> Iterator[str]:
    """Rows that differ in the number of spans over which an inverse read at mentions normalises."""
    negatives = sorted({config.samples.neg_mentions for config in plan.configs.values()})
    affected = rows_normalised_over_spans(plan)
    if len(negatives) > 1 and affected:
        yield (
            f"rows differ in samples.neg_mentions ({', '.join(map(str, negatives))}): with memory.inverse_scale sum "
            f"this also changes over how many spans the inverse read at mentions normalises in training "
            f"({list_rows(affected)}): set memory.inverse_scale to mean, or read at tokens, to vary the sampling alone"
        )


def rows_that_never_read(plan: Plan) -> Iterator[str]:
    """Rows that differ only in how they would read memory, and never do."""
    same_model: defaultdict[str, list[str]] = defaultdict(list)
    for name, config in plan.configs.items():
        if config.memory is not None and not config.memory.ever_reads and name not in plan.record.shared:
            unread = config.memory.model_copy(update={"read_mode": "none"})
            same_model[signature(config.model_copy(update={"memory": unread}))].append(name)
    for names in same_model.values():
        if len(names) > 1:
            yield (
                f"rows {list_rows(names)} never read memory (read_mode none, or warmup 1) and differ in nothing else: "
                "they train the same model; leave all but one out"
            )


def held_out_documents(plan: Plan) -> Iterator[str]:
    """Rows without test documents, two splits that are the same file, and documents that two splits share."""
    untested = [name for name, config in plan.configs.items() if config.data.test is None]
    if untested:
        yield (
            f"no test documents ({list_rows(untested)}): tables show validation, which has also chosen the epochs, so "
            "its scores are too good: give --data.test FILE"
        )
    for data in {config.data for config in plan.configs.values()}:
        first: dict[str, str] = {}
        for split in ("train", "validation", "test"):
            path = getattr(data, split)
            same = first.setdefault(content_hash(Path(path)), split) if path else split
            if same != split:
                yield (
                    f"{split} and {same} documents are the same file ({path}): scores on it do not show how well a "
                    "model does on new text"
                )
        splits = {split: getattr(data, split) for split in set(first.values()) if getattr(data, split)}
        yield from describe_overlaps(
            {name: read_fingerprints(Path(path), data.format) for name, path in splits.items()}
        )


def early_choice(plan: Plan) -> Iterator[str]:
    """Rows of which validation may choose an epoch that ends before memory is read."""
    late = {
        name: config.memory.warmup
        for name, config in plan.configs.items()
        if config.memory is not None
        and config.memory.ever_reads
        and config.memory.warmup * config.training.epochs >= 1.0
        and config.training.select_from < config.memory.warmup
    }
    if late:
        yield (
            f"validation may choose an epoch before memory is read in {list_rows(list(late))}; the table shows where "
            f"it did. --training.select_from {max(late.values()):g} chooses from the later epochs, in all rows alike"
        )


def smaller_weights_at_inference(plan: Plan) -> Iterator[str]:
    """Rows whose inverse read at mentions weighs a mention less at inference than in training."""
    # A constant weight is that of training everywhere.
    affected = [
        name
        for name in rows_normalised_over_spans(plan)
        if (memory := plan.configs[name].memory) is not None and memory.reads != "constant"
    ]
    if affected:
        yield (
            f"with memory.inverse_scale sum the inverse read at mentions ({list_rows(affected)}) normalises over gold "
            "and drawn spans in training, over all candidates at inference: a mention's weight shrinks at inference. "
            "memory.inverse_scale mean avoids it, and so does memory.pooling residual with memory.read_mode normal"
        )


def plan_notes(plan: Plan) -> list[str]:
    """What limits what the scores of rows can say, though they may well be meant to be as they are."""
    joint = joint_differences(plan.study, plan.configs)
    return [*joint, *early_choice(plan), *smaller_weights_at_inference(plan)]


def list_rows(names: Sequence[str]) -> str:
    """Some rows by name, or how many there are."""
    return ", ".join(names) if len(names) <= MAX_NAMED_ROWS else f"{len(names)} rows"


def plan_warnings(plan: Plan) -> list[str]:
    """Comparisons of a plan that show another thing than they seem to."""
    checks = (few_seeds, different_normalisation, rows_that_never_read, held_out_documents)
    return [line for check in checks for line in check(plan)]


def code_warnings(now: Provenance, summaries: Iterable[RunSummary]) -> list[str]:
    """Lines where records cannot say which code makes them, and where finished runs are of other code than `now`."""
    lines = []
    if now.commit is None:
        lines.append("this code is not in a git checkout: records cannot say which commit made them")
    elif now.uncommitted_changes:
        lines.append(
            f"the checkout has uncommitted changes: records will name {now.commit[:12]}, which is not this code"
        )
    others = Counter(describe_code(run.provenance) for run in summaries if run.is_done and run.is_of_other_code(now))
    if others:
        count = others.total()
        lines.append(
            f"{count} finished run{'s' * (count > 1)} of other code ({', '.join(sorted(others))}) kept: marked with * "
            "in `engram study plan`; `engram study run --rerun` computes them again"
        )
    return lines


@dataclass(frozen=True)
class Ready:
    """A plan that may start."""

    warnings: list[str]
    again: frozenset[str]
    """The ids of finished runs that are to be computed again."""


def check_ready(plan: Plan, runs: Path, *, jobs: int, rerun: bool = False, on_this_machine: bool = True) -> Ready:
    """Check a plan before anything of it starts, with so many runs at once; nothing is written.

    Raises a UserError where rows differ in more than the study declares, and where the disk cannot hold what is left.
    """
    refuse_undeclared(plan)
    now = collect_provenance({})
    summaries = {run.run_id: read_summary(run.folder) for run in plan.runs}
    again = runs_to_repeat(summaries, now) if rerun else frozenset()
    estimate = estimate_plan(plan, summaries, runs, jobs=jobs, again=again)
    if estimate.runs:
        check_writable(runs, "give a folder that is yours (--runs DIR)")
    refuse_full_disk(estimate, runs)
    kept = [summary for run_id, summary in summaries.items() if run_id not in again]
    memory = memory_warnings(estimate) if on_this_machine else ()
    return Ready([*plan_warnings(plan), *code_warnings(now, kept), *memory], again)


def runs_to_repeat(summaries: Mapping[str, RunSummary], now: Provenance) -> frozenset[str]:
    """The ids of runs that would give another result only because other code computed them, imported ones aside."""
    return frozenset(run_id for run_id, run in summaries.items() if run.status in FINAL and run.is_of_other_code(now))


def set_aside(folder: Path) -> Path:
    """Move a run folder away, whole, for the run that is computed again in its place; returns its new path."""
    code = describe_code(read_summary(folder).provenance).removesuffix(UNCOMMITTED).replace(" ", "-")
    earlier = folder.parent / EARLIER
    make_folder(earlier, "give a folder that is yours (--runs DIR)")
    number, target = 1, earlier / f"{folder.name}-{code}"
    while target.exists():
        number += 1
        target = earlier / f"{folder.name}-{code}-{number}"
    try:
        os.rename(folder, target)
    except OSError as error:
        raise UserError(f"{folder} cannot be kept as {target} ({error.strerror}): it was not computed again") from None
    return target
