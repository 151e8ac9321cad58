"""`study plan --commands`: its lines, run by a plain shell elsewhere, make the study; `study run` finds it done."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from core.config.presets import leaves
from core.data.formats.docred import write_docred
from core.records.record import RECORD
from engram import main
from reports.frame import load_study
from studies.record import find_study_record
from tests.tiny import TINY, document

STUDY = {
    "question": "Do other schedulers do?",
    "baseline": "plain",
    "rows": {
        "plain": {"preset": "jerex-grc"},
        "memory": {"preset": "memory-grc", "settings": {"memory": {"warmup": 0}}},
    },
}
SETTINGS = {
    "training": {"epochs": "1", "batch_size": "4"},
    "runtime": {"device": "cpu", "threads": "1"},
}


def test_the_lines_run_by_sh_make_the_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a place & its 'blanks'"
    place.mkdir()
    monkeypatch.chdir(place)
    write_docred([document(number) for number in range(8)], place / "documents.json")
    Path("my study.yaml").write_text(yaml.safe_dump(STUDY | {"name": "mine"}))
    documents = dict.fromkeys(("train", "validation", "test"), "documents.json")
    tree = TINY | SETTINGS | {"data": {"name": "none"} | documents}
    flags = [word for path, value in leaves(tree).items() for word in (f"--{path.replace('_', '-')}", str(value))]
    flags += ["--seeds", "1", "--runs", "my runs"]
    assert main(["study", "plan", "my study.yaml", "--commands", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # No PYTHONPATH, no settings of this process: a scheduler passes on nothing but the line.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for started in [subprocess.Popen(["sh", "-c", line], cwd=elsewhere, env=environment) for line in lines]:
        assert started.wait() == 0
    assert list(elsewhere.iterdir()) == []
    records = sorted(Path("my runs").glob(f"*/*/{RECORD}"))
    stamps = [path.stat().st_mtime_ns for path in records]
    assert len(records) == 2
    assert main(["study", "run", "my study.yaml", *flags]) == 0
    assert "2 finished already" in capsys.readouterr().err
    assert [path.stat().st_mtime_ns for path in records] == stamps
    assert main(["study", "status", "mine", "--runs", "my runs"]) == 0
    assert "2 finished" in capsys.readouterr().out
    frame = load_study(find_study_record("mine", Path("my runs")), Path("my runs")).frame
    assert set(frame["status"]) == {"finished"}
    assert set(frame["row"]) == {"plain", "memory"}
    assert main(["study", "plan", "my study.yaml", "--commands", *flags]) == 0
    assert capsys.readouterr().out == ""
