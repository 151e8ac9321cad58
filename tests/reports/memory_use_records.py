"""Made memory use: what reads do and what knock-outs change, put into the records of a made study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from core.records.memory_use import KnockOut, KnockOutScores, MemoryUse, Place, PlaceUse
from core.records.record import read_record, write_record
from core.scoring.metrics import TASKS, DocumentCounts, TypeCounts

Reads = Mapping[str, dict[Place, PlaceUse]]
READS: Reads = {
    "validation": {
        "tokens": PlaceUse(change_gold=0.02, change_other=0.03, factor=1.0, factor_training=1.0),
        "mentions": PlaceUse(change_gold=0.62, factor=0.38, factor_training=0.54, entropy={"inverse-entity": 0.9}),
    },
    "test": {
        "tokens": PlaceUse(change_gold=0.02, entropy={"inverse-entity": 0.8, "inverse-relation": 0.7}),
        "mentions": PlaceUse(change_gold=0.62, factor=0.38, entropy={"inverse-entity": 0.9}),
    },
}


def make_memory_use(differences: Mapping[KnockOut, float], *, reads: Reads = READS) -> MemoryUse:
    """A run that loses so many points of strict relation F1, and one less in the other tasks."""
    knock_outs = {
        name: KnockOutScores(
            f1=dict.fromkeys(TASKS, 30.0),
            difference={task: change + (task != "relation_strict") for task in TASKS},
        )
        for name, change in differences.items()
    }
    return MemoryUse(reads=dict(reads), knock_outs=knock_outs, knock_out_seconds=3.0 if knock_outs else None)


def store_memory_use(
    runs: Path,
    row: int,
    knock_outs: Mapping[KnockOut, Sequence[float]],
    *,
    reads: Reads = READS,
    matrix: str = "written",
) -> None:
    """Put it into the records of the row of that number: a difference per knock-out and seed, from seed 0 on.

    `matrix` is the row's setting memory.reads.
    """
    for seed in range(max(map(len, knock_outs.values()), default=1)):
        changes = {name: values[seed] for name, values in knock_outs.items() if seed < len(values)}
        folder = runs / f"{row:012x}" / f"s{seed}"
        record = read_record(folder)
        assert record is not None
        record.config["memory"]["reads"] = matrix
        write_record(folder, msgspec.structs.replace(record, memory_use=make_memory_use(changes, reads=reads)))


def store_counts(runs: Path, row: int, seed: int, name: str, right: Sequence[int]) -> None:
    """Counts per document in `documents.<name>.json`: of each document's ten items so many are right, none wrong."""
    counts = [
        DocumentCounts(f"d{place}", {task: {"P1": TypeCounts(tp, 0, 10 - tp)} for task in TASKS})
        for place, tp in enumerate(right)
    ]
    (runs / f"{row:012x}" / f"s{seed}" / f"documents.{name}.json").write_bytes(msgspec.json.encode(counts))
