"""Cost table: over scored runs only."""

from pathlib import Path

from reports.tables.cost import cost_table
from reports.tables.markdown import to_markdown
from tests.reports.records import make_study, read_data


def test_cost_is_over_scored_runs_only(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 2: 39.0, 4: None}})
    table = cost_table(read_data(study, tmp_path))
    # 60 and 62 seconds.
    assert "61.0 ± 1.4" in to_markdown(table)
    assert "2 scored runs took 0.03 hours" in " ".join(table.caption)
    assert "1 000 000" in to_markdown(table)
