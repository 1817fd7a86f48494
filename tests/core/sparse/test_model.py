"""The likelihood of the mixture against loops over strings, bits and regimes, and as a probability distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcluster.core.counts.bits import index_bits
from qcluster.core.noise.prior import TILTS
from qcluster.core.sparse.model import Layout, component_shares, distances, lay_out, likelihoods, marginal, parameters
from tests.core.sparse.test_fit import model_of


def slow_likelihood(row, centroid, odds, regimes) -> float:
    """P(y|c): a sum over regimes of a product over bits."""
    total = 0.0
    for tilt, share in zip(TILTS, regimes, strict=True):
        chance = 1.0
        for read, sent, pair in zip(row, centroid, odds, strict=True):
            tilted = pair[int(sent)] * tilt
            chance *= tilted / (1 + tilted) if read != sent else 1 / (1 + tilted)
        total += share * chance
    return total


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(1, 4), st.booleans(), st.integers(0, 2**16))
def test_every_likelihood_is_that_of_the_formula(n, k, common, seed):
    models = [model_of(n, k, seed), model_of(n, 2, seed + 1)]
    every = index_bits(np.arange(1 << n), n)
    rows = lay_out(every, np.ones(len(every)))
    layout, theta = Layout.stacked(rows, models), parameters(models, common)
    found, _ = likelihoods(rows, layout, theta)
    for c, owner in enumerate(layout.owner):
        odds = np.broadcast_to(theta.odds[owner], 2 * n).reshape(2, n).T
        wanted = [slow_likelihood(row, layout.sent[c], odds, theta.regimes[owner]) for row in rows.bits]
        np.testing.assert_allclose(found[c] * np.exp(-rows.log_unit), wanted, rtol=2e-4)


@settings(max_examples=20)
@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 2**16))
def test_probabilities_of_all_strings_sum_to_one(n, k, seed):
    models = [model_of(n, k, seed)]
    every = index_bits(np.arange(1 << n), n)
    rows = lay_out(every, np.ones(len(every)))
    layout, theta = Layout.stacked(rows, models), parameters(models)
    columns, regime_shares = likelihoods(rows, layout, theta)
    total = marginal(layout, theta, component_shares(layout, theta), columns)
    assert float(total.sum() * np.exp(-rows.log_unit)) == pytest.approx(1, rel=1e-4)
    assert component_shares(layout, theta).sum() + theta.background[0] == pytest.approx(1)
    np.testing.assert_allclose(regime_shares.sum(axis=1), 1, rtol=1e-9)


def test_distances_are_numbers_of_bits():
    rng = np.random.default_rng(1)
    read, sent = rng.random((20, 11)) < 0.5, rng.random((3, 11)) < 0.5
    np.testing.assert_array_equal(
        distances(lay_out(read, np.ones(20)), sent), (read[None] != sent[:, None]).sum(axis=2)
    )
