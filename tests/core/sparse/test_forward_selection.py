"""Steps of forward selection against grids, loops and refits."""

from dataclasses import replace

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.noise.prior import REGIMES
from qcluster.core.sparse.backward_elimination import backward_elimination, deletion_losses, reweigh
from qcluster.core.sparse.forward_selection import (
    best_share,
    joining_gains,
)
from qcluster.core.sparse.model import Model, Rows, lay_out, likelihoods_of
from tests.core.sparse.at_once import select
from tests.core.sparse.test_fit import flipped

N = 8
SENT = index_bits(np.array([3, 97, 200]), N)


@pytest.fixture(scope="module")
def rows() -> Rows:
    read = flipped(SENT, np.array([0.5, 0.3, 0.2]), 6000, 0.05, 0.08, 4)
    return lay_out(read.bits, read.weights)


def fitted(rows: Rows, k: int) -> Model:
    """The strings that were sent, and others to make k."""
    sent = np.vstack([SENT, index_bits(np.array([7, 105, 50, 33]), N)])[:k]
    model = Model(sent, np.full(k, 1 / k), np.full((N, 2), 0.07), REGIMES, 0.1)
    columns = likelihoods_of(rows, model)
    return reweigh(rows, replace(model, likelihoods=columns), 60)


def test_the_best_share_is_that_of_a_grid(rows):
    rng = np.random.default_rng(3)
    total = rng.gamma(2, 1, (1, len(rows.weights))).astype(np.float32)
    columns = total[None] * rng.gamma(0.3, 3, (1, 5, len(rows.weights))).astype(np.float32)
    (shares,), (gains,) = best_share(columns, total, rows.shares, 0.1, rounds=12)
    grid = np.linspace(1e-5, 0.97, 4000)
    for row, share, gain in zip((columns / total - 1)[0], shares, gains, strict=True):
        levels = np.log1p(grid[:, None] * row) @ rows.shares
        assert gain == pytest.approx(levels.max(), abs=1e-4)
        assert share == pytest.approx(grid[levels.argmax()], abs=5e-3)


def test_a_deletion_loses_what_the_likelihood_says(rows):
    model = fitted(rows, 5)
    held = (model.weights * (1 - model.background))[:, None] * model.likelihoods
    weights = (model.weights * (1 - model.background))[None]
    (losses,) = deletion_losses(model.likelihoods[None], weights, model.total[None], rows.shares[None, None])
    for k, loss in enumerate(losses * rows.shots):
        without = np.log(np.maximum(1 - held[k] / model.total, 1e-6)) @ rows.weights
        assert loss == pytest.approx(-without, rel=1e-3, abs=1e-2)


def test_joining_gains_add_up_to_the_likelihood(rows):
    model = (drawn := fitted(rows, 4)).take(drawn.by_weight)
    gains = joining_gains(rows, model, rounds=400)
    for k in range(1, 5):
        alone = reweigh(rows, model.take(slice(k)), 400)
        above_uniform = alone.log_likelihood + rows.shots * rows.log_unit
        assert gains[:k].sum() == pytest.approx(above_uniform, rel=2e-3, abs=0.5)


def test_selection_finds_what_was_sent_and_elimination_keeps_it(rows):
    found = select(rows, 16)
    best = found.models[0]
    assert {tuple(row) for row in SENT.tolist()} <= {tuple(row) for row in best.centroids.tolist()}
    assert not found.dense
    path = backward_elimination(rows, [best])
    assert [len(model.weights) for model in path][-1] == 1
    (three,) = [model for model in path if len(model.weights) == 3] or [path[0].take(path[0].by_weight)]
    assert {tuple(row) for row in three.centroids.tolist()} == {tuple(row) for row in SENT.tolist()}


def test_mixtures_eliminated_at_once_are_those_eliminated_alone(rows):
    begun = [fitted(rows, k) for k in (5, 3, 1)]
    alone = [model for one in begun for model in backward_elimination(rows, [one])]
    for together, model in zip(backward_elimination(rows, begun), alone, strict=True):
        assert (together.centroids == model.centroids).all()
        for name in ("weights", "background", "log_likelihood", "total", "likelihoods"):
            np.testing.assert_allclose(getattr(together, name), getattr(model, name), rtol=1e-10, atol=1e-12)


def test_porter_thomas_counts_are_dense():
    rng = np.random.default_rng(0)
    shots = rng.multinomial(5000, rng.dirichlet(np.ones(1 << N))).astype(float)
    read = lay_out(index_bits(np.flatnonzero(shots), N), shots[shots > 0])
    assert select(read, 16).dense


def test_heavy_noise_leaves_what_was_sent_among_the_candidates():
    """At 35% flips the strings sent are not the frequent ones; the smoothed counts peak near them."""
    met = 0
    for seed in range(6):
        sent = np.random.default_rng(seed).random((2, 10)) < 0.5
        read = flipped(sent, np.ones(2) / 2, 20_000, 0.35, 0.35, seed)
        found = lay_out(read.bits, read.weights).candidates[0][:32]
        met += sum(bool((found == one).all(axis=1).any()) for one in sent)
    assert met >= 11
