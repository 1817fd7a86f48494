"""Variational deconvolution under a circuit's kernel, against integrals over the simplex, and how it is resampled."""

import numpy as np
import pytest
from scipy.special import gammaln

from qcluster.core.dense.variational import posterior, variational
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel


def kernel_of(n: int, flips: float, pairs: float = 0.0) -> Kernel:
    masks = np.array([[(1 << n) - 1]], dtype=np.uint64)
    return Kernel.of(FaultMasks(n, masks, np.array([pairs]), np.zeros(1, dtype=np.uint8), np.full((n, 2), flips)))


@pytest.mark.parametrize("concentration", [0.3, 1.0, 3.0])
def test_one_bit_is_the_integral(concentration):
    """Two strings: the posterior of the ideal by a grid."""
    kernel, counts = kernel_of(1, 0.1), np.array([700.0, 300.0])
    p = (np.arange(200_000) + 0.5) / 200_000
    noisy = p[:, None] * kernel.forward(np.array([1.0, 0.0])) + (1 - p)[:, None] * kernel.forward(np.array([0.0, 1.0]))
    density = (concentration - 1) * np.log(p * (1 - p)) + gammaln(2 * concentration) - 2 * gammaln(concentration)
    level = np.log(noisy) @ counts + density
    weight = np.exp(level - level.max())
    weight /= weight.sum()
    roots, evidence = posterior(kernel, counts, np.array([[concentration]]))
    np.testing.assert_allclose(roots[0], [weight @ np.sqrt(p), weight @ np.sqrt(1 - p)], atol=3e-3)
    exact = level.max() + np.log(np.exp(level - level.max()).mean())
    assert evidence[0] == pytest.approx(exact, abs=0.5)


def test_the_evidence_prefers_the_concentration_of_the_ideal():
    rng, n = np.random.default_rng(5), 8
    kernel = kernel_of(n, 0.03, 0.05)
    for ideal, favoured in ((np.eye(1 << n)[3] * 0.6 + np.eye(1 << n)[77] * 0.4, 0), (rng.dirichlet(np.ones(256)), 4)):
        noisy = kernel.forward(ideal)
        counts = rng.multinomial(20_000, noisy / noisy.sum()).astype(float)
        estimate, hedged = variational(kernel, counts)
        assert abs(int(np.argmax(hedged)) - favoured) <= 1
        raw = np.sqrt(counts / counts.sum() * ideal).sum() ** 2
        assert np.sqrt(estimate * ideal).sum() ** 2 > raw + 0.5 * (1 - raw) * (favoured == 0)


def test_denser_ideals_get_half_of_the_tempered_probability():
    """At a temperature of 5; denser is some thirty times the mass, but at most that of a random state."""
    masses = np.array([0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
    kernel, counts = kernel_of(4, 0.05), np.random.default_rng(1).multinomial(300, np.r_[0.4, np.full(15, 0.04)])
    roots, evidence = posterior(kernel, counts.astype(float), masses[:, None])
    tempered = np.exp((evidence - evidence.max()) / 5)
    tempered /= tempered.sum()
    wanted = tempered / 2
    for mass, probability in zip(masses, tempered, strict=True):
        denser = max(mass, min(30 * mass, 1.0))
        wanted[np.argmin(np.abs(np.log(masses / denser)))] += probability / 2
    estimate, hedged = variational(kernel, counts.astype(float))
    np.testing.assert_allclose(hedged, wanted)
    assert np.sort(hedged)[-2] > 0.02
    root = wanted @ roots
    np.testing.assert_allclose(estimate, root**2 / (root @ root))


@pytest.mark.parametrize(("n", "most", "least"), [(8, 1e5, 1e-9), (16, 1e5, 1e-3), (16, 1e8, 1.0)])
def test_what_rounding_hides_stays_a_number(n, most, least):
    """Strings far below the heaviest, under no noise: a shot divided by what rounding left of them was none."""
    kernel, counts = kernel_of(n, 0.0), np.zeros(1 << n)
    places = np.random.default_rng(3).choice(1 << n, 40, replace=False)
    counts[places] = np.geomspace(most, least, 40)
    estimate, hedged = variational(kernel, counts)
    assert np.isfinite(hedged).all()
    assert np.sqrt(estimate * counts / counts.sum()).sum() ** 2 > 0.98
