"""Responses against refits of every resample, with the choices held."""

from dataclasses import replace

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.dense.variational import Redrawn, variational
from qcluster.core.estimators.q_cluster import q_cluster
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.fit import fit_mixture
from qcluster.core.sparse.model import Model, Prior, lay_out
from qcluster.core.uncertainty.response import column_response, flip_response, sampled_hypotheses
from tests.core.noise.oracle_circuit import random_faults
from tests.core.sparse.at_once import fit
from tests.core.sparse.test_fit import flipped

N = 6


@pytest.fixture(scope="module")
def read() -> Distribution:
    return flipped(index_bits(np.array([3, 12, 40]), N), np.array([0.5, 0.3, 0.2]), 3000, 0.05, 0.08, 7)


def test_one_newton_step_moves_as_refits_do(read):
    """Weights, rates and background are refitted by EM for each resample; a step must scatter alike and together."""
    found = fit_mixture(read.bits, read.weights)
    assert len(found.weights) == 3
    strings = flip_response(read, found.centroids, found.weights, found.background, found.rates)
    rng = np.random.default_rng(1)
    draws = rng.multinomial(3000, read.probabilities, 60).astype(float)
    stepped = strings.reweighted(draws)
    odds, plain = found.rates / (1 - found.rates), np.array([1e-9, 1e-9, 1.0, 1e-9])
    start = Model(found.centroids, found.weights, odds, plain / plain.sum(), found.background)
    refits = []
    for draw in draws:
        seen = draw > 0
        again = fit(lay_out(read.bits[seen], draw[seen]), start, Prior(30.0, found.rates), 80)
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

    response = column_response(pack(sent), weigh(read.weights), read.weights, columns)
    draws = rng.multinomial(3000, read.probabilities, 80).astype(float)
    stepped = response.resample(draws, np.zeros(80), lambda words: np.eye(len(words)))
    refitted = np.array([weigh(draw)[:3] / weigh(draw)[:3].sum() for draw in draws])
    np.testing.assert_allclose(stepped.std(axis=0), refitted.std(axis=0), rtol=0.1)
    np.testing.assert_allclose(stepped, refitted, atol=0.01)


def test_flip_rates_are_as_free_as_their_prior_lets_them_be(read):
    """Under a prior of countless shots they stay, and the strings move as under fixed likelihoods."""
    sent, weights, rates = index_bits(np.array([3, 12, 40]), N), np.array([0.5, 0.3, 0.2]), np.full((N, 2), 0.065)
    flips = (read.bits[:, None] != sent[None]).sum(axis=2)
    columns = np.hstack([0.065**flips * 0.935 ** (N - flips), np.full((len(flips), 1), 0.5**N)])
    shares = np.append(0.98 * weights, 0.02)
    draws = np.random.default_rng(6).multinomial(3000, read.probabilities, 20).astype(float)
    fixed = column_response(pack(sent), shares, read.weights, columns).reweighted(draws)
    stiff, loose = (flip_response(read, sent, weights, 0.02, rates, shots).reweighted(draws) for shots in (1e12, 1e-6))
    np.testing.assert_allclose(stiff, fixed, atol=1e-6)
    assert np.abs(loose - fixed).max() > 1e-4


def test_strings_without_weight_get_none(read):
    columns = np.random.default_rng(7).dirichlet(np.ones(4), len(read.weights))
    shares = np.array([0.6, 0.38, 0.0, 0.02])
    response = column_response(pack(index_bits(np.array([3, 12, 40]), N)), shares, read.weights, columns)
    moved = response.reweighted(np.random.default_rng(8).multinomial(3000, read.probabilities, 20).astype(float))
    assert not moved[:, 2].any()
    assert (moved[:, :2] > 0).all()


def test_counts_are_scored_once_for_all_batches_of_resamples(read):
    """The information of 100,000 strings takes a second: it must not be computed again for every few resamples."""
    found = fit_mixture(read.bits, read.weights)
    strings = flip_response(read, found.centroids, found.weights, found.background, found.rates)
    scored = []
    counted = replace(strings, scores=lambda rows: scored.append(rows) or strings.scores(rows))
    draws = np.random.default_rng(4).multinomial(3000, read.probabilities, 9).astype(float)
    first = counted.reweighted(draws[:1])
    once = len(scored)
    rest = np.vstack([counted.reweighted(draw[None]) for draw in draws[1:]])
    assert len(scored) == once
    np.testing.assert_allclose(np.vstack([first, rest]), strings.reweighted(draws), rtol=1e-12)


def test_levels_choose_hypotheses_by_their_probability():
    belief = np.array([0.2, 0.0, 0.5, 0.3])
    chosen = sampled_hypotheses(belief, (np.arange(1000) + 0.5) / 1000)
    np.testing.assert_allclose(np.bincount(chosen, minlength=4) / 1000, belief, atol=2e-3)


def test_held_clusters_give_the_answer_and_follow_the_shots(read):
    rates = np.full((N, 2), 0.06)
    answer, response = q_cluster(read, rates)
    every = pack(index_bits(np.arange(1 << N), N))

    def one_hot(words):
        return (words == every.T).astype(float)

    (same,) = response.resample(read.weights[None], np.zeros(1), one_hot)
    expected = np.zeros(1 << N)
    expected[answer.words[:, 0].astype(int)] = answer.probabilities
    np.testing.assert_allclose(same, expected, atol=1e-12)
    draw = np.random.default_rng(3).multinomial(3000, read.probabilities).astype(float)
    (moved,) = response.resample(draw[None], np.zeros(1), one_hot)
    shares = [draw[response.labels == k].sum() / 3000 for k in range(len(response.weights))]
    kept = dict(zip(map(int, pack(response.centroids)[:, 0]), shares, strict=True))
    for y, shots in zip(read.words[:, 0].tolist(), draw.tolist(), strict=True):
        spread = sum(
            w * 0.06 ** (y ^ c).bit_count() * 0.94 ** (N - (y ^ c).bit_count())
            for c, w in list(kept.items())[: len(shares)]
        )
        if y not in kept:
            kept[y] = max(0.0, shots / 3000 - spread)
    np.testing.assert_allclose(moved, [kept.get(y, 0.0) / sum(kept.values()) for y in range(1 << N)], atol=1e-12)


def test_deconvolved_answers_move_as_refits_do():
    """Each resample is deconvolved anew, its concentration chosen anew; redraws must scatter alike and together."""
    rng = np.random.default_rng(8)
    kernel = Kernel.of(random_faults(N, rng, rate=0.01, readout=0.03))
    noisy = kernel.forward(rng.dirichlet(np.ones(1 << N)))
    counts = rng.multinomial(4000, noisy / noisy.sum()).astype(float)
    draws = rng.multinomial(4000, counts / counts.sum(), 60).astype(float)
    rows, signs = np.arange(1 << N), rng.choice([-1.0, 1.0], (1 << N, 3))
    response = Redrawn(kernel, rows, variational(kernel, counts)[1])
    levels = rng.permutation((np.arange(60) + 0.5) / 60)
    redrawn = response.resample(draws, levels, lambda words: signs[words[:, 0].astype(int)])
    refitted = np.array([variational(kernel, draw)[0] @ signs for draw in draws])
    np.testing.assert_allclose(redrawn.std(axis=0), refitted.std(axis=0), rtol=0.2)
    for one, other in zip(redrawn.T, refitted.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.95
