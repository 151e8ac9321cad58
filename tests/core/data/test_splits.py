"""Splits: training, validation and test from files, and the types that the model knows."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.schema import DataConfig
from core.data.documents import Annotation, Document, Entity, Relation
from core.data.formats.docred import write_docred
from core.data.splits import Splits, read_splits, validation_split
from core.errors import UserError


def document(name: str, entity_type: str = "PER", relation_type: str = "P1") -> Document:
    entities = [Entity(((0, 1),), entity_type), Entity(((1, 2),), "LOC")]
    gold = Annotation.from_entities(entities, [Relation(0, 1, relation_type)])
    return Document(id=name, title=name, tokens=("a", "b"), sentences=((0, 2),), gold=gold)


def load_splits(*, validation_share: float = 0.1, **paths: Path) -> Splits:
    data = DataConfig(**{part: str(path) for part, path in paths.items()}, validation_share=validation_share)
    return read_splits(data, max_span_tokens=10)


def written(path: Path, *documents: Document) -> Path:
    write_docred(documents, path)
    return path


@given(st.sets(st.text(min_size=1, max_size=4), min_size=2, max_size=30), st.floats(0.01, 0.9), st.randoms())
def test_the_validation_split_is_a_matter_of_titles_alone(names: set[str], share: float, generator: Any) -> None:
    documents = [document(name) for name in sorted(names)]
    expected = max(1, round(share * len(documents)))
    if expected >= len(documents):
        with pytest.raises(UserError, match="cannot be split"):
            validation_split(documents, share)
        return
    train, validation = validation_split(documents, share)
    assert len(validation) == expected
    assert sorted(documents, key=lambda item: item.id) == sorted([*train, *validation], key=lambda item: item.id)
    assert list(train) == [item for item in documents if item in train]
    largest = max(hashlib.sha256(item.id.encode()).hexdigest() for item in validation)
    assert all(hashlib.sha256(item.id.encode()).hexdigest() > largest for item in train)
    shuffled = documents.copy()
    generator.shuffle(shuffled)
    assert {item.id for item in validation_split(shuffled, share)[1]} == {item.id for item in validation}


def test_a_seventh_of_the_real_test_part_is_100_documents(shared_path) -> None:
    splits = load_splits(
        train=shared_path("data/docred_joint/test_joint.json"),
        test=shared_path("data/docred_joint/dev_joint.json"),
        types=shared_path("data/docred_joint/types.json"),
        validation_share=1 / 7,
    )
    assert splits.test is not None
    sizes = [len(corpus.documents) for corpus in (splits.train, splits.validation, splits.test)]
    assert sizes == [600, 100, 300]
    assert splits.labels.entity_types == ("LOC", "MISC", "PER", "NUM", "TIME", "ORG")
    assert splits.train.issues.counts["long_mention"] == 19
    assert splits.validation.issues.counts == {}


def test_inferred_types_are_those_of_training_in_order_of_appearance(tmp_path: Path) -> None:
    train = written(tmp_path / "train.json", document("a", "ZZZ"), document("b", "AAA", "P0"))
    test = written(tmp_path / "test.json", document("c", "NEW", "P9"), document("d", "NEW"))
    splits = load_splits(train=train, validation=test, test=test)
    assert splits.labels.entity_types == ("ZZZ", "LOC", "AAA")
    assert splits.labels.relation_types == ("P1", "P0")
    assert splits.test is not None
    assert splits.test.issues.counts == {"unknown_entity_type": 2, "unknown_relation_type": 1}
    assert splits.test.documents[0].gold is not None
    assert splits.test.documents[0].gold.entities[0].type == "NEW"


def test_types_of_a_file_are_held_against_every_part(tmp_path: Path) -> None:
    train = written(tmp_path / "train.json", document("a"), document("b"))
    test = written(tmp_path / "test.json", document("c", "NEW"))
    types = tmp_path / "types.json"
    types.write_bytes(msgspec.json.encode({"entities": {"LOC": {}, "PER": {}}, "relations": {"P1": {}}}))
    assert load_splits(train=train, types=types).labels.entity_types == ("LOC", "PER")
    with pytest.raises(UserError, match=r'test.json: document 0 "c": .*"NEW", which is none of the 2 entity types'):
        load_splits(train=train, test=test, types=types)


def test_splits_that_cannot_be_made_are_clear_errors(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", document("a"))
    bare = written(tmp_path / "bare.json", msgspec.structs.replace(document("a"), gold=None))
    with pytest.raises(UserError, match=r"one.json: 1 documents cannot be split"):
        load_splits(train=one)
    with pytest.raises(UserError, match="holds no annotated document"):
        load_splits(train=bare)
