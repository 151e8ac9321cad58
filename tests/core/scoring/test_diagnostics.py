import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Annotation, Document, Entity, Relation
from core.scoring.diagnostics import (
    average_precision,
    best_threshold,
    by_relation_type,
    by_sentence_distance,
    ign_scores,
    lenient_scores,
    ranked_relations,
    training_facts,
)
from core.scoring.evaluate import evaluate
from core.scoring.metrics import count

ANN, BONN, CARL = Entity(((6, 7), (0, 1)), "PER"), Entity(((2, 3),), "LOC"), Entity(((4, 5),), "PER")


def document(annotation: Annotation, **changes: object) -> Document:
    made = Document(
        id="d",
        tokens=("Ann", "likes", "Bonn", ".", "Carl", "knows", "Ann"),
        sentences=((0, 4), (4, 7)),
        gold=annotation,
    )
    return msgspec.structs.replace(made, **changes)


GOLD = Annotation.from_entities(
    [ANN, BONN, CARL], [Relation(0, 1, "P551"), Relation(2, 1, "P19"), Relation(2, 0, "P26")]
)


def test_lenient_finds_an_entity_by_the_mention_that_comes_first_in_the_text() -> None:
    by_first = Annotation.from_entities([Entity(((0, 1),), "PER"), BONN], [Relation(0, 1, "P551")])
    by_later = Annotation.from_entities([Entity(((6, 7),), "PER"), BONN], [Relation(0, 1, "P551")])
    first, later = lenient_scores([(GOLD, by_first)]), lenient_scores([(GOLD, by_later)])
    assert first["entity"] == pytest.approx({"precision": 100, "recall": 200 / 3, "f1": 80})
    assert first["relation_strict"] == pytest.approx({"precision": 100, "recall": 100 / 3, "f1": 50})
    assert later["entity"]["precision"] == 50
    assert later["relation"]["recall"] == 0


def test_lenient_asks_for_types_only_where_the_task_does() -> None:
    retyped = Annotation.from_entities([Entity(((0, 1),), "ORG"), BONN], [Relation(0, 1, "P551")])
    found = lenient_scores([(GOLD, retyped)])
    assert found["coref"]["precision"] == found["relation"]["precision"] == 100
    assert found["entity"]["precision"] == 50
    assert found["relation_strict"]["precision"] == 0


def test_lenient_never_scores_below_exact() -> None:
    scores = evaluate([document(GOLD)], [GOLD])
    assert {values["f1"] for values in scores.extra["lenient"].values()} == {100.0}


def test_relation_types_come_with_their_counts_most_frequent_first() -> None:
    predicted = Annotation.from_entities([ANN, BONN, CARL], [Relation(0, 1, "P551"), Relation(1, 0, "P551")])
    again = Annotation.from_entities(GOLD.entities, [Relation(0, 1, "P551")])
    found = by_relation_type([count("d", GOLD, predicted), count("e", again, again)])
    assert next(iter(found)) == "P551"
    assert found["P551"] == pytest.approx(
        {"precision": 200 / 3, "recall": 100, "f1": 80, "tp": 2, "fp": 1, "fn": 0}, rel=1e-9
    )
    assert found["P19"]["fn"] == 1


def test_sentence_distance_is_the_smallest_over_the_mentions() -> None:
    # Ann has a mention in either sentence: with Bonn and with Carl she shares one; Carl and Bonn share none.
    wrong = Annotation.from_entities(GOLD.entities, [Relation(0, 1, "P551"), Relation(1, 2, "P19")])
    found = by_sentence_distance([document(GOLD)], [wrong])
    assert found is not None
    assert [found["intra"][key] for key in ("tp", "fp", "fn")] == [1, 0, 1]
    assert [found["inter"][key] for key in ("tp", "fp", "fn")] == [0, 1, 1]


