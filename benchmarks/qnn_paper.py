"""The experiments of Farhi and Neven (arXiv:1802.06002), with ideal circuits.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_paper
Writes benchmarks/results/qnn_paper.csv; two to three minutes on one core. The digits of the paper are MNIST; these are
scikit-learn's 8 x 8 digits, reduced to 4 x 4 bits at threshold 8. Accuracy is measured on strings, images or states
that were not used in training, with labels free of noise, unless the setting of a row says otherwise.
"""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.quantum_info import SparsePauliOp, random_statevector
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupShuffleSplit

from benchmarks.data import write_row_by_row
from benchmarks.qnn_accuracy import drawn_subset
from qcluster.qnn import (
    Ansatz,
    QNNClassifier,
    Term,
    load_digits_4x4,
    majority_angles,
    parity_angles,
    reed_muller_angles,
    subset_majority,
    subset_parity,
)

REPEATS = 8


def strings(n: int) -> npt.NDArray[np.int64]:
    return (np.arange(1 << n)[:, None] >> np.arange(n)) & 1


def row(experiment: str, setting: str, scores: list[float]) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "setting": setting,
        "runs": len(scores),
        "mean": round(float(np.mean(scores)), 4),
        "min": round(float(np.min(scores)), 4),
        "at_1": sum(score >= 1.0 for score in scores),
    }


def explicit(n: int) -> Iterator[dict[str, Any]]:
    """Score explicit angles on all strings of n bits, for parity and majority of every odd number of leading bits."""
    X = strings(n)
    for name, angles in (("parity", parity_angles), ("majority", majority_angles)):
        scores = []
        for k in range(1, n + 1, 2):
            ones = X[:, :k].sum(axis=1)
            labels = ones % 2 if name == "parity" else (2 * ones > k).astype(int)
            scores.append(QNNClassifier.from_angles(*angles(np.arange(n) < k)).score(X, labels))
        yield row(f"explicit {name}", f"{n} bits, all strings", scores)


def every_function(n: int, functions: int) -> dict[str, Any]:
    """Score Reed-Muller angles on all functions of three bits, or on random functions of more bits."""
    rng, scores, gates = np.random.default_rng(n), [], []
    codes = np.arange(256) if n == 3 else np.arange(functions)
    for code in codes:
        truth = (code >> np.arange(8)) & 1 if n == 3 else rng.integers(0, 2, 1 << n)
        model = QNNClassifier.from_angles(*reed_muller_angles(truth))
        scores.append(model.score(strings(n), truth))
        gates.append(np.count_nonzero(model.theta_))
    kind = "all functions" if n == 3 else "random functions"
    return row("Reed-Muller", f"{n} bits, {kind}, {np.mean(gates):.0f} gates", scores)


def learned(task: str, n: int, noise: float) -> dict[str, Any]:
    """Train on 500 strings with label noise, best of 10 starts, and test on 2000 strings with correct labels."""
    draw, scores = (subset_majority if task == "majority" else subset_parity), []
    for seed in range(REPEATS):
        rng = np.random.default_rng([n, seed])
        subset = drawn_subset(task, n, rng)
        train = draw(n, 500, subset=subset, label_noise=noise, seed=rng)
        test = draw(n, 2000, subset=subset, seed=rng)
        model = QNNClassifier(n_init=10, init_scale=0.1 if task == "majority" else 1.5, random_state=seed)
        scores.append(model.fit(train.X, train.y).score(test.X, test.y))
    return row(f"learned {task}", f"{n} bits, label noise {noise:g}", scores)


def digits() -> list[dict[str, Any]]:
    """Score models on all 45 pairs of digits, without contradictory images, with one split without shared images
    each."""
    models = {
        "paper preset": lambda: QNNClassifier.paper(random_state=0),
        "default": lambda: QNNClassifier(random_state=0),
        "logistic regression": LogisticRegression,
    }
    scores: dict[str, list[float]] = {name: [] for name in models}
    for a, b in combinations(range(10), 2):
        data = load_digits_4x4(a, b, duplicates="drop_contradictory")
        ((train, test),) = GroupShuffleSplit(1, test_size=0.3, random_state=0).split(data.X, data.y, data.groups)
        for name, make in models.items():
            scores[name].append(make().fit(data.X[train], data.y[train]).score(data.X[test], data.y[test]))
    return [row("digits, 45 pairs", name, accuracies) for name, accuracies in scores.items()]


def superposed() -> Iterator[dict[str, Any]]:
    """Train on two states, the equal superpositions of the strings of each label, and test on single strings."""
    for task in ("parity", "majority"):
        X, scores = strings(8), []
        for seed in range(REPEATS):
            subset = np.random.default_rng([8, seed]).permutation(8) < 2 * (seed % 3) + 3
            ones = X[:, subset].sum(axis=1)
            labels = ones % 2 if task == "parity" else (2 * ones > subset.sum()).astype(int)
            scale = 0.1 if task == "majority" else 1.5
            scores.append(from_two_states(X, labels, X, labels, n_init=20, init_scale=scale, random_state=seed))
        yield row("superpositions", f"{task}, 8 bits, 2 training states, all strings", scores)
    data, scores = load_digits_4x4(3, 6), []
    for train, test in GroupShuffleSplit(REPEATS, test_size=0.3, random_state=0).split(data.X, data.y, data.groups):
        labels = (data.y == 6).astype(int)
        scores.append(from_two_states(data.X[train], labels[train], data.X[test], labels[test], random_state=0))
    yield row("superpositions", "digits 3/6, 16 bits, 2 training states", scores)


