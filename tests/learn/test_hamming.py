import numpy as np
import pandas
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

import qcluster as qc
from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.clusters import Metric, cluster, most_frequent_strings


@pytest.fixture
def shots():
    rng = np.random.default_rng(11)
    centres = rng.random((3, 12)) < 0.5
    return centres[rng.integers(0, 3, 400)] ^ (rng.random((400, 12)) < 0.08), centres


def test_it_shares_its_body_with_the_function(shots):
    rows, _ = shots
    model = qc.HammingKMajority(3, radius=3).fit(rows)
    held = Distribution(rows, np.ones(len(rows)))
    starts = held.bits[most_frequent_strings(held.bits, held.weights, 3)]
    centroids, _, rounds = cluster(held.bits, held.weights, starts, Metric(np.ones(12), 3.0))
    assert np.array_equal(model.cluster_centers_, centroids)
    assert model.n_iter_ == rounds


def test_it_finds_centres_and_labels(shots):
    rows, centres = shots
    model = qc.HammingKMajority(n_clusters=3)
    assert np.array_equal(model.fit_predict(rows), model.labels_)
    assert {tuple(c) for c in model.cluster_centers_} == {tuple(c) for c in centres}
    assert np.array_equal(model.predict(model.cluster_centers_), [0, 1, 2])


def test_weights_stand_for_repeated_rows(shots):
    rows, _ = shots
    held = Distribution(rows, np.ones(len(rows)))
    repeated = qc.HammingKMajority(3, radius=2).fit(rows)
    weighted = qc.HammingKMajority(3, radius=2).fit(held.bits, sample_weight=held.weights)
    assert np.array_equal(repeated.cluster_centers_, weighted.cluster_centers_)


def test_far_rows_are_outliers():
    model = qc.HammingKMajority(1, radius=1).fit([[0, 0, 0, 0]] * 3 + [[1, 1, 1, 1]])
    assert model.labels_.tolist() == [0, 0, 0, -1]


def test_it_is_a_scikit_learn_estimator(shots):
    model = qc.HammingKMajority(4, radius=2.5)
    assert clone(model).get_params() == {"n_clusters": 4, "radius": 2.5, "max_iter": 100}
    make_pipeline(FunctionTransformer(), model).fit(shots[0])
    with pytest.raises(NotFittedError):
        qc.HammingKMajority().predict([[0, 1]])


def test_columns_of_a_table_are_known_by_name():
    """In another order the same rows had other labels."""
    table = pandas.DataFrame([[0, 0, 1], [0, 0, 1], [1, 1, 0]], columns=["a", "b", "c"])
    model = qc.HammingKMajority(2).fit(table)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.predict(table).tolist() == model.labels_.tolist()
    with pytest.raises(ValueError, match="same order"):
        model.predict(table[["c", "a", "b"]])


def test_sparse_rows_are_refused_with_the_cure():
    rows = OneHotEncoder().fit_transform([["a"], ["b"]])
    with pytest.raises(TypeError, match="dense data is required"):
        qc.HammingKMajority(2).fit(rows)


@pytest.mark.parametrize(
    ("model", "rows", "said"),
    [
        (qc.HammingKMajority(0), [[0, 1]], "n_clusters must be a whole number of at least 1"),
        (qc.HammingKMajority(radius=-1), [[0, 1]], "radius must be a finite number of at least 0; got -1"),
        (qc.HammingKMajority(), [[0, 2]], "only 0 and 1"),
        (qc.HammingKMajority(), [0, 1], "Expected 2D array, got 1D array"),
        (qc.HammingKMajority(), np.zeros((0, 2)), "0 sample"),
        (qc.HammingKMajority(), [[0, np.nan]], "contains NaN"),
    ],
)
def test_wrong_input_is_named(model, rows, said):
    with pytest.raises(ValueError, match=said):
        model.fit(rows)


def test_a_short_kind_of_number_does_not_overflow():
    """300 is out of bounds for np.uint8, of which three clusters may be a number."""
    rows = np.random.default_rng(0).permutation(2**9)[:300, None] >> np.arange(9) & 1
    found, wanted = (qc.HammingKMajority(kind(3)).fit(rows).cluster_centers_ for kind in (np.uint8, int))
    assert np.array_equal(found, wanted)


def test_wrong_width_and_weights_are_named():
    model = qc.HammingKMajority(1).fit([[0, 1, 1]])
    with pytest.raises(ValueError, match="X has 2 features, but HammingKMajority is expecting 3"):
        model.predict([[0, 1]])
    with pytest.raises(ValueError, match="positive weight"):
        model.fit([[0, 1]], sample_weight=[0])
    with pytest.raises(TypeError, match="weights must be numbers; got"):
        model.fit([[0, 1]], sample_weight=["3"])
