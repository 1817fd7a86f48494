"""What the kernel of a circuit that is not Clifford misses, and whether its averaging over draws is to blame.

Run from the repository: python -m benchmarks.nonclifford
Writes benchmarks/results/nonclifford.csv and prints it: total variation between exact noisy distributions (Aer's
density matrix, the machine of tests/device/test_faults.py) and

raw       the ideal;
draws     the kernel of `fault_masks`, 64 draws, and 512;
coherent  patterns whose probabilities are computed from the circuit's unitary, all paths to one Pauli added up before
          they are squared (up to 6 qubits): what an endless average over draws would miss of the interference;
known     the same with the share of faults P that leave the ideal state as it is, ``<P>^2``, left out: what could be
          won by knowing the state (up to 6 qubits).
"""

from dataclasses import replace

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Operator, Pauli, Statevector

from benchmarks.data import write_as_they_come
from qcluster.core.noise.kernel import Kernel
from qcluster.device import Calibration, fault_masks
from qcluster.device.circuits.pauli import depolarising_rate
from tests.device.test_faults import compiled, line, simulated


def phase(n: int, value: float) -> QuantumCircuit:
    """The readout of a phase: Fourier state, then the inverse transform."""
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for j in range(n):
        circuit.p(2 * np.pi * value * 2**j / 2**n, j)
    circuit.append(QFTGate(n).inverse(), range(n))
    return circuit


def transform(n: int) -> QuantumCircuit:
    """The transform of |..01> + |..11>."""
    circuit = QuantumCircuit(n)
    circuit.x(0)
    circuit.h(1)
    circuit.append(QFTGate(n), range(n))
    return circuit


def heisenberg(n: int, steps: int) -> QuantumCircuit:
    """A Néel state under Trotter steps of a Heisenberg chain in a field."""
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    for _ in range(steps):
        for start in (0, 1):
            for q in range(start, n - 1, 2):
                circuit.rxx(0.3, q, q + 1)
                circuit.ryy(0.3, q, q + 1)
                circuit.rzz(0.3, q, q + 1)
        for q in range(n):
            circuit.rz(0.2 * (q + 1), q)
    return circuit


def alternating(n: int, layers: int) -> QuantumCircuit:
    """QAOA on a path."""
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(layers):
        for q in range(n - 1):
            circuit.rzz(0.7 + 0.2 * layer, q, q + 1)
        circuit.rx(0.9 - 0.2 * layer, range(n))
    return circuit


def cases(n: int) -> dict[str, QuantumCircuit]:
    """Circuits of one width."""
    return {
        "phase 5": phase(n, 5),
        "phase 5.3": phase(n, 5.3),
        "transform": transform(n),
        "heisenberg 2": heisenberg(n, 2),
        "heisenberg 4": heisenberg(n, 4),
        "qaoa 2": alternating(n, 2),
    }


def from_unitaries(bare: QuantumCircuit, calibration: Calibration, *, known: bool) -> np.ndarray:
    """Rates of all patterns, (2^n,): mean over strings x of the probability that a fault turns x into x + pattern."""
    n, size = bare.num_qubits, 2**bare.num_qubits
    strings = np.arange(size)
    partner = strings[:, None] ^ strings
    after = np.eye(size, dtype=complex)
    state = np.asarray(Statevector(bare))
    rates = np.zeros(size)
    for item in reversed(bare.data):
        qubits = [bare.find_bit(q).index for q in item.qubits]
        error = calibration.error(item.name, qubits)
        infinite = np.full(len(qubits), np.inf)
        rate = depolarising_rate(error, 0.0, infinite, infinite)
        for code in range(1, 4 ** len(qubits) if rate > 0 else 1):
            letters = ["I"] * n
            for place, qubit in enumerate(qubits):
                letters[n - 1 - qubit] = "IXYZ"[code // 4**place % 4]
            fault = after @ Pauli("".join(letters)).to_matrix() @ after.conj().T
            pattern = (np.abs(fault[partner, strings]) ** 2).mean(axis=1)
            trivial, overlap = pattern[0], abs(np.vdot(state, fault @ state)) ** 2
            share = min(1.0, (1 - overlap) / max(1 - trivial, 1e-9)) if known else 1.0
            rates += rate * share * pattern
        bound = QuantumCircuit(n)
        bound.append(item.operation, qubits)
        after = after @ Operator(bound).data
    rates[0] = 0.0
    return rates


def misfits(name: str, circuit: QuantumCircuit) -> dict[str, object]:
    """One row of the table."""
    n = circuit.num_qubits
    calibration = line(n, "cz", np.random.default_rng(n), scale=0.6)
    bare = compiled(circuit, calibration)
    measured = bare.copy()
    measured.measure_all()
    ideal, noisy = Statevector(bare).probabilities(), simulated(bare, calibration)

    def misfit(predicted: np.ndarray) -> float:
        return round(float(np.abs(predicted - noisy).sum() / 2), 4)

    row: dict[str, object] = {"circuit": name, "qubits": n, "two_qubit_gates": bare.num_nonlocal_gates()}
    row["raw"] = misfit(ideal)
    kernels = {draws: Kernel.of(fault_masks(measured, calibration, draws=draws)) for draws in (64, 512)}
    row |= {f"draws {draws}": misfit(kernel.forward(ideal)) for draws, kernel in kernels.items()}
    for word, known in (("coherent", False), ("known", True)) if n <= 6 else ():
        kernel = kernels[64]
        all_of_them = replace(
            kernel,
            shifts=np.r_[np.arange(2**n), 1 << np.arange(n)],
            rates=np.r_[from_unitaries(bare, calibration, known=known), kernel.rates[-n:]],
            crosstalk=np.zeros(2**n + n, dtype=bool),
        )
        row[word] = misfit(all_of_them.forward(ideal))
    return row


def main() -> None:
    found = (misfits(name, circuit) for n in (5, 6, 8) for name, circuit in cases(n).items())
    rows = write_as_they_come("nonclifford.csv", found)
    small = [row for row in rows if "known" in row]
    columns = ("raw", "draws 64", "draws 512", "coherent", "known")
    print("mean to 6 qubits", {name: round(float(np.mean([row[name] for row in small])), 4) for name in columns})


if __name__ == "__main__":
    main()
