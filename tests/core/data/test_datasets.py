"""Registered data sets: fetched, pinned, and checked at every use."""

import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.data import datasets
from core.data.datasets import data_root, dataset_paths, fetch, find_dataset
from core.errors import UserError
from core.files import content_hash
from tests.core.data.local_host import SHA256, LocalHost, local_host


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with local_host() as address:
        yield address


@pytest.fixture
def registered(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of a plain file, a member of a zip, a gzip file and one without an address; gives its folder."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("__MACOSX/inner/member.txt", "wrong")
        packed.writestr("inner/member.txt", "right")
    LocalHost.content["/all.zip"] = archive.getvalue()
    LocalHost.content["/dev.json.gz"] = gzip.compress(b"[]")
    entry = datasets.Dataset(
        name="tiny",
        what="a test",
        files=(
            datasets.DataFile("a.bin", f"{host}/a.bin"),
            datasets.DataFile("member.txt", f"{host}/all.zip", hashlib.sha256(b"right").hexdigest()),
            datasets.DataFile("dev.json", f"{host}/dev.json.gz"),
            datasets.DataFile("own.json"),
        ),
        licence="none",
        train="a.bin",
        test="member.txt",
    )
    monkeypatch.setitem(datasets.REGISTRY, "tiny", entry)
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path / "root"))
    return tmp_path / "root" / "tiny"


def test_fetch_brings_pins_and_checks(registered: Path) -> None:
    found = {item.path.name: item.state for item in fetch("tiny")}
    assert found == {"a.bin": "fetched", "member.txt": "fetched", "dev.json": "fetched", "own.json": "no address"}
    assert (registered / "member.txt").read_text() == "right"
    assert (registered / "dev.json").read_bytes() == b"[]"
    # Pinned where the registry knows no checksum, in the form that sha256sum -c reads.
    assert (registered / "a.bin.sha256").read_text() == f"{SHA256}  a.bin\n"
    assert not (registered / "member.txt.sha256").exists()
    requests = LocalHost.requests
    assert [item.state for item in fetch("tiny")] == ["present", "present", "present", "no address"]
    assert LocalHost.requests == requests
    paths = {"train": registered / "a.bin", "validation": None, "test": registered / "member.txt", "types": None}
    assert dataset_paths("tiny") == paths


def test_another_use_of_a_data_sets_files_lies_in_its_folder_and_is_not_fetched_again(
    registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = find_dataset("tiny").files[:2]
    entry = datasets.Dataset("half", "other splits", shared, "none", train="member.txt", folder="tiny")
    monkeypatch.setitem(datasets.REGISTRY, "half", entry)
    assert [item.state for item in fetch("half")] == ["fetched", "fetched"]
    requests = LocalHost.requests
    assert [item.state for item in fetch("tiny")][:2] == ["present", "present"]
    assert LocalHost.requests == requests + 1, "dev.json.gz alone"
    assert dataset_paths("half")["train"] == registered / "member.txt"


def test_a_download_that_breaks_off_leaves_nothing_and_can_be_repeated(registered: Path) -> None:
    LocalHost.breaks = [8_192]
    with pytest.raises(UserError, match=r"a.bin cannot be downloaded \(ChunkedEncodingError\): fetch again"):
        list(fetch("tiny"))
    assert list(registered.iterdir()) == []
    assert next(iter(fetch("tiny"))).sha256 == SHA256


def test_another_checksum_a_missing_file_and_a_missing_host(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
    for address, message in (
        (f"{host}/a.bin", "sha256 is not the 0000"),
        (f"{host}/b.bin", r"cannot be downloaded \(Not Found\)"),
        ("http://127.0.0.1:9/a.bin", r"cannot be downloaded \(ConnectionError\)"),
    ):
        file = datasets.DataFile("a.bin", address, "0" * 64)
        entry = datasets.Dataset(name="tiny", what="a test", files=(file,), licence="none", train="a.bin")
        monkeypatch.setitem(datasets.REGISTRY, "tiny", entry)
        with pytest.raises(UserError, match=message):
            list(fetch("tiny"))
        assert list((tmp_path / "tiny").iterdir()) == []


@pytest.mark.parametrize(("name", "source"), [("a.bin", "a.bin.sha256"), ("member.txt", "the registry")])
def test_a_file_that_has_changed_is_refused(registered: Path, name: str, source: str) -> None:
    list(fetch("tiny"))
    (registered / name).write_bytes(b"changed")
    with pytest.raises(UserError, match=source):
        dataset_paths("tiny")
    with pytest.raises(UserError, match=source):
        list(fetch("tiny"))
    assert (registered / name).read_bytes() == b"changed"


def test_a_broken_archive_and_a_data_root_that_is_no_folder(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalHost.content["/dev.json.gz"] = LocalHost.content["/dev.json.gz"][:-6]
    with pytest.raises(UserError, match=r"dev.json.gz: cannot be unpacked"):
        list(fetch("tiny"))
    LocalHost.content["/all.zip"] = b"no zip"
    (registered / "all.zip").unlink()
    (registered / "member.txt").unlink()
    with pytest.raises(UserError, match=r"all.zip: cannot be unpacked"):
        list(fetch("tiny"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"set ENGRAM_DATA to a folder"):
        list(fetch("tiny"))


def test_what_is_not_there_names_the_command(registered: Path) -> None:
    with pytest.raises(UserError, match=r"engram data fetch tiny"):
        dataset_paths("tiny")
    with pytest.raises(UserError, match=r"data set tinny is none of docred-joint, .*, redocred, cdr, tiny"):
        find_dataset("tinny")


def test_the_registry_names_its_own_files(shared_path) -> None:
    for entry in datasets.REGISTRY.values():
        names = [file.name for file in entry.files]
        assert {entry.train, entry.validation, entry.test, entry.types} - {None} <= set(names)
    files = [("redocred", "redocred/dev_revised.json")]
    files += [("docred-small", f"docred_joint/{file.name}") for file in find_dataset("docred-small").files]
    for name, file in files:
        path = shared_path(f"data/{file}")
        known = {item.name: item.sha256 for item in find_dataset(name).files}
        assert known[path.name] == content_hash(path)


def test_the_data_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("ENGRAM_DATA")
    assert data_root().name == "engram"
