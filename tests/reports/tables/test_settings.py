"""Settings table: every setting that can change a number."""

import json
from pathlib import Path

from core.config.presets import build
from core.config.schema import RunConfig
from core.config.section import NEUTRAL
from core.config.signature import read_markers
from core.records.record import RECORD
from reports.captions import read_config
from reports.frame import ReportData, load_study
from reports.tables.layout import Table
from reports.tables.settings import settings_table, write_settings
from studies.rows import Row
from tests.reports.records import make_study, present

LADDER = {
    "jerex": Row("jerex-grc", title="JEREX"),
    "heads": Row("memory-grc", {"memory": {"read_mode": "none"}}, title="+ heads"),
    "read": Row("memory-grc", title="+ read", baseline="heads"),
}
SEEDS = {"jerex": {0: 38.0, 1: 39.0}, "heads": {0: 40.0, 1: 40.0}, "read": {0: 39.0, 1: 42.0}}


def ladder_data(runs: Path) -> ReportData:
    study = make_study(runs, SEEDS, rows=LADDER)
    for number, name in ((1, "none"), (2, "inverse")):
        for seed in (0, 1):
            path = runs / f"{number:012x}" / f"s{seed}" / RECORD
            record = json.loads(path.read_text())
            record["config"]["memory"]["read_mode"] = name
            path.write_text(json.dumps(record))
    return load_study(study, runs)


def lines_of(table: Table) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for line in table.lines:
        name, *cells = (cell if isinstance(cell, str) else str(cell.number) for cell in line.cells)
        found.setdefault(name, []).append(cells)
    return found


def test_every_setting_that_can_change_a_number_stands_once_per_value(tmp_path: Path) -> None:
    lines = lines_of(present(settings_table(ladder_data(tmp_path))))
    assert lines["training.lr"] == [["5e-05", "all"]]
    assert lines["memory.read_mode"] == [["none", "+ heads"], ["inverse", "+ read"]]
    assert lines["memory.warmup"] == [["0.4", "+ read"]]
    assert lines["memory.slots_per_type"] == [["1", "all with memory"]]
    assert lines["memory"] == [["none", "JEREX"]]
    assert lines["data.train"] == [[f"train.json ({'1' * 12})", "all"]]
    neutral = {name for name in RunConfig.model_fields if NEUTRAL in read_markers(RunConfig, name)}
    assert neutral == {"preset", "profile"}
    assert not lines.keys() & {*neutral, "seed", "runtime.threads", "tracking.wandb", "training.keep", "data.name"}


def test_settings_without_effect_are_left_out_and_old_records_have_defaults() -> None:
    scratch = build("jerex-grc", profile="quick").model_dump(mode="json")
    del scratch["training"]["select_from"]
    scratch["training"]["added_in_a_later_release"] = 1
    settings = dict(write_settings(read_config(scratch, "jerex"), {}))
    assert settings["training.select_from"] == "0"
    assert "encoder.scratch.width" in settings
    assert "encoder.pretrained" not in settings
    other = dict(write_settings(build("jerex-grc", profile="paper"), {}))
    assert "encoder.scratch.width" not in other
    assert other["encoder.pretrained"] == "on"
