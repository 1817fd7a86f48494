"""Moves of strings: none lengthens the description, and each finds what it is for."""

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.noise.prior import REGIMES
from qcluster.core.sparse.description_length import description_length
from qcluster.core.sparse.fit import fit_mixture
from qcluster.core.sparse.local_search import conditional_log_likelihood, split_bits, within_two
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


@pytest.mark.parametrize(("kind", "is_ring"), [("ring", True), ("string", False)])
def test_a_ring_is_told_from_its_centre(kind, is_ring):
    n = 7
    sent = np.eye(n, dtype=bool) if kind == "ring" else np.zeros((1, n), dtype=bool)
    read = flipped(sent, np.full(len(sent), 1 / len(sent)), 6000, 0.03, 0.04, 3)
    rows = lay_out(read.bits, read.weights)
    centre = fit(rows, start_at(np.zeros((1, n), dtype=bool)), PRIOR, 20)
    assert (ring(rows, centre, PRIOR, 30) is not None) == is_ring


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
