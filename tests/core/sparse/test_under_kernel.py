"""Strings seen through a kernel: their weights against a grid, their costs against the formula."""

from math import comb, log

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits, pack
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.under_kernel import Observed, reweight
from tests.core.noise.oracle_circuit import random_faults

N = 4


@pytest.fixture(scope="module")
def seen():
    kernel = Kernel.of(random_faults(N, np.random.default_rng(5), rate=0.03, readout=0.04))
    ideal = np.zeros(1 << N)
    ideal[[3, 12, 9]] = 0.5, 0.3, 0.2
    counts = np.random.default_rng(6).multinomial(2000, kernel.forward(ideal)).astype(float)
    rows = np.flatnonzero(counts)
    return kernel, Observed(pack(index_bits(rows, N)), rows, counts[rows], N)


def test_weights_are_the_most_likely_ones(seen):
    kernel, observed = seen
    sent = np.array([int(np.flatnonzero(observed.rows == string)[0]) for string in (3, 12, 9)])
    columns = observed.columns(kernel, sent)
    for place, string in enumerate((3, 12, 9)):
        pure = np.eye(1 << N)[string]
        np.testing.assert_allclose(columns[:, place], kernel.forward(pure)[observed.rows], atol=1e-12)
    weights, likelihood = reweight(columns, observed.shots, np.full(3, 1 / 3), 300)
    steps = np.arange(0, 1.0001, 0.01)
    grid = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1 + 1e-9])
    levels = np.log(np.maximum(columns @ grid.T, 1e-300)).T @ observed.shots
    assert likelihood >= levels.max()
    np.testing.assert_allclose(weights, grid[int(np.argmax(levels))], atol=0.011)


def test_the_likelihood_is_that_before_the_last_round(seen):
    kernel, observed = seen
    columns = observed.columns(kernel, np.arange(3))
    start = np.array([0.2, 0.3, 0.5])
    weights, likelihood = reweight(columns, observed.shots, start, 1)
    assert likelihood == pytest.approx(observed.shots @ np.log(columns @ start))
    responsible = columns * start / (columns @ start)[:, None]
    np.testing.assert_allclose(weights, observed.shots @ responsible / observed.shots.sum())


def test_costs_add_up_by_the_distance_to_the_nearest_earlier_string(seen):
    _, observed = seen
    sent = np.arange(4)
    bits, expected = index_bits(observed.rows[sent], N), [N * log(2)]
    for k in range(1, 4):
        d = min(int((bits[k] != bits[j]).sum()) for j in range(k))
        expected.append(expected[-1] + 0.5 * log(2000) + log(comb(N, d)) + log(N))
    np.testing.assert_allclose(observed.costs(sent), expected)
