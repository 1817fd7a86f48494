"""What a classifier holds once it is fitted, by training or by given angles, and what follows from its angles."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from qcluster.core.arrays import Floats
from qcluster.core.words import shown
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs, Kind
from qcluster.qnn.measured import MeasuredForm
from qcluster.qnn.rescale import calibration_rows, drawn_rows
from qcluster.qnn.samples import Classifier
from qcluster.qnn.simulation.compress import phases
from qcluster.qnn.simulation.exact import Form, exact_form
from qcluster.qnn.training.train import Outcome

_KINDS: dict[str, Kind] = {"basis": "basis", "angle": "product", "state": "state"}
_KEPT = (
    *("classes_", "threshold_", "n_features_in_", "feature_names_in_"),
    *("loss_curve_", "validation_curve_", "n_iter_"),
    *("n_circuits_", "n_shots_", "contraction_", "calibration_"),
)
"""What is learnt beside the circuit and its angles."""


def take(
    model: Classifier, outcome: Outcome, inputs: Inputs, measured: MeasuredForm | None, rng: np.random.Generator
) -> None:
    """Set on a model what training found on its (unique,) distinct inputs; `measured` is None where it was exact."""
    many = len(model.classes_) > 2
    model.theta_ = outcome.theta.reshape(len(model.classes_), -1) if many else outcome.theta
    model.loss_curve_, model.validation_curve_, model.n_iter_ = outcome.losses, outcome.validation, outcome.n_iter
    model.n_circuits_, model.n_shots_ = (measured.n_circuits, measured.n_shots) if measured else (0, 0)
    model.contraction_ = 1.0
    if measured and measured.last_values is not None and measured.last_inputs is not None:
        last = exact(model, inputs.kind).forward(measured.last_theta, measured.last_inputs, gradient=False)[0]
        power = float(last @ last)
        model.contraction_ = float(last @ measured.last_values) / power if power else nan
    f = exact_values(model, inputs)
    # One set of rows serves all readouts: those where f is large over all of them.
    model.calibration_ = calibration_rows(inputs, f[0] if len(f) == 1 else np.sqrt((f**2).mean(axis=0)), rng)
    describe(model)


def set_angles(
    model: Classifier, ansatz: Ansatz, theta: npt.ArrayLike, classes: npt.ArrayLike, rng: np.random.Generator
) -> None:
    """Set angles (n_parameters,) and the labels of negative and positive f on a model, as if training had found them.

    Raises:
        ValueError: The angles are not finite or not as many as the ansatz has, or the labels are not two in order.
    """
    if not isinstance(ansatz, Ansatz):
        raise ValueError(f"ansatz must be an Ansatz, as qcluster.qnn.ansatz.build makes it; got {shown(ansatz)}")
    angles, labels = np.asarray(theta, dtype=np.float64), np.asarray(classes)
    if angles.shape != (ansatz.n_parameters,) or not np.isfinite(angles).all():
        raise ValueError(f"theta must be finite, shape ({ansatz.n_parameters},); got {angles.tolist()}")
    if labels.shape != (2,) or not labels[0] < labels[1]:
        raise ValueError(f"classes must be two labels in ascending order; got {labels.tolist()}")
    model.ansatz_, model.theta_, model.classes_ = ansatz, angles, labels
    model.n_features_in_ = 1 << ansatz.n_data if model.encoding == "state" else ansatz.n_data
    if model.encoding == "basis":
        model.threshold_ = np.full(ansatz.n_data, 0.5 if model.threshold is None else float(model.threshold))
    model.loss_curve_, model.validation_curve_, model.n_iter_ = np.zeros(0), np.zeros(0), 0
    model.n_circuits_, model.n_shots_, model.contraction_ = 0, 0, 1.0
    model.calibration_ = drawn_rows(ansatz, angles, _KINDS[model.encoding], rng)
    describe(model)


def pass_on(model: Classifier, other: Classifier, ansatz: Ansatz, theta: Floats) -> None:
    """Hand what was learnt to another model, which has a circuit and angles of its own."""
    for name in _KEPT:
        if hasattr(model, name):
            setattr(other, name, getattr(model, name))
    other.ansatz_, other.theta_ = ansatz, theta
    describe(other)


def describe(model: Classifier) -> None:
    """Set phases_ and amplitude_, where the model is one sine perceptron."""
    model.phases_, model.amplitude_ = None, None
    if model.encoding == "basis" and model.ansatz_.is_sine and model.theta_.ndim == 1:
        found = phases(model.ansatz_, model.theta_)
        model.phases_, model.amplitude_ = found.phases, found.amplitude


def exact(model: Classifier, kind: Kind) -> Form:
    """Return the exact form of the model's circuit, by the route that its `gradient` asks for."""
    return exact_form(model.ansatz_, kind, "adjoint" if model.gradient == "adjoint" else "auto")


def exact_values(model: Classifier, inputs: Inputs) -> Floats:
    """Compute the decision values of every readout, (readouts, batch); one readout for two classes."""
    form = exact(model, inputs.kind)
    return np.array([form.forward(own, inputs, gradient=False)[0] for own in np.atleast_2d(model.theta_)])


def angles_of(model: Classifier, label: Any) -> Floats:
    """Return the angles of the readout of one class, (n_parameters,).

    Raises:
        ValueError: There is no such class, or it is the first of two, which has no readout of its own.
    """
    check_is_fitted(model)
    places = np.flatnonzero(model.classes_ == label)
    if not len(places):
        raise ValueError(f"label must be among {model.classes_.tolist()}; got {shown(label)}")
    if len(model.classes_) == 2 and places[0] == 0:
        raise ValueError(f"two classes share one readout, that of {shown(model.classes_[1])}; got {shown(label)}")
    return model.theta_ if model.theta_.ndim == 1 else np.asarray(model.theta_[places[0]])


def check_one_readout(model: Classifier) -> None:
    """Refuse a model of several readouts where one is asked for."""
    check_is_fitted(model)
    if len(model.classes_) > 2:
        raise ValueError(
            f"{len(model.classes_)} classes have a readout each; readout(label) gives that of one of "
            f"{model.classes_.tolist()}"
        )
