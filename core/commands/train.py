"""`engram train PRESET`: compute one run."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.config import presets
from core.config.overrides import parse_overrides
from core.config.schema import RunConfig
from core.config.signature import signature
from core.data.datasets import resolve_paths
from core.errors import UserError
from core.records.record import RunRecord, open_run_folder, read_record

USAGE = """usage: engram train PRESET [--profile P] [--config FILE] [--runs DIR] [--SECTION.SETTING VALUE ...]

Compute one run: train, choose the checkpoint by validation, read test once, write the record.

  PRESET          {presets}
  --profile P     {profiles}
  --config FILE   a YAML file of settings, on top of profile and preset
  --runs DIR      where run folders lie (default: runs); the run is DIR/<signature>/s<seed>
  --dry-run       print the resolved config and the run's folder, compute nothing

The same settings name the same run: a finished run is shown, not computed again.

  engram train memory-mrc --profile minilm --data.train train.json --data.test test.json --training.epochs 3
"""

NO_DATA = (
    "no training documents: give --data.train FILE (and --data.test FILE), or --data.name NAME of `engram data list`"
)


def train(arguments: Sequence[str]) -> int:
    """Resolve the config, compute the run, print its scores."""
    if not arguments or {"-h", "--help"}.intersection(arguments):
        return show_help()
    config, runs, dry = parse(arguments)
    config = config.model_copy(update={"data": resolve_paths(config.data)})
    if config.data.train is None:
        raise UserError(NO_DATA)
    folder = runs / signature(config) / f"s{config.seed}"
    if dry:
        print(f"# {folder}\n{presets.to_yaml(config)}", end="")
        return 0
    done = read_record(folder)
    if done is not None and done.status == "finished":
        print(f"{done.run_id} is finished; nothing is computed again", file=sys.stderr)
        show(done, folder)
        return 0
    open_run_folder(folder, config)
    # Torch is loaded only once the settings are known to be right.
    from core.run.execute import run

    record = run(folder)
    show(record, folder)
    return 0 if record.status == "finished" else 1


def parse(arguments: Sequence[str]) -> tuple[RunConfig, Path, bool]:
    """The resolved config, the folder of runs, and whether nothing is to be computed."""
    rest = list(arguments)
    preset = rest.pop(0)
    if preset.startswith("-"):
        raise UserError(f"the preset comes first: engram train PRESET {preset} ...; {', '.join(presets.names())}")
    profile = _take(rest, "--profile")
    file = _take(rest, "--config")
    runs = Path(_take(rest, "--runs") or "runs")
    dry = "--dry-run" in rest
    rest = [argument for argument in rest if argument != "--dry-run"]
    row = presets.read_settings(Path(file)) if file else {}
    known = presets.difference(preset) | row
    if "memory" not in known and any(argument.startswith("--memory.") for argument in rest):
        with_memory = preset.replace("jerex", "memory")
        raise UserError(f"preset {preset} has no memory, so --memory.* says nothing: start from {with_memory}")
    config = presets.build(preset, profile=profile, row=presets.merge(row, parse_overrides(rest)))
    return config, runs, dry


def _take(rest: list[str], flag: str) -> str | None:
    for number, argument in enumerate(rest):
        name, given, value = argument.partition("=")
        if name == flag:
            if not given and number + 1 >= len(rest):
                raise UserError(f"{flag} has no value: give {flag} VALUE")
            taken = value if given else rest[number + 1]
            del rest[number : number + (1 if given else 2)]
            return taken
    return None


def show(record: RunRecord, folder: Path) -> None:
    """The scores of a run on stdout."""
    from core.scoring.metrics import TASKS

    if record.status != "finished":
        print(f"{record.run_id} {record.status}: {(record.error or '').strip().splitlines()[-1:]}", file=sys.stderr)
        return
    print(f"{record.run_id}  epoch {record.chosen_epoch}  {record.seconds:.0f} s  {folder}")
    for split, scores in record.metrics.items():
        parts = "  ".join(f"{task} {scores[task]['f1']:.2f}" for task in TASKS)
        average = scores["extra"]["ranking"]["average_precision"]
        print(f"{split:<11} F1  {parts}  (relation average precision {average:.2f})")


def show_help() -> int:
    """Usage, then every setting with its limit and default."""
    import tyro

    listed = "\n                  ".join(f"{name:<12} {text}" for name, text in presets.names().items())
    profiles = "\n                  ".join(f"{name:<12} {text}" for name, text in presets.names("profiles").items())
    print(USAGE.format(presets=listed, profiles=profiles))
    print("Settings (shown with the defaults of memory-grc):")
    with suppress(SystemExit):
        tyro.cli(
            RunConfig,
            default=presets.build("memory-grc"),
            args=["--help"],
            prog="engram train PRESET",
            config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
        )
    return 0
