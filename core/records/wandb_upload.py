"""W&B files of runs: which are still to be uploaded, whether their artifacts are whole, and their upload."""

import base64
import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from core.errors import UserError
from core.files import is_locked, lock_folder, make_folder
from core.progress import progress_bar
from core.records.tracking import mirror_again
from core.records.wandb_run import FILES, SYNCED, UPLOAD_INCOMPLETE, address, logged_in, why_offline

LOG = "upload.log"
"""The output of W&B's command, in the folder that is named for logs."""
PARALLEL_UPLOADS = 4
ANSWER_SECONDS, SILENT_SECONDS, POLL_SECONDS = 10.0, 90.0, 0.3
"""How long W&B may take to answer, how long an upload may print and finish nothing, and how often it is checked."""
CLOSE_SECONDS = 3.0
"""How long W&B's client may take to close a file after it has ended the run."""
HEADER, BLOCK = 7, 2**15
"""Bytes of the head of a W&B file, and of each of its blocks."""


def check_reachable() -> None:
    """Raise a UserError where nobody is logged in or W&B does not answer: its client would try again for days."""
    if not logged_in():
        raise UserError(f"{why_offline()}; nothing was uploaded")
    try:
        requests.get(address(), timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        raise UserError(
            f"W&B at {address()} does not answer ({type(error).__name__}): try again later, or set WANDB_BASE_URL; "
            "nothing was uploaded"
        ) from None


def prepare_runs(folders: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The W&B files of runs that are to be uploaded, and a line for every run that would not arrive whole.

    Tables and artifacts of which a file was lost are written anew from the run folder. A run that is being computed is
    left out, as its file is not complete.
    """
    files: list[Path] = []
    problems: list[str] = []
    for folder in folders:
        if is_locked(folder):
            continue
        pending = pending_files(folder)
        if broken_artifacts(pending):
            with lock_folder(folder):
                mirror_again(folder)
            ends = time.monotonic() + CLOSE_SECONDS
            while broken_artifacts(pending := pending_files(folder)) and time.monotonic() < ends:
                time.sleep(POLL_SECONDS)
        if broken := broken_artifacts(pending):
            problems.append(describe_broken(broken))
        else:
            files += pending
    return files, problems


def describe_broken(broken: Mapping[str, Path]) -> str:
    """What was lost of a run, and the way out."""
    name, path = next(iter(broken.items()))
    return f"{path} is not uploaded: files of its artifact {name} are gone; restore them, or delete {path.parent}"


def pending_files(folder: Path) -> list[Path]:
    """The W&B files in the folder of a run or study that are still to be uploaded, in the order in which they were
    begun.

    Of runs that were logged online, those whose upload was given up are here; what W&B has of them already is sent
    again.
    """
    return [
        path
        for path in sorted((folder / FILES).glob("*run-*/run-*.wandb"))
        if not has_mark(path, SYNCED) and (path.parent.name.startswith("offline-") or has_mark(path, UPLOAD_INCOMPLETE))
    ]


def has_mark(path: Path, ending: str) -> bool:
    """Whether the file that marks a W&B file lies next to it."""
    return path.with_name(path.name + ending).exists()


def broken_artifacts(files: Sequence[Path]) -> dict[str, Path]:
    """Artifact -> the last of some W&B files of one run that holds it, where a file of it is gone or has changed.

    `wandb sync` leaves such an artifact out, and says nothing.
    """
    last = {artifact.name: (path, artifact) for path in files for artifact in read_artifacts(path)}
    return {name: path for name, (path, artifact) in last.items() if not all(map(is_whole, artifact.manifest.contents))}


def is_whole(entry: Any) -> bool:
    """Whether the file of an artifact's entry is still the one that was added."""
    if not entry.local_path:
        return True
    try:
        with open(entry.local_path, "rb") as file:
            digest = hashlib.file_digest(file, "md5").digest()
    except OSError:
        return False
    return base64.b64encode(digest).decode() == entry.digest


def read_artifacts(path: Path) -> Iterator[Any]:
    """The artifacts that a W&B file holds, as W&B's own messages."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    for content in read_log(path.read_bytes()):
        record = Record.FromString(content)
        if record.WhichOneof("record_type") == "artifact":
            yield record.artifact


def read_log(content: bytes) -> Iterator[bytes]:
    """The records of a W&B file, a log in LevelDB's format, up to a last one that was not written whole."""
    position, record = HEADER, b""
    while position + HEADER <= len(content):
        room = BLOCK - position % BLOCK
        if room < HEADER:  # the rest of a block is padding
            position += room
            continue
        _, size, kind = struct.unpack_from("<IHB", content, position)
        record += content[position + HEADER : position + HEADER + size]
        position += HEADER + size
        if position > len(content):
            return
        if kind in (1, 4):  # a whole record, or the end of one
            yield record
            record = b""


def report_upload(name: str, files: Sequence[Path], problems: Sequence[str], *, logs: Path) -> int:
    """Upload the files of some runs, and say how many they were and what is wrong; the exit code."""
    if files:
        make_folder(logs, "give a folder that is yours (--runs DIR)")
        failure = upload(files, logs=logs)
        problems = [*problems, *([failure] if failure else [])]
    for problem in problems:
        print(f"engram: {problem}", file=sys.stderr)
    if not problems:
        uploaded = f"{len(files)} file{'s' * (len(files) > 1)} uploaded"
        print(f"{name}: {uploaded if files else 'there is nothing to upload'}")
    return 1 if problems else 0


def upload(files: Sequence[Path], *, logs: Path) -> str:
    """Upload files with `wandb sync`, until it ends or hangs; why W&B did not take all of them, else empty.

    It uploads the fragments of one run one after another, by the time at which they were begun. `logs` is the folder in
    which it leaves its own.
    """
    program = [sys.executable, "-m", "wandb", "sync", "--yes", "--include-online", "-n", str(PARALLEL_UPLOADS)]
    output, before, moved = logs / LOG, (0, 0), time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=logs) as cache,
        progress_bar("uploading to W&B", len(files)) as progress,
        output.open("w") as log,
    ):
        # Its cache would keep a copy of every table in the user's home.
        environment = os.environ | {"WANDB_DIR": str(logs.parent), "WANDB_CACHE_DIR": cache}
        process = subprocess.Popen([*program, *map(str, files)], stdout=log, stderr=log, env=environment)
        try:
            while process.poll() is None and time.monotonic() - moved <= SILENT_SECONDS:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
                now = sum(has_mark(path, SYNCED) for path in files), output.stat().st_size
                if now != before:
                    progress.advance(now[0] - before[0])
                    before, moved = now, time.monotonic()
            if process.poll() is None:
                log.write(f"error: W&B took nothing for {SILENT_SECONDS:.0f} s\n")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    missing = [path for path in files if not has_mark(path, SYNCED)]
    if not missing:
        return ""
    errors = [line.strip() for line in output.read_text(errors="replace").splitlines() if "error" in line.lower()]
    reason = errors[-1] if errors else "`wandb sync` gave no reason"
    return f"W&B did not take {len(missing)} of {len(files)} files, {missing[0]} for one ({reason}); see {output}"
