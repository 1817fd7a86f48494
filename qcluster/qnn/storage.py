"""Save a fitted classifier as JSON and load it again, without pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import comb
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from qcluster.core.checks import check_choice, check_real, check_whole
from qcluster.core.words import short_repr
from qcluster.device.storage import read_array
from qcluster.errors import StorageError
from qcluster.files import parse_json, read_whole, write_whole
from qcluster.qnn.ansatz import Ansatz, Term, build
from qcluster.qnn.classifier import QNNClassifier
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.samples import ENCODINGS
from qcluster.qnn.training.fitted import describe

FORMAT = "qcluster-qnn"
VERSION = 2
"""Since version 2 a file contains the calibration rows."""
_MAX_GATES = 100_000
"""Most gates of a stored circuit."""
Result = TypeVar("Result")
_NOT_STORED = ("backend", "execution", "train_on", "random_state", "callback", "class_weight")


def save_model(model: QNNClassifier, path: str | Path, *, split: Mapping[str, float] | None = None) -> None:
    """Write a fitted classifier to a JSON file: its parameters, labels, thresholds and angles.

    The parameters backend, execution, train_on, random_state, callback and class_weight are not stored. Once they are
    set again on the loaded model, `partial_fit` continues the training.

    Args:
        model: A fitted classifier.
        path: The JSON file.
        split: Seed and share of the samples that were kept for testing, `{"seed": 0, "test_share": 0.3}`; see
            `load_split`. None if nothing is known of them.

    Raises:
        TypeError: The model is something else, such as a pipeline.
        NotFittedError: The model is not fitted.
        ValueError: The ansatz is a function, or the labels are neither numbers nor text, which JSON cannot represent;
            or the ansatz was changed after fit.
        StorageError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> bits, labels = np.array([[0, 1], [1, 0], [1, 1]]), ["a", "b", "b"]
        >>> model = QNNClassifier(random_state=0).fit(bits, labels)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(model, f"{folder}/model.json")
        ...     again = load_model(f"{folder}/model.json")
        >>> bool((again.predict(bits) == model.predict(bits)).all())
        True
    """
    if not isinstance(model, QNNClassifier):
        raise TypeError(
            f"model must be a QNNClassifier; got a {type(model).__name__}: a pipeline's last step is pipeline[-1], and "
            "its earlier steps, such as a scaler, are not stored"
        )
    check_is_fitted(model)
    if callable(model.ansatz):
        raise ValueError("an ansatz given as a function cannot be stored; give its name, its layers or an Ansatz")
    if model.classes_.dtype.kind not in "iufbU":
        raise ValueError(f"labels must be numbers or texts to be stored; got dtype {model.classes_.dtype}")
    parameters = {key: value for key, value in model.get_params(deep=False).items() if key not in _NOT_STORED}
    if isinstance(model.ansatz, Ansatz):
        parameters["ansatz"] = asdict(model.ansatz)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "parameters": parameters,
        "classes": model.classes_.tolist(),
        "theta": model.theta_.tolist(),
        "threshold": model.threshold_.tolist() if hasattr(model, "threshold_") else None,
        "n_features": model.n_features_in_,
        "feature_names": list(getattr(model, "feature_names_in_", ())),
        "n_data": model.ansatz_.n_data,
        "fitted_ansatz": _fitted_ansatz(model),
        "loss_curve": model.loss_curve_.tolist(),
        "validation_curve": model.validation_curve_.tolist(),
        "n_iter": model.n_iter_,
        "n_circuits": model.n_circuits_,
        "n_shots": model.n_shots_,
        "contraction": model.contraction_,
        "calibration": _write_inputs(model.calibration_),
        "split": None if split is None else dict(split),
    }
    write_whole(Path(path), json.dumps(content, indent=1, default=_plain) + "\n")


def load_model(path: str | Path) -> QNNClassifier:
    """Read a classifier that `save_model` wrote; it is fitted and can predict.

    Args:
        path: The JSON file.

    Raises:
        StorageError: The file cannot be read, or is not a valid classifier.
    """
    return _read(path, _restore)


def load_split(path: str | Path) -> tuple[int, float] | None:
    """Read the seed and the share by which `qcluster qnn train` kept samples for testing; None if the file lacks them.

    Args:
        path: A file that `save_model` wrote.

    Raises:
        StorageError: The file cannot be read, or is not a valid classifier.
    """
    return _read(path, _restore_split)


def _read(path: str | Path, restore: Callable[[dict[str, Any]], Result]) -> Result:
    """Read a stored classifier and make of its content what is wanted; every fault is a StorageError."""
    try:
        content: dict[str, Any] = parse_json(read_whole(Path(path)))
        form, version = content["format"], content["version"]
        if (form, version) != (FORMAT, VERSION):
            cure = ": upgrade qcluster" if form == FORMAT and version > VERSION else ""
            raise StorageError(f"{path} must be {FORMAT} version {VERSION}; got {form} {version}{cure}")
        return restore(content)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        fault = f"lacks {error}" if isinstance(error, KeyError) else error
        raise StorageError(f"{path} is not a stored classifier: {fault}") from error


def _plain(value: Any) -> Any:
    """Convert NumPy numbers and arrays, which parameter searches set, to plain Python values."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ValueError(f"parameters must be plain values to be stored; got {short_repr(value)}")


