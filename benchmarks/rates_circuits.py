"""Circuits of the third and fourth set of `benchmarks.rates_fresh`, of families that no table of rates contains.

Each family is a function. `CASES` lists the circuits of the third set, with at most seven qubits. The fourth set,
`AGAIN`, has other sizes, angles and seeds of the families in the first and third.
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
    """Hidden linear function problem of a random binary quadratic form (Bravyi, Gosset, Koenig, 2018)."""
    upper = np.triu(np.random.default_rng(seed).integers(2, size=(n, n)))
    return library.hidden_linear_function(np.maximum(upper, upper.T))


def fourier_checking(n: int, seed: int) -> QuantumCircuit:
    """Fourier checking: a random Boolean function against the Fourier transform of another."""
    f, g = np.random.default_rng(seed).choice([-1, 1], (2, 2**n)).tolist()
    return library.fourier_checking(f, g)


def two_design(n: int, layers: int, seed: int) -> QuantumCircuit:
    """Random single-qubit Pauli rotations between layers of CZ (McClean et al., 2018)."""
    circuit = library.pauli_two_design(n, layers, seed=seed)
    return circuit.assign_parameters(np.random.default_rng(seed).uniform(0, 2 * pi, circuit.num_parameters))


def particle_ansatz(n: int, particles: int, spread: float, seed: int) -> QuantumCircuit:
    """Excitation-preserving ansatz, starting from a string with a given number of ones."""
    ansatz = library.excitation_preserving(n, reps=1, entanglement="linear")
    bound = ansatz.assign_parameters(np.random.default_rng(seed).normal(0, spread, ansatz.num_parameters))
    circuit = QuantumCircuit(n)
    circuit.x(range(0, 2 * particles, 2))
    return circuit.compose(bound)


def quadratic_form(n: int, seed: int) -> QuantumCircuit:
    """Evaluation of a random quadratic form of two superposed bits into a register, in the Fourier basis."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(2 + n)
    circuit.h(range(2))
    form = library.QuadraticFormGate(n, rng.integers(-2, 3, (2, 2)).tolist(), rng.integers(-2, 3, 2).tolist(), 1)
    return circuit.compose(form, range(2 + n))


def reciprocal(n: int, scaling: float) -> QuantumCircuit:
    """Rotation of a qubit by the reciprocal of a register in uniform superposition, as in linear solvers."""
    circuit = QuantumCircuit(n + 1)
    circuit.h(range(n))
    return circuit.compose(library.ExactReciprocalGate(n, scaling), range(n + 1))


def molmer_sorensen(n: int, angle: float) -> QuantumCircuit:
    """XX rotations of all pairs by the same angle: a cat state at pi/2, strings of even parity at others."""
    circuit = QuantumCircuit(n)
    for left in range(n):
        for right in range(left + 1, n):
            circuit.rxx(angle, left, right)
    return circuit


def hadamard_test(n: int, phase: float) -> QuantumCircuit:
    """Hadamard test of n controlled phase gates; the qubits under the phases end in their initial string."""
    circuit = QuantumCircuit(n + 1)
    circuit.x(range(1, n + 1, 2))
    circuit.h(0)
    for qubit in range(1, n + 1):
        circuit.cp(phase * qubit, 0, qubit)
    circuit.h(0)
    return circuit


def cluster_rotations(n: int, angle: float) -> QuantumCircuit:
    """Cluster state on a chain, with each qubit measured along a different direction in the XY plane."""
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for left in range(n - 1):
        circuit.cz(left, left + 1)
    for qubit in range(n):
        circuit.rz(angle * (qubit + 1), qubit)
    circuit.h(range(n))
    return circuit


def loschmidt(n: int, kicks: int, change: float) -> QuantumCircuit:
    """Loschmidt echo: a kicked Ising chain forwards, then backwards with another field; one string with a tail."""

    def evolution(field: float) -> QuantumCircuit:
        circuit = QuantumCircuit(n)
        for _ in range(kicks):
            circuit.rx(field, range(n))
            for left in range(n - 1):
                circuit.rzz(0.6, left, left + 1)
        return circuit

    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 3))
    return circuit.compose(evolution(0.9)).compose(evolution(0.9 + change).inverse())


