"""Random circuits: mirrors with one known output, and circuits without structure."""

from math import pi

import numpy as np
from qiskit import QuantumCircuit

from qcluster.bench.circuits.case import Case, case, certain


def mirror(n: int, depth: int = 4, seed: int = 0) -> Case:
    """Scramble with a random Clifford circuit, apply random Paulis, and unscramble: one string, at any width.

    The circuit has layers of random one-qubit Cliffords and of CZ gates on alternating pairs of neighbours, each with
    probability 3/4; then the Paulis; then the inverse of the layers. The output is the X part of ``U^-1 P U`` (Proctor
    et al., arXiv:2008.11294).

    Args:
        n: number of qubits.
        depth: number of layers before the Paulis, and again after them.
        seed: seed of the gates and the Paulis.
    """
    from qiskit.quantum_info import Pauli

    rng = np.random.default_rng(seed)
    half = QuantumCircuit(n)
    for layer in range(depth):
        for qubit, gate in enumerate(rng.integers(0, 6, n)):
            for name in ("", "h", "s", "hs", "sh", "hsh")[gate]:
                getattr(half, name)(qubit)
        for left in range(layer % 2, n - 1, 2):
            if rng.random() < 0.75:
                half.cz(left, left + 1)
    z, x = rng.integers(0, 2, (2, n)).astype(bool)
    middle = QuantumCircuit(n)
    for qubit in range(n):
        if z[qubit]:
            middle.z(qubit)
        if x[qubit]:
            middle.x(qubit)
    circuit = QuantumCircuit(n, n)
    circuit.compose(half, inplace=True)
    circuit.barrier()
    circuit.compose(middle, inplace=True)
    circuit.barrier()
    circuit.compose(half.inverse(), inplace=True)
    flips = Pauli((z, x)).evolve(half, frame="h").x
    text = "".join("1" if bit else "0" for bit in reversed(flips))
    return case("mirror", n, circuit, certain(text))


def iqp(n: int, density: float = 0.5, seed: int = 0) -> Case:
    """Apply random diagonal gates between two layers of Hadamards: a spread output, simulated."""
    if not 0 <= density <= 1:
        raise ValueError(f"density must lie in [0, 1]; got {density}")
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n, n)
    circuit.h(range(n))
    for left in range(n):
        circuit.p(rng.integers(8) * pi / 4, left)
        for right in range(left + 1, n):
            if rng.random() < density:
                circuit.cp(rng.integers(1, 4) * pi / 2, left, right)
    circuit.h(range(n))
    return case("iqp", n, circuit)


def dense(n: int, layers: int = 2, seed: int = 0) -> Case:
    """Prepare a state with random real amplitudes: RY on each qubit and CX on every pair, `layers` times."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n, n)
    for layer in range(layers + 1):
        for qubit in range(n):
            circuit.ry(rng.uniform(0, 2 * pi), qubit)
        for left in range(n if layer < layers else 0):
            for right in range(left + 1, n):
                circuit.cx(left, right)
    return case("dense", n, circuit)


def brickwork(n: int, depth: int = 4, seed: int = 0) -> Case:
    """Scramble by `depth` layers of random rotations and CZ gates on alternating pairs of neighbours."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n, n)
    for layer in range(depth + 1):
        for qubit in range(n):
            circuit.ry(rng.uniform(0, 2 * pi), qubit)
            circuit.rz(rng.uniform(0, 2 * pi), qubit)
        for left in range(layer % 2, n - 1 if layer < depth else 0, 2):
            circuit.cz(left, left + 1)
    for qubit in range(n):
        circuit.ry(rng.uniform(0, 2 * pi), qubit)
    return case("brickwork", n, circuit)
