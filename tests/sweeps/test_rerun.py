"""Finished runs of other code, computed again: each in its turn; a kill at any moment loses none of the old ones."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.errors import UserError
from core.progress import StopRequest
from core.records.provenance import collect_provenance
from core.records.record import RunRecord, read_record, run_folders, write_record
from studies.checks import EARLIER, check_ready, set_aside
from studies.plan import Plan, plan
from studies.study import find_study
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import Launcher
from sweeps.run_states import RunStates

NOW = collect_provenance({})
OLD = msgspec.structs.replace(NOW, commit="b" * 40, uncommitted_changes=False)


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    write_docred(generate(3), tmp_path / "train.json")
    settings = {"data": {"name": None, "train": str(tmp_path / "train.json")}}
    found = plan(find_study("paper"), profile="quick", runs=tmp_path / "runs", seeds=[0], settings=settings)
    for run in found.runs:
        finish(run.folder, OLD, steps=1)
    return found


def finish(folder: Path, made: object, *, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("")
    record = RunRecord(run_id="x", status="finished", config={}, steps=steps)
    write_record(folder, msgspec.structs.replace(record, provenance=made))


def compute(planned: Plan, *, dies_after: int = 100) -> list[Path]:
    """Rerun a study in this process, dying after some runs; the folders that were computed."""
    computed: list[Path] = []

    def run(folder: Path) -> str:
        if len(computed) == dies_after:
            raise SystemExit
        assert read_record(folder) is None
        finish(folder, NOW, steps=2)
        computed.append(folder)
        return "finished"

    runs = planned.runs[0].folder.parent.parent
    run_states = RunStates(planned.study, planned.runs, planned.record.shared)
    run_states.repeat(check_ready(planned, runs, jobs=1, rerun=True).again)
    with suppress(SystemExit):
        Launcher(run_states, InProcessEngine(run), planned).run(StopRequest())
    return computed


def steps_of(planned: Plan) -> list[int]:
    """The steps of the runs that tables would read; 0 where there is none."""
    records = [read_record(run.folder) for run in planned.runs]
    return [record.steps if record is not None else 0 for record in records]


def earlier(planned: Plan) -> list[int]:
    runs = planned.runs[0].folder.parent.parent
    records = [read_record(folder) for folder in sorted(runs.glob(f"*/{EARLIER}/*"))]
    return [record.steps for record in records if record is not None]


def test_runs_of_other_code_are_computed_again_and_the_old_ones_kept(planned: Plan) -> None:
    assert len(compute(planned)) == 6
    assert steps_of(planned) == [2] * 6
    assert earlier(planned) == [1] * 6
    aside = planned.runs[0].folder.parent / EARLIER
    assert [path.name for path in aside.iterdir()] == [f"s0-{'b' * 12}"]
    # Lists of runs do not count them, and they are not computed a third time.
    assert set(run_folders(planned.runs[0].folder.parent.parent)) == {run.folder for run in planned.runs}
    assert compute(planned) == []


def test_without_the_flag_they_are_kept_and_said(planned: Plan) -> None:
    ready = check_ready(planned, planned.runs[0].folder.parent.parent, jobs=1)
    assert not ready.again
    assert any("6 finished runs of other code (bbbbbbbbbbbb) kept" in line for line in ready.warnings)
    again = check_ready(planned, planned.runs[0].folder.parent.parent, jobs=1, rerun=True)
    assert len(again.again) == 6
    assert not any("of other code" in line for line in again.warnings)


@pytest.mark.parametrize("done", range(6))
def test_a_driver_that_dies_loses_nothing_and_the_rest_waits_in_the_tables(planned: Plan, done: int) -> None:
    compute(planned, dies_after=done)
    # What was done is new, what was under way has moved, what waited is where it was.
    assert steps_of(planned) == [2] * done + [0] + [1] * (5 - done)
    assert earlier(planned) == [1] * (done + 1)
    assert len(compute(planned)) == 6 - done
    assert steps_of(planned) == [2] * 6
    assert earlier(planned) == [1] * 6


def test_a_run_that_was_set_aside_twice_is_there_twice(planned: Plan) -> None:
    folder = planned.runs[0].folder
    places = [set_aside(folder)]
    finish(folder, OLD, steps=5)
    places.append(set_aside(folder))
    assert [place.name for place in places] == [f"s0-{'b' * 12}", f"s0-{'b' * 12}-2"]
    assert earlier(planned) == [1, 5]


def test_what_cannot_be_kept_is_not_computed_again(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(one: object, other: object) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("studies.checks.os.rename", refuse)
    with pytest.raises(UserError, match=r"cannot be kept as .*earlier.* \(Permission denied\)"):
        set_aside(planned.runs[0].folder)
    assert compute(planned) == []
    assert steps_of(planned) == [1] * 6
