"""What W&B is told of a run, under which keys: all that its record holds, so that the record can be had back from it.

A W&B run is a record: id `<signature>-s<seed>`, group the signature. In W&B's config and summary:

    config    every setting as config.yaml has it, nested: preset, profile, seed, data.train, memory.slot_width, ...
              tracking.study   `<study>@<profile>`; none for a run of its own
              tracking.row     the row of that study
              provenance       commit, uncommitted_changes, packages, python, command, machine, processors, data
    summary   <split>/<task>/<measure>   percent; precision, recall, f1, macro_precision, macro_recall, macro_f1
              <split>/extra/...          every other number of the record (`core.diagnostics.evaluate`)
              status, steps, chosen_epoch, chosen_reading, seconds, peak_memory_mib, parameters, error, notes,
              commit (once more, as a column beside the scores)
              repairs/<split>/<kind>     how often
    history   loss/<task>, validation/<task>/f1, ... at `global_step`, the optimiser step

A name that has a slash is written with %2F. What the record does not know is not there. A summary also holds the last
values of the history: of a run that is not finished these are all the scores there are.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from core.record import RunRecord

PROVENANCE = "provenance"
FACTS = (
    "status",
    "steps",
    "chosen_epoch",
    "chosen_reading",
    "seconds",
    "peak_memory_mib",
    "parameters",
    "error",
    "notes",
)


def config_of(record: RunRecord) -> dict[str, Any]:
    """W&B's config of a run: its settings, and where it comes from."""
    return {**record.config, PROVENANCE: msgspec.to_builtins(record.provenance)}


def summary_of(record: RunRecord) -> dict[str, Any]:
    """W&B's summary of a run, flat; what the record does not know is left out."""
    facts = {name: getattr(record, name) for name in FACTS}
    told = {name: value for name, value in facts.items() if value is not None and value != []}
    if record.provenance is not None and record.provenance.commit is not None:
        told["commit"] = record.provenance.commit
    # A run that goes on and ends well must not keep the error of its first part.
    told["error"] = record.error or ""
    return dict(flat(record.metrics)) | dict(flat({"repairs": record.repairs})) | told


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping that are known, each with its path."""
    for name, value in tree.items():
        key = before + str(name).replace("%", "%25").replace("/", "%2F")
        if isinstance(value, Mapping):
            yield from flat(value, f"{key}/")
        elif value is not None:
            yield key, value
