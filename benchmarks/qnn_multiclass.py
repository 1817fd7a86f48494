"""Accuracy on all ten of scikit-learn's digits, with softmax or one-vs-rest losses, and of logistic regression.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_multiclass
Writes benchmarks/results/qnn_multiclass.csv and qnn_sharpness.csv; about a minute on one core. All models get the same
3 splits, with 30 % for testing, and train for at most 300 rounds from one start. qnn_sharpness.csv contains the
accuracy in 3-fold cross-validation, repeated 4 times with different folds, within the training rows of the first split;
the default sharpness has the best mean over both image sizes. "Searched" chooses the sharpness within the training rows
of each split. The digits are not MNIST.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, StratifiedShuffleSplit, cross_val_score

from benchmarks.data import write_row_by_row
from benchmarks.timing import timed
from qcluster.qnn import QNNClassifier, images_to_bits

SPLITS = 3
REPEATS = 4
SIZES = ("4 x 4 bits", 4), ("8 x 8 bits", 8)
SHARPNESS = [1.0, 2.0, 3.0, 5.0, 7.0, 10.0]
MODELS: dict[str, Callable[[], Any]] = {
    "softmax of ten readouts": lambda: quantum("softmax"),
    "softmax, sharpness searched": lambda: searched(),
    "one-vs-rest": lambda: quantum("squared"),
    "logistic regression": lambda: LogisticRegression(max_iter=1000),
}


def quantum(loss: str) -> QNNClassifier:
    return QNNClassifier(loss=loss, max_iter=300, n_init=1, random_state=0)


def searched() -> GridSearchCV:
    return GridSearchCV(quantum("softmax"), {"sharpness": SHARPNESS}, cv=3)


def cross_validated() -> Iterator[dict[str, Any]]:
    """Score every sharpness within the training rows of the first split."""
    pixels, y = load_digits(return_X_y=True)
    folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=REPEATS, random_state=0)
    for name, size in SIZES:
        X = images_to_bits(pixels.reshape(-1, 8, 8) / 16, y, size=size).X
        train, _ = next(StratifiedShuffleSplit(SPLITS, test_size=0.3, random_state=0).split(X, y))
        for sharpness in SHARPNESS:
            scores = cross_val_score(quantum("softmax").set_params(sharpness=sharpness), X[train], y[train], cv=folds)
            error = scores.reshape(REPEATS, -1).mean(axis=1).std(ddof=1) / np.sqrt(REPEATS)
            row = {"data": name, "sharpness": sharpness, "accuracy": round(float(scores.mean()), 4)}
            yield row | {"error": round(float(error), 4)}


def compared() -> Iterator[dict[str, Any]]:
    """Score all models on the same splits."""
    pixels, y = load_digits(return_X_y=True)
    for name, size in SIZES:
        X = images_to_bits(pixels.reshape(-1, 8, 8) / 16, y, size=size).X
        for model, make in MODELS.items():
            scores, seconds, chosen = [], [], []
            for train, test in StratifiedShuffleSplit(SPLITS, test_size=0.3, random_state=0).split(X, y):
                fitted, spent = timed(partial(make().fit, X[train], y[train]))
                seconds.append(spent)
                scores.append(fitted.score(X[test], y[test]))
                chosen.append(fitted.best_params_["sharpness"] if model.endswith("searched") else "")
            row = {"data": name, "model": model, "mean": round(float(np.mean(scores)), 4)}
            row |= {"min": round(min(scores), 4), "fit_seconds_best": round(min(seconds), 2)}
            yield row | {"sharpness": " ".join(str(value) for value in chosen).strip()}


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    write_row_by_row("qnn_multiclass.csv", compared())
    write_row_by_row("qnn_sharpness.csv", cross_validated())
