from dataclasses import replace

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.mitigate import mitigate
from qcluster.core.noise.prior import TILTS
from qcluster.core.sparse.em import solve_odds
from qcluster.core.sparse.fit import MixtureSettings, fit_mixture
from qcluster.core.sparse.model import Prior, lay_out
from tests.core.sparse.at_once import fit, fit_all, refit
from tests.core.sparse.test_fit import flipped, model_of


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("rates", [None, np.full((7, 2), 0.1)])
def test_mixtures_fitted_together_are_those_fitted_alone(common, rates):
    raw = flipped(np.eye(7, dtype=bool)[:3], np.full(3, 1 / 3), 2000, 0.08, 0.15, 3)
    rows, prior = lay_out(raw.bits, raw.weights), Prior(30.0, rates, common)
    models = [model_of(7, k, seed) for seed, k in enumerate((1, 4, 2, 6))]
    for together, model in zip(fit_all(rows, models, prior, 12), models, strict=True):
        alone = fit(rows, model, prior, 12)
        assert (together.centroids == alone.centroids).all()
        assert together.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-5)
        assert together.weights == pytest.approx(alone.weights, abs=2e-3)
        assert together.odds == pytest.approx(alone.odds, rel=0.02)


def test_one_rate_is_that_of_the_flips():
    string = np.array([[True, False] * 5])
    raw = flipped(string, np.ones(1), 20_000, 0.12, 0.12, 8)
    model = model_of(10, 1, 1)
    start = type(model)(string, np.ones(1), model.odds, np.array([0.001, 0.001, 0.997, 0.001]), 0.01)
    found = fit(lay_out(raw.bits, raw.weights), start, Prior(1.0, None, True), 60)
    assert np.unique(found.odds).size == 1
    assert found.rates().mean() == pytest.approx(0.12, abs=0.01)


def test_odds_match_the_flips_in_all_regimes():
    """At the fixed point the flips expected are those counted, whatever the shares of the regimes."""
    rng = np.random.default_rng(3)
    odds, shots = rng.uniform(0.01, 2.0, (1, 8)), 1e6
    sent = rng.dirichlet(np.ones(4))[None, :, None] * rng.uniform(0.2, 0.8, 8)
    tilted = odds * TILTS[:, None]
    flips = (sent * (tilted / (1 + tilted))).sum(axis=1)
    found = np.full((1, 8), 0.1)
    for _ in range(30):
        found = solve_odds(flips, sent, found, np.array([[1e-6 / shots]]), None)
    assert found == pytest.approx(odds, rel=1e-4)


@pytest.mark.parametrize("known", [False, True])
def test_the_prior_is_so_many_shots_that_flip_as_it_expects(known):
    """They are added where odds are not tilted; without known rates they expect the mean over the bits."""
    rng = np.random.default_rng(4)
    sent = rng.dirichlet(np.ones(4))[None, :, None] * rng.uniform(0.2, 0.8, 8)
    flips, strength = sent.sum(axis=1) * rng.uniform(0.05, 0.3, 8), 0.7
    rates = rng.uniform(0.05, 0.3, (1, 8)) if known else None
    found = np.full((1, 8), 0.1)
    for _ in range(30):
        found = solve_odds(flips, sent, found, np.array([[strength]]), rates)
    means = []
    for value in (slice(0, 4), slice(4, 8)):  # of the bits sent as 0, and of those sent as 1
        pooled = flips.sum() / sent.sum()
        means += [(flips[0, value].sum() + 0.3 * pooled) / (sent[0, :, value].sum() + 0.3)] * 4
    tilted = found * TILTS[:, None]
    predicted = (sent * (tilted / (1 + tilted))).sum(axis=1) + strength * found / (1 + found)
    np.testing.assert_allclose(predicted, flips + strength * (rates if known else np.array([means])), rtol=1e-6)


def test_strings_of_less_than_one_shot_are_dropped():
    """Those of a few shots stay."""
    sent = index_bits(np.array([5, 130, 77]), 8)
    read = flipped(sent[:2], np.array([0.99, 0.01]), 1000, 0.0, 0.0, 1)
    rows, start = lay_out(read.bits, read.weights), model_of(8, 3, 1)
    start = replace(start, centroids=sent, weights=np.array([0.6, 0.2, 0.2]), odds=np.full((8, 2), 1e-3))
    (found,) = refit(rows, [start], Prior(30.0), 30)
    assert found.centroids.tolist() == sent[:2].tolist()
    assert found.weights.sum() == pytest.approx(1)
    assert 1 < found.weights[1] * 1000 < 100


def test_a_bit_that_reads_inverted_is_turned_in_all_strings():
    sent = np.array([[False] * 8, [True] * 8])
    rates = np.r_[0.8, np.full(7, 0.05)]
    raw = flipped(sent, np.full(2, 0.5), 8192, rates, rates, 4)
    start = replace(model_of(8, 1, 1), centroids=sent, weights=np.full(2, 0.5), odds=np.full((8, 2), 0.1))
    found = fit(lay_out(raw.bits, raw.weights), start, Prior(30.0), 30)
    assert found.centroids.tolist() == [[True] + [False] * 7, [False] + [True] * 7]
    assert found.rates()[0] == pytest.approx([0.2, 0.2], abs=0.03)


def test_a_bit_near_one_half_keeps_its_label():
    raw = flipped(np.zeros((1, 12), dtype=bool), np.ones(1), 8192, np.r_[0.52, np.full(11, 0.05)], 0.3, 4)
    rows, model = lay_out(raw.bits, raw.weights), model_of(12, 1, 1)
    start = type(model)(np.zeros((1, 12), dtype=bool), np.ones(1), np.full((12, 2), 0.1), model.regimes, 0.05)
    found = fit(rows, start, Prior(30.0), 30)
    assert not found.centroids.any()
    assert found.rates()[0, 0] == pytest.approx(0.52, abs=0.03)


def test_the_last_gain_is_that_of_the_last_round():
    raw = flipped(np.eye(8, dtype=bool)[:2], np.full(2, 0.5), 4000, 0.1, 0.2, 5)
    rows, prior, start = lay_out(raw.bits, raw.weights), Prior(30.0), model_of(8, 2, 0)
    before, after = (fit(rows, start, prior, rounds) for rounds in (3, 4))
    assert after.last_gain == pytest.approx(after.log_likelihood - before.log_likelihood, rel=1e-4)
    assert after.last_gain > 1


def test_em_that_has_not_converged_is_told():
    raw = flipped(np.array([[False] * 8, [True] * 8]), np.full(2, 0.5), 8192, np.linspace(0.02, 0.3, 8), 0.2, 6)
    few = {rounds: fit_mixture(raw.bits, raw.weights, settings=MixtureSettings(rounds=rounds)) for rounds in (1, 60)}
    assert (few[1].converged, few[60].converged) == (False, True)
    for rounds, said in ((1, True), (60, False)):
        for guard in (False, True):
            expect = "sparse" if guard else None
            fixed = mitigate(raw, guard=guard, expect=expect, settings=MixtureSettings(rounds=rounds))
            assert fixed.applied
            assert ("EM has not converged: MixtureSettings(rounds=...)" in fixed.reason) is said, fixed.reason
