"""A Ray cluster of pretended nodes on this machine, in folders of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SMALL = {"object_store_memory": 80_000_000, "include_dashboard": False}


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """A running cluster whose head has two processors, and this process connected to it; skips where Ray is absent."""
    if not os.environ.get("CI"):
        pytest.importorskip("ray", reason="Ray: not installed (pip install 'engram[ray]')")
    # Not pytest's folder: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    with pytest.MonkeyPatch.context() as patch:
        # Where no token is made, none is left in the user's home either.
        for name, value in (("HOME", str(folder)), ("RAY_TMPDIR", str(folder)), ("RAY_AUTH_MODE", "disabled"), ("RAY_USAGE_STATS_ENABLED", "0")):
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        try:
            cluster.add_node(num_cpus=2, **SMALL)
            ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
