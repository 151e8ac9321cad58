"""Where a result comes from, and whether other code made it."""

import msgspec
import pytest

from core.records.provenance import Provenance, collect_provenance, describe_code, is_other_code

HERE = collect_provenance({})


def test_provenance_says_where_a_result_comes_from() -> None:
    found = collect_provenance({"train.json": "ab12"})
    assert isinstance(found, Provenance)
    assert found.data == {"train.json": "ab12"}
    assert found.packages.keys() >= {"torch", "transformers", "numpy"}
    assert found.python.startswith("3.")
    assert found.processors >= 1
    assert found.command
    assert found.commit is None or len(found.commit) == 40


def by(commit: str | None, *, dirty: bool = False, version: str = "1.0") -> Provenance:
    return msgspec.structs.replace(HERE, commit=commit, uncommitted_changes=dirty, packages={"engram": version})


@pytest.mark.parametrize(
    ("made", "now", "other"),
    [
        (by("a" * 40), by("a" * 40), False),
        (by("b" * 40), by("a" * 40), True),
        (by(None), by("a" * 40), True),
        (by("a" * 40, dirty=True), by("a" * 40), True),
        # Both unknown: which changes, nobody can say; else --rerun would never come to an end.
        (by("a" * 40, dirty=True), by("a" * 40, dirty=True), False),
        (by("a" * 40), by("a" * 40, dirty=True), False),
        (by("a" * 40), by(None), True),
        (by(None), by(None), False),
        (by(None, version="0.9"), by(None), True),
        (None, by("a" * 40), True),
    ],
)
def test_other_code_is_another_commit_or_another_version(made: Provenance | None, now: Provenance, other: bool) -> None:
    assert is_other_code(made, now) == other


def test_code_has_a_name() -> None:
    assert describe_code(by("b" * 40)) == "b" * 12
    assert describe_code(by(None)) == "engram 1.0"
    assert describe_code(msgspec.structs.replace(HERE, commit=None, packages={})) == "no commit"
