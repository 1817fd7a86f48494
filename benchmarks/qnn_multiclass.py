"""All ten of scikit-learn's digits: a readout each, trained by softmax or one-vs-rest, beside logistic regression.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_multiclass
Writes benchmarks/results/qnn_multiclass.csv and qnn_sharpness.csv; about a minute of one core. The same 3 splits, 30 %
for testing, for all models. Training ends after 300 rounds of one start. qnn_sharpness.csv holds the accuracy by 3-fold
cross-validation within the training rows of the first split: the default sharpness is that of the best mean over both
sizes of image. "Searched" chooses it anew within the training rows of each split. Not MNIST.
"""

import warnings
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from benchmarks.data import write_rows
from qcluster.qnn import QNNClassifier, images_to_bits

SPLITS = 3
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


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    pixels, y = load_digits(return_X_y=True)
    rows, sharp = [], []
    for name, size in (("4 x 4 bits", 4), ("8 x 8 bits", 8)):
        X = images_to_bits(pixels.reshape(-1, 8, 8) / 16, y, size=size).X
        for model, make in MODELS.items():
            scores, seconds, chosen = [], [], []
            for train, test in StratifiedShuffleSplit(SPLITS, test_size=0.3, random_state=0).split(X, y):
                start = process_time()
                fitted = make().fit(X[train], y[train])
                seconds.append(process_time() - start)
                scores.append(fitted.score(X[test], y[test]))
                chosen.append(fitted.best_params_["sharpness"] if model.endswith("searched") else "")
                if len(chosen) == 1 and model.endswith("searched"):
                    found = fitted.cv_results_["mean_test_score"].round(4).tolist()
                    sharp += [
                        {"data": name, "sharpness": s, "accuracy": a} for s, a in zip(SHARPNESS, found, strict=True)
                    ]
            row = {"data": name, "model": model, "mean": round(float(np.mean(scores)), 4)}
            row |= {"min": round(min(scores), 4), "fit_seconds_best": round(min(seconds), 2)}
            row["sharpness"] = " ".join(str(value) for value in chosen).strip()
            rows.append(row)
            print(row, flush=True)
    write_rows("qnn_multiclass.csv", rows)
    write_rows("qnn_sharpness.csv", sharp)
    for row in sharp:
        print(row)


if __name__ == "__main__":
    main()
