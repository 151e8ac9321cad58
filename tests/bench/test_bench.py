"""The benchmark itself: planted gold comes out of decoding, and bench.json has the shape that others read."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.data.issues import Issues
from studies.plan import differences, row_config
from studies.study import read_study
from tests.bench.inference import Planted, decode_in_parts
from tests.bench.material import load_material
from tests.bench.precision import difference
from tests.bench.results import add_readings, save
from tests.bench.tables import report
from tests.bench.targets import checks
from tests.bench.timing import Readings, Stopwatch, share
from tests.bench.training import OWN, PLAIN
from tests.tiny import (
    LABELS,
    SYSTEMS,
    document,
    encoded,
    tiny_config,
    tiny_decoder,
    tiny_model,
)


@pytest.mark.parametrize("system", SYSTEMS)
def test_planted_gold_of_several_documents_of_one_batch_is_what_decoding_returns(system: str) -> None:
    config = tiny_config(system)
    model = tiny_model(config)
    decoder, planted = tiny_decoder(model, config), Planted(model, LABELS).eval()
    decoder.model = planted  # type: ignore[assignment]
    # Longest first is how decoding groups them; the input is in another order.
    documents = encoded(document(0), document(1, extra=2), document(2, extra=1))
    for one in documents:
        planted.plant(one, config)
    watch = Stopwatch()
    decoded = decode_in_parts(decoder, documents, watch)
    for one, found in zip(documents, decoded, strict=True):
        gold, annotation = one.document.gold, found.annotation
        assert gold is not None
        assert {entity.mentions for entity in annotation.entities} == {entity.mentions for entity in gold.entities}
        told, wanted = (
            {(part.entities[r.head].mentions, part.entities[r.tail].mentions, r.type) for r in part.relations}
            for part in (annotation, gold)
        )
        assert told == wanted
    assert set(watch.parts) == {"encoder", "heads", "python"}
    assert min(watch.parts.values()) > 0
    # Without planting the same weights say something else.
    plain = tiny_decoder(model, config).decode(documents, reading=1.0, issues=Issues())
    assert [one.annotation for one in plain] != [one.annotation for one in decoded]


def test_without_shared_documents_the_generated_ones_are_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENGRAM_SHARED", str(tmp_path))
    material = load_material(3)
    assert (material.source, len(material.documents)) == ("synthetic", 3)
    assert all(one.document.gold for one in material.documents)


def test_the_precision_study_differs_in_the_format_alone() -> None:
    study = read_study(Path(__file__).with_name("precision.yaml"))
    configs = [row_config(name, row, profile="quick", settings={}) for name, row in study.rows.items()]
    assert differences(*configs) == {"training.precision": ("fp32", "bf16")}


def readings_of(system: float) -> Readings:
    """Three rounds: the plain encoder takes 2 s, our own 1 s."""
    parts = {"encoder": [1.0] * 3, "heads": [system - 1.2] * 3, "python": [0.2] * 3, "total": [system] * 3}
    return {PLAIN: {"total": [2.0] * 3}, OWN: {"total": [1.0] * 3}, "grc": parts}


def test_bench_json_has_the_agreed_keys_and_numbers(tmp_path: Path) -> None:
    results: dict[str, object] = {}
    add_readings(results, "base", "infer", "fp32", readings_of(1.5))
    save(tmp_path / "bench.json", results)
    written = json.loads((tmp_path / "bench.json").read_text())
    assert {"machine", "ratios", "seconds", "peak_mib"} <= set(written)
    assert written["ratios"] == {"base": {"infer": {"grc": pytest.approx(0.75)}}}
    assert written["seconds"]["base"]["infer"]["grc"] == 1.5
    assert written["python_share"]["base"]["grc"] == pytest.approx(0.2 / 1.5)
    assert written["machine"]["processor"] in report(written)


def test_ratios_of_slices_are_of_all_rounds_and_stand_beside_their_target() -> None:
    results: dict[str, object] = {"machine": {"processor": "p", "threads": 2, "torch": "t"}}
    for seconds in (1.5, 3.0, 3.0):
        add_readings(results, "base", "infer", "fp32", readings_of(seconds))
    told = report(results)
    assert "| BERT-base, decoding / plain encoder | fp32 | 9 | 1.50 (≤ 1.25: MISSED) |" in told
    assert "MISSED: BERT-base, decoding / plain encoder, grc: 1.5 > 1.25" in told


def test_the_share_of_a_part_is_of_the_rounds_that_tell_of_it() -> None:
    assert share({"python": [1.0, 1.0], "total": [100.0, 4.0, 4.0]}, "python") == 0.25
    assert share({"a": [1.0, 2.0], "b": [1.0, 2.0], "total": [4.0, 16.0]}, "a", "b") == 0.375


def figures(**changed: object) -> dict[str, Any]:
    """One figure of every kind that has a limit, each within it."""
    f1 = {"mean": 40.0, "std": 2.0, "seeds": 5}
    return {
        "machine": {"processor": "p", "threads": 2, "torch": "t"},
        "ratios": {},
        "batching_share": {"minilm": {"grc": 0.02}},
        "python_share": {"base": {"memory-mrc": 0.04}},
        "peak_mib": {"base": {"infer": {OWN: 100.0, "mrc": 120.0}}},
        "rest_mib": {"base": {"infer": {OWN: 60.0, "mrc": 60.0}}},
        "startup": {"import core.run.execute": 5.0, "1,000 documents prepared, cached": 0.4},
        "bf16_f1": {"fp32": f1, "bf16": f1, "difference": {"mean": -1.0, "low": -3.0, "high": 1.0}},
    } | changed


def test_every_limit_is_told_and_met() -> None:
    assert {check.name for check in checks(figures()) if not check.met} == set()
    told = report(figures())
    assert "6 of 6 measured targets are met." in told
    assert "MISSED" not in told
    assert "| 120, 1.20 (≤ 1.3) |" in told
    assert "| 60, 1.50 |" in told
    assert "-1.00 [-3.00, +1.00], within the std over seeds" in told


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({"batching_share": {"minilm": {"grc": 0.04}}}, "MiniLM, sampling and collation of a step, grc: 0.04 > 0.03"),
        ({"startup": {"import core.run.execute": 6.5}}, "import core.run.execute, seconds: 6.5 > 6"),
        (
            {"peak_mib": {"base": {"infer": {OWN: 100.0, "mrc": 131.0}}}},
            "decoding, peak memory / own encoder, mrc: 1.31",
        ),
        (
            {
                "bf16_f1": {row: {"mean": 40.0, "std": 0.5, "seeds": 5} for row in ("fp32", "bf16")}
                | {"difference": {"mean": -1.0, "low": -3.0, "high": 1.0}}
            },
            "bf16 - fp32, strict relation F1, size of the mean / std over seeds: 1 > 0.5",
        ),
    ],
)
def test_what_is_missed_is_marked_and_listed(changed: dict[str, Any], missed: str) -> None:
    told = report(figures(**changed))
    assert missed in told.partition("measured targets are met.")[2]
    assert told.count("MISSED") == 2


def test_the_difference_of_bf16_is_paired_by_seed() -> None:
    found = difference({"fp32": {0: 40.0, 1: 44.0, 2: 42.0}, "bf16": {2: 43.0, 1: 45.0, 0: 41.5}})
    assert found["fp32"] == {"mean": 42.0, "std": 2.0, "seeds": 3}
    assert found["difference"]["mean"] == pytest.approx(3.5 / 3)
    # Paired, the seeds' own spread of two points is gone: t(.975, 2) = 4.30 times .289 / sqrt(3).
    assert found["difference"]["high"] - found["difference"]["mean"] == pytest.approx(
        4.303 * 0.28868 / 3**0.5, rel=1e-3
    )
