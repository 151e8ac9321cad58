import math

import numpy as np
import pytest

from core.seeding import seed_for
from studies.bootstrap import COVERAGE, micro_f1
from tests.bench.bootstrap_coverage import MEASURED, POPULATIONS, Population, coverage


def test_the_stated_truth_is_what_many_documents_and_seeds_show() -> None:
    population = Population(seeds=40, documents=4000, gain=0.2, seed_std=0.02)
    row, baseline = population.draw(np.random.default_rng(seed_for("truth")))
    assert (row[..., [0, 2]].sum(-1) == baseline[..., [0, 2]].sum(-1)).all()
    gaps = micro_f1(row.sum(1)) - micro_f1(baseline.sum(1))
    assert gaps.mean() == pytest.approx(population.true_difference(), abs=0.5)
    assert population.true_difference() > 5
    assert Population(gain=0.0).true_difference() == pytest.approx(0)


def test_the_printed_coverage_is_measured() -> None:
    measured = MEASURED["usual"]
    again = coverage(POPULATIONS["usual"], studies=150, resamples=300, seed=1)
    for there, here in ((measured.bootstrap, again.bootstrap), (measured.t, again.t)):
        assert here == pytest.approx(there, abs=4 * math.sqrt(there * (1 - there) / again.studies))
    assert again.seed_std == pytest.approx(measured.seed_std, rel=0.1)
    assert MEASURED.keys() == POPULATIONS.keys()
    five = [MEASURED[name].bootstrap for name, population in POPULATIONS.items() if population.seeds == 5]
    assert (min(five), max(five)) == COVERAGE
