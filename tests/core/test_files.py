"""Files and folders: hashed by content, locked by one process, written whole; and what killed processes leave."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import (
    HOLDER_FILE,
    TEMPORARY_MARK,
    atomic_write,
    content_hash,
    delete_leftovers,
    is_locked,
    lock_folder,
    temporary_path,
    was_killed,
)
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


def test_a_full_disk_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.files.os.replace", full)
    with pytest.raises(UserError, match=r"No space left on device\): free some space"):
        atomic_write(tmp_path / "file", b"")
    assert list(tmp_path.iterdir()) == []
