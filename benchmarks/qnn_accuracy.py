"""Accuracy of the classifier with ideal circuits, on two digits of scikit-learn's 8 x 8 set, majority and parity.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_accuracy
Writes benchmarks/results/qnn_digits.csv and qnn_boolean.csv; about 5 minutes on one core. The digits are 3 against 6,
reduced to 4 x 4 bits at threshold 8: 364 images, 66 of them distinct. They are not MNIST. "random" splits share images
between training and test, "grouped" splits do not. All models get the same splits; the paper preset, which is slow
because of its one-sample steps, runs on the random ones only.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit
from sklearn.svm import SVC

from benchmarks.data import write_row_by_row
from benchmarks.timing import timed
from qcluster.qnn import LabelledBits, QNNClassifier, load_digits_4x4, subset_majority, subset_parity

SPLITS = 20
SUBSETS = 8
MODELS: dict[str, Callable[[], Any]] = {
    "zx": lambda: QNNClassifier(random_state=0),
    "zx-xx": lambda: QNNClassifier("zx-xx", random_state=0),
    "3 x (zx-xx)": lambda: QNNClassifier("zx-xx", reps=3, random_state=0),
    "tfq": lambda: QNNClassifier("tfq", bias=False, random_state=0),
    "reed-muller, degree 2": lambda: QNNClassifier("reed-muller", reps=2, random_state=0),
    "zx, linear loss": lambda: QNNClassifier(loss="linear", random_state=0),
    "zx, log loss": lambda: QNNClassifier(loss="log", random_state=0),
    "paper preset": lambda: QNNClassifier.paper(random_state=0),
    "paper preset, loss / g^2": lambda: QNNClassifier.paper(solver="paper", random_state=0),
    "logistic regression": lambda: LogisticRegression(),
    "support vectors, rbf": lambda: SVC(),
}
ANGLES: dict[str, Callable[[], Any]] = {
    "zx, angle encoding, grey": lambda: QNNClassifier(encoding="angle", random_state=0),
    "logistic regression, grey": lambda: LogisticRegression(),
}


def digits() -> Iterator[dict[str, Any]]:
    bits, grey = load_digits_4x4(3, 6), load_digits_4x4(3, 6, threshold=None)
    for models, data in ((MODELS, bits), (ANGLES, grey)):
        for name, make in models.items():
            for kind, splits in (("random", random_splits(bits)), ("grouped", grouped_splits(bits))):
                if name.startswith("paper") and kind == "grouped":
                    continue
                yield {"model": name, "split": kind} | scores(make, data, splits)


def random_splits(data: LabelledBits) -> list[Any]:
    return list(StratifiedShuffleSplit(SPLITS, test_size=0.3, random_state=0).split(data.X, data.y))


def grouped_splits(data: LabelledBits) -> list[Any]:
    return list(GroupShuffleSplit(SPLITS, test_size=0.3, random_state=0).split(data.X, data.y, data.groups))


def scores(make: Callable[[], Any], data: LabelledBits, splits: list[Any]) -> dict[str, float]:
    accuracies, seconds = [], []
    for train, test in splits:
        model, spent = timed(partial(make().fit, data.X[train], data.y[train]), perf_counter)
        seconds.append(spent)
        accuracies.append(model.score(data.X[test], data.y[test]))
    return {
        "mean": round(float(np.mean(accuracies)), 4),
        "sd": round(float(np.std(accuracies)), 4),
        "median": round(float(np.median(accuracies)), 4),
        "min": round(float(np.min(accuracies)), 4),
        "fit_seconds_best": round(min(seconds), 3),
    }


def drawn_subset(task: str, n: int, rng: np.random.Generator) -> Any:
    """Draw a non-empty subset of the bits, ``(n,) bool``; for a majority its size is odd."""
    subset = rng.random(n) < 0.5
    subset[rng.integers(n)] = True
    if task == "majority" and subset.sum() % 2 == 0:
        subset[np.flatnonzero(subset)[0]] = False
    return subset


def boolean(task: str, n: int) -> dict[str, Any]:
    """For each of 8 random subsets of the bits, train on 500 strings, best of 10 starts, and test on 2000 others."""
    draw = subset_majority if task == "majority" else subset_parity
    accuracies, seconds = [], []
    for seed in range(SUBSETS):
        rng = np.random.default_rng([n, seed])
        subset = drawn_subset(task, n, rng)
        train, test = (draw(n, size, subset=subset, seed=rng) for size in (500, 2000))
        model = QNNClassifier(n_init=10, init_scale=0.1 if task == "majority" else 1.5, random_state=seed)
        seconds.append(timed(partial(model.fit, train.X, train.y), perf_counter)[1])
        accuracies.append(model.score(test.X, test.y))
    return {
        "task": task,
        "bits": n,
        "mean": round(float(np.mean(accuracies)), 4),
        "min": round(float(np.min(accuracies)), 4),
        "solved": f"{sum(score == 1.0 for score in accuracies)}/{SUBSETS}",
        "fit_seconds_best": round(min(seconds), 3),
    }


if __name__ == "__main__":
    write_row_by_row("qnn_digits.csv", digits())
    write_row_by_row("qnn_boolean.csv", (boolean(*one) for one in product(("majority", "parity"), (6, 8, 10, 12, 16))))
