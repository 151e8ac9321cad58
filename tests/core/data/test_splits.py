"""Splits: training, validation and test from files, and the types that the model knows."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.schema import DataConfig, RunConfig
from core.data.documents import Annotation, Document, Entity, Relation
from core.data.formats.docred import write_docred
from core.data.splits import Splits, assign_parts, read_splits, validation_split
from core.errors import UserError
from core.features.prepare import prepare


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


def test_a_limit_keeps_the_first_of_each_split_by_hash_after_the_split(tmp_path: Path) -> None:
    documents = [document(f"d{number}", f"T{number}") for number in range(40)]
    train = written(tmp_path / "train.json", *documents)
    test = written(tmp_path / "test.json", *documents[:9])
    everything, limited = (
        read_splits(DataConfig(train=str(train), test=str(test), limit=limit), max_span_tokens=10)
        for limit in (None, 5)
    )
    sizes = []
    for name in ("train", "validation", "test"):
        whole, some = getattr(everything, name).documents, getattr(limited, name).documents
        smallest = sorted(whole, key=lambda item: hashlib.sha256(item.id.encode()).hexdigest())[:5]
        assert list(some) == [item for item in whole if item in smallest]
        sizes.append((len(whole), len(some)))
    # A split of fewer documents keeps all of them.
    assert sizes == [(36, 5), (4, 4), (9, 5)]
    # A learning curve compares models with the same classes.
    assert limited.labels == everything.labels


def test_a_limit_below_the_batch_size_is_named(tmp_path: Path) -> None:
    train = written(tmp_path / "train.json", *(document(f"d{number}") for number in range(20)))
    config = RunConfig.model_validate(
        {"data": {"train": str(train), "limit": 1}, "training": {"batch_size": 4}, "encoder": {"source": "scratch"}}
    )
    with pytest.raises(UserError, match=r"^1 training documents are fewer than .*\(4\).*lower it.*data.limit is 1"):
        prepare(config)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9)), min_size=12, max_size=40), st.randoms())
def test_parts_depend_on_titles_and_texts_alone_and_never_tear_them(
    drawn: list[tuple[str, int]], generator: Any
) -> None:
    # Few titles and texts, so that many documents share one; no title for "a".
    documents = [
        Document(id=str(n), title=title if title != "a" else None, tokens=("text", str(text)), sentences=((0, 2),))
        for n, (title, text) in enumerate(drawn)
    ]
    try:
        parts = assign_parts(documents, (0.5, 0.5), seed=1)
    except UserError:  # a part without documents
        return
    for one, part in zip(documents, parts, strict=True):
        for other, other_part in zip(documents, parts, strict=True):
            if one.tokens == other.tokens or (one.title and one.title == other.title):
                assert part == other_part
    order = list(range(len(documents)))
    generator.shuffle(order)
    assert assign_parts([documents[n] for n in order], (0.5, 0.5), seed=1) == [parts[n] for n in order]


def test_parts_of_different_documents_have_their_shares_and_another_seed_draws_others() -> None:
    documents = [
        Document(id=f"d{number}", title=f"d{number}", tokens=(f"t{number}",), sentences=((0, 1),))
        for number in range(50)
    ]
    draws = [assign_parts(documents, (0.8, 0.1, 0.1), seed=seed) for seed in (0, 1, 0)]
    assert [Counter(parts) for parts in draws] == [{0: 40, 1: 5, 2: 5}] * 3
    assert draws[0] == draws[2] != draws[1]
