"""Fit the prior of flip rates to the shipped table and to calibrations, and compare it with the constants in use.

Run from the repository: python -m benchmarks.flip_rate_prior
Writes benchmarks/results/flip_rate_prior.csv.
"""

from collections.abc import Iterator

import numpy as np
from qiskit_ibm_runtime import fake_provider

from benchmarks.data import write_row_by_row
from qcluster.core.noise import prior
from qcluster.device import read_calibration
from qcluster.learn.prior import fit_prior
from qcluster.learn.table import read_table

MACHINES = ("Brisbane", "Kyiv", "Torino", "Fez", "Marrakesh", "Kingston", "Aachen", "Boston")
DEAD = 0.3
"""Readout error from which a qubit counts as failed."""


def rows() -> Iterator[dict[str, str]]:
    fitted = fit_prior(read_table())
    for name, fit, used in (
        ("level of a circuit", fitted.levels, prior.LEVEL_RANGE),
        ("spread of ln(readout error) in a circuit", fitted.spreads, prior.SPREADS),
    ):
        values = " ".join(f"{value:.3f}" for value in fit)
        yield {"quantity": name, "fit": values, "in_use": " ".join(f"{value:g}" for value in used)}
    spreads, ratios = [], []
    for machine in MACHINES:
        readout = read_calibration(getattr(fake_provider, f"Fake{machine}")()).readout
        readout = readout[((readout > 0) & (readout < DEAD)).all(axis=1)]
        spreads.append(float(np.log(readout).std(axis=0).mean()))
        ratios.append(float(np.log(readout[:, 1].mean() / readout[:, 0].mean())))
    spread = " ".join(f"{value:.2f}" for value in sorted(spreads))
    yield {"quantity": "spread of ln(readout error) on a machine", "fit": spread, "in_use": ""}
    asymmetry = f"{np.sqrt(np.mean(np.square(ratios))):.2f}"
    yield {"quantity": "asymmetry of readout", "fit": asymmetry, "in_use": f"{prior.ASYMMETRY:g}"}


if __name__ == "__main__":
    write_row_by_row("flip_rate_prior.csv", rows())
