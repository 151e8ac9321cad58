"""What makes two runs the same run: every setting but the named few, and the content of files wherever they lie."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest

from core.config import presets
from core.config.schema import RunConfig
from core.config.section import ADDED_LATER
from core.config.signature import READING, active_settings, identity, run_id, signature
from core.errors import UserError
from tests.settings import Setting, alternatives, changed, every_setting, full_config

# Changing one of these keeps the signature; changing any other setting changes it.
NEUTRAL = {
    "preset",
    "profile",
    "data.name",  # stands for its files, which enter
    "training.keep",
    "inference.piece_budget",
    "inference.row_budget",
    "runtime.device",
    "runtime.threads",
    "runtime.log_every",
    "runtime.checkpoint_seconds",
    "tracking.wandb",
    "tracking.project",
    "tracking.entity",
    "tracking.group",
    "tracking.job_type",
    "tracking.tags",
    "tracking.study",
    "tracking.row",
    "tracking.artifacts",
    "tracking.system_metrics",
    "tracking.console",
}
# In the run id beside the signature.
BESIDE = {"seed"}
CONTENT = {"data.train", "data.validation", "data.test", "data.types"}
SOURCE = {"encoder.source", "encoder.tokenizer"}

SETTINGS = {setting.path: setting for setting in every_setting()}
NUMBERS = sorted(SETTINGS.keys() - NEUTRAL - BESIDE - CONTENT - SOURCE)


def test_the_neutral_settings_are_exactly_these() -> None:
    assert {path for path, setting in SETTINGS.items() if "neutral" in setting.marks} == NEUTRAL
    assert {path for path, setting in SETTINGS.items() if "content" in setting.marks} == CONTENT
    assert {path for path, setting in SETTINGS.items() if "source" in setting.marks} == SOURCE


@pytest.mark.parametrize("path", sorted(NEUTRAL | BESIDE - {"data.name"}))
def test_a_neutral_setting_keeps_the_signature(path: str) -> None:
    config = full_config()
    others = [other for other in alternatives(config, SETTINGS[path]) if other.data.name is None]
    assert others or path == "data.name"
    assert {signature(other) for other in others} <= {signature(config)}


@pytest.mark.parametrize("path", NUMBERS)
def test_any_other_setting_changes_the_signature(path: str) -> None:
    # One memory alone can be written only where the other is not read.
    config = changed(full_config(), "memory.read_mode", "none") if path == "memory.classifies" else full_config()
    # An encoder from scratch has no pretrained weights to start from.
    config = changed(config, "encoder.source", "hub-name") if path == "encoder.pretrained" else config
    others = list(alternatives(config, SETTINGS[path]))
    assert others, f"no other value of {path} was found"
    assert signature(config) not in {signature(other) for other in others}


@pytest.mark.parametrize("path", sorted(CONTENT | SOURCE))
def test_a_file_enters_by_what_it_holds_wherever_it_lies(path: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here.json", tmp_path / "deeper" / "there.txt"
    there.parent.mkdir()
    here.write_text("[1]")
    shutil.copy(here, there)
    config = full_config()
    at_here = signature(changed(config, path, str(here)))
    assert at_here != signature(config)
    assert signature(changed(config, path, str(there))) == at_here
    there.write_text("[2]")
    assert signature(changed(config, path, str(there))) != at_here


@pytest.mark.parametrize("name", ["no.json", "scratch", "package:no_such_package", "bert-base-cased", "/no/such.json"])
def test_documents_that_are_not_there_are_named_and_never_taken_for_a_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{name}: no such file"):
        signature(presets.validate({"data": {"train": name}}))


def test_the_form_of_signature_and_run_id() -> None:
    config = presets.validate({"seed": 7})
    assert re.fullmatch(r"[0-9a-f]{12}", signature(config))
    assert run_id(config) == f"{signature(config)}-s7"


def test_identity_is_readable_json_without_neutral_settings() -> None:
    tree = json.loads(json.dumps(identity(full_config())))
    assert "runtime" not in tree or tree["runtime"] == {}
    assert "seed" not in tree
    assert tree["memory"]["relation_slot_width"] == 64


def test_a_name_that_is_not_resolved_to_files_has_no_signature_yet() -> None:
    with pytest.raises(UserError, match="'cdr' is not resolved"):
        signature(presets.validate({"data": {"name": "cdr"}}))


def memory(**settings: Any) -> str:
    return signature(presets.validate({"encoder": {"source": "scratch"}, "memory": settings}))


IDLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "how to read, where nothing is read": (
        {"read_mode": "none"},
        {
            "read_mode": "none",
            "warmup": 0.2,
            "ramp": 0.1,
            "pooling": "sum",
            "places": "tokens",
            "memories": "entity",
            "read_grad": False,
            "inverse_scale": "mean",
        },
    ),
    "how logits of slots join, where each type has one": ({}, {"slot_logit": "logsumexp"}),
    "a width that is the common one": ({"slot_width": 32}, {"slot_width": 32, "entity_slot_width": 32}),
    "a common width that both override": (
        {"entity_slot_width": 8, "relation_slot_width": 9},
        {"entity_slot_width": 8, "relation_slot_width": 9, "slot_width": 32},
    ),
    "the width of a memory that is not there": (
        {"classifies": "entity", "memories": "entity"},
        {"classifies": "entity", "memories": "entity", "relation_slot_width": 9},
    ),
    "the authors' combination, named": ({"read_mode": "normal"}, {"read_mode": "normal", "pooling": "concat"}),
    "what is read, where nothing is": ({"read_mode": "none"}, {"read_mode": "none", "reads": "learned"}),
    "the gradient of reading, where no slots are looked at": (
        {"reads": "uniform"},
        {"reads": "uniform", "read_grad": False},
    ),
    "the gradient of reading, where the matrix is frozen": (
        {"read_mode": "normal", "reads": "random"},
        {"read_mode": "normal", "reads": "random", "read_grad": False},
    ),
    "the gradient of reading, where a constant is read": (
        {"reads": "constant"},
        {"reads": "constant", "read_grad": False},
    ),
    "the scale of an inverse read, where none is": (
        {"read_mode": "normal"},
        {"read_mode": "normal", "inverse_scale": "mean"},
    ),
}


@pytest.mark.parametrize(("one", "two"), list(IDLE.values()), ids=list(IDLE))
def test_a_setting_that_another_switches_off_does_not_matter(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert memory(**one) == memory(**two)


def test_the_same_settings_matter_where_they_have_an_effect() -> None:
    assert memory() != memory(warmup=0.2)
    assert memory(slots_per_type=2) != memory(slots_per_type=2, slot_logit="logsumexp")
    assert memory(slot_width=32) != memory(slot_width=32, entity_slot_width=31)
    assert memory(read_mode="inverse-normal") != memory(read_mode="inverse-normal", inverse_scale="mean")
    assert memory(read_mode="inverse-normal") != memory(read_mode="inverse-normal", pooling="mean")


def test_the_gradient_of_reading_matters_where_uniform_attention_reads_slots() -> None:
    settings = {"read_mode": "normal", "reads": "uniform"}
    assert memory(**settings) != memory(**settings, read_grad=False)


def test_every_control_is_a_run_of_its_own() -> None:
    controls = ("written", "learned", "random", "uniform", "constant")
    assert len({memory(reads=control) for control in controls}) == len(controls)


def test_runs_from_before_the_controls_keep_their_folders() -> None:
    # The signatures of the first release: whoever has such runs would have to compute them again.
    assert memory() == memory(reads="written")
    released = {"jerex-grc": "fd2225e812e8", "memory-grc": "eb40eaeb6643", "memory-mrc": "d7cae04fcc7e"}
    for name, known in released.items():
        assert signature(presets.build(name, row={"encoder": {"source": "scratch"}})) == known


def test_sizes_of_an_encoder_from_scratch_matter_only_there() -> None:
    trees = [
        {"source": source, "scratch": {"width": width}} for source in ("scratch", "hub-name") for width in (64, 32)
    ]
    scratch, narrow, hub, hub_narrow = (signature(presets.validate({"encoder": tree})) for tree in trees)
    assert scratch != narrow
    assert hub == hub_narrow


def test_the_share_that_validates_matters_only_without_a_validation_file(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("[]")
    shares = [{"validation_share": share} for share in (0.1, 0.2)]
    assert len({signature(presets.validate({"data": tree})) for tree in shares}) == 2
    given = [{**tree, "validation": str(tmp_path / "file.json")} for tree in shares]
    assert len({signature(presets.validate({"data": tree})) for tree in given}) == 1


class Newer(RunConfig):
    """A run's settings in a later release."""

    novelty: Annotated[int, ADDED_LATER] = 3
    """Added after runs were recorded."""


