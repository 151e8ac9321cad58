"""The runs of a plan, and rows that differ in more than their study declares: found whatever the setting."""

import dataclasses
import re
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.config.presets import merge
from core.config.schema import RunConfig
from core.config.signature import signature
from core.errors import UserError
from studies.axes import Axis
from studies.plan import Plan, differences, plan, refuse_undeclared, undeclared, undeclared_lines
from studies.rows import Base, Row
from studies.study import SEEDS, Study, find_study, shipped_studies
from tests.settings import Setting, alternatives, every_setting
from tests.studies.planning import made

STUDIES = {name: study for name, study in shipped_studies().items() if len(study.rows) > 1}
SETTINGS = [
    setting
    for setting in every_setting()
    # Which documents is tried apart; seed, preset and profile are no settings of a row.
    if not setting.path.startswith("data.") and setting.path not in ("seed", "preset", "profile")
]


def test_the_six_systems_differ_in_relation_head_and_memory_alone(documents: dict) -> None:
    planned = plan(find_study("paper"), profile="quick", runs=Path("runs"), settings=documents)
    configs = {run.row: run.config for run in planned.runs if run.seed == 0}
    assert list(configs) == [
        f"{system}-{head}" for head in ("grc", "mrc") for system in ("jerex", "memory", "residual")
    ]
    reference = configs["jerex-grc"]
    found = {row: differences(reference, config) for row, config in configs.items()}
    assert found["jerex-grc"] == {}
    assert found["jerex-mrc"] == {"model.relation_head": ("grc", "mrc")}
    assert found["memory-grc"].keys() == {"memory"}
    assert found["memory-grc"]["memory"][0] is None
    for system in ("memory", "residual"):
        assert found[f"{system}-mrc"].keys() == {"memory", "model.relation_head"}
        assert found[f"{system}-mrc"]["memory"] == found[f"{system}-grc"]["memory"]


def test_runs_come_seed_by_seed_with_one_signature_per_row(documents: dict) -> None:
    planned = plan(find_study("paper"), profile="quick", runs=Path("runs"), settings=documents)
    assert len(planned.runs) == 6 * len(SEEDS)
    assert [run.seed for run in planned.runs] == [seed for seed in SEEDS for _ in range(6)]
    assert len({run.run_id for run in planned.runs}) == 30
    for row in planned.record.row_runs:
        assert list(row.runs.values()) == [f"{row.signature}-s{seed}" for seed in SEEDS]
    assert all(run.folder == Path("runs") / run.run_id.split("-")[0] / f"s{run.seed}" for run in planned.runs)


def test_rows_with_the_same_runs_are_computed_once(documents: dict) -> None:
    rows = {
        "one": Row(preset="jerex-grc"),
        "same": Row(preset="jerex-mrc", settings={"model": {"relation_head": "grc"}}),
        "other": Row(preset="jerex-mrc"),
    }
    study = Study(question="?", rows=rows, baseline="one", name="mine")
    planned = plan(study, profile="quick", runs=Path("runs"), seeds=[0, 7], settings=documents)
    assert [(run.row, run.seed) for run in planned.runs] == [("one", 0), ("other", 0), ("one", 7), ("other", 7)]
    rows = {row.row: row for row in planned.record.row_runs}
    assert rows["one"].runs == rows["same"].runs
    assert rows["same"].signature == rows["one"].signature != rows["other"].signature


def test_memory_flags_reach_the_rows_that_have_a_memory(documents: dict) -> None:
    flags = documents | {"memory": {"slot_width": "96"}, "training": {"epochs": "2"}}
    planned = plan(find_study("paper"), profile="quick", runs=Path("runs"), seeds=[0], settings=flags)
    memories = {run.row: run.config.memory for run in planned.runs}
    assert memories["jerex-grc"] is None
    assert memories["memory-grc"] is not None
    assert memories["memory-grc"].slot_width == 96
    assert {run.config.training.epochs for run in planned.runs} == {2}


