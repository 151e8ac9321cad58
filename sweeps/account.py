"""What each `study run` cost, as its driver saw it: a line per run of the command, in the study folder."""

from contextlib import suppress
from pathlib import Path

import msgspec

ACCOUNTS = "driver.jsonl"


class Account(msgspec.Struct, frozen=True):
    """One `study run` from its start to its end; one that was killed leaves none.

    `run_seconds` sums, over the runs that ended here, the time from being handed to a worker (for its first run: from
    the worker's start, the loading of torch included) to the end that the driver saw.
    """

    started: str
    """When, in UTC."""
    seconds: float
    """Wall time of the command: planning, runs, closing."""
    jobs: int
    ended: int
    """How many runs ended in it, however they ended."""
    run_seconds: float

    @property
    def overhead(self) -> float | None:
        """The share of the wall time beyond `run_seconds / jobs`: the driver's own, and what idle workers waited."""
        return 1.0 - self.run_seconds / self.jobs / self.seconds if self.ended else None

    def told(self) -> str:
        """The account in a line."""
        told = f"{self.seconds:.1f} s, {self.ended} runs of together {self.run_seconds:.1f} s, {self.jobs} at once"
        return told + (f": {100 * self.overhead:.1f} % overhead of the driver" if self.overhead is not None else "")


def add_account(folder: Path, account: Account) -> None:
    """Append an account to those of a study; no result hangs on it, so a full disk is passed over."""
    with suppress(OSError), open(folder / ACCOUNTS, "ab") as file:
        file.write(msgspec.json.encode(account) + b"\n")


def last_account(folder: Path) -> Account | None:
    """The latest account of a study, None where there is none."""
    try:
        lines = (folder / ACCOUNTS).read_bytes().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        # What comes after the last line, or a line that a full disk cut off, is no account.
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(line, type=Account)
    return None
