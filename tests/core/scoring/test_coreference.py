"""The worked cases of the reference scorer (Pradhan et al., 2014) and of the papers of MUC and B³."""

import itertools
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Annotation, Entity
from core.scoring.coreference import coreference_scores

CASE_A = "a bc def"


def clustering(text: str) -> Annotation:
    """`a bc` -> clusters {a} and {b, c}, one token per letter."""
    return Annotation.from_entities(
        Entity(tuple((ord(letter), ord(letter) + 1) for letter in c), "X") for c in text.split()
    )


def scored(key: str, response: str) -> dict[str, dict[str, float]]:
    return coreference_scores([(clustering(key), clustering(response))])


# (recall, precision) as fractions, from the scorer's table of test cases.
MUC = [
    (CASE_A, CASE_A, 1, 1),
    (CASE_A, "a de", 1 / 3, 1),
    (CASE_A, "a bcx defy z", 1, 3 / 5),
    (CASE_A, "a bcx dy z", 1 / 3, 1 / 3),
    (CASE_A, "a bcxB dy z", 1 / 3, 1 / 4),
    (CASE_A, "a bcx dy Bz", 1 / 3, 1 / 4),
    (CASE_A, "a b c d e f", 0, 0),
    (CASE_A, "abcdef", 1, 3 / 5),
    (CASE_A, "axycdez", 1 / 3, 1 / 6),
    ("12345 67 89ABC", "12345 6789ABC", 1, 9 / 10),
    ("12345 67 89ABC", "1234589ABC 67", 1, 9 / 10),
    ("ABCD", "AB CD", 2 / 3, 1),
    ("AB CD", "ABCD", 1, 2 / 3),
    ("ABC", "AC", 1 / 2, 1),
    ("BCDEGHJ", "ABC DEF GHI", 3 / 6, 3 / 6),
    ("ABC DEFG", "AB CD FGH", 2 / 5, 2 / 4),
    ("a b c", "a b c", 0, 0),
]
B_CUBED = [
    (CASE_A, CASE_A, 1, 1),
    (CASE_A, "a de", 7 / 18, 1),
    (CASE_A, "a bcx defy z", 1, 55 / 108),
    (CASE_A, "a bcx dy z", 5 / 9, 17 / 42),
    (CASE_A, "a bcxB dy z", 5 / 9, 5 / 16),
    (CASE_A, "a bcx dy Bz", 5 / 9, 17 / 48),
    (CASE_A, "a b c d e f", 3 / 6, 1),
    (CASE_A, "abcdef", 1, 7 / 18),
    (CASE_A, "a x y c d e z", 13 / 36, 4 / 7),
    (CASE_A, "axycdez", 17 / 36, 6 / 49),
    ("12345 67 89ABC", "12345 6789ABC", 1, 16 / 21),
    ("12345 67 89ABC", "1234589ABC 67", 1, 7 / 12),
]
CEAF_PHI4 = [
    (CASE_A, CASE_A, 1, 1),
    (CASE_A, "a de", 1.8 / 3, 1.8 / 2),
    (CASE_A, "a bcx defy z", (1 + 4 / 5 + 6 / 7) / 3, (1 + 4 / 5 + 6 / 7) / 4),
    (CASE_A, "a bcx dy z", 2.2 / 3, 2.2 / 4),
    (CASE_A, "a bcxB dy z", (1 + 4 / 6 + 2 / 5) / 3, (1 + 4 / 6 + 2 / 5) / 4),
    (CASE_A, "a bcx dy Bz", 2.2 / 3, 2.2 / 4),
]


@pytest.mark.parametrize(
    ("measure", "key", "response", "recall", "precision"),
    [(name, *case) for name, cases in (("muc", MUC), ("b_cubed", B_CUBED), ("ceaf_phi4", CEAF_PHI4)) for case in cases],
)
def test_published_case(measure: str, key: str, response: str, recall: float, precision: float) -> None:
    found = scored(key, response)[measure]
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
    expected = {"precision": 100 * precision, "recall": 100 * recall, "f1": 100 * f1}
    assert found == pytest.approx(expected)


def test_mean_is_of_the_three_f1() -> None:
    found = scored(CASE_A, "a bcx dy z")
    assert found["mean"]["f1"] == pytest.approx(sum(found[m]["f1"] for m in ("muc", "b_cubed", "ceaf_phi4")) / 3)


def test_documents_are_summed_before_dividing() -> None:
    pairs = [(clustering("ab"), clustering("ab")), (clustering("ABCD"), clustering("AB CD"))]
    assert coreference_scores(pairs)["muc"]["recall"] == pytest.approx(100 * (1 + 2) / (1 + 3))


def test_a_mention_in_two_clusters_costs_a_perfect_prediction_nothing() -> None:
    found = coreference_scores([(clustering("abc cd"), clustering("dc abc"))])
    assert {found[m]["f1"] for m in ("muc", "b_cubed", "ceaf_phi4")} == {100.0}


def test_nothing_scores_zero() -> None:
    assert coreference_scores([(Annotation(), Annotation())])["mean"]["f1"] == 0


partitions = st.lists(st.integers(0, 4), min_size=9, max_size=9).map(
    lambda labels: " ".join(
        "".join("abcdefghi"[i] for i, label in enumerate(labels) if label == wanted) for wanted in set(labels)
    )
)


@given(partitions, partitions)
def test_alignment_is_the_best_of_all_assignments(key: str, response: str) -> None:
    keys, responses = key.split(), response.split()
    if len(keys) > len(responses):
        keys, responses = responses, keys
    best = max(
        sum(2 * len(set(k) & set(r)) / (len(k) + len(r)) for k, r in zip(keys, chosen, strict=True))
        for chosen in itertools.permutations(responses, len(keys))
    )
    assert scored(key, response)["ceaf_phi4"]["recall"] == pytest.approx(100 * best / len(key.split()))


def test_large_blocks_align_as_small_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(3)
    texts = []
    for _ in range(2):
        labels = [random.randrange(8) for _ in range(26)]
        texts.append(" ".join("".join(chr(97 + i) for i in range(26) if labels[i] == c) for c in set(labels)))
    small = scored(*texts)
    monkeypatch.setattr("core.scoring.coreference.SMALL_BLOCK", (0, 0))
    assert scored(*texts)["ceaf_phi4"] == pytest.approx(small["ceaf_phi4"])


def test_one_cluster_over_hundreds_of_others() -> None:
    mentions = [(place, place + 1) for place in range(600)]
    whole = Annotation.from_entities([Entity(tuple(mentions), "X")])
    single = Annotation.from_entities(Entity((mention,), "X") for mention in mentions)
    assert coreference_scores([(whole, single)])["ceaf_phi4"]["recall"] == pytest.approx(100 * 2 / 601)


def test_scipy_is_not_loaded_before_it_is_needed() -> None:
    program = "import sys, core.scoring.coreference; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
