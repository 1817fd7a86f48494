"""EM over weights against loops, grids and the conditions of a maximum, in both precisions."""

import numpy as np
import pytest

from qcluster.core.sparse.weights import LEAST_BACKGROUND, fit_weights


def slow_em(columns, shares, weights, background, rounds):
    """String by string."""
    for _ in range(rounds):
        sent, lost = np.zeros(len(weights)), 0.0
        for column, share in zip(columns.T, shares, strict=True):
            parts = weights * column
            total = parts.sum() + background
            sent += share * parts / total
            lost += share * background / total
        weights, background = sent, lost
    return weights, background


def drawn(seed, k=3, u=40):
    """Columns of k strings, in units of the uniform probability, and shares of shots that mix them."""
    rng = np.random.default_rng(seed)
    columns = rng.dirichlet(np.full(u, 0.3), k) * u
    mixed = rng.dirichlet(np.ones(k)) * 0.8 @ columns + 0.2
    counts = rng.multinomial(5000, mixed / u)
    return columns, counts / counts.sum()


@pytest.mark.parametrize(("kind", "close"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@pytest.mark.parametrize("rounds", [0, 1, 12])
def test_a_round_is_one_of_plain_em(kind, close, rounds):
    columns, shares = drawn(1)
    start = np.array([[0.2, 0.3, 0.4], [0.5, 0.1, 0.1]])
    weights, background, total = fit_weights(
        columns.astype(kind), shares.astype(kind), start.astype(kind), 1 - start.sum(axis=1), rounds
    )
    assert weights.dtype == total.dtype == kind
    for mixture in range(2):
        wanted, lost = slow_em(columns, shares, start[mixture], 1 - start[mixture].sum(), rounds)
        np.testing.assert_allclose(weights[mixture], wanted, atol=close)
        assert background[mixture] == pytest.approx(lost, abs=close)
        np.testing.assert_allclose(total[mixture], wanted @ columns + lost, rtol=20 * close)


@pytest.mark.parametrize("seed", range(3))
def test_it_ends_where_no_grid_is_likelier(seed):
    columns, shares = drawn(seed, k=2)
    (weights,), (background,), (total,) = fit_weights(columns, shares, np.full((1, 2), 1 / 3), np.array([1 / 3]), 2000)
    steps = np.arange(0, 1.0001, 0.02)
    grid = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1])
    levels = np.log(np.maximum(grid @ np.vstack([columns, np.ones(40)]), 1e-300)) @ shares
    assert np.log(total) @ shares >= levels.max()
    np.testing.assert_allclose([*weights, background], grid[int(np.argmax(levels))], atol=0.021)
    # Karush-Kuhn-Tucker: sum_y W P(y|c) / P(y) is 1 where a weight is above zero, and no more elsewhere
    slopes = columns @ (shares / total)
    assert (slopes <= 1 + 1e-4).all()
    np.testing.assert_allclose(slopes[weights > 1e-3], 1, atol=1e-3)


def test_mixtures_of_strings_of_their_own_are_fitted_side_by_side():
    sets = [drawn(seed) for seed in range(4)]
    shares = sets[0][1]
    columns = np.stack([columns for columns, _ in sets])
    start, background = np.full((4, 1, 3), 0.3), np.full((4, 1), 0.1)
    together = fit_weights(columns, shares, start, background, 9)
    for place in range(4):
        alone = fit_weights(columns[place], shares, start[place], background[place], 9)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[place], other, rtol=1e-12)


def test_no_uniform_noise_stays_none_and_a_little_does_not_vanish():
    columns, shares = np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([0.6, 0.4])
    start = np.array([[0.5, 0.5], [0.25, 0.25]])
    weights, background, _ = fit_weights(columns, shares, start, np.array([0.0, 0.5]), 300)
    assert background[0] == 0
    np.testing.assert_allclose(weights[0], [0.6, 0.4])
    assert background[1] >= LEAST_BACKGROUND
    np.testing.assert_allclose(weights.sum(axis=1) + background, 1, rtol=1e-5)
