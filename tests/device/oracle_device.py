"""Slow, obvious versions: exact distributions by statevector, and random circuits."""

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.quantum_info import Statevector


def random_circuit(seed: int, gate: str, n: int = 4, depth: int = 6, delays: bool = False) -> QuantumCircuit:
    """A circuit of one-qubit rotations and one kind of two-qubit gate, measured into two registers in random order."""
    rng = np.random.default_rng(seed)
    a, b = ClassicalRegister(1, "a"), ClassicalRegister(n - 1, "b")
    circuit = QuantumCircuit(QuantumRegister(n, "q"), a, b, name=f"random-{seed}", metadata={"seed": seed})
    for _ in range(depth):
        for q in range(n):
            circuit.rz(rng.uniform(0, 2 * np.pi), q)
            if rng.random() < 0.7:
                circuit.sx(q)
        if delays:
            circuit.delay(100, int(rng.integers(n)), "ns")
        i, j = rng.choice(n, 2, replace=False)
        getattr(circuit, gate)(int(i), int(j))
    for bit, qubit in enumerate(rng.permutation(n)):
        circuit.measure(int(qubit), bit)
    return circuit


def exact_counts(circuit: QuantumCircuit) -> dict[str, float]:
    """Probabilities of the classical bits of a circuit whose measurements are all final."""
    order = {}
    bare = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name == "measure":
            order[circuit.find_bit(item.clbits[0]).index] = circuit.find_bit(item.qubits[0]).index
        elif item.operation.name not in {"delay", "barrier"}:
            bare.append(item)
    probabilities = Statevector(bare.remove_final_measurements(inplace=False) or bare).probabilities(
        [order[bit] for bit in range(circuit.num_clbits)]
    )
    return {format(i, f"0{circuit.num_clbits}b"): float(p) for i, p in enumerate(probabilities) if p > 1e-15}
