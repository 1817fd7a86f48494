"""Decision values mitigated with a reference circuit: by the decision of `mitigate`, and without it.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_reference
Adds the missing rows to benchmarks/results/qnn_reference.csv; all rows take some ten minutes on one core. The data are
four pixels of three pairs of digits, and the literal circuit of 1, 3 or 6 layers (ZX, XX, ZX, ...) is measured for up
to eight distinct images, on recorded machines that no other benchmark uses. Both answers have the same shots.
"published" noise is what the machine publishes. "hidden" noise differs from it, as in benchmarks/reference.py. "error"
is the root mean square of measured minus exact values. "covered" is the share of exact values within 1.96 standard
errors.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import RESULTS
from benchmarks.reference import run_hidden
from qcluster.bench.table import Table
from qcluster.device.machines.machine import find_machine
from qcluster.device.run import Run
from qcluster.qnn import DeviceReadout, QNNClassifier, load_digits_4x4
from qcluster.qnn.device import corrected_mean
from qcluster.qnn.samples import encode

PAIRS = {(4, 9): [2, 5, 6, 9], (0, 8): [5, 6, 9, 10], (1, 7): [1, 2, 6, 13]}
"""Digits, and the pixels that are used of them."""
MACHINES = ("fake_nairobi", "fake_perth", "fake_jakarta")
LAYERS = (1, 3, 6)
NOISE = (("published", 1000, 1), ("published", 8000, 4), ("hidden", 8192, 8))
"""Kinds of noise, shots and twirls."""
IMAGES = 8
ONE_SIGMA = 0.6827
COLUMNS = (
    *("noise", "digits", "backend", "layers", "shots", "twirls", "images", "mean_abs_f", "survival"),
    *("error_raw", "error_decided", "error_undecided", "covered_decided", "covered_undecided"),
)


def runs_of(model: QNNClassifier, X: Any, noise: str, backend: str, shots: int, twirls: int) -> Iterator[Run]:
    """Run the circuit of each row with a reference."""
    if noise == "hidden":
        for k, row in enumerate(X):
            yield run_hidden(model.circuit(row, literal=True), find_machine(backend), k)[0]
        return
    source = DeviceReadout(backend, twirls=twirls, mitigation="reference")
    thetas = np.tile(model.theta_, (len(X), 1))
    yield from source._run(model.ansatz_, thetas, encode(model, X), shots, 0)[0]


def measured(noise: str, shots: int, twirls: int, pair: tuple[int, int], backend: str, n_layers: int) -> dict[str, Any]:
    digits = load_digits_4x4(*pair)
    X = digits.X[:, PAIRS[pair]]
    model = QNNClassifier(([("Z", "X"), ("X", "X")] * 3)[:n_layers], random_state=0, compress=False).fit(X, digits.y)
    distinct = np.unique(X, axis=0)
    rows = distinct[np.random.default_rng(0).permutation(len(distinct))[:IMAGES]]
    exact = model.decision_function(rows)
    runs = list(runs_of(model, rows, noise, backend, shots, twirls))
    raw = np.array([corrected_mean(run.counts, 0.0, 0.0)[0] for run in runs])
    row: dict[str, Any] = {
        "noise": noise,
        "digits": "/".join(map(str, pair)),
        "backend": backend,
        "layers": n_layers,
        "shots": shots,
        "twirls": twirls,
        "images": len(rows),
        "mean_abs_f": round(float(abs(exact).mean()), 3),
        "survival": round(float(np.mean([run.reference.noise.survival for run in runs])), 3),
        "error_raw": round(float(np.sqrt(np.mean((raw - exact) ** 2))), 4),
    }
    for name, guard in (("decided", True), ("undecided", False)):
        found = [qc.mitigate(run, guard=guard).interval("Z", ONE_SIGMA) for run in runs]
        errors = np.array([interval.value for interval in found]) - exact
        sigmas = np.array([interval.high - interval.low for interval in found]) / 2
        row[f"error_{name}"] = round(float(np.sqrt(np.mean(errors**2))), 4)
        row[f"covered_{name}"] = round(float(np.mean(abs(errors) <= 1.96 * sigmas)), 3)
    return row


def main() -> None:
    table = Table(RESULTS / "qnn_reference.csv", COLUMNS)
    done = {(row["noise"], row["shots"], row["digits"], row["layers"]) for row in table.rows()}
    for (noise, shots, twirls), (i, pair), (j, n_layers) in product(NOISE, enumerate(PAIRS), enumerate(LAYERS)):
        if (noise, str(shots), "/".join(map(str, pair)), str(n_layers)) not in done:
            table.append([measured(noise, shots, twirls, pair, MACHINES[(i + j) % len(MACHINES)], n_layers)])
            print(table.rows()[-1], flush=True)


if __name__ == "__main__":
    main()
