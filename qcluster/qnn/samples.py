"""Check the arguments of `fit` and `predict` by scikit-learn's rules, and encode rows as inputs of the circuit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import inf
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_array,
    check_is_fitted,
    check_random_state,
    validate_data,
)

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_choice, check_flag, check_real, check_whole
from qcluster.core.words import short_repr
from qcluster.qnn import encoding
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.training.losses import LOSSES
from qcluster.qnn.training.solvers import SOLVERS

Indices = npt.NDArray[np.int64]

ENCODINGS = ("basis", "angle", "state")
_CHOICES = {
    "encoding": ENCODINGS,
    "loss": ("auto", *LOSSES, "softmax"),
    "solver": ("auto", *SOLVERS),
    "gradient": ("auto", "adjoint", "shift"),
    "train_on": ("exact", "backend"),
}


class Classifier(Protocol):
    """The attributes of a `QNNClassifier` that other modules read and set: its parameters and its fitted attributes."""

    encoding: str
    threshold: float | None
    loss: str
    solver: str
    reps: int
    init_scale: float
    sharpness: float
    learning_rate: float | None
    gradient: str
    backend: Any
    train_on: str
    shots: int
    execution: Any
    compress: bool
    bias: bool
    random_state: Any
    max_iter: int | None
    batch_size: int | None
    n_init: int
    n_iter_no_change: int
    warm_start: bool
    class_weight: Any
    early_stopping: bool
    validation_fraction: float
    tol: float
    callback: Any
    classes_: npt.NDArray[Any]
    n_features_in_: int
    threshold_: Floats
    ansatz_: Ansatz
    theta_: Floats
    phases_: Floats | None
    amplitude_: float | None
    loss_curve_: Floats
    validation_curve_: Floats
    n_iter_: int
    n_circuits_: int
    n_shots_: int
    contraction_: float
    calibration_: Inputs


def prepare(
    model: Classifier,
    X: npt.ArrayLike,
    y: Any,
    sample_weight: npt.ArrayLike | None,
    *,
    classes: npt.ArrayLike | None = None,
    partial: bool = False,
) -> tuple[Inputs, Indices, Indices, Floats]:
    """Check the arguments of `fit`, set classes_, n_features_in_ and threshold_, and find the distinct inputs.

    Args:
        model: The estimator.
        X: Rows.
        y: Labels of the rows.
        sample_weight: Weights of the rows, which are multiplied by the class weights.
        classes: All labels, if y may lack some.
        partial: Whether this is `partial_fit`, in which a fitted model keeps its classes, features and thresholds.

    Returns:
        The distinct inputs; then for each row of nonzero weight, the index of its input, the index of its class in
        classes_, and its weight.
    """
    check_parameters(model, partial=partial)
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    resumed = partial and hasattr(model, "theta_")
    rows, labels = _validate(model, X, y, reset=not resumed)
    check_classification_targets(labels)
    known = model.classes_ if resumed else unique_labels(labels) if classes is None else unique_labels(classes)
    if resumed and classes is not None and not np.array_equal(unique_labels(classes), known):
        raise ValueError(
            f"classes must be those of the first call, {known.tolist()}; got {np.asarray(classes).tolist()}"
        )
    if len(known) == 1:
        cure = ": pass all labels as classes=" if partial else ""
        raise ValueError(f"QNNClassifier needs two classes or more; got one class, {short_repr(known[0])}{cure}")
    if not np.isin(labels, known).all():
        raise ValueError(f"labels must be among {known.tolist()}; got {unique_labels(labels).tolist()}")
    weights = np.asarray(_check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True))
    if not weights.any():
        raise ValueError("sample_weight must hold at least one non-zero weight; got zeros only")
    rows, labels, weights = rows[weights > 0], labels[weights > 0], weights[weights > 0]
    weights = weights * _class_weights(model.class_weight, known, labels, weights)
    if not resumed:
        model.__dict__.pop("threshold_", None)  # an earlier fit may have seen other features
        if model.encoding == "basis":
            model.threshold_ = _thresholds(model.threshold, rows, weights)
    if model.encoding == "angle":
        _check_range(rows)
    inputs, indices = distinct(_to_inputs(model, rows))
    model.classes_ = known  # set last, so that an error above leaves the labels of an earlier fit with its angles
    return inputs, indices, np.searchsorted(known, labels), weights


def encode(model: Classifier, X: npt.ArrayLike) -> Inputs:
    """Check rows and encode them as inputs of a fitted model."""
    check_is_fitted(model)
    return _to_inputs(model, _validate(model, X)[0])


def draw_rng(model: Classifier, done: int = 0) -> np.random.Generator:
    """Return the random generator of one call, seeded from `random_state` by scikit-learn's rules.

    Args:
        model: The estimator.
        done: Rounds completed in earlier calls of `partial_fit`, which make the seed of each call different. With the
            same seed, spsa would step along a single direction, and shot noise would not average out.
    """
    return np.random.default_rng([check_random_state(model.random_state).randint(2**31), done])


def distinct(inputs: Inputs) -> tuple[Inputs, Indices]:
    """Return the distinct inputs and the index of each input among them; states are not compared but all kept."""
    if inputs.kind == "state":
        return inputs, np.arange(len(inputs))
    if inputs.kind == "basis":  # comparing packed bytes gives the same order and is several times faster
        packed = np.packbits(np.ascontiguousarray(inputs.array, dtype=bool), axis=1)
        keys = packed.view(f"V{packed.shape[1]}").ravel()
        _, first, rows = np.unique(keys, return_index=True, return_inverse=True)
    else:
        _, first, rows = np.unique(inputs.array, axis=0, return_index=True, return_inverse=True)
    return inputs.take(first), rows.reshape(-1)


def chosen_solver(model: Classifier, *, partial: bool = False) -> str:
    """Return the name of the solver, with "auto" resolved for exact, measured and partial training."""
    if model.solver != "auto":
        return model.solver
    if partial:
        return "sgd"
    return "adam" if model.train_on == "backend" else "lbfgs"


def check_parameters(model: Classifier, *, partial: bool = False) -> None:
    """Raise an error for parameters that are invalid or incompatible; `partial` checks those of `partial_fit`."""
    for name, allowed in _CHOICES.items():
        check_choice(name, getattr(model, name), allowed)
    for name in ("n_init", "shots", "n_iter_no_change"):
        check_whole(name, getattr(model, name), 1)
    for name in ("max_iter", "batch_size"):
        if getattr(model, name) is not None:
            check_whole(name, getattr(model, name), 1)
    check_whole("reps", model.reps, 0)
    check_real("init_scale", model.init_scale, 0)
    check_real("tol", model.tol, 0)
    check_real("sharpness", model.sharpness, 0, open_low=True)
    check_real("validation_fraction", model.validation_fraction, 0, 1, open_low=True)
    if model.callback is not None and not callable(model.callback):
        raise ValueError(f"callback must be callable or None; got {model.callback!r}")
    if model.learning_rate is not None:
        check_real("learning_rate", model.learning_rate, 0, open_low=True)
    if model.threshold is not None:
        check_real("threshold", model.threshold, -inf)
    for name in ("bias", "compress", "warm_start", "early_stopping"):
        check_flag(name, getattr(model, name))
    on_backend = model.train_on == "backend"
    solver = chosen_solver(model, partial=partial)
    if partial:
        _check_partial(model, solver)
    for name, without in (("learning_rate", ("lbfgs", "cobyla")), ("batch_size", ("lbfgs", "cobyla", "spsa"))):
        if getattr(model, name) is not None and solver in without:
            raise ValueError(f"{name} has no effect with the solver {solver}: leave it None, or choose another solver")
    if model.gradient == "shift" and solver in ("cobyla", "spsa"):
        raise ValueError(f"gradient='shift' has no effect with the solver {solver}, which takes values alone")
    if on_backend and model.backend is None:
        raise ValueError("train_on='backend' needs a backend; got None")
    if model.gradient != "auto" and (model.gradient == "shift") != on_backend:
        raise ValueError(f"gradient={model.gradient!r} does not go with train_on={model.train_on!r}")
    if on_backend and model.solver == "lbfgs":
        raise ValueError("lbfgs needs exact gradients; on a backend use adam, sgd, spsa or cobyla")


def _check_partial(model: Classifier, solver: str) -> None:
    """Raise an error for options that need all rows at once, as scikit-learn's classifiers do."""
    if solver in ("lbfgs", "cobyla"):
        raise ValueError(f"partial_fit needs a solver of passes (sgd, paper, adam or spsa); got {solver!r}")
    if model.early_stopping:
        raise ValueError("partial_fit goes over the rows once: early_stopping must be False; got True")
    if isinstance(model.class_weight, str):
        raise ValueError(
            "partial_fit sees a part of the rows: class_weight must be {label: factor} or None; "
            f"got {model.class_weight!r}"
        )


