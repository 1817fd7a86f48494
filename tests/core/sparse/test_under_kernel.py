"""Strings seen through a kernel: their weights against a grid, likelihoods by loops, costs against the formula."""

from math import comb, log

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits, pack
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.under_kernel import FewStrings, weigh_prefixes
from tests.core.noise.oracle_circuit import noisy_distribution, random_faults

N = 4
SENT = np.array([3, 12, 9])
WORDS = pack(index_bits(SENT, N))
FAULTS = random_faults(N, np.random.default_rng(5), rate=0.03, readout=0.04)
KERNEL = Kernel.of(FAULTS)


@pytest.fixture(scope="module")
def counts():
    ideal = np.zeros(1 << N)
    ideal[SENT] = 0.5, 0.3, 0.2
    return np.random.default_rng(6).multinomial(2000, noisy_distribution(ideal, FAULTS)).astype(float)


def level(counts, strings, weights, uniform):
    """Log-likelihood above uniform noise, from the kernel's oracle."""
    ideal = np.full(1 << N, uniform / (1 << N))
    ideal[strings] += weights
    return counts @ np.log(noisy_uniform(ideal, uniform) * (1 << N))


def noisy_uniform(ideal, uniform):
    """Uniform noise is added after the kernel, and does not pass through it."""
    flat = uniform / len(ideal)
    return noisy_distribution(ideal - flat, FAULTS) + flat


@pytest.mark.parametrize("uniform", [None, 0.01])
def test_weights_of_every_length_are_the_most_likely_ones(counts, uniform):
    rows = np.flatnonzero(counts)
    found = weigh_prefixes(KERNEL, SENT, WORDS, rows, counts[rows], np.array([2.0, 1.0, 1.0]), uniform, 800)
    assert [len(few.strings) for few in found] == [1, 2, 3]
    shares = (0.0, 0.004, 0.008, 0.012, 0.02, 0.04) if uniform is None else (uniform,)
    steps = np.arange(0.02, 1, 0.02)
    for k, few in enumerate(found, 1):
        assert set(few.strings) == set(SENT[:k])
        assert few.weights.sum() == pytest.approx(1)
        assert few.uniform == pytest.approx(uniform) or uniform is None
        mine = level(counts, few.strings, few.shares[:-1], few.uniform)
        explained = few.net_log_likelihood * counts.sum() + few.length
        assert explained == pytest.approx(mine, abs=1e-3)
        grid = [np.array(w) for w in ([[1.0]], [[a, 1 - a] for a in steps], [])[k - 1]]
        if k == 3:
            grid = [np.array([a, b, 1 - a - b]) for a in steps for b in steps if a + b < 1]
        best = max(level(counts, SENT[:k], (1 - share) * w, share) for w in grid for share in shares)
        assert explained >= best - 0.01


def test_the_length_is_what_is_asked_for(counts):
    rows, strings = np.flatnonzero(counts), np.arange(1 << N)
    given = KERNEL, strings, strings.astype(np.uint64)[:, None], rows, counts[rows], np.ones(1 << N), None, 5
    every = weigh_prefixes(*given)
    assert [len(few.strings) for few in every] == [*range(1, 13), 14, 16]
    two = weigh_prefixes(*given, lengths=(2, 14))
    for few, same in zip(two, (every[1], every[12], every[13]), strict=True):
        assert few.net_log_likelihood == pytest.approx(same.net_log_likelihood, rel=1e-5)
        np.testing.assert_allclose(few.weights, same.weights, atol=1e-5)


def test_a_few_strings_and_their_vectors():
    sent = np.array([9, 3, 12])
    words = sent[:, None].astype(np.uint64)
    few = FewStrings(sent, np.array([0.1, 0.5, 0.2]), 0.2, KERNEL, words, 0.0, 0.0).sorted()
    assert few.strings.tolist() == few.words[:, 0].tolist() == [3, 12, 9]
    assert few.weights == pytest.approx([0.625, 0.25, 0.125])
    assert few.shares == pytest.approx([0.5, 0.2, 0.1, 0.2])
    pure = np.zeros(1 << N)
    pure[[3, 12, 9]] = 0.625, 0.25, 0.125
    np.testing.assert_allclose(few.noiseless, pure)
    np.testing.assert_allclose(few.ideal, 0.8 * pure + 0.2 / 16)
    read = np.random.default_rng(0).random(16)
    assert few.fidelity(read) == pytest.approx(np.sqrt(pure * read / read.sum()).sum() ** 2)


def test_weights_of_redrawn_shots_are_those_of_a_refit(counts):
    """The response takes one Newton step; EM from the start goes all the way."""
    rows = np.flatnonzero(counts)

    def fitted(shots):
        (found,) = weigh_prefixes(KERNEL, SENT, WORDS, rows, shots, np.ones(3), None, 3000, lengths=())
        return found

    few = fitted(counts[rows])
    draws = np.random.default_rng(1).multinomial(2000, counts[rows] / 2000, 20).astype(float)
    moved = few.response(rows, counts[rows]).reweighted(draws)
    refits = []
    for draw in draws:
        again = fitted(draw)
        refits.append(again.weights[np.argsort(again.strings)][np.argsort(np.argsort(few.strings))])
    spread = np.std(refits, axis=0)
    assert (spread > 0.005).all()
    assert np.abs(moved - refits).max() < 0.25 * spread.min()
    np.testing.assert_allclose(np.std(moved, axis=0), spread, rtol=0.1)


def test_costs_add_up_by_the_distance_to_the_nearest_earlier_string(counts):
    sent = np.array([0, 7, 9, 2, 15])
    bits, expected, rows = index_bits(sent, N), [0.0], np.flatnonzero(counts)
    for k in range(1, 5):
        d = min(int((bits[k] != bits[j]).sum()) for j in range(k))
        expected.append(expected[-1] + 0.5 * log(2000) + log(comb(N, d)) + log(N))
    found = weigh_prefixes(KERNEL, sent, pack(bits), rows, counts[rows], np.ones(5), None, 1)
    np.testing.assert_allclose([few.length for few in found], expected)
