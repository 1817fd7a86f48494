"""From circuit to mitigated counts on the noise of FakeTorino: fidelity raw and mitigated.

Run from the repository: python -m benchmarks.torino
Writes benchmarks/results/torino.csv. GHZ-10, Bernstein-Vazirani-10 and W-5, 8192 shots in 8 twirls, five seeds each.
`qc.mitigate(run)` knows the compiled circuit and the machine's calibration, `qc.mitigate(run.counts)` the counts alone.
"""

from collections.abc import Iterator
from math import acos, sqrt
from typing import Any

from qiskit import QuantumCircuit
from qiskit_ibm_runtime.fake_provider import FakeTorino

import qcluster as qc
from benchmarks.data import write_as_they_come
from qcluster.device.execute import execute

SHOTS, TWIRLS, SEEDS = 8192, 8, range(5)
SECRET = "101100111"


def ghz(n: int) -> tuple[QuantumCircuit, dict[str, float]]:
    """(|0...0> + |1...1>) / sqrt 2."""
    circuit = QuantumCircuit(n, name=f"ghz_n{n}")
    circuit.h(0)
    for i in range(n - 1):
        circuit.cx(i, i + 1)
    circuit.measure_all()
    return circuit, {"0" * n: 0.5, "1" * n: 0.5}


def bernstein_vazirani(secret: str) -> tuple[QuantumCircuit, dict[str, float]]:
    """One query finds the secret; the last qubit is the oracle's and is not measured."""
    n = len(secret)
    circuit = QuantumCircuit(n + 1, n, name=f"bv_n{n + 1}")
    circuit.x(n)
    circuit.h(range(n + 1))
    for i in range(n):
        if secret[n - 1 - i] == "1":
            circuit.cx(i, n)
    circuit.h(range(n))
    circuit.measure(range(n), range(n))
    return circuit, {secret: 1.0}


def w_state(n: int) -> tuple[QuantumCircuit, dict[str, float]]:
    """One excitation shared by n qubits."""
    circuit = QuantumCircuit(n, name=f"w_n{n}")
    circuit.x(0)
    for i in range(n - 1):
        circuit.cry(2 * acos(sqrt(1 / (n - i))), i, i + 1)
        circuit.cx(i + 1, i)
    circuit.measure_all()
    return circuit, {format(1 << i, f"0{n}b"): 1 / n for i in range(n)}


def rows() -> Iterator[dict[str, Any]]:
    torino = FakeTorino()
    for circuit, ideal in (ghz(10), bernstein_vazirani(SECRET), w_state(5)):
        for seed in SEEDS:
            (run,) = execute([circuit], torino, shots=SHOTS, twirls=TWIRLS, seed=seed)
            fixed, alone = qc.mitigate(run), qc.mitigate(run.counts)
            yield {
                "circuit": circuit.name,
                "seed": seed,
                "method": fixed.method,
                "applied": fixed.applied,
                "raw": round(qc.metrics.hellinger_fidelity(run.counts, ideal), 4),
                "counts_alone": round(qc.metrics.hellinger_fidelity(alone.distribution, ideal), 4),
                "mitigated": round(qc.metrics.hellinger_fidelity(fixed.distribution, ideal), 4),
            }


if __name__ == "__main__":
    write_as_they_come("torino.csv", rows())
