"""Strings read off a deconvolution: that they are found, weighed, and as few as there are."""

import numpy as np
import pytest

from qcluster.core.dense.richardson_lucy import deconvolve
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel, prior_cost
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.read_off import _STRENGTH, few_strings
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


def single_flips(rate: float) -> Kernel:
    """Six bits that flip one by one."""
    masks = (1 << np.arange(6)).astype(np.uint64)[:, None]
    return Kernel.of(FaultMasks(6, masks, np.full(6, rate), np.zeros(6), np.zeros((6, 2))))


@pytest.mark.parametrize(
    ("last", "weights", "kept"),
    [
        (0b111111, (0.5, 0.4985, 0.0015), 2),  # a clear step, and less than a hundredth of a nat a shot behind it
        (0b111111, (0.5, 0.49, 0.01), 3),  # a step, but the last string explains more
        (0b110000, (0.976, 0.012, 0.012), 3),  # no step between the last two
    ],
)
def test_a_list_ends_at_a_clear_step_if_hardly_anything_is_left_unexplained(last, weights, kept):
    """Shots have the expected frequencies."""
    kernel, ideal = single_flips(0.075), np.full(64, 1e-9)
    ideal[[0b000000, 0b000011, last]] = weights
    counts = np.round(50_000 * kernel.forward(ideal))
    assert len(few_strings(kernel, ideal, counts).weights) == kept


def test_the_score_is_the_likelihood_less_the_costs_of_strings_and_of_rates():
    rng = np.random.default_rng(3)
    told, ideal = single_flips(0.03), np.full(64, 1e-9)
    ideal[[5, 60, 33]] = 0.5, 0.3, 0.2
    noisy = told.scaled(2.0).forward(ideal)
    counts = rng.multinomial(8192, noisy / noisy.sum()).astype(float)
    few = few_strings(told, ideal, counts)
    read = (1 - few.uniform) * few.kernel.forward(few.noiseless) + few.uniform / 64
    paid = few.length + prior_cost(few.kernel, told, _STRENGTH * 8192)
    assert paid > few.length + 1
    assert few.net_log_likelihood == pytest.approx((counts @ np.log(64 * read) - paid) / 8192, abs=1e-6)
