"""A study whose runs write a record instead of computing."""

from collections.abc import Callable
from pathlib import Path

from core.config.presets import from_yaml
from core.config.signature import run_id
from core.errors import UserError
from core.progress import stop_on_signals
from core.records.record import (
    CONFIG,
    RunRecord,
    write_record,
)
from core.run.worker import serve
from studies.plan import Plan
from sweeps.engines.engine import Engine
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import Launcher
from sweeps.run_states import RunStates


class FakeRun:
    """Writes a record instead of computing; `status_of` may say otherwise for some runs."""

    def __init__(self) -> None:
        self.computed: list[str] = []
        self.status_of: dict[str, str] = {}

    def __call__(self, folder: Path) -> str:
        config = from_yaml(folder / CONFIG)
        name = run_id(config)
        self.computed.append(name)
        status = self.status_of.get(name, "finished")
        if status == "raises":
            raise UserError("no such document")
        metrics = {"test": {"relation_strict": {"f1": 40.0 + config.seed}}} if status == "finished" else {}
        record = RunRecord(run_id=name, status=status, config={}, metrics=metrics, error="its error", seconds=2.0)
        write_record(folder, record)
        return status


def read_states(planned: Plan, *, retry_failed: bool = False) -> RunStates:
    """The states of a study's runs as their folders show them."""
    return RunStates(planned.study, planned.runs, planned.record.shared, retry_failed=retry_failed)


def compute(planned: Plan, run: Callable[[Path], str] | Engine, *, retry_failed: bool = False) -> RunStates:
    """Bring a study to its records, with an engine or in this process with a run function."""
    run_states = read_states(planned, retry_failed=retry_failed)
    engine = run if isinstance(run, Engine) else InProcessEngine(run)
    with stop_on_signals() as stop:
        Launcher(run_states, engine, planned).run(stop)
    return run_states


def run_ids(planned: Plan) -> list[str]:
    """The ids of a study's runs, in the order in which they are computed."""
    return [run.run_id for run in planned.runs]


if __name__ == "__main__":
    raise SystemExit(serve(FakeRun()))