def test_a_false_positive_is_judged_by_its_own_mentions() -> None:
    missed = Entity(((0, 1),), "PER")
    wrong = Annotation.from_entities([missed, CARL], [Relation(1, 0, "P26")])
    found = by_sentence_distance([document(GOLD)], [wrong])
    assert found is not None
    assert found["inter"]["fp"] == 1
    assert found["intra"]["fn"] == 2


def test_without_sentences_the_distances_are_left_out_with_a_note() -> None:
    scores = evaluate([document(GOLD, sentences=())], [GOLD])
    assert "by_sentence_distance" not in scores.extra
    assert any(note.startswith("by_sentence_distance") for note in scores.extra["notes"])


def test_a_document_without_gold_raises() -> None:
    with pytest.raises(ValueError, match="no gold"):
        evaluate([document(GOLD, gold=None)], [GOLD])


def test_facts_are_surfaces_of_every_mention_pair() -> None:
    assert training_facts([document(GOLD)]) == {
        ("Ann", "Bonn", "P551"),
        ("Carl", "Bonn", "P19"),
        ("Carl", "Ann", "P26"),
    }


def test_ign_takes_known_predictions_from_precision_and_leaves_recall() -> None:
    predicted = Annotation.from_entities(
        GOLD.entities, [Relation(0, 1, "P551"), Relation(2, 1, "P19"), Relation(1, 0, "P1")]
    )
    found = ign_scores([document(GOLD)], [predicted], {("Ann", "Bonn", "P551"), ("Bonn", "Ann", "P1")})
    assert found["recall"] == pytest.approx(200 / 3)
    assert found["precision"] == 100  # what is left is Carl's birthplace, which is right
    assert found["docred_precision"] == 50  # the official evaluation keeps the wrong one
    assert found["ignored"] == 2


def test_ign_without_facts_is_strict_f1() -> None:
    predicted = Annotation.from_entities(GOLD.entities, [Relation(0, 1, "P551"), Relation(1, 0, "P1")])
    scores = evaluate([document(GOLD)], [predicted], facts=frozenset())
    assert scores.extra["ign"]["f1"] == scores.extra["ign"]["docred_f1"] == pytest.approx(scores.relation_strict.f1)


def test_average_precision_by_hand() -> None:
    # Correct at ranks 1 and 3 of 4, three gold relations: (1/1 + 2/3 + 0) / 3.
    ranked = [(0.9, True), (0.8, False), (0.7, True), (0.6, False)]
    assert average_precision(ranked, 3) == pytest.approx(100 * (1 + 2 / 3) / 3)
    assert average_precision([], 3) == average_precision([], 0) == 0


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), max_size=12), st.randoms())
def test_the_order_of_equal_scores_does_not_matter(ranked: list[tuple[float, bool]], random: object) -> None:
    total_gold = sum(correct for _, correct in ranked) + 1
    shuffled = list(ranked)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert average_precision(shuffled, total_gold) == average_precision(ranked, total_gold)
    assert 0 <= average_precision(ranked, total_gold) <= 100


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=12))
def test_no_threshold_beats_the_best(ranked: list[tuple[float, bool]]) -> None:
    total_gold = sum(correct for _, correct in ranked) + 2
    threshold, f1 = best_threshold(ranked, total_gold)

    def f1_at(cut: float) -> float:
        kept = [correct for score, correct in ranked if score >= cut]
        return 100 * 2 * sum(kept) / (len(kept) + total_gold)

    assert f1 == pytest.approx(max([f1_at(score) for score, _ in ranked], default=0))
    if f1:
        assert f1_at(threshold) == pytest.approx(f1)


def test_a_relation_predicted_twice_is_ranked_once_by_its_higher_score() -> None:
    twice = [Relation(0, 1, "P551", 0.6), Relation(0, 1, "P551", 0.8), Relation(1, 0, "P551", 0.7)]
    ranked, total_gold = ranked_relations([(GOLD, Annotation.from_entities(GOLD.entities, twice))])
    assert sorted(ranked) == [(0.7, False), (0.8, True)]
    assert total_gold == 3
    with pytest.raises(ValueError, match="without a score"):
        ranked_relations([(GOLD, GOLD)])
