import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics import holm

FAMILY = st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8)


def test_holm_by_hand() -> None:
    # Sorted .01 x 4, .02 x 3, .03 x 2 (raised to the .06 before it), .5 x 1; the names keep their order.
    adjusted = holm({"d": 0.5, "a": 0.01, "c": 0.03, "b": 0.02})
    assert list(adjusted) == ["d", "a", "c", "b"]
    assert [adjusted[name] for name in "abcd"] == pytest.approx([0.04, 0.06, 0.06, 0.5])


def test_a_test_that_was_not_made_does_not_enlarge_the_family() -> None:
    adjusted = holm({"made": 0.02, "not made": math.nan, "also": 0.04})
    assert (adjusted["made"], adjusted["also"]) == (0.04, 0.04)
    assert math.isnan(adjusted["not made"])


def test_a_p_above_one_is_named() -> None:
    with pytest.raises(ValueError, match=r"'x' has p = 1\.5"):
        holm({"x": 1.5})


@given(FAMILY)
def test_holm_is_monotone_and_between_the_raw_p_and_bonferroni(family: dict[str, float]) -> None:
    adjusted = holm(family)
    assert list(adjusted) == list(family)
    for name, p in family.items():
        assert p <= adjusted[name] <= min(1, len(family) * p) + 1e-12
    ranked = [adjusted[name] for name in sorted(family, key=family.__getitem__)]
    assert ranked == sorted(ranked)


@given(FAMILY)
def test_the_order_of_a_family_does_not_matter(family: dict[str, float]) -> None:
    assert holm(dict(reversed(family.items()))) == holm(family)
