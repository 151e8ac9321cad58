"""What a run of a plan will take, from what earlier runs of the same profile and documents took.

The nearest that is known speaks for a run: its own cell under other seeds; else runs with its relation head, batch
size, and memory or none; else a calibration (`studies.calibrate`), which measured the dearest row; else any run of the
profile on these documents. Seconds grow with epochs. What other machines took counts only where this one has computed
nothing.
"""

import json
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.config import EncoderConfig, RunConfig
from core.contents import content_hash
from core.costs import StepCosts
from studies.plan import PlannedRun
from studies.standing import Standing

Ground = tuple[str, str, str]
"""Profile, documents and encoder: runs that differ in one of them say nothing of each other."""

Kind = tuple[str, bool, int]
"""What of a system decides most about its cost: relation head, memory or none, documents in a batch."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run takes, and by which measurement; `parameters` is None where it does not say."""

    seconds: float
    memory_mib: float
    parameters: int | None
    source: str


class Calibration(msgspec.Struct, frozen=True):
    """A few steps that were measured, and what they are steps of."""

    ground: Ground
    kind: Kind
    row: str
    host: str
    costs: StepCosts


class Known:
    """What earlier runs and calibrations say of planned ones."""

    def __init__(self, finished: Iterable[Standing], calibrations: Iterable[Calibration] = ()) -> None:
        scored = [one for one in finished if one.record is not None and one.status == "finished" and one.record.seconds]
        here = [one for one in scored if host_of(one) == platform.node()]
        self._cells: defaultdict[tuple[object, ...], _Runs] = defaultdict(_Runs)
        for one in here or scored:
            for key in _keys_of(one):
                self._cells[key].add(one)
        self._calibrations: dict[tuple[object, ...], Calibration] = {}
        for measured in sorted(calibrations, key=lambda measured: measured.costs.step_seconds):
            if measured.host == platform.node():
                # Where the very kind was not measured, the dearest speaks: rather too much than too little.
                self._calibrations[measured.ground] = self._calibrations[*measured.ground, *measured.kind] = measured
        self._grounds = Grounds()
        self._elsewhere = "" if here else " of other machines"

    def cost(self, run: PlannedRun) -> Cost | None:
        """The cost of a planned run, None where nothing is known."""
        ground, config = self._grounds.of(run.config), run.config
        for key in ((*ground, _signature(run.run_id)), (*ground, *kind_of(config))):
            if key in self._cells:
                return self._cells[key].cost(config, f"finished runs of these rows or their like{self._elsewhere}")
        calibration = self._calibrations.get((*ground, *kind_of(config))) or self._calibrations.get(ground)
        if calibration is not None:
            costs = calibration.costs
            source = f"{costs.steps} steps of row {calibration.row}"
            return Cost(costs.seconds(config), costs.peak_memory_mib, costs.parameters, source)
        if ground in self._cells:
            return self._cells[ground].cost(config, f"finished runs of other rows{self._elsewhere}")
        return None


class Grounds:
    """The grounds of configs; every encoder is told once."""

    def __init__(self) -> None:
        self._encoders: dict[EncoderConfig, str] = {}

    def of(self, config: RunConfig) -> Ground:
        """The ground of a config whose documents are files."""
        assert config.data.train is not None
        encoder = self._encoders.get(config.encoder)
        if encoder is None:
            encoder = self._encoders.setdefault(config.encoder, _told(config.encoder.model_dump(mode="json")))
        return config.profile, content_hash(Path(config.data.train)), encoder


class _Runs:
    """Finished runs of one kind."""

    def __init__(self) -> None:
        self.count, self.seconds_per_epoch, self.memory_mib, self.parameters = 0, 0.0, 0.0, 0

    def add(self, standing: Standing) -> None:
        assert standing.record is not None
        record = standing.record
        self.count += 1
        self.seconds_per_epoch += record.seconds / record.config.training.epochs
        self.memory_mib = max(self.memory_mib, record.peak_memory_mib or 0.0)
        self.parameters = max(self.parameters, record.parameters or 0)

    def cost(self, config: RunConfig, source: str) -> Cost:
        seconds = self.seconds_per_epoch / self.count * config.training.epochs
        return Cost(seconds, self.memory_mib, self.parameters or None, source)


def kind_of(config: RunConfig) -> Kind:
    """The kind of a config."""
    return config.model.relation_head, config.memory is not None, config.training.batch_size


def _keys_of(standing: Standing) -> Iterable[tuple[object, ...]]:
    record = standing.record
    if record is None or record.provenance is None:
        return ()
    config = record.config
    documents = record.provenance.data.get(config.data.train or "")
    if documents is None:
        return ()
    ground = (config.profile, documents, _told(config.encoder))
    kind = (config.model.relation_head, config.memory is not None, config.training.batch_size)
    return (*ground, _signature(record.run_id)), (*ground, *kind), ground


def host_of(standing: Standing) -> str:
    """The machine that computed a run."""
    record = standing.record
    return record.provenance.machine.partition(" ")[0] if record is not None and record.provenance is not None else ""


def _signature(run_id: str) -> str:
    return run_id.rpartition("-")[0]


def _told(encoder: Mapping[str, object]) -> str:
    return json.dumps(encoder, sort_keys=True)
