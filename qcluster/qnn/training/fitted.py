"""Set the fitted attributes of a classifier from training or from given angles, and compute its exact values."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from qcluster.core.arrays import Floats
from qcluster.core.words import short_repr
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs, Kind
from qcluster.qnn.measured import MeasuredForm
from qcluster.qnn.rescale import calibration_rows, draw_calibration_rows
from qcluster.qnn.samples import Classifier
from qcluster.qnn.simulation.compress import phases
from qcluster.qnn.simulation.exact import Form, exact_form
from qcluster.qnn.training.train import Outcome

_KINDS: dict[str, Kind] = {"basis": "basis", "angle": "product", "state": "state"}
_SHARED = (
    *("classes_", "threshold_", "n_features_in_", "feature_names_in_"),
    *("loss_curve_", "validation_curve_", "n_iter_"),
    *("n_circuits_", "n_shots_", "contraction_", "calibration_"),
)
"""Fitted attributes other than the ansatz and its angles."""


def take(
    model: Classifier, outcome: Outcome, inputs: Inputs, measured: MeasuredForm | None, rng: np.random.Generator
) -> None:
    """Set the fitted attributes of a model from the outcome of its training.

    Args:
        model: The estimator.
        outcome: The best start.
        inputs: (unique,) distinct training inputs.
        measured: The form that was trained on a backend; None after exact training.
        rng: Random generator, for the choice of calibration rows.
    """
    is_multiclass = len(model.classes_) > 2
    model.theta_ = outcome.theta.reshape(len(model.classes_), -1) if is_multiclass else outcome.theta
    model.loss_curve_, model.validation_curve_, model.n_iter_ = outcome.losses, outcome.validation, outcome.n_iter
    model.n_circuits_, model.n_shots_ = (measured.n_circuits, measured.n_shots) if measured else (0, 0)
    model.contraction_ = 1.0
    if measured and measured.last_values is not None and measured.last_inputs is not None:
        last = exact(model, inputs.kind).forward(measured.last_theta, measured.last_inputs, gradient=False)[0]
        norm = float(last @ last)
        model.contraction_ = float(last @ measured.last_values) / norm if norm else nan
    f = exact_values(model, inputs)
    # All readouts share the same calibration rows, which are chosen by the root mean square of f over the readouts.
    model.calibration_ = calibration_rows(inputs, f[0] if len(f) == 1 else np.sqrt((f**2).mean(axis=0)), rng)
    describe(model)


def set_angles(
    model: Classifier, ansatz: Ansatz, theta: npt.ArrayLike, classes: npt.ArrayLike, rng: np.random.Generator
) -> None:
    """Set the fitted attributes of a model from given angles, (n_parameters,), and two labels.

    Raises:
        ValueError: The angles are not finite or their number differs from that of the gates, or the labels are not two
            in ascending order.
    """
    if not isinstance(ansatz, Ansatz):
        raise ValueError(f"ansatz must be an Ansatz, as qcluster.qnn.ansatz.build makes it; got {short_repr(ansatz)}")
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
    model.calibration_ = draw_calibration_rows(ansatz, angles, _KINDS[model.encoding], rng)
    describe(model)


def pass_on(model: Classifier, other: Classifier, ansatz: Ansatz, theta: Floats) -> None:
    """Copy the fitted attributes to another model, but with the given ansatz and angles."""
    for name in _SHARED:
        if hasattr(model, name):
            setattr(other, name, getattr(model, name))
    other.ansatz_, other.theta_ = ansatz, theta
    describe(other)


def describe(model: Classifier) -> None:
    """Set phases_ and amplitude_; both are None unless the model is a single sine perceptron."""
    model.phases_, model.amplitude_ = None, None
    if model.encoding == "basis" and model.ansatz_.is_sine and model.theta_.ndim == 1:
        sine = phases(model.ansatz_, model.theta_)
        model.phases_, model.amplitude_ = sine.phases, sine.amplitude


def exact(model: Classifier, kind: Kind) -> Form:
    """Return the exact form of the model's ansatz, by the adjoint route if its `gradient` is "adjoint"."""
    return exact_form(model.ansatz_, kind, "adjoint" if model.gradient == "adjoint" else "auto")


def exact_values(model: Classifier, inputs: Inputs) -> Floats:
    """Return the exact decision values of every readout, (readouts, batch); two classes have one readout."""
    form = exact(model, inputs.kind)
    return np.array([form.forward(theta, inputs, gradient=False)[0] for theta in np.atleast_2d(model.theta_)])


def angles_of(model: Classifier, label: Any) -> Floats:
    """Return the angles of the readout of one class, (n_parameters,).

    Raises:
        ValueError: There is no such class, or it is the first of two classes, which share the readout of the second.
    """
    check_is_fitted(model)
    matches = np.flatnonzero(model.classes_ == label)
    if not len(matches):
        raise ValueError(f"label must be among {model.classes_.tolist()}; got {short_repr(label)}")
    if len(model.classes_) == 2 and matches[0] == 0:
        raise ValueError(
            f"two classes share one readout, that of {short_repr(model.classes_[1])}; got {short_repr(label)}"
        )
    return model.theta_ if model.theta_.ndim == 1 else np.asarray(model.theta_[matches[0]])


def check_one_readout(model: Classifier) -> None:
    """Raise an error unless the model has exactly one readout."""
    check_is_fitted(model)
    if len(model.classes_) > 2:
        raise ValueError(
            f"{len(model.classes_)} classes have a readout each; readout(label) gives that of one of "
            f"{model.classes_.tolist()}"
        )
