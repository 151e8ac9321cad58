"""Engine options: the flags that choose an engine on a command line, and the engine that they ask for."""

import argparse
from collections.abc import Callable
from pathlib import Path

from core.commands.arguments import add_parameters
from core.errors import UserError
from studies.arguments import StudyParser, positive_int
from sweeps.engines import ENGINES
from sweeps.engines.engine import DetachedEngine, Engine, EngineOptions
from sweeps.engines.local import parse_devices


def add_engine_options(parser: StudyParser) -> None:
    """Add which engine, how many runs at once and on which devices, and each engine's own flags, as `--slurm.time`."""
    parser.add_argument(
        "--engine",
        choices=list(ENGINES),
        default=next(iter(ENGINES)),
        help="; ".join(f"{name}: {(engine.__doc__ or '').partition('.')[0]}" for name, engine in ENGINES.items()),
    )
    add_job_options(parser)
    for name, engine in ENGINES.items():
        if engine.options_type is not None:
            add_parameters(
                parser.add_argument_group(f"options of --engine {name}"), engine.options_type, prefix=f"{name}."
            )


def add_job_options(parser: StudyParser) -> None:
    """Add how many runs are computed at once, and on which devices."""
    parser.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="runs at once (default: as many as processors or devices allow)",
    )
    parser.add_argument(
        "--devices", type=parse_devices, default=(), help="cpu, or cuda:0,cuda:1: the runs use them in turn"
    )


def build_engine(
    options: argparse.Namespace,
    *,
    default_jobs: Callable[[], int],
    compute_run: Callable[[Path], str],
    detach: bool = False,
) -> Engine:
    """The engine that a command line asks for; a UserError for a flag of another engine.

    `default_jobs` gives how many runs at once this machine has room for, `compute_run` computes a run folder in this
    process.
    """
    own = {}
    for flag, value in vars(options).items():
        owner, _, name = flag.rpartition(".")
        if owner == options.engine:
            own[name] = value
        elif owner:
            shown = f"--{flag.replace('_', '-')}"
            raise UserError(
                f"{shown} is an option of --engine {owner}, but the engine is {options.engine}: leave it out, or give "
                f"--engine {owner}"
            )
    engine = ENGINES[options.engine]
    if detach and not issubclass(engine, DetachedEngine):
        raise UserError(f"runs of --engine {options.engine} end with this command: leave out --detach")
    return engine.from_options(
        EngineOptions(
            runs=options.runs,
            jobs=options.jobs,
            devices=options.devices,
            default_jobs=default_jobs,
            run=compute_run,
            detach=detach,
            own=engine.options_type(**own) if engine.options_type else None,
        )
    )
