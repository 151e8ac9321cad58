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
    find_run,
    read_record,
    run_folders,
)
from core.records.summary import RunSummary, read_summary

# Offline W&B files stay: they may not have been synced yet.
LEFTOVERS = (LAST,)


def list_runs(*, runs: Path = Path("runs"), status: str | None = None) -> None:
    """Print a line per run: id, preset, profile, status, chosen epoch, seconds and test strict relation F1.

    Args:
        runs: where run folders lie.
        status: only runs of this status: waiting, running, finished, interrupted, killed, failed, diverged, imported or
            damaged.
    """
    print(f"{'run':<18}{'preset':<14}{'profile':<12}{'status':<14}{'epoch':>5}{'seconds':>9}{'strict F1':>11}")
    for run in _summaries(runs):
        if status not in (None, run.status):
            continue
        if not run.run_id:
            print(f"{f'{run.folder.parent.name}-{run.folder.name}':<18}{run.error or run.status}")
            continue
        f1 = run.f1("relation_strict")
        print(
            f"{run.run_id:<18}{run.config.preset:<14}{run.config.profile:<12}{run.status:<14}"
            f"{run.chosen_epoch or '-':>5}{run.seconds:>9.0f}{'-' if f1 is None else f'{f1:.2f}':>11}"
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
    for run in _summaries(runs):
        if run.status != "finished" or is_locked(run.folder):
            continue
        for path in [run.folder / name for name in (*LEFTOVERS, *((BEST,) if weights else ()))]:
            if path.exists():
                size = _size(path)
                total += size
                print(f"{'deleted' if yes else 'would delete'} {path} ({size / 2**20:.1f} MiB)")
                if yes:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{total / 2**20:.1f} MiB {'freed' if yes else 'could be freed: add --yes'}")


def _summaries(runs: Path) -> Iterator[RunSummary]:
    if not runs.is_dir():
        raise UserError(f"{runs}: no such folder of runs; give it with --runs DIR")
    return map(read_summary, run_folders(runs))


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file() and not part.is_symlink())
