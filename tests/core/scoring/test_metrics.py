import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Annotation, Entity, Relation
from core.scoring.metrics import TASKS, DocumentCounts, Scores, count, score

REFERENCE_TASKS = {"mention": "mention", "coref": "coref", "entity": "entity", "rel": "relation"}
REFERENCE_TASKS["rel_nec"] = "relation_strict"
REFERENCE_NAMES = {"prec": "precision", "rec": "recall", "f1": "f1"}


def annotation(raw: dict[str, Any]) -> Annotation:
    made = Annotation.from_entities(
        [Entity(tuple((start, end) for start, end in e["mentions"]), e["type"]) for e in raw["entities"]],
        [Relation(r["head"], r["tail"], r["type"]) for r in raw["relations"]],
    )
    if "mentions" in raw:
        made = msgspec.structs.replace(made, mentions=tuple((start, end) for start, end in raw["mentions"]))
    return made


@pytest.mark.parametrize("case", range(50))
def test_scores_equal_the_reference_evaluator(shared: Path, case: int) -> None:
    recorded = json.loads((shared / "golden" / "evaluator_cases.json").read_text())["cases"][case]
    if "error" in recorded:
        # The reference's scikit-learn raises on it: no relation in gold and none predicted.
        assert "without gold relations, no predicted" in recorded["note"]
        return
    pairs = [(annotation(document["gold"]), annotation(document["pred"])) for document in recorded["docs"]]
    scores = score([count(str(number), gold, predicted) for number, (gold, predicted) in enumerate(pairs)])
    for reference_task, values in recorded["metrics"].items():
        ours = getattr(scores, REFERENCE_TASKS[reference_task])
        for name, value in values.items():
            measure, average = name.split("_")
            field = REFERENCE_NAMES[measure] if average == "micro" else f"macro_{REFERENCE_NAMES[measure]}"
            assert getattr(ours, field) == pytest.approx(value, abs=1e-6), (reference_task, name)


def test_a_task_without_items_scores_zero_with_a_note() -> None:
    entities = [Entity(((0, 1),), "PER"), Entity(((2, 3),), "LOC")]
    scores = score([count("d", Annotation.from_entities(entities), Annotation.from_entities(entities))])
    assert scores.entity.f1 == 100
    for task in (scores.relation, scores.relation_strict):
        assert set(msgspec.structs.astuple(task)) == {0.0}
    assert [note.split(":")[0] for note in scores.extra["notes"]] == ["relation", "relation_strict"]


def test_no_documents_score_zero_with_five_notes() -> None:
    scores = score([])
    assert scores.relation_strict.f1 == 0
    assert len(scores.extra["notes"]) == len(TASKS)


def test_a_wrong_entity_type_costs_the_strict_relation_only() -> None:
    gold = Annotation.from_entities([Entity(((0, 1),), "PER"), Entity(((2, 3),), "LOC")], [Relation(0, 1, "P17")])
    predicted = Annotation.from_entities([Entity(((0, 1),), "ORG"), Entity(((2, 3),), "LOC")], [Relation(0, 1, "P17")])
    scores = score([count("d", gold, predicted)])
    assert scores.relation.f1 == 100
    assert scores.relation_strict.f1 == 0
    assert scores.relation_strict.f1 == 0


def test_a_relation_has_a_direction() -> None:
    entities = [Entity(((0, 1),), "PER"), Entity(((2, 3),), "LOC")]
    gold, predicted = (Annotation.from_entities(entities, [Relation(*ends, "P17")]) for ends in ((0, 1), (1, 0)))
    assert count("d", gold, predicted).counts["relation"] == {"P17": (0, 1, 1)}


def test_duplicates_count_once_on_both_sides() -> None:
    entity = Entity(((0, 1), (0, 1), (4, 5)), "PER")
    again = Entity(((4, 5), (0, 1)), "PER")
    other = Entity(((2, 3),), "LOC")
    gold = Annotation.from_entities([entity, again, other], [Relation(0, 2, "P17"), Relation(1, 2, "P17")])
    predicted = Annotation.from_entities([again, other], [Relation(0, 1, "P17"), Relation(0, 1, "P17")])
    counts = count("d", gold, predicted).counts
    assert counts["mention"] == {"all": (3, 0, 0)}
    assert counts["coref"] == {"all": (2, 0, 0)}
    assert counts["entity"] == {"LOC": (1, 0, 0), "PER": (1, 0, 0)}
    assert counts["relation_strict"] == {"P17": (1, 0, 0)}


