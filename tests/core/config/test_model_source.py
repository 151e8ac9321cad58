"""What an encoder is, read without loading it."""

from pathlib import Path

import pytest

from core.config.model_source import encoder_width
from core.config.presets import build
from core.config.signature import normalise_slot_width


def test_the_encoders_width_is_read_without_loading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 48}')
    own = build("memory-grc", row={"encoder": {"source": str(tmp_path)}, "memory": {"slot_width": 48}})
    assert encoder_width(own.encoder) == 48
    assert normalise_slot_width(own).memory == build("memory-grc").memory
    other = build("memory-grc", row={"encoder": {"source": str(tmp_path)}, "memory": {"slot_width": 32}})
    assert normalise_slot_width(other) == other
    hub = tmp_path / "hub" / "models--some--model"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs" / "main").write_text("abc")
    (hub / "snapshots" / "abc").mkdir(parents=True)
    (hub / "snapshots" / "abc" / "config.json").write_text('{"dim": 96}')
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    named = build("memory-grc", row={"encoder": {"source": "some/model"}})
    assert encoder_width(named.encoder) == 96
    assert encoder_width(build("memory-grc", row={"encoder": {"source": "some/other"}}).encoder) is None
