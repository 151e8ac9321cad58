"""Campaign: mutates the inputs of commands one after another, runs a command on each, and says which broke a promise.

A mutation is drawn from (key, target, number) alone, so that one that failed is repeated by these three.
"""

import json
import os
import random
import re
import select
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.inputs import make_inputs
from tests.fuzz.mutations import mutate, printable, rewrite
from tests.fuzz.targets import SEARCH, TARGETS, Target

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {False: (10.0, 500.0), True: (60.0, 1_500.0)}
"""Whether a command loads a model -> seconds (of the processor) and MiB that it may take."""
HANGS = 60
"""Seconds for which a command that hangs has used no processor."""
REQUESTS = 400
"""Commands that a worker runs before a fresh one takes over."""
MAX_LINE = 400
FREE_SPACE = re.compile(r"[\d.]+ [MG]iB are free")
"""What a plan prints of the disk, which others also write to."""
HARMLESS = 8
"""One mutation in so many is harmless, of files that have another way to be written: one in ten of all."""


@dataclass(frozen=True)
class Finding:
    """A promise that a command broke on a mutated file."""

    target: str
    number: int
    mutation: str
    command: str
    problem: str

    def __str__(self) -> str:
        return f"{self.target} #{self.number} ({self.mutation})\n  {self.command}\n  {self.problem}"


@dataclass
class Counts:
    """How many mutations of a target there were, and how its commands ended."""

    mutations: int = 0
    harmless: int = 0
    codes: Counter[int | None] = field(default_factory=Counter)


class Worker:
    """A process that runs commands (`tests.fuzz.worker`), replaced now and then, and when it dies or hangs."""

    def __init__(self, box: Path) -> None:
        self.box, self._left = box, 0
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], seconds: float) -> dict[str, Any]:
        """How a command ended."""
        if self._process is None or self._left == 0:
            self.close()
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._left -= 1
        self._process.stdin.write(json.dumps({"arguments": arguments, "seconds": seconds}).encode() + b"\n")
        self._process.stdin.flush()
        ready = self._wait()
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._process.kill()
            code = self._process.wait()
            self._process = None
            how = f"its process ended with {code}" if ready else "hangs"
            return {"code": None, "crash": how, "out": "", "err": "", "seconds": 0.0, "mib": 0.0}
        answer: dict[str, Any] = json.loads(line)
        return answer | {"out": FREE_SPACE.sub("", answer["out"])}

    def _wait(self) -> bool:
        """Wait for an answer, or for the end of the process; False where it does nothing any more."""
        assert self._process is not None
        used, idle = -1.0, 0
        while idle < HANGS:
            if select.select([self._process.stdout], [], [], 1.0)[0]:
                return True
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            before, used = used, float(fields[11]) + float(fields[12])
            idle = idle + 1 if used == before else 0
        return False

    def _start(self) -> None:
        environment = os.environ | {
            "HOME": str(self.box / "home"),
            "TMPDIR": str(self.box / "tmp"),
            "ENGRAM_CACHE": str(self.box / "cache"),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "WANDB_MODE": "disabled",
            "HF_HUB_OFFLINE": "1",
        }
        command = [sys.executable, "-m", "tests.fuzz.worker"]
        folder = self.box / "here"
        errors = open(self.box / "tmp" / "worker.log", "ab")  # noqa: SIM115 - handed to the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=folder, env=environment
        )
        errors.close()
        self._left = REQUESTS

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                stream.close()
            self._process = None


