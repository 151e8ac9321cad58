"""Answer of a report: what a person reads first, one plain sentence per comparison on the study's metric.

The same 95 % t-interval decides as in `reports.baseline_differences.verdict`. It answers with Yes or No only where the
study asks whether something improves or helps; to any other question the direction alone is the answer.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from reports.baseline_differences import LEVEL, Direction, find_direction, find_largest_differences
from reports.captions import EMBEDDED_CORPUS_NOTE, baseline_label, label, measured_on
from reports.row_means import TASK_NAMES
from studies.record import StudyRecord

MAX_SENTENCES = 12
"""Rows that have a sentence; of more those that differ most."""
ASKS_FOR_GAIN = re.compile(r"(do|does|is|are|can)\b.*\b(improves?|helps?)\b", re.IGNORECASE)
LEADS: dict[Direction, str] = {"higher": "Yes: ", "lower": "No: ", "none": "Not shown: ", "unknown": "Not known: "}
RULES = {
    "Yes, or raises": "the 95 % t-interval of the differences, paired by seed, lies above 0.",
    "No, or lowers": "it lies below 0.",
    "Not shown, or may be chance": "it holds 0: either sign is possible. That is no proof of no difference.",
    "Not known": "fewer than two seeds have a score in both rows.",
    "Also after correction": "the p of the paired t-test is below .05 by Holm's method over all comparisons.",
}
"""What the words of an answer stand for."""


def answer_study(study: StudyRecord, compared: pd.DataFrame) -> list[str]:
    """A sentence per comparison of `reports.baseline_differences.compare_to_baselines` on the study's metric."""
    rows = find_largest_differences(study, compared, MAX_SENTENCES)
    lines = compared[(compared["task"] == study.study.metric) & compared["row"].isin(rows)].to_dict("records")
    sentences = [write_comparison(study, line) for line in lines]
    left_out = compared["row"].nunique() - len(rows)
    return sentences + [f"{left_out} other rows differ less: see the table of differences."] * (left_out > 0)


def write_comparison(study: StudyRecord, line: Mapping[Any, Any]) -> str:
    """`No: memory (GRC) lowers strict relation F1 by 11.7 points against JEREX (95 % interval …)`."""
    row = name_in_sentence(label(study, line["row"]))
    baseline = name_in_sentence(baseline_label(study, line["row"], line["baseline"]))
    direction, corrected = find_direction(line), line["p_holm"] < LEVEL
    lead = LEADS[direction] if direction == "unknown" or ASKS_FOR_GAIN.match(study.study.question) else ""
    if line["n"] == 0:
        return f"{lead}no seed has a score of both {row} and {baseline}."
    if direction in ("higher", "lower") and not corrected:
        lead = lead.replace(":", ", uncorrected:")
    side = "lower" if line["delta"] < 0 else "higher"
    more = f", {side} in {line[side]} of {line['n']} seeds"
    if direction == side:
        more += f", {'also' if corrected else 'not'} after correction"
    sentence = write_difference(row, baseline, study.study.metric, direction, line, "seeds", more)
    return lead + sentence if lead else sentence[0].upper() + sentence[1:]


def name_in_sentence(name: str) -> str:
    """A row's name as a sentence has it: without a plus, which is for tables, and quoted where it has a comma."""
    name = name.removeprefix("+ ")
    return f"“{name}”" if "," in name else name


def answer_comparison(a: str, b: str, metric: str, line: Mapping[Any, Any]) -> str:
    """The sentence about two systems; `line` is that of the metric in `reports.compare.f1_table`.

    Of one run each the interval is over documents, of several over the shared seeds.
    """
    several = line["n"] > 1
    over, low, high = (f"{line['n']} shared seeds", "low", "high") if several else ("documents", "low_all", "high_all")
    judged = {"delta": line["delta"], "low": line[low], "high": line[high], "n": 2}
    more = "" if several else "; one run of each says nothing about other seeds"
    return write_difference(b, a, metric, find_direction(judged), judged, over, more)


def write_difference(
    row: str, baseline: str, metric: str, direction: Direction, line: Mapping[Any, Any], over: str, more: str
) -> str:
    """The sentence of a difference with its interval over seeds or documents; `more` stands behind the interval."""
    task = f"{TASK_NAMES[metric]} F1"
    delta, low, high = write_points(line["delta"], line["low"], line["high"])
    size = delta.removeprefix("−")
    interval = f"95 % interval over {over} {low} to {high}"
    place = f"{row} is {size} points {'below' if line['delta'] < 0 else 'above'} {baseline} in {task}"
    match direction:
        case "higher" | "lower":
            verb = "raises" if direction == "higher" else "lowers"
            return f"{row} {verb} {task} by {size} points against {baseline} ({interval}{more})."
        case "none" if line["low"] == line["high"]:
            return f"{row} and {baseline} have the same {task} ({interval}{more})."
        case "none":
            return f"{place}, but that may be chance ({interval}{more})."
        case "unknown":
            return f"{place} on the one seed that both have."


def write_points(*numbers: float) -> list[str]:
    """Numbers with one decimal, or two where one of them is below 1; with minus signs."""
    decimals = 1 if min(map(abs, numbers)) >= 1 else 2
    return [f"{number:.{decimals}f}".replace("-", "−") for number in numbers]


def write_answer(study: StudyRecord, frame: pd.DataFrame, sentences: Iterable[str], *, generated: bool) -> str:
    """The answer as Markdown: the question, a line per sentence, and what it was measured on."""
    notes = [*measured_on(study, frame), *([EMBEDDED_CORPUS_NOTE] if generated else ())]
    listed = "\n".join(f"- {sentence}" for sentence in sentences) or "No row is compared with another."
    return f"# {study.study.question}\n\n{listed}\n\n{' '.join(notes)}\n"
