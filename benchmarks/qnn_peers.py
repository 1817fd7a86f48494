"""Comparison with the classifiers of qiskit-machine-learning: accuracy, time and features, on the same rows in one run.

Run from the repository, after pip install '.[clients]':
OMP_NUM_THREADS=1 python -m benchmarks.qnn_peers
Writes benchmarks/results/qnn_peers.csv and qnn_peers_features.csv; about two minutes on one core, nearly all of it the
training of the other classifiers. The data are the digits 3 against 6 of scikit-learn's 8 x 8 set, averaged to 3 x 3
grey values: the same 60 training and 304 test images for all. All circuits are ideal; times are processor time of one
thread.

EstimatorQNN gets our circuit, loss, kind of solver and start, so that it trains the same model as "one start". The VQC
rows use VQC's own start and interpretation (parity of all bits) and 1024 shots. The circuits of the other classifiers
run on Aer's primitives, with which VQC trained some 8 times as fast here as with the default reference primitives.
COBYLA is the optimiser of the VQC tutorials; the default SLSQP measures 73 circuits per row and step here.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2, SamplerV2
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score

from benchmarks.data import write_row_by_row
from benchmarks.timing import timed
from qcluster.qnn import QNNClassifier, circuits, images_to_bits
from qcluster.qnn.ansatz import build

TRAIN = 60
Make = Callable[[int], Any]
"""Number of features -> an unfitted estimator."""


def angle_encoding(n: int) -> QuantumCircuit:
    """Build our angle encoding, RX(pi x) on every qubit."""
    out, x = QuantumCircuit(n), ParameterVector("x", n)
    for qubit in range(n):
        out.rx(np.pi * x[qubit], qubit)
    return out


def compiler() -> Any:
    return generate_preset_pass_manager(1, backend=AerSimulator(), seed_transpiler=0)


def estimator_qnn(n: int, maxiter: int = 50) -> Any:
    from qiskit_machine_learning.algorithms import NeuralNetworkClassifier
    from qiskit_machine_learning.neural_networks import EstimatorQNN
    from qiskit_machine_learning.optimizers import L_BFGS_B

    ansatz, preparation = build("zx", n), angle_encoding(n)
    whole = circuits.circuit(ansatz, preparation=preparation, measure=False)
    inputs = list(preparation.parameters)
    network = EstimatorQNN(
        circuit=whole, observables=SparsePauliOp("Y" + "I" * n), input_params=inputs,
        weight_params=[p for p in whole.parameters if p not in inputs], default_precision=0.0,
        estimator=EstimatorV2(), pass_manager=compiler(),
    )  # fmt: skip
    start = np.random.default_rng(0).normal(0, 0.05, ansatz.n_parameters)
    return NeuralNetworkClassifier(
        network, loss="squared_error", optimizer=L_BFGS_B(maxiter=maxiter), initial_point=start
    )


def vqc(feature_map: Callable[[int], QuantumCircuit], reps: int, maxiter: int = 80) -> Make:
    def make(n: int) -> Any:
        from qiskit_machine_learning.algorithms import VQC
        from qiskit_machine_learning.optimizers import COBYLA
        from qiskit_machine_learning.utils import algorithm_globals

        algorithm_globals.random_seed = 0
        ansatz = real_amplitudes(n, reps=reps)
        return VQC(
            feature_map=feature_map(n), ansatz=ansatz, optimizer=COBYLA(maxiter=maxiter), sampler=SamplerV2(seed=0),
            pass_manager=compiler(),
        )  # fmt: skip

    return make


MODELS: dict[str, Make] = {
    "QNNClassifier": lambda n: QNNClassifier(encoding="angle", random_state=0),
    "QNNClassifier, one start": lambda n: QNNClassifier(encoding="angle", n_init=1, max_iter=50, random_state=0),
    "EstimatorQNN, the same circuit": estimator_qnn,
    "VQC, our encoding": vqc(angle_encoding, 1),
    "VQC, its default circuit": vqc(zz_feature_map, 3),
    "logistic regression": lambda n: LogisticRegression(),
}


def scores(name: str, make: Make, X: Any, y: Any) -> dict[str, Any]:
    """Train and test one model, and return its row."""
    # EstimatorQNN accepts only the labels -1 and 1.
    labels = np.where(y == 6, 1, -1)
    ((train, test),) = StratifiedShuffleSplit(1, train_size=TRAIN, random_state=0).split(X, labels)
    model = make(X.shape[1])
    _, fitting = timed(partial(model.fit, X[train], labels[train]))
    test, predicting = timed(partial(accuracy, model, X[test], labels[test]))
    row: dict[str, Any] = {"model": name, "fit_seconds": float(f"{fitting:.3g}"), "test": round(test, 4)}
    row["predict_seconds"] = float(f"{predicting:.3g}")
    return row | {"train": round(accuracy(model, X[train], labels[train]), 4)}


def accuracy(model: Any, X: Any, y: Any) -> float:
    return float((np.asarray(model.predict(X)).ravel() == y).mean())


def features(name: str, make: Make) -> dict[str, Any]:
    """Try features that users of scikit-learn expect, on 24 rows; "yes" means that it ran and the result was right."""
    rng = np.random.default_rng(0)
    X = rng.random((24, 2))
    y = np.where(X.sum(axis=1) > 1, 1, -1)
    three = np.digitize(X[:, 0], (0.33, 0.66))

    def stops() -> bool:
        calls: list[int] = []
        model = make(2)
        note: Callable[..., bool] = lambda *_: calls.append(1) or True  # noqa: E731
        model.callback = note
        model.fit(X, y)
        return len(calls) == 1

    def probabilities() -> bool:
        proba = make(2).fit(X, y).predict_proba(X)
        return np.shape(proba) == (24, 2) and np.allclose(np.sum(proba, axis=1), 1)

    def weighted() -> bool:
        # Rows of weight 0 must have no effect.
        weights = (np.arange(24) < 12).astype(float)
        one, other = make(2).fit(X, y, sample_weight=weights), make(2).fit(X[:12], y[:12])
        return bool((np.ravel(one.predict(X)) == np.ravel(other.predict(X))).all())

    def known(labels: Any) -> bool:
        return set(np.ravel(make(2).fit(X, labels).predict(X)).tolist()) <= set(labels.tolist())

    probes: dict[str, Callable[[], bool]] = {
        "clone": lambda: clone(make(2)) is not None,
        "cross_val_score": lambda: len(cross_val_score(make(2), X, y, cv=2, error_score="raise")) == 2,
        "labels of text": lambda: known(np.where(y == 1, "up", "down")),
        "three classes": lambda: known(three),
        "predict_proba": probabilities,
        "decision_function": lambda: make(2).fit(X, y).decision_function(X).shape == (24,),
        "sample_weight": weighted,
        "partial_fit": lambda: make(2).partial_fit(X, y, classes=[-1, 1]) is not None,
        "callback stops": stops,
    }
    row: dict[str, Any] = {"model": name} | dict.fromkeys(probes, "no")
    for feature, probe in probes.items():
        with suppress(Exception):  # any error means "no"
            row[feature] = "yes" if probe() else "no"
    return row


FEATURED: dict[str, Make] = {
    "QNNClassifier": MODELS["QNNClassifier"],
    "EstimatorQNN, NeuralNetworkClassifier": lambda n: estimator_qnn(n, maxiter=5),
    "VQC": vqc(angle_encoding, 1, maxiter=10),
}


def main() -> None:
    write_row_by_row("qnn_peers_features.csv", (features(name, make) for name, make in FEATURED.items()))
    pixels, y = load_digits(return_X_y=True)
    selected = np.isin(y, (3, 6))
    data = images_to_bits(pixels[selected].reshape(-1, 8, 8) / 16, y[selected], size=3, threshold=None)
    write_row_by_row("qnn_peers.csv", (scores(name, make, data.X, data.y) for name, make in MODELS.items()))


if __name__ == "__main__":
    main()
