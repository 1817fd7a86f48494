"""The classifier with the noise of recorded IBM machines, and training under shot noise.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_noise
Writes benchmarks/results/qnn_machines.csv (about 20 minutes on one core) and qnn_training.csv (2 minutes), or only the
one that is named. Models are trained exactly on 254 of the 364 digits, 3 against 6, using the pixels in the middle of
the 4 x 4 image. The distinct images among the other 110 are measured with 2048 shots each, and "accuracy" weights them
by their number. "contraction" is the slope of measured against ideal values of the circuit that ran, "residual" the
root mean square deviation from that line; shot noise alone gives at most .022 at 2048 shots. Where the simulation is
slow (n = 16, and the long circuit at n = 8) only a few images are measured, to determine the contraction.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.data import write_row_by_row
from qcluster.device.machines.machine import find_machine
from qcluster.qnn import ContractedReadout, QNNClassifier, circuits, load_digits_4x4
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.device import compile_template
from qcluster.qnn.simulation.compress import compress

PIXELS = {4: [5, 6, 9, 10], 6: [4, 5, 6, 8, 9, 10], 8: list(range(4, 12)), 16: list(range(16))}
SHOTS = 2048
SEEDS = 10


def machines() -> Iterator[dict[str, Any]]:
    for backend in ("fake_torino", "fake_brisbane"):
        for n in (4, 6, 8):
            for execution in ({"mitigation": "none"}, {"mitigation": "readout"}):
                yield measured(backend, n, "zx", 1, execution)
            long = {"mitigation": "readout"}
            yield measured(backend, n, "3 x (zx-xx)", 3, long, limit=20 if n == 8 else None)
        yield measured(backend, 4, "zx", 1, {"mitigation": "readout", "twirls": 8})
    yield measured("fake_torino", 8, "zx", 1, {"mitigation": "readout", "twirls": 4})
    yield measured("fake_torino", 16, "zx", 1, {"mitigation": "readout"}, limit=2)


def measured(
    backend: str, n: int, name: str, reps: int, execution: dict[str, Any], limit: int | None = None
) -> dict[str, Any]:
    digits = load_digits_4x4(3, 6)
    order = np.random.default_rng(0).permutation(len(digits.y))
    train, test = order[:254], order[254:][:limit]
    X = digits.X[:, PIXELS[n]]
    ansatz = "zx" if reps == 1 else "zx-xx"
    model = QNNClassifier(ansatz, reps=reps, random_state=0).fit(X[train], digits.y[train])
    ideal = model.decision_function(X[test])
    model.set_params(backend=backend, execution=execution, compress=False, shots=SHOTS if n < 16 else 1000)
    readouts = model.measure(X[test])
    slope = float(ideal @ readouts.values / (ideal @ ideal))
    return {
        "backend": backend,
        "n": n,
        "circuit": name,
        "mitigation": execution["mitigation"],
        "twirls": execution.get("twirls", 1),
        "two_qubit_gates": two_qubit_gates(model.ansatz_, backend),
        "two_qubit_gates_compressed": two_qubit_gates(compress(model.ansatz_, model.theta_)[0], backend),
        "contraction": round(slope, 3),
        "residual": round(float(np.sqrt(np.mean((readouts.values - slope * ideal) ** 2))), 4),
        "ideal_accuracy": round(accuracy(model, ideal, digits.y[test]), 4),
        "accuracy": round(accuracy(model, readouts.values, digits.y[test]), 4),
        "images": readouts.n_circuits,
    }


def two_qubit_gates(ansatz: Ansatz, backend: str) -> int:
    return int(compile_template(circuits.template(ansatz), find_machine(backend), 5).num_nonlocal_gates())


def accuracy(model: QNNClassifier, values: Any, labels: Any) -> float:
    return float((model.classes_[(values > 0).astype(int)] == labels).mean())


def training() -> Iterator[dict[str, Any]]:
    """Train on a stand-in that contracts and samples f, and score the ideal circuit on all images."""
    digits = load_digits_4x4(3, 6)
    for name, contraction, options in (
        ("shared shift, 30 steps", 1.0, {}),
        ("shared shift, 30 steps", 0.8, {}),
        ("shared shift, 30 steps", 0.5, {}),
        ("shift of every parameter, 30 steps", 0.8, {"gradient": "shift"}),
        ("spsa, 200 steps", 0.8, {"solver": "spsa"}),
    ):
        scores = []
        for seed in range(SEEDS):
            source = ContractedReadout(contraction)
            model = QNNClassifier(backend=source, train_on="backend", shots=SHOTS, random_state=seed, **options)
            model.fit(digits.X, digits.y).set_params(backend=None)
            scores.append(model.score(digits.X, digits.y))
        yield {
            "method": name,
            "contraction": contraction,
            "circuits": model.n_circuits_,
            "mean": round(float(np.mean(scores)), 4),
            "min": round(float(np.min(scores)), 4),
            "seeds": SEEDS,
        }


if __name__ == "__main__":
    for name, make in (("qnn_training", training), ("qnn_machines", machines)):
        if name in sys.argv[1:] or len(sys.argv) == 1:
            write_row_by_row(f"{name}.csv", make())
