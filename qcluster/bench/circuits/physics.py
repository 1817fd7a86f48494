"""Circuits from physics and chemistry: particle-conserving gates, Ising models, variational ansätze, walks."""

from dataclasses import replace
from math import pi, sqrt

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import XXPlusYYGate

from qcluster.bench.circuits.case import Case, case, certain, from_probabilities


def basis_change(n: int, seed: int = 0) -> Case:
    """Rotate the orbitals of a half-filled chain and rotate them back: the initial string."""
    rng = np.random.default_rng(seed)
    rotation = QuantumCircuit(n)
    for layer in range(n):
        for left in range(layer % 2, n - 1, 2):
            rotation.append(XXPlusYYGate(rng.uniform(0.2, pi), rng.uniform(0, 2 * pi)), [left, left + 1])
    circuit = QuantumCircuit(n, n)
    circuit.x(range(0, n, 2))
    circuit.compose(rotation, inplace=True)
    circuit.barrier()
    circuit.compose(rotation.inverse(), inplace=True)
    text = ("01" * n)[-n:] if n % 2 == 0 else ("10" * n)[:n]
    return case("basis_change", n, circuit, certain(text))


def trotter(n: int, layers: int = 1, seed: int = 0) -> Case:
    """Evolve an empty chain under hopping and interaction: the output has no particles, however deep the circuit.

    Args:
        n: number of qubits.
        layers: layers of hopping between neighbours; each pair takes two CX.
        seed: seed of the hopping strengths and phases.
    """
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n, n)
    for layer in range(layers):
        for left in range(layer % 2, n - 1, 2):
            circuit.append(XXPlusYYGate(rng.uniform(0.2, pi), rng.uniform(0, 2 * pi)), [left, left + 1])
        for qubit in range(n):
            circuit.rz(rng.uniform(0, 2 * pi), qubit)
    return case("trotter", n, circuit, certain("0" * n))


def variational(n: int) -> Case:
    """Spread n/2 particles, each over two neighbouring sites (n divisible by 4): a Slater determinant."""
    if n % 4:
        raise ValueError(f"variational needs a multiple of 4 qubits; got {n}")
    circuit = QuantumCircuit(n, n)
    for block in range(0, n, 4):
        circuit.x([block, block + 1])
        for turns, left in ((0.9952, 1), (-0.5024, 0), (-0.4976, 2), (0.0048, 1)):
            circuit.append(XXPlusYYGate(-pi * turns, pi / 2), [block + left, block + left + 1])
    return case("variational", n, circuit)


def ising(n: int, steps: int = 1, angle: float = 0.642, coupling: float = pi / 4) -> Case:
    """Evolve the all-zero chain under a transverse-field Ising model, in Trotter steps of ZZ and then X rotations.

    After one step the output is a product of bits that are 1 with probability sin^2(angle / 2), in closed form;
    further steps are simulated.
    """
    circuit = QuantumCircuit(n, n)
    for _ in range(steps):
        for qubit in range(n - 1):
            circuit.cx(qubit, qubit + 1)
            circuit.rz(2 * coupling, qubit + 1)
            circuit.cx(qubit, qubit + 1)
        circuit.rx(angle, range(n))
    one = np.sin(angle / 2) ** 2
    ones = np.bitwise_count(np.arange(1 << n, dtype=np.uint32)) if steps == 1 and n <= 24 else None
    ideal = None if ones is None else (lambda: from_probabilities(one**ones * (1 - one) ** (n - ones)))
    return case("ising", n, circuit, ideal)


def vqe(n: int, layers: int = 1, seed: int = 0) -> Case:
    """Prepare a hardware-efficient trial state: layers of RY and RZ on each qubit, with chains of CX between them."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n, n)
    for layer in range(layers + 1):
        for qubit in range(n):
            circuit.ry(rng.uniform(0, 2 * pi), qubit)
            circuit.rz(rng.uniform(0, 2 * pi), qubit)
        for qubit in range(n - 1 if layer < layers else 0):
            circuit.cx(qubit, qubit + 1)
    return case("vqe", n, circuit)


def qaoa(n: int, layers: int = 1, seed: int = 0, ring: bool = False) -> Case:
    """Minimise an Ising cost with weights +1 or -1 by QAOA, on the complete graph or a ring.

    One layer uses the best angles of the infinite Sherrington-Kirkpatrick model, gamma = 1/(2 sqrt(n)) and
    beta = pi/8 (Farhi et al., arXiv:1910.08187); more layers ramp them linearly.
    """
    rng = np.random.default_rng(seed)
    pairs = [(i, (i + 1) % n) for i in range(n)] if ring else [(i, j) for i in range(n) for j in range(i + 1, n)]
    edges = tuple((i, j, float(rng.choice([-1, 1]))) for i, j in pairs)
    degree = 2 if ring else n
    circuit = QuantumCircuit(n, n)
    circuit.h(range(n))
    for layer in range(layers):
        ramp = (layer + 1) / (layers + 1) * 2 if layers > 1 else 1.0
        for i, j, weight in edges:
            circuit.rzz(-ramp * weight / sqrt(degree), i, j)
        circuit.rx(2 * (2 - ramp) * pi / 8, range(n))
    return replace(case("qaoa", n, circuit), edges=edges)


def quantum_walk(n: int, steps: int = 2) -> Case:
    """Walk with a coin on a ring of 2^n places; n measured bits, n + 1 qubits."""
    circuit = QuantumCircuit(n + 1, n)
    for _ in range(steps):
        circuit.h(n)
        for bit in reversed(range(n)):
            circuit.mcx([n, *range(bit)], bit)
        circuit.x(n)
        circuit.x(range(n))
        for bit in reversed(range(n)):
            circuit.mcx([n, *range(bit)], bit)
        circuit.x(range(n))
        circuit.x(n)
    return case("quantum_walk", n, circuit)


def linear_solver(n: int) -> Case:
    """Solve linear systems of one bit, each on three qubits (n divisible by 3)."""
    if n % 3:
        raise ValueError(f"linear_solver needs a multiple of 3 qubits; got {n}")
    circuit = QuantumCircuit(n, n)
    for clock in range(0, n, 3):
        work, vector = clock + 1, clock + 2
        circuit.h(clock)
        circuit.x(vector)
        circuit.cx(clock, work)
        circuit.h([clock, work, vector])
        circuit.cx(vector, work)
        circuit.h([work, vector])
        circuit.ry(-0.58, vector)
        circuit.h([work, vector])
        circuit.cx(vector, work)
        circuit.h([work, vector, clock])
        circuit.ry(0.58, vector)
        circuit.cx(clock, work)
        circuit.h(clock)
    return case("linear_solver", n, circuit)


def parity_encoder(n: int = 5) -> Case:
    """Encode a qubit, rotated by T, in a bit-flip code with two parity checks; five qubits."""
    if n != 5:
        raise ValueError(f"parity_encoder has 5 qubits; got {n}")
    centre = 2
    circuit = QuantumCircuit(n, n)
    circuit.h(centre)
    circuit.t(centre)
    circuit.h([centre, 0, 1, centre])
    circuit.cx(1, centre)
    circuit.cx(0, centre)
    circuit.h([0, 1, 3])
    circuit.cx(3, centre)
    circuit.h([centre, 3])
    for qubit in (3, 0, 1):
        circuit.cx(qubit, centre)
    circuit.h([centre, 4])
    circuit.cx(4, centre)
    circuit.h([centre, 4])
    for qubit in (4, 1, 3):
        circuit.cx(qubit, centre)
    return case("parity_encoder", n, circuit)
