import numpy as np
import pytest

from qcluster.core.em import fit, fit_all
from qcluster.core.likelihood import Prior, lay_out
from tests.core.test_mixture import flipped, model_of


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
