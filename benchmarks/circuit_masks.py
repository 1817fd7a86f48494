"""Check fault masks against Aer: total variation distance between predicted and exactly simulated noisy outputs.

Run from the repository: python -m benchmarks.circuit_masks
Writes benchmarks/results/circuit_masks.csv. Circuits of 5 to 8 qubits are compiled at level 3 for a line of qubits with
cx, cz or ecr gates. Depolarising errors are 1 % for these and 0.1 % for single-qubit gates, each times a lognormal
factor; readout errors are 2 %. No shots are drawn, so there is no shot noise. The helper functions are those of
tests/device/test_faults.py.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from benchmarks.data import write_row_by_row
from tests.device.test_faults import difference, line, rotations, structured

KINDS = ("ghz", "bv", "cx", "random", "rotations")


def rows() -> Iterator[dict[str, Any]]:
    for n, gate, kind in product((5, 6, 7, 8), ("cx", "cz", "ecr"), KINDS):
        for seed in (1, 2, 3) if kind == "random" else (1,):
            rng = np.random.default_rng([n, seed])
            circuit = rotations(n, rng) if kind == "rotations" else structured(kind, n, rng)
            distance = difference(circuit, line(n, gate, rng))
            row = {"circuit": kind, "clifford": kind != "rotations", "qubits": n, "gate": gate, "seed": seed}
            yield row | {"total_variation": f"{distance:.5f}"}


if __name__ == "__main__":
    write_row_by_row("circuit_masks.csv", rows())
