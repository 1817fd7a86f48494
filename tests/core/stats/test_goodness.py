"""The misfit of true and of wrong predictions."""

import numpy as np
import pytest

from qcluster.core.stats.goodness import misfit, pearson_misfit


@pytest.mark.parametrize("n", [4, 64, 4096, 65536])
def test_a_true_prediction_has_no_misfit_however_thin_the_counts(n):
    rng = np.random.default_rng(n)
    truth = rng.dirichlet(np.full(n, 0.3))
    sigmas = [misfit(truth, rng.multinomial(4000, truth).astype(float))[1] for _ in range(40)]
    assert abs(np.mean(sigmas)) < 0.6
    assert 0.5 < np.std(sigmas) < 1.5


def test_a_wrong_prediction_shows_its_relative_entropy():
    rng = np.random.default_rng(0)
    truth, wrong = rng.dirichlet(np.ones(32)), np.full(32, 1 / 32)
    excess, sigmas = misfit(wrong, rng.multinomial(100_000, truth).astype(float))
    assert excess == pytest.approx(np.sum(truth * np.log(truth / wrong)), abs=0.01)
    assert sigmas > 100


@pytest.mark.parametrize("cells", [10, 200])
def test_pearsons_statistic_is_measured_in_standard_deviations(cells):
    rng = np.random.default_rng(cells)
    expected = rng.uniform(20, 200, cells)
    scores = [pearson_misfit(expected, rng.poisson(expected).astype(float)) for _ in range(300)]
    assert abs(np.mean(scores)) < 0.25
    assert 0.8 < np.std(scores) < 1.25
    assert pearson_misfit(expected, expected * 1.5) > 5
    assert pearson_misfit(np.full(9, 0.5), np.full(9, 4.0)) == 0  # too thin to judge
