"""Decision values on the noise of recorded IBM machines: raw, readout error undone, and rescaled.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_rescale
Adds the rows that are missing to benchmarks/results/qnn_rescale.csv; all of them, without the file, are some five
minutes of one core. Six pixels of the digits 3 against 6; ten distinct images are held out, the model is trained
exactly on the others, and the literal circuit of 1, 3 or 6 layers (ZX, XX, ZX, ...) is measured on the ten with 2048
and 8192 shots each. Rescaling measures six training images more. The three ways are three runs. "error" is the root
mean square of measured minus exact values over the ten; "covered" counts how many of the ten exact values lie within
1.96 standard errors of the rescaled ones; "gain" is the raw error over the rescaled one. "shot_noise" is what the shots
alone would leave of the rescaled error, if the slope were known exactly: the root mean square of
sqrt((1 - (slope f)**2) / shots) / slope.
"""

from itertools import product
from typing import Any

import numpy as np

from benchmarks.data import RESULTS
from qcluster.bench.table import Table
from qcluster.qnn import QNNClassifier, load_digits_4x4

PIXELS = [1, 5, 9, 11, 13, 14]
MACHINES = ("fake_torino", "fake_brisbane", "fake_marrakesh")
LAYERS = (1, 3, 6)
SHOTS = (2048, 8192)
HELD = 10
COLUMNS = (
    *("backend", "layers", "shots", "error_raw", "error_readout", "error_rescaled", "shot_noise", "gain", "slope"),
    *("slope_low", "slope_high", "p_value", "covered", "images", "calibration_circuits", "mean_abs_f"),
)


def measured(backend: str, n_layers: int, shots: int) -> dict[str, Any]:
    digits = load_digits_4x4(3, 6)
    X, y = digits.X[:, PIXELS], digits.y
    distinct, groups = np.unique(X, axis=0, return_inverse=True)
    held = np.random.default_rng(0).permutation(len(distinct))[:HELD]
    train = ~np.isin(groups.reshape(-1), held)
    layers = [("Z", "X"), ("X", "X")] * 3
    model = QNNClassifier(layers[:n_layers], random_state=0, compress=False, shots=shots).fit(X[train], y[train])
    exact = model.decision_function(distinct[held])
    model.set_params(backend=backend)
    errors, found = {}, None
    for way in ("none", "readout", "rescale"):
        found = model.set_params(execution={"mitigation": way}).measure(distinct[held])
        errors[way] = float(np.sqrt(np.mean((found.values - exact) ** 2)))
    assert found is not None
    assert found.slope is not None
    slope, (low, high) = found.slope, found.slope.interval
    covered = int((abs(found.values - exact) <= 1.96 * found.standard_errors).sum())
    left = np.sqrt(np.mean(1 - (slope.value * exact) ** 2) / shots) / slope.value
    return {
        "backend": backend,
        "layers": n_layers,
        "shots": shots,
        "error_raw": round(errors["none"], 4),
        "error_readout": round(errors["readout"], 4),
        "error_rescaled": round(errors["rescale"], 4),
        "shot_noise": round(float(left), 4),
        "gain": round(errors["none"] / errors["rescale"], 1),
        "slope": round(slope.value, 4),
        "slope_low": round(low, 4),
        "slope_high": round(high, 4),
        "p_value": float(f"{slope.p_value:.2g}"),
        "covered": covered,
        "images": HELD,
        "calibration_circuits": slope.n_circuits,
        "mean_abs_f": round(float(abs(exact).mean()), 3),
    }


def main() -> None:
    table = Table(RESULTS / "qnn_rescale.csv", COLUMNS)
    there = {(row["shots"], row["backend"], row["layers"]) for row in table.rows()}
    for shots, backend, layers in product(SHOTS, MACHINES, LAYERS):
        if (str(shots), backend, str(layers)) not in there:
            table.append([measured(backend, layers, shots)])
            print(table.rows()[-1], flush=True)


if __name__ == "__main__":
    main()
