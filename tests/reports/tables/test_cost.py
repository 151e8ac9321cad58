"""Cost table: over scored runs only."""

from pathlib import Path

from reports.tables.cost import cost_table
from reports.tables.markdown import to_markdown
from tests.reports.memory_use_records import store_memory_use
from tests.reports.records import make_study, read_data


def test_cost_is_over_scored_runs_only(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 2: 39.0, 4: None}})
    table = cost_table(read_data(study, tmp_path))
    # 60 and 62 seconds.
    assert "61.0 ± 1.4" in to_markdown(table)
    assert "2 scored runs took 0.03 hours" in " ".join(table.caption)
    assert "1 000 000" in to_markdown(table)


def test_knock_outs_have_a_column_where_a_run_has_any(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 38.0, 1: 39.0}})
    without = cost_table(read_data(study, tmp_path))
    assert "nock-out" not in to_markdown(without)
    assert "knock_out_seconds" not in set(without.data["measure"])
    store_memory_use(tmp_path, 1, {"mean-read": [-1.0]})
    table = cost_table(read_data(study, tmp_path))
    written = [dict(zip(table.headings[1:], cells[1:], strict=True)) for cells in table.write_cells()]
    assert [line["Knock-outs, seconds"] for line in written] == ["–", "3.0"]
    assert [line["Runs"] for line in written] == ["2", "2"]
