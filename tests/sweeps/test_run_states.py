"""States of the runs of a study, as their folders show them, and the time that is left."""

import msgspec
import pytest

from core.records.record import (
    RECORD,
    RunRecord,
    write_record,
)
from studies.plan import Plan
from sweeps.run_states import count_statuses
from tests.sweeps.fake_study import FakeRun, compute, read_states


def test_status_tells_killed_and_interrupted_from_never_started(planned: Plan) -> None:
    for run, status in zip(planned.runs, ("running", "interrupted", "failed"), strict=False):
        run.folder.mkdir(parents=True)
        write_record(run.folder, RunRecord(run_id=run.run_id, status=status, config={}))
    assert count_statuses(read_states(planned)) == "1 failed, 1 interrupted, 1 killed, 1 waiting"
    assert count_statuses(read_states(planned, retry_failed=True)) == "1 interrupted, 1 killed, 2 waiting"


def test_time_left_is_read_off_earlier_runs(planned: Plan) -> None:
    run = FakeRun()
    compute(planned, run)
    last = planned.runs[-1].folder / RECORD
    last.unlink()
    run_states = read_states(planned)
    assert run_states.seconds_left(1) == pytest.approx(2.0)
    assert run_states.seconds_left(2) == pytest.approx(1.0)
    assert msgspec.json.decode((planned.runs[0].folder / RECORD).read_bytes())["seconds"] == 2.0
