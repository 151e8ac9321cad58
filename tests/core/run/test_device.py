"""Device: what a process keeps of one run for the next one is limited."""

import os
import sys

import pytest
import torch

from core.run.device import SHAPE_CACHES, keep_freed_memory, limit_onednn_cache, peak_memory, reset_peak_memory
from core.run.execute import build_accelerator
from tests.settings import changed, full_config


def test_onednn_caches_few_shapes_unless_the_user_set_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, other = SHAPE_CACHES
    monkeypatch.setenv(chosen, "500")
    monkeypatch.delenv(other, raising=False)
    limit_onednn_cache()
    assert (os.environ[chosen], os.environ[other]) == ("500", "16")


def test_a_run_on_the_cpu_limits_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SHAPE_CACHES:
        # Set first, so that it is restored to unset.
        monkeypatch.setenv(name, "500")
        monkeypatch.delenv(name)
    build_accelerator(changed(full_config(), "runtime.device", "cpu"))
    assert {os.environ[name] for name in SHAPE_CACHES} == {"16"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is reset on Linux only")
def test_a_runs_peak_is_without_what_the_last_run_freed() -> None:
    keep_freed_memory()
    freed = torch.ones(200, 2**18)
    before = peak_memory()
    del freed
    reset_peak_memory()
    assert peak_memory() < before - 150
