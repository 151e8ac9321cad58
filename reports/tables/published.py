"""What the ± of a published table can and cannot support: Welch's interval of each difference, and words from rules.

A published row has no seeds: nothing here pairs it with anything.

Published scores, each with its source and protocol. They have no seeds: they never enter a paired test.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from reports.baseline_differences import LEVEL, Rule
from reports.row_means import TASK_HEADINGS
from reports.tables.layout import Column, Line, Table, Value
from studies.record import StudyRecord
from studies.statistics import CONFIDENCE, Summary, holm, welch

POSTER = "the poster's table: DocRED, JEREX's end-to-end split, bert-base-cased, five seeds"
PUBLISHED_NOTE = (
    "Published rows are typed in as printed; the poster does not say whether its relation F1 is strict or loose, nor "
    "the ddof of its ± (1 is taken), and they have no seeds: they are compared by Welch's interval only."
)
PUBLISHED_ON = "docred-joint"
"""The data set that the published rows were measured on; beside other data they would mislead."""


@dataclass(frozen=True)
class Published:
    """A row of a published table: F1 in percent per task as mean, std and n."""

    name: str
    title: str
    group: str
    baseline: str
    """The published row that it is compared with; its own name for a baseline."""
    scores: dict[str, Summary]
    source: str = POSTER


def _row(name: str, title: str, group: str, baseline: str, *printed: tuple[float, float]) -> Published:
    tasks = ("relation_strict", "entity", "coref", "mention")
    return Published(
        name, title, group, baseline, {task: Summary(*pair, 5) for task, pair in zip(tasks, printed, strict=True)}
    )


TABLE = (
    _row(
        "published-jerex-grc",
        "JEREX",
        "GRC",
        "published-jerex-grc",
        (38.65, 0.13),
        (79.66, 0.26),
        (82.35, 0.25),
        (92.54, 0.13),
    ),
    _row(
        "published-memory-grc",
        "memory",
        "GRC",
        "published-jerex-grc",
        (38.91, 0.15),
        (79.72, 0.06),
        (82.43, 0.06),
        (92.63, 0.12),
    ),
    _row(
        "published-jerex-mrc",
        "JEREX",
        "MRC",
        "published-jerex-mrc",
        (39.93, 0.47),
        (79.68, 0.20),
        (82.41, 0.17),
        (92.54, 0.12),
    ),
    _row(
        "published-memory-mrc",
        "memory",
        "MRC",
        "published-jerex-mrc",
        (39.89, 0.27),
        (79.71, 0.31),
        (82.42, 0.28),
        (92.77, 0.17),
    ),
)
"""The poster's four rows; its relation F1 stands under `relation_strict`, see `PUBLISHED_NOTE`."""


def beside(study: StudyRecord) -> tuple[Published, ...]:
    """The published rows that a study's own may stand beside: those of the same data and of groups that it has."""
    if study.data_name != PUBLISHED_ON:
        return ()
    groups = {row.group for row in study.study.rows.values()}
    return tuple(row for row in TABLE if row.group in groups)


CORRECTED = Rule("the interval leaves 0 out and Holm's p is below .05", "{way}, also after Holm")
ALONE = Rule("the interval leaves 0 out, but Holm's p is not below .05", "{way} alone, not after Holm")
UNSHOWN = Rule("the interval holds 0", "no difference shown")
RULES = (CORRECTED, ALONE, UNSHOWN)
"""Which words a published difference gets."""


