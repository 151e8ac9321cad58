"""Plans of studies that tests make, and the provenance of a clean checkout."""

from pathlib import Path
from typing import Any

from core.records.provenance import Provenance
from studies.plan import Plan, plan
from studies.rows import Row
from studies.study import Study, check_study, expand_axes

CLEAN = Provenance(
    commit="a" * 40,
    uncommitted_changes=False,
    packages={"engram": "1.0"},
    python="3",
    command=[],
    machine="",
    processors=1,
    data={},
)


def made(rows: dict[str, Row], settings: dict[str, Any], *, baseline: str = "a", **more: Any) -> Plan:
    """The plan of a study under the quick profile."""
    study = Study(question="?", rows=rows, baseline=baseline, name="mine", **more)
    study = check_study(expand_axes(study))
    return plan(study, profile="quick", runs=Path("runs"), settings=settings)
