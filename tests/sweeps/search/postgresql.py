"""A real PostgreSQL server on loopback, from Debian's programs, as a user that may run one."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
USER = "postgres"


class Server:
    """A server with its data in a folder of its own; `start` and `kill` as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._as = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        self.user = USER if self._as else getpass.getuser()
        self._call("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", self.user, "--no-sync")

    @property
    def url(self) -> str:
        """Where Optuna reaches it."""
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self._call("pg_ctl", "-D", f"{self.folder}/data", "-o", options, "-l", f"{self.folder}/log", "-w", "start")

    def kill(self) -> None:
        """End it without a goodbye to its clients."""
        self._call("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop", check=False)

    def _call(self, program: str, *arguments: str, check: bool = True) -> None:
        subprocess.run(
            [*self._as, str(PROGRAMS[-1] / program), *arguments],
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            timeout=60,
        )


@contextmanager
def server() -> Iterator[Server]:
    """A running server; skips the test where none can run."""
    pytest.importorskip("psycopg")
    if not PROGRAMS:
        pytest.skip("PostgreSQL: no /usr/lib/postgresql/*/bin (apt install postgresql)")
    if os.geteuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL: its server does not run as root, and there is no runuser")
    # Not pytest's folder: that is closed to the user the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if os.geteuid() == 0:
        try:
            shutil.chown(folder, USER)
        except LookupError:
            pytest.skip(f"PostgreSQL: its server does not run as root, and there is no user {USER}")
    made = Server(folder)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        time.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
