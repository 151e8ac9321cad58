"""Standard streams that a shell has closed, filled or given another encoding: one line, and the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

import engram

ENGRAM = f"{sys.executable} {Path(engram.__file__)}"


def shell(command: str, tmp_path: Path) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a shell line in which `engram` is the command."""
    line = f'engram() {{ {ENGRAM} "$@"; }}; {command}'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, encoding="utf-8")
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("engram help > /dev/full", "standard output: No space left on device: free some space"),
        ("engram train --help > /dev/full", "standard output: No space left on device: free some space"),
        ("engram help >&-", "standard output is closed, and nothing was done: send it to a file"),
        ("PYTHONIOENCODING=ascii engram help", "standard output is ascii, which cannot write '\\xb1': set PYTHON"),
    ],
)
def test_a_stdout_that_cannot_take_the_output_ends_the_command_in_one_line(
    tmp_path: Path, command: str, message: str
) -> None:
    code, _, err = shell(command, tmp_path)
    assert code == 2
    assert err.startswith(f"engram: {message}")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("stream", "err"), [("2> /dev/full", ""), ("2>&-", "")])
def test_an_error_that_nobody_can_read_keeps_its_code_and_stays_off_stdout(
    tmp_path: Path, stream: str, err: str
) -> None:
    assert shell(f"engram trian {stream}", tmp_path) == (2, "", err)


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    assert shell("engram help | true; exit ${PIPESTATUS[0]}", tmp_path) == (0, "", "")


def test_a_closed_stdin_is_an_empty_one_and_no_file_gets_its_number(tmp_path: Path) -> None:
    (tmp_path / "gold.json").write_text("[")
    code, out, err = shell("engram score --gold gold.json --predictions gold.json <&-", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("engram: gold.json: ")


@pytest.mark.parametrize(
    "command",
    [
        "runs list --runs {}",
        "runs show {}",
        "data report {}",
        "study plan {}.yaml",
        "study status {}",
        "train jerex-grc --config {}",
        "train jerex-grc --encoder.source scratch --data.train {}",
        "score --gold {} --predictions {}",
        "report {}",
        "compare {} {}",
    ],
)
def test_a_path_that_is_too_long_is_named_in_a_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert engram.main(command.format(*2 * ["long" * 75 + "/" + "name" * 300]).split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("engram: ")
    assert "longlong" in err
    assert len(err.splitlines()) == 1
    assert len(err) <= 400
