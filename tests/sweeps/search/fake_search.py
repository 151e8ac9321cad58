"""Fake searches: a run is a record with a planted score instead of a training, hundreds in seconds."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml

from core.config.presets import from_yaml
from core.config.schema import RunConfig
from core.config.signature import run_id
from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.progress import StopRequest
from core.records.record import CONFIG, RunRecord, write_record
from core.seeding import seed_for
from studies.plan import Plan, plan
from studies.study import read_study
from sweeps.engines.engine import EndedRun, Engine
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import Launcher
from sweeps.search_command import build_loop
from sweeps.search_loop import SearchLoop
from tests.reports.records import scores_of

Score = Callable[[RunConfig], float]


def noise(config: RunConfig, size: float) -> float:
    """A draw that belongs to a run, and one that its seed has under every config."""
    own = np.random.default_rng(seed_for("noise", run_id(config))).standard_normal()
    shared = np.random.default_rng(seed_for("shared", config.seed)).standard_normal()
    return size * float(own + 2 * shared)


def hill(config: RunConfig) -> float:
    """A score that is best at one place of slot width, warm-up and read mode."""
    memory = config.memory
    assert memory is not None
    width = {32: 0, 128: 1, 256: 2, None: 3, 768: 4, 1536: 5}[memory.slot_width]
    mode = {"none": 0.0, "inverse": 2.0, "normal": 1.0, "inverse-normal": 4.0}[memory.read_mode]
    reads = 0.0 if memory.read_mode == "none" else -6 * abs(memory.warmup - 0.2)
    return 40 + mode + reads - abs(width - 4) + noise(config, 0.2)


class FakeRun:
    """Writes records; `score`: the validation score (NaN: none), `fails`: which configs, `before` hears of each run."""

    def __init__(
        self, score: Score = hill, *, fails: Callable[[RunConfig], bool] = lambda config: False, test: Any = None
    ) -> None:
        self.score, self.fails, self.test = score, fails, test
        self.computed: list[str] = []
        self.before: Callable[[str], None] = lambda name: None

    def __call__(self, folder: Path) -> str:
        config = from_yaml(folder / CONFIG)
        name = run_id(config)
        self.before(f"start {name}")
        self.computed.append(name)
        failed = self.fails(config)
        value = self.score(config)
        metrics: dict[str, Any] = {} if failed or math.isnan(value) else {"validation": scores_of(value)}
        if not failed and self.test is not None:
            metrics["test"] = self.test(config, value)
        record = RunRecord(
            run_id=name,
            status="failed" if failed else "finished",
            config=config.model_dump(mode="json"),
            metrics=metrics,
            error="ValueError: as planted" if failed else None,
            seconds=2.0,
        )
        write_record(folder, record)
        self.before(f"end {name}")
        return record.status


class AnyOrderEngine(InProcessEngine):
    """Several runs at once that end in an order drawn from a key; `busy` has how many ran whenever one ended."""

    def __init__(self, run: Callable[[Path], str], *, slots: int, key: int) -> None:
        super().__init__(run)
        self.slots, self.busy = slots, list[int]()
        self._drawn = np.random.default_rng(key)

    def wait(self, seconds: float) -> list[EndedRun]:
        if self._queue:
            running = min(self.slots, len(self._queue))
            self.busy.append(running)
            self._queue.rotate(-int(self._drawn.integers(running)))
        return super().wait(seconds)


class SearchFolder:
    """A folder with a search, and the search brought as far as an engine brings it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.path = folder
        documents = folder / "documents.json"
        write_docred(generate(3), documents)
        search = {"trials": 8, "rungs": [1, 2, 3], "seeds": [100, 101, 102], "startup": 4}
        study: dict[str, Any] = {
            "question": "Where is the hill?",
            "base": {"preset": "memory-grc"},
            "axes": ["slot-width", "warmup", "read-mode"],
            "baseline": "base",
            "search": search | changes.pop("search", {}),
        }
        self.file = folder / "mine.yaml"
        self.file.write_text(yaml.safe_dump(study | changes))
        self.data = {"data": {"name": None, "train": str(documents), "test": str(documents)}}
        self.study = read_study(self.file)
        self.loops: list[SearchLoop] = []

    def planned(self, runs: str = "runs") -> Plan:
        return plan(self.study, profile="quick", runs=self.path / runs, settings=self.data)

    def loop(self, *, slots: int = 1, runs: str = "runs", storage: str = "", trials: int | None = None) -> SearchLoop:
        planned = self.planned(runs)
        search = planned.study.search
        assert search is not None
        asked = msgspec.structs.replace(search, trials=trials or search.trials)
        location = storage or str(self.path / f"{runs}.journal")
        loop = build_loop(planned, self.path / runs, asked, storage=location, slots=slots)
        self.loops.append(loop)
        return loop

    def search(self, run: FakeRun, engine: Engine | None = None, **options: Any) -> SearchLoop:
        """Continue the search until nothing is left to do, or the engine or the run function raises."""
        engine = engine or InProcessEngine(run)
        loop = self.loop(slots=engine.slots, **options)
        launch = Launcher(loop.run_states, engine, self.planned(options.get("runs", "runs")), feed=loop.feed)
        try:
            launch.run(StopRequest())
        finally:
            loop.store.close()
        return loop