def test_a_setting_added_later_matters_only_where_it_is_not_its_default() -> None:
    assert signature(Newer()) == signature(RunConfig())
    assert signature(Newer(novelty=4)) != signature(RunConfig())


def test_a_limit_of_documents_enters_and_none_is_what_earlier_runs_had() -> None:
    assert "limit" not in identity(RunConfig())["data"]
    assert identity(presets.validate({"data": {"limit": 5}}))["data"]["limit"] == 5


def test_memory_off_is_not_memory_unread() -> None:
    baseline = signature(presets.validate({"encoder": {"source": "scratch"}}))
    assert len({baseline, memory(), memory(read_mode="none")}) == 3


def test_the_six_systems_are_six_runs() -> None:
    assert (
        len({signature(presets.build(name, row={"encoder": {"source": "scratch"}})) for name in presets.names()}) == 6
    )


def test_a_signature_is_the_same_in_every_process_and_release() -> None:
    # Of this value hang the folders of everybody's finished runs: a change here orphans them.
    program = (
        "from core.config import presets; from core.config.signature import signature; "
        "print(signature(presets.build('memory-mrc', row={'encoder': {'source': 'scratch'}})))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert printed == {signature(presets.build("memory-mrc", row={"encoder": {"source": "scratch"}}))}


def test_active_settings_are_those_that_can_change_a_number_here() -> None:
    config = full_config()
    active = active_settings(config)
    # An encoder from scratch has no pretrained weights to start from.
    assert active.keys() == {*NUMBERS, *CONTENT, *SOURCE} - {"encoder.pretrained"}
    unread = active_settings(changed(config, "memory.read_mode", "none"))
    assert active.keys() - unread.keys() == {f"memory.{name}" for name in READING}
    assert active_settings(RunConfig())["memory"] is None


def test_the_walk_finds_every_setting() -> None:
    assert len(SETTINGS) > 60
    assert isinstance(SETTINGS["memory.warmup"], Setting)
    assert {"data.train", "encoder.scratch.width", "memory.warmup", "inference.max_mentions"} <= SETTINGS.keys()
