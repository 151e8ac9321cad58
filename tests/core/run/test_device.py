import os

import pytest

from core.run.device import SHAPE_CACHES, limit_onednn_cache


def test_shapes_are_forgotten_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, other = SHAPE_CACHES
    monkeypatch.setenv(chosen, "500")
    monkeypatch.delenv(other, raising=False)
    limit_onednn_cache()
    assert (os.environ[chosen], os.environ[other]) == ("500", "16")
