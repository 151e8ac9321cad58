"""Main table and ablation table: hand-computed means, honest gaps, the same numbers in Markdown, LaTeX and CSV."""

import io
import math
from pathlib import Path

import pandas as pd
import pytest

from reports.tables.latex.environments import to_latex
from reports.tables.layout import Table, Value
from reports.tables.markdown import to_markdown
from reports.tables.results import ablation_table, main_table
from studies.rows import Row
from tests.reports.records import PAPER, make_study, present, read_data

SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0},
    "memory-grc": {0: 38.5, 1: None, 2: 40.5},
    "jerex-mrc": {0: 41.0, 1: None, 2: None},
    "memory-mrc": {0: None, 1: None, 2: None},
}
LADDER = {
    "jerex": Row("jerex-grc", title="JEREX"),
    "heads": Row("memory-grc", {"memory": {"read_mode": "none"}}, title="+ heads"),
    "read": Row("memory-grc", title="+ read", baseline="heads"),
    "both": Row("memory-grc", title="+ both", baseline="read"),
}
LADDER_SEEDS = {
    "jerex": {0: 38.0, 1: 39.0},
    "heads": {0: 40.0, 1: 40.0},
    "read": {0: 39.0, 1: 42.0},
    "both": {0: 39.0, 1: 42.0},
}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    study = make_study(tmp_path, SEEDS, profile="minilm")
    return main_table(read_data(study, tmp_path))


def rows_of(markdown: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]


def test_markdown_shows_mean_and_sample_std_by_hand(table: Table) -> None:
    rows = rows_of(to_markdown(table))
    assert rows[0] == ["Group", "System", "Rel.", "Ent.", "Coref.", "Men.", "n"]
    # 38, 39, 40: sample std 1 (population .816); 38.5 and 40.5: mean 39.5, std sqrt(2).
    assert rows[2] == ["GRC", "JEREX", "39.00 ± 1.00", "69.00 ± 1.00", "74.00 ± 1.00", "89.00 ± 1.00", "3"]
    assert rows[3][1:4] == ["JEREX + memory", "**39.50** ± 1.41†", "**69.50** ± 1.41†"]
    assert rows[3][-1] == "2/3"


def test_one_seed_has_no_std_and_no_seed_no_number(table: Table) -> None:
    rows = rows_of(to_markdown(table))
    assert rows[4] == ["MRC", "JEREX", "41.00", "71.00", "76.00", "91.00", "1/3"]
    assert rows[5] == ["", "JEREX + memory", "–", "–", "–", "–", "0/3"]
    assert "nan" not in to_markdown(table) + to_latex(table, "made")


def test_equal_prints_are_both_best_where_another_is_lower_and_the_only_row_is_not(tmp_path: Path) -> None:
    tied = {"jerex-grc": {0: 38.001}, "memory-grc": {0: 38.004}}
    rows = {**PAPER, "lower": Row("jerex-grc", title="lower", group="GRC")}
    for more, written in (
        ({"jerex-mrc": {0: 38.2}}, ["38.00", "38.00", "38.20"]),
        (
            {"lower": {0: 37.0}},
            ["**38.00**", "**38.00**", "37.00"],
        ),
    ):
        study = make_study(tmp_path, {**tied, **more}, rows=rows, profile="minilm")
        table = main_table(read_data(study, tmp_path))
        assert [row[2] for row in rows_of(to_markdown(table))[2:]] == written


def test_the_caption_says_metric_data_seeds_and_what_the_sign_means(table: Table) -> None:
    said = " ".join(table.caption)
    for part in ("F1 in percent", "profile minilm, test split, 40 documents", "Seeds 0–2", "ddof 1", "strict"):
        assert part in said
    assert "JEREX + memory (MRC): without a score: seeds 0–2 waiting." in table.notes


def test_the_csv_holds_the_unrounded_numbers_their_seeds_and_runs(table: Table) -> None:
    frame = pd.read_csv(io.StringIO(table.data.to_csv(index=False)), dtype={"seeds": str}).set_index(["row", "task"])
    line = frame.loc[("memory-grc", "relation_strict")]
    assert line["mean"] == 39.5
    assert line["std"] == pytest.approx(math.sqrt(2), abs=1e-12)
    assert (line["n"], line["seeds"], line["runs"]) == (2, "0 2", "000000000001-s0 000000000001-s2")
    assert math.isnan(frame.loc[("jerex-mrc", "coref"), "std"])
    assert math.isnan(frame.loc[("memory-mrc", "coref"), "mean"])


