"""What the rows of a plan mean beside what their study says: what else changes, and what changes nothing.

What a plan should be told before it is computed: comparisons that say more, or less, than they seem to.

Whether a plan may start: what is refused, what is warned of, and which finished runs are to be computed again.

Computing finished runs again: which, and how the old run is kept until, and after, the new one is there.

The run folder moves, in one rename, to `runs/<signature>/earlier/s<seed>-<commit>` at the moment at which the new run
is to start, not before: what waits its turn stays in every table, and a kill at any moment leaves the old run in one of
the two places. From there `engram evaluate FOLDER` and `engram compare` still read it; lists of runs do not count it.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.config.schema import MemoryConfig, RunConfig
from core.config.signature import signature
from core.errors import UserError
from core.files import content_hash, make_folder
from core.records.provenance import UNCOMMITTED, Provenance, collect_provenance, describe_code
from core.records.record import FINAL
from core.records.summary import RunSummary, read_summary
from studies.estimate import estimate_plan, memory_warnings, refuse_full_disk
from studies.plan import Plan, refuse_undeclared

SHOWN = 4
"""Rows that a line names; of more it says how many."""
SIZED = ("slot_width", "slots_per_type", "pooling")
"""Settings of memory that change how many parameters a model has, and little else that it does."""


def warnings(plan: Plan) -> list[str]:
    """Lines on rows that do not compare what they seem to."""
    return [*normalisation(plan), *idle_axes(plan), *never_reading(plan), *held_out(plan)]


def notes(plan: Plan) -> list[str]:
    """Lines on what to keep in mind when the table is read."""
    return [*early_choice(plan), *sizes(plan)]


def normalisation(plan: Plan) -> list[str]:
    """A line where rows differ in the number of spans that an inverse read at mentions normalises over."""
    draws = sorted({config.samples.neg_mentions for config in plan.configs.values()})
    reading = [name for name, config in plan.configs.items() if sums_over_spans(config)]
    if len(draws) < 2 or not reading:
        return []
    return [
        f"rows differ in samples.neg_mentions ({', '.join(map(str, draws))}): under memory.inverse_scale sum this also "
        f"changes over how many spans the inverse read at mentions normalises in training ({listed(reading)}): "
        "set memory.inverse_scale to mean, or read at tokens, to vary the sampling alone"
    ]


def sums_over_spans(config: RunConfig) -> bool:
    """Whether a run reads inversely at mentions, with weights that fall with the number of spans."""
    memory = config.memory
    return (
        memory is not None
        and reads(memory)
        and "inverse" in memory.read_mode
        and memory.places != "tokens"
        and memory.inverse_scale == "sum"
    )


def reads(memory: MemoryConfig) -> bool:
    """Whether memory is ever read."""
    return memory.read_mode != "none" and memory.warmup < 1.0


def idle_axes(plan: Plan) -> list[str]:
    """A line per axis of which all values are one cell, as another setting switches it off."""
    rows = [row for name, row in plan.study.rows.items() if plan.study.is_from_axes(name)]
    return [
        f"axis {axis.name} changes nothing here: with all its values ({', '.join(axis.value_labels)}) {axis.path} "
        "makes the same run, so only one is kept; another setting of the base, or of its rows, switches it off"
        for axis in plan.study.declared_axes
        if rows and len(axis.values) > 1 and len({str(row.at[axis.name]) for row in rows}) == 1
    ]


def never_reading(plan: Plan) -> list[str]:
    """A line per group of rows that differ only in how they would read memory, and never do."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name, config in plan.configs.items():
        if config.memory is not None and not reads(config.memory) and name not in plan.shared:
            unread = config.memory.model_copy(update={"read_mode": "none"})
            alike[signature(config.model_copy(update={"memory": unread}))].append(name)
    return [
        f"rows {listed(names)} never read memory (read_mode none, or warmup 1) and differ in nothing else: they train "
        "the same model; leave all but one out"
        for names in alike.values()
        if len(names) > 1
    ]


def held_out(plan: Plan) -> Iterator[str]:
    """A line where rows have no test documents, or where two parts of the data are one file."""
    untested = [name for name, config in plan.configs.items() if config.data.test is None]
    if untested:
        yield (
            f"no test documents ({listed(untested)}): tables show validation, which has also chosen the epochs, so its "
            "scores are too good: give --data.test FILE"
        )
    for data in {config.data for config in plan.configs.values()}:
        files = {part: getattr(data, part) for part in ("train", "validation", "test") if getattr(data, part)}
        hashes: dict[str, str] = {}
        for part, path in files.items():
            same = hashes.setdefault(content_hash(Path(path)), part)
            if same != part:
                yield f"{part} and {same} documents are the same file ({path}): scores on it say nothing of new text"


