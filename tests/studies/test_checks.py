"""What a plan says of its rows: each line where it is true, and not where it is not."""

from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from core.config.signature import signature
from core.records.provenance import Provenance
from core.records.record import RunRecord, Status, write_record
from core.records.summary import RunSummary, read_summary
from studies.axes import AXES, Axis, find_axis
from studies.checks import code_warnings, early_choice, plan_notes, plan_warnings, runs_to_repeat
from studies.plan import Plan, plan
from studies.rows import Base, Row
from studies.study import Study, check_study, expand_axes, find_study, shipped_studies
from tests.studies.planning import CLEAN, made

WRITE_ONLY = {"read_mode": "none"}


def product(*axes: str | Axis, base: dict | None = None) -> Study:
    """The study of some axes on the memory model, its first row the baseline."""
    study = Study(question="?", baseline="", base=Base("memory-grc", base or {}), axes=axes, name="mine")
    study = expand_axes(study)
    return check_study(msgspec.structs.replace(study, baseline=next(iter(study.rows))))


def planned(study: Study, documents: dict) -> Plan:
    return plan(study, profile="quick", runs=Path("runs"), settings=documents)


def draws(memory: dict, documents: dict, other: int = 100) -> list[str]:
    rows = {
        "a": Row(preset="memory-grc", settings={"memory": memory}),
        "b": Row(preset="memory-grc", settings={"memory": memory, "samples": {"neg_mentions": other}}),
    }
    return plan_warnings(made(rows, documents))


def test_negative_mentions_change_what_an_inverse_read_normalises_over(documents: dict) -> None:
    [line] = draws({}, documents)
    assert "samples.neg_mentions (40, 100)" in line
    assert "(a, b)" in line
    assert draws({}, documents, other=40) == []
    for other in ({"inverse_scale": "mean"}, {"places": "tokens"}, {"read_mode": "normal"}, {"warmup": 1}):
        assert not any("neg_mentions" in line for line in draws(other, documents))


def test_an_axis_of_a_users_own_and_a_row_without_memory_are_told_of_it_too(documents: dict) -> None:
    own = Axis(name="negatives", path="samples.neg_mentions", values=(50, 100))
    [line] = plan_warnings(planned(product(own), documents))
    assert "samples.neg_mentions (50, 100)" in line
    # A flag sets all rows alike, unless a row of the study says otherwise.
    rows = {"a": Row("jerex-grc", settings={"samples": {"neg_mentions": 50}}), "b": Row("memory-grc")}
    flags = documents | {"memory": {"inverse_scale": "mean"}}
    assert plan_warnings(made(rows, flags)) == []
    assert "(b)" in plan_warnings(made(rows, documents))[0]


def test_rows_that_never_read_are_said_to_train_the_same_model(documents: dict) -> None:
    rows = {
        "a": Row("memory-grc"),
        "b": Row("memory-grc", settings={"memory": {"warmup": 1.0}}),
        "c": Row("memory-grc", settings={"memory": WRITE_ONLY}),
        "d": Row("memory-mrc", settings={"memory": WRITE_ONLY}),
        "e": Row("memory-grc", settings={"memory": WRITE_ONLY | {"slot_width": 32}}),
        "f": Row("jerex-grc"),
    }
    [line] = plan_warnings(made(rows, documents))
    assert line.startswith("rows b, c never read memory")
    del rows["c"]
    assert plan_warnings(made(rows, documents)) == []


def test_scores_on_documents_that_chose_or_trained_are_said(documents: dict) -> None:
    files = documents["data"]
    rows = {"a": Row("jerex-grc")}
    [line] = plan_warnings(made(rows, {"data": files | {"test": None}}))
    assert line.startswith("no test documents (a): tables show validation, which has also chosen the epochs")
    [line] = plan_warnings(made(rows, {"data": files | {"validation": files["test"]}}))
    assert line.startswith("test and validation documents are the same file")
    assert len(plan_warnings(made(rows, {"data": files | {"test": files["train"]}}))) == 1


def test_notes_say_what_a_table_will_not(documents: dict) -> None:
    [early] = early_choice(planned(find_study("memory-size"), documents))
    assert early.startswith("validation may choose an epoch before memory is read in 6 rows")
    assert "--training.select_from 0.4 " in early
    # Four epochs, a warm-up of the first tenth: the first epoch that ends has read.
    assert not list(early_choice(made({"a": Row("memory-grc", settings={"memory": {"warmup": 0.2}})}, documents)))
    late = documents | {"training": {"select_from": 0.4}}
    assert not list(early_choice(made({"a": Row("memory-grc"), "b": Row("jerex-grc")}, late)))
    assert not list(early_choice(planned(find_study("paper"), documents | {"memory": {"warmup": 0}})))


