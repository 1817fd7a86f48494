import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcluster.core.sparse.fit import fit_mixture
from qcluster.core.sparse.model import Prior, lay_out
from qcluster.core.sparse.thinning import on_all_strings, thinned
from tests.core.sparse.at_once import fit
from tests.core.sparse.test_fit import flipped, model_of


@settings(max_examples=50)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=80), st.integers(1, 40))
def test_a_thinned_run_is_a_smaller_run_of_the_same(shots, most):
    weights = np.array(shots, dtype=float)
    bits = np.arange(len(shots))[:, None] >> np.arange(7) & 1 > 0
    kept, left = thinned(bits, weights, most)
    if len(kept) == len(bits) and (left == weights).all():
        return
    assert len(kept) <= most
    step = 2.0 ** round(np.log2(weights.sum() / max(left.sum(), 1)))
    every = np.zeros(len(weights))
    every[(kept[:, None] == bits).all(axis=2).argmax(axis=1)] = left
    assert (np.abs(every - weights / step) <= 1).all()
    assert (left == np.rint(left)).all()


def test_few_strings_are_left_alone():
    bits, weights = np.eye(4, dtype=bool), np.array([1.0, 2, 3, 4])
    assert thinned(bits, weights, 4)[0] is bits


def test_weights_that_are_no_shots_are_left_alone():
    bits = np.arange(64)[:, None] >> np.arange(6) & 1 > 0
    assert thinned(bits, np.full(64, 1 / 64), 8)[0] is bits


def test_everywhere_says_what_the_likelihood_says():
    raw = flipped(np.eye(9, dtype=bool)[:2], np.array([0.7, 0.3]), 3000, 0.1, 0.2, 1)
    model = model_of(9, 3, 2)
    direct = fit(lay_out(raw.bits, raw.weights), model, Prior(1.0), 0)
    found = on_all_strings(raw.bits, raw.weights, model, 0)
    assert found.log_likelihood == pytest.approx(direct.log_likelihood, rel=1e-6)
    assert on_all_strings(raw.bits, raw.weights, model, 5).log_likelihood > found.log_likelihood


def test_a_wide_run_of_many_strings_is_explained():
    """The search uses a sample of the strings, and the sent ones are found with their weights in all shots."""
    rng = np.random.default_rng(4)
    sent, share = rng.random((3, 60)) < 0.5, np.array([0.5, 0.3, 0.2])
    raw = flipped(sent, share, 50_000, 0.1, 0.1, 5)
    assert raw.n_outcomes > 1 << 15
    found = fit_mixture(raw.bits, raw.weights)
    assert (found.centroids[:3] == sent).all()
    assert found.weights[:3] == pytest.approx(share, abs=0.01)
    assert found.flip_rate == pytest.approx(0.1, abs=0.005)
