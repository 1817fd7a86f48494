"""Spins, particles and interferometers for the suite ``broad``; like `programs`, for testing, never for training."""

from math import pi, sqrt

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp

from qcluster.bench.circuits.case import sized


@sized(2, 20)
def unequal_cat(n: int, angle: float = 0.9) -> QuantumCircuit:
    """Prepare ``cos(angle/2) |0...0> + sin(angle/2) |1...1>`` by a tree of CX."""
    circuit = QuantumCircuit(n)
    circuit.ry(angle, 0)
    reach = 1
    while reach < n:
        for qubit in range(min(reach, n - reach)):
            circuit.cx(qubit, reach + qubit)
        reach *= 2
    return circuit


def _entangled(n: int) -> QuantumCircuit:
    """Prepare a GHZ state by a chain of CX."""
    circuit = QuantumCircuit(n)
    circuit.h(0)
    circuit.cx(range(n - 1), range(1, n))
    return circuit


@sized(2, 20)
def interferometer(n: int, phase: float = 0.3) -> QuantumCircuit:
    """Sense a phase with n entangled qubits and undo the entanglement: two strings, with n-fold fringes."""
    entangle = _entangled(n)
    circuit = entangle.copy()
    circuit.p(phase, range(n))
    return circuit.compose(entangle.inverse())


@sized(2, 14)
def mermin(n: int, angle: float = 0.4) -> QuantumCircuit:
    """Measure a GHZ state in rotated bases in the equatorial plane: one parity of the string is more likely."""
    circuit = _entangled(n)
    circuit.p(angle, range(n))
    circuit.h(range(n))
    return circuit


@sized(3, 14)
def blockade(n: int, steps: int = 2, angle: float = 1.2) -> QuantumCircuit:
    """Drive a chain of Rydberg atoms, each only while its neighbours are in the ground state (Floquet PXP)."""
    circuit = QuantumCircuit(n)
    for step in range(2 * steps):
        for atom in range(step % 2, n, 2):
            near = [other for other in (atom - 1, atom + 1) if 0 <= other < n]
            circuit.x(near)
            circuit.h(atom)  # a controlled RX is a controlled RZ between Hadamards
            circuit.rz(angle / 2, atom)
            circuit.mcx(near, atom)
            circuit.rz(-angle / 2, atom)
            circuit.mcx(near, atom)
            circuit.h(atom)
            circuit.x(near)
    return circuit


@sized(2, 14)
def matchgates(n: int, depth: int = 3, seed: int = 0) -> QuantumCircuit:
    """Let free fermions hop and pair at random: strings of even parity."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    for layer in range(depth):
        for left in range(layer % 2, n - 1, 2):
            circuit.rxx(rng.uniform(0, pi), left, left + 1)
            circuit.ryy(rng.uniform(0, pi), left, left + 1)
        for qubit in range(n):
            circuit.rz(rng.uniform(0, 2 * pi), qubit)
    return circuit


@sized(4, 14)
def valence_bonds(n: int, angle: float = 0.6) -> QuantumCircuit:
    """Prepare neighbours in singlets (n even) and exchange them partly between the bonds."""
    if n % 2:
        raise ValueError(f"valence_bonds needs an even number of qubits; got {n}")
    circuit = QuantumCircuit(n)
    for left in range(0, n, 2):
        circuit.x([left, left + 1])
        circuit.h(left)
        circuit.cx(left, left + 1)
    for left in range(1, n - 1, 2):
        for turn in (circuit.rxx, circuit.ryy, circuit.rzz):
            turn(angle, left, left + 1)
    return circuit


@sized(4, 12)
def hubbard(n: int, steps: int = 1, hopping: float = 0.7, repulsion: float = 1.0) -> QuantumCircuit:
    """Evolve electrons on n / 2 sites (n even), spin up on the even qubits: hopping, and repulsion on each site."""
    if n % 2:
        raise ValueError(f"hubbard needs an even number of qubits; got {n}")
    hop = SparsePauliOp(["XZX", "YZY"], [0.5, 0.5])  # Z on the other spin in between gives the fermionic sign
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 4))
    circuit.x(range(3, n, 4))
    for _ in range(steps):
        for spin in range(n - 2):
            circuit.append(PauliEvolutionGate(hop, hopping), [spin, spin + 1, spin + 2])
        for site in range(0, n, 2):
            circuit.cp(-repulsion, site, site + 1)
    return circuit.decompose("PauliEvolution")


@sized(3, 13)
def gauge_chain(n: int, steps: int = 1, coupling: float = 0.8) -> QuantumCircuit:
    """Evolve charges on the even qubits; each hop flips the Z2 gauge field on the link in between (n odd)."""
    if n % 2 == 0:
        raise ValueError(f"gauge_chain needs an odd number of qubits; got {n}")
    hop = SparsePauliOp(["XXX", "YXY"], [0.5, 0.5])
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 4))
    for _ in range(steps):
        for left in range(0, n - 2, 2):
            circuit.append(PauliEvolutionGate(hop, coupling), [left, left + 1, left + 2])
        circuit.rz(0.4, range(1, n, 2))
    return circuit.decompose("PauliEvolution")


@sized(2, 20)
def time_crystal(n: int, steps: int = 4, defect: float = 0.15, seed: int = 0) -> QuantumCircuit:
    """Flip all spins imperfectly under random couplings that stabilise them: they return every second step."""
    rng = np.random.default_rng(seed)
    couplings = rng.uniform(pi / 4, 3 * pi / 4, n)
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 3))
    for _ in range(steps):
        circuit.rx(pi * (1 - defect), range(n))
        for left in range(n - 1):
            circuit.rzz(couplings[left], left, left + 1)
    return circuit


@sized(2, 12)
def annealing(n: int, steps: int = 4, seed: int = 0) -> QuantumCircuit:
    """Anneal towards a hidden string in a few steps; fields and couplings on a chain favour it."""
    rng = np.random.default_rng(seed)
    signs, fields = rng.choice([-1, 1], n), rng.uniform(0.5, 1, n)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for step in range(1, steps + 1):
        done = step / (steps + 1)
        for left in range(n - 1):
            circuit.rzz(-1.2 * done * signs[left] * signs[left + 1], left, left + 1)
        for qubit in range(n):
            circuit.rz(-1.2 * done * signs[qubit] * fields[qubit], qubit)
            circuit.rx(-1.2 * (1 - done), qubit)
    return circuit


@sized(2, 12)
def state_transfer(n: int, steps: int = 3, completed: float = 1.0) -> QuantumCircuit:
    """Transfer an excitation from one end of a chain to the other by tuned couplings, in Trotter steps."""
    circuit = QuantumCircuit(n)
    circuit.x(0)
    for _ in range(steps):
        for first in (0, 1):
            for left in range(first, n - 1, 2):
                angle = completed * pi / (2 * steps) * sqrt((left + 1) * (n - 1 - left))
                circuit.rxx(angle, left, left + 1)
                circuit.ryy(angle, left, left + 1)
    return circuit


@sized(2, 12)
def squeezing(n: int, strength: float = 0.3, angle: float = 0.5) -> QuantumCircuit:
    """Squeeze spins in the equatorial plane by one-axis twisting, and rotate them before the measurement."""
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for left in range(n):
        for right in range(left + 1, n):
            circuit.rzz(strength, left, right)
    circuit.rx(angle, range(n))
    circuit.ry(pi / 2, range(n))
    return circuit
