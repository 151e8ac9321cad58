"""A Slurm cluster that the tests of a process share."""

from collections.abc import Iterator

import pytest

from tests.sweeps.engines.slurm_cluster import SlurmCluster, slurm_cluster


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    with slurm_cluster(array_size=2) as cluster:
        yield cluster
