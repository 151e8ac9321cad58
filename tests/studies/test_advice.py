from pathlib import Path

import msgspec
import pytest

from core.provenance import Provenance
from core.readers.docred_writing import write_docred
from core.synthetic import generate
from studies.advice import advice, undeclared
from studies.plan import Plan, plan
from studies.study import Base, Choice, Row, Study, check, expanded, find_study, shipped

CLEAN = Provenance(
    commit="a" * 40,
    uncommitted_changes=False,
    packages={},
    python="3",
    command=[],
    machine="",
    processors=1,
    data={},
)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, dict[str, str | None]]:
    path = tmp_path / "documents.json"
    write_docred(generate(4), path)
    return {"data": {"name": None, "train": str(path), "test": str(path)}}


def planned(rows: dict[str, Row], settings: dict, *, baseline: str = "a", **more: object) -> Plan:
    study = Study(question="?", rows=rows, baseline=baseline, name="mine", **more)
    study = check(expanded(study, where="mine", name="mine"), where="mine")
    return plan(study, profile="quick", runs=Path("runs"), settings=settings)


def test_shipped_studies_need_no_advice_on_a_clean_checkout(settings: dict) -> None:
    for study in shipped().values():
        assert advice(plan(study, profile="quick", runs=Path("runs"), settings=settings), now=CLEAN) == []


@pytest.mark.parametrize(("seeds", "count"), [([0], 1), ([0, 1, 2, 3], 1), ([0, 1, 2, 3, 9], 0)])
def test_fewer_than_five_seeds_are_said(settings: dict, seeds: list[int], count: int) -> None:
    found = plan(find_study("paper"), profile="quick", runs=Path("runs"), seeds=seeds, settings=settings)
    lines = advice(found, now=CLEAN)
    assert len(lines) == count
    assert all(line.startswith(f"{len(seeds)} seed") and "--seeds 5" in line for line in lines)


def test_what_varies_is_all_that_may_differ(settings: dict) -> None:
    rows = {
        "a": Row(preset="jerex-grc"),
        "b": Row(preset="memory-grc"),
        "c": Row(preset="memory-mrc", settings={"samples": {"neg_corefs": 100}}),
        "d": Row(preset="memory-mrc", baseline="c", settings={"samples": {"neg_corefs": 100}, "loss": {"entity": 1}}),
    }
    found = undeclared(planned(rows, settings, varies=("memory", "loss.entity")))
    assert found == {"c": {"model.relation_head": ("grc", "mrc"), "samples.neg_corefs": (40, 100)}}
    # The name of a section covers what is in it, not what begins alike.
    assert undeclared(planned(rows, settings, varies=("mem", "loss", "model", "samples"))).keys() == {"b", "c"}
    [line] = advice(planned(rows, settings, varies=("memory", "loss", "model")), now=CLEAN)
    assert line.startswith("row c differs from a in more than the study says: samples.neg_corefs 100, not 40:")


def test_without_varies_rows_say_what_they_change_and_baselines_do_not(settings: dict) -> None:
    rows = {
        "a": Row(preset="jerex-grc", settings={"training": {"epochs": 9}}),
        "b": Row(preset="memory-mrc", settings={"loss": {"entity": 1.0}}),
        "c": Row(preset="memory-mrc", settings={"training": {"epochs": 9}}),
    }
    assert undeclared(planned(rows, settings)) == {"b": {"training.epochs": (9, 4)}}


def test_without_varies_a_product_says_its_axes_and_not_its_base(settings: dict) -> None:
    found = planned(
        {"a": Row(preset="jerex-grc")},
        settings,
        base=Base(preset="memory-grc", settings={"training": {"epochs": 9}}),
        axes=("warmup", Choice(name="lr", path="training.lr", values=(1e-3, 1e-4))),
    )
    assert len(undeclared(found)) == 14
    assert all(rest == {"training.epochs": (4, 9)} for rest in undeclared(found).values())


def draws(memory: dict, settings: dict) -> list[str]:
    rows = {
        "a": Row(preset="memory-grc", settings={"memory": memory}),
        "b": Row(preset="memory-grc", settings={"memory": memory, "samples": {"neg_mentions": 100}}),
    }
    return advice(planned(rows, settings), now=CLEAN)


def test_negative_mentions_change_what_an_inverse_read_normalises_over(settings: dict) -> None:
    [line] = draws({}, settings)
    assert "samples.neg_mentions (40, 100)" in line
    assert "(a, b)" in line
    for other in ({"inverse_scale": "mean"}, {"places": "tokens"}, {"read_mode": "normal"}, {"warmup": 1}):
        assert draws(other, settings) == []


def test_the_checkout_and_records_of_other_code_are_said(settings: dict) -> None:
    found = plan(find_study("paper"), profile="quick", runs=Path("runs"), settings=settings)
    [line] = advice(found, now=msgspec.structs.replace(CLEAN, uncommitted_changes=True))
    assert line.startswith("the checkout has uncommitted changes: records will name aaaaaaaaaaaa,")
    [line] = advice(found, now=msgspec.structs.replace(CLEAN, commit=None), made_by=["b" * 40])
    assert line.startswith("this code is no git checkout")
    [line] = advice(found, now=CLEAN, made_by=["a" * 40, "b" * 40, None, "b" * 40])
    assert line.startswith("3 finished runs of other code (bbbbbbbbbbbb, no commit) kept")
