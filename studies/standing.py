"""Where the runs of a plan stand, and what they took: the little of a record that a plan reads, ten thousand times."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from core.lock import is_held
from core.provenance import Provenance
from core.record import CUT_OFF, RECORD, SCORED

WAITING, DAMAGED = "waiting", "damaged"
UNCOMMITTED = " with uncommitted changes"


class _Provenance(msgspec.Struct, frozen=True):
    commit: str | None = None
    uncommitted_changes: bool = False
    packages: dict[str, str] = {}
    machine: str = ""
    data: dict[str, str] = {}


class _Model(msgspec.Struct, frozen=True):
    relation_head: str = ""


class _Training(msgspec.Struct, frozen=True):
    epochs: int = 1
    batch_size: int = 1


class _Data(msgspec.Struct, frozen=True):
    train: str | None = None


class _Config(msgspec.Struct, frozen=True):
    profile: str = ""
    data: _Data = _Data()
    encoder: dict[str, Any] = {}
    model: _Model = _Model()
    memory: dict[str, Any] | None = None
    training: _Training = _Training()


class _Record(msgspec.Struct, frozen=True):
    status: str
    run_id: str = ""
    config: _Config = _Config()
    provenance: _Provenance | None = None
    seconds: float = 0.0
    peak_memory_mib: float | None = None
    parameters: int | None = None


class Standing(msgspec.Struct, frozen=True):
    """Where a run stands, and of a run that has a record what made it and what it took."""

    folder: Path
    status: str
    """That of the record; else waiting, cut off, or damaged."""
    record: _Record | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to compute."""
        return self.status in SCORED

    @property
    def is_left(self) -> bool:
        """Whether `study run` goes on with it; what failed or is damaged waits for the user."""
        return self.status in (WAITING, CUT_OFF, "interrupted", "running")

    def is_other_code(self, now: Provenance) -> bool:
        """Whether it was computed by code that is known not to be this process's."""
        return self.record is not None and self.status != "imported" and is_other(self.record.provenance, now)

    @property
    def code(self) -> str:
        """The code that made it, as messages call it."""
        return code_of(self.record.provenance if self.record is not None else None)


def standing_of(folder: Path) -> Standing:
    """The standing of a run folder; one without a record waits."""
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=_Record)
    except (FileNotFoundError, NotADirectoryError):
        return Standing(folder, WAITING)
    except (OSError, msgspec.MsgspecError):
        return Standing(folder, DAMAGED)
    status = CUT_OFF if record.status == "running" and not is_held(folder) else record.status
    return Standing(folder, status, record)


def others_in(runs: Path, known: Iterable[Standing], profile: str, most: int) -> Iterator[Standing]:
    """A finished run of each cell in a folder of runs, of a profile, less the known cells; so many at most."""
    cells = {standing.folder.parent.name for standing in known}
    seen = 0
    for cell in sorted(runs.iterdir()) if runs.is_dir() else ():
        if cell.name in cells or seen == most:
            continue
        done = (standing for folder in sorted(cell.glob("s*")) if (standing := standing_of(folder)).is_done)
        found = next(done, None)
        seen += found is not None
        if found is not None and found.record is not None and found.record.config.profile == profile:
            yield found


def is_other(made: "_Provenance | Provenance | None", now: Provenance) -> bool:
    """Whether a provenance names code that is not this process's.

    A commit that is not ours; ours with uncommitted changes where we have none; or, where neither is a checkout,
    another version of the package.
    """
    if made is None:
        return now.commit is not None
    if now.commit is None and made.commit is None:
        return made.packages.get("engram") != now.packages.get("engram")
    return made.commit != now.commit or (made.uncommitted_changes and not now.uncommitted_changes)


def code_of(made: "_Provenance | Provenance | None") -> str:
    """Commit, or the package's version where there is none."""
    if made is None:
        return "unknown"
    if made.commit is None:
        return f"engram {made.packages['engram']}" if "engram" in made.packages else "no commit"
    return made.commit[:12] + (UNCOMMITTED if made.uncommitted_changes else "")
