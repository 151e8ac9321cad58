"""Studies whose rows are the product of axes."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from core.data.splits import read_splits
from core.errors import UserError
from studies.plan import Plan, differences, plan, refuse_undeclared
from studies.study import SEEDS, Study, find_study, read_study, shipped_studies

BASE = {"question": "?", "base": {"preset": "memory-grc"}}


def written(folder: Path, tree: dict) -> Study:
    path = folder / "mine.yaml"
    path.write_bytes(msgspec.yaml.encode(BASE | tree))
    return read_study(path)


def planned(study: Study, documents: dict, profile: str = "quick") -> Plan:
    return plan(study, profile=profile, runs=Path("runs"), seeds=[0], settings=documents)


def test_one_axis_is_a_row_per_value(documents: dict) -> None:
    study = find_study("warmup")
    assert list(study.rows) == [f"warmup={share}" for share in ("0", "0.1", "0.2", "0.4", "0.6", "0.8", "1")]
    found = {run.row: run for run in planned(study, documents).runs}
    for name, row in study.rows.items():
        share = float(name.partition("=")[2])
        assert row.at == {"warmup": share}
        assert found[name].config.memory is not None
        assert found[name].config.memory.warmup == share
        assert f"{study.name},{name}" == found[name].config.tracking.tags
    assert study.rows["warmup=0.2"].title == "Warm-up share 0.2"
    assert differences(found["warmup=0"].config, found["warmup=1"].config) == {"memory.warmup": (0.0, 1.0)}


def test_two_axes_are_rows_and_columns(documents: dict) -> None:
    study = find_study("pooling")
    assert Counter(row.group for row in study.rows.values()) == {
        "Read mode inverse": 4,
        "Read mode normal": 6,
        "Read mode inverse-normal": 4,
    }
    assert set(study.left_out) == {f"read-mode={mode}+pooling=residual" for mode in ("inverse", "inverse-normal")}
    assert all("set memory.read_mode to normal" in reason for reason in study.left_out.values())
    found = planned(study, documents)
    assert differences(found.configs["read-mode=normal+pooling=residual"], found.configs["residual-fan-in"]) == {
        "memory.slot_init": ("normal", "fan-in")
    }
    row = study.rows["read-mode=normal+pooling=gated"]
    assert (row.title, row.at) == ("gated", {"read-mode": "normal", "pooling": "gated"})
    config = next(run.config for run in planned(study, documents).runs if run.row == "read-mode=normal+pooling=gated")
    assert config.memory is not None
    assert (config.memory.read_mode, config.memory.pooling) == ("normal", "gated")
    assert "read-mode=normal,pooling=gated" in config.tracking.tags


def test_combinations_that_are_the_same_runs_or_invalid_are_left_out_with_the_reason(tmp_path: Path) -> None:
    tree = {
        "axes": [{"name": "read-mode", "values": ["none", "normal"]}, "inverse-scale"],
        "baseline": "read-mode=normal+inverse-scale=sum",
    }
    study = written(tmp_path, tree)
    assert list(study.rows) == ["read-mode=write-only+inverse-scale=sum", "read-mode=normal+inverse-scale=sum"]
    assert study.left_out == {
        "read-mode=write-only+inverse-scale=mean": "the same runs as read-mode=write-only+inverse-scale=sum",
        "read-mode=normal+inverse-scale=mean": "the same runs as read-mode=normal+inverse-scale=sum",
    }
    classifies = {"name": "classifies", "path": "memory.classifies", "values": ["entity", "both"]}
    tree = {"axes": [classifies, "memories"], "baseline": "classifies=both+memories=both"}
    study = written(tmp_path, tree)
    assert len(study.rows) == 4
    reason = study.left_out["classifies=entity+memories=relation"]
    assert reason.startswith("invalid: memory.memories (relation) reads a memory that is not written")
    assert study.left_out.keys() == {"classifies=entity+memories=relation", "classifies=entity+memories=both"}


def test_a_slot_width_of_the_encoder_is_one_row_with_h(tmp_path: Path, documents: dict) -> None:
    tree = {"axes": [{"name": "slot-width", "values": [32, None, 64]}], "baseline": "slot-width=H"}
    found = planned(written(tmp_path, tree), documents)
    assert [run.row for run in found.runs] == ["slot-width=32", "slot-width=H"]
    assert found.study.left_out == {"slot-width=64": "the same runs as slot-width=H under profile quick"}
    assert [row.at for row in found.study.rows.values()] == [{"slot-width": 32}, {"slot-width": 64}]
    assert [row.row for row in found.record.row_runs] == ["slot-width=32", "slot-width=H"]
    # A baseline stays, though it is the same runs as an earlier row.
    found = planned(written(tmp_path, tree | {"baseline": "slot-width=64"}), documents)
    assert found.record.shared == {"slot-width=64": "slot-width=H"}
    assert found.configs["slot-width=64"].memory == found.configs["slot-width=H"].memory


def test_rows_stand_next_to_axes_and_an_axis_may_be_the_studys_own(tmp_path: Path, documents: dict) -> None:
    rate = {"name": "lr", "path": "training.lr", "values": [1e-4, 1e-3], "title": "Learning rate"}
    study = written(
        tmp_path,
        {"rows": {"jerex": {"preset": "jerex-grc"}}, "axes": [rate], "baseline": "jerex"}
        | {"base": {"preset": "memory-grc", "settings": {"training": {"epochs": 2}}}},
    )
    assert list(study.rows) == ["jerex", "lr=0.0001", "lr=0.001"]
    assert study.rows["lr=0.001"].title == "Learning rate 0.001"
    training = {run.row: run.config.training for run in planned(study, documents).runs}
    assert (training["lr=0.001"].lr, training["lr=0.001"].epochs) == (1e-3, 2)
    assert training["jerex"].epochs == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": ["warmpu"]}, r"mine.yaml: unknown axis 'warmpu'.*Did you mean warmup"),
        ({"axes": [{"name": "a", "path": "memory.warmpu", "values": [0]}]}, "axis a: unknown setting memory.warmpu"),
        ({"axes": [{"name": "warmup", "values": [0, 2]}]}, "axis warmup: memory.warmup is 2"),
        ({"axes": ["read-mode", {"name": "warmup", "values": [0, 2]}]}, "axis warmup: memory.warmup is 2"),
        ({"axes": ["read-mode", {"name": "a", "path": "memry.a", "values": [1]}]}, "axis a: unknown setting memry"),
        ({"axes": ["warmup", "warmup"]}, "two axes have the name warmup"),
        ({"axes": [{"name": "a", "path": "memory.warmup", "values": [0]}, "warmup"]}, "have the path memory.warmup"),
        ({"axes": ["warmup"], "base": None}, "axes need a base"),
        ({"axes": []}, "a base needs axes"),
        ({"axes": ["warmup"], "base": {"preset": "jerex-grc"}}, "jerex-grc has no memory, start from memory-grc"),
        ({"axes": ["warmup"], "base": {"preset": "memory-grc", "settings": {"sed": 1}}}, "unknown setting sed"),
        ({"axes": ["warmup"], "baseline": "warmup=0.3"}, "'warmup=0.3', which is none of the rows"),
        (
            {"axes": [{"name": "read-mode", "values": ["none"]}, "warmup"]}
            | {"baseline": "read-mode=write-only+warmup=1"},
            r"'read-mode=write-only\+warmup=1', which is none of the rows",
        ),
        ({"axes": ["warmup"], "rows": {"warmup=0": {"preset": "jerex-grc"}}}, "row warmup=0 is also made by the axes"),
        ({"base": None}, "needs `rows`"),
        ({"base": None, "rows": {"a,b": {"preset": "jerex-grc"}}, "baseline": "a,b"}, "use no commas"),
    ],
)
def test_a_mistake_in_axes_is_one_line(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        written(tmp_path, {"baseline": "warmup=0"} | change)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"preset": "memory-grc", "at": {"warmup": 0.2}}, "row a: `at` has warmup=0.2, but memory.warmup is 0.4"),
        (
            {"preset": "jerex-grc", "at": {"slot-width": None}},
            "row a: `at` has slot-width=H, but the row has no memory",
        ),
        ({"preset": "memory-grc", "at": {"width": 3}}, "unknown axis 'width'"),
    ],
)
def test_a_row_stands_where_it_says(tmp_path: Path, documents: dict, row: dict, message: str) -> None:
    study = written(tmp_path, {"base": None, "rows": {"a": row}, "baseline": "a"})
    with pytest.raises(UserError, match=message):
        planned(study, documents)
    right = {"preset": "memory-mrc", "at": {"warmup": 0.4, "relation-head": "mrc", "slot-width": None}}
    study = written(tmp_path, {"base": None, "rows": {"a": right}, "baseline": "a"})
    assert planned(study, documents).study.rows["a"].at == {"warmup": 0.4, "relation-head": "mrc", "slot-width": 64}
    assert planned(study, documents).runs[0].config.tracking.tags == "mine,a,warmup=0.4,relation-head=MRC,slot-width=H"


def test_a_flag_that_overrides_an_axis_is_refused(documents: dict) -> None:
    with pytest.raises(UserError, match=r"row warmup=0: `at` has warmup=0, but memory.warmup is 0.3.*the flags"):
        planned(find_study("warmup"), documents | {"memory": {"warmup": "0.3"}})


def test_attribution_tells_written_from_read_on_the_rows_of_the_paper(
    shared_path: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docred-joint").symlink_to(shared_path("data/docred_joint/types.json").parent)
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
    found, paper = (plan(find_study(name), profile="docred-small", runs=Path("r")) for name in ("attribution", "paper"))
    assert len(found.runs) == 40
    assert [run.seed for run in found.runs] == [seed for seed in SEEDS for _ in range(8)]
    shared = {run.run_id for run in found.runs if not run.row.startswith("written")}
    assert {run.run_id for run in paper.runs} == shared
    for head in ("grc", "mrc"):
        written, read = (found.configs[f"{kind}-{head}"] for kind in ("written", "residual"))
        assert differences(written, read) == {"memory.read_mode": ("none", "normal")}
        assert found.study.row_baselines(f"residual-{head}") == (f"jerex-{head}", f"written-{head}")
        assert found.study.row_baselines(f"memory-{head}") == found.study.row_baselines(f"written-{head}")
    assert all(len(row.title) <= 10 for row in found.study.rows.values())
    refuse_undeclared(found)
    splits = read_splits(found.runs[0].config.data, max_span_tokens=10)
    assert splits.test is not None
    parts = [{document.id for document in part.documents} for part in (splits.train, splits.validation, splits.test)]
    assert [len(part) for part in parts] == [600, 100, 300]
    assert len(set.union(*parts)) == 1000


def test_the_ladder_adds_a_part_at_a_time(documents: dict) -> None:
    found = planned(find_study("ladder"), documents)
    assert not found.record.shared
    steps = {
        row: differences(found.configs[baseline], found.configs[row])
        for row in found.study.rows
        for baseline in found.study.row_baselines(row)
    }
    inverse = {"memory.read_mode": ("none", "inverse")}
    residual = {"memory.read_mode": ("none", "normal"), "memory.pooling": (None, "residual")}
    assert steps.pop("entity-head").keys() == {"memory"}
    assert steps == {
        "both-heads": {"memory.classifies": ("entity", "both")},
        "fan-in": {"memory.slot_init": ("normal", "fan-in")},
        "residual-tokens": residual | {"memory.places": ("both", "tokens")},
        "residual-mentions": residual | {"memory.places": ("both", "mentions")},
        "residual-both": residual,
        "tokens": inverse | {"memory.places": ("both", "tokens")},
        "mentions": inverse | {"memory.places": ("both", "mentions")},
        "both-places": inverse,
        "ramp": inverse | {"memory.ramp": (0.0, 0.2)},
    }


def test_the_confounds_differ_from_their_baselines_in_the_memory_alone_where_they_are_matched(documents: dict) -> None:
    found = planned(find_study("confounds"), documents)
    steps = {
        row: set(differences(found.configs[baseline], found.configs[row]))
        for row in found.study.rows
        for baseline in found.study.row_baselines(row)
    }
    assert steps == {
        "memory": {"memory"},
        "memory-mean": {"memory.inverse_scale"},
        "jerex-100": {"samples.neg_corefs"},
        "memory-100": {"memory"},
        "jerex-uncorrected": {"training.bias_correction"},
        "memory-uncorrected": {"memory"},
        "published": {"memory", "samples.neg_corefs"},
    }


def test_a_control_differs_from_the_model_in_what_is_read_alone(documents: dict) -> None:
    found = planned(find_study("controls"), documents)
    assert not found.record.shared
    compared = {row: found.study.row_baselines(row) for row in found.configs}
    assert compared.pop("memory") == compared.pop("residual") == ()
    assert compared == {row: ("residual" if row.startswith("residual") else "memory",) for row in compared}
    steps = {row: differences(found.configs[baseline], found.configs[row]) for row, (baseline,) in compared.items()}
    assert steps.pop("jerex").keys() == {"memory"}
    assert steps == {
        "write-only": {"memory.read_mode": ("inverse", "none")},
        "residual-write-only": {"memory.read_mode": ("normal", "none")},
        **{reads: {"memory.reads": ("written", reads)} for reads in ("learned", "random", "uniform", "constant")},
        **{f"residual-{reads}": {"memory.reads": ("written", reads)} for reads in ("learned", "random")},
    }
    # The start is not what differs.
    assert {found.configs[row].memory.slot_init for row in found.configs if row.startswith("residual")} == {"fan-in"}


def test_the_shipped_studies_share_their_common_runs(documents: dict) -> None:
    ids = {name: {run.run_id for run in planned(study, documents).runs} for name, study in shipped_studies().items()}
    named = {
        "attribution",
        "confounds",
        "controls",
        "ladder",
        "memory-size",
        "paper",
        "pooling",
        "read-mode",
        "search",
        "warmup",
    }
    assert ids.keys() == named
    reference = {run.row: run.run_id for run in planned(find_study("paper"), documents).runs}["memory-grc"]
    assert {name for name, found in ids.items() if reference in found} == ids.keys() - {"confounds"}
