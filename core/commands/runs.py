"""`engram runs list | show | gc | sync`: the folder of runs."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from core.commands.console import print_json
from core.config.presets import setting_paths, validate
from core.config.signature import active_settings
from core.errors import UserError, did_you_mean
from core.files import delete, format_size, has_link, is_locked
from core.records.record import BEST, LAST, RECORD, find_run, read_record, run_folders
from core.records.summary import DAMAGED, RunStatus, RunSummary, read_summary
from core.records.wandb_run import FILES
from core.records.wandb_upload import check_reachable, prepare_runs, report_upload
from core.scoring.metrics import HEADLINE


def list_runs(
    *,
    runs: Path = Path("runs"),
    status: Annotated[RunStatus, "STATUS"] | None = None,
    study: str | None = None,
    preset: str | None = None,
    sort: Literal["date", "seconds", "score"] | None = None,
    json: bool = False,
    study_runs: Callable[[str, Path], Collection[str]],
) -> None:
    """Print a line per run: when its record was written, seconds, score, and the settings in which the runs differ.

    The score is strict relation F1 in percent, on test, else on validation. A file among the settings stands with the
    first 12 digits of its content hash.

    Args:
        runs: the folder of run folders.
        status: only runs of this status: waiting, running, finished, imported, interrupted, killed, failed, diverged
            or damaged.
        study: only runs of this study, a name or <study>@<profile>, also those that it shares with others.
        preset: only runs of this preset.
        sort: the latest, longest or best first (default: by run id).
        json: one JSON list instead of lines.
    """
    # `study_runs` is for the ids of a study's runs, which only another package knows.
    ids = study_runs(study, runs) if study is not None else ()
    found = list(read_summaries(runs))
    presets = {run.config.preset for run in found if run.config.preset}
    if preset is not None and preset not in presets:
        hint = did_you_mean(preset, presets)
        raise UserError(
            f"no run of preset {preset!r} in {runs}: those there are of {', '.join(sorted(presets))}.{hint}"
        )
    found = [
        run
        for run in found
        if status in (None, run.status)
        and preset in (None, run.config.preset)
        and (study is None or name_run(run) in ids)
    ]
    lines = [describe_run(run) for run in found]
    for line, settings in zip(lines, differing_settings(found), strict=True):
        line["settings"] = settings
    if sort is not None:
        # What has no score or date comes last, also in falling order.
        lines.sort(key=lambda line: (line[sort] is not None, line[sort]), reverse=True)
    if json:
        print_json(lines)
    else:
        print_lines(lines)


def name_run(run: RunSummary) -> str:
    """The id of a run, by its folder where it has no record that can be read."""
    return run.run_id or f"{run.folder.parent.name}-{run.folder.name}"


def describe_run(run: RunSummary) -> dict[str, Any]:
    """A run as `runs list --json` shows it, without its settings."""
    record = run.folder / RECORD
    written = datetime.fromtimestamp(record.stat().st_mtime, UTC) if record.is_file() else None
    return {
        "run": name_run(run),
        "status": run.status,
        "preset": run.config.preset or None,
        "profile": run.config.profile or None,
        "study": run.config.tracking.get("study"),
        "row": run.config.tracking.get("row"),
        "date": written and written.isoformat(timespec="seconds"),
        "seconds": run.seconds if run.run_id else None,
        "chosen_epoch": run.chosen_epoch,
        "score": run.f1(HEADLINE),
        "split": next((split for split in ("test", "validation") if split in run.metrics), None),
        "error": run.error,
        "folder": str(run.folder),
    }


def differing_settings(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """Of every run the settings that can change a number and that differ among the runs that have them."""
    # All seeds of a row have one config, so that of thousands of runs only hundreds are read whole.
    by_row = {run.folder.parent: run for run in runs if run.run_id}
    rows = {folder: read_settings(run) for folder, run in by_row.items()}
    values: dict[str, set[Any]] = {}
    for settings in rows.values():
        for path, value in settings.items():
            values.setdefault(path, set()).add(value)
    differing = [path for path in setting_paths() if len(values.get(path, ())) > 1]
    return [
        {path: settings[path] for path in differing if path in settings}
        for settings in (rows.get(run.folder.parent, {}) for run in runs)
    ]


def read_settings(run: RunSummary) -> dict[str, Any]:
    """The active settings of a run by path, a file by its name and content hash; empty where its config is damaged."""
    hashes = run.provenance.data if run.provenance else {}
    try:
        record = read_record(run.folder)
        settings = active_settings(validate(record.config, unknown="ignore")) if record else {}
    except UserError:
        return {}
    return {
        path: f"{Path(value).name} ({hashes[value][:12]})" if isinstance(value, str) and value in hashes else value
        for path, value in settings.items()
    }


def print_lines(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print runs as a table, a column per setting that differs; below it what is wrong with damaged ones."""
    paths = list(dict.fromkeys(path for line in lines for path in line["settings"]))
    names = [path.rpartition(".")[2] for path in paths]
    heads = [path if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]
    table = [["run", "preset", "profile", "status", "date", "seconds", "strict F1", *heads]]
    for line in lines:
        texts = [line[key] or "-" for key in ("run", "preset", "profile", "status")]
        texts.append((line["date"] or "-")[:16].replace("T", " "))
        numbers = ((line["seconds"], 0, 7), (line["score"], 2, 9))
        texts += [f"{'-' if value is None else f'{value:.{digits}f}':>{width}}" for value, digits, width in numbers]
        table.append([*texts, *(str(line["settings"].get(path, "-")).lower() for path in paths)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        print("  ".join(map(str.ljust, cells, widths)).rstrip())
    for line in lines:
        if line["status"] == DAMAGED:
            print(f"{line['run']}: {line['error']}")


def show(run: str, *, runs: Path = Path("runs")) -> None:
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
    for run in read_summaries(runs):
        if run.status != "finished" or is_locked(run.folder):
            continue
        # Offline W&B files stay: they may not have been uploaded yet.
        for path in (run.folder / name for name in ((LAST, BEST) if weights else (LAST,))):
            if not path.exists():
                continue
            if has_link(path, within=runs):
                print(f"left alone {path}: a symbolic link leads there")
                continue
            files = [path, *path.rglob("*")]
            size = sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())
            total += size
            print(f"{'deleted' if yes else 'would delete'} {path} ({format_size(size)})")
            if yes:
                delete(path, within=runs)
    print(f"{format_size(total)} {'freed' if yes else 'could be freed: add --yes'}")


def sync(run: str | None = None, *, runs: Path = Path("runs")) -> int:
    """Upload to W&B what runs wrote offline, each file once; without RUN of every run in the folder.

    Exit code 1 if some failed. Of a study, `engram study sync` also uploads the mean and spread of its rows.

    Args:
        run: a run id, a unique prefix of one, or a run folder.
        runs: the folder of run folders.
    """
    folders = [find_run(run, runs)] if run is not None else [found.folder for found in read_summaries(runs)]
    check_reachable()
    files, problems = prepare_runs(folders)
    logs = (folders[0] if run is not None else runs) / FILES
    return report_upload(run or str(runs), files, problems, logs=logs)


def read_summaries(runs: Path) -> Iterator[RunSummary]:
    """The summary of every run in a folder of runs."""
    if not runs.is_dir():
        raise UserError(f"{runs}: no such folder of runs; give it with --runs DIR")
    return map(read_summary, run_folders(runs))
