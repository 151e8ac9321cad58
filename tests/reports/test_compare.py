"""`engram compare`: runs, cells, rows and files on the same gold, with every number checked by hand."""

import json
from pathlib import Path

import msgspec
import pytest

import engram
from core.errors import UserError
from core.scoring.metrics import TASKS, DocumentCounts, TypeCounts
from reports.compare import f1_table, further_measures_table, pair_systems
from reports.compare_details import document_differences_table, type_differences_table
from reports.compare_inputs import ComparedSystem, read_system
from tests.reports.records import make_run, make_study


def counted(*right: int, gold: int = 10) -> list[DocumentCounts]:
    """A document per number: so many of its ten items are right, of type P1 for even documents, else P2."""
    return [
        DocumentCounts(
            f"document {place}", {task: {f"P{1 + place % 2}": TypeCounts(tp, 0, gold - tp)} for task in TASKS}
        )
        for place, tp in enumerate(right)
    ]


A = ComparedSystem("a", {0: counted(5, 5, 5, 5), 1: counted(5, 5, 5, 9), 2: counted(1, 1, 1, 1)})
B = ComparedSystem("b", {0: counted(6, 5, 6, 5), 1: counted(6, 5, 6, 9)})


def store(folder: Path, counts: list[DocumentCounts]) -> None:
    (folder / "documents.test.json").write_bytes(msgspec.json.encode(counts))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 41.0}})
    for row, side in enumerate((A, B)):
        for seed in (0, 1):
            store(tmp_path / f"{row:012x}" / f"s{seed}", side.counts[seed])
    return tmp_path


def test_scores_are_micro_f1_paired_on_shared_seeds() -> None:
    one, other = pair_systems(A, B)
    assert list(one.counts) == [0, 1]
    data = f1_table(one, other, resamples=500).data.set_index("task")
    line = data.loc["relation_strict"]
    # Without false positives F1 = 2 tp / (tp + gold): a 40/60, 48/64; b 44/62, 52/66.
    assert line["a"] == pytest.approx((100 * 40 / 60 + 100 * 48 / 64) / 2)
    assert line["delta"] == pytest.approx((100 * (44 / 62 - 40 / 60) + 100 * (52 / 66 - 48 / 64)) / 2)
    assert line["p_sign_flip"] == 0.5
    assert line["low_all"] <= line["delta"] <= line["high_all"]


