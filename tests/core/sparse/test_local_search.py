"""Moves of strings: none lengthens the description, and each finds what it is for."""

from itertools import combinations
from math import log

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.mitigate import mitigate
from qcluster.core.noise.prior import REGIMES
from qcluster.core.sparse.description_length import description_length
from qcluster.core.sparse.fit import fit_mixture
from qcluster.core.sparse.local_search import (
    _MARGIN,
    _log_density,
    _log_evidence,
    _logits,
    conditional_log_likelihood,
    radius_levels,
    ring_gain,
    split_bits,
    within_two,
)
from qcluster.core.sparse.model import Model, Prior, lay_out, likelihoods
from qcluster.core.sparse.thinning import on_all_strings
from tests.core.sparse.at_once import fit, local_search, relocate, ring
from tests.core.sparse.test_fit import flipped, model_of

PRIOR = Prior(30.0)


def start_at(sent: np.ndarray) -> Model:
    k, n = sent.shape
    return Model(sent, np.full(k, 1 / k), np.full((n, 2), 0.08), REGIMES, 0.05)


@pytest.mark.parametrize("seed", range(4))
def test_moves_never_lengthen_the_description(seed):
    read = flipped(np.random.default_rng(seed).random((3, 9)) < 0.5, np.full(3, 1 / 3), 3000, 0.06, 0.1, seed)
    rows = lay_out(read.bits, read.weights)
    before = fit(rows, model_of(9, 3, seed), PRIOR, 10)
    for after in (relocate(rows, before, PRIOR, 10), local_search(rows, before, PRIOR, 16)):
        assert description_length(rows, after) <= description_length(rows, before)


def test_an_exchange_finds_the_string_that_is_missing():
    sent = index_bits(np.array([5, 130, 77]), 8)
    read = flipped(sent, np.full(3, 1 / 3), 4000, 0.04, 0.06, 1)
    rows = lay_out(read.bits, read.weights)
    wrong = fit(rows, start_at(index_bits(np.array([5, 130, 200]), 8)), PRIOR, 10)
    found = local_search(rows, wrong, PRIOR, 16)
    assert {tuple(row) for row in sent.tolist()} <= {tuple(row) for row in found.centroids.tolist()}


def test_a_centroid_moves_to_where_its_shots_are():
    sent = np.zeros((1, 8), dtype=bool)
    read = flipped(sent, np.ones(1), 3000, 0.05, 0.05, 2)
    rows = lay_out(read.bits, read.weights)
    beside = fit(rows, start_at(np.eye(8, dtype=bool)[:1]), PRIOR, 0)
    assert not relocate(rows, beside, PRIOR, 10).centroids.any()


def test_centroids_that_move_to_one_string_are_pooled():
    read = flipped(np.zeros((1, 8), dtype=bool), np.ones(1), 3000, 0.05, 0.05, 2)
    rows = lay_out(read.bits, read.weights)
    beside = fit(rows, start_at(np.eye(8, dtype=bool)[:2]), PRIOR, 0)
    found = relocate(rows, beside, PRIOR, 10)
    assert found.centroids.tolist() == [[False] * 8]
    assert found.weights.tolist() == pytest.approx([1.0])


def test_bits_are_split_where_the_rates_are_alike():
    """Two groups of rates: a threshold between them, wherever the majority lies."""
    ones = np.array([0.04, 0.05, 0.03, 0.06, 0.42, 0.45, 0.48, 0.55, 0.6])
    assert split_bits(ones, np.full(9, 2000.0)).tolist() == [False] * 4 + [True] * 5
    assert split_bits(np.full(9, 0.05), np.full(9, 2000.0)).tolist() == [False] * 9