def compare_published(table: Sequence[Published] = TABLE) -> pd.DataFrame:
    """A line per row that has a baseline and task: what is printed of both, and Welch's interval of the difference.

    Columns: row, baseline, title, against, group, task, mean, std, n and base_mean, base_std, base_n as printed; delta,
    low, high, p, p_holm (Holm over all lines); low_population, high_population (were the printed std of ddof 0); words.
    """
    named = {row.name: row for row in table}
    lines = []
    for row in (row for row in table if row.baseline != row.name):
        against = named[row.baseline]
        for task, ours in row.scores.items():
            theirs = against.scores[task]
            test = welch(ours, theirs)
            if_population = welch(sampled(ours), sampled(theirs)).interval
            names = {"row": row.name, "baseline": against.name, "title": row.title, "against": against.title}
            printed = {"mean": ours.mean, "std": ours.std, "n": ours.n}
            printed |= {"base_mean": theirs.mean, "base_std": theirs.std, "base_n": theirs.n}
            found = {"delta": test.estimate, "low": test.interval.low, "high": test.interval.high, "p": test.p}
            other = {"low_population": if_population.low, "high_population": if_population.high}
            lines.append({**names, "group": row.group, "task": task, **printed, **found, **other})
    compared = pd.DataFrame(lines)
    corrected = holm(dict(enumerate(compared["p"])))
    compared["p_holm"] = [corrected[place] for place in range(len(compared))]
    apart = zip(compared["low"], compared["high"], compared["p_holm"], strict=True)
    compared["words"] = [words(low, high, p_holm) for low, high, p_holm in apart]
    return compared


def words(low: float, high: float, p_holm: float) -> str:
    """The words that `RULES` gives a difference."""
    if low <= 0 <= high:
        return UNSHOWN.words
    rule = CORRECTED if p_holm < LEVEL else ALONE
    return rule.words.format(way="higher" if low > 0 else "lower")


def sampled(printed: Summary) -> Summary:
    """A summary whose printed std had ddof 0, with ddof 1."""
    return Summary(printed.mean, printed.std * math.sqrt(printed.n / (printed.n - 1)), printed.n)


def published_table() -> Table:
    """The differences of the published table, and what its ± supports of each."""
    compared = compare_published()
    columns = [
        Column("task", "Task"),
        Column("base", "JEREX", "mean"),
        Column("f1", "Memory", "mean"),
        Column("delta", "Δ", "difference", signed=True),
        Column("p", "p", "p", decimals=3),
        Column("p_holm", "Holm", "p", decimals=3),
        Column("words", "What it supports"),
    ]
    lines = [
        Line(
            [
                TASK_HEADINGS[line["task"]],
                Value(line["base_mean"], line["base_std"]),
                Value(line["mean"], line["std"]),
                Value(line["delta"], low=line["low"], high=line["high"]),
                Value(line["p"]),
                Value(line["p_holm"]),
                line["words"],
            ],
            line["group"],
        )
        for line in compared.to_dict("records")
    ]
    title = "What the published ± can and cannot support"
    return Table(
        "published", title, columns, lines, caption_of(compared), [*limits(compared), PUBLISHED_NOTE], compared
    )


def caption_of(compared: pd.DataFrame) -> list[str]:
    """How the table is made, and what it comes to."""
    made = len(compared)
    apart = int(((compared["low"] > 0) | (compared["high"] < 0)).sum())
    surviving = int((compared["p_holm"] < LEVEL).sum())
    stay = f"{surviving} {'stay' if surviving > 1 else 'stays'}" if surviving else "none stays"
    n = ", ".join(map(str, sorted({*compared["n"], *compared["base_n"]})))
    return [
        f"F1 in percent as printed, mean ± std, n = {n}; Δ: memory less JEREX with its 95 % interval, and p: "
        f"Welch's t-test from mean, std and n; Holm: p corrected over the {made} differences.",
        "Alone: were it the only test.",
        f"Of {made} differences {apart} have a Welch interval without 0; {stay} below {LEVEL:.2f} after Holm over the "
        f"{made}.",
    ]


def limits(compared: pd.DataFrame) -> list[str]:
    """What no mean ± std over so few seeds can say."""
    from scipy.special import chdtri  # takes longer to load than quick commands may take

    n = int(compared["n"].min())
    low, high = (math.sqrt((n - 1) / float(chdtri(n - 1, tail))) for tail in (LEVEL / 2, 1 - LEVEL / 2))
    still = int(((compared["low_population"] > 0) | (compared["high_population"] < 0)).sum())
    return [
        "It cannot say whether the seeds of two rows share their split and order, so differences cannot be paired, nor "
        "whether they would hold on other documents: its ± is over seeds alone.",
        f"A std of {n} values is itself uncertain: with a confidence of {100 * CONFIDENCE:.0f} % the true one lies "
        f"between {low:.1f} and {high:.1f} times the printed.",
        f"Were the printed ± of ddof 0, {still} of the {len(compared)} intervals would leave 0 out.",
    ]
