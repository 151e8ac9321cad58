"""Files and folders: hashed by content, locked by one process, written whole; and what killed processes leave."""

import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.files import (
    HOLDER_FILE,
    SILENT_SECONDS,
    TEMPORARY_MARK,
    atomic_write,
    content_hash,
    delete_leftovers,
    is_locked,
    lock_folder,
    temporary_path,
    was_killed,
)
from core.input_files import read_json
from tests.tiny import dead_process


def test_a_file_is_the_hash_of_its_bytes_under_any_name(tmp_path: Path) -> None:
    for name in ("a.json", "b.txt"):
        (tmp_path / name).write_bytes(b"content")
    assert content_hash(tmp_path / "a.json") == hashlib.sha256(b"content").hexdigest()
    assert content_hash(tmp_path / "b.txt") == content_hash(tmp_path / "a.json")


def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    before = content_hash(path)
    path.write_text("behind")  # of the same length
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert content_hash(path) != before


def folder(root: Path, **files: str) -> Path:
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    return root


def test_a_folder_is_its_names_and_contents_wherever_it_lies(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", config="{}", weights="w")
    assert content_hash(folder(tmp_path / "same", config="{}", weights="w")) == content_hash(one)
    assert content_hash(folder(tmp_path / "content", config="{}", weights="v")) != content_hash(one)
    assert content_hash(folder(tmp_path / "name", config="{}", weight="w")) != content_hash(one)
    assert content_hash(folder(tmp_path / "swapped", config="w", weights="{}")) != content_hash(one)
    inside = folder(tmp_path / "deep", config="{}")
    folder(inside / "sub", weights="w")
    assert content_hash(inside) != content_hash(one)


def test_what_is_no_part_of_a_model_does_not_count(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", config="{}")
    before = content_hash(one)
    (one / "README.md").write_text("about")
    folder(one / ".git", HEAD="abc")
    folder(one / "__pycache__", cached="bytes")
    assert content_hash(one) == before
    (one / "vocab.txt").write_text("[UNK]")
    assert content_hash(one) != before


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing: no such file in .*: correct the path"):
        content_hash(tmp_path / "nothing")


def test_asking_disturbs_neither_the_holder_nor_others_who_ask(tmp_path: Path) -> None:
    with lock_folder(tmp_path):
        assert is_locked(tmp_path)
    ended = threading.Event()
    wrong: list[bool] = []

    def ask() -> None:
        while not ended.is_set():
            is_locked(tmp_path)

    def ask_for_truth() -> None:
        # Nobody holds it: that others ask at the same time must not look like a holder.
        wrong.extend(is_locked(tmp_path) for _ in range(2_000))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    truth = threading.Thread(target=ask_for_truth)
    truth.start()
    truth.join()
    for _ in range(200):
        with lock_folder(tmp_path):
            pass
    ended.set()
    for asker in askers:
        asker.join()
    assert not any(wrong)


def test_a_holder_is_known_and_a_killed_one_too(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "nowhere")
    program = (
        "import os; from pathlib import Path; from core.files import lock_folder; "
        "held = lock_folder(Path('.')); held.__enter__(); os._exit(9)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, check=False
    )
    assert done.returncode == 9
    assert not is_locked(tmp_path)
    assert was_killed(tmp_path)
    with lock_folder(tmp_path):
        assert not was_killed(tmp_path)
        with pytest.raises(UserError, match=f"computed by process {os.getpid()} on"), lock_folder(tmp_path):
            pass
    assert not was_killed(tmp_path)
    assert not (tmp_path / HOLDER_FILE).exists()


def test_a_full_disk_costs_only_the_holders_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with lock_folder(tmp_path):
        assert is_locked(tmp_path)


def test_what_the_dead_wrote_aside_goes_and_the_living_keep_theirs(tmp_path: Path) -> None:
    folder = temporary_path(tmp_path / "best").with_name(f".best{TEMPORARY_MARK}{dead_process()}")
    folder.mkdir()
    (folder / "model.safetensors").write_text("half")
    dead = tmp_path / f".record.json{TEMPORARY_MARK}{dead_process()}.abc"
    dead.write_text("{")
    living = tmp_path / f".record.json{TEMPORARY_MARK}{os.getppid()}.abc"
    living.write_text("{")
    mine = temporary_path(tmp_path / "last.pt")
    mine.write_text("left by an earlier process of this number")
    atomic_write(tmp_path / "record.json", b"{}")
    delete_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, "record.json"]


def test_what_another_host_writes_goes_when_it_has_been_silent_for_long(tmp_path: Path) -> None:
    # Its process has the number of one that is dead here, and of this one.
    names = [f".record.json{TEMPORARY_MARK}{process}@node-7.abc" for process in (dead_process(), os.getpid())]
    for name in names:
        (tmp_path / name).write_text("{")
    delete_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    long_ago = time.time() - SILENT_SECONDS - 1.0
    os.utime(tmp_path / names[0], (long_ago, long_ago))
    delete_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == names[1:]


@pytest.mark.parametrize(("number", "held"), [(errno.EAGAIN, True), (errno.ENOLCK, False), (errno.EIO, False)])
def test_only_a_lock_that_is_refused_for_another_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, held: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with lock_folder(tmp_path):
        pass
    monkeypatch.setattr("core.files.fcntl.flock", refuse)
    assert is_locked(tmp_path) == held


def test_a_lock_file_that_another_host_made_anew_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = iter([OSError(errno.ESTALE, "Stale file handle"), None])
    real = os.open

    def open_stale_once(*arguments: Any) -> int:
        if (error := next(opens)) is not None:
            raise error
        return real(*arguments)

    with lock_folder(tmp_path):
        monkeypatch.setattr("core.files.os.open", open_stale_once)
        assert is_locked(tmp_path)


def test_a_file_that_another_host_replaces_is_read_again_and_never_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, stale = tmp_path / "record.json", os.open, [True, True]

    def open_stale(*arguments: Any) -> int:
        if stale and stale.pop():
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(*arguments)

    path.write_text('{"a": 1}')
    monkeypatch.setattr("core.input_files.STALE_WAITS", (0.0, 0.0))
    monkeypatch.setattr("core.input_files.os.open", open_stale)
    assert read_json(path, dict, "delete it") == {"a": 1}
    stale += [True] * 9
    with pytest.raises(UserError, match=r"record.json was just replaced by another host.*: try again") as raised:
        read_json(path, dict, "delete it")
    assert "delete" not in str(raised.value)
    assert "damaged" not in str(raised.value)


def test_a_full_disk_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.files.os.replace", full)
    with pytest.raises(UserError, match=r"No space left on device\): free some space"):
        atomic_write(tmp_path / "file", b"")
    assert list(tmp_path.iterdir()) == []
