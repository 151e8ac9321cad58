"""Registered data sets, downloads against a local host that misbehaves, and splits."""

import gzip
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data import datasets
from core.data import datasets as registry
from core.data.datasets import (
    CHUNK,
    data_root,
    dataset,
    download,
    fetch,
    load_splits,
    locate,
    validation_split,
)
from core.data.documents import Annotation, Document, Entity, Relation
from core.data.formats.docred import write_docred
from core.errors import UserError

CONTENT = bytes(range(256)) * 2_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Host(BaseHTTPRequestHandler):
    """Serves `content`; `breaks` says after how many bytes each of the coming answers breaks off."""

    content: ClassVar[dict[str, bytes]] = {}
    breaks: ClassVar[list[int]] = []
    ranges: ClassVar[list[str | None]] = []
    tag: ClassVar[str] = '"v1"'
    honours_ranges: ClassVar[bool] = True

    def do_GET(self) -> None:
        cls = type(self)
        cls.ranges.append(self.headers.get("Range"))
        if self.path not in cls.content:
            self.send_error(404)
            return
        content, start = cls.content[self.path], 0
        wanted = self.headers.get("Range")
        if wanted and cls.honours_ranges and self.headers.get("If-Range", cls.tag) == cls.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", cls.tag)
        self.end_headers()
        end = start + cls.breaks.pop(0) if cls.breaks else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    Host.content, Host.breaks, Host.ranges, Host.tag, Host.honours_ranges = {"/a.bin": CONTENT}, [], [], '"v1"', True
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_broken_download_goes_on_where_it_stopped(host: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    Host.breaks = [12 * CHUNK + 5]
    with pytest.raises(UserError, match=r"broke off after 98304 bytes: fetch again"):
        download(f"{host}/a.bin", path, sha256=SHA256, attempts=1)
    assert not path.exists()
    download(f"{host}/a.bin", path, sha256=SHA256, attempts=1)
    assert path.read_bytes() == CONTENT
    assert Host.ranges == [None, "bytes=98304-"]
    assert [child.name for child in tmp_path.iterdir()] == ["a.bin"]


def test_a_download_tries_again_by_itself(host: str, tmp_path: Path) -> None:
    Host.breaks = [CHUNK, 2 * CHUNK]
    download(f"{host}/a.bin", tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert Host.ranges == [None, "bytes=8192-", "bytes=24576-"]


@pytest.mark.parametrize("change", ["other version", "no ranges", "complete part", "part too long"])
def test_a_part_that_does_not_fit_is_never_glued_on(host: str, tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.bin"
    Host.breaks = [CHUNK]
    with pytest.raises(UserError):
        download(f"{host}/a.bin", path, attempts=1)
    part = tmp_path / "a.bin.part"
    assert part.stat().st_size == CHUNK
    if change == "other version":
        Host.tag, Host.content = '"v2"', {"/a.bin": CONTENT[::-1]}
    elif change == "no ranges":
        Host.honours_ranges = False
    elif change == "complete part":
        part.write_bytes(CONTENT)
    else:
        part.write_bytes(CONTENT + b"more")
    download(f"{host}/a.bin", path)
    assert path.read_bytes() == Host.content["/a.bin"]


def test_another_checksum_leaves_nothing_behind(host: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sha256 is not the 0000"):
        download(f"{host}/a.bin", tmp_path / "a.bin", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_not_there_or_lacks_the_file(host: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="answered 404"):
        download(f"{host}/b.bin", tmp_path / "b.bin")
    with pytest.raises(UserError, match="cannot be reached"):
        download("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", attempts=1)


@pytest.fixture
def registered(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of a plain file, a member of a zip, a gzip file and one without an address; gives its folder."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("__MACOSX/inner/member.txt", "wrong")
        packed.writestr("inner/member.txt", "right")
    Host.content["/all.zip"] = archive.getvalue()
    Host.content["/dev.json.gz"] = gzip.compress(b"[]")
    entry = registry.Dataset(
        name="tiny",
        what="a test",
        files=(
            registry.DataFile("a.bin", f"{host}/a.bin"),
            registry.DataFile("member.txt", f"{host}/all.zip", hashlib.sha256(b"right").hexdigest()),
            registry.DataFile("dev.json", f"{host}/dev.json.gz"),
            registry.DataFile("own.json"),
        ),
        licence="none",
        train="a.bin",
    )
    monkeypatch.setitem(registry.REGISTRY, "tiny", entry)
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
    requests = len(Host.ranges)
    assert [item.state for item in fetch("tiny")] == ["present", "present", "present", "no address"]
    assert len(Host.ranges) == requests
    assert locate("tiny", "a.bin") == registered / "a.bin"
    assert locate("tiny", None) is None
    paths = {"train": registered / "a.bin", "validation": None, "test": None, "types": None}
    assert datasets.split_paths("tiny") == paths


@pytest.mark.parametrize(("name", "source"), [("a.bin", "a.bin.sha256"), ("member.txt", "the registry")])
def test_a_file_that_has_changed_is_refused(registered: Path, name: str, source: str) -> None:
    list(fetch("tiny"))
    (registered / name).write_bytes(b"changed")
    with pytest.raises(UserError, match=source):
        locate("tiny", name)
    with pytest.raises(UserError, match=source):
        list(fetch("tiny"))
    assert (registered / name).read_bytes() == b"changed"


def test_a_broken_archive_and_a_data_root_that_is_no_folder(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Host.content["/dev.json.gz"] = Host.content["/dev.json.gz"][:-6]
    with pytest.raises(UserError, match=r"dev.json.gz: cannot be unpacked"):
        list(fetch("tiny"))
    Host.content["/all.zip"] = b"no zip"
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
        locate("tiny", "a.bin")
    with pytest.raises(UserError, match=r"data set tinny is none of docred-joint, docred, redocred, cdr, tiny"):
        dataset("tinny")


def test_the_registry_names_its_own_files(shared_path) -> None:
    for entry in registry.REGISTRY.values():
        names = [file.name for file in entry.files]
        assert {entry.train, entry.validation, entry.test, entry.types} - {None} <= set(names)
    for name, file in (("docred-joint", "docred_joint/dev_joint.json"), ("redocred", "redocred/dev_revised.json")):
        path = shared_path(f"data/{file}")
        known = {item.name: item.sha256 for item in dataset(name).files}
        assert known[path.name] == datasets.content_hash(path)


def test_the_data_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("ENGRAM_DATA")
    assert data_root().name == "engram"


def document(name: str, entity_type: str = "PER", relation_type: str = "P1") -> Document:
    entities = [Entity(((0, 1),), entity_type), Entity(((1, 2),), "LOC")]
    gold = Annotation.from_entities(entities, [Relation(0, 1, relation_type)])
    return Document(id=name, title=name, tokens=("a", "b"), sentences=((0, 2),), gold=gold)


def written(path: Path, *documents: Document) -> Path:
    write_docred(documents, path)
    return path


@given(st.sets(st.text(min_size=1, max_size=4), min_size=2, max_size=30), st.floats(0.01, 0.9), st.randoms())
def test_the_validation_split_is_a_matter_of_titles_alone(names: set[str], share: float, generator: Any) -> None:
    documents = [document(name) for name in sorted(names)]
    expected = max(1, round(share * len(documents)))
    if expected >= len(documents):
        with pytest.raises(UserError, match="cannot be split"):
            validation_split(documents, share)
        return
    train, validation = validation_split(documents, share)
    assert len(validation) == expected
    assert sorted(documents, key=lambda item: item.id) == sorted([*train, *validation], key=lambda item: item.id)
    assert list(train) == [item for item in documents if item in train]
    largest = max(hashlib.sha256(item.id.encode()).hexdigest() for item in validation)
    assert all(hashlib.sha256(item.id.encode()).hexdigest() > largest for item in train)
    shuffled = documents.copy()
    generator.shuffle(shuffled)
    assert {item.id for item in validation_split(shuffled, share)[1]} == {item.id for item in validation}


def test_a_seventh_of_the_real_test_part_is_100_documents(shared_path) -> None:
    splits = load_splits(
        train=shared_path("data/docred_joint/test_joint.json"),
        test=shared_path("data/docred_joint/dev_joint.json"),
        types=shared_path("data/docred_joint/types.json"),
        validation_share=1 / 7,
    )
    assert splits.test is not None
    sizes = [len(corpus.documents) for corpus in (splits.train, splits.validation, splits.test)]
    assert sizes == [600, 100, 300]
    assert splits.labels.entity_types == ("LOC", "MISC", "PER", "NUM", "TIME", "ORG")
    assert splits.train.issues.counts["long_mention"] == 19
    assert splits.validation.issues.counts == {}


def test_inferred_types_are_those_of_training_in_order_of_appearance(tmp_path: Path) -> None:
    train = written(tmp_path / "train.json", document("a", "ZZZ"), document("b", "AAA", "P0"))
    test = written(tmp_path / "test.json", document("c", "NEW", "P9"), document("d", "NEW"))
    splits = load_splits(train=train, validation=test, test=test)
    assert splits.labels.entity_types == ("ZZZ", "LOC", "AAA")
    assert splits.labels.relation_types == ("P1", "P0")
    assert splits.test is not None
    assert splits.test.issues.counts == {"unknown_entity_type": 2, "unknown_relation_type": 1}
    assert splits.test.documents[0].gold is not None
    assert splits.test.documents[0].gold.entities[0].type == "NEW"


def test_types_of_a_file_are_held_against_every_part(tmp_path: Path) -> None:
    train = written(tmp_path / "train.json", document("a"), document("b"))
    test = written(tmp_path / "test.json", document("c", "NEW"))
    types = tmp_path / "types.json"
    types.write_bytes(msgspec.json.encode({"entities": {"LOC": {}, "PER": {}}, "relations": {"P1": {}}}))
    assert load_splits(train=train, types=types).labels.entity_types == ("LOC", "PER")
    with pytest.raises(UserError, match=r'test.json: document 0 "c": .*"NEW", which is none of the 2 entity types'):
        load_splits(train=train, test=test, types=types)


def test_splits_that_cannot_be_made_are_clear_errors(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", document("a"))
    bare = written(tmp_path / "bare.json", msgspec.structs.replace(document("a"), gold=None))
    with pytest.raises(UserError, match=r"one.json: 1 documents cannot be split"):
        load_splits(train=one)
    with pytest.raises(UserError, match="holds no annotated document"):
        load_splits(train=bare)
    with pytest.raises(UserError, match=r"validation share is 1\.5"):
        load_splits(train=written(tmp_path / "two.json", document("a"), document("b")), validation_share=1.5)