def early_choice(plan: Plan) -> list[str]:
    """A line where validation may choose an epoch that ends before memory is read."""
    late = {
        name: config.memory.warmup
        for name, config in plan.configs.items()
        if config.memory is not None
        and reads(config.memory)
        and config.memory.warmup * config.training.epochs >= 1.0
        and config.training.select_from < config.memory.warmup
    }
    if not late:
        return []
    return [
        f"validation may choose an epoch before memory is read in {listed(list(late))}; the table says where it did. "
        f"--training.select_from {max(late.values()):g} chooses from the later epochs, in all rows alike"
    ]


def sizes(plan: Plan) -> list[str]:
    """A line where rows with a memory differ in a setting that changes the number of parameters."""
    memories = [config.memory for config in plan.configs.values() if config.memory is not None]
    values = {name: {getattr(memory, name) for memory in memories} for name in SIZED}
    varied = [f"memory.{name}" for name, found in values.items() if len(found) > 1]
    if not varied:
        return []
    return [f"rows differ in parameters through {' and '.join(varied)}: a better score may come of size alone"]


def listed(names: Sequence[str]) -> str:
    """Some names, or how many there are."""
    return ", ".join(names) if len(names) <= SHOWN else f"{len(names)} rows"


FEWEST = 5
"""Seeds from which a spread and a paired test begin to say something."""


def advice(plan: Plan, *, now: Provenance, summaries: Iterable[RunSummary] = ()) -> list[str]:
    """What to say of a plan; `now` is this process, `summaries` those of its runs."""
    return [*few_seeds(plan), *warnings(plan), *checkout(now), *other_code(now, summaries)]


def few_seeds(plan: Plan) -> list[str]:
    """A line where the plan has fewer than five seeds."""
    seeds = len({run.seed for run in plan.runs})
    if seeds >= FEWEST:
        return []
    return [
        f"{seeds} seed{'s' * (seeds > 1)} a row: give {FEWEST} or more (--seeds {FEWEST}) before a spread is believed"
    ]


def checkout(now: Provenance) -> list[str]:
    """A line where records could not say which code made them."""
    if now.commit is None:
        return ["this code is no git checkout: records cannot say which commit made them"]
    if now.uncommitted_changes:
        return [f"the checkout has uncommitted changes: records will name {now.commit[:12]}, which is not this code"]
    return []


def other_code(now: Provenance, summaries: Iterable[RunSummary]) -> list[str]:
    """A line where finished records were made by another version of the code."""
    others = Counter(describe_code(one.provenance) for one in summaries if one.is_done and one.is_of_other_code(now))
    if not others:
        return []
    count = others.total()
    return [
        f"{count} finished run{'s' * (count > 1)} of other code ({', '.join(sorted(others))}) kept: marked with * in "
        "`engram study plan`; `engram study run --rerun` computes them again"
    ]


@dataclass(frozen=True)
class Ready:
    """A plan that may start."""

    warnings: list[str]
    again: frozenset[str]
    """The ids of finished runs that are to be computed again."""


def check_ready(planned: Plan, runs: Path, *, jobs: int, rerun: bool = False) -> Ready:
    """Look a plan over before anything of it starts; nothing is written.

    Raises a UserError where rows differ in more than the study says, and where the disk cannot hold what is left.
    """
    refuse_undeclared(planned)
    now = collect_provenance({})
    summaries = {run.run_id: read_summary(run.folder) for run in planned.runs}
    again = runs_to_repeat(summaries.values(), now) if rerun else []
    estimate = estimate_plan(planned, summaries, runs, jobs=jobs, again=again)
    refuse_full_disk(estimate, runs)
    folders = {summary.folder for summary in again}
    kept = [summary for summary in summaries.values() if summary.folder not in folders]
    return Ready(
        warnings=[*advice(planned, now=now, summaries=kept), *memory_warnings(estimate)],
        again=frozenset(run.run_id for run in planned.runs if run.folder in folders),
    )


EARLIER = "earlier"


def runs_to_repeat(summaries: Iterable[RunSummary], now: Provenance) -> list[RunSummary]:
    """The runs that would give another result only because other code computed them; imported ones are none."""
    return [one for one in summaries if one.status in FINAL and one.is_of_other_code(now)]


def set_aside(folder: Path) -> Path:
    """Move a run folder away, whole, for the run that is computed again in its place; where it lies now."""
    code = describe_code(read_summary(folder).provenance).removesuffix(UNCOMMITTED).replace(" ", "-")
    aside = folder.parent / EARLIER
    make_folder(aside, "give a folder that is yours (--runs DIR)")
    number, place = 1, aside / f"{folder.name}-{code}"
    while place.exists():
        number += 1
        place = aside / f"{folder.name}-{code}-{number}"
    try:
        os.rename(folder, place)
    except OSError as error:
        raise UserError(f"{folder} cannot be kept as {place} ({error.strerror}): it was not computed again") from None
    return place