def test_rows_that_weigh_mentions_less_at_inference_are_noted_in_one_line(documents: dict) -> None:
    late = documents | {"training": {"select_from": 0.4}}
    rows = {
        "a": Row("jerex-grc"),
        "reference": Row("memory-grc"),
        "wide": Row("memory-grc", settings={"memory": {"slot_width": 32}}),
        "mean": Row("memory-grc", settings={"memory": {"inverse_scale": "mean"}}),
        "tokens": Row("memory-grc", settings={"memory": {"places": "tokens"}}),
        "residual": Row("memory-residual-grc"),
        "never": Row("memory-grc", settings={"memory": {"warmup": 1.0}}),
        "constant": Row("memory-grc", settings={"memory": {"reads": "constant"}}),
    }
    [line] = plan_notes(made(rows, late))
    assert "(reference, wide)" in line
    assert "memory.inverse_scale mean" in line
    assert "memory.pooling residual with memory.read_mode normal" in line
    for name in ("reference", "wide"):
        del rows[name]
    assert plan_notes(made(rows, late)) == []


PAIRS = [pytest.param(one.name, other.name, id=f"{one.name}+{other.name}") for one, other in combinations(AXES, 2)]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_any_two_axes_make_rows_or_say_why_not(documents: dict, one: str, other: str) -> None:
    study = product(one, other)
    found = planned(study, documents)
    every = {
        f"{one}={find_axis(one).label(a)}+{other}={find_axis(other).label(b)}"
        for a in find_axis(one).values
        for b in find_axis(other).values
    }
    assert found.configs.keys() | found.study.left_out.keys() == every
    assert not found.configs.keys() & found.study.left_out.keys()
    signatures = [signature(config) for config in found.configs.values()]
    assert len(set(signatures)) == len(signatures)
    for reason in found.study.left_out.values():
        same = reason.removeprefix("the same runs as ").partition(" under profile")[0]
        assert reason.startswith("invalid: ") or same in found.configs
    # Nothing that a value does is lost with a combination: each stands in some row.
    stood = {(name, str(value)) for row in found.study.rows.values() for name, value in row.at.items()}
    assert len(stood) >= len(find_axis(one).values) + len(find_axis(other).values) - 1


def by(commit: str | None, *, changed: bool = False, version: str = "1.0") -> Provenance:
    return msgspec.structs.replace(CLEAN, commit=commit, uncommitted_changes=changed, packages={"engram": version})


def test_shipped_studies_need_no_advice_on_a_clean_checkout(documents: dict) -> None:
    for study in shipped_studies().values():
        found = plan(study, profile="quick", runs=Path("runs"), settings=documents)
        assert plan_warnings(found) == []
    assert code_warnings(CLEAN, []) == []


@pytest.mark.parametrize(("seeds", "count"), [([0], 1), ([0, 1, 2, 3], 1), ([0, 1, 2, 3, 9], 0)])
def test_fewer_than_five_seeds_are_said(documents: dict, seeds: list[int], count: int) -> None:
    found = plan(find_study("paper"), profile="quick", runs=Path("runs"), seeds=seeds, settings=documents)
    lines = plan_warnings(found)
    assert len(lines) == count
    assert all(line.startswith(f"{len(seeds)} seed") and "--seeds 5" in line for line in lines)


def summary(folder: Path, made: Provenance | None, status: Status = "finished") -> RunSummary:
    folder.mkdir(parents=True)
    write_record(folder, RunRecord(run_id="x-s0", status=status, config={}, provenance=made))
    return read_summary(folder)


def test_the_checkout_and_records_of_other_code_are_said(tmp_path: Path) -> None:
    [line] = code_warnings(msgspec.structs.replace(CLEAN, uncommitted_changes=True), [])
    assert line.startswith("the checkout has uncommitted changes: records will name aaaaaaaaaaaa,")
    [line] = code_warnings(by(None), [])
    assert line.startswith("this code is not in a git checkout")
    made = [by("a" * 40), by("b" * 40), None, by("b" * 40), by("a" * 40, changed=True)]
    summaries = [summary(tmp_path / f"s{number}", one) for number, one in enumerate(made)]
    summaries += [summary(tmp_path / f"t{status}", by("b" * 40), status) for status in ("failed", "imported")]
    summaries.append(summary(tmp_path / "diverged", by("b" * 40), "diverged"))
    [line] = code_warnings(CLEAN, summaries)
    code = "(aaaaaaaaaaaa with uncommitted changes, bbbbbbbbbbbb, unknown)"
    assert line.startswith(f"4 finished runs of other code {code} kept")
    assert "--rerun" in line
    # What diverged may not diverge any more; what failed has --retry, what was imported cannot be computed.
    assert runs_to_repeat({one.folder.name: one for one in summaries}, CLEAN) == {"s1", "s2", "s3", "s4", "diverged"}
