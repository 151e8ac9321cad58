"""`engram runs list | show | gc`: what lies in the folder of runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import tyro

from core.errors import UserError
from core.files import is_locked
from core.records.record import (
    BEST,
    LAST,
    RunRecord,
    find_run,
    read_record,
    run_folders,
    standing,
)

# Offline W&B files stay: they may not have been synced yet.
LEFTOVERS = (LAST,)


def list_runs(*, runs: Path = Path("runs"), status: str | None = None) -> None:
    """Print a line per run: id, preset, profile, status, chosen epoch, seconds and test strict relation F1.

    Args:
        runs: where run folders lie.
        status: only runs of this status: running, finished, interrupted, failed, diverged or imported.
    """
    print(f"{'run':<18}{'preset':<14}{'profile':<12}{'status':<14}{'epoch':>5}{'seconds':>9}{'strict F1':>11}")
    for folder, record, damage in _records(runs):
        if record is None:
            print(f"{folder.parent.name}-{folder.name:<5}{damage}")
        elif status is None or record.status == status:
            scores = record.metrics.get("test") or record.metrics.get("validation") or {}
            shown = standing(folder, record)
            f1 = f"{scores['relation_strict']['f1']:.2f}" if scores else "-"
            preset, profile = str(record.config["preset"]), str(record.config["profile"])
            print(
                f"{record.run_id:<18}{preset:<14}{profile:<12}{shown:<14}{record.chosen_epoch or '-':>5}"
                f"{record.seconds:>9.0f}{f1:>11}"
            )


def show(run: tyro.conf.Positional[str], *, runs: Path = Path("runs")) -> None:
    """Print the whole record of a run as JSON.

    Args:
        run: a run id, a unique prefix of one, or a run folder.
        runs: where run folders lie.
    """
    folder = find_run(run, runs)
    record = read_record(folder)
    if record is None:
        raise UserError(f"{folder} has no record yet: it was never started, or stopped before its first write")
    print(msgspec.json.format(msgspec.json.encode(record), indent=2).decode())


def gc(*, runs: Path = Path("runs"), weights: bool = False, yes: tyro.conf.FlagCreatePairsOff[bool] = False) -> None:
    """Delete what finished runs no longer need; without --yes only say what would go.

    Args:
        runs: where run folders lie.
        weights: also the chosen weights of finished runs: they could then not predict any more.
        yes: really delete.
    """
    total = 0
    for folder, record, _ in _records(runs):
        if record is None or record.status != "finished" or is_locked(folder):
            continue
        for path in [folder / name for name in (*LEFTOVERS, *((BEST,) if weights else ()))]:
            if path.exists():
                size = _size(path)
                total += size
                print(f"{'deleted' if yes else 'would delete'} {path} ({size / 2**20:.1f} MiB)")
                if yes:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{total / 2**20:.1f} MiB {'freed' if yes else 'could be freed: add --yes'}")


def _records(runs: Path) -> Iterator[tuple[Path, RunRecord | None, str]]:
    if not runs.is_dir():
        raise UserError(f"{runs}: no such folder of runs; give it with --runs DIR")
    for folder in run_folders(runs):
        try:
            record = read_record(folder)
            yield folder, record, "" if record else "not started"
        except UserError as error:
            yield folder, None, str(error)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file() and not part.is_symlink())
