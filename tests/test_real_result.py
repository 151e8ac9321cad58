"""The kept records of the real result, and the README's block that is made of them."""

import pytest
from PIL import Image

from reports.tables.layout import MARK
from tests.real_result import (
    KEPT,
    LATEX,
    ON_AMD,
    ON_INTEL,
    PICTURE,
    README,
    RESULTS,
    build_block,
    build_latex,
    find_study,
    finished,
    load_results,
    renew,
    strict_f1,
)

KEPT_FILES = [path for path in RESULTS.rglob("*") if path.is_file()] if RESULTS.is_dir() else []
needs_results = pytest.mark.skipif(not KEPT_FILES, reason="no run of the real result has finished yet")


@needs_results
def test_the_readme_has_the_block_that_the_kept_records_give() -> None:
    data, text = load_results(), README.read_text(encoding="utf-8")
    assert renew(text, None if data is None else build_block(data)) == text


@pytest.mark.skipif(not PICTURE.exists(), reason="LaTeX was missing where the results were kept")
def test_the_picture_shows_the_table_that_the_kept_records_give() -> None:
    data = load_results()
    assert data is not None
    with Image.open(PICTURE) as picture:
        assert picture.info[LATEX] == build_latex(data)
    table = [line for line in build_block(data).splitlines() if line.startswith("|")]
    assert build_latex(data).count(r"^{\dagger}") == "".join(table).count(MARK)


@needs_results
def test_kept_runs_hold_no_weights_and_no_text_and_stay_below_20_mb() -> None:
    in_runs = [path for path in KEPT_FILES if "studies" not in path.relative_to(RESULTS).parts]
    assert in_runs
    assert [path for path in in_runs if not any(path.match(pattern) for pattern in KEPT)] == []
    assert sum(path.stat().st_size for path in KEPT_FILES) < 20e6


@needs_results
def test_all_kept_runs_are_of_one_commit_and_differ_in_nothing_but_memory_head_and_seed() -> None:
    records = finished(find_study(RESULTS), RESULTS)
    provenances = [record.provenance for record in records.values()]
    assert {(one.commit, one.uncommitted_changes) for one in provenances if one is not None} == {
        (provenances[0].commit if provenances[0] else None, False)
    }
    shared = ("data", "encoder", "training", "runtime")
    assert len({repr([record.config[part] for part in shared]) for record in records.values()}) == 1


@needs_results
def test_the_rows_of_a_group_share_the_machine_in_every_seed() -> None:
    machines: dict[tuple[str, int], set[str]] = {}
    for record in finished(find_study(RESULTS), RESULTS).values():
        assert record.provenance is not None
        key = record.config["model"]["relation_head"], record.config["seed"]
        machines.setdefault(key, set()).add(record.provenance.machine)
    assert len(machines) == 10
    assert {len(names) for names in machines.values()} == {1}
    assert len(set.union(*machines.values())) == 2


@needs_results
def test_which_record_of_the_run_computed_twice_counts_decides_whether_residual_is_higher_in_all_seeds() -> None:
    records = finished(find_study(RESULTS), RESULTS)
    scores = {key: record.metrics["test"]["relation_strict"]["f1"] for key, record in records.items()}
    assert all(scores["residual-mrc", seed] > scores["jerex-mrc", seed] for seed in range(5))
    assert strict_f1(ON_AMD) == scores["jerex-mrc", 2] < scores["residual-mrc", 2] < strict_f1(ON_INTEL)


@needs_results
def test_epochs_are_chosen_on_validation_and_test_is_scored_once_for_the_chosen_one() -> None:
    for record in finished(find_study(RESULTS), RESULTS).values():
        folder = RESULTS / record.run_id.replace("-s", "/s")
        history = (folder / "history.jsonl").read_text(encoding="utf-8")
        assert '"test' not in history
        assert record.chosen_epoch
        assert {"test", "validation"} <= record.metrics.keys()


def test_renewing_changes_nothing_outside_the_markers() -> None:
    text = README.read_text(encoding="utf-8")
    renewed = renew(text, "a line")
    assert "a line" in renewed
    assert renew(renewed, "another") == renew(text, "another")
    assert renew(text, None) == text
