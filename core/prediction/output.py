"""Where predictions go: a file, which is there whole or not at all, or a pipe, which is written as they come.

Predictions on their way to a file: what is done so far lies in `OUTPUT.part/` and survives any end of the process.

The folder holds the lines, the documents that were skipped, and a state that names how much of both counts. Lines are
written first and the state after them, so that what a killed process wrote in between is cut off again. A lock that
dies with its process keeps two processes off one output.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

import msgspec

from core.data.stream import STANDARD, Mark
from core.errors import UserError
from core.files import atomic_write, lock_folder, make_folder
from core.progress import say

LINES, SKIPPED, STATE = "predictions.jsonl", "skipped.jsonl", "state.json"


class Done(msgspec.Struct, frozen=True):
    """How far a prediction is: where its input stands, what was found, what was repaired."""

    mark: Mark = Mark()
    documents: int = 0
    skipped: int = 0
    entities: int = 0
    relations: int = 0
    repairs: dict[str, int] = {}
    examples: dict[str, list[str]] = {}

    @property
    def index(self) -> int:
        """The index of the next document."""
        return self.documents + self.skipped


class _State(msgspec.Struct, frozen=True):
    done: Done
    of: dict[str, str]
    lines: int
    skipped: int


class _Identified(msgspec.Struct):
    id: str | None = None


class Unfinished:
    """The folder of an unfinished output, open to be added to."""

    def __init__(self, folder: Path, output: Path) -> None:
        self._folder, self._output = folder, output
        state = _read_state(folder)
        self.done = state.done if state else Done()
        self._of = state.of if state else {}
        _cut(folder / LINES, state.lines if state else 0)
        _cut(folder / SKIPPED, state.skipped if state else 0)
        self._files = [(folder / name).open("ab") for name in (LINES, SKIPPED)]

    def check(self, of: Mapping[str, str]) -> None:
        """Refuse to go on with what was made of something else; remember what it is made of."""
        other = [name for name, value in of.items() if self._of.get(name, value) != value]
        if other:
            raise UserError(
                f"{self._folder} holds {self.done.documents} documents that were predicted with another "
                f"{' and another '.join(other)}: give the same command as then to go on, another --output, or --anew "
                "to throw them away"
            )
        self._of = {**self._of, **of}

    def ids(self) -> Iterator[str]:
        """The ids of all documents so far."""
        for name in (LINES, SKIPPED):
            with open(self._folder / name, "rb") as file:
                for line in file:
                    found = msgspec.json.decode(line, type=_Identified).id
                    if found is not None:
                        yield found

    def first_lines(self, count: int) -> list[bytes]:
        """The first prediction lines."""
        with open(self._folder / LINES, "rb") as file:
            return list(islice(file, count))

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Add what a window of documents gave: all of it counts from here on, or none."""
        try:
            for file, content in zip(self._files, (lines, skipped), strict=True):
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            sizes = [file.tell() for file in self._files]
            atomic_write(self._folder / STATE, msgspec.json.encode(_State(done, self._of, *sizes)))
        except (OSError, UserError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no room for the state"
            raise self._unwritten(self._folder, reason) from None
        self.done = done

    def finish(self) -> None:
        """Put everything in its place; a process that dies in here leaves a folder from which this is done again."""
        self.close()
        beside = skipped_path(self._output)
        try:
            if self.done.skipped:
                # A copy, as the folder has to stay whole until the output is there.
                shutil.copyfile(self._folder / SKIPPED, self._folder / beside.name)
                os.replace(self._folder / beside.name, beside)
            else:
                beside.unlink(missing_ok=True)
            os.replace(self._folder / LINES, self._output)
        except OSError as error:
            raise self._unwritten(self._output, error.strerror) from None
        shutil.rmtree(self._folder)

    def _unwritten(self, path: Path, reason: str | None) -> UserError:
        kept = f"{self.done.documents} documents are kept in {self._folder}"
        return UserError(f"{path} cannot be written ({reason}): {kept}; make room and give the same command again")

    def close(self) -> None:
        """Close the files; what could not be written is cut off by whoever goes on."""
        for file in self._files:
            try:
                file.close()
            except OSError:
                continue


@contextmanager
def unfinished(output: Path, *, anew: bool) -> Iterator[Unfinished]:
    """The unfinished output of a file, held against other processes; with `anew`, what lies there is thrown away."""
    folder = output.with_name(f"{output.name}.part")
    make_folder(folder, "this is where predictions wait until all are there; move away what is there, or make room")
    with lock_folder(folder):
        if anew or not (folder / LINES).exists():
            # Without lines: a process that died when its output was in place already.
            (folder / STATE).unlink(missing_ok=True)
        opened = Unfinished(folder, output)
        try:
            yield opened
        except KeyboardInterrupt:
            if opened.done.documents:
                say(f"{opened.done.documents} documents are kept in {folder}; the same command goes on from there")
            raise
        finally:
            opened.close()
            if folder.exists() and not opened.done.documents:
                shutil.rmtree(folder)


def skipped_path(output: Path) -> Path:
    """The side file of an output, which holds the documents that it lacks, and why."""
    return output.with_name(f"{output.name}.skipped.jsonl")


def _cut(path: Path, size: int) -> None:
    """Cut a file to the size that counts."""
    path.touch()
    held = path.stat().st_size
    if held < size:
        raise UserError(f"{path} is damaged: {held} of {size} bytes are left; --anew throws it away and begins again")
    os.truncate(path, size)


def _read_state(folder: Path) -> _State | None:
    try:
        return msgspec.json.decode((folder / STATE).read_bytes(), type=_State)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        raise UserError(f"{folder / STATE} is damaged: --anew begins again") from None


@runtime_checkable
class Output(Protocol):
    """A place for prediction lines, window by window; `done` is what it holds already."""

    done: Done

    def check(self, of: Mapping[str, str]) -> None:
        """Refuse to go on with what was made of something else than this."""

    def ids(self) -> Iterable[str]:
        """The ids of all documents so far."""

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Take the prediction lines of a window, and the lines of the documents of it that were skipped."""

    def first_lines(self, count: int) -> list[bytes]:
        """The first prediction lines, as many as were to be kept at most."""

    def finish(self) -> None:
        """Put everything in its place."""


class Piped:
    """Standard output, or a file that is no regular one: written at once, nothing to go on from."""

    def __init__(self, file: BinaryIO | BufferedIOBase, *, keep: int) -> None:
        self.done = Done()
        self._file, self._keep = file, keep
        self._first: list[bytes] = []

    def check(self, of: Mapping[str, str]) -> None:
        """Nothing was made before."""

    def ids(self) -> Iterable[str]:
        """None: nothing was made before."""
        return ()

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Write the lines; what was skipped is only told."""
        try:
            self._file.write(lines)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"the output cannot be written ({error.strerror}): make room, or give a file") from None
        if len(self._first) < self._keep:
            self._first += lines.splitlines(keepends=True)[: self._keep - len(self._first)]
        self.done = done

    def first_lines(self, count: int) -> list[bytes]:
        """The first prediction lines, as many as were to be kept at most."""
        return self._first[:count]

    def finish(self) -> None:
        """Everything is in its place."""


def is_piped(output: str) -> bool:
    """Whether an output is written as predictions come."""
    return output == STANDARD or (Path(output).exists() and not Path(output).is_file())


@contextmanager
def open_output(output: str, *, anew: bool, keep: int) -> Iterator[Output]:
    """The output of that name; a pipe keeps its first `keep` lines in memory."""
    if output == STANDARD:
        yield Piped(sys.stdout.buffer, keep=keep)
    elif is_piped(output):
        with open(output, "wb") as file:
            yield Piped(file, keep=keep)
    else:
        with unfinished(Path(output), anew=anew) as opened:
            yield opened
