"""From circuits to mitigated counts with the noise of FakeTorino: raw and mitigated fidelity.

Run from the repository: python -m benchmarks.torino
Writes benchmarks/results/torino.csv. GHZ-10, Bernstein-Vazirani-10 and W-5, 8192 shots in 8 twirls, five seeds each.
`qc.mitigate(run)` uses the compiled circuit and the machine's calibration, `qc.mitigate(run.counts)` only the counts.
"""

from collections.abc import Iterator
from typing import Any

from qiskit import QuantumCircuit
from qiskit_ibm_runtime.fake_provider import FakeTorino

import qcluster as qc
from benchmarks.chain import ghz
from benchmarks.circuit_machines import w_state
from benchmarks.data import write_row_by_row
from qcluster.device.execute import execute

SHOTS, TWIRLS, SEEDS = 8192, 8, range(5)
SECRET = "101100111"


def bernstein_vazirani(secret: str) -> QuantumCircuit:
    """Bernstein-Vazirani: one query finds the secret; the last qubit is the ancilla, which is not measured."""
    n = len(secret)
    circuit = QuantumCircuit(n + 1, n)
    circuit.x(n)
    circuit.h(range(n + 1))
    for i in range(n):
        if secret[n - 1 - i] == "1":
            circuit.cx(i, n)
    circuit.h(range(n))
    circuit.measure(range(n), range(n))
    return circuit


def cases() -> Iterator[tuple[QuantumCircuit, dict[str, float]]]:
    """Yield circuits with their ideal outputs."""
    yield ghz(10, measured=True).copy(name="ghz_n10"), {"0" * 10: 0.5, "1" * 10: 0.5}
    yield bernstein_vazirani(SECRET).copy(name="bv_n10"), {SECRET: 1.0}
    circuit = w_state(5).copy(name="w_n5")
    circuit.measure_all()
    yield circuit, {format(1 << i, "05b"): 1 / 5 for i in range(5)}


def rows() -> Iterator[dict[str, Any]]:
    torino = FakeTorino()
    for circuit, ideal in cases():
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
    write_row_by_row("torino.csv", rows())
