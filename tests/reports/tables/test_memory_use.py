"""Memory use table: a sentence for every rule and its edges, and numbers that are missing and never 0."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.records.memory_use import PlaceUse
from reports.frame import load_study
from reports.memory_use import Difference, compare_knock_outs
from reports.tables.latex.environments import to_latex
from reports.tables.layout import Column, Line, Table
from reports.tables.markdown import to_markdown
from reports.tables.memory_use import memory_use_table, write_verdict
from studies.record import StudyRecord
from studies.rows import Row
from tests.reports.memory_use_records import Reads, store_counts, store_memory_use
from tests.reports.records import make_run, make_study, present, read_data

LOSES, GAINS = Difference(-3.1, -4.0, -2.2, 5, 5, 0.9), Difference(1.2, 0.3, 2.1, 5, 0, 0.9)
OPEN, STILL = Difference(-0.1, -0.4, 0.2, 5, 3, 0.8), Difference(0.0, 0.0, 0.0, 5, 0, 0.0)
F1 = "points of strict relation F1"
LOSS = f"3.10 {F1} [−4.00, −2.20], in 5 of 5 seeds"
ROWS = {
    "jerex-grc": Row("jerex-grc", title="JEREX", group="GRC"),
    "memory-grc": Row("memory-grc", title="+ memory", group="GRC"),
    "random": Row("memory-grc", title="+ random", group="GRC"),
}
SEEDS = {row: {0: 38.0, 1: 39.0, 2: 40.0} for row in ROWS}


@pytest.mark.parametrize(
    ("off", "mean", "sentence"),
    [
        (
            LOSES,
            LOSES,
            f"A uses its memory: with all reads replaced by their mean it loses {LOSS}.",
        ),
        (
            OPEN,
            LOSES,
            f"A uses its memory: with all reads replaced by their mean it loses {LOSS}; "
            "with reading off no loss is shown: −0.10 [−0.40, +0.20].",
        ),
        (
            GAINS,
            LOSES,
            f"A uses its memory: with all reads replaced by their mean it loses {LOSS}; yet "
            "it is better with reading off: +1.20 [+0.30, +2.10].",
        ),
        (
            LOSES,
            OPEN,
            f"A uses only the scale: with reading off it loses {LOSS}; with the mean read −0.10 [−0.40, +0.20].",
        ),
        (
            LOSES,
            GAINS,
            f"A uses only the scale: with reading off it loses {LOSS}; with the mean "
            "read it is better +1.20 [+0.30, +2.10].",
        ),
        (
            OPEN,
            STILL,
            f"A: no use shown: reading off −0.10 [−0.40, +0.20], mean read 0.00 [0.00, 0.00] {F1}; 5 seeds could have "
            "seen 0.80.",
        ),
        (
            STILL,
            STILL,
            f"A: no use shown: reading off 0.00 [0.00, 0.00], mean read 0.00 [0.00, 0.00] {F1}; the score of every "
            "seed stays as it is.",
        ),
        (
            Difference(-0.1, -0.4, 0.2, 2, 2, 0.0),
            STILL,
            f"A: no use shown: reading off −0.10 [−0.40, +0.20], mean read 0.00 [0.00, 0.00] {F1}; 2 seeds could have "
            "seen 0.00.",
        ),
        (
            GAINS,
            OPEN,
            f"A is better without reading, and no use is shown: reading off +1.20 [+0.30, +2.10], mean read −0.10 "
            f"[−0.40, +0.20] {F1}.",
        ),
        (
            OPEN,
            GAINS,
            "A is better with all reads replaced by their mean, and no use is shown: reading off −0.10 [−0.40, +0.20], "
            f"mean read +1.20 [+0.30, +2.10] {F1}.",
        ),
        (
            Difference(-3.1, n=1, lower=1),
            Difference(0.0, n=1),
            f"A: one seed only: reading off −3.10, mean read 0.00 {F1}: no statement about other seeds.",
        ),
        (
            LOSES,
            Difference(),
            f"A: too few seeds with a knock-out: reading off −3.10 [−4.00, −2.20], mean read – {F1}: no statement "
            "about other seeds.",
        ),
        (Difference(), Difference(), "A: no seed has a knock-out: no statement."),
    ],
)
def test_every_rule_has_its_sentence(off: Difference, mean: Difference, sentence: str) -> None:
    assert write_verdict("A", "its memory", "relation_strict", off, mean) == sentence


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    made = make_study(tmp_path, SEEDS, rows=ROWS)
    store_memory_use(tmp_path, 1, {"reading-off": [-3.0, -3.2, -3.4], "mean-read": [-0.1, 0.0, 0.1]})
    reads: Reads = {"test": {"mentions": PlaceUse(change_gold=0.03)}}
    lost = {"reading-off": [-3.0, -3.2, -3.4], "mean-read": [-3.0, -3.2, -3.4]}
    store_memory_use(tmp_path, 2, lost, reads=reads, matrix="random")
    return made


def test_the_table_has_a_line_for_each_row_that_reads_and_what_is_missing_is_a_dash(
    study: StudyRecord, tmp_path: Path
) -> None:
    table = present(memory_use_table(read_data(study, tmp_path)))
    lines = [
        [column.write(cell) for column, cell in zip(table.columns, line.cells, strict=True)] for line in table.lines
    ]
    assert [line[:5] for line in lines] == [
        ["+ memory", "2.0 ± 0.0", "62.0 ± 0.0", "0.70 ± 0.00", "0.70"],
        ["+ random", "–", "3.0 ± 0.0", "–", "–"],
    ]
    assert lines[0][5:] == ["−3.20 [−3.70, −2.70]", "0.00 [−0.25, +0.25]", "uses only the scale"]
    assert lines[1][7] == "uses its random matrix"
    kept = table.data.set_index(["row", "measure"])
    assert kept.at[("memory-grc", "test/smallest_entropy"), "mean"] == pytest.approx(0.7)
    assert kept.at[("memory-grc", "reading-off/entity"), "mean"] == pytest.approx(-2.2)
    assert ("random", "test/smallest_entropy") not in kept.index
    assert "nan" not in to_markdown(table) + to_latex(table, "made")


def test_sentences_stand_first_and_say_where_reading_changes_its_meaning(study: StudyRecord, tmp_path: Path) -> None:
    table = present(memory_use_table(read_data(study, tmp_path)))
    assert [finding.partition(": ")[0] for finding in table.findings] == [
        "+ memory (GRC) uses only the scale",
        "+ memory (GRC)",
        "+ random (GRC) uses its random matrix",
    ]
    assert table.findings[1].endswith(
        "a gold mention's factor is .54 among training's candidates and .38 among inference's (ratio .70)."
    )
    text = to_markdown(table)
    assert text.index("- + memory (GRC) uses only the scale") < text.index("| System")


@pytest.mark.parametrize(("factor", "said"), [(0.91, 0), (1.09, 0), (0.89, 1), (1.11, 1)])
def test_a_ratio_near_1_is_not_worth_a_sentence(tmp_path: Path, factor: float, said: int) -> None:
    study = make_study(tmp_path, SEEDS, rows=ROWS)
    reads: Reads = {"validation": {"mentions": PlaceUse(factor=factor, factor_training=1.0)}}
    store_memory_use(tmp_path, 1, {}, reads=reads)
    table = present(memory_use_table(read_data(study, tmp_path)))
    assert len(table.findings) == said
    # Without any knock-out nothing is said of them.
    assert [column.key for column in table.columns] == ["row", "tokens", "mentions", "ratio", "entropy"]
    assert "nock" not in to_markdown(table)


def test_validation_says_nothing_about_knock_outs(study: StudyRecord, tmp_path: Path) -> None:
    data = load_study(study, tmp_path, split="validation")
    table = present(memory_use_table(replace(data, knock_outs=compare_knock_outs(data))))
    assert [finding.partition(": ")[0] for finding in table.findings] == ["+ memory (GRC)"]
    assert "nock" not in to_markdown(table)
    # The reads are those of validation, whose smallest entropy is another.
    assert [table.columns[4].write(line.cells[4]) for line in table.lines] == ["0.90", "–"]


def test_seeds_without_a_knock_out_are_named_with_the_reason(study: StudyRecord, tmp_path: Path) -> None:
    make_run(tmp_path, f"{1:012x}", 2, f1=40.0, preset="memory-grc", chosen_reading=0.0)
    make_run(tmp_path, f"{1:012x}", 1, f1=40.0, preset="memory-grc")
    table = present(memory_use_table(read_data(study, tmp_path)))
    assert set(table.notes[:2]) == {
        "+ memory (GRC): no knock-out of seed 2: chosen before memory was read.",
        "+ memory (GRC): no knock-out of seed 1: not computed.",
    }
    assert table.findings[0].startswith("+ memory (GRC): one seed only: reading off −3.00")


def test_caption_and_notes_say_which_interval_decides(study: StudyRecord, tmp_path: Path) -> None:
    for seed in range(3):
        for name in ("test", "test.reading-off", "test.mean-read"):
            store_counts(tmp_path, 2, seed, name, [5, 6, 7])
    table = present(memory_use_table(read_data(study, tmp_path)))
    assert "over documents and seeds (hierarchical paired bootstrap, 10,000 resamples), or, for rows that" in " ".join(
        table.caption
    )
    assert table.notes == [
        f"No interval over documents for + memory (GRC): documents.{name}.json is not there for seed 0."
        for name in ("test.reading-off", "test.mean-read")
    ]
    # Equal counts decide for the other row, though its record says that it loses.
    assert table.lines[1].cells[-1] == "no use shown"


def test_a_study_whose_runs_were_not_measured_has_no_such_table(tmp_path: Path) -> None:
    assert memory_use_table(read_data(make_study(tmp_path, SEEDS, rows=ROWS), tmp_path)) is None


def test_of_a_huge_study_the_first_sentences_are_printed() -> None:
    table = Table("t", "T", [Column("a", "A")], [Line([str(n)]) for n in range(4)], findings=list("abcd"))
    assert table.first_lines(2).findings == ["a", "b"]