def _class_weights(class_weight: Any, known: npt.NDArray[Any], labels: npt.NDArray[Any], weights: Floats) -> Floats:
    """Return the weight factor of each sample from its class, (samples,), positive; "balanced" counts weighted rows."""
    if class_weight is None:
        return np.ones(len(labels))
    present = np.unique(labels)
    if isinstance(class_weight, Mapping) and not set(class_weight) <= set(known.tolist()):
        raise ValueError(f"class_weight must name labels among {known.tolist()}; got {short_repr(list(class_weight))}")
    usable = class_weight
    if isinstance(class_weight, Mapping):
        usable = {label: factor for label, factor in class_weight.items() if label in present}
    factors = compute_class_weight(usable, classes=present, y=labels, sample_weight=weights)
    factors = np.asarray(factors, dtype=np.float64)
    if not (np.isfinite(factors) & (factors > 0)).all():
        raise ValueError(f"class_weight must hold positive factors; got {short_repr(class_weight)}")
    return np.asarray(factors[np.searchsorted(present, labels)])


def _validate(
    model: Classifier, X: npt.ArrayLike, y: Any = None, *, reset: bool = True
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Check rows, and labels if given; complex amplitudes, which scikit-learn rejects, are checked here."""
    fitting = y is not None
    if model.encoding != "state":
        if fitting:
            rows, labels = validate_data(model, X, y, dtype=np.float64, reset=reset)
            return rows, labels
        if hasattr(model, "ansatz_") and model.n_features_in_ != model.ansatz_.n_data:
            return _check_width(check_array(X, dtype=np.float64), model.ansatz_.n_data, "features"), np.zeros(0)
        return validate_data(model, X, dtype=np.float64, reset=False), np.zeros(0)
    if issparse(X):
        raise TypeError("states must be dense; got a sparse matrix: use .toarray()")
    rows = np.asarray(X, dtype=np.complex128)
    if rows.ndim != 2 or not len(rows) or not np.isfinite(rows).all():
        raise ValueError(f"states must be finite, shape (samples, 2**n), one or more; got shape {rows.shape}")
    new = fitting and reset
    if not new:
        _check_width(rows, 1 << model.ansatz_.n_data, "amplitudes")
    if new or model.n_features_in_ == rows.shape[1]:
        validate_data(model, X, reset=new, skip_check_array=True)  # names and number of columns only
    labels = np.asarray(y) if fitting else np.zeros(0)
    assert_all_finite(labels)
    if fitting and labels.shape != rows.shape[:1]:
        raise ValueError(f"y must have shape ({len(rows)},); got {labels.shape}")
    return rows, labels


def _check_width(rows: npt.NDArray[Any], width: int, noun: str) -> npt.NDArray[Any]:
    """Check rows against the width of the circuit, since the encoding may have been changed after fit."""
    if rows.shape[1] != width:
        raise ValueError(f"X must have {width} {noun} per row; got {rows.shape[1]}")
    return rows


def _thresholds(threshold: float | None, rows: Floats, weights: Floats) -> Floats:
    if threshold is not None:
        return np.full(rows.shape[1], float(threshold))
    if np.isin(rows, (0.0, 1.0)).all():
        return np.full(rows.shape[1], 0.5)
    return np.asarray(np.average(rows, axis=0, weights=weights))


def _check_range(rows: Floats) -> None:
    """Warn of features that span 2 or more, since RX(pi x) maps x and x + 2 to the same state."""
    spans = np.ptp(rows, axis=0)
    widest = int(spans.argmax())
    if spans[widest] >= 2:
        low, high = rows[:, widest].min(), rows[:, widest].max()
        warnings.warn(
            "angle encoding turns a qubit by pi times the feature, so x and x + 2 are one state: features should span "
            f"less than 2, best [0, 1]; got {low:g} to {high:g} for feature {widest}: scale X first",
            UserWarning,
            stacklevel=5,
        )


def _to_inputs(model: Classifier, rows: npt.NDArray[Any]) -> Inputs:
    if model.encoding == "basis":
        # A model that was fitted to states or angles has no threshold_.
        default = 0.5 if model.threshold is None else model.threshold
        return encoding.basis(rows > getattr(model, "threshold_", default))
    return encoding.angles(rows) if model.encoding == "angle" else encoding.states(rows)
