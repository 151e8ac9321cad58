"""Hashes of files and folders by their content."""

import hashlib
import os
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import content_hash


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
    with pytest.raises(UserError, match="nothing: No such file or directory; give the path"):
        content_hash(tmp_path / "nothing")
