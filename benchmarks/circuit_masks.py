"""Fault masks against Aer: total variation between the predicted and the exactly simulated noisy distribution.

Run from the repository: python -m benchmarks.circuit_masks
Writes benchmarks/results/circuit_masks.csv. Circuits of 5 to 8 qubits, compiled at level 3 for a line of cx, cz or ecr
gates that depolarise (1 %, one-qubit gates 0.1 %, times a lognormal factor) and read wrongly (2 %); no shots are drawn,
so that nothing is shot noise. The machinery is that of tests/device/test_faults.py.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from benchmarks.data import write_as_they_come
from tests.device.test_faults import difference, line, rotations, structured

KINDS = ("ghz", "bv", "cx", "random", "rotations")


def rows() -> Iterator[dict[str, Any]]:
    for n, gate, kind in product((5, 6, 7, 8), ("cx", "cz", "ecr"), KINDS):
        for seed in (1, 2, 3) if kind == "random" else (1,):
            rng = np.random.default_rng([n, seed])
            circuit = rotations(n, rng) if kind == "rotations" else structured(kind, n, rng)
            found = difference(circuit, line(n, gate, rng))
            row = {"circuit": kind, "clifford": kind != "rotations", "qubits": n, "gate": gate, "seed": seed}
            yield row | {"total_variation": f"{found:.5f}"}


if __name__ == "__main__":
    write_as_they_come("circuit_masks.csv", rows())
