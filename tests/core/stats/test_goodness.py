"""The misfit of true and of wrong predictions."""

import numpy as np
import pytest

from qcluster.core.stats.goodness import misfit


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