def test_the_majority_of_each_bit_is_left_for_a_threshold_of_far_more_evidence_alone():
    """Thresholds may turn bits that are 1 in more than 30% of the shots."""
    near = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ones, precision = np.append(rng.uniform(0.02, 0.1, 5), rng.uniform(0.2, 0.8, 3)), np.full(8, 500.0)
        logit, noise = _logits(ones, precision)
        majority = ones > 0.5
        others = [ones >= least for least in ones if 0.3 < least <= 0.5]
        scores = [_log_evidence(logit, noise, other) - _log_evidence(logit, noise, majority) for other in others]
        best = int(np.argmax(scores)) if scores else None
        wanted = majority if best is None or scores[best] <= _MARGIN else others[best]
        near += best is not None and 0 < scores[best] <= _MARGIN
        np.testing.assert_array_equal(split_bits(ones, precision), wanted)
    assert near >= 3


@pytest.mark.parametrize("k", [1, 2, 7])
def test_logits_about_an_unknown_mean_are_normal(k):
    rng = np.random.default_rng(k)
    centred, noise = rng.normal(0, 1, k), rng.uniform(0.01, 0.5, k)
    covariance = np.diag(0.5**2 + noise) + 1.0  # a common mean, drawn from N(0, 1)
    wanted = multivariate_normal(np.zeros(k), covariance).logpdf(centred)
    assert _log_density(centred, noise, 0.5) == pytest.approx(wanted)


@pytest.mark.parametrize("n", [6, 10])
def test_a_ring_is_weighed_on_all_strings_within_two_bits_of_its_centre(n):
    """Those that were never read count as well, where a register is listed whole and where it is not."""
    ring_of, string = np.eye(n, dtype=bool), np.zeros((1, n), dtype=bool)
    read = flipped(np.vstack([ring_of, string]), np.append(np.full(n, 0.7 / n), 0.3), 1500, 0.03, 0.04, 3)
    pairs = [ring_of[i] | ring_of[j] for i in range(n) for j in range(i)]
    rows, ball = lay_out(read.bits, read.weights), np.vstack([string, ring_of, pairs])
    models = [fit(rows, start_at(sent), PRIOR, 10) for sent in (string, ring_of)]
    near = rows.bits.sum(axis=1) <= 2
    shots, levels = rows.weights[near].sum(), []
    for model in models:
        whole = on_all_strings(ball, np.ones(len(ball)), model, 0).total.astype(float)
        probability = dict(zip(map(bytes, ball), whole / whole.sum(), strict=True))
        parts = zip(rows.bits[near], rows.weights[near], strict=True)
        levels.append(sum(weight * log(probability[bytes(row)]) for row, weight in parts if weight))
    wanted = levels[1] - levels[0] - log(n + 1) - 0.5 * log(shots)
    assert ring_gain(rows, *models, string[0]) == pytest.approx(wanted, rel=1e-4, abs=1e-2)


@pytest.mark.parametrize(("kind", "is_ring"), [("ring", True), ("string", False)])
def test_a_ring_is_told_from_its_centre(kind, is_ring):
    n = 7
    sent = np.eye(n, dtype=bool) if kind == "ring" else np.zeros((1, n), dtype=bool)
    read = flipped(sent, np.full(len(sent), 1 / len(sent)), 6000, 0.03, 0.04, 3)
    rows = lay_out(read.bits, read.weights)
    centre = fit(rows, start_at(np.zeros((1, n), dtype=bool)), PRIOR, 20)
    assert (ring(rows, centre, PRIOR, 30) is not None) == is_ring


@pytest.mark.parametrize("radius", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("n", "rises", "falls"), [(12, 0.01, 0.05), (16, 0.05, 0.1), (28, 0.005, 0.3), (100, 0.01, 0.02)]
)
def test_the_distances_from_a_centre_tell_how_many_bits_were_sent_as_1(n, rises, falls, radius):
    rng = np.random.default_rng([n, radius])
    sent = rng.permuted(np.tile(np.arange(n) < radius, (4096, 1)), axis=1)
    read = sent ^ (rng.random(sent.shape) < np.where(sent, falls, rises))
    read[:400] = rng.random((400, n)) < 0.5
    counts = Distribution(read, np.ones(len(read)))
    levels = radius_levels(lay_out(counts.bits, counts.weights), np.zeros(n, dtype=bool))
    assert np.argmax(levels) == radius - 1
    assert np.sort(levels)[-2] < levels.max() - 10


