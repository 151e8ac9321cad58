"""The tables of an appendix and of ablations: every setting, what rows change, what they cost in all."""

import json
from pathlib import Path

import msgspec
import pytest

from core.config.presets import build
from core.config.schema import NEUTRAL, RunConfig
from core.config.signature import read_markers
from core.records.record import RECORD
from core.records.summary import RunSummary, read_summary
from reports.baseline_differences import comparisons
from reports.frame import StudyResults, load
from reports.tables.layout import Table, Value
from reports.tables.markdown import to_markdown
from reports.tables.results import ablation_table
from reports.tables.settings import resolved, settings_table
from studies.record import StudyRecord
from studies.study import Row
from tests.reports.records import make_study

LADDER = {
    "jerex": Row("jerex-grc", title="JEREX"),
    "heads": Row("memory-grc", {"memory": {"read_mode": "none"}}, title="+ heads"),
    "read": Row("memory-grc", title="+ read", baseline="heads"),
}
SEEDS = {"jerex": {0: 38.0, 1: 39.0}, "heads": {0: 40.0, 1: 40.0}, "read": {0: 39.0, 1: 42.0}}


def loaded_of(runs: Path) -> tuple[StudyRecord, StudyResults]:
    study = make_study(runs, SEEDS, rows=LADDER)
    for number, name in ((1, "none"), (2, "inverse")):
        for seed in (0, 1):
            path = runs / f"{number:012x}" / f"s{seed}" / RECORD
            record = json.loads(path.read_text())
            record["config"]["memory"]["read_mode"] = name
            path.write_text(json.dumps(record))
    return study, load(study, runs)


def lines_of(table: Table) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for line in table.lines:
        name, *told = (cell if isinstance(cell, str) else str(cell.number) for cell in line.cells)
        found.setdefault(name, []).append(told)
    return found


def test_every_setting_that_can_change_a_number_stands_once_per_value(tmp_path: Path) -> None:
    study, loaded = loaded_of(tmp_path)
    lines = lines_of(settings_table(study, loaded.frame, loaded.configs))
    assert lines["training.lr"] == [["5e-05", "all"]]
    assert lines["memory.read_mode"] == [["none", "+ heads"], ["inverse", "+ read"]]
    assert lines["memory.warmup"] == [["0.4", "all with memory"]]
    assert lines["memory"] == [["none", "JEREX"]]
    assert lines["data.train"] == [[f"train.json ({'1' * 12})", "all"]]
    neutral = {name for name in RunConfig.model_fields if NEUTRAL in read_markers(RunConfig, name)}
    assert neutral == {"preset", "profile"}
    assert not lines.keys() & {*neutral, "seed", "runtime.threads", "tracking.wandb", "training.keep", "data.name"}


def test_settings_without_effect_are_left_out_and_old_records_have_defaults() -> None:
    scratch = build("jerex-grc", profile="quick").model_dump(mode="json")
    del scratch["training"]["select_from"]
    told = dict(resolved(scratch, {}))
    assert told["training.select_from"] == "0"
    assert "encoder.scratch.width" in told
    assert "encoder.pretrained" not in told
    other = dict(resolved(build("jerex-grc", profile="paper").model_dump(mode="json"), {}))
    assert "encoder.scratch.width" not in other
    assert other["encoder.pretrained"] == "on"


def test_an_ablation_compares_each_row_with_the_row_that_it_names(tmp_path: Path) -> None:
    study, loaded = loaded_of(tmp_path)
    table = ablation_table(study, loaded.frame, comparisons(study, loaded.frame))
    jerex, _, read = table.lines
    assert [line.cells[1] for line in table.lines] == ["–", "JEREX", "+ heads"]
    assert [cell.missing for cell in jerex.cells[3:] if isinstance(cell, Value)] == [True] * 4
    # Differences to `heads`: -1 and 2, mean .5, std 2.12; t(1; .975) = 12.706.
    assert isinstance(read.cells[3], Value)
    assert (read.cells[3].number, round(read.cells[3].low, 2)) == (0.5, -18.56)
    assert "+1.50 [-4.85, +7.85]" in to_markdown(table)
    assert "All are compared with" not in " ".join(table.caption)


def test_baselines_of_another_group_are_named_with_it(tmp_path: Path) -> None:
    rows = {
        "a": Row("jerex-grc", title="JEREX", group="matched"),
        "b": Row("jerex-grc", title="JEREX", group="100 pairs"),
        "c": Row("memory-grc", title="memory", group="100 pairs", baseline="b"),
    }
    study = make_study(tmp_path, {row: {0: 38.0, 1: 39.0} for row in rows}, rows=rows)
    loaded = load(study, tmp_path)
    table = ablation_table(study, loaded.frame, comparisons(study, loaded.frame))
    assert [line.cells[1] for line in table.lines] == ["–", "JEREX (matched)", "JEREX"]


def test_each_record_is_read_once_though_two_rows_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(tmp_path, SEEDS, rows=LADDER)
    first = study.row_runs[0]
    shared = [first, msgspec.structs.replace(first, row="heads"), study.row_runs[2]]
    study = msgspec.structs.replace(study, row_runs=shared)
    read: list[Path] = []

    def counting(folder: Path) -> RunSummary:
        read.append(folder)
        return read_summary(folder)

    monkeypatch.setattr("reports.frame.read_summary", counting)
    loaded = load(study, tmp_path)
    assert len(read) == len(set(read)) == 4
    assert loaded.frame["f1"].notna().all()
    assert loaded.configs["heads"] == loaded.configs["jerex"] != loaded.configs["read"]
