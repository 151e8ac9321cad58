"""The answer: its words by the interval, with numbers and seeds; Yes or No only where the question asks so."""

from typing import Any

import pandas as pd
import pytest

from reports.page.answer import answer_comparison, answer_study, name_in_sentence, write_points
from studies.record import StudyRecord
from studies.rows import Row
from studies.study import Study

ROWS = {
    "jerex": Row("jerex-grc", title="JEREX", group="GRC"),
    "memory": Row("memory-grc", title="+ memory", group="GRC"),
}
LOWER = {"delta": -11.7, "low": -14.81, "high": -8.6, "n": 5, "higher": 0, "lower": 5, "p_holm": 0.001}


def ask(question: str, **changes: Any) -> list[str]:
    study = Study(question=question, rows=ROWS, baseline="jerex", seeds=(0, 1), name="made")
    line = {"row": "memory", "baseline": "jerex", "task": "relation_strict", **LOWER, **changes}
    other = {**line, "task": "entity", "delta": 99.0}
    return answer_study(StudyRecord(study, "paper", {}, []), pd.DataFrame([other, line]))


def test_a_loss_is_a_no_with_metric_interval_seeds_and_correction() -> None:
    assert ask("Does memory help?") == [
        "No: memory (GRC) lowers strict relation F1 by 11.7 points against JEREX "
        "(95 % interval over seeds −14.8 to −8.6, lower in 5 of 5 seeds, also after correction)."
    ]


@pytest.mark.parametrize(
    ("changes", "beginning", "ending"),
    [
        (
            {"delta": 0.26, "low": 0.05, "high": 0.47, "higher": 4, "p_holm": 0.2},
            "Yes, uncorrected: memory (GRC) raises strict relation F1 by 0.26 points",
            "0.05 to 0.47, higher in 4 of 5 seeds, not after correction).",
        ),
        (
            {"delta": -2.3, "low": -11.8, "high": 16.3, "lower": 2},
            "Not shown: memory (GRC) is 2.3 points below JEREX in strict relation F1, but that may be chance",
            "−11.8 to 16.3, lower in 2 of 5 seeds).",
        ),
        (
            {"delta": 0.0, "low": 0.0, "high": 0.0, "higher": 0},
            "Not shown: memory (GRC) and JEREX have the same strict relation F1",
            "0.00 to 0.00, higher in 0 of 5 seeds).",
        ),
        (
            {"n": 1, "low": float("nan"), "high": float("nan")},
            "Not known: memory (GRC) is 11.7 points below JEREX in strict relation F1",
            "on the one seed that both have.",
        ),
        ({"n": 0, "delta": float("nan")}, "Not known: no seed has a score", "of both memory (GRC) and JEREX."),
    ],
)
def test_the_interval_decides(changes: dict[str, Any], beginning: str, ending: str) -> None:
    (sentence,) = ask("Do two writable memories improve JEREX?", **changes)
    assert sentence.startswith(beginning)
    assert sentence.endswith(ending)


@pytest.mark.parametrize(
    "question", ["How wide must the memory slots be?", "Is it the memory? Does reading it beat all?"]
)
def test_another_question_is_not_answered_with_yes_or_no(question: str) -> None:
    assert ask(question)[0].startswith("Memory (GRC) lowers strict relation F1 by 11.7 points")


def test_a_name_with_a_comma_is_quoted() -> None:
    assert name_in_sentence("+ memory (GRC)") == "memory (GRC)"
    assert name_in_sentence("memory, not read (GRC)") == "“memory, not read (GRC)”"


def test_two_single_runs_are_judged_over_documents() -> None:
    nothing = float("nan")
    line = {"delta": -3.0, "low": nothing, "high": nothing, "low_all": -5.0, "high_all": -1.0, "n": 1}
    assert answer_comparison("a", "b", "relation_strict", line) == (
        "b lowers strict relation F1 by 3.0 points against a "
        "(95 % interval over documents −5.0 to −1.0; one run of each says nothing about other seeds)."
    )
    several = line | {"n": 3, "low": -7.0, "high": 1.0}
    assert "over 3 shared seeds −7.0 to 1.0" in answer_comparison("a", "b", "relation_strict", several)


def test_an_end_near_0_keeps_its_sign() -> None:
    assert write_points(-11.7, -23.0, -0.04) == ["−11.70", "−23.00", "−0.04"]
    assert write_points(-11.7, -23.0, -1.04) == ["−11.7", "−23.0", "−1.0"]