def from_two_states(X: Any, y: Any, X_test: Any, y_test: Any, **parameters: Any) -> float:
    """Train on the superpositions of the rows of each label, and return the accuracy on test rows."""
    states = np.zeros((2, 1 << X.shape[1]))
    indices = X.astype(np.int64) @ (1 << np.arange(X.shape[1]))
    for label in (0, 1):
        np.add.at(states[label], indices[y == label], 1.0)
    states = np.sqrt(states / states.sum(axis=1, keepdims=True))
    model = QNNClassifier(encoding="state", **parameters).fit(states, [0, 1])
    return float(model.set_params(encoding="basis").score(X_test, y_test))


def energies(n: int) -> list[dict[str, Any]]:
    """Classify random states by the sign of <H>, with H a random sum of ZZ on a ring and X.

    The gates are exp(i theta P X) for each term P of H. The sharpness of the softmax is chosen by cross-validation
    within the 300 training states.
    """
    ring = [(q, (q + 1) % n) for q in range(n)]
    terms = [Term(pair, "ZZ", "X") for pair in ring] + [Term((q,), "X", "X") for q in range(n)]
    models = "explicit angles", "trained, squared loss", "trained, softmax loss"
    scores: dict[str, list[float]] = {name: [] for name in (*models, "logistic regression of the means of H's terms")}
    for seed in range(REPEATS):
        rng = np.random.default_rng([n, seed])
        weights = rng.normal(size=len(terms))
        paulis = [
            ("Z" * len(t.qubits) if t.data == "ZZ" else "X", list(t.qubits), w)
            for t, w in zip(terms, weights, strict=True)
        ]
        operators = [SparsePauliOp.from_sparse_list([(letters, qubits, 1.0)], n) for letters, qubits, _ in paulis]
        energy = SparsePauliOp.from_sparse_list(paulis, n)
        states = [random_statevector(2**n, seed=rng) for _ in range(600)]
        X = np.array([state.data for state in states])
        y = (np.array([state.expectation_value(energy).real for state in states]) > 0).astype(int)
        ansatz = Ansatz(n, tuple(terms))
        # To first order f = -2 sum theta_k <P_k>: small angles, proportional to minus the coefficients of H.
        explicit_model = QNNClassifier.from_angles(ansatz, -0.05 * weights, encoding="state")
        scores["explicit angles"].append(explicit_model.score(X[300:], y[300:]))
        model = QNNClassifier(ansatz, encoding="state", n_init=1, random_state=seed)
        scores["trained, squared loss"].append(model.fit(X[:300], y[:300]).score(X[300:], y[300:]))
        sharp = QNNClassifier(ansatz, encoding="state", loss="softmax", n_init=1, random_state=seed)
        search = GridSearchCV(sharp, {"sharpness": [3.0, 10.0, 30.0, 100.0, 300.0]}, cv=3).fit(X[:300], y[:300])
        scores["trained, softmax loss"].append(search.score(X[300:], y[300:]))
        means = np.array([[state.expectation_value(op).real for op in operators] for state in states])
        linear = LogisticRegression(C=1e4, fit_intercept=False).fit(means[:300], y[:300])
        scores["logistic regression of the means of H's terms"].append(linear.score(means[300:], y[300:]))
    return [row("sign of <H>", f"{n} qubits, random states, {name}", found) for name, found in scores.items()]


def random_gates(n: int, n_gates: int) -> Iterator[dict[str, Any]]:
    """Learn the parity of a subset of n bits with random gates: any data Pauli, and the readout about X or any axis."""
    for axes in ("X", "XYZ"):
        scores = []
        for seed in range(REPEATS):
            rng = np.random.default_rng([n, seed])
            terms = tuple(
                Term((int(rng.integers(n)),), str(rng.choice(list("XYZ"))), str(rng.choice(list(axes))))
                for _ in range(n_gates)
            )
            data = subset_parity(n, 400, seed=rng)
            model = QNNClassifier(
                Ansatz(n, (*terms, Term((), "", "X"))), n_init=3, init_scale=1.5, max_iter=200, random_state=seed
            )
            model.fit(data.X[:200], data.y[:200])
            scores.append(model.score(strings(n), labels_of(data, strings(n))))
        about = "the readout about X" if axes == "X" else "the readout about any axis"
        yield row("random gates", f"parity, {n} bits, {n_gates} gates, {about}", scores)


def labels_of(data: Any, X: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the labels of all strings from a sample that contains every string."""
    weights = 1 << np.arange(X.shape[1])
    known = dict(zip((data.X.astype(np.int64) @ weights).tolist(), data.y.tolist(), strict=True))
    return np.array([known[code] for code in (X @ weights).tolist()])


def rows() -> Iterator[dict[str, Any]]:
    for n in (6, 10):
        yield from explicit(n)
    for n in (3, 6, 9):
        yield every_function(n, 50)
    for task, n, noise in product(("majority", "parity"), (6, 10), (0, 0.1, 0.2)):
        yield learned(task, n, noise)
    for several in (digits(), superposed(), energies(6), random_gates(4, 24)):
        yield from several


if __name__ == "__main__":
    write_row_by_row("qnn_paper.csv", rows())
