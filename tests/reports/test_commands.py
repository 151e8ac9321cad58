"""`engram report` as a user meets it: exit codes, files, a half-done study, and no torch."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pandas as pd
import pytest

import engram
from core.records.record import read_record, write_record
from reports.frame import load_study
from studies.rows import Row
from tests.reports.memory_use_records import store_memory_use
from tests.reports.records import make_run, make_study

ROOT = Path(__file__).resolve().parents[2]
HALF = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: None}}


def test_the_table_goes_to_stdout_and_three_files_beside_the_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path, HALF)
    assert engram.main(["report", "made", "--runs", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / "studies" / "made@paper" / "report"
    assert out.startswith((folder / "answer.md").read_text() + "\n" + (folder / "table.md").read_text())
    assert "- Not known: JEREX + memory (GRC) is 2.0 points above JEREX in strict relation F1 on the one seed" in out
    assert out.splitlines()[-1] == str(folder / "index.html")
    assert "**40.00**" in out
    assert "000000000001-s1 was not started" in err
    written = err.split(f"written to {folder}: ")[1].strip().split(", ")
    assert {"table.md", "table.tex", "table.csv", "comparisons.tex", "cost.csv", "runs.csv"} <= set(written)
    assert sorted(written) == sorted(path.name for path in folder.iterdir())
    kept = pd.read_csv(folder / "runs.csv")
    assert kept["f1"].tolist() == pytest.approx(load_study(study, tmp_path).frame["f1"].tolist(), nan_ok=True)


def test_the_printed_report_says_whether_memory_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 40.5}})
    store_memory_use(tmp_path, 1, {"reading-off": [-3.0, -3.2], "mean-read": [-3.0, -3.2]})
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--documents", "0"]) == 0
    out, err = capsys.readouterr()
    assert "### made@paper: does it use its memory?\n\n- JEREX + memory (GRC) uses its memory: " in out
    assert {"memory-use.md", "memory-use.tex", "memory-use.csv", "memory-use.pdf"} <= set(err.strip().split(", "))


def test_figures_have_the_width_and_face_that_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 41.0}})
    arguments = ["report", "made", "--runs", str(tmp_path), "--out", str(tmp_path / "out"), "--documents", "0"]
    assert engram.main([*arguments, "--figure-width", "3.5", "--font", "serif"]) == 0
    pdf, tex = (tmp_path / "out" / "forest.pdf").read_bytes(), (tmp_path / "out" / "figure-forest.tex").read_text()
    assert b"STIXGeneral" in pdf
    assert b"DejaVu" not in pdf
    assert b"/MediaBox [ 0 0 252 " in pdf
    assert r"\begin{figure}" in tex
    assert "width=\\ifdim 3.50in>" in tex
    assert r"\label{fig:made-forest}" in tex
    capsys.readouterr()
    assert engram.main([*arguments, "--figure-width", "30"]) == 2
    assert "--figure-width 30: a column of 2.5 to 7 inches can be drawn" in capsys.readouterr().err


def test_labels_name_the_study_and_its_profile_where_there_are_several(tmp_path: Path) -> None:
    for profile, label in (("paper", "made"), ("quick", "made-quick")):
        make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}}, profile=profile)
        out = tmp_path / profile
        arguments = ["--runs", str(tmp_path), "--profile", profile, "--out", str(out), "--paper", "one-column"]
        assert engram.main(["report", "made", *arguments]) == 0
        assert rf"\label{{tab:{label}-results}}" in (out / "table.tex").read_text()
        assert "±: sample standard deviation over seeds".replace("±", r"$\pm$") in (out / "notes.tex").read_text()


def test_a_title_that_latex_cannot_print_is_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_study(tmp_path, {"jerex-grc": {0: 38.0}}, rows={"jerex-grc": Row("jerex-grc", title="JEREX 記")})
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("engram: the title 'JEREX 記' has '記' (CJK UNIFIED IDEOGRAPH-8A18)")
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_out_and_split_are_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path, HALF)
    arguments = ["report", "made@paper", "--runs", str(tmp_path), "--out", str(tmp_path / "a" / "b")]
    assert engram.main([*arguments, "--split", "validation"]) == 0
    assert "validation split" in capsys.readouterr().out
    assert (tmp_path / "a" / "b" / "table.tex").is_file()


def test_a_report_of_validation_leaves_that_of_test_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path, HALF)
    arguments = ["report", "made", "--runs", str(tmp_path), "--documents", "0"]
    assert engram.main(arguments) == 0
    folder = tmp_path / "studies" / "made@paper"
    on_test = (folder / "report" / "table.md").read_text()
    assert engram.main([*arguments, "--split", "validation"]) == 0
    assert (folder / "report" / "table.md").read_text() == on_test
    assert "validation split" in (folder / "report-validation" / "table.md").read_text()


def test_a_reader_that_stops_reading_finds_every_file(tmp_path: Path) -> None:
    study = make_study(tmp_path, HALF)
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "engram", "report", "made", "--runs", str(tmp_path), "--documents", "0"]
    done = subprocess.run(command, cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert done.returncode == 0
    written = {path.name for path in (tmp_path / "studies" / study.label / "report").iterdir()}
    assert {"index.html", "table.csv", "forest.pdf"} <= written


def test_titles_of_mathematics_and_formulas_are_text_everywhere(tmp_path: Path) -> None:
    formula, dollars = "=HYPERLINK(A1)", "$100 & 50% of $x^{ @SUM"
    rows = {"jerex-grc": Row("jerex-grc", title=formula, group="@g"), "memory-grc": Row("memory-grc", title=dollars)}
    make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 40.5}}, rows=rows)
    out = tmp_path / "out"
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--out", str(out), "--documents", "0"]) == 0
    for path in out.glob("*.csv"):
        with path.open(newline="") as file:
            cells = [cell for line in csv.reader(file) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "@"))], path
        # A signed number is no formula, and stays one.
        assert all(float(cell) is not None for cell in cells if cell.startswith(("-", "+"))), path
    assert f"'{formula}" in (out / "table.csv").read_text()
    page = (out / "index.html").read_text()
    assert "100 &amp; 50% of $x^{ @SUM" in page


def test_a_study_without_a_finished_run_is_a_plain_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path, {"jerex-grc": {0: None, 1: None}})
    make_run(tmp_path, f"{0:012x}", 1, status="failed", error="boom")
    assert engram.main(["report", "made", "--runs", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("engram: no run of study made@paper is finished yet (1 waiting, 1 failed)")


def test_a_study_that_was_never_run_names_those_that_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path, HALF)
    assert engram.main(["report", "mode", "--runs", str(tmp_path)]) == 2
    assert "made@paper" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "hint"), [("made@papr", "Did you mean made@paper?"), ("mde", "Did you mean made?"), ("other@quick", None)]
)
def test_a_suggestion_is_one_near_study_that_was_run(
    tmp_path: Path, name: str, hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    make_study(tmp_path, HALF)
    assert engram.main(["report", name, "--runs", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"engram: study {name!r} was not run in {tmp_path} (run there: made@paper).")
    assert (hint in err) if hint else "Did you mean" not in err
    assert f"study run {name}" not in err


def test_a_damaged_study_record_is_a_line_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path, HALF)
    path = tmp_path / "studies" / study.label / "study.json"
    whole = path.read_text()
    for before, after in (
        ('"name": "made"', '"name": "../../../evil"'),
        ('"baseline": "jerex-grc"', '"baseline": "gone"'),
        ('"row": "memory-grc"', '"row": "gone"'),
        ('"signature": "000000000001"', '"signature": "../x"'),
        ('"metric": "relation_strict"', '"metric": "x"'),
        (whole, "[" * 5_000),
        (whole, "\xff"),
    ):
        assert before in whole, before
        path.write_text(whole.replace(before, after), encoding="latin-1")
        for command in ("report", "study status"):
            assert engram.main([*command.split(), "made", "--runs", str(tmp_path)]) == 2
            err = capsys.readouterr().err
            assert err.startswith(f"engram: {path} is damaged: "), err
            assert "delete it, `engram study run` writes it again" in err.splitlines()[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000000", "000000000001", "studies"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_study(tmp_path, HALF)
    (tmp_path / "taken").write_text("")
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--out", str(tmp_path / "taken" / "x")]) == 2
    assert "--out DIR" in capsys.readouterr().err


def test_a_report_loads_no_torch(tmp_path: Path) -> None:
    make_study(tmp_path, HALF)
    program = (
        "import sys, engram; code = engram.main(sys.argv[1:]); "
        "sys.exit(code or ', '.join({'torch', 'transformers', 'accelerate'} & sys.modules.keys()) or 0)"
    )
    command = [sys.executable, "-c", program, "report", "made", "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_rows_that_differ_in_several_settings_are_told_in_print_and_on_the_page(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 40.5}})
    for seed in (0, 1):
        folder = tmp_path / study.row_runs[1].signature / f"s{seed}"
        record = read_record(folder)
        assert record is not None
        training = record.config["training"] | {"lr": 0.5}
        write_record(folder, msgspec.structs.replace(record, config=record.config | {"training": training}))
    out = tmp_path / "out"
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--out", str(out), "--documents", "0"]) == 0
    told = "memory-grc differs from jerex-grc in 2 settings: memory, training.lr; which"
    assert told in (out / "notes.tex").read_text().replace(r"\allowbreak{}", "")
    assert told in (out / "index.html").read_text()
