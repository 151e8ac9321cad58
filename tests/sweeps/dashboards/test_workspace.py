"""Workspace and report of a study in W&B: what is in them, made once, and the same ones after a change."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest

import engram
from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from studies.plan import plan
from studies.record import StudyRecord, study_folder, write_study_record
from studies.study import find_study
from sweeps.dashboards import workspace
from sweeps.dashboards.workspace import axis_panels, hash_view
from tests.wandb_stand_in import KEY, StandIn, serving

FILES = {
    "answer.md": "The memory helps by 2.3 points.",
    "table.md": "| row | F1 |\n|---|---|\n| memory-grc | 40.0 |",
    "comparisons.md": "| row | difference |\n|---|---|",
    "table.tex": "\\begin{tabular}{lS}\\end{tabular}",
}


def write_report(folder: Path) -> None:
    """The files of `engram report`, as they are after the records."""
    (folder / "report").mkdir(exist_ok=True)
    for name, text in FILES.items():
        (folder / "report" / name).write_text(text)


def sync(runs: Path, *words: str) -> int:
    return engram.main(["study", "sync", "made", "--runs", str(runs), *words])


def stored(runs: Path, kind: str) -> Any:
    return json.loads((runs / "studies" / "made@quick" / "wandb" / f"{kind}.json").read_text())


def views(server: StandIn) -> list[tuple[str, dict[str, Any]]]:
    return [(name, variables) for name, variables in server.operations if name in ("UpsertView2", "upsertView")]


def test_views_are_kept_offline_and_choose_runs_by_the_ids_of_the_plan(
    study: StudyRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(study_folder(tmp_path, study.label))
    assert sync(tmp_path, "--wandb", "offline") == 0
    assert f"report: {tmp_path}/studies/made@quick/wandb/report.json" in capsys.readouterr().out
    ids = [run_id for row in study.row_runs for run_id in row.runs.values()]
    chosen = [{"key": {"section": "config", "name": "run_id"}, "op": "IN", "value": ids, "disabled": False}]
    section = stored(tmp_path, "workspace")["spec"]["section"]
    (runset,) = section["runSets"]
    assert runset["filters"]["filters"] == chosen
    assert runset["grouping"] == [{"section": "config", "name": "row.value"}]
    assert runset["runFeed"]["columnPinned"]["summary:test/relation_strict/f1"] is True
    made = {part["name"]: part["panels"] for part in section["panelBankConfig"]["sections"] if part["panels"]}
    assert list(made) == ["Validation curves", "Final F1 on test", "Training"]
    line, bar = made["Validation curves"][0]["config"], made["Final F1 on test"][0]["config"]
    assert (line["metrics"], line["groupBy"], line["groupArea"]) == (["validation/mention/f1"], "row.value", "stddev")
    assert (bar["metrics"], bar["groupArea"]) == (["summary_metrics.test/mention/f1"], "stderr")
    blocks = stored(tmp_path, "report")["spec"]["blocks"]
    assert [block["content"] for block in blocks if block["type"] == "markdown-block"] == [
        FILES["answer.md"],
        FILES["table.md"],
        FILES["comparisons.md"],
    ]
    (grid,) = (block for block in blocks if block["type"] == "panel-grid")
    assert grid["metadata"]["runSets"][0]["filters"]["filters"] == chosen
    assert "tabular" in json.dumps(blocks[-2])


def test_the_same_two_views_are_made_once_and_updated(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = study_folder(tmp_path, study.label)
    write_report(folder)
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        assert sync(tmp_path) == 0, capsys.readouterr().err
        first = views(server)
        assert [name for name, _ in first] == ["UpsertView2", "upsertView"]
        assert [variables.get("id") for _, variables in first] == [None, None]
        out = capsys.readouterr().out
        assert f"workspace: {server.address}/team/engram?nw=" in out
        assert "/team/engram/reports/Study-made@quick--" in out
        assert sync(tmp_path) == 0
        assert len(views(server)) == 2, "nothing has changed"
        ids = {row.row: row.runs | {3: f"{row.signature}-s3"} for row in study.row_runs}
        grown = [msgspec.structs.replace(row, runs=ids[row.row]) for row in study.row_runs]
        write_study_record(tmp_path, msgspec.structs.replace(study, row_runs=grown))
        (folder / "report" / "answer.md").write_text("It does not.")
        assert sync(tmp_path) == 0
        _, _, *later = views(server)
        kept = json.loads((folder / "wandb" / "views.json").read_text())
        assert [variables["id"] for _, variables in later] == [kept["workspace"]["id"], kept["report"]["id"]]
        assert later[0][1]["name"] == first[0][1]["name"]
        assert "It does not." in later[1][1]["spec"]
        assert kept["workspace"]["url"] in later[1][1]["spec"], "the report leads to the workspace"
        assert server.refused == []


def test_a_report_that_is_older_than_the_records_is_not_sent(
    study: StudyRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(study_folder(tmp_path, study.label))
    os.utime(study_folder(tmp_path, study.label) / "report" / "table.md", (0, 0))
    assert sync(tmp_path, "--wandb", "offline") == 0
    out, err = capsys.readouterr()
    assert "the report for W&B needs `engram report made@quick` first" in err
    assert "workspace: " in out
    assert "report: " not in out


def test_without_the_extra_there_are_no_views_and_one_sentence(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workspace, "find_spec", lambda name: None)
    assert sync(tmp_path, "--wandb", "offline") == 0
    missing = "W&B gets no workspace and no report: run pip install 'engram[workspaces]' first\n"
    assert capsys.readouterr().err == missing


def test_random_ids_make_no_other_view() -> None:
    one = '{"panels": [{"__id__": "a", "id": "b", "key": "f1"}]}'
    assert hash_view(one) == hash_view(one.replace('"a"', '"c"').replace('"b"', '"d"'))
    assert hash_view(one) != hash_view(one.replace("f1", "f2"))


def test_axes_stand_against_the_score_that_answers_the_question(tmp_path: Path) -> None:
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    settings = {"data": {"name": None, "train": str(path), "test": str(path)}}
    planned = plan(find_study("warmup"), profile="quick", runs=tmp_path, settings=settings)
    with warnings.catch_warnings(action="ignore"):  # W&B's client calls its own deprecated functions
        parallel, importance = (panel._to_model().model_dump(by_alias=True) for panel in axis_panels(planned.record))
    columns = [column["accessor"] for column in parallel["config"]["columns"]]
    assert columns == ["config:memory.value.warmup", "summary:validation/relation_strict/f1"]
    assert importance["config"]["targetKey"] == "validation/relation_strict/f1"
