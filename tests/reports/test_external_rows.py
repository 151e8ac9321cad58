"""Rows of another program: prediction files scored like runs, paired with them by document, and named external."""

import json
from pathlib import Path

import msgspec
import pytest

import engram
from core.data.formats.docred import encode_docred
from core.data.formats.predictions import write_predictions
from core.errors import UserError
from core.scoring.metrics import TASKS
from reports.frame import run_facts
from reports.page.documents import build_study_viewer
from reports.tables.cost import cost_table
from reports.tables.differences import differences_table
from reports.tables.results import main_table
from studies.record import StudyRecord, write_study_record
from studies.rows import Row
from tests.reports.annotated_records import made_documents, make_annotated_study, mistaken
from tests.reports.records import present, read_data


def add_theirs(study: StudyRecord, runs: Path, files: tuple[str, ...], gold: Path) -> StudyRecord:
    """The study with a row of prediction files, compared with the study's baseline, as its second row."""
    first, *rest = study.study.rows.items()
    theirs = Row(predictions=files, gold=str(gold), title="theirs", group="GRC")
    rows = dict([first, ("theirs", theirs), *rest])
    study = msgspec.structs.replace(study, study=msgspec.structs.replace(study.study, rows=rows))
    write_study_record(runs, study)
    return study


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    record = make_annotated_study(tmp_path, {"jerex-grc": 1, "memory-grc": 3})
    folder = tmp_path / record.row_runs[1].signature
    files = tuple(str(folder / f"s{seed}" / "predictions.test.jsonl") for seed in (0, 1))
    return add_theirs(record, tmp_path, files, tmp_path / "gold.json")


def test_the_files_of_a_run_score_as_the_run_did_and_differ_as_it_does(study: StudyRecord, tmp_path: Path) -> None:
    data = read_data(study, tmp_path)
    scores = data.frame.set_index(["row", "seed", "task"])["f1"]
    for task in TASKS:
        for seed in (0, 1):
            assert scores["theirs", seed, task] == pytest.approx(scores["memory-grc", seed, task])
    assert list(dict.fromkeys(data.frame["row"])) == ["jerex-grc", "theirs", "memory-grc"]
    compared = data.compared.set_index(["row", "task"])
    for name in ("delta", "n", "low_all", "high_all", "documents"):
        assert compared.loc[("theirs", "entity"), name] == compared.loc[("memory-grc", "entity"), name]
    assert compared.loc[("theirs", "entity"), "documents"] == 6
    assert compared.loc[("theirs", "entity"), "delta"] > 0


def test_tables_and_viewer_call_it_external_and_it_has_no_cost(study: StudyRecord, tmp_path: Path) -> None:
    data = read_data(study, tmp_path)
    table = main_table(data)
    assert "theirs (external)" in [line.cells[0] for line in table.lines]
    assert not any("without a score" in note for note in table.notes)
    note = next(note for note in table.notes if "theirs" in note)
    assert "2 prediction files of another program, scored on gold.json" in note
    assert any("theirs (external)" in str(line.cells[0]) for line in present(differences_table(data)).lines)
    assert [line.row for line in cost_table(data).lines] == ["jerex-grc", "memory-grc"]
    viewer = build_study_viewer(data, max_documents=3)
    assert viewer is not None
    assert any("theirs (external)" in system["name"] for system in viewer.data["systems"])


def test_other_gold_is_scored_but_never_compared(tmp_path: Path) -> None:
    documents = made_documents(4)
    (tmp_path / "fewer.json").write_bytes(encode_docred(documents))
    write_predictions([(one, mistaken(one, 0)) for one in documents], tmp_path / "fewer.jsonl")
    other = add_theirs(
        make_annotated_study(tmp_path, {"jerex-grc": 1}),
        tmp_path,
        (str(tmp_path / "fewer.jsonl"),),
        tmp_path / "fewer.json",
    )
    data = read_data(other, tmp_path)
    assert data.frame[data.frame["row"] == "theirs"]["f1"].eq(100.0).all()
    line = data.compared.set_index(["row", "task"]).loc[("theirs", "entity")]
    assert (line["n"], line["unlike"]) == (0, "0")
    notes = present(differences_table(data)).notes
    assert any("theirs" in note and "do not mean the same documents" in note for note in notes)


def test_an_external_row_may_be_the_baseline_and_may_be_of_jerex_form(tmp_path: Path) -> None:
    record = make_annotated_study(tmp_path, {"jerex-grc": 1})
    form = [
        {
            "tokens": list(one.tokens),
            "mentions": [{"start": start, "end": end} for start, end in gold.mentions],
            "entities": [
                {"type": entity.type, "mentions": [gold.mentions.index(span) for span in entity.mentions]}
                for entity in gold.entities
            ],
            "relations": [{"head": r.head, "tail": r.tail, "type": r.type} for r in gold.relations],
        }
        for one in made_documents(6)
        if (gold := mistaken(one, 0))
    ]
    (tmp_path / "predictions.json").write_text(json.dumps(form))
    study = add_theirs(record, tmp_path, (str(tmp_path / "predictions.json"),), tmp_path / "gold.json")
    study = msgspec.structs.replace(study, study=msgspec.structs.replace(study.study, baseline="theirs"))
    data = read_data(study, tmp_path)
    line = data.compared.set_index(["row", "task"]).loc[("jerex-grc", "mention")]
    assert (line["baseline"], line["n"], line["seeds"], line["left_out"]) == ("theirs", 1, "0", "1")
    assert line["delta"] < 0


@pytest.mark.parametrize("fault", ["missing", "other"])
def test_a_missing_or_unlike_file_is_one_line_that_names_it(
    tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = make_annotated_study(tmp_path, {"jerex-grc": 1})
    path = tmp_path / f"{fault}.jsonl"
    if fault == "other":
        write_predictions([(one, mistaken(one, 0)) for one in made_documents(2)], path)
    add_theirs(record, tmp_path, (str(path),), tmp_path / "gold.json")
    assert engram.main(["report", "made", "--runs", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    assert str(path) in line


def test_compare_takes_an_external_row(study: StudyRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engram.main(["compare", "made:theirs", "made:memory-grc", "--runs", str(tmp_path)]) == 0
    assert "0.00 | " in capsys.readouterr().out
    assert run_facts(read_data(study, tmp_path).frame).set_index("row").loc["theirs", "status"].eq("external").all()
    with pytest.raises(UserError, match="has no row 'them': its rows are jerex-grc"):
        engram.run_verb(["compare", "made:them", "made:memory-grc", "--runs", str(tmp_path)])
