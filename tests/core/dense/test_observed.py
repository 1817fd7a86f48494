"""Deconvolution on the strings that were read: the same as on the full vector, and what wide registers gain by it."""

import numpy as np
import pytest

from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.decision.candidates import DENSE, GRID, NAMES, gather
from qcluster.core.decision.decide import distributed
from qcluster.core.dense import observed
from qcluster.core.dense.bitflips import deconvolve
from qcluster.core.dense.observed import deconvolve_observed, redeconvolve
from qcluster.core.mitigate import mitigate


def read(sent: np.ndarray, flips: np.ndarray, lost: float, rng: np.random.Generator) -> Distribution:
    shots = sent ^ (rng.random(sent.shape) < flips)
    blind = rng.random(len(shots)) < lost
    shots[blind] = rng.random((blind.sum(), sent.shape[1])) < 0.48
    return Distribution(shots, np.ones(len(shots)))


def test_with_all_strings_it_is_the_full_deconvolution() -> None:
    rng = np.random.default_rng(1)
    bits = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(bool)
    counts = rng.multinomial(4000, rng.dirichlet(np.full(32, 0.3))) + 1.0
    rates = np.array([0.02, 0.1])
    found, places = deconvolve_observed(bits, counts, rates, 8.0)
    full = deconvolve(counts, np.tile(rates[:, None, None], (1, 5, 2)), np.full(2, 8.0 / 32), steps=40)
    assert places.tolist() == list(range(32))
    np.testing.assert_allclose(found.roots, full.roots, atol=1e-4)
    np.testing.assert_allclose(found.background, full.background, atol=1e-4)
    np.testing.assert_allclose(found.evidence, full.evidence, rtol=1e-5)


@pytest.mark.parametrize(("n_bits", "error"), [(20, 1e-4), (110, 1e-9)])  # in single and in double precision
def test_blocks_of_what_was_read_give_what_all_of_it_gives(
    n_bits: int, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of unequal length, and for resamples of the counts too."""
    rng = np.random.default_rng(n_bits)
    sent = rng.random((5, n_bits)) < 0.5
    held = read(sent[rng.choice(5, 700)], np.full(n_bits, 0.05), 0.1, rng)
    rates = np.array([0.03, 0.16])
    draws = rng.multinomial(700, held.probabilities, size=3).astype(float)
    whole, places = deconvolve_observed(held.bits, held.weights, rates, 5.0)
    again = redeconvolve(held.bits, draws, places, 0.03, 0.1, 24)
    monkeypatch.setattr(observed, "_WHOLE", 100)
    monkeypatch.setattr(observed, "_ROWS", 96)
    assert len(held.bits) % 96
    parted, same = deconvolve_observed(held.bits, held.weights, rates, 5.0)
    assert same.tolist() == places.tolist()
    np.testing.assert_allclose(parted.roots, whole.roots, atol=error)
    np.testing.assert_allclose(parted.background, whole.background, atol=error)
    np.testing.assert_allclose(parted.evidence, whole.evidence, rtol=1e-2 * error)
    np.testing.assert_allclose(redeconvolve(held.bits, draws, places, 0.03, 0.1, 24), again, atol=error)


def many_strings(n_bits: int, lost: float) -> tuple[Distribution, Distribution]:
    """Counts of 80 strings, and their ideal."""
    rng = np.random.default_rng(n_bits)
    strings, weights = rng.random((80, n_bits)) < 0.5, rng.dirichlet(np.ones(80))
    counts = read(strings[rng.choice(80, 6000, p=weights)], rng.uniform(0.02, 0.06, n_bits), lost, rng)
    return counts, Distribution(strings, weights)


@pytest.mark.parametrize(("n_bits", "lost"), [(13, 0.1), (16, 0.4)])
def test_wide_outputs_of_many_strings_come_out_far_better(n_bits: int, lost: float) -> None:
    counts, ideal = many_strings(n_bits, lost)
    raw, fixed = hellinger_fidelity(counts, ideal), mitigate(counts)
    assert fixed.applied
    assert hellinger_fidelity(fixed.distribution, ideal) > raw + 0.6 * (1 - raw)


@pytest.mark.parametrize(("n_bits", "lost"), [(13, 0.1), (16, 0.4)])
def test_the_deconvolution_of_many_strings_wins_back_three_quarters(n_bits: int, lost: float) -> None:
    """Each of those that the decision weighs, whatever it makes of them; at seven times the flips, two thirds."""
    counts, ideal = many_strings(n_bits, lost)
    raw, found = hellinger_fidelity(counts, ideal), gather(counts)
    for place in np.flatnonzero(found.present[DENSE:]) + DENSE:
        answer = distributed(counts, found.support.words, found.roots[place] ** 2)
        share = 2 / 3 if GRID[place - DENSE][0] == 0.28 else 0.75
        assert hellinger_fidelity(answer, ideal) > raw + share * (1 - raw), NAMES[place]
    assert found.present[DENSE:].sum() >= 4


@pytest.mark.parametrize("kind", ["porter-thomas", "uniform"])
def test_wide_outputs_without_strings_are_left_alone(kind: str) -> None:
    rng = np.random.default_rng(6)
    p = rng.exponential(size=1 << 13) if kind == "porter-thomas" else np.ones(1 << 13)
    sent = (rng.choice(1 << 13, 6000, p=p / p.sum())[:, None] >> np.arange(13) & 1).astype(bool)
    assert not mitigate(read(sent, np.full(13, 0.03), 0.1, rng)).applied
