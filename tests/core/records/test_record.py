"""The run record: written whole, read back, damage named; and finding a run by id, prefix or folder."""

from pathlib import Path

import msgspec
import pytest

from core.errors import UserError
from core.records.provenance import collect_provenance
from core.records.record import (
    CONFIG,
    RECORD,
    RunRecord,
    find_run,
    read_record,
    write_record,
)


def record(**changes: object) -> RunRecord:
    given = {
        "run_id": "0123456789ab-s0",
        "status": "finished",
        "config": {"seed": 0, "memory": None},
        "metrics": {"test": {"relation": {"f1": 38.65}}},
        "provenance": collect_provenance({"train.json": "ab12"}),
        "repairs": {"train": {"overlong_truncated": 2}},
        "notes": ["ein Satz mit ü"],
    }
    return RunRecord(**{**given, **changes})  # type: ignore[arg-type]


def make_run(runs: Path, signature: str, seed: int) -> Path:
    folder = runs / signature / f"s{seed}"
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text("seed: 0\n")
    return folder


def test_a_record_reads_back_equal_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    assert read_record(tmp_path) == record()
    write_record(tmp_path, record(status="failed", error="a traceback"))
    read = read_record(tmp_path)
    assert read is not None
    assert (read.status, read.error) == ("failed", "a traceback")
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


def test_a_record_is_text_that_a_person_can_read(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    text = (tmp_path / RECORD).read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert text.count("\n") > 10
    assert "ü" in text


def test_a_run_without_a_record_has_none(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


def test_a_record_of_a_later_release_is_still_read(tmp_path: Path) -> None:
    tree = msgspec.to_builtins(record())
    (tmp_path / RECORD).write_bytes(msgspec.json.encode({**tree, "novelty": 1}))
    assert read_record(tmp_path) == record()


@pytest.mark.parametrize("damage", [b"", b'{"run_id": "ab-s0", ', b"[]", b'{"run_id": 3}', b"\xff\xfe"])
def test_a_damaged_record_is_named_with_the_way_out(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / RECORD).write_bytes(damage)
    with pytest.raises(UserError) as caught:
        read_record(tmp_path)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{tmp_path / RECORD} is damaged: ")
    assert first.endswith("delete it and run again, or restore it")


def test_an_unknown_status_is_damage(tmp_path: Path) -> None:
    tree = msgspec.to_builtins(record())
    (tmp_path / RECORD).write_bytes(msgspec.json.encode({**tree, "status": "fine"}))
    with pytest.raises(UserError, match="is damaged: Invalid enum value 'fine'"):
        read_record(tmp_path)


def test_a_record_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        write_record(tmp_path / "nowhere", record())
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        write_record(tmp_path / "file", record())


def test_a_failed_write_leaves_the_record_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_record(tmp_path, record())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.files.os.replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_record(tmp_path, record(status="failed"))
    assert read_record(tmp_path) == record()
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


def test_a_run_is_found_by_id_unique_prefix_or_folder(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, "aaaa11112222", 0), make_run(tmp_path, "aaaa33334444", 1)
    assert find_run("aaaa11112222-s0", tmp_path) == first
    assert find_run("aaaa3", tmp_path) == second
    assert find_run(str(second), tmp_path / "elsewhere") == second


def test_two_seeds_of_one_signature_need_the_seed(tmp_path: Path) -> None:
    zero, one = make_run(tmp_path, "aaaa11112222", 0), make_run(tmp_path, "aaaa11112222", 1)
    with pytest.raises(
        UserError, match=r"run 'aaaa' is ambiguous: it begins aaaa11112222-s0, aaaa11112222-s1; give more"
    ):
        find_run("aaaa", tmp_path)
    assert find_run("aaaa11112222-s1", tmp_path) == one
    assert find_run("aaaa11112222-s0", tmp_path) == zero


def test_a_whole_id_is_that_run_though_another_begins_with_it(tmp_path: Path) -> None:
    one = make_run(tmp_path, "aaaa11112222", 1)
    make_run(tmp_path, "aaaa11112222", 10)
    assert find_run("aaaa11112222-s1", tmp_path) == one


def test_no_run_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run 'ffff' in .*: there is no run there; give a run id"):
        find_run("ffff", tmp_path / "runs")
    make_run(tmp_path, "aaaa11112222", 0)
    with pytest.raises(UserError, match="its runs are aaaa11112222-s0"):
        find_run("ffff", tmp_path)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder but no run: it has no config\.yaml"):
        find_run(str(tmp_path), tmp_path)
