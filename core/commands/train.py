"""`engram train PRESET`: compute one run."""

import sys
from argparse import _ArgumentGroup
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.commands.arguments import CommandParser, describe_names, describe_type, escape
from core.config import presets
from core.config.overrides import LABELS
from core.config.schema import RunConfig
from core.config.section import CONTENT
from core.config.signature import signature
from core.data.datasets import resolve_paths
from core.errors import UserError, shorten
from core.files import check_writable
from core.records.record import RunRecord, open_run_folder, read_record
from core.scoring.metrics import TASKS

DESCRIPTION = "Compute one run: train, choose the checkpoint by validation, read test once, write the record."
EPILOG = """The same settings name the same run: a finished run is shown, not computed again.

  engram train memory-mrc --profile minilm --data.train FILE --training.epochs 3

presets:
{presets}

profiles:
{profiles}
"""
USUAL_SETTINGS = (
    "data.name data.train data.test training.epochs training.lr training.batch_size seed memory.slot_width "
    "memory.warmup memory.read_mode memory.pooling runtime.device"
).split()
"""The settings that `--help` shows; `--help-all` shows all."""


def train(arguments: Sequence[str]) -> int:
    """Resolve the config, compute the run, print its scores."""
    if not arguments or {"-h", "--help", "--help-all"}.intersection(arguments):
        print(build_help(everything="--help-all" in arguments), end="")
        return 0
    config, runs, dry_run = parse(arguments)
    config = config.model_copy(update={"data": resolve_paths(config.data)})
    if config.data.train is None:
        raise UserError(
            "no training documents: give --data.train FILE (and --data.test FILE), or --data.name NAME of `engram data "
            "list`"
        )
    folder = runs / signature(config) / f"s{config.seed}"
    if dry_run:
        print(f"# {folder}\n{presets.to_yaml(config)}", end="")
        return 0
    record = read_record(folder)
    if record is not None and record.status == "finished":
        print(f"{record.run_id} is finished; nothing is computed again", file=sys.stderr)
    else:
        check_writable(folder, "give a folder that is yours (--runs DIR)")
        # Torch is loaded only once the settings are known to be right.
        from core.run.execute import get_ready, run

        # Before there is a folder: a mistake leaves no run behind.
        ready = get_ready(config, folder)
        open_run_folder(folder, config)
        record = run(folder, ready)
    return show(record, folder)


def parser() -> CommandParser:
    """The parser of `engram train`; the options that it does not have are settings."""
    lists = {
        kind: describe_names({name: text.partition(". ")[0].rstrip(".") for name, text in presets.names(kind).items()})
        for kind in presets.FOLDERS
    }
    made = CommandParser("engram train", DESCRIPTION, epilog=EPILOG.format(**lists))
    made.add_argument("preset", metavar="PRESET", help="the system to train; settings change single values of it")
    made.add_argument("--profile", help="data, encoder and epochs")
    made.add_argument(
        "--config", type=Path, metavar="FILE", help="a YAML file of settings, on top of profile and preset"
    )
    made.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="the folder of run folders (default: runs)"
    )
    made.add_argument("--dry-run", action="store_true", help="print the resolved config and the run's folder only")
    made.add_argument("--help-all", action="store_true", help="show this help message with every setting and exit")
    return made


def parse(arguments: Sequence[str]) -> tuple[RunConfig, Path, bool]:
    """The resolved config, the folder of runs, and whether nothing is to be computed."""
    options, settings = parser().parse_with_settings(arguments)
    row = presets.read_settings(options.config) if options.config else {}
    for label, typed in (("preset", options.preset), ("profile", options.profile)):
        if typed is not None and row.get(label, typed) != typed:
            raise UserError(
                f"{options.config} is of {label} {shorten(row[label])}, and {label} {typed!r} was typed: type the "
                f"file's own, or leave `{label}:` out of the file"
            )
    known = presets.difference(options.preset) | row
    if "memory" not in known and "memory" in settings:
        with_memory = options.preset.replace("jerex", "memory")
        raise UserError(f"preset {options.preset} has no memory, so --memory.* has no effect: start from {with_memory}")
    try:
        config = presets.build(options.preset, profile=options.profile, row=presets.merge(row, settings))
    except UserError:
        if options.config:
            # A mistake of the file, not of a flag, names the file.
            presets.build(options.preset, profile=options.profile, row=row, where=f"{options.config}: ")
        raise
    return config, options.runs, options.dry_run


def show(record: RunRecord, folder: Path) -> int:
    """Print the scores of a run on stdout, or on stderr why it has none; the exit code."""
    if record.status != "finished":
        reason = (record.error or "no error is recorded").strip().splitlines()[-1]
        print(f"{record.run_id} {record.status}: {reason}", file=sys.stderr)
        return 1
    print(f"{record.run_id}  epoch {record.chosen_epoch}  {record.seconds:.0f} s  {folder}")
    for split, scores in record.metrics.items():
        tasks = "  ".join(f"{task} {scores[task]['f1']:.2f}" for task in TASKS)
        average = scores["extra"]["ranking"]["average_precision"]
        print(f"{split:<11} F1  {tasks}  (relation average precision {average:.2f})")
    return 0


def build_help(*, everything: bool) -> str:
    """The usage, and the settings that most people use, or every setting by its section."""
    made, config = parser(), presets.build("memory-grc")
    made.usage = made.format_usage().removeprefix("usage: ").rstrip() + " [--section.setting VALUE ...]"
    paths = [path for path in presets.setting_paths() if path not in LABELS]
    groups: dict[str, list[str]] = {}
    for path in paths if everything else USUAL_SETTINGS:
        groups.setdefault(path.rpartition(".")[0] if everything else "", []).append(path)
    others = "" if everything else f"; {len(paths) - len(USUAL_SETTINGS)} others: --help-all"
    for section, members in groups.items():
        model = presets.find_section(section.split(".")) if section else None
        title = f"{section} settings" if section else f"settings (with the defaults of memory-grc{others})"
        group = made.add_argument_group(title, model.__doc__ if model else None)
        for path in members:
            add_setting(group, path, config)
    return made.format_help()


def add_setting(group: _ArgumentGroup, path: str, config: RunConfig) -> None:
    """Add a setting to the help: its values, its sentence and its default."""
    *steps, name = path.split(".")
    section: Any = config
    for step in steps:
        section = getattr(section, step)
    field, value = type(section).model_fields[name], getattr(section, name)
    how = describe_type(field.annotation)
    default = str(value).lower() if value is None or isinstance(value, bool) else value
    text = f"{' '.join((field.description or '').split()).removesuffix('.')} (default: {default})"
    values = "{true,false}" if "action" in how else how["metavar"]
    metavar = values or ("FILE" if CONTENT in field.metadata else None if "choices" in how else name.upper())
    group.add_argument(f"--{path.replace('_', '-')}", choices=how.get("choices"), metavar=metavar, help=escape(text))
