"""Device: the caches of oneDNN are limited unless the user set a number."""

import os

import pytest

from core.run.device import SHAPE_CACHES, limit_onednn_cache


def test_onednn_caches_few_shapes_unless_the_user_set_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, other = SHAPE_CACHES
    monkeypatch.setenv(chosen, "500")
    monkeypatch.delenv(other, raising=False)
    limit_onednn_cache()
    assert (os.environ[chosen], os.environ[other]) == ("500", "16")
