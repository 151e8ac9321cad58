"""Memory use figure: a dot per seed of both knock-outs, and that nothing drawn overlaps or is cut."""

from pathlib import Path

from reports.figures.memory_use import knock_out_frame, memory_use_figure
from studies.rows import Row
from tests.reports.figures.legibility import check_legible
from tests.reports.memory_use_records import store_counts, store_memory_use
from tests.reports.records import make_study, read_data

ROWS = {"jerex": Row("jerex-grc")} | {
    name: Row("memory-grc", title=f"a row with a long title that reads {name}")
    for name in ("tokens", "mentions", "both")
}


def test_every_seed_is_a_dot_and_the_interval_is_the_one_that_is_judged(tmp_path: Path) -> None:
    study = make_study(tmp_path, {row: {0: 38.0, 1: 39.0, 2: 40.0} for row in ROWS}, rows=ROWS)
    store_memory_use(tmp_path, 1, {"reading-off": [-1.0, -2.0, -3.0], "mean-read": [0.5, -0.5]})
    store_memory_use(tmp_path, 2, {"reading-off": [-20.0]})
    for seed in range(3):
        store_counts(tmp_path, 1, seed, "test", [5, 6, 7, 8])
        store_counts(tmp_path, 1, seed, "test.reading-off", [4, 5, 6, 7])
    data = read_data(study, tmp_path)
    numbers = knock_out_frame(data).set_index(["row", "series"])
    off = numbers.loc[("tokens", "reading off")]
    assert off["value"].tolist() == [-1.0, -2.0, -3.0]
    assert off["high"].iloc[0] == data.knock_outs["high_all"].iloc[0]
    assert numbers.loc[("tokens", "mean read"), "value"].tolist() == [0.5, -0.5]
    assert numbers.loc[[("mentions", "reading off")], "low"].isna().all()
    assert "both" not in numbers.index
    (made,) = memory_use_figure(data)
    check_legible(made.figure)
    dots = [line for line in made.figure.axes[0].lines if line.get_marker() == "o"]
    assert [len(line.get_xydata()) for line in dots] == [4, 2]
    drawn = sorted(y for line in dots for y in line.get_ydata())
    # No two series of a row lie on each other.
    assert len({round(y, 3) for y in drawn}) == 3


def test_without_knock_outs_there_is_no_figure(tmp_path: Path) -> None:
    study = make_study(tmp_path, {row: {0: 38.0} for row in ROWS}, rows=ROWS)
    assert memory_use_figure(read_data(study, tmp_path)) == []
    store_memory_use(tmp_path, 1, {})
    assert memory_use_figure(read_data(study, tmp_path)) == []
