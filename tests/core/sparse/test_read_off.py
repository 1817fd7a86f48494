"""Strings read off a deconvolution: that they are found, weighed, and as few as there are."""

import numpy as np
import pytest

from qcluster.core.dense.richardson_lucy import deconvolve
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.read_off import few_strings
from tests.core.noise.oracle_circuit import random_faults


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("many", [1, 2, 5, 9])
def test_the_strings_that_were_sent_are_found_with_their_weights(seed, many):
    rng = np.random.default_rng([many, seed])
    kernel = Kernel.of(random_faults(8, rng, rate=0.03, readout=0.03))
    sent = rng.choice(256, many, replace=False)
    weights = rng.dirichlet(np.full(many, 20.0))
    ideal = np.bincount(sent, weights, 256)
    counts = rng.multinomial(8192, kernel.forward(ideal) / kernel.forward(ideal).sum()).astype(float)
    found = deconvolve(ScaledKernels.of(kernel, (2.0, 1.0, 0.5)), counts)
    few = few_strings(kernel, found.ideals[1], counts)
    assert set(few.strings.tolist()) == set(sent.tolist())
    assert few.weights == pytest.approx(ideal[few.strings], abs=0.03)
    assert (np.diff(few.weights) <= 1e-12).all()
    assert few.uniform < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_strings_are_found_under_half_of_the_calibrated_noise(seed):
    rng = np.random.default_rng(seed)
    kernel = Kernel.of(random_faults(9, rng, rate=0.03, readout=0.03))
    ideal = np.zeros(512)
    ideal[[0, 511]] = 0.5
    noisy = kernel.scaled(0.5).forward(ideal)
    counts = rng.multinomial(8192, noisy / noisy.sum()).astype(float)
    found = deconvolve(ScaledKernels.of(kernel, (2.0, 1.0, 0.5, 0.25)), counts)
    few = few_strings(kernel.scaled(0.5), found.ideals[2], counts)
    assert sorted(few.strings.tolist()) == [0, 511]