def test_latex_parts_groups_by_a_rule_and_has_n_where_it_differs(table: Table) -> None:
    lines = to_latex(table, "made").splitlines()
    assert r"JEREX & 39.00 & $\pm$1.00 & 69.00 & $\pm$1.00 & 74.00 & $\pm$1.00 & 89.00 & $\pm$1.00 & 3 \\" in lines
    best = next(line for line in lines if "39.50" in line)
    assert best.startswith(r"JEREX + memory & \textbf{39.50} & $\pm$1.41\rlap{$^{\dagger}$} &")
    assert best.endswith(r"& 2/3 \\")
    assert lines[lines.index(best) + 1 : lines.index(best) + 3] == [
        r"\midrule",
        r"\multicolumn{10}{@{}l@{}}{\itshape MRC} \\",
    ]
    assert sum(line == r"\midrule" for line in lines) == 2
    assert any("JEREX + memory & -- &  & --" in line for line in lines)
    assert any("& 41.00 &  &" in line for line in lines)


def test_titles_with_characters_of_latex_and_markdown_are_escaped(tmp_path: Path) -> None:
    rows = {"jerex-grc": Row("jerex-grc", title=r"a_b 50% & {c} #1 $x$ ~^\ | *d*")}
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0}}, rows=rows)
    table = main_table(read_data(study, tmp_path))
    assert rows_of(to_markdown(table).replace("\\|", "PIPE"))[2][0] == r"a\_b 50% & {c} #1 $x$ ~^\\ PIPE \*d\*"
    escaped = r"a\_b 50\% \& \{c\} \#1 \$x\$ \textasciitilde{}\textasciicircum{}\textbackslash{} $|$ *d*"
    assert f"{escaped} & 38.00 &  &" in to_latex(table, "made")


def test_an_ablation_compares_each_row_with_the_row_that_it_names(tmp_path: Path) -> None:
    study = make_study(tmp_path, LADDER_SEEDS, rows=LADDER)
    table = present(ablation_table(read_data(study, tmp_path)))
    jerex, _, read, _ = table.lines
    assert [line.cells[1] for line in table.lines] == ["–", "JEREX", "+ heads", "+ read"]
    assert [cell.missing for cell in jerex.cells[3:] if isinstance(cell, Value)] == [True] * 4
    # Differences to `heads`: -1 and 2, mean .5, std 2.12; t(1; .975) = 12.706.
    assert isinstance(read.cells[3], Value)
    assert (read.cells[3].number, round(read.cells[3].low, 2)) == (0.5, -18.56)
    assert "+1.50 [−4.85, +7.85]" in to_markdown(table)


def test_an_ablation_has_a_line_per_baseline_of_a_row(tmp_path: Path) -> None:
    rows = LADDER | {"both": Row("memory-grc", title="+ both", baseline=("jerex", "heads"))}
    table = present(ablation_table(read_data(make_study(tmp_path, LADDER_SEEDS, rows=rows), tmp_path)))
    assert [line.cells[:2] for line in table.lines][-2:] == [["+ both", "JEREX"], ["+ both", "+ heads"]]
    deltas = [line.cells[3] for line in table.lines[-2:]]
    assert [round(delta.number, 2) for delta in deltas if isinstance(delta, Value)] == [2.0, 0.5]


def test_baselines_of_another_group_are_named_with_it(tmp_path: Path) -> None:
    rows = {
        "a": Row("jerex-grc", title="JEREX", group="matched"),
        "b": Row("jerex-grc", title="JEREX", group="100 pairs"),
        "c": Row("memory-grc", title="memory", group="100 pairs", baseline="b"),
        "d": Row("memory-mrc", title="memory", group="100 pairs", baseline="b"),
    }
    study = make_study(tmp_path, {row: {0: 38.0, 1: 39.0} for row in rows}, rows=rows)
    table = present(ablation_table(read_data(study, tmp_path)))
    assert [line.cells[1] for line in table.lines] == ["–", "JEREX (matched)", "JEREX", "JEREX"]
