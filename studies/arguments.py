"""The arguments that `study plan` and `study run` share: which study, on what, which seeds, settings of every run."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from core import presets
from core.errors import UserError
from core.flags import settings_from
from studies.plan import Plan, plan
from studies.study import find_study

EPILOG = """Settings of every run go behind: --training.epochs 3 --data.train train.json (`engram train --help` lists
them); --memory.* reaches the rows that have a memory.

  {prog} paper --profile quick
"""


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line of ours."""

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise UserError(f"{message}; see `{self.prog} --help`")


def parser(prog: str, description: str) -> Parser:
    """A parser with the shared arguments."""
    given = Parser(
        prog=prog,
        description=description,
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    profiles = ", ".join(presets.names("profiles"))
    given.add_argument("study", metavar="STUDY", help="a study of `engram study list`, or a YAML file of your own")
    given.add_argument("--profile", default="quick", help=f"on what: {profiles} (default: quick)")
    given.add_argument(
        "--seeds", type=seeds_of, help="how many seeds (5 is 0 to 4), or which (0,3,7); default: its own"
    )
    given.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders lie (default: runs)")
    given.add_argument("--name", help="keep it under another name, where the same study ran with other settings")
    given.add_argument("--wandb", choices=["auto", "online", "offline", "disabled"], help="how W&B follows the runs")
    return given


def parse(given: Parser, arguments: Sequence[str]) -> tuple[argparse.Namespace, Plan]:
    """The arguments and the plan that they ask for."""
    read, flags = given.parse_known_args(list(arguments))
    settings = settings_from(flags)
    if read.wandb:
        settings = presets.merge(settings, {"tracking": {"wandb": read.wandb}})
    study = find_study(read.study)
    if read.name:
        study = msgspec.structs.replace(study, name=read.name)
    return read, plan(study, profile=read.profile, runs=read.runs, seeds=read.seeds, settings=settings)


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def seeds_of(text: str) -> tuple[int, ...]:
    """`5` as 0 to 4, `0,3,7` as these."""
    if "," not in text:
        return tuple(range(positive(text)))
    parts = [part.strip() for part in text.strip(",").split(",")]
    if len(set(parts)) < len(parts) or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} are not different whole numbers from 0")
    return tuple(int(part) for part in parts)
