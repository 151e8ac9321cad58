"""`engram train PRESET`: compute one run."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.commands.arguments import CommandParser
from core.config import presets
from core.config.overrides import parse_overrides
from core.config.schema import RunConfig
from core.config.signature import signature
from core.data.datasets import resolve_paths
from core.errors import UserError
from core.records.record import RunRecord, open_run_folder, read_record
from core.scoring.metrics import TASKS

DESCRIPTION = "Compute one run: train, choose the checkpoint by validation, read test once, write the record."
EPILOG = """The same settings name the same run: a finished run is shown, not computed again.

presets:
  {presets}
profiles:
  {profiles}

  engram train memory-mrc --profile minilm --data.train train.json --data.test test.json --training.epochs 3

Settings, each as --section.setting VALUE, with the defaults of memory-grc:
"""


def train(arguments: Sequence[str]) -> int:
    """Resolve the config, compute the run, print its scores."""
    if not arguments or {"-h", "--help"}.intersection(arguments):
        return show_help()
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
        open_run_folder(folder, config)
        # Torch is loaded only once the settings are known to be right.
        from core.run.execute import run

        record = run(folder)
    return show(record, folder)


def parser() -> CommandParser:
    """The parser of `engram train`; what it does not know are settings."""
    lists = {}
    for kind, names in (("presets", presets.names()), ("profiles", presets.names("profiles"))):
        lists[kind] = "\n  ".join(f"{name:<12} {text}" for name, text in names.items())
    made = CommandParser("engram train", DESCRIPTION, epilog=EPILOG.format(**lists))
    made.add_argument("preset", metavar="PRESET", help="the system to train; settings change single values of it")
    made.add_argument("--profile", help="data, encoder and epochs")
    made.add_argument("--config", type=Path, help="a YAML file of settings, on top of profile and preset")
    made.add_argument(
        "--runs", type=Path, default=Path("runs"), help="the folder of run folders: runs/<signature>/s<seed>"
    )
    made.add_argument("--dry-run", action="store_true", help="print the resolved config and the run's folder only")
    return made


def parse(arguments: Sequence[str]) -> tuple[RunConfig, Path, bool]:
    """The resolved config, the folder of runs, and whether nothing is to be computed."""
    options, flags = parser().parse_known_args(list(arguments))
    row = presets.read_settings(options.config) if options.config else {}
    known = presets.difference(options.preset) | row
    if "memory" not in known and any(flag.startswith("--memory.") for flag in flags):
        with_memory = options.preset.replace("jerex", "memory")
        raise UserError(f"preset {options.preset} has no memory, so --memory.* has no effect: start from {with_memory}")
    row = presets.merge(row, parse_overrides(flags))
    return presets.build(options.preset, profile=options.profile, row=row), options.runs, options.dry_run


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


def show_help() -> int:
    """Print the usage, then every setting with its limit and default."""
    import tyro

    parser().print_help()
    with suppress(SystemExit):
        tyro.cli(
            RunConfig,
            default=presets.build("memory-grc"),
            args=["--help"],
            prog="engram train PRESET",
            config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
        )
    return 0
