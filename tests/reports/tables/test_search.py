"""What a report says of a search, from search.json alone."""

import math
from pathlib import Path

import msgspec
import pandas as pd
import pytest

import engram
from reports.figures.search import search_figures
from reports.frame import ReportData
from reports.tables.search import search_table, trials_frame
from studies.record import StudyRecord
from studies.rows import Row
from studies.search.spec import Search
from studies.search.trials import AxisLabels, SearchRecord, SearchTrial, read_search_record, write_search_record
from studies.study import Study
from tests.reports.records import PAPER, make_study, present

AXES = [AxisLabels("slot-width", "Memory slot width", ["32", "H"]), AxisLabels("warmup", "Warm-up share", ["0", "0.4"])]


def trial(number: int, scores: list[float], state: str = "stopped", **params: str) -> SearchTrial:
    runs = {100 + place: f"{number:012x}-s{100 + place}" for place in range(max(1, len(scores)))}
    made = SearchTrial(
        number, {name.replace("_", "-"): label for name, label in params.items()}, f"{number:012x}", runs, 1
    )
    made = made.with_scores({100 + place: score for place, score in enumerate(scores)})
    return msgspec.structs.replace(made, state=state, why="as made")


TRIALS = [
    trial(0, [30.0, 31.0, 32.0], "finished", slot_width="H", warmup="0.4"),
    trial(1, [35.0], slot_width="32", warmup="0.4"),
    trial(2, [], "failed", slot_width="32", warmup="0"),
    trial(3, [33.0, 35.0, 34.0], "finished", slot_width="H", warmup="0"),
    trial(4, [], "running", slot_width="32"),
]
RECORD = SearchRecord(
    label="made@paper",
    question="Which?",
    metric="relation_strict",
    search=Search(trials=9, rungs=(1, 3), seeds=(100, 101, 102)),
    profile="paper",
    settings={},
    axes=AXES,
    storage="optuna.journal",
    own={"slot-width": "H", "warmup": "0.4"},
    trials=TRIALS,
    best=3,
    importance={"warmup": 0.7, "slot-width": 0.3},
)


def data_of(search: SearchRecord) -> ReportData:
    study = Study(question="Which?", baseline="base")
    return ReportData(
        StudyRecord(study=study, profile="paper", settings={}, row_runs=[]), pd.DataFrame(), search=search
    )


def test_the_history_follows_the_best_by_the_search_s_own_rule() -> None:
    numbers = trials_frame(RECORD)
    assert numbers["best_trial"].tolist() == [0, 0, 0, 3, 3], "trial 1 is higher on one seed alone"
    assert numbers["best"].tolist() == [31.0, 31.0, 31.0, 34.0, 34.0]
    assert numbers["mean"].tolist()[:2] == [31.0, 35.0]
    assert math.isnan(numbers["mean"][2]), "a failed trial has no score, not 0"
    assert numbers["std"].tolist()[0] == pytest.approx(1.0)
    assert math.isnan(numbers["std"][1])


def test_the_table_has_the_best_first_and_says_what_they_change() -> None:
    table = present(search_table(data_of(RECORD)))
    cells = table.write_cells()
    assert cells == [
        ["3", "34.00 ± 1.00", "3", "Warm-up share 0"],
        ["0", "31.00 ± 1.00", "3", "the base as it is"],
        ["1", "35.00", "1", "Memory slot width 32"],
    ]
    assert [getattr(line.cells[1], "bold", None) for line in table.lines] == [True, False, False]
    assert "no test score was read" in table.caption[1]
    assert "seeds 100–102" in table.caption[1]
    assert table.notes == [
        "The search has not ended: 5 of 9 trials were started.",
        "Without a score: trial 2 failed.",
    ]
    assert list(table.data["trial"]) == [0, 1, 2, 3, 4]
    assert pd.isna(table.data["mean"][2])


def test_figures_are_drawn_of_what_is_there() -> None:
    assert [drawing.name for drawing in search_figures(data_of(RECORD))] == ["search-history", "search-importance"]
    history_drawn = search_figures(data_of(RECORD))[0].figure
    [panel] = history_drawn.axes
    labels_in_legend = [text.get_text() for legend in history_drawn.legends for text in legend.get_texts()]
    assert sorted(labels_in_legend) == ["all seeds, ± std", "best so far", "failed", "stopped earlier"]
    assert panel.get_ylabel() == "validation strict relation F1"
    begun = msgspec.structs.replace(RECORD, trials=TRIALS[4:], best=None, importance={})
    assert search_figures(data_of(begun)) == []
    labels = [text.get_text() for text in search_figures(data_of(RECORD))[1].figure.axes[0].get_yticklabels()]
    assert labels == ["Warm-up share", "Memory slot width"]


def test_the_record_comes_back_and_a_damaged_one_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_search_record(tmp_path) is None
    rows = {"jerex-grc": PAPER["jerex-grc"], "best": Row("memory-grc", title="best of 5 trials", tried=5)}
    make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}, "best": {0: 40.0, 1: 41.0}}, rows=rows)
    folder = tmp_path / "studies" / "made@paper"
    write_search_record(folder, RECORD)
    assert read_search_record(folder) == RECORD
    assert engram.main(["report", "made", "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert (
        "best of 5 trials: chosen among 5 configs by validation F1 on other seeds than these; other rows had fewer: "
        "JEREX (GRC) 1."
    ) in out
    assert "made@paper: the best of 5 trials" in out
    assert pd.read_csv(folder / "report" / "search.csv")["mean"].tolist()[3] == 34.0
    (folder / "search.json").write_text("{")
    assert engram.main(["report", "made", "--runs", str(tmp_path)]) == 2
    assert "search.json is damaged" in capsys.readouterr().err
