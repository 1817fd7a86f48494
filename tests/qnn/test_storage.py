"""Trained models as JSON."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from qcluster.errors import StorageError
from qcluster.qnn import ContractedReadout, QNNClassifier, load_digits_4x4, load_model, save_model
from qcluster.qnn.ansatz import Ansatz, Term, build
from qcluster.qnn.storage import load_split

digits = load_digits_4x4(3, 6)


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"ansatz": "zx-xx", "reps": 2},
        {"ansatz": [("X", "X"), ("Z", "X")], "bias": False},
        {"encoding": "angle"},
        {"ansatz": "zx-xx", "backend": ContractedReadout(0.9), "train_on": "backend", "max_iter": 2},
    ],
)
def test_a_stored_model_decides_the_same(tmp_path, knobs):
    model = QNNClassifier(n_init=1, random_state=0, **knobs).fit(digits.X, np.where(digits.y == 3, "three", "six"))
    save_model(model, tmp_path / "model.json")
    back = load_model(tmp_path / "model.json")
    model.set_params(backend=None)
    assert (back.decision_function(digits.X) == model.decision_function(digits.X)).all()
    assert (back.predict(digits.X) == model.predict(digits.X)).all()
    assert back.n_circuits_ == model.n_circuits_
    assert back.phases_ is None if model.phases_ is None else (back.phases_ == model.phases_).all()


def test_what_json_cannot_hold_is_refused(tmp_path):
    model = QNNClassifier(lambda n: build("zx", n), n_init=1).fit(digits.X, digits.y)
    with pytest.raises(ValueError, match="ansatz given as a function"):
        save_model(model, tmp_path / "model.json")
    model = QNNClassifier(n_init=1).fit(digits.X, digits.y)
    with pytest.raises(StorageError, match="cannot write"):
        save_model(model, tmp_path)
    with pytest.raises(TypeError, match=r"must be a QNNClassifier; got a Pipeline: .* last step is pipeline\[-1\]"):
        save_model(make_pipeline(MinMaxScaler(), model), tmp_path / "model.json")
    model.classes_ = np.array([("a",), None], dtype=object)
    with pytest.raises(ValueError, match="labels must be numbers or texts"):
        save_model(model, tmp_path / "model.json")


def test_damage_is_named(tmp_path):
    path = tmp_path / "model.json"
    with pytest.raises(StorageError, match="cannot read"):
        load_model(path)
    path.write_text("{")
    with pytest.raises(StorageError, match="not a stored classifier"):
        load_model(path)
    path.write_text('{"00": 480}')
    with pytest.raises(StorageError, match="not a stored classifier: lacks 'format'"):
        load_model(path)
    save_model(QNNClassifier(n_init=1).fit(digits.X, digits.y), path)
    content = json.loads(path.read_text())
    for key, value, message in (
        ("version", 99, "version 2; got qcluster-qnn 99: upgrade qcluster"),
        ("version", 1, "version 2; got qcluster-qnn 1$"),
        ("version", None, "not a stored classifier"),
        ("theta", [0.0], r"17 angles for each readout; got 2 classes and angles of shape \(1,\)"),
        ("theta", [str(angle) for angle in content["theta"]], r"angles must be numbers; got \['"),
        ("n_data", 16.5, "n_data must be a whole number of at least 1; got 16.5"),
        ("n_features", "16", "n_features must be a whole number of at least 1; got '16'"),
        ("n_iter", 2.5, "n_iter must be a whole number of at least 0; got 2.5"),
        ("contraction", "1", "contraction must be numbers; got '1'"),
        ("loss_curve", [None], r"loss_curve must be numbers; got \[None\]"),
        ("parameters", {"nothing": 1}, "not a stored classifier"),
        ("parameters", {**content["parameters"], "sharpness": None}, "sharpness must be a finite number above 0"),
    ):
        path.write_text(json.dumps({**content, key: value}))
        with pytest.raises(StorageError, match=message):
            load_model(path)


@pytest.mark.parametrize(
    "knobs",
    [
        {"reps": np.int64(2), "init_scale": np.float32(0.05), "bias": np.bool_(True)},
        {"ansatz": np.array([["Z", "X"], ["X", "X"]])},
        {"ansatz": Ansatz(2, tuple(Term((q,), "Z", "X") for q in np.arange(2)))},
    ],
)
def test_numbers_of_a_search_can_be_stored(tmp_path, knobs):
    """GridSearchCV over np.arange sets NumPy's numbers as parameters."""
    X, y = [[0, 1], [1, 0], [0, 0]], [1, 0, 1]
    model = QNNClassifier(n_init=1, random_state=0, **knobs).fit(X, y)
    save_model(model, tmp_path / "model.json")
    assert (load_model(tmp_path / "model.json").decision_function(X) == model.decision_function(X)).all()


