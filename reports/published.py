"""What the ± of a published table can and cannot support: Welch's interval of each difference, and words from rules.

A published row has no seeds: nothing here pairs it with anything.
"""

import math
from collections.abc import Sequence

import pandas as pd

from reports.baselines import TABLE, UNSAID, Published
from reports.comparison import LEVEL, Rule
from reports.summary import SHORT
from reports.table import Column, Line, Table, Value
from studies.corrections import holm
from studies.statistics import CONFIDENCE, Summary, welch

CORRECTED = Rule("the interval leaves 0 out and Holm's p is below .05", "{way}, also after Holm")
ALONE = Rule("the interval leaves 0 out, but Holm's p is not below .05", "{way} alone, not after Holm")
UNSHOWN = Rule("the interval holds 0", "no difference shown")
RULES = (CORRECTED, ALONE, UNSHOWN)
"""Which words a published difference gets."""


def published_comparisons(table: Sequence[Published] = TABLE) -> pd.DataFrame:
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
    compared = published_comparisons()
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
                SHORT[line["task"]],
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
    return Table("published", title, columns, lines, caption_of(compared), [*limits(compared), UNSAID], compared)


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
