"""The rule of the rungs, by hand-computed cases and by what must hold of any scores."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.search.racing import decide, incumbent, pooled_std
from studies.search.spec import Search
from studies.search.trials import SearchTrial

SEARCH = Search()


def trial(number: int, scores: Sequence[float]) -> SearchTrial:
    made = SearchTrial(number, {}, str(number), {}, len(scores))
    return made.with_scores({100 + place: score for place, score in enumerate(scores)})


BEST = trial(0, (40.0, 42.0, 41.0, 40.0, 42.0))
score = st.floats(0, 100, allow_nan=False)


def test_the_first_config_continues_whatever_it_scores() -> None:
    assert decide(trial(0, (0.0,)), [], SEARCH).continues


@pytest.mark.parametrize(
    ("rivals", "continues", "place"),
    [
        ((40.0,), False, "place 2 of 2"),
        ((40.0, 38.0), True, "place 2 of 3"),
        ((40.0, 39.5, 38.0), False, "place 3 of 4"),
        ((40.0, 39.5, 38.0, 38.0), True, "place 3 of 5"),
        ((40.0, 39.0), False, "place 3 of 3"),
    ],
)
def test_at_the_first_rung_the_better_half_continues(rivals: tuple[float, ...], continues: bool, place: str) -> None:
    others = [trial(number, (rival,)) for number, rival in enumerate(rivals)]
    decision = decide(trial(9, (39.0,)), others, SEARCH)
    assert (decision.continues, place in decision.why) == (continues, True), decision


def test_only_the_first_seeds_of_others_count_at_the_first_rung() -> None:
    others = [trial(0, (40.0, 10.0)), trial(1, (41.0,))]
    assert "place 2 of 3" in decide(trial(2, (40.5,)), others, SEARCH).why
    assert "place 2 of 2" in decide(trial(2, (40.5,)), [*others[1:], trial(3, ())], SEARCH).why


def test_later_rungs_by_hand() -> None:
    # Differences to the best: -1, 0 (mean -.5, squares .5) and -2, -1, -4 (mean -7/3, squares 42/9).
    one, other = trial(1, (39.0, 42.0)), trial(2, (38.0, 41.0, 37.0))
    assert pooled_std([one], BEST) == pytest.approx(math.sqrt(0.5))
    assert pooled_std([one, other, BEST], BEST) == pytest.approx(math.sqrt((0.5 + 42 / 9) / 3))
    decision = decide(one, [BEST, other], SEARCH)
    assert decision.continues, "-.5 is above -1.31 / √2 = -.93"
    assert decision.why == "continues: -0.50 to trial 0 over 2 seeds, limit -0.93 (s 1.31)"
    assert not decide(one, [BEST, other], Search(threshold=0.5)).continues, "-.5 is below -.46"
    assert not decide(other, [BEST, one], SEARCH).continues, "-2.33 is below -1.31 / √3 = -.76"


def test_a_config_that_equals_the_best_gets_no_more_seeds() -> None:
    assert not decide(trial(1, list(BEST.scores.values())[:2]), [BEST], SEARCH).continues


def test_all_seeds_are_the_end() -> None:
    decision = decide(BEST, [], SEARCH)
    assert not decision.continues
    assert decision.why.startswith("finished")


def test_the_best_stands_on_the_highest_rung() -> None:
    high, higher = trial(1, (90.0,)), trial(2, (40.0, 42.0, 41.0, 40.0, 42.0))
    assert incumbent([]) is None
    assert incumbent([trial(0, ())]) is None
    assert incumbent([high, BEST]) is BEST
    assert incumbent([higher, BEST]) is BEST, "of equals the earlier"
    assert incumbent([BEST, trial(3, (50.0,) * 5)]) == trial(3, (50.0,) * 5)


hundredths = st.integers(0, 10_000).map(lambda whole: whole / 128)  # exact in binary, so that sums are


@given(st.lists(hundredths, min_size=5, max_size=5), st.lists(st.lists(hundredths, min_size=5, max_size=5), max_size=4))
def test_what_a_seed_adds_to_every_config_changes_no_later_decision(
    shift: list[float], rows: list[list[float]]
) -> None:
    plain = [BEST, *(trial(number + 1, tuple(row[:2])) for number, row in enumerate(rows))]
    moved = [trial(one.number, [a + b for a, b in zip(one.scores.values(), shift, strict=False)]) for one in plain]
    for one, same in zip(plain[1:], moved[1:], strict=True):
        others = [[other for other in tried if other.number != one.number] for tried in (plain, moved)]
        assert decide(one, others[0], SEARCH) == decide(same, others[1], SEARCH)


@given(st.lists(score, min_size=2, max_size=2), st.floats(0, 5), st.floats(0, 5))
def test_a_larger_threshold_never_stops_more(scores: list[float], low: float, more: float) -> None:
    one = trial(1, tuple(scores))
    patient, strict = (decide(one, [BEST], Search(threshold=t)).continues for t in (low + more, low))
    assert patient or not strict


@given(st.lists(score, min_size=1, max_size=8))
def test_at_most_half_of_those_that_come_worst_first_and_all_that_come_best_last(scores: list[float]) -> None:
    rising = sorted(set(scores))
    tried = [trial(number, (value,)) for number, value in enumerate(rising)]
    assert all(decide(one, tried[: one.number], SEARCH).continues for one in tried), "each is the best so far"
    falling = [trial(number, (value,)) for number, value in enumerate(reversed(rising))]
    assert [decide(one, falling[: one.number], SEARCH).continues for one in falling] == [
        one.number == 0 for one in falling
    ]
