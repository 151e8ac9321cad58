"""Made studies for papers: the shipped ones, one of the largest tables that are likely, and a comparison."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.records.record import read_record, write_record
from reports.compare import COMPARISON_TABLES, pair_systems
from reports.compare_inputs import read_system
from reports.sections import make_tables
from reports.tables.layout import Table, Value
from reports.tables.side_by_side import side_by_side_table
from studies.rows import Row
from studies.study import find_study
from tests.reports.annotated_records import make_annotated_study
from tests.reports.memory_use_records import store_memory_use
from tests.reports.records import make_study, part_of, read_data

SHIPPED = ("paper", "ladder", "pooling", "controls")
TITLE = "φ of a row with many words, "
"""Together with two digits 30 characters."""
TYPES = {f"P{number}": f"a relation type with words {number:03}" for number in range(96)}


def make_shipped_study(runs: Path, name: str) -> list[Table]:
    """The tables of a shipped study with made scores."""
    return make_paper_study(runs, name, find_study(name).rows)


def make_wide_study(runs: Path, rows: int) -> list[Table]:
    """The tables of a study of so many rows, with long titles, 96 relation types and wide differences."""
    made = {
        f"row-{number}": Row("memory-grc" if number else "jerex-grc", title=f"{TITLE}{number:02}", group="A group")
        for number in range(rows)
    }
    return make_paper_study(runs, f"wide of {rows}", made)


def make_paper_study(runs: Path, name: str, rows: Mapping[str, Row]) -> list[Table]:
    """The tables of a study with such rows: scores far apart, 96 types, and memory use where a row has a memory."""
    seeds = range(3)
    scores = {
        row: {seed: 55.0 - 3.67 * (number % 13) - (number + 2) * seed % 7 for seed in seeds}
        for number, row in enumerate(rows)
    }
    study = make_study(runs, scores, rows=rows, name=name, profile="paper")
    for number, (row, of_row) in enumerate(scores.items()):
        if rows[row].preset.startswith("memory"):
            store_memory_use(runs, number, {"reading-off": [-22.0, -25.0, -19.0], "mean-read": [-22.0, -25.0, -19.0]})
        for seed, f1 in of_row.items():
            folder = runs / f"{number:012x}" / f"s{seed}"
            record = read_record(folder)
            assert record is not None
            types = {name: part_of(f1 - 7.0 * (seed - 1), gold=2000 - place) for place, name in enumerate(TYPES)}
            record.metrics["test"]["extra"]["by_relation_type"] = types
            changes = {"type_names": {"relation": TYPES}, "seconds": 54321.0 * (1 + seed), "parameters": 110_104_890}
            write_record(folder, msgspec.structs.replace(record, **changes))
    return make_tables(read_data(study, runs))


def make_comparison(runs: Path) -> list[Table]:
    """The tables of a comparison of two rows."""
    make_annotated_study(runs, {"jerex-grc": 1, "memory-grc": 3})
    systems = [read_system(f"made:{row}", runs=runs, split="test", gold=None) for row in ("jerex-grc", "memory-grc")]
    a, b = pair_systems(*systems)
    return [table for make in COMPARISON_TABLES if (table := make(a, b)).lines]


def make_side_by_side(runs: Path) -> list[Table]:
    """The paper's rows on two corpora, every difference marked."""
    rows = find_study("paper").rows
    studies = []
    for profile in ("quick", "minilm"):
        scores = {
            row: {seed: 30.0 + 2 * number + seed + 0.01 * (seed * number % 3) for seed in range(5)}
            for number, row in enumerate(rows)
        }
        study = make_study(runs / profile, scores, rows=rows, name="two", profile=profile)
        studies.append(read_data(study, runs / profile))
    table = side_by_side_table(studies)
    cells = [cell for line in table.lines for cell in line.cells if isinstance(cell, Value)]
    assert sum(cell.mark for cell in cells) == 2 * 4 * 4
    return [table]
