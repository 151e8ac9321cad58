"""Tables before they are printed: how numbers are written, and what is left out of a long table."""

import math

import pandas as pd

from reports.tables.latex.environments import to_latex
from reports.tables.layout import Column, Line, Table, Value


def test_signed_numbers_intervals_and_thousands() -> None:
    signed = Column("d", "Δ", "number", signed=True)
    assert [signed.write(Value(number)) for number in (0.256, -0.256, -0.001)] == ["+0.26", "−0.26", "0.00"]
    interval = Column("i", "95 %", "interval", signed=True)
    assert interval.write(Value(1.0, low=-0.5, high=2.5)) == "[−0.50, +2.50]"
    assert interval.write(Value(1.0)) == "–"
    p = Column("p", "p", "p", decimals=3)
    assert [p.write(Value(number)) for number in (0.0004, 0.001, 0.0625, math.nan)] == ["<0.001", "0.001", "0.062", "–"]
    assert "\n$<$0.001 " in to_latex(Table("t", "T", [p], [Line([Value(0.0004)]), Line([Value(0.5)])]), "made")
    assert Column("p", "Parameters", "number", decimals=0).write(Value(1_234_567)) == "1 234 567"


def test_a_huge_table_is_cut_for_print_and_whole_in_its_data() -> None:
    lines = [Line([str(number)]) for number in range(10)]
    table = Table("t", "T", [Column("a", "A")], lines, (), (), pd.DataFrame({"a": range(10)}))
    short = table.first_lines(4)
    assert [line.cells for line in short.lines] == [["0"], ["1"], ["2"], ["3"]]
    assert short.notes == ["The first 4 of 10 lines; every number is in t.csv."]
    assert len(short.data) == 10
    assert table.first_lines(10) is table


def test_a_difference_stands_with_its_interval() -> None:
    column = Column("d", "Δ", "difference", signed=True)
    value = Value(0.26, low=-0.05, high=0.47)
    assert column.write(value) == "+0.26 [−0.05, +0.47]"
    assert [column.write(Value()), column.write(Value(0.26))] == ["–", "+0.26 –"]
    assert r"+0.26 & [$-$0.05, +0.47] \\" in to_latex(Table("t", "T", [column], [Line([value])]), "made")
