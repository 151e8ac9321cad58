"""What an installed Engram consists of: its data files, its command, honest dependencies, and one lock."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest

from engram import main
from tests.real_result import RESULTS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [name for name in ("core", "studies", "sweeps", "reports") if (ROOT / name / "__init__.py").is_file()]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def plain(requirement: str) -> str:
    """The normal form of a requirement's name."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy, so that the checkout gets no build folders; nothing is downloaded."""
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("setuptools >= 77 is needed to build a wheel without network")
    copy = tmp_path_factory.mktemp("source") / "engram"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "engram.py"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for name in PACKAGES:
        copytree(ROOT / name, copy / name, ignore=ignore_patterns("__pycache__"))
    program = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    built = copy.parent / "wheel"
    built.mkdir()
    subprocess.run([sys.executable, "-c", program, built], cwd=copy, check=True, capture_output=True)
    return zipfile.ZipFile(next(built.glob("engram-*.whl")))


def metadata(wheel: zipfile.ZipFile) -> Message:
    """The wheel's METADATA."""
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_every_module_and_data_file_lands_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and RESULTS not in path.parents
    }
    assert {
        "core/config/shipped_presets/memory-mrc.yaml",
        "core/config/shipped_profiles/paper.yaml",
        "core/prediction/templates/viewer.js",
    } <= files
    assert sorted((files | {"engram.py"}) - set(wheel.namelist())) == []


def test_nothing_else_lands_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert tops == {*PACKAGES, "engram.py"}


def test_the_wheel_carries_command_licence_and_extras(wheel: zipfile.ZipFile) -> None:
    fields = metadata(wheel)
    assert fields["License-Expression"] == "MIT"
    assert fields["Requires-Python"] == ">=3.11"
    assert set(fields.get_all("Provides-Extra") or ()) >= {"test", "minilm", "ray", "dev"}
    entry = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "engram = engram:main" in wheel.read(entry).decode()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def imported() -> set[str]:
    """Top-level names that the packages and the front door import, wherever in a file."""
    names = set()
    for path in [ROOT / "engram.py", *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {*PACKAGES, "engram"}


def test_dependencies_are_exactly_what_is_imported() -> None:
    carriers = packages_distributions()
    used = {plain(carrier) for name in imported() for carrier in carriers[name] if not carrier.startswith("types-")}
    declared = {plain(requirement) for requirement in PROJECT["dependencies"]}
    optional = {plain(requirement) for extra in EXTRAS.values() for requirement in extra}
    assert declared - used == set(), "declared, but never imported"
    assert used - declared - optional == set(), "imported, but not declared"


def locked() -> dict[str, str]:
    """Name -> exact version in the lock."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition("==") for line in lines if line and not line.startswith("#")]
    assert all(sign == "==" and re.fullmatch(r"[0-9][0-9a-z.]*", exact) for _, sign, exact in pins)
    return {plain(name): exact for name, _, exact in pins}


def test_the_lock_holds_every_dependency_once_at_an_exact_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    exact = locked()
    assert len(exact) == sum(bool(line) and not line.startswith("#") for line in lines)
    requirements = [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["minilm"], *EXTRAS["dev"]]
    assert {plain(requirement) for requirement in requirements} - exact.keys() == set()


def test_the_lock_keeps_every_declared_range() -> None:
    requirements = pytest.importorskip("packaging.requirements")
    for text in [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["minilm"], *EXTRAS["dev"]]:
        requirement = requirements.Requirement(text)
        assert requirement.specifier.contains(locked()[plain(text)]), text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    printed = capsys.readouterr().out.strip()
    try:
        assert printed == f"engram {version('engram')}"
    except PackageNotFoundError:
        assert printed.startswith("engram of a checkout that is not installed")
