"""Engines: where runs are computed. A new one is a module with a subclass of `Engine`, and a line here."""

from sweeps.engines.engine import Engine
from sweeps.engines.in_process import InProcessEngine
from sweeps.engines.local import LocalEngine
from sweeps.engines.ray import RayEngine
from sweeps.engines.slurm import SlurmEngine

ENGINES: dict[str, type[Engine]] = {
    "local": LocalEngine,
    "in-process": InProcessEngine,
    "slurm": SlurmEngine,
    "ray": RayEngine,
}
"""The choices of `engram study run --engine`, the default first; the class's first sentence is its help."""