def test_every_shipped_study_plans(documents: dict) -> None:
    for name, study in shipped_studies().items():
        assert study.name == name
        assert plan(study, profile="quick", runs=Path("runs"), settings=documents).runs


def changed_in(config: RunConfig, setting: Setting) -> list[RunConfig]:
    """The config with another value of a setting, where it has its section."""
    if setting.path.startswith("memory.") and config.memory is None:
        return []
    return list(islice(alternatives(config, setting), 1))


@pytest.mark.parametrize("name", STUDIES)
def test_any_one_setting_of_one_row_that_changes_a_number_is_found(documents: dict, name: str) -> None:
    study = STUDIES[name]
    planned = plan(study, profile="quick", runs=Path("runs"), settings=documents)
    found, unchanged = set(), set()
    for row in [row for row in planned.configs if study.row_baselines(row)][-1:]:
        for setting in SETTINGS:
            for config in changed_in(planned.configs[row], setting):
                after = dataclasses.replace(planned, configs=planned.configs | {row: config})
                is_declared = any(f"{setting.path}.".startswith(f"{path}.") for path in study.varies)
                if is_declared or signature(config) == signature(planned.configs[row]):
                    assert undeclared(after) == {}, setting.path
                    unchanged.add(setting.path)
                    continue
                # The row itself, and the rows that are compared with it.
                pairs = undeclared(after).keys()
                assert {(row, baseline) for baseline in study.row_baselines(row)} <= pairs, setting.path
                assert all(row in pair for pair in pairs)
                with pytest.raises(UserError, match=rf"row {re.escape(row)} differs .*{setting.path}"):
                    refuse_undeclared(after)
                found.add(setting.path)
    neutral = {setting.path for setting in SETTINGS if setting.marks == {"neutral"}}
    assert neutral <= unchanged
    assert not neutral & found
    assert {"loss.entity", "model.dropout", "training.lr", "samples.neg_relations", "inference.max_mentions"} <= found


@pytest.mark.parametrize("name", STUDIES)
def test_a_row_on_other_documents_is_found(documents: dict, name: str) -> None:
    study = STUDIES[name]
    row = next(row for row in study.rows if study.row_baselines(row))
    for part in ("train", "test", "validation", "types"):
        other = documents["data"]["test" if part == "train" else "train"]
        # Flags stand over rows, so that the files of this row have to be its own alone.
        flags = {"data": {key: value for key, value in documents["data"].items() if key in ("name",)}}
        rows = {
            key: nested_data(one, documents, {part: other} if key == row else {}) for key, one in study.rows.items()
        }
        found = plan(msgspec.structs.replace(study, rows=rows), profile="quick", runs=Path("runs"), settings=flags)
        rest = undeclared(found)
        assert {(row, baseline) for baseline in study.row_baselines(row)} <= rest.keys(), part
        assert all(row in pair for pair in rest)


def nested_data(row: Row, documents: dict, more: dict[str, str]) -> Row:
    files = {key: value for key, value in documents["data"].items() if key != "name"}
    return msgspec.structs.replace(row, settings=merge(row.settings, {"data": files | more | {"name": None}}))


def test_shipped_studies_say_all_in_which_their_rows_differ(documents: dict) -> None:
    for study in STUDIES.values():
        assert study.varies, f"{study.name} does not say in what its rows may differ"
        assert undeclared_lines(plan(study, profile="quick", runs=Path("runs"), settings=documents)) == []


def test_what_varies_is_all_that_may_differ(documents: dict) -> None:
    rows = {
        "a": Row(preset="jerex-grc"),
        "b": Row(preset="memory-grc"),
        "c": Row(preset="memory-mrc", settings={"samples": {"neg_corefs": 100}}),
        "d": Row(preset="memory-mrc", baseline="c", settings={"samples": {"neg_corefs": 100}, "loss": {"entity": 1}}),
    }
    found = undeclared(made(rows, documents, varies=("memory", "loss.entity")))
    assert found == {("c", "a"): {"model.relation_head": ("grc", "mrc"), "samples.neg_corefs": (40, 100)}}
    [line] = undeclared_lines(made(rows, documents, varies=("memory", "loss", "model")))
    assert line.startswith("row c differs from a in more than the study declares: samples.neg_corefs 100, not 40:")


