"""Side-by-side table: a group of columns per study, each with its own bold; studies of other rows are refused."""

from pathlib import Path

import pandas as pd
import pytest

import engram
from reports.tables.side_by_side import side_by_side_table
from tests.reports.records import make_study, read_data

HERE = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 41.5}}
THERE = {"jerex-grc": {0: 58.0, 1: 59.0}, "memory-grc": {0: 50.0, 1: 51.0}}


def test_each_study_has_its_columns_and_its_own_bold(tmp_path: Path) -> None:
    studies = [
        read_data(make_study(tmp_path / profile, seeds, profile=profile), tmp_path / profile)
        for profile, seeds in (("quick", HERE), ("paper", THERE))
    ]
    table = side_by_side_table(studies)
    assert [column.over for column in table.columns] == [""] + ["quick"] * 5 + ["paper"] * 5
    assert table.headings[:4] == ["Group", "System", "quick Rel.", "quick Ent."]
    cells = {line.row: line.cells for line in table.lines}
    assert [cell.bold for cell in (cells["memory-grc"][1], cells["memory-grc"][6])] == [True, False]  # type: ignore[union-attr]
    assert cells["jerex-grc"][6].number == 58.5  # type: ignore[union-attr]
    assert set(table.data["study"]) == {"made@quick", "made@paper"}
    assert "profile quick" in " ".join(table.caption)
    assert "profile paper" in " ".join(table.caption)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_study(tmp_path, HERE, name="here")
    make_study(tmp_path, {"jerex-grc": THERE["jerex-grc"], "jerex-mrc": {0: 40.0, 1: 42.0}}, name="there")
    return tmp_path


def test_other_rows_are_named_and_common_ones_can_be_shown(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report", "here", "there", "--side-by-side", "--runs", str(runs), "--out", str(runs / "out")]
    assert engram.main(command) == 2
    err = capsys.readouterr().err
    assert "here@paper also has memory-grc; there@paper also has jerex-mrc: show only common ones with --rows" in err
    assert engram.main([*command, "--rows", "jerex-grc", "--tasks", "coref"]) == 0
    assert "here@paper Coref." in capsys.readouterr().out
    assert len(pd.read_csv(runs / "out" / "side-by-side.csv")) == 2
    assert (runs / "out" / "side-by-side.tex").is_file()
    assert not (runs / "out" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["here", "there"], "2 studies: add --side-by-side for one table of all"),
        (["here", "--side-by-side"], "--side-by-side needs several studies"),
    ],
)
def test_several_studies_and_the_option_need_each_other(
    runs: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engram.main(["report", *arguments, "--runs", str(runs)]) == 2
    assert message in capsys.readouterr().err
