"""Output of predictions: a file, which is there whole or not at all, or a pipe, which is written as they come.

What is done of a file so far lies in the folder `OUTPUT.part/` and survives any end of the process: the prediction
lines, the documents that were skipped, and a state that says how many bytes of both count. Lines are written first and
the state after them, so that what a killed process wrote in between is cut off again. A lock that dies with its process
keeps two processes off one output.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from core.data.stream import STANDARD, Mark
from core.errors import UserError
from core.files import lock_folder, make_folder
from core.input_files import Count, read_json
from core.model.thresholds import Unreached
from core.progress import say

LINES, SKIPPED, STATE = "predictions.jsonl", "skipped.jsonl", "state.json"


class Done(msgspec.Struct, frozen=True):
    """How far a prediction is: the place in its input, what was predicted and what was not, and what was repaired."""

    mark: Mark = Mark()
    documents: int = 0
    skipped: int = 0
    entities: int = 0
    relations: int = 0
    repairs: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    unreached: dict[str, Unreached] = {}

    @property
    def index(self) -> int:
        """The index of the next document."""
        return self.documents + self.skipped


class _State(msgspec.Struct, frozen=True):
    done: Done = Done()
    of: dict[str, str] = {}
    lines: Count = 0
    skipped: Count = 0


class _Identified(msgspec.Struct):
    id: str | None = None


class Output:
    """Prediction lines: in a folder until all are there, from which another process can resume, or in a pipe at once.

    `done` is what is there already, `first` are the first `keep` lines. A pipe gets no documents that were skipped.
    """

    def __init__(self, state: _State, *files: BinaryIO, keep: int, folder: Path | None = None) -> None:
        self._files, self._keep, self._folder = files, keep, folder
        self.done, self._sources = state.done, state.of
        self.first: list[bytes] = []
        if folder is not None:
            with open(folder / LINES, "rb") as lines:
                self.first += islice(lines, keep)

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
        """The ids of all documents in the folder."""
        for written in self._files:
            with open(written.name, "rb") as file:
                yield from filter(None, (msgspec.json.decode(line, type=_Identified).id for line in file))

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Add a window of documents, which counts whole or, in a folder that is resumed, not at all."""
        with self._write_errors():
            for file, content in zip(self._files, (lines, skipped), strict=False):
                file.write(content)
                file.flush()
            if self._folder is not None:
                for file in self._files:
                    os.fsync(file.fileno())
                state = _State(done, self._sources, *(file.tell() for file in self._files))
                (self._folder / f"{STATE}.new").write_bytes(msgspec.json.encode(state))
                os.replace(self._folder / f"{STATE}.new", self._folder / STATE)
        self.first += lines.splitlines(keepends=True)[: self._keep - len(self.first)]
        self.done = done

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            kept = f"{self.done.documents} documents are kept in {self._folder}"
            way_out = f"and give the same command again ({kept})" if self._folder else "or give a file"
            raise UserError(f"the output cannot be written ({error.strerror}): make room {way_out}") from None

    def close(self) -> None:
        """Close the files of a folder; what could not be written is cut off when the output is resumed."""
        for file in self._files:
            with suppress(OSError):
                file.close()

    def move_to(self, path: Path) -> None:
        """Put everything in its place; a process that dies in here leaves a folder from which this is done again."""
        assert self._folder is not None
        self.close()
        with self._write_errors():
            if self.done.skipped:
                # A copy, as the folder has to stay whole until the output is there.
                shutil.copyfile(self._folder / SKIPPED, skipped_path(path))
            else:
                skipped_path(path).unlink(missing_ok=True)
            os.replace(self._folder / LINES, path)
        shutil.rmtree(self._folder)


def skipped_path(output: Path) -> Path:
    """The file next to an output that holds the documents it lacks, and why."""
    return output.with_name(f"{output.name}.skipped.jsonl")


def settings_path(output: Path) -> Path:
    """The file next to an output that says by which run and settings it was predicted."""
    return output.with_name(f"{output.name}.settings.json")


def is_pipe(output: str | Path) -> bool:
    """Whether an output is written as predictions come."""
    path = Path(output)
    return output == STANDARD or (path.exists() and not path.is_file() and not path.is_dir())


@contextmanager
def open_output(output: str, *, anew: bool, keep: int) -> Iterator[Output]:
    """The output of that name, in its place once this ends without an error; with `anew` nothing is resumed."""
    if is_pipe(output):
        with nullcontext(sys.stdout.buffer) if output == STANDARD else open(output, "wb") as pipe:
            yield Output(_State(), pipe, keep=keep)
        return
    path = Path(output)
    folder = path.with_name(f"{path.name}.part")
    make_folder(folder, "predictions wait there until all are done; move away what is there, or make room")
    with lock_folder(folder):
        if anew or not (folder / LINES).exists():
            # Without lines: a process that died when its output was in place already.
            (folder / STATE).unlink(missing_ok=True)
        target = _open_folder(folder, keep)
        try:
            yield target
            target.move_to(path)
        except KeyboardInterrupt:
            if target.done.documents:
                say(f"{target.done.documents} documents are kept in {folder}; the same command resumes there")
            raise
        finally:
            target.close()
            if folder.exists() and not target.done.documents:
                shutil.rmtree(folder)


def _open_folder(folder: Path, keep: int) -> Output:
    """The output of a folder, without what was written after its last state."""
    way_out = "add --anew to delete what was predicted so far and begin again"
    state = read_json(folder / STATE, _State, way_out) or _State()
    for file, size in ((folder / LINES, state.lines), (folder / SKIPPED, state.skipped)):
        file.touch()
        if file.stat().st_size < size:
            raise UserError(f"{file} is damaged: it is shorter than it was; {way_out}")
        os.truncate(file, size)
    return Output(state, *((folder / name).open("ab") for name in (LINES, SKIPPED)), keep=keep, folder=folder)
