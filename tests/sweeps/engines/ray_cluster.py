"""A Ray cluster of pretended nodes on this machine, in folders of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SMALL = {"object_store_memory": 80_000_000, "include_dashboard": False}
ATTEMPTS = 3
"""Ray gives a node 30 s to come up, which on a busy machine may be too few."""


@contextmanager
def ray_cluster(cpus: int = 2) -> Iterator[Any]:
    """A running cluster whose head has some processors, and this process connected to it; skips where Ray is absent."""
    pytest.importorskip("ray", reason="Ray: not installed (pip install 'engram[ray]')")
    # Not pytest's folder: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    own = {"HOME": str(folder), "RAY_TMPDIR": str(folder), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        try:
            add_node(cluster, num_cpus=cpus)
            ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def add_node(cluster: Any, **resources: int) -> Any:
    """A further node."""
    for attempt in range(ATTEMPTS):
        try:
            return cluster.add_node(**resources, **SMALL)
        except Exception:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError
