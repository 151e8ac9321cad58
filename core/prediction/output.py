"""Output of predictions: a file, which is there whole or not at all, or a pipe, which is written as they come.

What is done of a file so far lies in the folder `OUTPUT.part/` and survives any end of the process: the prediction
lines, the documents that were skipped, and a state that says how many bytes of both count. Lines are written first and
the state after them, so that what a killed process wrote in between is cut off again. A lock that dies with its process
keeps two processes off one output.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from core.data.stream import STANDARD, Mark
from core.errors import UserError
from core.files import atomic_write, lock_folder, make_folder
from core.progress import say

LINES, SKIPPED, STATE = "predictions.jsonl", "skipped.jsonl", "state.json"


class Done(msgspec.Struct, frozen=True):
    """How far a prediction is: the place in its input, counts of what was predicted, and what was repaired."""

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


class PipeOutput:
    """Prediction lines that are written at once, window by window, to a pipe: nothing is left to resume.

    `done` is what the output has already; the first `keep` lines are kept in memory.
    """

    def __init__(self, file: BinaryIO | BufferedIOBase, *, keep: int) -> None:
        self.done = Done()
        self._file, self._keep = file, keep
        self._first: list[bytes] = []

    def check(self, sources: Mapping[str, str]) -> None:
        """Nothing was made before from other sources."""

    def ids(self) -> Iterable[str]:
        """Nothing was made before."""
        return ()

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Add the prediction lines of a window, and the lines of those of its documents that were skipped."""
        try:
            self._file.write(lines)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"the output cannot be written ({error.strerror}): make room, or give a file") from None
        self._first += lines.splitlines(keepends=True)[: self._keep - len(self._first)]
        self.done = done

    def first_lines(self, count: int) -> list[bytes]:
        """The first prediction lines, at most as many as are kept."""
        return self._first[:count]

    def finish(self) -> None:
        """Everything is in its place."""


class _State(msgspec.Struct, frozen=True):
    done: Done = Done()
    of: dict[str, str] = {}
    lines: int = 0
    skipped: int = 0


class _Identified(msgspec.Struct):
    id: str | None = None


class FileOutput:
    """Prediction lines that wait in a folder until all are there, and that another process can resume."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder, self._path = folder, path
        state = _read_state(folder / STATE)
        self.done, self._sources = state.done, state.of
        for file, size in ((folder / LINES, state.lines), (folder / SKIPPED, state.skipped)):
            file.touch()
            if file.stat().st_size < size:
                raise _damaged(file)
            os.truncate(file, size)
        self._files = [(folder / name).open("ab") for name in (LINES, SKIPPED)]

    def check(self, sources: Mapping[str, str]) -> None:
        """Raise a UserError where what is done was made from other sources than these; remember them."""
        other = [name for name, value in sources.items() if self._sources.get(name, value) != value]
        if other:
            raise UserError(
                f"{self._folder} holds {self.done.documents} documents that were predicted with another "
                f"{' and another '.join(other)}: give the same command as then to resume, another --output, or --anew "
                "to delete them"
            )
        self._sources = {**self._sources, **sources}

    def ids(self) -> Iterator[str]:
        """The ids of all documents so far."""
        for name in (LINES, SKIPPED):
            with open(self._folder / name, "rb") as file:
                for line in file:
                    document = msgspec.json.decode(line, type=_Identified)
                    if document.id is not None:
                        yield document.id

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Add a window of documents: all of it counts from here on, or none."""
        try:
            for file, content in zip(self._files, (lines, skipped), strict=True):
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            sizes = [file.tell() for file in self._files]
            atomic_write(self._folder / STATE, msgspec.json.encode(_State(done, self._sources, *sizes)))
        except (OSError, UserError) as error:
            raise self._not_written(self._folder, error) from None
        self.done = done

    def first_lines(self, count: int) -> list[bytes]:
        """The first prediction lines."""
        with open(self._folder / LINES, "rb") as file:
            return list(islice(file, count))

    def finish(self) -> None:
        """Put everything in its place; a process that dies in here leaves a folder from which this is done again."""
        self.close()
        side_file = skipped_path(self._path)
        try:
            if self.done.skipped:
                # A copy, as the folder has to stay whole until the output is there.
                shutil.copyfile(self._folder / SKIPPED, side_file)
            else:
                side_file.unlink(missing_ok=True)
            os.replace(self._folder / LINES, self._path)
        except OSError as error:
            raise self._not_written(self._path, error) from None
        shutil.rmtree(self._folder)

    def _not_written(self, path: Path, error: Exception) -> UserError:
        reason = getattr(error, "strerror", None) or "no room for the state"
        return UserError(
            f"{path} cannot be written ({reason}): {self.done.documents} documents are kept in {self._folder}; make "
            "room and give the same command again"
        )

    def close(self) -> None:
        """Close the files; what could not be written is cut off when the output is resumed."""
        for file in self._files:
            with suppress(OSError):
                file.close()


Output = PipeOutput | FileOutput


def skipped_path(output: Path) -> Path:
    """The file next to an output that holds the documents it lacks, and why."""
    return output.with_name(f"{output.name}.skipped.jsonl")


def _read_state(path: Path) -> _State:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_State)
    except FileNotFoundError:
        return _State()
    except msgspec.MsgspecError:
        raise _damaged(path) from None


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged: add --anew to delete what was predicted so far and begin again")


def is_pipe(output: str) -> bool:
    """Whether an output is written as predictions come."""
    return output == STANDARD or (Path(output).exists() and not Path(output).is_file())


@contextmanager
def open_output(output: str, *, anew: bool, keep: int) -> Iterator[Output]:
    """The output of that name; with `anew` nothing is resumed; a pipe keeps its first `keep` lines."""
    if output == STANDARD:
        yield PipeOutput(sys.stdout.buffer, keep=keep)
    elif is_pipe(output):
        with open(output, "wb") as file:
            yield PipeOutput(file, keep=keep)
    else:
        path = Path(output)
        folder = path.with_name(f"{path.name}.part")
        make_folder(folder, "predictions wait there until all are done; move away what is there, or make room")
        with lock_folder(folder):
            if anew or not (folder / LINES).exists():
                # Without lines: a process that died when its output was in place already.
                (folder / STATE).unlink(missing_ok=True)
            file_output = FileOutput(folder, path)
            try:
                yield file_output
            except KeyboardInterrupt:
                if file_output.done.documents:
                    say(f"{file_output.done.documents} documents are kept in {folder}; the same command resumes there")
                raise
            finally:
                file_output.close()
                if folder.exists() and not file_output.done.documents:
                    shutil.rmtree(folder)
