"""A study as a W&B sweep: its YAML leads each trial back to its row, and the server gets it as it is printed."""

from pathlib import Path

import pytest
import yaml

import engram
from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from studies.axes import AXES, Axis
from studies.plan import Plan
from studies.rows import complete_axis
from sweeps.dashboards.sweep import build_sweep, describe_axis
from sweeps.trial_command import read_value
from tests.wandb_stand_in import KEY, serving
from tests.wandb_sweeps_stand_in import SWEEPS


def test_a_study_of_rows_is_a_grid_of_its_rows(planned: Plan) -> None:
    built = build_sweep(planned, ["mine.yaml", "--profile", "quick"])
    assert built["method"] == "grid"
    assert built["parameters"] == {"row": {"values": ["one", "two"]}}
    assert built["metric"] == {"name": "validation/relation_strict/f1", "goal": "maximize"}
    assert built["command"] == ["${env}", "engram", "study", "trial", "mine.yaml", "--profile", "quick", "${args}"]


@pytest.fixture
def documents(tmp_path: Path) -> list[str]:
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    return ["--data.name", "none", f"--data.train={path}", f"--data.test={path}"]


def test_a_product_of_axes_has_dotted_parameters_unless_something_is_left_out(
    documents: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert engram.main(["study", "sweep", "warmup", *documents]) == 0
    built = yaml.safe_load(capsys.readouterr().out)
    assert built["parameters"] == {"memory.warmup": {"values": [0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]}}
    assert built["command"] == ["${env}", "engram", "study", "trial", "warmup", *documents, "${args}"]
    assert engram.main(["study", "sweep", "pooling", *documents]) == 0
    parameters = yaml.safe_load(capsys.readouterr().out)["parameters"]
    assert "read-mode=normal+pooling=residual" in parameters["row"]["values"]
    assert "read-mode=inverse+pooling=residual" not in parameters["row"]["values"], "which cannot be"
    assert engram.main(["study", "sweep", "pooling", "--method", "bayes", *documents]) == 2
    assert "--method bayes: study pooling has rows, which are a grid" in capsys.readouterr().err


def test_a_search_is_searched_by_wandb(documents: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert engram.main(["study", "sweep", "search", "--method", "random", "--profile=quick", *documents]) == 0
    built = yaml.safe_load(capsys.readouterr().out)
    assert (built["method"], built["run_cap"]) == ("random", 50)
    assert len(built["parameters"]) == 12
    assert built["command"][4:-1] == ["search", "--profile=quick", *documents], "the method is for the server"


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"log": True}, {"min": 1e-5, "max": 1e-3, "distribution": "log_uniform_values"}),
        ({}, {"min": 1e-5, "max": 1e-3, "distribution": "uniform"}),
        ({"low": 0.1, "high": 0.5, "step": 0.1}, {"min": 0.1, "max": 0.5, "distribution": "q_uniform", "q": 0.1}),
        ({"path": "training.epochs", "low": 1, "high": 9}, {"min": 1, "max": 9, "distribution": "int_uniform"}),
        ({"path": "training.epochs", "low": 2, "high": 8, "step": 3}, {"values": [2, 5, 8]}),
    ],
)
def test_a_range_keeps_its_ends_and_its_scale(fields: dict, parameter: dict) -> None:
    axis = Axis(**{"name": "x", "path": "training.lr", "low": 1e-5, "high": 1e-3} | fields)
    assert describe_axis(complete_axis(axis)) == parameter


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_every_value_of_a_sweep_is_read_back(axis: Axis) -> None:
    values = describe_axis(axis)["values"]
    assert [read_value(axis, str(value)) for value in values] == list(axis.values), "as the agent writes it"
    assert [read_value(axis, None if value == "none" else str(value)) for value in values] == list(axis.values)


def test_a_sweep_is_created_as_it_is_printed(
    documents: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["study", "sweep", "warmup", *documents]
    assert engram.main(command) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert engram.main([*command, "--create"]) == 2
    assert "no W&B key" in capsys.readouterr().err
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):  # which W&B's client sets in this process
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        assert engram.main([*command, "--create"]) == 0, capsys.readouterr().err
        assert server.refused == []
    first, address, agent = capsys.readouterr().out.splitlines()
    sweep_id = first.removeprefix("sweep ")
    assert SWEEPS[sweep_id][1].config == printed
    assert address.endswith(f"/team/engram/sweeps/{sweep_id}")
    assert agent == f"wandb agent --project engram {sweep_id}"
