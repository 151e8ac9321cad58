"""Provenance of a result: commit, packages, command, machine, data; and whether other code made it."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

UNCOMMITTED = " with uncommitted changes"
PACKAGES = ("engram", "torch", "transformers", "accelerate", "tokenizers", "numpy", "scipy")


class Provenance(msgspec.Struct, frozen=True):
    """What one would need to know to compute a result again."""

    commit: str | None
    uncommitted_changes: bool
    packages: dict[str, str]
    python: str
    command: list[str]
    machine: str
    processors: int
    data: dict[str, str]


def collect_provenance(data: Mapping[str, str]) -> Provenance:
    """The provenance of this process; `data` maps each file that it reads to its content hash."""
    root = Path(__file__).resolve().parents[2]
    commit = _git(root, "rev-parse", "HEAD")
    return Provenance(
        commit=commit,
        uncommitted_changes=bool(commit and _git(root, "status", "--porcelain", "--untracked-files=no")),
        packages={name: number for name in PACKAGES if (number := _version(name))},
        python=platform.python_version(),
        command=list(sys.argv),
        machine=f"{platform.node()} {platform.platform()} {platform.machine()}",
        processors=os.cpu_count() or 1,
        data=dict(data),
    )


def is_other_code(made: Provenance | None, now: Provenance) -> bool:
    """Whether a result was made by code that is known not to be this process's.

    A commit that is not ours; ours with uncommitted changes where we have none; or, where neither is a checkout,
    another version of the package.
    """
    if made is None:
        return now.commit is not None
    if now.commit is None and made.commit is None:
        return made.packages.get("engram") != now.packages.get("engram")
    return made.commit != now.commit or (made.uncommitted_changes and not now.uncommitted_changes)


def describe_code(made: Provenance | None) -> str:
    """The code that made a result: its commit, or the package's version where there is none."""
    if made is None:
        return "unknown"
    if made.commit is None:
        return f"engram {made.packages['engram']}" if "engram" in made.packages else "no commit"
    return made.commit[:12] + (UNCOMMITTED if made.uncommitted_changes else "")


def _git(root: Path, *command: str) -> str | None:
    # A package installed from a wheel is in nobody's checkout: only a .git next to it counts.
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
