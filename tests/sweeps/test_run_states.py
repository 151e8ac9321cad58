"""States of the runs of a study, as their folders show them."""

from core.records.record import RunRecord, write_record
from studies.plan import Plan
from sweeps.run_states import count_statuses
from tests.sweeps.fake_study import read_states


def test_status_tells_killed_and_interrupted_from_never_started(planned: Plan) -> None:
    for run, status in zip(planned.runs, ("running", "interrupted", "failed"), strict=False):
        run.folder.mkdir(parents=True)
        write_record(run.folder, RunRecord(run_id=run.run_id, status=status, config={}))
    assert count_statuses(read_states(planned)) == "1 failed, 1 interrupted, 1 killed, 1 waiting"
    assert count_statuses(read_states(planned, retry_failed=True)) == "1 interrupted, 1 killed, 2 waiting"
