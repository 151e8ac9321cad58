"""The arguments that `study plan` and `study run` share: which study, on what, which seeds, settings of every run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.commands.arguments import CommandParser
from core.config import presets
from core.config.presets import Tree
from core.errors import UserError
from studies.plan import Plan, plan
from studies.search.spec import MAX_SEED
from studies.study import Study, check_study_name, find_study

MAX_SEEDS = 1_000
EPILOG = """Settings of every run come last (`engram train --help-all` lists them);
--memory.* reaches the rows that have a memory.

  {prog} paper
  {prog} warmup --seeds 2 --profile minilm --data.train FILE
  {prog} mine.yaml --seeds 0,3,7 --training.epochs 10

A study of your own is a YAML file of rows:

  question: Does a wider slot help?
  baseline: width-of-encoder
  rows:
    width-of-encoder: {{preset: memory-grc}}
    twice: {{preset: memory-grc, settings: {{memory: {{slot_width: 128}}}}}}

or of axes on a base (`engram study show warmup` shows an axis):

  question: Does that depend on the warm-up?
  baseline: slot-width=H+warmup=0.4+lr=5e-05
  base: {{preset: memory-grc}}
  axes:
    - {{name: slot-width, values: [32, null]}}
    - {{name: warmup, values: [0, 0.4]}}
    - {{name: lr, path: training.lr, values: [1e-4, 5e-5]}}

It may also have: seeds: [0, 1, 2], metric: relation, varies: [memory] (all in which rows may differ from their
baseline); and in a row: title, group (a part of the table), baseline (the row it is compared with, or a list).
A row of another program: predictions: [seed0.json, seed1.json] and gold: test.json, files beside the study's.
"""


class StudyParser(CommandParser):
    """The parser of a command that plans a study; a command adds its own arguments.

    `{prog}` in the epilog is the command.
    """

    def __init__(self, prog: str, description: str, *, epilog: str = EPILOG) -> None:
        super().__init__(prog, description, epilog=epilog.format(prog=prog))
        profiles = ", ".join(presets.names("profiles"))
        self.add_argument("study", metavar="STUDY", help="a study of `engram study list`, or a YAML file of your own")
        self.add_argument("--profile", default="quick", help=f"data, encoder and epochs: {profiles} (default: quick)")
        self.add_argument(
            "--seeds",
            type=parse_seeds,
            help="how many seeds (5 is 0 to 4), or which (0,3,7), the same for every row (default: the study's own)",
        )
        self.add_argument(
            "--runs", type=Path, default=Path("runs"), metavar="DIR", help="the folder of run folders (default: runs)"
        )
        self.add_argument("--name", help="keep the study under this name, for the same study with other settings")
        self.add_argument(
            "--wandb", choices=["auto", "online", "offline", "disabled"], help="whether the runs are logged to W&B"
        )

    def parse_study(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, Study, Tree]:
        """The arguments, the study that they name, and the settings of every run."""
        options, settings = self.parse_with_settings(arguments)
        if options.wandb:
            settings = presets.merge(settings, {"tracking": {"wandb": options.wandb}})
        presets.difference(options.profile, "profiles")  # an unknown profile is an error before the study is read
        study = find_study(options.study)
        if options.name is not None:
            check_study_name(options.name)
            study = msgspec.structs.replace(study, name=options.name)
        return options, study, settings

    def parse_plan(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, Plan]:
        """The arguments, and the plan of the study that they name."""
        options, study, settings = self.parse_study(arguments)
        try:
            planned = plan(study, profile=options.profile, runs=options.runs, seeds=options.seeds, settings=settings)
        except UserError as error:
            in_file = options.study.endswith((".yaml", ".yml")) and str(error).startswith("row ")
            if in_file:
                raise UserError(f"{options.study}: {error}") from None
            raise
        return options, planned


def positive_int(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def parse_seeds(text: str) -> tuple[int, ...]:
    """`5` as 0 to 4, `0,3,7` as these."""
    if "," not in text and positive_int(text) <= MAX_SEEDS:
        return tuple(range(int(text)))
    parts = [part.strip() for part in text.strip(",").split(",")]
    seeds = tuple(int(part) for part in parts if part.isdecimal())
    if "," not in text or len(set(seeds)) < len(parts) or max(seeds) > MAX_SEED:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number of seeds up to {MAX_SEEDS:,} nor different seeds up to {MAX_SEED} (0,3,7)"
        )
    return seeds