def test_a_predicted_mention_without_entity_still_counts() -> None:
    gold = Annotation.from_entities([Entity(((0, 1),), "PER")])
    predicted = msgspec.structs.replace(gold, mentions=((0, 1), (5, 6)))
    assert count("d", gold, predicted).counts["mention"] == {"all": (1, 1, 0)}


def test_macro_over_gold_types_does_not_move_with_the_system() -> None:
    gold = Annotation.from_entities([Entity(((0, 1),), "PER")])
    predicted = Annotation.from_entities([Entity(((0, 1),), "PER"), Entity(((2, 3),), "LOC")])
    scores = score([count("d", gold, predicted)])
    assert scores.entity.macro_f1 == 50
    assert scores.extra["gold_macro"]["entity"]["f1"] == 100


def test_counts_survive_json() -> None:
    gold = Annotation.from_entities([Entity(((0, 1),), "PER"), Entity(((2, 3),), "LOC")], [Relation(0, 1, "P17")])
    counts = count("d", gold, Annotation.from_entities(gold.entities))
    line = msgspec.json.encode(counts)
    assert json.loads(line)["counts"]["relation"] == {"P17": [0, 0, 1]}
    assert msgspec.json.decode(line, type=DocumentCounts) == counts


spans = st.tuples(st.integers(0, 12), st.integers(1, 2)).map(lambda pair: (pair[0], sum(pair)))
entities = st.lists(
    st.builds(Entity, st.lists(spans, min_size=1, max_size=3).map(tuple), st.sampled_from(["PER", "LOC"])), max_size=5
)


@st.composite
def annotations(draw: st.DrawFn) -> Annotation:
    drawn = draw(entities)
    if not drawn:
        return Annotation()
    index = st.integers(0, len(drawn) - 1)
    relations = draw(st.lists(st.builds(Relation, index, index, st.sampled_from("rst")), max_size=5))
    # Not `Annotation.of`: its type checks draw random numbers, which hypothesis forbids inside a strategy.
    return Annotation(entities=tuple(drawn), relations=tuple(relations))


def reordered(source: Annotation, order: list[int]) -> Annotation:
    place = {old: new for new, old in enumerate(order)}
    return Annotation.from_entities(
        [Entity(source.entities[old].mentions[::-1], source.entities[old].type) for old in order],
        [Relation(place[r.head], place[r.tail], r.type) for r in reversed(source.relations)],
    )


@given(annotations(), annotations(), st.randoms(use_true_random=False))
def test_counts_do_not_depend_on_order(gold: Annotation, predicted: Annotation, random: Any) -> None:
    order = list(range(len(predicted.entities)))
    random.shuffle(order)
    assert count("d", gold, predicted) == count("d", gold, reordered(predicted, order))


@given(annotations())
def test_a_perfect_prediction_scores_100_where_there_is_anything(gold: Annotation) -> None:
    scores = score([count("d", gold, gold)])
    empty = {note.split(":")[0] for note in scores.extra["notes"]}
    for task in TASKS:
        assert set(msgspec.structs.astuple(getattr(scores, task))) == {0.0 if task in empty else 100.0}
    assert ("mention" in empty) == (not gold.entities)
    assert ("relation" in empty) == (not gold.relations)


@given(annotations(), annotations())
def test_swapping_gold_and_prediction_swaps_precision_and_recall(one: Annotation, two: Annotation) -> None:
    there, back = score([count("d", one, two)]), score([count("d", two, one)])

    def values(scores: Scores, task: str, names: tuple[str, str, str]) -> list[float]:
        return [getattr(getattr(scores, task), prefix + name) for prefix in ("", "macro_") for name in names]

    for task in TASKS:
        swapped = values(back, task, ("recall", "precision", "f1"))
        assert values(there, task, ("precision", "recall", "f1")) == pytest.approx(swapped)
