"""The product of biased bits, and the single string that it may be, against integrals and known origins."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.prior import ASYMMETRY, LARGEST_DECAY_RATE, LEVEL_RANGE, SPREADS
from qcluster.core.sparse.product import fix_bits, misfit_of_product, product_evidence, single_string


def spread(counts: np.ndarray, n: int) -> Distribution:
    return Distribution(index_bits(np.arange(1 << n), n), counts.astype(float))


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_product_evidence_is_the_integral(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = spread(rng.multinomial(40, np.full(1 << n, 0.5**n)), n)
    grid = (np.arange(4000) + 0.5) / 4000
    total = 0.0
    for bit in range(n):
        ones = float(d.weights @ d.bits[:, bit])
        total += np.log(np.mean(grid**ones * (1 - grid) ** (d.shots - ones)))
    assert product_evidence(d.bits, d.weights)[0] == pytest.approx(total, rel=1e-4)


def test_even_flips_are_a_string_and_wild_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    n, string = 10, np.arange(10) % 2 == 0
    even = rng.random((5000, n)) < 0.25
    wild = rng.random((5000, n)) < rng.uniform(0.02, 0.5, n)
    found = [single_string(flips ^ string, np.ones(5000)) for flips in (even, wild)]
    assert found[0][0].tolist() == string.tolist()
    assert found[0][1] > 2
    assert found[1][1] < 0


@pytest.mark.parametrize("shots", [1.0, 2.0**53, 9e18])
def test_a_single_string_of_any_number_of_shots_has_odds(shots):
    assert np.isfinite(single_string(np.array([[True, False]]), np.array([shots]))[1])


def test_structure_beyond_a_product_is_measured_in_standard_deviations() -> None:
    rng = np.random.default_rng(5)
    product = np.ones(1)
    for one in rng.uniform(0.2, 0.8, 7):
        product = np.kron(product, [1 - one, one])
    scores = []
    for _ in range(200):
        scores.append(misfit_of_product(rng.multinomial(4000, product / product.sum()).astype(float)))
    assert abs(np.mean(scores)) < 0.5
    assert 0.7 < np.std(scores) < 1.5
    assert misfit_of_product(4000 * (0.8 * product + 0.2 * np.eye(128)[5])) > 5


def alike(rates: np.ndarray, shots: float) -> float:
    """Log density of rates about one level, spread by spread and term by term."""
    if not len(rates):
        return 0.0
    levels = []
    for spread_of_logs in SPREADS:
        variance = spread_of_logs**2 + (1 - rates) / (rates * shots)
        total, centre = (1 / variance).sum(), (np.log(rates) / variance).sum() / (1 / variance).sum()
        scatter = ((np.log(rates) - centre) ** 2 / variance).sum()
        level = 0.5 * np.log(2 * np.pi / total) - np.log(np.log(LEVEL_RANGE[1] / LEVEL_RANGE[0]))
        levels.append(-0.5 * np.log(2 * np.pi * variance).sum() - 0.5 * scatter + level - np.log(rates).sum())
    return float(np.logaddexp.reduce(levels) - np.log(len(SPREADS)))


@given(st.integers(1, 9), st.integers(20, 5000), st.integers(0, 2**32 - 1))
def test_the_odds_of_a_string_are_those_of_every_threshold_by_itself(n: int, shots: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ones = rng.binomial(shots, rng.random(n) ** rng.choice([1, 3]))
    bits = np.arange(shots)[:, None] < ones
    up, down = (ones + 0.5) / (shots + 1), (shots - ones + 0.5) / (shots + 1)
    order = np.argsort(-up, kind="stable")
    logs, strings = [], []
    for k in range(n + 1):
        falls, rises = down[order[:k]], up[order[k:]]
        both = np.append(falls, rises)
        alike_read = 0 < k < n and up[order[k - 1]] == up[order[k]]
        if alike_read or (falls >= LARGEST_DECAY_RATE).any() or (rises >= 0.5).any() or both.mean() > 0.45:
            continue
        log = alike(both, shots)
        if 0 < k < n:
            apart = np.logaddexp(alike(falls, shots), -k * np.log(LARGEST_DECAY_RATE)) - np.log(2) + alike(rises, shots)
            apart -= 0.5 * (np.log(falls.mean() / max(rises.mean(), LEVEL_RANGE[0])) / ASYMMETRY) ** 2
            log = np.logaddexp(apart, log) - np.log(2)
        logs.append(log)
        strings.append(np.isin(np.arange(n), order[:k]))
    free, flips = [], np.minimum(up, down)
    surest = np.argsort(flips, kind="stable")
    for k in range(n):
        widths = np.array([0.007, 0.02, 0.06])[:, None] ** 2 + 0.25 / shots
        near_even = np.exp(-0.5 * (up[surest[k:]] - 0.5) ** 2 / widths) / np.sqrt(2 * np.pi * widths)
        bias = np.log(np.mean(np.prod(0.8 + 0.2 * near_even, axis=1)))
        free.append(bias + alike(flips[surest[:k]], shots) - k * np.log(2) - np.log(comb(n, k)))
    against = n * np.log(2) + np.logaddexp.reduce(free) - np.log(n) + n * np.log(2) * bool((up < 0.5).all())
    string, odds = single_string(bits, np.ones(shots))
    if logs:
        assert odds == pytest.approx(np.logaddexp.reduce(logs) - against, rel=1e-6, abs=1e-6)
        assert string.tolist() == strings[int(np.argmax(logs))].tolist()
    else:
        assert odds == -np.inf


@given(st.integers(2, 20), st.integers(0, 2**32 - 1))
def test_fixed_bits_are_set_whatever_they_are_called_or_read_as(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, weights = rng.random((50, n)) < rng.beta(0.5, 0.5, n), rng.integers(1, 9, 50).astype(float)
    fixed, order, mask = fix_bits(bits, weights), rng.permutation(n), rng.random(n) < 0.5
    np.testing.assert_array_equal(fix_bits(bits[:, order], weights), fixed[:, order])
    np.testing.assert_array_equal(fix_bits(bits ^ mask, weights), fixed ^ mask)
    touched = (fixed != bits).any(axis=0)
    rarer = np.minimum(weights @ bits, weights @ ~bits)
    assert not touched.any() or rarer[touched].max() < rarer[~touched & (rarer > 0)].min(initial=np.inf)


def test_fixed_bits_lose_their_errors_and_free_ones_keep_what_was_read() -> None:
    rng = np.random.default_rng(7)
    n, free = 30, np.array([3, 11, 17])
    sent = np.tile(rng.random(n) < 0.5, (4000, 1))
    sent[:, free] = rng.random((4000, 3)) < 0.4
    read = sent ^ (rng.random((4000, n)) < rng.uniform(0.01, 0.08, n))
    fixed = fix_bits(read, np.ones(4000))
    np.testing.assert_array_equal(fixed[:, free], read[:, free])
    others = np.setdiff1d(np.arange(n), free)
    np.testing.assert_array_equal(fixed[:, others], sent[:, others])


@pytest.mark.parametrize(
    "bits", [[[0, 0], [1, 1]], [[0, 1, 0]], [[0], [1]], [[0, 1], [1, 0]], [[0, 1] * 7, [1, 0] * 7]]
)
@pytest.mark.parametrize("weight", [7.0, 0.1, 1 / 3])
def test_where_all_bits_are_alike_none_is_fixed(bits: list[list[int]], weight: float) -> None:
    read = np.array(bits, dtype=bool)
    for weights in (np.full(len(read), weight), weight * np.arange(1, len(read) + 1)):
        np.testing.assert_array_equal(fix_bits(read, weights), read)


def test_bits_that_are_alike_but_for_the_order_of_a_sum_are_alike() -> None:
    weights = np.random.default_rng(0).random(100)
    read = np.vstack([np.zeros((50, 14), dtype=bool), np.ones((50, 14), dtype=bool)]) ^ (np.arange(14) % 2 > 0)
    np.testing.assert_array_equal(fix_bits(read, weights), read)
