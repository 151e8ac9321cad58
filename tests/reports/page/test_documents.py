"""The viewer of a report: gold of the right file or none at all, systems in seed order, packed and unpacked whole."""

import gzip
import json
from base64 import b64decode
from pathlib import Path

import msgspec
import pytest

from core.config.schema import DataConfig
from core.data import synthetic
from core.errors import UserError
from core.files import content_hash
from core.prediction.html import Viewer
from core.records.gold import data_file
from core.records.record import read_record, write_record
from reports.frame import load_study
from reports.page.documents import build_study_viewer
from studies.record import StudyRecord
from tests.reports.annotated_records import make_annotated_study

KINDS = {"jerex-grc": 1, "memory-grc": 2}


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    return make_annotated_study(tmp_path, KINDS)


def build(study: StudyRecord, runs: Path, *, max_documents: int = 300) -> Viewer:
    viewer = build_study_viewer(load_study(study, runs), max_documents=max_documents)
    assert viewer is not None
    return viewer


def unpacked(text: str) -> list[dict]:  # type: ignore[type-arg]
    return json.loads(gzip.decompress(b64decode(text)))  # type: ignore[no-any-return]


def errors_of_kind(viewer: Viewer, kind: str) -> list[int]:
    """How many errors of a kind each system has in all documents."""
    return [
        sum(error[0] == kind for prediction in unpacked(system) for error in prediction["errors"])
        for system in viewer.predictions
    ]


def test_systems_stand_seed_by_seed_with_their_runs(study: StudyRecord, tmp_path: Path) -> None:
    viewer = build(study, tmp_path)
    assert [system["run"] for system in viewer.data["systems"]] == [
        f"{row:012x}-s{seed}" for seed in (0, 1) for row in (0, 1)
    ]
    assert viewer.data["systems"][1]["name"] == "JEREX + memory (GRC), seed 0"
    assert viewer.notes == []
    # Four of six documents, each of which lacks a place and the relation to it; or has a split cluster.
    assert errors_of_kind(viewer, "mention-missed") == [4, 0, 4, 0]
    assert errors_of_kind(viewer, "relation-lost") == [4, 4, 4, 4]
    assert errors_of_kind(viewer, "cluster-split") == [0, 4, 0, 4]


def test_what_is_packed_is_the_documents_and_predictions(study: StudyRecord, tmp_path: Path) -> None:
    viewer = build(study, tmp_path)
    document, prediction = unpacked(viewer.documents)[1], unpacked(viewer.predictions[0])[1]
    assert document["title"] == "Document 1 & <i>1</i>"
    assert document["tokens"][:3] == ["Ada", " Byron", " works"]
    assert document["gold"][1][0] == [[[0, 2], [6, 7]], "PER", None]
    mentions, entities, relations, scores = prediction["predicted"]
    assert scores == []  # none of this file
    assert mentions == [[0, 2], [4, 5], [6, 7], [8, 9]]
    assert [kind for _, kind, _ in entities] == ["PER", "ORG"]
    assert relations == [[0, 1, "P108", 0.9]]
    assert prediction["right"] == [0]
    assert prediction["errors"][0] == ["mention-missed", [[10, 11]], [], "", ""]


def test_fewer_documents_are_held_on_wish_and_it_says_so(study: StudyRecord, tmp_path: Path) -> None:
    viewer = build(study, tmp_path, max_documents=2)
    assert viewer.data["ids"] == ["Document 0 & <i>0</i>", "Document 1 & <i>1</i>"]
    assert len(unpacked(viewer.documents)) == 2
    assert viewer.notes == ["The first 2 of 6 documents (--documents)."]
    assert errors_of_kind(viewer, "mention-missed") == [1, 0, 1, 0]


def test_changed_or_missing_gold_is_not_shown_and_said(study: StudyRecord, tmp_path: Path) -> None:
    gold = tmp_path / "gold.json"
    gold.write_bytes(gold.read_bytes().replace(b"Ada", b"Eva"))
    viewer = build(study, tmp_path)
    assert not viewer.has_gold
    assert "is missing, or was changed after 000000000000-s0 read it" in viewer.notes[0]
    gold.unlink()
    viewer = build(study, tmp_path)
    assert not viewer.has_gold
    assert "is missing, or was changed after 000000000000-s0 read it" in viewer.notes[0]
    assert unpacked(viewer.predictions[0])[1]["errors"] == []


@pytest.mark.parametrize("file", ["validation", "validation_100"])
def test_documents_of_the_embedded_corpus_are_made_again(
    file: str, study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path / "data"))
    made = tmp_path / "made.json"
    made.write_bytes(synthetic.files()[file])
    path = str(tmp_path / "elsewhere" / "synthetic" / f"{file}.json")
    record = read_record(tmp_path / f"{0:012x}" / "s0")
    assert record is not None
    assert record.provenance is not None
    provenance = msgspec.structs.replace(record.provenance, data={path: content_hash(made)})
    record = msgspec.structs.replace(record, provenance=provenance)
    assert data_file(record, DataConfig(validation=path), "validation").read_bytes() == made.read_bytes()
    unknown = path.replace(".json", "_7.json")
    with pytest.raises(UserError, match="is missing"):
        data_file(record, DataConfig(validation=unknown), "validation")


def test_types_have_the_names_of_a_record_without_any_file(study: StudyRecord, tmp_path: Path) -> None:
    assert build(study, tmp_path).data["names"] == {}
    folder = tmp_path / f"{1:012x}" / "s0"
    record = read_record(folder)
    assert record is not None
    names = {"entity": {"PER": "person"}, "relation": {"P108": "employer"}}
    write_record(folder, msgspec.structs.replace(record, type_names=names))
    (tmp_path / "gold.json").unlink()
    viewer = build(study, tmp_path)
    assert viewer.data["names"] == {"PER": "person", "P108": "employer"}
    assert viewer.data["types"] == ["PER", "LOC", "ORG"]


def test_a_run_without_predictions_is_left_out_by_name(study: StudyRecord, tmp_path: Path) -> None:
    (tmp_path / f"{0:012x}" / "s0" / "predictions.test.jsonl").unlink()
    viewer = build(study, tmp_path)
    assert [system["run"] for system in viewer.data["systems"]] == [
        "000000000001-s0",
        "000000000000-s1",
        "000000000001-s1",
    ]
    assert viewer.notes[0].startswith("JEREX (GRC), seed 0 is left out: ")


def test_a_document_that_a_system_did_not_predict_is_empty(study: StudyRecord, tmp_path: Path) -> None:
    path = tmp_path / f"{1:012x}" / "s0" / "predictions.test.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    viewer = build(study, tmp_path)
    assert [prediction is None for prediction in unpacked(viewer.predictions[1])] == [
        True,
        False,
        False,
        False,
        False,
        False,
    ]
