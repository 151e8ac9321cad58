import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from core.config.presets import from_yaml
from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.errors import UserError
from core.records.provenance import collect_provenance
from core.records.record import CONFIG, RunRecord, write_record
from engram import main
from studies.arguments import EPILOG, parse_seeds
from studies.record import find_study_record
from studies.study import read_study


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    write_docred(generate(3), tmp_path / "documents.json")
    return ["--data.name", "none", "--data.train", str(tmp_path / "documents.json"), "--runs", str(tmp_path / "runs")]


def runs_in(out: str) -> list[str]:
    """The lines of runs among what `study plan` prints."""
    return [line for line in out.splitlines() if "  seed " in line]


def finish(runs: Path, run_id: str, **changes: object) -> None:
    folder = runs / run_id.split("-")[0] / f"s{run_id.rpartition('-s')[2]}"
    folder.mkdir(parents=True)
    write_record(folder, RunRecord(run_id=run_id, status="finished", config={}, **changes))  # type: ignore[arg-type]


def test_list_and_show_tell_the_question_and_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "list"]) == 0
    assert "paper            6    30  Do two writable memories" in capsys.readouterr().out
    assert main(["study", "show", "paper"]) == 0
    out = capsys.readouterr().out
    assert "answered by relation_strict F1, a row's mean over seeds 0, 1, 2, 3, 4\n" in out
    assert "rows are compared with jerex-grc, seed by seed" in out
    assert "memory-mrc    MRC, + memory: preset memory-mrc; compared with jerex-mrc\n" in out
    assert out.endswith("6 rows x 5 seeds; time, memory and disk: `engram study plan paper --profile P`\n")


def test_show_explains_axes_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "show", "memory-size"]) == 0
    out = capsys.readouterr().out
    assert "axis slot-width (memory.slot_width): 32, 128, 256, H, 768, 1536\n  Width of the slots of both" in out
    assert "rows may differ from their baseline only in memory.slot_width" in out
    (tmp_path / "mine.yaml").write_text(
        "{question: '?', baseline: read-mode=write-only+ramp=off, base: {preset: memory-grc}, axes: [read-mode, ramp]}"
    )
    assert main(["study", "show", str(tmp_path / "mine.yaml")]) == 0
    [left_out] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out")]
    assert left_out == ("left out: read-mode=write-only+ramp=on: the same runs as read-mode=write-only+ramp=off")


def test_the_studies_that_help_shows_are_studies(tmp_path: Path, flags: list[str]) -> None:
    """Both examples are taken out of the help as a user would."""
    shown = [part for part in EPILOG.format(prog="engram study plan").split("\n\n") if part.startswith("  question:")]
    for part, rows in zip(shown, (2, 8), strict=True):
        path = tmp_path / f"{rows}.yaml"
        path.write_text("\n".join(line[2:] for line in part.splitlines()))
        assert len(read_study(path).rows) == rows
        assert main(["study", "plan", str(path), *flags]) == 0


def test_listings_have_a_json_form(capsys: pytest.CaptureFixture[str], flags: list[str], tmp_path: Path) -> None:
    assert main(["study", "list", "--json"]) == 0
    listed = {study["name"]: study for study in json.loads(capsys.readouterr().out)}
    assert len(listed["paper"]["rows"]) == 6
    assert main(["study", "show", "paper", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == listed["paper"]
    command = ["study", "plan", "warmup", "--json", "--jobs", "2", *flags]
    assert main(command) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["study"], plan["profile"], plan["left"], plan["seconds"]) == ("warmup", "quick", 35, None)
    assert plan["runs"][0].items() >= {"row": "warmup=0", "seed": 0, "status": "waiting", "other_code": False}.items()
    finish(
        tmp_path / "runs", plan["runs"][0]["run"], seconds=12.5, peak_memory_mib=10.0, provenance=collect_provenance({})
    )
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["left"], again["runs"][0]["status"]) == (34, "finished")
    assert main([*command, "--commands"]) == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_long_seeds_keep_their_columns_apart(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "plan", "warmup", "--seeds", "0,123456", *flags]) == 0
    lines = [line.split() for line in runs_in(capsys.readouterr().out)]
    assert {(line[0].partition("-s")[2], *line[2:]) for line in lines} == {
        (seed, "seed", seed, "waiting") for seed in ("0", "123456")
    }


def test_plan_warns_and_marks_the_records_of_other_code(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = collect_provenance({})
    monkeypatch.setattr(
        "studies.commands.collect_provenance", lambda data: msgspec.structs.replace(made, commit="b" * 40)
    )
    assert main(["study", "plan", "warmup", "--seeds", "2", *flags]) == 0
    ids = [line.split()[0] for line in runs_in(capsys.readouterr().out)]
    for number, commit in enumerate(["b" * 40, "c" * 40]):
        provenance = msgspec.structs.replace(made, commit=commit, uncommitted_changes=False)
        finish(tmp_path / "runs", ids[number], provenance=provenance)
    assert main(["study", "plan", "warmup", "--seeds", "2", *flags]) == 0
    printed = capsys.readouterr()
    ends = [line.partition("seed ")[2].split(maxsplit=1)[1] for line in runs_in(printed.out)[:3]]
    assert ends == ["finished", "finished *", "waiting"]
    assert "engram: warning: 2 seeds per row" in printed.err
    assert "engram: warning: 1 finished run of other code (cccccccccccc) kept" in printed.err


def test_plan_names_every_run_and_what_the_rest_takes(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "plan", "paper", "--seeds", "0,4", *flags]) == 0
    out = capsys.readouterr().out
    assert len(runs_in(out)) == 12
    assert "12 runs: 12 waiting\ntime: unknown, as no run of profile quick on these documents" in out
    assert "--calibrate" in out
    finish(tmp_path / "runs", runs_in(out)[0].split()[0], provenance=collect_provenance({}))
    assert main(["study", "plan", "paper", "--seeds", "0,4", *flags]) == 0
    out = capsys.readouterr().out
    assert runs_in(out)[0].endswith("seed 0  finished")
    assert "12 runs: 1 finished, 11 waiting\n" in out