def kicked_top(n: int, kicks: int) -> QuantumCircuit:
    """Kicked top (Haake, 1987): a spin of n qubits under alternating rotations and twists, chaotic."""
    circuit = QuantumCircuit(n)
    for _ in range(kicks):
        circuit.ry(pi / 2, range(n))
        for left in range(n):
            for right in range(left + 1, n):
                circuit.rzz(2.5 / n, left, right)
    circuit.ry(pi / 3, range(n))
    return circuit


def spin_glass(n: int, steps: int, seed: int) -> QuantumCircuit:
    """Quench of a spin glass: random couplings between all pairs, in a transverse field."""
    couplings = np.random.default_rng(seed).normal(0, 0.7 / sqrt(n), (n, n))
    circuit = QuantumCircuit(n)
    for _ in range(steps):
        for left in range(n):
            for right in range(left + 1, n):
                circuit.rzz(couplings[left, right], left, right)
        circuit.rx(0.8, range(n))
    return circuit


def five_qubit_code(angle: float, decoded: bool) -> QuantumCircuit:
    """Rotated qubit encoded in the five-qubit code (Laflamme et al., 1996), and decoded again if `decoded`."""
    generators = ["XZZXI", "IXZZX", "XIXZZ", "ZXIXZ", "ZZZZZ"]  # four stabilisers, and the logical Z
    encode = StabilizerState.from_stabilizer_list(generators).clifford.to_circuit()
    circuit = QuantumCircuit(5)
    circuit.ry(angle, 4)
    circuit.compose(encode, inplace=True)
    return circuit.compose(encode.inverse()) if decoded else circuit


def stabiliser(n: int, seed: int) -> QuantumCircuit:
    """Random Clifford circuit: a uniform distribution over an affine space of strings."""
    return random_clifford(n, seed=seed).to_circuit()


def haar(n: int, seed: int) -> QuantumCircuit:
    """Preparation of a Haar-random state."""
    circuit = QuantumCircuit(n)
    circuit.prepare_state(random_statevector(2**n, seed=seed))
    return circuit


def sparse_state(n: int, strings: int, seed: int) -> QuantumCircuit:
    """Preparation of a superposition of a few random strings."""
    rng = np.random.default_rng(seed)
    amplitudes = np.zeros(2**n)
    amplitudes[rng.choice(2**n, strings, replace=False)] = np.sqrt(rng.dirichlet(np.ones(strings)))
    circuit = QuantumCircuit(n)
    circuit.prepare_state(amplitudes / np.linalg.norm(amplitudes))
    return circuit


def zeno(n: int, angle: float) -> QuantumCircuit:
    """Quantum Zeno effect: rotation of a qubit in n steps, each followed by a CX to another qubit."""
    circuit = QuantumCircuit(n + 1)
    for watcher in range(1, n + 1):
        circuit.ry(angle / n, 0)
        circuit.cx(0, watcher)
    return circuit


def cloning(angle: float) -> QuantumCircuit:
    """Optimal cloning of a qubit (Buzek, Hillery, 1996)."""
    circuit = QuantumCircuit(3)
    circuit.ry(angle, 0)
    circuit.prepare_state([2 / sqrt(6), 0, 1 / sqrt(6), 1 / sqrt(6)], [1, 2])
    for control, target in ((0, 1), (0, 2), (1, 0), (2, 0)):
        circuit.cx(control, target)
    return circuit


CASES: tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...] = (
    *((hidden_linear, arguments) for arguments in ((4, 1), (6, 2))),
    *((fourier_checking, arguments) for arguments in ((3, 1), (4, 2))),
    *((two_design, arguments) for arguments in ((4, 2, 1), (6, 3, 2))),
    *((particle_ansatz, arguments) for arguments in ((4, 2, 0.8, 1), (6, 2, 0.4, 2))),
    *((quadratic_form, arguments) for arguments in ((2, 1), (3, 2))),
    *((reciprocal, arguments) for arguments in ((2, 0.4), (3, 0.6))),
    *((molmer_sorensen, arguments) for arguments in ((4, 1.5), (5, 0.5), (6, 0.7))),
    *((hadamard_test, arguments) for arguments in ((3, 0.7), (6, 0.3))),
    *((cluster_rotations, arguments) for arguments in ((4, 0.5), (7, 0.3))),
    *((loschmidt, arguments) for arguments in ((4, 2, 0.15), (5, 5, 0.1), (7, 3, 0.2))),
    *((kicked_top, arguments) for arguments in ((4, 2), (5, 3))),
    *((spin_glass, arguments) for arguments in ((4, 4, 1), (6, 2, 2))),
    *((five_qubit_code, arguments) for arguments in ((0.8, True), (1.1, False))),
    *((stabiliser, arguments) for arguments in ((4, 3), (5, 1), (7, 2))),
    *((haar, arguments) for arguments in ((3, 1), (4, 2))),
    *((sparse_state, arguments) for arguments in ((4, 2, 1), (5, 3, 2), (6, 4, 3))),
    *((zeno, arguments) for arguments in ((3, 1.2), (6, 2.0))),
    *((cloning, arguments) for arguments in ((0.9,), (2.4,))),
)
"""Families of the third set, and the arguments of each circuit."""