def test_the_name_of_a_section_covers_what_is_in_it_not_what_begins_alike(documents: dict) -> None:
    rows = {"a": Row("memory-grc"), "b": Row("memory-grc", settings={"training": {"lr_warmup": 0.5}})}
    assert undeclared(made(rows, documents, varies=("training",))) == {}
    assert undeclared(made(rows, documents, varies=("training.lr",))) == {
        ("b", "a"): {"training.lr_warmup": (0.1, 0.5)}
    }


def test_without_varies_rows_say_what_they_change_and_baselines_do_not(documents: dict) -> None:
    rows = {
        "a": Row(preset="jerex-grc", settings={"training": {"epochs": 9}}),
        "b": Row(preset="memory-mrc", settings={"loss": {"entity": 1.0}}),
        "c": Row(preset="memory-mrc", settings={"training": {"epochs": 9}}),
    }
    assert undeclared(made(rows, documents)) == {("b", "a"): {"training.epochs": (9, 4)}}


def test_without_varies_a_product_says_its_axes_and_not_its_base(documents: dict) -> None:
    found: Plan = made(
        {"a": Row(preset="jerex-grc")},
        documents,
        base=Base(preset="memory-grc", settings={"training": {"epochs": 9}}),
        axes=("warmup", Axis(name="lr", path="training.lr", values=(1e-3, 1e-4))),
    )
    assert len(undeclared(found)) == 14
    assert all(rest == {"training.epochs": (4, 9)} for rest in undeclared(found).values())


def test_what_another_setting_switches_off_is_no_difference(documents: dict, tmp_path: Path) -> None:
    train, copy = Path(documents["data"]["train"]), tmp_path / "copy.json"
    copy.write_bytes(train.read_bytes())
    idle: dict[str, Any] = {
        "encoder": {"pretrained": False},
        "memory": {"read_mode": "none", "ramp": 0.3, "slot_logit": "logsumexp"},
        "runtime": {"threads": 2},
    }
    rows = {"a": Row("memory-grc", settings={"memory": {"read_mode": "none"}}), "b": Row("memory-grc", settings=idle)}
    assert undeclared(made(rows, documents, varies=("loss",))) == {}
    rows = {
        name: nested_data(Row("jerex-grc"), documents, {"train": str(path)})
        for name, path in (("a", train), ("b", copy))
    }
    assert undeclared(made(rows, {}, varies=("loss",))) == {}


def test_a_row_of_prediction_files_is_planned_nowhere_and_changes_no_other_row(documents: dict, tmp_path: Path) -> None:
    alone = "question: q\nbaseline: a\nseeds: [3, 5]\nrows:\n  a: {preset: jerex-grc}\n"
    (tmp_path / "mine.yaml").write_text(alone)
    before = plan(find_study(str(tmp_path / "mine.yaml")), profile="quick", runs=Path("runs"), settings=documents)
    (tmp_path / "mine.yaml").write_text(alone + "  b: {predictions: [x.json, y.json], gold: g.json, baseline: a}\n")
    study = find_study(str(tmp_path / "mine.yaml"))
    with pytest.raises(UserError, match=rf"row b: {tmp_path / 'x.json'} is not there"):
        plan(study, profile="quick", runs=Path("runs"), settings=documents)
    for name in ("x.json", "y.json", "g.json"):
        (tmp_path / name).write_text("[]")
    planned = plan(study, profile="quick", runs=Path("runs"), settings=documents)
    assert [run.run_id for run in planned.runs] == [run.run_id for run in before.runs]
    assert [row.row for row in planned.record.row_runs] == ["a"]
    assert list(planned.study.rows) == ["a", "b"]
    # The first file stands for the first seed of the study.
    assert planned.study.external == {"b": {3: tmp_path / "x.json", 5: tmp_path / "y.json"}}
    assert planned.study.row_title("b") == "b (external)"
    refuse_undeclared(planned)
