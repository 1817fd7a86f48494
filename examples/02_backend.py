"""From a circuit to mitigated counts: FakeTorino by default, or a real machine by name.

Run: python examples/02_backend.py [ibm_torino]

Real machines need an IBM Quantum account and use a few seconds of machine time.
"""

import sys

from qiskit import QuantumCircuit

import qcluster as qc

IDEAL = {"00000": 0.5, "11111": 0.5}


def ghz(n_qubits: int) -> QuantumCircuit:
    """Build a circuit that prepares and measures a GHZ state."""
    circuit = QuantumCircuit(n_qubits, name=f"ghz_{n_qubits}")
    circuit.h(0)
    for i in range(n_qubits - 1):
        circuit.cx(i, i + 1)
    circuit.measure_all()
    return circuit


def main(name: str = "fake_torino") -> None:
    """Run once, and mitigate the same counts in three ways: from the counts alone, with the compiled circuit and its
    calibration, and by the method of the paper."""
    (run,) = qc.execute([ghz(5)], name, shots=4096, twirls=4, seed=7)
    print(run)
    rates = qc.estimate_rates(run)
    print(f"flip rate {rates.value:.3f}, between {rates.low:.3f} and {rates.high:.3f}")
    answers = {
        "raw": run.counts,
        "counts alone": qc.mitigate(run.counts).distribution,
        "compiled circuit": qc.mitigate(run).distribution,
        "as published": qc.mitigate(run, rates, method="paper").distribution,
    }
    for label, distribution in answers.items():
        print(f"{label:17} fidelity {qc.metrics.hellinger_fidelity(distribution, IDEAL):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
