import shlex
from pathlib import Path

import msgspec
import pytest

from core.errors import UserError
from core.presets import from_yaml
from core.provenance import gather
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
    assert "paper          4 rows  Do two writable memories" in capsys.readouterr().out
    assert main(["study", "show", "paper"]) == 0
    out = capsys.readouterr().out
    assert "baseline jerex-grc; seeds 0, 1, 2, 3, 4" in out
    assert "memory-mrc  MRC, JEREX + memory: preset memory-mrc; compared with jerex-mrc\n" in out


def test_show_explains_axes_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "show", "memory-size"]) == 0
    out = capsys.readouterr().out
    assert "axis slot-width (memory.slot_width): 32, 128, 256, H, 768, 1536\n  Width of the slots of both" in out
    assert "rows may differ from their baseline in memory.slot_width alone" in out
    (tmp_path / "mine.yaml").write_text(
        "{question: '?', baseline: read-mode=write-only+ramp=off, base: {preset: memory-grc}, axes: [read-mode, ramp]}"
    )
    assert main(["study", "show", str(tmp_path / "mine.yaml")]) == 0
    [left_out] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out")]
    assert left_out == ("left out: read-mode=write-only+ramp=on: the same cell as read-mode=write-only+ramp=off")


def test_long_seeds_keep_their_columns_apart(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "plan", "warmup", "--seeds", "0,123456", *flags]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert {(line[0].partition("-s")[2], *line[2:]) for line in lines} == {
        (seed, "seed", seed, "waiting") for seed in ("0", "123456")
    }


def test_plan_warns_and_marks_the_records_of_other_code(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = gather({})
    monkeypatch.setattr("studies.commands.gather", lambda data: msgspec.structs.replace(made, commit="b" * 40))
    assert main(["study", "plan", "warmup", "--seeds", "2", *flags]) == 0
    ids = [line.split()[0] for line in capsys.readouterr().out.splitlines()[:-1]]
    for number, commit in enumerate(["b" * 40, "c" * 40]):
        folder = tmp_path / "runs" / ids[number].split("-")[0] / "s0"
        folder.mkdir(parents=True)
        provenance = msgspec.structs.replace(made, commit=commit)
        write_record(folder, RunRecord(run_id=ids[number], status="finished", config={}, provenance=provenance))
    assert main(["study", "plan", "warmup", "--seeds", "2", *flags]) == 0
    told = capsys.readouterr()
    ends = [line.partition("seed ")[2].split(maxsplit=1)[1] for line in told.out.splitlines()[:3]]
    assert ends == ["finished", "finished *", "waiting"]
    assert "engram: warning: 2 seeds a row" in told.err
    assert "engram: warning: 1 finished run of other code (cccccccccccc) kept" in told.err


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
    assert "seed 0  finished" in out.splitlines()[0]
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
