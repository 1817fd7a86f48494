"""Circuits of the third and fourth set of `benchmarks.rates_fresh`: of families that no table of rates has.

One plain function a family; `CASES` lists which sizes the third set runs, at most seven qubits. The fourth, `AGAIN`,
has other sizes, angles and seeds of the families of the first and the third.
"""

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import library
from qiskit.quantum_info import StabilizerState, random_clifford, random_statevector

from benchmarks import outside_circuits as outside
from benchmarks.outside_circuits import named
from qcluster.bench.circuits import Case


def hidden_linear(n: int, seed: int) -> QuantumCircuit:
    """The hidden linear function problem of a random binary quadratic form (Bravyi, Gosset, Koenig, 2018)."""
    upper = np.triu(np.random.default_rng(seed).integers(2, size=(n, n)))
    return library.hidden_linear_function(np.maximum(upper, upper.T))


def fourier_checking(n: int, seed: int) -> QuantumCircuit:
    """Compare a random Boolean function with the Fourier transform of another one."""
    f, g = np.random.default_rng(seed).choice([-1, 1], (2, 2**n)).tolist()
    return library.fourier_checking(f, g)


def two_design(n: int, layers: int, seed: int) -> QuantumCircuit:
    """Random single-qubit Pauli rotations between layers of CZ (McClean et al., 2018)."""
    circuit = library.pauli_two_design(n, layers, seed=seed)
    return circuit.assign_parameters(np.random.default_rng(seed).uniform(0, 2 * pi, circuit.num_parameters))


def particle_ansatz(n: int, particles: int, spread: float, seed: int) -> QuantumCircuit:
    """An ansatz that keeps the number of ones, from a string with some."""
    ansatz = library.excitation_preserving(n, reps=1, entanglement="linear")
    turned = ansatz.assign_parameters(np.random.default_rng(seed).normal(0, spread, ansatz.num_parameters))
    circuit = QuantumCircuit(n)
    circuit.x(range(0, 2 * particles, 2))
    return circuit.compose(turned)