def test_plan_says_what_run_would_refuse(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{question: '?', baseline: a, varies: [loss], rows: {a: {preset: jerex-grc}, "
        "b: {preset: jerex-grc, settings: {training: {lr: 1e-4}}}}}"
    )
    assert main(["study", "plan", str(path), *flags]) == 0
    warning = "row b differs from a in more than the study declares: training.lr 0.0001, not 0.004:"
    assert f"engram: warning: {warning}" in capsys.readouterr().err
    for command in (["study", "plan", str(path), "--commands"], ["study", "run", str(path), "--wandb", "disabled"]):
        assert main([*command, *flags]) == 2
        assert f"engram: {warning}" in capsys.readouterr().err
        assert not (tmp_path / "runs").exists()


def test_run_refuses_a_full_disk_before_anything_starts(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.estimate.free_bytes", lambda runs: 2**24)
    assert main(["study", "run", "paper", "--wandb", "disabled", *flags]) == 2
    assert "the 30 runs left need about" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_plan_commands_make_folders_that_any_scheduler_can_compute(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags[-1] = "runs"
    assert main(["study", "plan", "paper", "--seeds", "1", "--commands", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    folders = [Path(shlex.split(line)[-1]) for line in lines]
    assert all(folder.is_absolute() for folder in folders)
    assert [from_yaml(folder / CONFIG).preset for folder in folders] == [
        "jerex-grc",
        "memory-grc",
        "memory-residual-grc",
        "jerex-mrc",
        "memory-mrc",
        "memory-residual-mrc",
    ]
    assert len(find_study_record("paper", tmp_path / "runs").row_runs) == 6
    # Seeds that are asked for later join those of before, as with `study run`.
    assert main(["study", "plan", "paper", "--seeds", "5,", "--commands", *flags]) == 0
    assert list(find_study_record("paper", tmp_path / "runs").row_runs[0].runs) == [0, 5]
    assert main(["study", "plan", "paper", "--commands", *flags, "--loss.entity", "1"]) == 2


@pytest.mark.parametrize(("text", "seeds"), [("3", (0, 1, 2)), ("0,3,7", (0, 3, 7)), ("4,", (4,))])
def test_seeds_are_counted_or_named(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "1,1", "1,x", "five", ",", "1.5", "9999999999", "0,2147483648", "²"])
def test_wrong_seeds_are_one_line(text: str, flags: list[str]) -> None:
    from studies.arguments import StudyParser

    with pytest.raises(UserError, match="argument --seeds"):
        StudyParser("engram study plan", "").parse_plan(["paper", f"--seeds={text}", *flags])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paper", "--profile", "quik"], "unknown profile 'quik': .* Did you mean quick"),
        (["papr"], "unknown study 'papr': .* Did you mean paper"),
        (["paper", "--seed", "3"], "--seed 3: all rows of a study share its seeds: give --seeds"),
        (["paper", "--trainig.epochs", "3"], "unknown setting --trainig.epochs: Did you mean --training.epochs"),
        (["paper", "--jsn"], "unknown setting --jsn: Did you mean --json"),
        (["paper", "--training.epochs", "0"], "training.epochs is '0': should be greater than or equal to 1"),
        (["paper", "--profile", "minilm"], "profile minilm names no documents: give --data.train"),
        (["paper", "--data.name", "none", "--data.train", "nowhere.json"], "nowhere.json: no such file"),
        (["warmup", "--memory.warmup", "0.3"], "row warmup=0: `at` has warmup=0, but memory.warmup is 0.3"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "plan", *arguments]) == 2
    printed = capsys.readouterr()
    assert re.match(rf"engram: .*{message}", printed.err), printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_flags_for_a_memory_that_no_row_has_are_refused(tmp_path: Path, flags: list[str]) -> None:
    from studies.arguments import StudyParser

    path = tmp_path / "mine.yaml"
    path.write_text("{question: '?', baseline: a, rows: {a: {preset: jerex-grc}}}")
    with pytest.raises(UserError, match=r"--memory.slot-width reaches no row: none has a memory"):
        StudyParser("engram study plan", "").parse_plan([str(path), *flags, "--memory.slot-width", "8"])


def test_rows_that_differ_in_several_settings_are_told(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    wide = "wide: {preset: memory-grc, settings: {memory: {slot_width: 8}, training: {lr: 1e-4}}}"
    rows = f"rows: {{narrow: {{preset: memory-grc}}, none: {{preset: jerex-grc}}, {wide}}}"
    path.write_text(f"{{question: '?', baseline: narrow, {rows}}}")
    assert main(["study", "plan", str(path), *flags]) == 0
    told = "wide differs from narrow in 2 settings: memory.slot_width, training.lr;"
    out = capsys.readouterr().out
    assert f"note: {told}" in out
    assert "none differs" not in out
    path.write_text(f"{{question: '?', baseline: narrow, varies: [memory, training.lr], {rows}}}")
    assert main(["study", "plan", str(path), *flags]) == 0
    assert "wide differs" not in capsys.readouterr().out


def test_a_name_that_leaves_the_folder_is_refused(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("../../../evil", "..", ".x", "", "a@b", "a b", "a\nb", "x" * 101):
        assert main(["study", "run", "paper", "--wandb", "disabled", "--name", name, *flags]) == 2
        assert capsys.readouterr().err.startswith(f"engram: study name {name!r}: use no '/'")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["documents.json"]
