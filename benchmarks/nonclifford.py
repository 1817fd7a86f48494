"""Errors of the noise kernel for circuits that are not Clifford, and how much its average over draws contributes.

Run from the repository: python -m benchmarks.nonclifford
Writes benchmarks/results/nonclifford.csv and prints it: total variation distance between the exact noisy distribution
(Aer's density matrix, the machine of tests/device/test_faults.py) and

raw       the ideal distribution;
draws     the kernel of `fault_masks` with 64 draws, and with 512;
coherent  a kernel whose pattern probabilities come from the unitary of the circuit, with all paths to one Pauli added
          before squaring (up to 6 qubits). It shows the interference that even an infinite average over draws misses;
known     the same without the share ``<P>^2`` of each fault P that leaves the ideal state unchanged (up to 6 qubits).
          It shows what could be gained by knowing the state.
"""

from dataclasses import replace

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Operator, Pauli, Statevector

from benchmarks.data import write_row_by_row
from qcluster.core.noise.kernel import Kernel
from qcluster.device import Calibration, fault_masks
from qcluster.device.circuits.pauli import depolarising_rate
from tests.device.test_faults import compiled, line, simulated


def phase(n: int, value: float) -> QuantumCircuit:
    """Phase readout: a Fourier state, then the inverse Fourier transform."""
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for j in range(n):
        circuit.p(2 * np.pi * value * 2**j / 2**n, j)
    circuit.append(QFTGate(n).inverse(), range(n))
    return circuit


def transform(n: int) -> QuantumCircuit:
    """Fourier transform of |..01> + |..11>."""
    circuit = QuantumCircuit(n)
    circuit.x(0)
    circuit.h(1)
    circuit.append(QFTGate(n), range(n))
    return circuit


def heisenberg(n: int, steps: int) -> QuantumCircuit:
    """Trotter steps of a Heisenberg chain in a field, from the Néel state."""
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
    """Build all circuits of one width, keyed by name."""
    return {
        "phase 5": phase(n, 5),
        "phase 5.3": phase(n, 5.3),
        "transform": transform(n),
        "heisenberg 2": heisenberg(n, 2),
        "heisenberg 4": heisenberg(n, 4),
        "qaoa 2": alternating(n, 2),
    }


def from_unitaries(bare: QuantumCircuit, calibration: Calibration, *, known: bool) -> np.ndarray:
    """Return the rates of all flip patterns, (2^n,): the probability that a fault maps string x to x XOR pattern,
    averaged over x; `known` leaves out the share of each fault that does not change the ideal state."""
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
            for k, qubit in enumerate(qubits):
                letters[n - 1 - qubit] = "IXYZ"[code // 4**k % 4]
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
    """Return the row of one circuit."""
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
        coherent = replace(
            kernel,
            shifts=np.r_[np.arange(2**n), 1 << np.arange(n)],
            rates=np.r_[from_unitaries(bare, calibration, known=known), kernel.rates[-n:]],
            crosstalk=np.zeros(2**n + n, dtype=bool),
        )
        row[word] = misfit(coherent.forward(ideal))
    return row


def main() -> None:
    results = (misfits(name, circuit) for n in (5, 6, 8) for name, circuit in cases(n).items())
    rows = write_row_by_row("nonclifford.csv", results)
    small = [row for row in rows if "known" in row]
    columns = ("raw", "draws 64", "draws 512", "coherent", "known")
    print("mean to 6 qubits", {name: round(float(np.mean([row[name] for row in small])), 4) for name in columns})


if __name__ == "__main__":
    main()
