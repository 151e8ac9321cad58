"""`python -m tests.sweeps.crashes.crashing PLAN`: a command again and again, killed before its n-th change of a file.

A plan (JSON) says the `root` that is watched, the `arguments` of `engram` with `{n}` in them, and the `numbers` n, in
order: the first number that the command survives, as it makes no more changes, is the last. After each kill the same
command is left in peace. A line each: n and both exit codes, negative for a signal. All in forks, as torch is then
loaded once.
"""

import json
import os
import signal
import sys
from pathlib import Path

import core.run.execute  # noqa: F401 - loaded once, before the forks
from engram import main

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}


class KillBefore:
    """An audit hook that kills its process before the n-th change of a file below a folder."""

    def __init__(self, root: Path, number: int) -> None:
        self.root, self.left, self.on = f"{root}/", number, True

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on or not self._changes(event, arguments):
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _changes(self, event: str, arguments: tuple[object, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            return self._inside(path) and bool(int(str(flags)) & (os.O_WRONLY | os.O_RDWR))
        # Removing a tree names its files relative to their folder, which an audit hook cannot see.
        return event in CHANGES and (self._inside(arguments[0]) or (event == "os.remove" and arguments[1] != -1))

    def _inside(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.root)


def fork(root: Path, arguments: list[str], number: int) -> int:
    """Run `engram` in a fork; its exit code, negative for the signal that it died of."""
    child = os.fork()
    if child == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if number:
            sys.addaudithook(KillBefore(root, number))
        code = 1
        try:
            code = main(arguments)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[1]).read_text())
    for number in plan["numbers"]:
        arguments = [word.replace("{n}", str(number)) for word in plan["arguments"]]
        first = fork(Path(plan["root"]), arguments, number)
        second = fork(Path(plan["root"]), arguments, 0)
        print(number, first, second, flush=True)
        if first == 0:
            break
