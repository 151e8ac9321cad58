"""Quick commands stay quick: what needs no model loads none of the libraries that build one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = "Ada works for Acme. Acme is in Oslo.\n"
LIGHT = {
    "--help": 0,
    "train --help": 0,
    "train no-such-preset": 2,
    "score --gold {file} --predictions {file}": 2,
    "score --help": 0,
    "data report {file}": 0,
    "data sample {file}": 0,
    "data list": 0,
    "study list": 0,
    "study show paper": 0,
    "study plan paper --data.name none --data.train {file}": 0,
    "study run --help": 0,
    "study run mine.yaml --data.name none --data.train {file}": 2,
    "study run papr": 2,
    "study show search": 0,
    "study sweep paper --data.name none --data.train {file}": 0,
    "study plan search --data.name none --data.train {file}": 0,
    "study evaluate paper --knock-out": 2,
    "study search --help": 0,
    "study search paper --data.name none --data.train {file}": 2,
    "report paper": 2,
}
UNDECLARED = """{question: q, baseline: a, varies: [loss],
  rows: {a: {preset: jerex-grc}, b: {preset: jerex-mrc}}}"""
DRY = "train memory-grc --encoder.source scratch --data.train {file} --dry-run"


@pytest.mark.parametrize(("command", "code"), [*LIGHT.items(), (DRY, 0)])
def test_quick_commands_load_no_torch(tmp_path: Path, command: str, code: int) -> None:
    program = (
        "import sys, engram; code = engram.main(sys.argv[1:]); "
        "loaded = sorted({'torch', 'transformers', 'accelerate', 'optuna'} & sys.modules.keys()); "
        "sys.exit(f'loads {loaded}' if loaded else code)"
    )
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "mine.yaml").write_text(UNDECLARED)
    arguments = [part.format(file="text.txt") for part in command.split()]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
    )
    assert done.returncode == code, done.stderr


PACKAGES = "core.config core.data core.scoring core.records studies sweeps reports"


def test_whole_packages_load_no_torch() -> None:
    program = (
        "import sys; from importlib import import_module; from pkgutil import walk_packages; "
        "packages = [import_module(name) for name in sys.argv[1:]]; "
        "[import_module(m.name) for p in packages for m in walk_packages(p.__path__, p.__name__ + '.')]; "
        "sys.exit(', '.join({'torch', 'transformers', 'accelerate'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *PACKAGES.split()], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
