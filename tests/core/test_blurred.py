"""Smooth ideals: posterior roots behind a channel, against draws from the posterior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.blurred import blurred_roots, left_over
from qcluster.core.deconvolve import channel_matrices, deconvolve
from qcluster.core.distribution import Distribution
from qcluster.core.metrics import hellinger_fidelity
from qcluster.core.mitigate import mitigate


@pytest.mark.parametrize("concentration", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_roots_are_those_of_drawn_ideals(concentration: float, rate: float) -> None:
    rng = np.random.default_rng([int(100 * concentration), int(100 * rate)])
    shape = rng.gamma(concentration, 1.0, 16) * 10 + concentration
    drawn = rng.dirichlet(shape, 40_000) @ channel_matrices(np.full((1, 4, 2), rate))[0].T
    roots = np.sqrt(drawn).mean(axis=0)
    (found,) = blurred_roots(shape[None], np.array([rate]))
    roots /= np.sqrt(roots @ roots)
    assert float(found @ roots) > (0.998 if concentration < 0.1 else 0.9999)  # few draws make no Gamma variable
    if concentration > 0.1:
        np.testing.assert_allclose(found, roots, rtol=0.03, atol=0.003)


@given(st.integers(1, 6), st.integers(0, 100))
def test_no_blur_gives_the_roots_of_the_posterior_itself(n_bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(500, rng.dirichlet(np.full(1 << n_bits, 0.3))).astype(float)
    found = deconvolve(counts, np.full((2, n_bits, 2), 0.05), np.array([0.1, 1.0]))
    np.testing.assert_allclose(blurred_roots(found.shapes, np.zeros(2)), found.roots, atol=0.02)


def test_nothing_gives_nothing() -> None:
    assert blurred_roots(np.zeros((0, 8)), np.zeros(0)).shape == (0, 8)


@given(st.floats(0.0, 0.3), st.floats(0.0, 0.3))
def test_rates_follow_each_other(first: float, second: float) -> None:
    whole = first + second - 2 * first * second
    assert left_over(np.array([whole]), second)[0] == pytest.approx(first, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_smooth_output_of_a_good_machine_is_not_sharpened_to_a_few_strings(seed: int) -> None:
    """Ten bits, a thousand shots, an Ising model at high temperature: neighbours are alike, as after flips."""
    rng = np.random.default_rng(seed)
    spins = 1 - 2 * (np.arange(1024)[:, None] >> np.arange(10) & 1)
    energy = np.einsum("yi,ij,yj->y", spins, np.triu(rng.normal(0, 0.2, (10, 10)), 1), spins)
    ideal = np.exp(-energy) / np.exp(-energy).sum()
    read = channel_matrices(np.full((1, 10, 2), 0.01))[0] @ ideal
    bits = (np.arange(1024)[:, None] >> np.arange(10) & 1).astype(bool)
    shots = rng.multinomial(1000, read / read.sum()).astype(float)
    counts, truth = Distribution(bits[shots > 0], shots[shots > 0]), Distribution(bits, ideal)
    assert hellinger_fidelity(mitigate(counts).distribution, truth) > hellinger_fidelity(counts, truth)


@pytest.mark.parametrize("couplings", [0.1, 0.2])
@pytest.mark.parametrize("shots", [1000, 16_384])
def test_a_wide_smooth_output_of_a_good_machine_is_left_nearly_as_it_is(couplings: float, shots: int) -> None:
    """Fourteen bits, beyond the full vector: the counts stand for what was not read."""
    rng = np.random.default_rng(int(100 * couplings))
    bits = (np.arange(1 << 14)[:, None] >> np.arange(14) & 1).astype(bool)
    spins = 1 - 2 * bits.astype(float)
    energy = ((spins @ np.triu(rng.normal(0, couplings, (14, 14)), 1)) * spins).sum(axis=1)
    ideal = np.exp(-energy) / np.exp(-energy).sum()
    drawn = rng.multinomial(shots, ideal).astype(float)
    counts, truth = Distribution(bits[drawn > 0], drawn[drawn > 0]), Distribution(bits, ideal)
    lost = hellinger_fidelity(counts, truth) - hellinger_fidelity(mitigate(counts).distribution, truth)
    assert lost < 0.1