def test_json_has_the_numbers_of_the_tables_and_nothing_else(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references = [f"made:{row}" for row in ("jerex-grc", "memory-grc")]
    assert engram.main(["compare", *references, "--runs", str(runs), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["b"], content["split"], content["n"]) == ("made@paper:memory-grc", "test", 2)
    strict = {line["task"]: line for line in content["tasks"]}["relation_strict"]
    assert strict["a"] == pytest.approx((100 * 40 / 60 + 100 * 48 / 64) / 2, abs=1e-9)
    assert {"further", "types", "documents"} <= content.keys()
    assert len(content["documents"]) == 4, "all documents, also those that are equal"


def test_where_they_differ_is_listed_largest_first() -> None:
    one, other = pair_systems(A, B)
    types = type_differences_table(one, other)
    # Only even documents, which hold P1, differ: 20 of 40 right against 24 of 40.
    assert [line.cells[0] for line in types.lines] == ["P1"]
    assert types.data.iloc[0]["a"] == pytest.approx(100 * 40 / 60)
    assert types.data.iloc[0]["b"] == pytest.approx(100 * 48 / 64)
    assert types.data.iloc[0]["gold"] == 20
    documents = document_differences_table(one, other)
    assert [line.cells[0] for line in documents.lines] == ["document 0", "document 2"]
    assert documents.data.iloc[0]["delta"] == 1.0


def test_types_have_the_names_that_a_record_of_either_has(runs: Path) -> None:
    changes = {"preset": "memory-grc", "type_names": {"relation": {"P1": "spouse"}}}
    make_run(runs, f"{1:012x}", 1, f1=41.0, **changes)
    systems = (read_system(f"{row:012x}", runs=runs, split="test", gold=None) for row in (0, 1))
    types = type_differences_table(*systems)
    assert [line.cells[0] for line in types.lines] == ["spouse"]


def test_two_single_runs_are_one_pair_whatever_their_seeds() -> None:
    one, other = pair_systems(ComparedSystem("a", {3: counted(5, 5)}), ComparedSystem("b", {7: counted(5, 6)}))
    table = f1_table(one, other, resamples=200)
    assert table.data["n"].tolist() == [1] * len(TASKS)
    assert "nothing is known about other seeds" in table.notes[0]


def test_sides_without_a_shared_seed_are_refused() -> None:
    with pytest.raises(UserError, match=r"share no seed: .* paired by seed"):
        pair_systems(
            ComparedSystem("a", {0: counted(5), 1: counted(5)}), ComparedSystem("b", {2: counted(5), 3: counted(5)})
        )


def test_further_measures_are_those_that_both_sides_know_at_every_seed() -> None:
    extra = {"coreference": {"muc": {"f1": 50.0}}, "ign": {"f1": 10.0}}
    a = ComparedSystem("a", {0: counted(5, 5), 1: counted(5, 5)}, {0: extra, 1: extra})
    b = ComparedSystem(
        "b", {0: counted(6, 5), 1: counted(6, 5)}, {0: {**extra, "coreference": {"muc": {"f1": 53.0}}}, 1: extra}
    )
    data = further_measures_table(a, b).data.set_index("measure")
    assert data.loc["MUC F1", "delta"] == 1.5
    assert data.loc["strict relation recall", "delta"] == pytest.approx(5.0)
    assert data.loc["relation Ign-F1", "a"] == 10.0
    assert "B³ F1" not in data.index
    assert (
        "relation Ign-F1"
        not in further_measures_table(a, ComparedSystem("b", b.counts, {0: extra, 1: {}})).data["measure"].tolist()
    )


def test_other_gold_is_refused() -> None:
    one, other = pair_systems(ComparedSystem("a", {0: counted(5, 5)}), ComparedSystem("b", {0: counted(5, 5, gold=11)}))
    with pytest.raises(UserError, match="same gold"):
        f1_table(one, other)


@pytest.mark.parametrize(
    ("reference", "label", "seeds"),
    [
        ("000000000001", "000000000001", [0, 1]),
        ("000000000001-s1", "000000000001-s1", [1]),
        ("made:memory-grc", "made@paper:memory-grc", [0, 1]),
    ],
)
def test_a_reference_is_a_cell_a_run_or_a_row(runs: Path, reference: str, label: str, seeds: list[int]) -> None:
    (runs / "000000000001" / "s1" / "config.yaml").write_text("")
    side = read_system(reference, runs=runs, split="test", gold=None)
    assert (side.label, list(side.counts)) == (label, seeds)
    assert side.counts[1] == B.counts[1]


def test_runs_that_are_not_finished_do_not_count(runs: Path) -> None:
    make_run(runs, f"{1:012x}", 0, status="failed")
    assert list(read_system("000000000001", runs=runs, split="test", gold=None).counts) == [1]
    make_run(runs, f"{1:012x}", 1, status="failed")
    with pytest.raises(UserError, match="no finished run"):
        read_system("000000000001", runs=runs, split="test", gold=None)


def test_mistakes_are_plain_lines(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = runs / "predictions.jsonl"
    predictions.write_text("{}")
    messages = {
        "made:nothing": "has no row 'nothing': its rows are jerex-grc, memory-grc",
        str(predictions): "--gold FILE",
        "ffff": "no run 'ffff'",
    }
    for reference, words in messages.items():
        assert engram.main(["compare", "000000000000", reference, "--runs", str(runs)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert words in err
    assert engram.main(["compare", "000000000000", "000000000001", "--runs", str(runs), "--split", "dev"]) == 2
    assert "documents.dev.json is not there" in capsys.readouterr().err


def test_a_prediction_file_against_a_run_and_tables_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {
        "title": "One",
        "sents": [["Ada", "works", "for", "Acme", "."]],
        "vertexSet": [
            [{"name": "Ada", "pos": [0, 1], "sent_id": 0, "type": "PER"}],
            [{"name": "Acme", "pos": [3, 4], "sent_id": 0, "type": "ORG"}],
        ],
        "labels": [{"h": 0, "t": 1, "r": "P108", "evidence": []}],
    }
    gold, all_right, none = tmp_path / "gold.json", tmp_path / "right.jsonl", tmp_path / "none.jsonl"
    gold.write_text(json.dumps([document]))
    tokens = document["sents"][0]  # type: ignore[index]
    entities = [{"type": "PER", "mentions": [0]}, {"type": "ORG", "mentions": [1]}]
    mentions = [{"start": 0, "end": 1}, {"start": 3, "end": 4}]
    relations = [{"type": "P108", "head": 0, "tail": 1}]
    line = {"tokens": tokens, "mentions": mentions, "entities": entities, "relations": relations}
    all_right.write_text(json.dumps(line) + "\n")
    none.write_text(json.dumps({**line, "mentions": [], "entities": [], "relations": []}) + "\n")
    arguments = ["compare", str(none), str(all_right), "--gold", str(gold), "--out", str(tmp_path / "out")]
    assert engram.main(arguments) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    strict = next(line for line in out.splitlines() if line.startswith("| strict relation"))
    assert [cell.strip() for cell in strict.split("|")][2:5] == ["0.00", "100.00", "+100.00"]
    assert "| P108" in out
    names = sorted(path.name for path in (tmp_path / "out").glob("*.csv"))
    assert names == [
        "compare-distances.csv",
        "compare-documents.csv",
        "compare-further.csv",
        "compare-types.csv",
        "compare.csv",
    ]
    assert "| Within a sentence" in out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert '<option value="1" selected>B: right.jsonl</option>' in page
