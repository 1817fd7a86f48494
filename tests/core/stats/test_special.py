"""Special functions against those of the standard library and of scipy."""

from itertools import combinations

import numpy as np
import pytest
from scipy import special as scipy_special

from qcluster.core.counts.metrics import entropy
from qcluster.core.stats import special

ARGUMENTS = np.geomspace(1e-4, 1e6, 200)


@pytest.mark.parametrize(
    ("ours", "theirs", "rel"),
    [
        (special.log_gamma, scipy_special.gammaln, 1e-7),
        (special.digamma, scipy_special.digamma, 1e-7),
        (special.exp_digamma, lambda a: np.exp(scipy_special.digamma(a)), 5e-6),
        (special.mean_root, lambda a: np.exp(scipy_special.gammaln(a + 0.5) - scipy_special.gammaln(a)), 2e-5),
    ],
)
def test_gamma_functions_are_as_exact_as_they_say(ours, theirs, rel):
    np.testing.assert_allclose(ours(ARGUMENTS), theirs(ARGUMENTS), rtol=rel, atol=rel)


def test_terms_that_vanish_may_leave_single_precision():
    many = np.float32([1e13, 2.0**63])
    with np.errstate(over="raise"):
        np.testing.assert_allclose(special.exp_digamma(many), many, rtol=1e-6)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_dirichlet_divergence_is_the_mean_log_ratio(k):
    rng = np.random.default_rng(k)
    shape, prior = rng.uniform(0.5, 8, k), 0.7
    draws = rng.dirichlet(shape, 200_000)

    def log_density(a):
        return (np.log(draws) * (a - 1)).sum(axis=1) + scipy_special.gammaln(a.sum()) - scipy_special.gammaln(a).sum()

    ratio = log_density(shape) - log_density(np.full(k, prior))
    found = special.dirichlet_divergence(shape[None], np.array([[prior]]))[0]
    assert found == pytest.approx(ratio.mean(), abs=6 * ratio.std() / np.sqrt(len(draws)) + 1e-6)


def test_perplexity_is_the_number_of_equal_shares_and_two_to_the_entropy_in_bits():
    shares = np.random.default_rng(0).dirichlet(np.full(8, 0.5), 5)
    strings = [f"{i:03b}" for i in range(8)]
    wanted = [2 ** entropy(dict(zip(strings, row.tolist(), strict=True))) for row in shares]
    np.testing.assert_allclose(special.perplexity(shares), wanted)
    assert special.perplexity(np.array([0.25, 0, 0.25, 0.25, 0.25])) == pytest.approx(4)


@pytest.mark.parametrize("seed", range(5))
def test_unevenness_is_that_of_the_nearest_even_shares(seed):
    """Against every choice of 1, 2, 4 or 8 of eight places."""
    shares = np.random.default_rng(seed).dirichlet(np.full(8, 0.5))
    sets = [np.array(one) for size in (1, 2, 4, 8) for one in combinations(range(8), size)]
    best = max(np.sqrt(shares[one] / len(one)).sum() ** 2 for one in sets)
    assert special.unevenness(shares) == pytest.approx(-np.log(best))
    assert special.unevenness(np.stack([shares * 7, np.eye(8)[3]])) == pytest.approx([-np.log(best), 0.0])
