"""Circuit-aware mitigation of six recorded circuits of ibm_brussels, March 2025.

Run from the repository: python -m benchmarks.circuit_brussels [part of a record's name ...]
Writes benchmarks/results/circuit_brussels.csv. The records carry the circuits that ran, on physical qubits;
FakeBrussels is a calibration of the same machine a year later: the figures show what a stale calibration still gives.
"""

import re
import sys
from time import process_time
from typing import Any

from qiskit import QuantumCircuit, qasm3
from qiskit.circuit.library import ECRGate
from qiskit_ibm_runtime.fake_provider import FakeBrussels

import qcluster as qc
from benchmarks.data import brussels, write_rows
from qcluster.device import fault_masks, read_calibration


def physical_circuit(record: dict[str, Any], n_qubits: int = 127) -> QuantumCircuit:
    """Read the circuit of a record: OpenQASM 3 on physical qubits, with the machine's ecr gate."""
    text = re.sub(r"gate rzx.*?\n}\ngate ecr.*?\n}\n", "", record["transpiled_openqasm3"], flags=re.S)
    text = re.sub(r"\$(\d+)", r"q[\1]", text)
    head = 'include "stdgates.inc";'
    read = qasm3.loads(text.replace(head, f"{head}\ngate ecr a, b {{ }}\nqubit[{n_qubits}] q;"))
    circuit = QuantumCircuit(n_qubits, read.num_clbits)
    for item in read.data:
        qubits = [read.find_bit(q).index for q in item.qubits]
        operation = ECRGate() if item.name == "ecr" else item.operation
        circuit.append(operation, qubits, [read.find_bit(c).index for c in item.clbits])
    return circuit


def main() -> None:
    calibration = read_calibration(FakeBrussels())
    rows = []
    for record in brussels():
        if sys.argv[1:] and not any(part in record["id"] for part in sys.argv[1:]):
            continue
        counts = qc.Distribution.of(record["counts"])
        start = process_time()
        faults = fault_masks(physical_circuit(record), calibration).symmetrised()
        fixed = qc.mitigate(counts, faults)
        seconds = process_time() - start
        alone = qc.mitigate(counts, method="mixture")
        rows.append(
            {
                "record": record["id"],
                "bits": counts.n_bits,
                "shots": int(counts.shots),
                "raw": round(qc.metrics.hellinger_fidelity(counts, record["ideal"]), 4),
                "mitigate": round(qc.metrics.hellinger_fidelity(fixed.distribution, record["ideal"]), 4),
                "method": fixed.method,
                "counts_alone": round(qc.metrics.hellinger_fidelity(alone.distribution, record["ideal"]), 4),
                "cpu_seconds": round(seconds, 1),
                "reason": fixed.reason,
            }
        )
        print(*(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    write_rows("circuit_brussels.csv", rows)


if __name__ == "__main__":
    main()
