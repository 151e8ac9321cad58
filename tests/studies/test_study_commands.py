import shlex
from pathlib import Path

import pytest

from core.errors import UserError
from core.presets import from_yaml
from core.readers.docred_writing import write_docred
from core.record import CONFIG, RunRecord, write_record
from core.synthetic import generate
from engram import main
from studies.arguments import seeds_of
from studies.study_record import find_study_record


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    write_docred(generate(3), tmp_path / "documents.json")
    return ["--data.name", "none", "--data.train", str(tmp_path / "documents.json"), "--runs", str(tmp_path / "runs")]


def test_list_and_show_tell_the_question_and_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "list"]) == 0
    assert "paper           4 rows  Do two writable memories" in capsys.readouterr().out
    assert main(["study", "show", "paper"]) == 0
    out = capsys.readouterr().out
    assert "baseline jerex-grc; seeds 0, 1, 2, 3, 4" in out
    assert "memory-mrc      MRC  JEREX + memory: preset memory-mrc   compared with jerex-mrc" in out


def test_plan_names_every_run_and_what_the_rest_takes(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "plan", "paper", "--seeds", "0,4", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert lines[-1] == "8 runs, 0 finished"
    first = lines[0].split()[0]
    folder = tmp_path / "runs" / first.split("-")[0] / "s0"
    folder.mkdir(parents=True)
    write_record(folder, RunRecord(run_id=first, status="finished", config={}, seconds=60.0, peak_memory_mib=500.0))
    assert main(["study", "plan", "paper", "--seeds", "0,4", *flags]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith("finished")
    assert "8 runs, 1 finished; the 7 others would take about 7 minutes" in out


def test_plan_commands_make_folders_that_any_scheduler_can_compute(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "plan", "paper", "--seeds", "1", "--commands", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    folders = [Path(shlex.split(line)[-1]) for line in lines]
    assert [from_yaml(folder / CONFIG).preset for folder in folders] == [
        "jerex-grc",
        "memory-grc",
        "jerex-mrc",
        "memory-mrc",
    ]
    assert all(shlex.split(line)[1:3] == ["-m", "core.run"] for line in lines)
    assert len(find_study_record("paper", tmp_path / "runs").cells) == 4


@pytest.mark.parametrize(("text", "seeds"), [("3", (0, 1, 2)), ("0,3,7", (0, 3, 7)), ("4,", (4,))])
def test_seeds_are_counted_or_named(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "1,1", "1,x", "five", ",", "1.5"])
def test_wrong_seeds_are_one_line(text: str, flags: list[str]) -> None:
    from studies.arguments import parse, parser

    with pytest.raises(UserError, match="argument --seeds"):
        parse(parser("engram study plan", ""), ["paper", f"--seeds={text}", *flags])


def test_a_profile_without_documents_says_how_to_give_them() -> None:
    from studies.arguments import parse, parser

    with pytest.raises(UserError, match=r"profile minilm names no documents: give --data.train"):
        parse(parser("engram study plan", ""), ["paper", "--profile", "minilm"])
