"""Deconvolution where the scale of the noise is unknown: what counts tell of it."""

import numpy as np
import pytest

from qcluster.core.decision.circuit_candidates import SCALES
from qcluster.core.dense.unknown_scale import CONCENTRATIONS, ROUNDS, unknown_scale
from qcluster.core.dense.variational import posterior
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from tests.core.decision.test_circuit import random_faults


def read(seed, told):
    """Counts of a few strings of six bits, what a calibration says that is off by a factor, and the ideal."""
    rng = np.random.default_rng([7, seed])
    kernel = Kernel.of(random_faults(6, rng, rate=0.06, readout=0.04))
    ideal = rng.dirichlet(np.full(64, 0.03))
    noisy = kernel.forward(ideal)
    counts = rng.multinomial(8192, noisy / noisy.sum()).astype(float)
    return ScaledKernels.of(kernel.scaled(told), SCALES), counts, ideal


@pytest.mark.parametrize("told", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_evidence_finds_the_noise_that_there_was(seed, told):
    found = unknown_scale(*read(seed, told)[:2])
    probability = found.probability(1.0)
    assert probability.sum() == pytest.approx(1)
    assert abs(probability @ np.log(found.kernels.scales) + np.log(told)) < 0.35
    wary = found.probability(20.0)
    assert wary.max() < probability.max() + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_a_calibration_that_is_too_bad_costs_less_than_it_does_at_its_word(seed):
    kernels, counts, ideal = read(seed, 2.5)
    found = unknown_scale(kernels, counts)
    told = np.full(len(found.prior), 0.0)
    told[SCALES.index(1.0) :: len(SCALES)] = 1 / len(CONCENTRATIONS)

    def fidelity(root):
        return float(root @ np.sqrt(ideal)) ** 2

    assert fidelity(found.mean(found.probability(1.0))) > fidelity(found.mean(told)) + 0.01
    assert fidelity(found.mean(found.probability(1.0))) > fidelity(np.sqrt(counts / counts.sum()))


def test_hypotheses_are_worked_out_as_each_by_itself():
    kernels, counts, _ = read(0, 1.0)
    found = unknown_scale(kernels, counts)
    for place in (0, 4, len(SCALES) + 2):
        roots, evidence = posterior(found.kernels.take(np.array([place])), counts, found.prior[[place]], ROUNDS)
        np.testing.assert_allclose(roots[0], found.roots[place], rtol=1e-9)
        assert evidence[0] == pytest.approx(found.evidence[place])
    assert found.evidence_of_scales().shape == (len(SCALES),)
