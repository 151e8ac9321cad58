"""Memory use: the means equal a computation row by row, and say what must hold of reads whose effect is known."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config.schema import RunConfig
from core.data.documents import Annotation, Document, Entity
from core.data.formats.docred import write_docred
from core.data.issues import Issues
from core.features.batches import build_spans, pad_pieces
from core.features.candidates import all_spans, draw_sample
from core.features.wordpieces import EncodedDocument
from core.model.joint_model import JointModel
from core.model.memory import GatedPooling
from core.model.ops import range_max
from core.records.history import read_history
from core.records.memory_use import PlaceUse
from core.records.record import HISTORY
from core.run.execute import run
from core.training.held_out import HELD_OUT_EPOCH, evaluate_split, held_out_loss
from tests.tiny import (
    LABELS,
    document,
    encoded,
    tiny_config,
    tiny_decoder,
    tiny_model,
    write_corpus,
    write_run,
)

RESIDUAL = {"read_mode": "normal", "pooling": "residual", "slot_init": "fan-in"}
MEMORIES = st.one_of(
    st.fixed_dictionaries(
        {
            "read_mode": st.sampled_from(("inverse", "normal", "inverse-normal")),
            "pooling": st.sampled_from((None, "mean", "sum", "concat", "gated")),
            "places": st.sampled_from(("tokens", "mentions", "both")),
            "memories": st.sampled_from(("entity", "relation", "both")),
            "inverse_scale": st.sampled_from(("sum", "mean")),
            "slots_per_type": st.sampled_from((1, 2)),
        }
    ),
    st.just(RESIDUAL),
)


def build(memory: dict[str, Any], **row: Any) -> tuple[RunConfig, JointModel]:
    """A model whose weights are large enough to do something, also where they are drawn as 0."""
    config = tiny_config("memory-grc", {"memory": memory, **row})
    model = tiny_model(config, scale=15.0)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("reads.") and not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return config, model


def measure(
    config: RunConfig, model: JointModel, documents: Sequence[EncodedDocument], *, reading: float = 1.0
) -> tuple[dict[Any, PlaceUse], dict[Any, float | None]]:
    """What reading does among the candidates of inference, and its factors among those of a sample."""
    decoder = tiny_decoder(model, config)
    at_inference = evaluate_split(decoder, documents, reading=reading, issues=Issues(), on_gold=True).reads
    return at_inference, held_out_loss(model, documents, config, LABELS, padding=0, reading=reading).factors


def wide(number: int) -> EncodedDocument:
    """A document with a mention that is wider than any candidate, and one that crosses the end of a sentence."""
    plain = document(number, extra=1)
    assert plain.gold is not None
    entities = (*plain.gold.entities, Entity(((1, 6),), "ORG"), Entity(((7, 9),), "PER"))
    gold = Annotation.from_entities(entities, plain.gold.relations)
    return encoded(type(plain)(f"wide {number}", plain.tokens, plain.sentences, gold=gold))[0]


@torch.no_grad()
def row_by_row(
    model: JointModel,
    config: RunConfig,
    documents: Sequence[EncodedDocument],
    spans: Sequence[np.ndarray],
    reading: float,
) -> dict[str, dict[str, float]]:
    """Place -> path of a number -> its value, each document alone and each row in a loop."""
    values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    assert config.memory is not None
    for one, own in zip(documents, spans, strict=True):
        assert one.document.gold is not None
        gold, possible = set(one.document.gold.mentions), set(map(tuple, all_spans(one.document, 3).tolist()))
        rows = model.encoder(pad_pieces([one], 0))
        for place in ("tokens", "mentions"):
            if place == "mentions":
                laid = build_spans([one], [own])
                rows = range_max(rows, laid.starts, laid.ends)
                is_gold = [span in gold & possible for span in map(tuple, own.tolist())]
            else:
                pieces = {piece for start, end in gold for piece in range(one.bounds[start], one.bounds[end])}
                is_gold = [piece in pieces for piece in range(len(rows))]
            if place not in model.reads:
                continue
            read = model.reads[place]
            after = read(rows, model.memories, (len(rows),), reading)
            for row, known in enumerate(is_gold):
                length = float(rows[row].norm())
                change = float((after[row] - rows[row]).norm()) / length
                values[place, "change_gold" if known else "change_other"].append(change)
                if known:
                    values[place, "factor"].append(float(after[row].norm()) / length)
            inner, added = rows, {name: torch.zeros_like(rows) for name in read.reads[config.memory.modes[0]]}
            for mode, readers in read.reads.items():
                reads = {
                    name: reader(inner, model.memories[name].slots, (len(rows),)) for name, reader in readers.items()
                }
                for number, (name, own_read) in enumerate(reads.items()):
                    scores = inner @ readers[name].key.weight @ model.memories[name].slots.T
                    attention = scores.softmax(0).T if mode == "inverse" else scores.softmax(1)
                    for choice in attention.tolist():
                        entropy = -sum(share * math.log(share) for share in choice if share > 0)
                        values[place, f"entropy/{mode}-{name}"].append(entropy / math.log(len(choice)))
                    pooling = read.combine[mode]
                    if isinstance(pooling, GatedPooling):
                        own_read = torch.sigmoid(pooling.gates[number](torch.cat([inner, own_read], 1))) * own_read
                    added[name] = added[name] + own_read
                inner = read.combine[mode](inner, list(reads.values()))
            if config.memory.pooling in ("sum", "gated", "residual"):
                for name, own_added in added.items():
                    values[place, f"change_by_memory/{name}"] += [
                        reading * float(own_added[row].norm() / rows[row].norm())
                        for row, known in enumerate(is_gold)
                        if known
                    ]
            rows = after
    means: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (place, path), numbers in values.items():
        means[place][path] = sum(numbers) / len(numbers)
    return means


def flat(use: PlaceUse) -> dict[str, float]:
    """The numbers of a place that are known, by their path."""
    plain = {name: getattr(use, name) for name in ("change_gold", "change_other", "factor")}
    by_memory = {f"change_by_memory/{name}": value for name, value in use.change_by_memory.items()}
    entropy = {f"entropy/{name}": value for name, value in use.entropy.items()}
    return {name: value for name, value in (plain | by_memory | entropy).items() if value is not None}


@settings(max_examples=12, deadline=None)
@given(memory=MEMORIES, budget=st.sampled_from((1, 45, 10_000)), reading=st.sampled_from((0.3, 1.0)))
def test_the_means_equal_those_of_a_loop_over_rows(memory: dict[str, Any], budget: int, reading: float) -> None:
    config, model = build(memory, inference={"piece_budget": budget})
    documents = [encoded(document(1, extra=2))[0], wide(4), encoded(document(2))[0]]
    at_inference, in_training = measure(config, model, documents, reading=reading)
    samples = [draw_sample(one, config.samples, LABELS, seed=config.seed, epoch=HELD_OUT_EPOCH) for one in documents]
    expected = row_by_row(model, config, documents, [all_spans(one.document, 3) for one in documents], reading)
    assert {place: flat(use) for place, use in at_inference.items()} == {
        place: pytest.approx(numbers, rel=1e-4, abs=1e-6) for place, numbers in expected.items()
    }
    expected = row_by_row(model, config, documents, [sample.spans for sample in samples], reading)
    assert in_training == pytest.approx({place: numbers["factor"] for place, numbers in expected.items()}, rel=1e-4)


def test_an_untrained_residual_read_changes_nothing() -> None:
    config = tiny_config("memory-residual-grc")
    at_inference, in_training = measure(config, tiny_model(config), encoded(document(1, extra=2), document(3)))
    assert list(at_inference) == ["tokens", "mentions"]
    for place, use in at_inference.items():
        assert (use.change_gold, use.change_other, use.change_by_memory) == (0.0, 0.0, {"entity": 0.0, "relation": 0.0})
        assert (use.factor, in_training[place]) == (1.0, 1.0)


@pytest.mark.parametrize(("scale", "low", "high"), [("sum", 0.2, 0.8), ("mean", 0.97, 1.03)])
def test_a_sum_over_candidates_shrinks_where_they_are_many_more_than_samples(
    scale: str, low: float, high: float
) -> None:
    # Four sentences more: nine times as many candidates as rows of a sample. Untrained attention is nearly uniform.
    row = {"memory": {"inverse_scale": scale, "places": "mentions"}, "samples": {"neg_mentions": 5}}
    config = tiny_config("memory-grc", row)
    at_inference, in_training = measure(config, tiny_model(config), encoded(document(1, extra=4)))
    ratio = msgspec.structs.replace(at_inference["mentions"], factor_training=in_training["mentions"]).ratio
    assert ratio is not None
    assert low < ratio < high


@pytest.mark.parametrize("mode", ["inverse", "normal", "inverse-normal"])
def test_attention_to_all_alike_has_the_largest_entropy(mode: str) -> None:
    config, model = build({"read_mode": mode, "reads": "uniform"})
    at_inference, _ = measure(config, model, encoded(document(1, extra=2), document(3)))
    for use in at_inference.values():
        assert len(use.entropy) == 2 * len(mode.split("-"))
        assert use.entropy == pytest.approx(dict.fromkeys(use.entropy, 1.0), abs=1e-6)


def test_a_document_of_one_row_has_no_part_in_the_entropy() -> None:
    config, model = build({"places": "mentions"})
    plain, short = encoded(document(1), Document("short", ("Paris",), ((0, 1),), gold=Annotation()))
    entropies = [measure(config, model, own)[0]["mentions"].entropy for own in ([plain], [plain, short])]
    assert entropies[0] == pytest.approx(entropies[1], rel=1e-5)
    assert len(entropies[0]) == 2


def test_a_read_without_attention_has_no_entropy() -> None:
    config, model = build({"reads": "constant"})
    at_inference, _ = measure(config, model, encoded(document(1, extra=2)))
    assert at_inference["tokens"].entropy == {}
    assert at_inference["tokens"].factor != 1.0


@pytest.mark.parametrize(("preset", "memory", "reading"), [("jerex-grc", None, 1.0), ("memory-grc", {}, 0.0)])
def test_nothing_is_measured_where_nothing_is_read(preset: str, memory: dict[str, Any] | None, reading: float) -> None:
    config = tiny_config(preset, {"memory": memory} if memory is not None else {})
    assert measure(config, tiny_model(config), encoded(document(1)), reading=reading) == ({}, {})


def test_no_hook_is_left() -> None:
    config, model = build({})
    measure(config, model, encoded(document(1)))
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("preset", ["memory-mrc", "memory-residual-grc"])
def test_a_runs_record_and_history_hold_it(tmp_path: Path, preset: str) -> None:
    # Validation and test are the same documents here, and both epochs have read.
    write_run(tmp_path / "run", write_corpus(tmp_path / "corpus.json", count=6), preset)
    record = run(tmp_path / "run")
    assert record.memory_use is not None
    validation, test = (record.memory_use.reads[split] for split in ("validation", "test"))
    assert list(validation) == ["tokens", "mentions"]
    for place, use in validation.items():
        assert use.factor_training is not None
        assert test[place] == msgspec.structs.replace(use, factor_training=None)
    rows = [row for row in read_history(tmp_path / "run" / HISTORY) if row["kind"] == "validation"]
    chosen = next(row for row in rows if row["epoch"] == record.chosen_epoch)
    for place, use in validation.items():
        numbers = flat(use) | {"factor_training": use.factor_training, "ratio": use.ratio}
        before = f"validation/memory/{place}/"
        assert {name: chosen[before + name] for name in numbers} == numbers
        assert sum(name.startswith(before) for name in chosen) == len(numbers)


@pytest.mark.parametrize(("preset", "memory"), [("jerex-grc", None), ("memory-grc", {"read_mode": "none"})])
def test_a_run_that_never_reads_has_none(tmp_path: Path, preset: str, memory: dict[str, Any] | None) -> None:
    row = {"memory": memory} if memory else {}
    write_run(tmp_path / "run", write_corpus(tmp_path / "corpus.json", count=6), preset, **row)
    assert run(tmp_path / "run").memory_use is None
    assert not any("memory" in name for row in read_history(tmp_path / "run" / HISTORY) for name in row)


def test_validation_documents_without_mentions_have_no_factor(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", count=6)
    write_docred([Document("bare", ("It", "rained"), ((0, 2),), gold=Annotation())], tmp_path / "bare.json")
    write_run(tmp_path / "run", corpus, "memory-grc", data={"validation": str(tmp_path / "bare.json")})
    record = run(tmp_path / "run")
    assert record.memory_use is not None, record.error
    use = record.memory_use.reads["validation"]["mentions"]
    assert (use.factor, use.factor_training, use.change_gold) == (None, None, None)
    assert use.change_other is not None
