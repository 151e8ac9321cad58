"""Relation types and sentence distances of a study, from its records."""

from pathlib import Path

from reports.frame import load_study
from reports.tables.breakdowns import distance_table, type_table
from reports.tables.markdown import to_markdown
from studies.rows import Row
from tests.reports.records import make_run, make_study, present, scores_of

SEEDS = {"jerex-grc": {0: 38.0, 1: 40.0}, "memory-grc": {0: 41.0, 1: None}}


def test_means_over_seeds_by_distance_and_type(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    data = load_study(study, tmp_path)
    distances, types = present(distance_table(data)), present(type_table(data))
    text = to_markdown(distances)
    # 38 and 40: intra two above, inter five below, std sqrt(2).
    assert "41.00 ± 1.41 |       34.00 ± 1.41 |" in text
    assert "43.00 |" in text
    assert "(30 in gold)" in " ".join(distances.caption)
    assert [line.cells[0] for line in types.lines] == ["P17", "P_27 & 1%"]
    assert "40.0 ± 1.4" in to_markdown(types)
    # Scored and wrong everywhere is 0; no score at all is no number.
    assert "0.0 ± 0.0" in to_markdown(types)


def test_types_have_the_names_of_the_first_record_that_has_them(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    bare = present(type_table(load_study(study, tmp_path)))
    assert [line.cells[0] for line in bare.lines] == ["P17", "P_27 & 1%"]
    # The first run is of an earlier release; no file of the data is there.
    make_run(tmp_path, f"{1:012x}", 0, f1=41.0, preset="memory-grc", type_names={"relation": {"P17": "country"}})
    types = present(type_table(load_study(study, tmp_path)))
    assert [line.cells[0] for line in types.lines] == ["country", "P_27 & 1%"]
    assert [line.cells[1:] for line in types.lines] == [line.cells[1:] for line in bare.lines]
    assert set(zip(types.data["name"], types.data["readable_name"], strict=True)) == {
        ("P17", "country"),
        ("P_27 & 1%", "P_27 & 1%"),
    }


def test_records_without_a_breakdown_give_no_table(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: None}})
    plain = scores_of(38.0) | {"extra": {}}
    make_run(tmp_path, f"{0:012x}", 0, f1=38.0, metrics={"test": plain})
    data = load_study(study, tmp_path)
    assert (distance_table(data), type_table(data)) == (None, None)


def test_types_are_left_out_where_rows_do_not_fit_side_by_side(tmp_path: Path) -> None:
    rows = {f"row{number}": Row("jerex-grc") for number in range(9)}
    study = make_study(tmp_path, {row: {0: 38.0} for row in rows}, rows=rows)
    data = load_study(study, tmp_path)
    assert present(distance_table(data)).name == "distances"
    assert type_table(data) is None
