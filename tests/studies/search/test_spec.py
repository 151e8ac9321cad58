"""The `search` section of a study: what it adds, what it refuses, and how list, show and plan tell of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.errors import UserError
from engram import main
from studies.study import find_study, read_study

MINE: dict[str, Any] = {
    "question": "?",
    "base": {"preset": "memory-grc"},
    "axes": ["slot-width", "warmup"],
    "baseline": "base",
}


def written(folder: Path, search: dict[str, Any], **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(MINE | changes | {"search": search}))
    return path


def test_axes_are_no_rows_and_the_base_is_one(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, {}))
    assert list(study.rows) == ["base"]
    assert study.left_out == {}
    assert study.search is not None
    assert not set(study.search.seeds) & set(study.seeds)


def test_the_shipped_search_varies_every_axis_and_is_compared_with_both_jerex() -> None:
    study = find_study("search")
    assert len(study.axes) == 12
    assert list(study.rows) == ["jerex-grc", "jerex-mrc", "base"]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"trials": 0}, "search: Expected `int` >= 1 - at `trials`"),
        ({"rungs": []}, r"search.rungs \[\] must be numbers of seeds that grow"),
        ({"rungs": [0, 1]}, r"search.rungs \[0, 1\]"),
        ({"rungs": [1, 3, 3]}, r"search.rungs \[1, 3, 3\]"),
        ({"seeds": [100, 100]}, r"search.seeds \[100, 100\] must be different"),
        ({"seeds": [100, 101]}, "search.seeds has 2 seeds, but the last rung needs 5"),
        ({"seeds": [100, 101, 3, 4, 102]}, "seeds 3, 4 would both choose the best config and report it"),
        ({"threshold": -1}, "search: Expected `float` >= 0.0 - at `threshold`"),
        ({"startup": 0}, "search: Expected `int` >= 1 - at `startup`"),
        ({"trails": 5}, "search: unknown field 'trails': the fields are .*Did you mean trials"),
    ],
)
def test_a_search_that_cannot_be_is_one_line(tmp_path: Path, search: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_study(written(tmp_path, search))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"axes": ["slot-width", {"name": "w", "path": "memory.warmup", "values": [0.1, 7]}]},
            "axis w: memory.warmup is 7",
        ),
        ({"axes": ["slot-widht"]}, "Did you mean slot-width"),
        ({"rows": {"best": {"preset": "jerex-grc"}}}, "row best is also made by the search"),
        ({"baseline": "other"}, "which is none of the rows"),
    ],
)
def test_so_is_a_space_that_cannot_be(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_study(written(tmp_path, {}, **changes))


def test_a_search_without_axes_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{question: '?', baseline: a, rows: {a: {preset: jerex-grc}}, search: {}}")
    with pytest.raises(UserError, match="a search needs `base` and `axes`"):
        read_study(tmp_path / "mine.yaml")


def test_list_show_and_plan_tell_of_a_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "list"]) == 0
    assert "search           12 axes  Which memory model is best" in capsys.readouterr().out
    path = str(written(tmp_path, {"trials": 20, "rungs": [1, 2], "threshold": 1.5}))
    assert main(["study", "show", path]) == 0
    out = capsys.readouterr().out
    assert "search: up to 20 trials over 42 combinations of 2 axes; the first 10 at random, then by TPE" in out
    assert "seeds 100, 101 in rungs of 1, 2: the better half continues" in out
    assert "at most 1.5 times the pooled standard error below the best" in out
    assert "20 to 40 runs on the search's seeds" in out
    write_docred(generate(3), tmp_path / "documents.json")
    data = ["--data.name", "none", "--data.train", str(tmp_path / "documents.json"), "--runs", str(tmp_path / "runs")]
    assert main(["study", "plan", path, "--seeds", "2", *data]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["base", "base"]
    assert "2 runs: 2 waiting" in lines
    assert "20 to 40 runs on the search's seeds" in "\n".join(lines)