@pytest.mark.parametrize("seed", range(6))
def test_w_states_under_heavy_noise_of_uneven_rates_are_not_taken_for_dicke_states(seed):
    """Distances scatter less under rates that differ between bits than under equal ones, and so they do if more bits
    were sent as 1."""
    rng = np.random.default_rng([28, seed])
    rises, falls = 0.05 * rng.lognormal(0, 0.5, 28), 0.2 * rng.lognormal(0, 0.375, 28)
    ideal = Distribution(np.eye(28, dtype=bool), np.ones(28))
    sent = ideal.bits[rng.integers(28, size=4096)]
    counts = Distribution(sent ^ (rng.random(sent.shape) < np.where(sent, falls, rises)), np.ones(4096))
    assert hellinger_fidelity(mitigate(counts).distribution, ideal) > hellinger_fidelity(counts, ideal) + 0.5


@pytest.mark.parametrize(
    ("n", "rises", "falls"), [(12, 0.005, 0.1), (16, 0.005, 0.1), (16, 0.05, 0.1), (28, 0.01, 0.05)]
)
def test_dicke_states_are_not_taken_for_w_states(n, rises, falls):
    """A ring of strings with a single 1 explains the shots near its centre better than a single string does."""
    rng = np.random.default_rng(n)
    for ones in (1, 2):
        strings = np.array([np.isin(np.arange(n), on) for on in combinations(range(n), ones)])
        ideal = Distribution(strings, np.ones(len(strings)))
        sent = strings[rng.integers(len(strings), size=4096)]
        counts = Distribution(sent ^ (rng.random(sent.shape) < np.where(sent, falls, rises)), np.ones(4096))
        gain = hellinger_fidelity(mitigate(counts).distribution, ideal) - hellinger_fidelity(counts, ideal)
        assert gain > (0.0 if ones == 1 and n > 12 else -0.05)


@pytest.mark.parametrize("seed", range(4))
def test_the_probability_within_two_bits_is_the_sum_over_these_strings(seed):
    rng = np.random.default_rng(seed)
    sent, centre, odds = rng.random((5, 7)) < 0.5, rng.random(7) < 0.5, rng.uniform(0.01, 2.0, (7, 2))
    model = Model(sent, rng.dirichlet(np.ones(5)), odds, rng.dirichlet(np.ones(len(REGIMES))), 0.2)
    all_strings = index_bits(np.arange(1 << 7), 7)
    near = all_strings[(all_strings ^ centre).sum(axis=1) <= 2]
    total = on_all_strings(near, np.ones(len(near)), model, 0).total
    assert len(near) == 1 + 7 + 21
    assert within_two(model, centre, 7 * np.log(2)) == pytest.approx(total.sum(), rel=1e-6)


def test_the_conditional_log_likelihood_is_that_of_a_loop():
    read = flipped(np.eye(5, dtype=bool)[:2], np.ones(2) / 2, 500, 0.05, 0.05, 3)
    rows = lay_out(read.bits, read.weights)
    model = fit(rows, start_at(np.eye(5, dtype=bool)[:2]), PRIOR, 5)
    some = rows.weights > np.median(rows.weights)
    p = model.total[some].astype(float)
    wanted = sum(w * np.log(one / p.sum()) for w, one in zip(rows.weights[some], p, strict=True))
    assert conditional_log_likelihood(rows, model, some) == pytest.approx(wanted)


def test_a_ring_is_weighed_on_the_strings_read_alone(monkeypatch):
    """A GHZ state of 896 bits took 47 s: its ring has 896 members, with 400,000 strings around them."""
    strings = []

    def counted(rows, layout, theta, out=None):
        strings.append(len(rows.weights))
        return likelihoods(rows, layout, theta, out)

    for module in ("model", "em"):
        monkeypatch.setattr(f"qcluster.core.sparse.{module}.likelihoods", counted)
    read = flipped(np.eye(120, dtype=bool), np.full(120, 1 / 120), 400, 0.005, 0.0, 1)
    assert len(fit_mixture(read.bits, read.weights).weights) == 120
    assert max(strings) == len(read.weights) < 1 + 120 + 120 * 119 / 2
