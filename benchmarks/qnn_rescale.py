"""Decision values with the noise of recorded IBM machines: raw, corrected for readout errors, and rescaled.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.qnn_rescale
Adds the missing rows to benchmarks/results/qnn_rescale.csv; all rows take some five minutes on one core. The data are
six pixels of the digits 3 against 6, with ten distinct images held out. The model is trained exactly on the others, and
the literal circuit of 1, 3 or 6 layers (ZX, XX, ZX, ...) is measured for the ten with 2048 and 8192 shots each. Each
kind of mitigation is a separate run; rescaling also measures six training images. "error" is the root mean square of
measured minus exact values over the ten images. "covered" counts how many of the ten exact values lie within 1.96
standard errors of the rescaled ones. "gain" is the raw error divided by the rescaled one. "shot_noise" is the rescaled
error that shots alone would cause if the slope were known exactly: the root mean square of sqrt((1 - (slope f)**2) /
shots) / slope.
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
HELD_OUT = 10
COLUMNS = (
    *("backend", "layers", "shots", "error_raw", "error_readout", "error_rescaled", "shot_noise", "gain", "slope"),
    *("slope_low", "slope_high", "p_value", "covered", "images", "calibration_circuits", "mean_abs_f"),
)


def measured(backend: str, n_layers: int, shots: int) -> dict[str, Any]:
    digits = load_digits_4x4(3, 6)
    X, y = digits.X[:, PIXELS], digits.y
    distinct, groups = np.unique(X, axis=0, return_inverse=True)
    held_out = np.random.default_rng(0).permutation(len(distinct))[:HELD_OUT]
    train = ~np.isin(groups.reshape(-1), held_out)
    layers = [("Z", "X"), ("X", "X")] * 3
    model = QNNClassifier(layers[:n_layers], random_state=0, compress=False, shots=shots).fit(X[train], y[train])
    exact = model.decision_function(distinct[held_out])
    model.set_params(backend=backend)
    errors, readouts = {}, None
    for mitigation in ("none", "readout", "rescale"):
        readouts = model.set_params(execution={"mitigation": mitigation}).measure(distinct[held_out])
        errors[mitigation] = float(np.sqrt(np.mean((readouts.values - exact) ** 2)))
    assert readouts is not None
    assert readouts.slope is not None
    slope, (low, high) = readouts.slope, readouts.slope.interval
    covered = int((abs(readouts.values - exact) <= 1.96 * readouts.standard_errors).sum())
    shot_noise = np.sqrt(np.mean(1 - (slope.value * exact) ** 2) / shots) / slope.value
    return {
        "backend": backend,
        "layers": n_layers,
        "shots": shots,
        "error_raw": round(errors["none"], 4),
        "error_readout": round(errors["readout"], 4),
        "error_rescaled": round(errors["rescale"], 4),
        "shot_noise": round(float(shot_noise), 4),
        "gain": round(errors["none"] / errors["rescale"], 1),
        "slope": round(slope.value, 4),
        "slope_low": round(low, 4),
        "slope_high": round(high, 4),
        "p_value": float(f"{slope.p_value:.2g}"),
        "covered": covered,
        "images": HELD_OUT,
        "calibration_circuits": slope.n_circuits,
        "mean_abs_f": round(float(abs(exact).mean()), 3),
    }


def main() -> None:
    table = Table(RESULTS / "qnn_rescale.csv", COLUMNS)
    done = {(row["shots"], row["backend"], row["layers"]) for row in table.rows()}
    for shots, backend, layers in product(SHOTS, MACHINES, LAYERS):
        if (str(shots), backend, str(layers)) not in done:
            table.append([measured(backend, layers, shots)])
            print(table.rows()[-1], flush=True)


if __name__ == "__main__":
    main()