@pytest.mark.parametrize("changed", [{"ansatz": "tfq"}, {"ansatz": "zx"}, {"reps": 2}, {"bias": False}])
def test_an_ansatz_that_was_changed_after_fit_is_not_stored(tmp_path, changed):
    """The file would hold angles of another circuit, and could not be read."""
    model = QNNClassifier("zx-xx", n_init=1, random_state=0).fit([[0, 1], [1, 0]], [0, 1]).set_params(**changed)
    with pytest.raises(ValueError, match="ansatz, reps and bias must be those of the fit"):
        save_model(model, tmp_path / "model.json")
    assert not (tmp_path / "model.json").exists()


def test_the_names_of_columns_are_kept(tmp_path):
    """Columns in another order are refused by what was loaded, as by what was fitted."""
    X = pd.DataFrame([[0, 1], [1, 0], [0, 0]], columns=["left", "right"])
    model = QNNClassifier(n_init=1, random_state=0).fit(X, [0, 1, 1])
    save_model(model, tmp_path / "model.json")
    again = load_model(tmp_path / "model.json")
    assert (again.predict(X) == model.predict(X)).all()
    for one in (model, again, model.compressed(), model.readout(1)):
        one.predict(X)
        with pytest.raises(ValueError, match="feature names should match"):
            one.predict(X[["right", "left"]])


def test_a_model_that_is_not_fitted_is_not_stored(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(QNNClassifier(), tmp_path / "model.json")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("threshold", [0.5], r"thresholds must be 2 finite numbers; got \[0.5\]"),
        ("threshold", [0.5, float("nan")], "thresholds must be 2 finite numbers"),
        ("theta", [float("nan")] * 3, "angles must be finite"),
        ("feature_names", ["a"], r"feature_names must be 2 texts; got \['a'\]"),
        ("feature_names", 5, "feature_names must be 2 texts; got 5"),
        ("classes", [1, 1], r"distinct labels in ascending order; got \[1, 1\]"),
        ("classes", [1, 0], "ascending order"),
        ("classes", [[1], [2]], "distinct labels"),
        ("parameters", {**QNNClassifier().get_params(), "encoding": "bits"}, "encoding must be one of"),
    ],
)
def test_what_would_predict_nonsense_is_refused(tmp_path, key, value, message):
    path = tmp_path / "model.json"
    save_model(QNNClassifier(n_init=1).fit([[0, 1], [1, 0]], [0, 1]), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(StorageError, match=message):
        load_model(path)


def test_the_split_of_the_samples_is_kept(tmp_path):
    model, path = QNNClassifier(n_init=1).fit([[0, 1], [1, 0]], [0, 1]), tmp_path / "model.json"
    save_model(model, path)
    assert load_split(path) is None
    save_model(model, path, split={"seed": 4, "test_share": 0.25})
    assert load_split(path) == (4, 0.25)
    for wrong, said in (
        ({"seed": -1, "test_share": 0.25}, "seed must be a whole number of at least 0; got -1"),
        ({"seed": 4, "test_share": 1}, "test_share must be a finite number"),
        ({"seed": 4}, "lacks 'test_share'"),
        (4, "not subscriptable"),
    ):
        path.write_text(json.dumps({**json.loads(path.read_text()), "split": wrong}))
        with pytest.raises(StorageError, match=said):
            load_split(path)


@pytest.mark.parametrize(
    "knobs", [{}, {"solver": "adam", "backend": ContractedReadout(0.8), "train_on": "backend", "shots": 100}]
)
def test_training_goes_on_from_a_file_as_without_the_break(tmp_path, knobs):
    """Each pass draws by its number, which is stored with what was spent."""
    through, broken = (QNNClassifier("zx-xx", random_state=3, **knobs) for _ in range(2))
    for _ in range(4):
        through.partial_fit(digits.X, digits.y)
    for _ in range(2):
        broken.partial_fit(digits.X, digits.y)
    save_model(broken, tmp_path / "model.json")
    again = load_model(tmp_path / "model.json").set_params(random_state=3, **knobs)
    for _ in range(2):
        again.partial_fit(digits.X, digits.y)
    assert (again.theta_ == through.theta_).all()
    assert again.loss_curve_.tolist() == through.loss_curve_.tolist()
    assert (again.n_iter_, again.n_circuits_, again.n_shots_) == (4, through.n_circuits_, through.n_shots_)
    assert (through.n_circuits_ > 0) == bool(knobs)
