"""`engram runs list | show | gc`: the folder of runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import tyro

from core.commands.console import print_json
from core.errors import UserError
from core.files import format_size, is_locked
from core.records.record import BEST, LAST, find_run, read_record, run_folders
from core.records.summary import RunStatus, RunSummary, read_summary


def list_runs(*, runs: Path = Path("runs"), status: RunStatus | None = None) -> None:
    """Print a line per run: id, preset, profile, status, chosen epoch, seconds and test strict relation F1.

    Args:
        runs: the folder of run folders.
        status: only runs of this status.
    """
    summaries = _summaries(runs)
    print(f"{'run':<18}{'preset':<14}{'profile':<12}{'status':<14}{'epoch':>5}{'seconds':>9}{'strict F1':>11}")
    for run in summaries:
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
        runs: the folder of run folders.
    """
    folder = find_run(run, runs)
    record = read_record(folder)
    if record is None:
        raise UserError(f"{folder} has no record yet: it was never started, or stopped before its first write")
    print_json(record)


def gc(*, runs: Path = Path("runs"), weights: bool = False, yes: bool = False) -> None:
    """Delete what finished runs no longer need; without --yes only print what would be deleted.

    Args:
        runs: the folder of run folders.
        weights: also delete the chosen weights of finished runs, which can then no longer predict.
        yes: really delete.
    """
    total = 0
    for run in _summaries(runs):
        if run.status != "finished" or is_locked(run.folder):
            continue
        # Offline W&B files stay: they may not have been uploaded yet.
        for path in (run.folder / name for name in ((LAST, BEST) if weights else (LAST,))):
            if path.exists():
                files = [path, *path.rglob("*")]
                size = sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())
                total += size
                print(f"{'deleted' if yes else 'would delete'} {path} ({format_size(size)})")
                if yes:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{format_size(total)} {'freed' if yes else 'could be freed: add --yes'}")


def _summaries(runs: Path) -> Iterator[RunSummary]:
    if not runs.is_dir():
        raise UserError(f"{runs}: no such folder of runs; give it with --runs DIR")
    return map(read_summary, run_folders(runs))
