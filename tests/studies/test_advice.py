from pathlib import Path

import msgspec
import pytest

from core.records.provenance import Provenance
from core.records.record import RunRecord, Status, write_record
from core.records.summary import RunSummary, read_summary
from studies.checks import advice, runs_to_repeat
from studies.plan import plan
from studies.study import find_study, shipped_studies
from tests.studies.planning import CLEAN


def by(commit: str | None, *, dirty: bool = False, version: str = "1.0") -> Provenance:
    return msgspec.structs.replace(CLEAN, commit=commit, uncommitted_changes=dirty, packages={"engram": version})


def test_shipped_studies_need_no_advice_on_a_clean_checkout(documents: dict) -> None:
    for study in shipped_studies().values():
        assert advice(plan(study, profile="quick", runs=Path("runs"), settings=documents), now=CLEAN) == []


@pytest.mark.parametrize(("seeds", "count"), [([0], 1), ([0, 1, 2, 3], 1), ([0, 1, 2, 3, 9], 0)])
def test_fewer_than_five_seeds_are_said(documents: dict, seeds: list[int], count: int) -> None:
    found = plan(find_study("paper"), profile="quick", runs=Path("runs"), seeds=seeds, settings=documents)
    lines = advice(found, now=CLEAN)
    assert len(lines) == count
    assert all(line.startswith(f"{len(seeds)} seed") and "--seeds 5" in line for line in lines)


def summary(folder: Path, made: Provenance | None, status: Status = "finished") -> RunSummary:
    folder.mkdir(parents=True)
    write_record(folder, RunRecord(run_id="x-s0", status=status, config={}, provenance=made))
    return read_summary(folder)


def test_the_checkout_and_records_of_other_code_are_said(documents: dict, tmp_path: Path) -> None:
    found = plan(find_study("paper"), profile="quick", runs=Path("runs"), settings=documents)
    [line] = advice(found, now=msgspec.structs.replace(CLEAN, uncommitted_changes=True))
    assert line.startswith("the checkout has uncommitted changes: records will name aaaaaaaaaaaa,")
    [line] = advice(found, now=by(None))
    assert line.startswith("this code is no git checkout")
    made = [by("a" * 40), by("b" * 40), None, by("b" * 40), by("a" * 40, dirty=True)]
    summaries = [summary(tmp_path / f"s{number}", one) for number, one in enumerate(made)]
    summaries += [summary(tmp_path / f"t{status}", by("b" * 40), status) for status in ("failed", "imported")]
    summaries.append(summary(tmp_path / "diverged", by("b" * 40), "diverged"))
    [line] = advice(found, now=CLEAN, summaries=summaries)
    told = "(aaaaaaaaaaaa with uncommitted changes, bbbbbbbbbbbb, unknown)"
    assert line.startswith(f"4 finished runs of other code {told} kept")
    assert "--rerun" in line
    # What diverged may not diverge any more; what failed has --retry, what was imported cannot be computed.
    assert {one.folder.name for one in runs_to_repeat(summaries, CLEAN)} == {"s1", "s2", "s3", "s4", "diverged"}
