"""Downloads against a local host that misbehaves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.data.download import CHUNK, download
from core.errors import UserError
from tests.core.data.local_host import CONTENT, SHA256, LocalHost, local_host


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with local_host() as address:
        yield address


def test_a_broken_download_is_resumed(host: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    LocalHost.breaks = [12 * CHUNK + 5]
    with pytest.raises(UserError, match=r"broke off after 98304 bytes: fetch again"):
        download(f"{host}/a.bin", path, sha256=SHA256, attempts=1)
    assert not path.exists()
    download(f"{host}/a.bin", path, sha256=SHA256, attempts=1)
    assert path.read_bytes() == CONTENT
    assert LocalHost.ranges == [None, "bytes=98304-"]
    assert [child.name for child in tmp_path.iterdir()] == ["a.bin"]


def test_a_download_tries_again_by_itself(host: str, tmp_path: Path) -> None:
    LocalHost.breaks = [CHUNK, 2 * CHUNK]
    download(f"{host}/a.bin", tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert LocalHost.ranges == [None, "bytes=8192-", "bytes=24576-"]


@pytest.mark.parametrize("change", ["other version", "no ranges", "complete part", "part too long"])
def test_a_part_that_does_not_fit_is_never_glued_on(host: str, tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.bin"
    LocalHost.breaks = [CHUNK]
    with pytest.raises(UserError):
        download(f"{host}/a.bin", path, attempts=1)
    part = tmp_path / "a.bin.part"
    assert part.stat().st_size == CHUNK
    if change == "other version":
        LocalHost.tag, LocalHost.content = '"v2"', {"/a.bin": CONTENT[::-1]}
    elif change == "no ranges":
        LocalHost.honours_ranges = False
    elif change == "complete part":
        part.write_bytes(CONTENT)
    else:
        part.write_bytes(CONTENT + b"more")
    download(f"{host}/a.bin", path)
    assert path.read_bytes() == LocalHost.content["/a.bin"]


def test_another_checksum_leaves_nothing_behind(host: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sha256 is not the 0000"):
        download(f"{host}/a.bin", tmp_path / "a.bin", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_not_there_or_lacks_the_file(host: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="answered 404"):
        download(f"{host}/b.bin", tmp_path / "b.bin")
    with pytest.raises(UserError, match="cannot be reached"):
        download("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", attempts=1)
