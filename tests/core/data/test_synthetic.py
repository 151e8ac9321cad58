"""The synthetic corpus: the same anywhere, whole, and as varied as its docstring says."""

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from core.config.schema import DataConfig
from core.data import synthetic
from core.data.datasets import resolve_paths
from core.data.formats import read_corpus
from core.data.formats.types_file import read_types
from core.data.statistics import compute_statistics


def test_a_document_depends_on_seed_and_number_alone() -> None:
    assert synthetic.generate(5, seed=3) == synthetic.generate(9, seed=3)[:5]
    assert synthetic.generate(5, seed=3) != synthetic.generate(5, seed=4)


def test_the_corpus_holds_all_types_and_both_distances() -> None:
    statistics = compute_statistics(synthetic.generate(1000, seed=1))
    assert set(statistics.entity_types) == set(synthetic.LABELS.entity_types)
    assert set(statistics.relation_types) == set(synthetic.LABELS.relation_types)
    assert len(synthetic.LABELS.relation_types) >= 10
    # Each relation type is one that can be learned: 50 in 300 documents were 80 in the 480 that there once were.
    assert min(statistics.relation_types.values()) > 100
    assert 0.2 * statistics.relations < statistics.inter_sentence_relations < 0.8 * statistics.relations


def test_entities_are_mentioned_in_several_ways() -> None:
    forms = {"surname": 0, "acronym": 0, "nominal": 0}
    for document in synthetic.generate(100):
        assert document.gold is not None
        for entity in document.gold.entities:
            names = [document.surface(span) for span in entity.mentions]
            first = names[0].split()
            forms["nominal"] += any(name.startswith("the ") for name in names)
            forms["surname"] += entity.type == "PER" and first[-1] in names
            forms["acronym"] += entity.type == "ORG" and "".join(word[0] for word in first) in names
            assert all(document.surface(span).strip() for span in entity.mentions)
    assert min(forms.values()) > 30, forms


def test_distractors_stand_where_facts_could() -> None:
    # A document says six or seven things of pairs of things; about half of them are facts, now more, now fewer.
    documents = [document.gold for document in synthetic.generate(300) if document.gold is not None]
    counts = [len({frozenset((fact.head, fact.tail)) for fact in gold.relations}) for gold in documents]
    assert 2 < sum(counts) / len(counts) < 4
    assert len(set(counts)) >= 5


def test_a_pronoun_is_no_mention_and_names_no_other_than_the_subject() -> None:
    for document in synthetic.generate(100):
        assert document.gold is not None
        subject = document.gold.entities[0]
        assert subject.mentions[0][0] == 0
        inside = {token for entity in document.gold.entities for span in entity.mentions for token in range(*span)}
        for start, end in document.sentences[1:-1]:
            assert document.tokens[start] in ("She", "He", "It")
            assert start not in inside
            heads = {
                fact.head
                for fact in document.gold.relations
                if any(start <= first < end for first, _ in document.gold.entities[fact.tail].mentions[:1])
            }
            assert heads <= {0}


@pytest.mark.parametrize("seed", [0, 1])
def test_no_seed_runs_out_of_words(seed: int) -> None:
    for document in synthetic.generate(500, seed=100 + seed):
        assert len(document.tokens) < 110
        assert len(document.sentences) == 4


def test_files_of_the_first_release_are_still_the_same_bytes() -> None:
    files = synthetic.files()
    # The signatures of its runs hold these hashes.
    assert {name: sha256(files[name]).hexdigest()[:12] for name in ("train", "validation", "test", "types")} == {
        "train": "8f0bc0e8efe1",
        "validation": "f76e648ba748",
        "test": "4d78d17d8b91",
        "types": "55d496ebf5f5",
    }


def test_the_larger_validation_begins_with_the_documents_of_the_first_release() -> None:
    smaller, larger = (
        msgspec.json.decode(synthetic.files()[name], type=list[msgspec.Raw])
        for name in ("validation", "validation_100")
    )
    assert (len(smaller), len(larger)) == (40, 100)
    assert [bytes(document) for document in larger[:40]] == [bytes(document) for document in smaller]


def test_the_data_set_is_files_that_docreds_reader_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
    data = resolve_paths(DataConfig(name="synthetic"))
    assert data.name is None
    assert data.types is not None
    labels = read_types(data.types)
    assert labels == synthetic.LABELS
    titles: set[str] = set()
    for path, count in ((data.train, 1000), (data.validation, 100), (data.test, 100)):
        assert path is not None
        documents = read_corpus(path, labels=labels).documents
        assert len(documents) == count
        assert not titles & {document.id for document in documents}
        titles |= {document.id for document in documents}
    before = Path(data.train or "").read_bytes()
    Path(data.train or "").write_bytes(b"[]")
    assert resolve_paths(DataConfig(name="synthetic")) == data
    assert Path(data.train or "").read_bytes() == before


def test_a_data_folder_of_the_first_release_gets_the_larger_validation_and_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
    folder = tmp_path / "synthetic"
    folder.mkdir()
    for name in ("train", "validation", "test", "types"):
        (folder / f"{name}.json").write_bytes(synthetic.files()[name])
    written = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    data = resolve_paths(DataConfig(name="synthetic"))
    assert data.validation == str(folder / "validation_100.json")
    assert Path(data.validation).read_bytes() == synthetic.files()["validation_100"]
    assert {name: (folder / name).stat().st_mtime_ns for name in written} == written