class Campaign:
    """Mutations of all targets below one folder, `root`."""

    def __init__(self, root: Path, *, key: int) -> None:
        # Some folders deep, so that a path that leads out of it still ends in `root`.
        self.root, self.key, self.box = root, key, root / "a" / "b" / "c" / "box"
        for name in ("home", "tmp", "here", "out", "cache"):
            (self.box / name).mkdir(parents=True)
        self.inputs, self.pristine = self.box / "in", root.with_name(f"{root.name}-pristine")
        make_inputs(self.inputs)
        self.workers = {loads_model: Worker(self.box) for loads_model in (False, True)}
        done = self.run(SEARCH)
        assert done["code"] == 0, done
        shutil.copytree(self.inputs, self.pristine)
        self.contents = {target.path: (self.inputs / target.path).read_bytes() for target in TARGETS}
        self.counts = {target.path: Counts() for target in TARGETS}
        self.expected: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers.values():
            worker.close()

    def run(self, command: str, *, patience: float = 1.0) -> dict[str, Any]:
        """How a command line of a target ends; its output folder is empty before."""
        shutil.rmtree(self.box / "out")
        (self.box / "out").mkdir()
        folders = {"in": str(self.inputs), "out": str(self.box / "out")}
        words = [word.format(**folders) for word in command.split()]
        loads_model = words[0] in ("predict", "evaluate", "import")
        return self.workers[loads_model].run(words, patience * LIMITS[loads_model][0])

    def try_mutation(self, target: Target, number: int) -> Iterator[Finding]:
        """Change a target's file, run one of its commands, and put everything back; yields what is wrong."""
        draw = random.Random(zlib.crc32(f"{self.key} {target.path} {number}".encode()))
        content = self.contents[target.path]
        harmless = target.rewritable and number % HARMLESS == 0
        if harmless:
            order = {"ordered": target.ordered, "deep": not target.ordered_inside}
            mutated, name = rewrite(content, target.syntax, draw, unknown=target.unknown, **order)
        else:
            mutated, name = mutate(content, target.syntax, draw)
        command = draw.choice(target.commands)
        counts = self.counts[target.path]
        counts.mutations += 1
        counts.harmless += harmless
        for problem in self.try_content(target, mutated, command, harmless=harmless):
            shown = f"{problem}\n  content: {printable(mutated)}" if len(mutated) < 400 else problem
            yield Finding(target.path, number, name, command, shown)

    def try_content(self, target: Target, content: bytes, command: str, *, harmless: bool = False) -> list[str]:
        """Run a command on a target with another content; what is wrong with how it ended."""
        if harmless and command not in self.expected:
            # It may be the first that loads the libraries of figures.
            self.expected[command] = self.run(command, patience=6.0)
            self._restore(self._snapshot(), target)
        path = self.inputs / target.path
        before, status = self._snapshot(), path.stat()
        path.write_bytes(content)
        # Lists of runs show when a record was written.
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        answer = self.run(command)
        self.counts[target.path].codes[answer["code"]] += 1
        path.write_bytes(self.contents[target.path])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        problems = list(judge(answer, target, command))
        if harmless:
            whole = self.expected[command]
            problems += [f"{name} differs: {answer[name]!r}" for name in ("code", "out") if answer[name] != whole[name]]
        return problems + self._restore(before, target)

    def _snapshot(self) -> dict[str, tuple[int, int]]:
        """Path -> size and time of change, of every file below the root but the mutated ones' output."""
        free = tuple(str(self.box / name) for name in ("out", "cache", "tmp", "home"))
        files = {}
        for folder, _, names in os.walk(self.root):
            if not folder.startswith(free):
                for name in names:
                    status = os.lstat(os.path.join(folder, name))
                    files[os.path.join(folder, name)] = status.st_size, status.st_mtime_ns
        return files

    def _restore(self, before: dict[str, tuple[int, int]], target: Target) -> list[str]:
        """Put back what a command changed; says what it must not have."""
        after, own = self._snapshot(), str(self.inputs / target.path)
        changed = [path for path in {**before, **after} if before.get(path) != after.get(path) and path != own]
        if changed:
            shutil.rmtree(self.inputs)
            shutil.copytree(self.pristine, self.inputs)
        allowed = str(self.inputs / target.writes) if target.writes else "-"
        strays = [path for path in changed if not path.startswith(allowed)]
        for path in strays:
            if not path.startswith(str(self.inputs)) and os.path.exists(path):
                os.unlink(path)
        return [f"wrote {path}" for path in strays]

    def summary(self) -> str:
        """A line per target: mutations, harmless ones, and exit codes."""
        lines = [f"{'file':<60} mutations  harmless  exit codes"]
        for path, counts in self.counts.items():
            if not counts.mutations:
                continue
            codes = ", ".join(f"{code}: {count}" for code, count in sorted(counts.codes.items(), key=str))
            lines.append(f"{path:<60} {counts.mutations:>9}  {counts.harmless:>8}  {codes}")
        total = [sum(getattr(counts, name) for counts in self.counts.values()) for name in ("mutations", "harmless")]
        return "\n".join([*lines, f"{'all':<60} {total[0]:>9}  {total[1]:>8}"])


def judge(answer: dict[str, Any], target: Target, command: str) -> Iterator[str]:
    """What is wrong with how a command ended on a mutated file."""
    seconds, mib = LIMITS[target.loads_model]
    if answer["crash"]:
        yield answer["crash"]
        return
    may_fail = command.startswith(("study status", "study search"))
    if answer["code"] not in ((0, 1, 2) if may_fail else (0, 2)):
        yield f"exit code {answer['code']}: {answer['err'][-500:]}"
    if answer["seconds"] > seconds:
        yield f"took {answer['seconds']:.1f} s"
    if answer["mib"] > mib:
        yield f"took {answer['mib']:.0f} MiB"
    if "Traceback" in answer["err"]:
        yield f"a traceback: {answer['err'][-1500:]}"
    if answer["code"] == 2:
        lines = [line for line in answer["err"].splitlines() if re.match("engram: (?!warning)", line)]
        if not lines:
            yield f"exit code 2 without a line: {answer['err'][-500:]!r}"
        elif len(lines[0]) > MAX_LINE + 20:
            yield f"a line of {len(lines[0])} characters: {lines[0][:300]}"
        elif not any(name in lines[0] for name in target.accepted_names):
            yield f"a line that does not name the file: {lines[0]}"