def quadratic_form(n: int, seed: int) -> QuantumCircuit:
    """Write a random quadratic form of two superposed bits to a register, in the Fourier basis."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(2 + n)
    circuit.h(range(2))
    form = library.QuadraticFormGate(n, rng.integers(-2, 3, (2, 2)).tolist(), rng.integers(-2, 3, 2).tolist(), 1)
    return circuit.compose(form, range(2 + n))


def reciprocal(n: int, scaling: float) -> QuantumCircuit:
    """Turn a qubit by the reciprocal of a register that holds every number, as linear solvers do."""
    circuit = QuantumCircuit(n + 1)
    circuit.h(range(n))
    return circuit.compose(library.ExactReciprocalGate(n, scaling), range(n + 1))


def molmer_sorensen(n: int, angle: float) -> QuantumCircuit:
    """Every pair turned about XX by one angle: a cat at pi/2, parity-even strings at others."""
    circuit = QuantumCircuit(n)
    for left in range(n):
        for right in range(left + 1, n):
            circuit.rxx(angle, left, right)
    return circuit


def hadamard_test(n: int, phase: float) -> QuantumCircuit:
    """Estimate the trace of n phase gates with one clean qubit; the others are read as they came."""
    circuit = QuantumCircuit(n + 1)
    circuit.x(range(1, n + 1, 2))
    circuit.h(0)
    for qubit in range(1, n + 1):
        circuit.cp(phase * qubit, 0, qubit)
    circuit.h(0)
    return circuit


def cluster_rotations(n: int, angle: float) -> QuantumCircuit:
    """A chain of entangled qubits, each measured along its own direction in the plane."""
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for left in range(n - 1):
        circuit.cz(left, left + 1)
    for qubit in range(n):
        circuit.rz(angle * (qubit + 1), qubit)
    circuit.h(range(n))
    return circuit


def loschmidt(n: int, kicks: int, change: float) -> QuantumCircuit:
    """Kicked Ising chain forward, and back with another field: what comes back is a string with a tail."""

    def forth(field: float) -> QuantumCircuit:
        circuit = QuantumCircuit(n)
        for _ in range(kicks):
            circuit.rx(field, range(n))
            for left in range(n - 1):
                circuit.rzz(0.6, left, left + 1)
        return circuit

    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 3))
    return circuit.compose(forth(0.9)).compose(forth(0.9 + change).inverse())


def kicked_top(n: int, kicks: int) -> QuantumCircuit:
    """A spin of n qubits, turned and twisted in turn (Haake, 1987): chaotic."""
    circuit = QuantumCircuit(n)
    for _ in range(kicks):
        circuit.ry(pi / 2, range(n))
        for left in range(n):
            for right in range(left + 1, n):
                circuit.rzz(2.5 / n, left, right)
    circuit.ry(pi / 3, range(n))
    return circuit


def spin_glass(n: int, steps: int, seed: int) -> QuantumCircuit:
    """A quench of spins with random couplings between all pairs, in a transverse field."""
    couplings = np.random.default_rng(seed).normal(0, 0.7 / sqrt(n), (n, n))
    circuit = QuantumCircuit(n)
    for _ in range(steps):
        for left in range(n):
            for right in range(left + 1, n):
                circuit.rzz(couplings[left, right], left, right)
        circuit.rx(0.8, range(n))
    return circuit


def five_qubit_code(angle: float, decoded: bool) -> QuantumCircuit:
    """A turned qubit in the five-qubit code (Laflamme et al., 1996), and out of it again."""
    generators = ["XZZXI", "IXZZX", "XIXZZ", "ZXIXZ", "ZZZZZ"]  # four stabilisers, and the logical Z
    encode = StabilizerState.from_stabilizer_list(generators).clifford.to_circuit()
    circuit = QuantumCircuit(5)
    circuit.ry(angle, 4)
    circuit.compose(encode, inplace=True)
    return circuit.compose(encode.inverse()) if decoded else circuit


def stabiliser(n: int, seed: int) -> QuantumCircuit:
    """A random Clifford circuit: strings of an affine space, all alike."""
    return random_clifford(n, seed=seed).to_circuit()


def haar(n: int, seed: int) -> QuantumCircuit:
    """Prepare a random state."""
    circuit = QuantumCircuit(n)
    circuit.prepare_state(random_statevector(2**n, seed=seed))
    return circuit


def sparse_state(n: int, strings: int, seed: int) -> QuantumCircuit:
    """Prepare a superposition of few random strings."""
    rng = np.random.default_rng(seed)
    amplitudes = np.zeros(2**n)
    amplitudes[rng.choice(2**n, strings, replace=False)] = np.sqrt(rng.dirichlet(np.ones(strings)))
    circuit = QuantumCircuit(n)
    circuit.prepare_state(amplitudes / np.linalg.norm(amplitudes))
    return circuit


def zeno(n: int, angle: float) -> QuantumCircuit:
    """Turn a qubit in n steps, and let another one watch after each."""
    circuit = QuantumCircuit(n + 1)
    for watcher in range(1, n + 1):
        circuit.ry(angle / n, 0)
        circuit.cx(0, watcher)
    return circuit


def cloning(angle: float) -> QuantumCircuit:
    """The best copies that can be made of a qubit (Buzek, Hillery, 1996)."""
    circuit = QuantumCircuit(3)
    circuit.ry(angle, 0)
    circuit.prepare_state([2 / sqrt(6), 0, 1 / sqrt(6), 1 / sqrt(6)], [1, 2])
    for control, place in ((0, 1), (0, 2), (1, 0), (2, 0)):
        circuit.cx(control, place)
    return circuit


CASES: tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...] = (
    *((hidden_linear, given) for given in ((4, 1), (6, 2))),
    *((fourier_checking, given) for given in ((3, 1), (4, 2))),
    *((two_design, given) for given in ((4, 2, 1), (6, 3, 2))),
    *((particle_ansatz, given) for given in ((4, 2, 0.8, 1), (6, 2, 0.4, 2))),
    *((quadratic_form, given) for given in ((2, 1), (3, 2))),
    *((reciprocal, given) for given in ((2, 0.4), (3, 0.6))),
    *((molmer_sorensen, given) for given in ((4, 1.5), (5, 0.5), (6, 0.7))),
    *((hadamard_test, given) for given in ((3, 0.7), (6, 0.3))),
    *((cluster_rotations, given) for given in ((4, 0.5), (7, 0.3))),
    *((loschmidt, given) for given in ((4, 2, 0.15), (5, 5, 0.1), (7, 3, 0.2))),
    *((kicked_top, given) for given in ((4, 2), (5, 3))),
    *((spin_glass, given) for given in ((4, 4, 1), (6, 2, 2))),
    *((five_qubit_code, given) for given in ((0.8, True), (1.1, False))),
    *((stabiliser, given) for given in ((4, 3), (5, 1), (7, 2))),
    *((haar, given) for given in ((3, 1), (4, 2))),
    *((sparse_state, given) for given in ((4, 2, 1), (5, 3, 2), (6, 4, 3))),
    *((zeno, given) for given in ((3, 1.2), (6, 2.0))),
    *((cloning, given) for given in ((0.9,), (2.4,))),
)
"""Families and what they are given."""


AGAIN: tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...] = (
    *((outside.clifford_t, given) for given in ((4, 6, 11), (6, 2, 12))),
    *((outside.small_angles, given) for given in ((5, 3, 11), (7, 1, 12))),
    *((outside.amplitude_estimation, given) for given in ((3, 0.6), (4, 0.1))),
    *((outside.counting, given) for given in ((2, 1), (3, 3))),
    *((outside.draper, given) for given in ((2, 3, 1, 1), (3, 1, 4, 0))),
    *((outside.qram, given) for given in ((2, 3, 11), (3, 1, 12))),
    *((outside.function_loading, given) for given in ((3, 1.0), (5, 2.5))),
    *((outside.lognormal_loading, given) for given in ((3, 0.7), (6, 0.4))),
    *((outside.heisenberg, given) for given in ((5, 2, 0.3), (7, 1, 1.0))),
    *((outside.graph_state, given) for given in ((5, True, 11), (7, False, 12))),
    *((outside.kernel_overlap, given) for given in ((3, 0.4, 11), (6, 0.3, 12))),
    *((outside.excitations, given) for given in ((4, 11), (6, 12))),
    *((outside.quantum_volume, given) for given in ((3, 11), (6, 12))),
    *((outside.bell_angles, given) for given in ((6, 11), (8, 12))),
    *((outside.rabi, given) for given in ((5, 2.0), (7, 0.5))),
    *((hidden_linear, given) for given in ((3, 11), (5, 12))),
    *((fourier_checking, given) for given in ((3, 11), (4, 12))),
    *((two_design, given) for given in ((3, 3, 11), (5, 2, 12))),
    *((particle_ansatz, given) for given in ((5, 2, 0.6, 11), (6, 3, 0.9, 12))),
    *((quadratic_form, given) for given in ((2, 11), (4, 12))),
    *((reciprocal, given) for given in ((2, 0.8), (4, 0.5))),
    *((molmer_sorensen, given) for given in ((4, 0.9), (6, 1.3))),
    *((hadamard_test, given) for given in ((4, 0.5), (5, 1.1))),
    *((cluster_rotations, given) for given in ((5, 0.7), (6, 0.2))),
    *((loschmidt, given) for given in ((4, 4, 0.2), (6, 2, 0.1))),
    *((kicked_top, given) for given in ((3, 3), (6, 1))),
    *((spin_glass, given) for given in ((4, 2, 11), (5, 3, 12))),
    *((five_qubit_code, given) for given in ((2.0, True), (0.5, False))),
    *((stabiliser, given) for given in ((4, 11), (6, 12))),
    *((haar, given) for given in ((3, 11), (5, 12))),
    *((sparse_state, given) for given in ((4, 3, 11), (5, 6, 12))),
    *((zeno, given) for given in ((4, 0.8), (5, 1.8))),
    *((cloning, given) for given in ((0.4,), (1.7,))),
)
"""Families and what they are given in the fourth set."""


def cases(listed: tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...] = CASES) -> list[Case]:
    """Build every circuit; a name is its family and what it was given."""
    return [named(family, given) for family, given in listed]
