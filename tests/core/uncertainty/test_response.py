"""Responses against refits of every resample, with the choices held."""

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.sparse.em import fit
from qcluster.core.sparse.fit import fit_mixture
from qcluster.core.sparse.model import Model, Prior, lay_out
from qcluster.core.uncertainty.response import Strings, Weighed, believed
from tests.core.sparse.test_fit import flipped

N = 6


@pytest.fixture(scope="module")
def read() -> Distribution:
    return flipped(index_bits(np.array([3, 12, 40]), N), np.array([0.5, 0.3, 0.2]), 3000, 0.05, 0.08, 7)


def test_one_newton_step_moves_as_refits_do(read):
    """Weights, rates and background are refitted by EM for each resample; a step must scatter alike and together."""
    found = fit_mixture(read.bits, read.weights)
    assert len(found.weights) == 3
    strings = Strings(read, found.centroids, found.weights, found.background, found.rates)
    rng = np.random.default_rng(1)
    draws = rng.multinomial(3000, read.probabilities, 60).astype(float)
    stepped = strings.reweighted(draws)
    odds, plain = found.rates / (1 - found.rates), np.array([1e-9, 1e-9, 1.0, 1e-9])
    start = Model(found.centroids, found.weights, odds, plain / plain.sum(), found.background)
    refits = []
    for draw in draws:
        seen = draw > 0
        again = fit(lay_out(read.bits[seen], draw[seen]), start, Prior(30.0, found.rates), 80, tolerance=1e-10)
        refits.append(again.weights)
    refitted = np.array(refits)
    np.testing.assert_allclose(stepped.std(axis=0), refitted.std(axis=0), rtol=0.15)
    for one, other in zip(stepped.T, refitted.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.97
    np.testing.assert_allclose(stepped.sum(axis=1), 1)


def test_weights_under_given_likelihoods_move_as_refits_do(read):
    rng, rate = np.random.default_rng(2), 0.065
    sent = index_bits(np.array([3, 12, 40]), N)
    flips = (read.bits[:, None] != sent[None]).sum(axis=2)
    columns = np.hstack([rate**flips * (1 - rate) ** (N - flips), np.full((len(flips), 1), 0.5**N)])

    def weigh(counts):
        shares = np.full(4, 0.25)
        for _ in range(300):
            shares = shares * (columns.T @ (counts / (columns @ shares))) / counts.sum()
        return shares

    response = Weighed(read.weights, columns, weigh(read.weights), pack(sent))
    draws = rng.multinomial(3000, read.probabilities, 80).astype(float)
    stepped = response.redo(draws, np.zeros(80), lambda words: np.eye(len(words)))
    refitted = np.array([weigh(draw)[:3] / weigh(draw)[:3].sum() for draw in draws])
    np.testing.assert_allclose(stepped.std(axis=0), refitted.std(axis=0), rtol=0.1)
    np.testing.assert_allclose(stepped, refitted, atol=0.01)


def test_levels_choose_hypotheses_by_their_probability():
    belief = np.array([0.2, 0.0, 0.5, 0.3])
    chosen = believed(belief, (np.arange(1000) + 0.5) / 1000)
    np.testing.assert_allclose(np.bincount(chosen, minlength=4) / 1000, belief, atol=2e-3)
