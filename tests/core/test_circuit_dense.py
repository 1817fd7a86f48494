"""The deconvolution of broad outputs: what it finds where the truth is known, and what it believes of the noise."""

import numpy as np
import pytest

from qcluster.core.circuit_dense import DenseSettings, deconvolve, fidelity, posterior
from qcluster.core.circuit_kernel import Kernel
from qcluster.core.faults import FaultMasks
from tests.core.oracle_circuit import random_faults


def silent(n: int) -> Kernel:
    """No noise at all."""
    nothing = FaultMasks(n, np.zeros((0, 1), dtype=np.uint64), np.zeros(0), np.zeros(0), np.zeros((n, 2)))
    return Kernel.of(nothing)


def test_without_noise_the_posterior_is_the_textbook_dirichlet():
    counts = np.array([50.0, 0.0, 30.0, 20.0])
    roots, evidence = posterior(silent(2), counts, np.array([[0.5], [2.0]]), steps=30)
    rng = np.random.default_rng(1)
    for row, mass in zip(roots, (0.5, 2.0), strict=True):
        drawn = np.sqrt(rng.dirichlet(counts + mass, 40_000)).mean(axis=0)
        np.testing.assert_allclose(row, drawn, atol=2e-3)
    grid = rng.dirichlet(np.full(4, 2.0), 400_000)
    exact = np.log(np.mean(np.exp(np.log(np.maximum(grid, 1e-300)) @ counts + 105))) - 105
    assert evidence[1] == pytest.approx(exact, abs=0.3)


@pytest.mark.parametrize("truth", [0.5, 1.0])
def test_the_strength_of_the_noise_is_found_within_a_factor_of_two(truth):
    rng = np.random.default_rng(7)
    kernel = Kernel.of(random_faults(8, rng, rate=0.05, readout=0.04))
    ideal = rng.dirichlet(np.full(256, 0.5))
    counts = rng.multinomial(400_000, kernel.scaled(truth).forward(ideal)).astype(float)
    found = deconvolve(kernel, counts, DenseSettings(doubt=1.0))
    assert truth / 2 < found.scale < truth * 2
    assert fidelity(found.ideal, ideal) > fidelity(counts / counts.sum(), ideal)


def test_the_expected_gain_is_near_the_true_one():
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        kernel = Kernel.of(random_faults(7, rng, rate=0.05, readout=0.05))
        ideal = rng.dirichlet(np.ones(128))
        counts = rng.multinomial(20_000, kernel.forward(ideal)).astype(float)
        found = deconvolve(kernel, counts, DenseSettings())
        gains.append(
            [found.expected - found.expected_raw, fidelity(found.ideal, ideal) - fidelity(counts / 20_000, ideal)]
        )
    expected, true = np.mean(gains, axis=0)
    assert true > 0.01
    assert 0.4 < expected / true < 2.5
