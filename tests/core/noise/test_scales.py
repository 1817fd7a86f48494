"""Kernels at several scales, against the kernel at each."""

from dataclasses import replace

import numpy as np
import pytest

from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from tests.core.noise.oracle_circuit import random_faults


@pytest.mark.parametrize("n", [1, 3, 5, 6, 7])
def test_every_row_goes_through_its_own_kernel(n):
    rng = np.random.default_rng(n)
    kernel = Kernel.of(random_faults(n, rng, rate=0.05, readout=0.06))
    assert kernel.decays.any()
    scales = (0.0, 0.3, 1.0, 2.5)
    many = ScaledKernels.of(kernel, scales)
    ideals, others = rng.dirichlet(np.ones(1 << n), 4), rng.random((4, 1 << n))
    for row, scale in enumerate(scales):
        one = replace(kernel, rates=kernel.rates * scale, decays=kernel.decays * min(scale, 1.5))
        np.testing.assert_allclose(many.forward(ideals)[row], one.forward(ideals[row]), atol=1e-12)
        np.testing.assert_allclose(many.adjoint(others)[row], one.adjoint(others[row]), atol=1e-12)
    np.testing.assert_allclose(many.forward(ideals)[0], ideals[0], atol=1e-12)


def test_forward_and_adjoint_are_transposes_and_rows_can_be_taken():
    rng = np.random.default_rng(8)
    many = ScaledKernels.of(Kernel.of(random_faults(6, rng, rate=0.05, readout=0.05)), (0.5, 1.0, 2.0))
    x, y = rng.random((3, 64)), rng.random((3, 64))
    np.testing.assert_allclose((many.forward(x) * y).sum(axis=1), (x * many.adjoint(y)).sum(axis=1))
    twice = many.take(np.array([2, 2, 0]))
    for row, place in enumerate((2, 2, 0)):
        alone = many.take(slice(place, place + 1)).forward(x[row : row + 1])
        np.testing.assert_allclose(twice.forward(x)[row], alone[0])


def test_readout_alone_is_the_last_row():
    rng = np.random.default_rng(4)
    faults = random_faults(5, rng, rate=0.05, readout=0.05)
    ideal = rng.dirichlet(np.ones(32))
    (_, last) = ScaledKernels.of(Kernel.of(faults), (2.0,), readout=True).forward(np.array([ideal, ideal]))
    np.testing.assert_allclose(last, Kernel.of(replace(faults, rates=0 * faults.rates)).forward(ideal), atol=1e-12)


def test_symmetric_readout_decays_nothing():
    faults = random_faults(4, np.random.default_rng(1), rate=0.05, readout=0.05).symmetrised()
    assert ScaledKernels.of(Kernel.of(faults), (1.0,)).decays == ()
