"""More than two classes: a readout each, trained together."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from qcluster.qnn import (
    ContractedReadout,
    QNNClassifier,
    encoding,
    images_to_bits,
    load_digits_4x4,
    load_model,
    save_model,
)
from qcluster.qnn.ansatz import build
from qcluster.qnn.simulation.exact import exact_form
from qcluster.qnn.training.losses import LOSSES, cross_entropy, one_vs_rest, softmax
from qcluster.qnn.training.problem import Problem

PIXELS, LABELS = load_digits(return_X_y=True)


def digits(n_class):
    kept = np.isin(LABELS, range(n_class))
    X = images_to_bits(PIXELS[kept].reshape(-1, 8, 8) / 16, LABELS[kept], size=4).X
    return train_test_split(X, LABELS[kept], test_size=0.3, stratify=LABELS[kept], random_state=0)


def problem(loss, k, seed=0):
    rng = np.random.default_rng(seed)
    inputs = encoding.basis((np.arange(8)[:, None] >> np.arange(3)) & 1)
    form = exact_form(build("zx-xx", 3), "basis")
    rows, targets = rng.integers(0, 8, 20), rng.integers(0, k, 20)
    if loss == "softmax":
        mean = cross_entropy(2.5) if k > 2 else one_vs_rest(softmax(2.5))
    else:
        mean = one_vs_rest(LOSSES[loss])
    theta = rng.normal(size=7 * k if k > 2 else 7)
    return Problem(form, inputs, rows, targets, rng.random(20) + 0.1, k, mean), theta


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("loss", ["softmax", *LOSSES])
def test_loss_is_that_of_the_samples_one_by_one_and_its_gradient_is_its_slope(loss, k):
    made, theta = problem(loss, k)
    f = np.array([made.form.forward(own, made.inputs)[0] for own in theta.reshape(-1, 7)])[:, made.rows]
    if loss == "softmax":
        logits = 2.5 * (f if k > 2 else np.concatenate([-f, f]))
        each = np.log(np.exp(logits).sum(axis=0)) - logits[made.targets, np.arange(20)]
    else:
        own = (np.arange(3) if k > 2 else np.ones(1))[:, None]
        each = LOSSES[loss](np.where(own == made.targets, f, -f))[0].sum(axis=0)
    assert made.value(theta) == pytest.approx(np.average(each, weights=made.weights))
    value, g = made.gradient(theta)
    assert value == pytest.approx(made.value(theta))
    steps = 1e-6 * np.eye(len(theta))
    assert g == pytest.approx([(made.value(theta + s) - made.value(theta - s)) / 2e-6 for s in steps], abs=1e-6)
    sampled = made.sampled_gradient(theta, np.arange(20))
    assert sampled[0] == pytest.approx(value)
    assert sampled[1] == pytest.approx(g)
    chosen = np.arange(20) < 9
    assert made.only(chosen).value(theta) == pytest.approx(np.average(each[:9], weights=made.weights[:9]))


def test_ten_digits_are_told_apart_as_well_as_by_logistic_regression():
    X, X_test, y, y_test = digits(10)
    model = QNNClassifier(random_state=0, n_init=2).fit(X, y)
    assert model.theta_.shape == (10, 17)
    assert model.score(X_test, y_test) >= LogisticRegression(max_iter=1000).fit(X, y).score(X_test, y_test) - 0.02
    chances = model.predict_proba(X_test)
    assert chances.sum(axis=1) == pytest.approx(1)
    assert (model.classes_[chances.argmax(axis=1)] == model.predict(X_test)).all()


def test_each_readout_is_a_classifier_of_its_own():
    X, X_test, y, _ = digits(3)
    names = np.array(["zero", "one", "two"])[y]
    model = QNNClassifier("zx-xx", random_state=0, n_init=1).fit(X, names)
    f = model.decision_function(X_test)
    for place, label in enumerate(model.classes_):
        one = model.readout(label)
        assert one.decision_function(X_test) == pytest.approx(f[:, place])
        assert (one.compressed().predict(X_test) == (f[:, place] > 0)).all()
    assert one.circuit(X[0]).num_qubits == 17
    for refused in (lambda: model.measure(X), lambda: model.circuit(X[0]), model.compressed):
        with pytest.raises(ValueError, match="a readout each"):
            refused()
    with pytest.raises(ValueError, match="label must be among"):
        model.readout("three")


def test_readouts_are_measured_on_a_backend_by_themselves():
    X, X_test, y, _ = digits(3)
    model = QNNClassifier(random_state=0, n_init=1).fit(X, y)
    exact = model.decision_function(X_test)
    measured = model.set_params(backend=ContractedReadout(0.5, "rescale")).decision_function(X_test)
    assert measured == pytest.approx(exact, abs=0.25)
    noise = measured - exact
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.5, "each readout has shots of its own"
    assert (measured.argmax(axis=1) == exact.argmax(axis=1)).mean() > 0.9
    assert (model.predict(X_test) == measured.argmax(axis=1)).all()


def test_training_of_many_classes_stops_goes_on_and_is_stored(tmp_path):
    X, X_test, y, y_test = digits(3)
    early = QNNClassifier(solver="adam", early_stopping=True, random_state=0, n_init=1).fit(X, y)
    assert len(early.validation_curve_) == len(early.loss_curve_) > 0
    partial = QNNClassifier(solver="sgd", random_state=0, learning_rate=0.01, batch_size=8)
    for at in range(0, len(X), 40):
        partial.partial_fit(X[at : at + 40], y[at : at + 40], classes=[0, 1, 2])
    whole = QNNClassifier(random_state=0, n_init=1).fit(X, y)
    assert partial.score(X_test, y_test) > whole.score(X_test, y_test) - 0.1
    again = QNNClassifier(random_state=0, warm_start=True, n_init=1).fit(X, y).fit(X, y)
    save_model(again, tmp_path / "m.json")
    assert (load_model(tmp_path / "m.json").predict(X_test) == again.predict(X_test)).all()
    heavy = QNNClassifier(random_state=0, n_init=1, class_weight={0: 1e3, 1: 1e-3, 2: 1e-3}).fit(X, y)
    assert (heavy.predict(X_test) == 0).mean() > (y_test == 0).mean()


def test_two_classes_have_the_softmax_of_both_signs():
    data = load_digits_4x4(3, 6)
    X, y = data.X, (data.y == 6).astype(int)
    model = QNNClassifier(loss="softmax", sharpness=2.0, n_init=1, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    f = model.decision_function(X)
    found = model.predict_proba(X)
    assert found[:, 1] == pytest.approx(1 / (1 + np.exp(-4 * f)))
    assert found.sum(axis=1) == pytest.approx(1)
    assert -np.log(found[np.arange(len(y)), y]).mean() == pytest.approx(model.loss_curve_[-1])
    with pytest.raises(ValueError, match="sharpness must be"):
        QNNClassifier(loss="softmax", sharpness=0.0).fit(X, y)


def test_many_classes_are_trained_by_measuring():
    rng = np.random.default_rng(0)
    X = np.eye(3)[rng.integers(0, 3, 30)]
    model = QNNClassifier(backend=ContractedReadout(0.8), train_on="backend", max_iter=30, random_state=0)
    model.fit(X, X.argmax(axis=1))
    assert model.n_circuits_ >= 30 * 3 * 3 * 3
    assert model.set_params(backend=None).score(X, X.argmax(axis=1)) == 1
