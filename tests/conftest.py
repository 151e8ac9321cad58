"""What all tests share: the folder of real documents and golden files, which is not part of the project."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine must not fail a property; how many examples are drawn stays each test's own choice.
settings.register_profile("engram", deadline=None)
settings.load_profile("engram")

ABSENT = "shared data:"
CLUSTERS = ("Slurm:", "Ray:")
"""How the reasons begin of skips for want of a cluster's programs, which `.ci/run` installs."""


def _root() -> Path:
    chosen = os.environ.get("ENGRAM_SHARED")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # Tests, and the processes that they start, neither read nor fill the user's cache.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGRAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real documents and golden files (`ENGRAM_SHARED`, default `../shared`); skips without it."""
    if not _root().is_dir():
        pytest.skip(f"{ABSENT} no folder {_root()} (set ENGRAM_SHARED)")
    return _root()


@pytest.fixture(scope="session")
def shared_path(shared: Path) -> Callable[[str], Path]:
    """A function from a path inside the shared folder to the whole path; skips the test where it is absent."""

    def find(inside: str) -> Path:
        path = shared / inside
        if not path.exists():
            pytest.skip(f"{ABSENT} no {path}")
        return path

    return find


def _forbidden_skips(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return []
    forbidden = (*CLUSTERS, ABSENT) if _root().is_dir() else CLUSTERS
    skipped = [(report.nodeid, str(report.longrepr)) for report in reporter.stats.get("skipped", ())]
    return [f"{name}: skipped ({why})" for name, why in skipped if any(reason in why for reason in forbidden)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # A skip that nobody reads would let the checks on real documents fade away unnoticed.
    if _forbidden_skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for skip in _forbidden_skips(terminalreporter.config):
        terminalreporter.write_line(f"ERROR {skip}: what it wants is installed or given in CI", red=True)
