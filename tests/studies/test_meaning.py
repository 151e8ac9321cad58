"""What a plan says of its rows: each line where it is true, and not where it is not."""

from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from core.config.signature import signature
from studies.axes import AXES, find_axis
from studies.checks import notes, warnings
from studies.plan import Plan, plan
from studies.rows import Base, Choice, Row
from studies.study import Study, check_study, expand_axes, find_study
from tests.studies.planning import made

WRITE_ONLY = {"read_mode": "none"}


def product(*axes: str | Choice, base: dict | None = None) -> Study:
    """The study of some axes on the memory model, its first row the baseline."""
    study = Study(question="?", baseline="", base=Base("memory-grc", base or {}), axes=axes)
    study = expand_axes(study, where="mine", name="mine")
    return check_study(msgspec.structs.replace(study, baseline=next(iter(study.rows))), where="mine")


def planned(study: Study, documents: dict) -> Plan:
    return plan(study, profile="quick", runs=Path("runs"), settings=documents)


def draws(memory: dict, documents: dict, other: int = 100) -> list[str]:
    rows = {
        "a": Row(preset="memory-grc", settings={"memory": memory}),
        "b": Row(preset="memory-grc", settings={"memory": memory, "samples": {"neg_mentions": other}}),
    }
    return warnings(made(rows, documents))


def test_negative_mentions_change_what_an_inverse_read_normalises_over(documents: dict) -> None:
    [line] = draws({}, documents)
    assert "samples.neg_mentions (40, 100)" in line
    assert "(a, b)" in line
    assert draws({}, documents, other=40) == []
    for other in ({"inverse_scale": "mean"}, {"places": "tokens"}, {"read_mode": "normal"}, {"warmup": 1}):
        assert not any("neg_mentions" in line for line in draws(other, documents))


def test_an_axis_of_a_users_own_and_a_row_without_memory_are_told_of_it_too(documents: dict) -> None:
    own = Choice(name="negatives", path="samples.neg_mentions", values=(50, 100))
    [line] = warnings(planned(product(own), documents))
    assert "samples.neg_mentions (50, 100)" in line
    # A flag sets all rows alike, unless a row of the study says otherwise.
    rows = {"a": Row("jerex-grc", settings={"samples": {"neg_mentions": 50}}), "b": Row("memory-grc")}
    flags = documents | {"memory": {"inverse_scale": "mean"}}
    assert warnings(made(rows, flags)) == []
    assert "(b)" in warnings(made(rows, documents))[0]


def test_an_axis_that_another_setting_switches_off_is_said_to_be_idle(documents: dict) -> None:
    [line] = warnings(planned(product("warmup", base={"memory": WRITE_ONLY}), documents))
    assert line.startswith("axis warmup changes nothing here: with all its values (0, 0.1, 0.2, 0.4, 0.6, 0.8, 1)")
    threads = Choice(name="threads", path="runtime.threads", values=(1, 2))
    assert warnings(planned(product(threads), documents))[0].startswith("axis threads changes nothing here")
    # With one value of the other axis it does something.
    both = product(Choice(name="read-mode", values=("none", "inverse")), Choice(name="warmup", values=(0, 0.4)))
    assert warnings(planned(both, documents)) == []
    assert warnings(planned(product(Choice(name="warmup", values=(0.4,))), documents)) == []


def test_rows_that_never_read_are_said_to_train_the_same_model(documents: dict) -> None:
    rows = {
        "a": Row("memory-grc"),
        "b": Row("memory-grc", settings={"memory": {"warmup": 1.0}}),
        "c": Row("memory-grc", settings={"memory": WRITE_ONLY}),
        "d": Row("memory-mrc", settings={"memory": WRITE_ONLY}),
        "e": Row("memory-grc", settings={"memory": WRITE_ONLY | {"slot_width": 32}}),
        "f": Row("jerex-grc"),
    }
    [line] = warnings(made(rows, documents))
    assert line.startswith("rows b, c never read memory")
    del rows["c"]
    assert warnings(made(rows, documents)) == []


def test_scores_on_documents_that_chose_or_trained_are_said(documents: dict) -> None:
    files = documents["data"]
    rows = {"a": Row("jerex-grc")}
    [line] = warnings(made(rows, {"data": files | {"test": None}}))
    assert line.startswith("no test documents (a): tables show validation, which has also chosen the epochs")
    [line] = warnings(made(rows, {"data": files | {"validation": files["test"]}}))
    assert line.startswith("test and validation documents are the same file")
    assert len(warnings(made(rows, {"data": files | {"test": files["train"]}}))) == 1


def test_notes_say_what_a_table_will_not(documents: dict) -> None:
    early, parameters = notes(planned(find_study("memory-size"), documents))
    assert early.startswith("validation may choose an epoch before memory is read in 6 rows")
    assert "--training.select_from 0.4 " in early
    assert parameters.startswith("rows differ in parameters through memory.slot_width:")
    # Four epochs, a warm-up of the first tenth: the first epoch that ends has read.
    assert notes(made({"a": Row("memory-grc", settings={"memory": {"warmup": 0.2}})}, documents)) == []
    late = documents | {"training": {"select_from": 0.4}}
    assert notes(made({"a": Row("memory-grc"), "b": Row("jerex-grc")}, late)) == []
    assert notes(planned(find_study("paper"), documents | {"memory": {"warmup": 0}})) == []


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
    cells = [signature(config) for config in found.configs.values()]
    assert len(set(cells)) == len(cells)
    for reason in found.study.left_out.values():
        same = reason.removeprefix("the same cell as ").partition(" under profile")[0]
        assert reason.startswith("cannot be: ") or same in found.configs
    # Nothing that a value does is lost with a combination: each stands in some row.
    stood = {(name, str(value)) for row in found.study.rows.values() for name, value in row.at.items()}
    assert len(stood) >= len(find_axis(one).values) + len(find_axis(other).values) - 1