def _write_inputs(inputs: Inputs) -> dict[str, Any]:
    array = np.asarray(inputs.array, dtype=np.complex128)
    return {"kind": inputs.kind, "real": array.real.tolist(), "imag": array.imag.tolist()}


def _read_inputs(content: dict[str, Any], n_data: int) -> Inputs:
    real, imaginary = (read_array(f"{part} parts", content[part], "f") for part in ("real", "imag"))
    kind, array = content["kind"], real + 1j * imaginary
    shape = {"basis": (n_data,), "product": (n_data, 2), "state": (1 << n_data,) if n_data < 64 else ()}[kind]
    if array.shape[1:] != shape or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"calibration rows of kind {kind} must be finite, shape (k, *{shape}); got {array.shape}")
    return Inputs(kind, array.real > 0.5 if kind == "basis" else array)


def _fitted_ansatz(model: QNNClassifier) -> str:
    """Return "literal" if theta belongs to the model's ansatz, or "zx" if a ZX layer replaced it in training."""
    n_data = model.ansatz_.n_data
    if build(model.ansatz, n_data, reps=model.reps, bias=model.bias) == model.ansatz_:
        return "literal"
    if build("zx", n_data) != model.ansatz_:
        raise ValueError(
            "ansatz, reps and bias must be those of the fit for its angles to be stored; got "
            f"{short_repr(model.ansatz)}, {model.reps} and {model.bias}: fit again, or set them back"
        )
    return "zx"


def _check_size(model: QNNClassifier, n_data: int) -> None:
    """Refuse implausible sizes before a circuit of such a size is built."""
    reps = int(model.reps)
    if not 1 <= n_data <= _MAX_GATES or not 0 <= reps <= _MAX_GATES or n_data * reps > _MAX_GATES:
        raise ValueError(f"{n_data} data qubits and {reps} repetitions are outside the limits of a stored circuit")
    if model.ansatz == "reed-muller" and min(reps, n_data) > 1 and comb(n_data, min(reps, n_data)) > _MAX_GATES:
        raise ValueError(f"degree {reps} on {n_data} data qubits is outside the limits of a stored circuit")


def _restore_split(content: dict[str, Any]) -> tuple[int, float] | None:
    split = content.get("split")  # models of earlier versions, and those saved without the command line, lack it
    if split is None:
        return None
    share = check_real("test_share", split["test_share"], 0, 1, open_low=True, open_high=True)
    return check_whole("seed", split["seed"], 0), share


def _restore(content: dict[str, Any]) -> QNNClassifier:
    parameters = dict(content["parameters"])
    if isinstance(parameters["ansatz"], dict):
        gates = parameters["ansatz"]
        terms = tuple(Term(tuple(map(int, t["qubits"])), t["data"], t["readout"]) for t in gates["terms"])
        parameters["ansatz"] = Ansatz(int(gates["n_data"]), terms, gates["start"], gates["measure"])
    model = QNNClassifier(**parameters)
    check_choice("encoding", model.encoding, ENCODINGS)
    check_real("sharpness", model.sharpness, 0, open_low=True)
    n_data = check_whole("n_data", content["n_data"], 1)
    _check_size(model, n_data)
    model.ansatz_ = (
        build(model.ansatz, n_data, reps=model.reps, bias=model.bias)
        if content["fitted_ansatz"] == "literal"
        else build("zx", n_data)
    )
    model.classes_ = np.array(content["classes"])
    model.theta_ = read_array("angles", content["theta"], "f")
    count, size = len(model.classes_), model.ansatz_.n_parameters
    if count < 2 or model.theta_.shape != ((size,) if count == 2 else (count, size)):
        raise ValueError(
            f"needs two classes or more, and {size} angles for each readout; "
            f"got {count} classes and angles of shape {model.theta_.shape}"
        )
    if not np.isfinite(model.theta_).all():
        raise ValueError("angles must be finite")
    if model.classes_.ndim != 1 or not (model.classes_[:-1] < model.classes_[1:]).all():
        raise ValueError(f"classes must be distinct labels in ascending order; got {content['classes']}")
    if content["threshold"] is not None:
        model.threshold_ = read_array("thresholds", content["threshold"], "f")
        if model.threshold_.shape != (n_data,) or not np.isfinite(model.threshold_).all():
            raise ValueError(f"thresholds must be {n_data} finite numbers; got {content['threshold']}")
    model.n_features_in_ = check_whole("n_features", content["n_features"], 1)
    names = content.get("feature_names") or []
    if names and (
        not isinstance(names, list)
        or len(names) != model.n_features_in_
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError(f"feature_names must be {model.n_features_in_} texts; got {names!r:.60}")
    if names:
        model.feature_names_in_ = np.array(names, dtype=object)
    for name in ("loss_curve", "validation_curve"):
        setattr(model, f"{name}_", read_array(name, content[name], "f"))
    for name in ("n_iter", "n_circuits", "n_shots"):
        setattr(model, f"{name}_", check_whole(name, content[name], 0))
    model.contraction_ = float(read_array("contraction", content["contraction"], "f"))
    model.calibration_ = _read_inputs(content["calibration"], n_data)
    describe(model)
    return model