AGAIN: tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...] = (
    *((outside.clifford_t, arguments) for arguments in ((4, 6, 11), (6, 2, 12))),
    *((outside.small_angles, arguments) for arguments in ((5, 3, 11), (7, 1, 12))),
    *((outside.amplitude_estimation, arguments) for arguments in ((3, 0.6), (4, 0.1))),
    *((outside.counting, arguments) for arguments in ((2, 1), (3, 3))),
    *((outside.draper, arguments) for arguments in ((2, 3, 1, 1), (3, 1, 4, 0))),
    *((outside.qram, arguments) for arguments in ((2, 3, 11), (3, 1, 12))),
    *((outside.function_loading, arguments) for arguments in ((3, 1.0), (5, 2.5))),
    *((outside.lognormal_loading, arguments) for arguments in ((3, 0.7), (6, 0.4))),
    *((outside.heisenberg, arguments) for arguments in ((5, 2, 0.3), (7, 1, 1.0))),
    *((outside.graph_state, arguments) for arguments in ((5, True, 11), (7, False, 12))),
    *((outside.kernel_overlap, arguments) for arguments in ((3, 0.4, 11), (6, 0.3, 12))),
    *((outside.excitations, arguments) for arguments in ((4, 11), (6, 12))),
    *((outside.quantum_volume, arguments) for arguments in ((3, 11), (6, 12))),
    *((outside.bell_angles, arguments) for arguments in ((6, 11), (8, 12))),
    *((outside.rabi, arguments) for arguments in ((5, 2.0), (7, 0.5))),
    *((hidden_linear, arguments) for arguments in ((3, 11), (5, 12))),
    *((fourier_checking, arguments) for arguments in ((3, 11), (4, 12))),
    *((two_design, arguments) for arguments in ((3, 3, 11), (5, 2, 12))),
    *((particle_ansatz, arguments) for arguments in ((5, 2, 0.6, 11), (6, 3, 0.9, 12))),
    *((quadratic_form, arguments) for arguments in ((2, 11), (4, 12))),
    *((reciprocal, arguments) for arguments in ((2, 0.8), (4, 0.5))),
    *((molmer_sorensen, arguments) for arguments in ((4, 0.9), (6, 1.3))),
    *((hadamard_test, arguments) for arguments in ((4, 0.5), (5, 1.1))),
    *((cluster_rotations, arguments) for arguments in ((5, 0.7), (6, 0.2))),
    *((loschmidt, arguments) for arguments in ((4, 4, 0.2), (6, 2, 0.1))),
    *((kicked_top, arguments) for arguments in ((3, 3), (6, 1))),
    *((spin_glass, arguments) for arguments in ((4, 2, 11), (5, 3, 12))),
    *((five_qubit_code, arguments) for arguments in ((2.0, True), (0.5, False))),
    *((stabiliser, arguments) for arguments in ((4, 11), (6, 12))),
    *((haar, arguments) for arguments in ((3, 11), (5, 12))),
    *((sparse_state, arguments) for arguments in ((4, 3, 11), (5, 6, 12))),
    *((zeno, arguments) for arguments in ((4, 0.8), (5, 1.8))),
    *((cloning, arguments) for arguments in ((0.4,), (1.7,))),
)
"""Families of the fourth set, and the arguments of each circuit."""


def cases(listed: tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...] = CASES) -> list[Case]:
    """Build the listed circuits, named by their families and arguments."""
    return [named(family, arguments) for family, arguments in listed]
