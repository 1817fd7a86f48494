"""All ten of scikit-learn's digits: two ways of more than two classes, beside logistic regression.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_multiclass
Writes benchmarks/results/qnn_multiclass.csv; about 4 minutes on one core. "one readout per class" trains the ten
readouts together: cross-entropy of the softmax of ten decision values times a factor, which was the best of 2, 5 and 10
on the training rows' own held-out tenth. One-vs-rest is what `QNNClassifier` does. Not MNIST.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from benchmarks.data import write_rows
from qcluster.qnn import QNNClassifier, images_to_bits
from qcluster.qnn import encoding as encodings
from qcluster.qnn.ansatz import build
from qcluster.qnn.simulation.exact import exact_form

SPLITS = 5
Matrix = npt.NDArray[np.float64]


class Together:
    """One ZX readout with a bias for each class, trained together on the cross-entropy of their softmax."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding

    def fit(self, X: Matrix, y: Matrix) -> "Together":
        inner, held = train_test_split(np.arange(len(y)), test_size=0.1, stratify=y, random_state=0)
        tried = {factor: self._train(X[inner], y[inner], factor)._score(X[held], y[held]) for factor in (2, 5, 10)}
        return self._train(X, y, max(tried, key=lambda factor: tried[factor]))

    def score(self, X: Matrix, y: Matrix) -> float:
        return self._score(X, y)

    def _values(self, X: Matrix) -> list[Any]:
        inputs = encodings.basis(X > 0.5) if self.encoding == "basis" else encodings.angles(X)
        form = exact_form(build("zx", X.shape[1]), inputs.kind)
        return [form.forward(theta, inputs) for theta in self.theta]

    def _score(self, X: Matrix, y: Matrix) -> float:
        return float((np.argmax([f for f, _ in self._values(X)], axis=0) == y).mean())

    def _train(self, X: Matrix, y: Matrix, factor: float) -> "Together":
        size, rng, best = X.shape[1] + 1, np.random.default_rng(0), np.inf

        def loss(flat: Matrix) -> tuple[float, Matrix]:
            self.theta = flat.reshape(10, size)
            found = self._values(X)
            logits = factor * np.stack([f for f, _ in found])
            value = float((logsumexp(logits, axis=0) - logits[y, np.arange(len(y))]).mean())
            slopes = softmax(logits, axis=0)
            slopes[y, np.arange(len(y))] -= 1
            slopes *= factor / len(y)
            return value, np.concatenate([pull(row) for (_, pull), row in zip(found, slopes, strict=True)])

        for _ in range(5):
            done = minimize(loss, rng.normal(0, 0.05, 10 * size), jac=True, method="L-BFGS-B", options={"maxiter": 200})
            if done.fun < best:
                best, kept = done.fun, done.x
        self.theta = kept.reshape(10, size)
        return self


def main() -> None:
    from sklearn.datasets import load_digits

    pixels, y = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 8, 8) / 16
    rows = []
    for name, size, threshold in (("4 x 4 bits", 4, 0.5), ("4 x 4 grey", 4, None), ("8 x 8 grey", 8, None)):
        X = images_to_bits(images, y, size=size, threshold=threshold).X
        kind = "basis" if threshold else "angle"
        models: dict[str, Callable[[str], Any]] = {
            "one-vs-rest": lambda kind: QNNClassifier(encoding=kind, random_state=0),
            "one readout per class": Together,
            "logistic regression": lambda _: LogisticRegression(max_iter=1000),
        }
        for model, make in models.items():
            scores, seconds = [], []
            for train, test in StratifiedShuffleSplit(SPLITS, test_size=0.3, random_state=0).split(X, y):
                start = perf_counter()
                fitted = make(kind).fit(X[train], y[train])
                seconds.append(perf_counter() - start)
                scores.append(fitted.score(X[test], y[test]))
            rows.append({"data": name, "model": model, "mean": round(float(np.mean(scores)), 4),
                         "sd": round(float(np.std(scores)), 4), "min": round(min(scores), 4),
                         "fit_seconds_best": round(min(seconds), 2)})  # fmt: skip
            print(rows[-1], flush=True)
    write_rows("qnn_multiclass.csv", rows)


if __name__ == "__main__":
    main()
