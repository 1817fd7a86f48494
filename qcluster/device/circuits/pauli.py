"""Rotations of Paulis under gates, and the Pauli rates of published gate errors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats

Matrix = npt.NDArray[np.complex128]

PAULIS: Matrix = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
"""(3, 2, 2): X, Y, Z."""

PERMUTATIONS = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
"""(6, 3): ``[:, p]`` is the Pauli that Pauli p turns into."""

_NEGLIGIBLE = 1e-9
_LARGEST = 0.999
"""Depolarisation that stands for a gate which does nothing right."""


def rotation(unitary: Matrix) -> Floats:
    """Give the (3, 3) rotation of the Bloch sphere: ``U P_j U^ = sum_i R[i, j] P_i``."""
    turned = unitary @ PAULIS @ unitary.conj().T
    return np.asarray(0.5 * np.einsum("iab,jba->ij", PAULIS, turned).real)


def x_rotation(angle: float) -> Matrix:
    """Give ``exp(-i angle X / 2)``."""
    return np.asarray(np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULIS[0])


@lru_cache(maxsize=32)
def images(name: str) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Tell what each Pauli on two qubits becomes behind a Clifford gate, up to a phase: 0, 1, 2, 3 for I, X, Y, Z.

    "rzz" is meant by a quarter turn, of either sign: a Pauli passes it as it is, or times ZZ.
    """
    from qiskit.circuit.library import RZZGate, get_standard_gate_name_mapping
    from qiskit.quantum_info import Clifford, Pauli

    clifford = Clifford(RZZGate(np.pi / 2) if name == "rzz" else get_standard_gate_name_mapping()[name])
    table = {}
    for before in np.ndindex(4, 4):
        x, z = ([p in kinds for p in before] for kinds in ((1, 2), (2, 3)))
        behind = Pauli((z, x)).evolve(clifford, frame="s")
        table[before] = tuple((0, 3, 1, 2)[2 * int(a) + int(b)] for a, b in zip(behind.x, behind.z, strict=True))
    return table


def split_x(local: Matrix, *, from_zero: bool) -> tuple[Matrix, float]:
    """Split a one-qubit gate into what must stay and an X rotation after it that may wait.

    The next two-qubit gate, exp(i a XX), commutes with the X rotation, so it can be carried past that gate. Angles
    that compiled circuits only seem to contain, because they cancel further on, vanish this way.

    Args:
        local: (2, 2) unitary.
        from_zero: True when the qubit is still in |0>, where a Z rotation before does nothing.

    Returns:
        ``rest`` and ``angle`` with ``local = x_rotation(angle) @ rest``, up to what does nothing.
    """
    turn = rotation(local)
    if from_zero:
        _, y, z = turn[:, 2]
        angle = float(np.arctan2(-y, z)) if np.hypot(y, z) > 1e-7 else 0.0
        rest = x_rotation(-angle) @ local
        x, _, z = rotation(rest)[:, 2]
        half = np.arctan2(x, z) / 2
        return np.array([[np.cos(half), -np.sin(half)], [np.sin(half), np.cos(half)]], dtype=complex), angle
    x, y, z = turn[:, 0]
    if np.hypot(y, z) > 1e-7:
        angle = float(np.arctan2(z, y))
    else:
        angle = float(np.arctan2(np.sign(x) * turn[2, 1], np.sign(x) * turn[1, 1]))
    return x_rotation(-angle) @ local, angle


def branches(squares: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Write a doubly stochastic matrix as a mixture of permutations (Birkhoff), the largest shares first.

    Args:
        squares: (3, 3), ``[i, j]`` the probability that Pauli j turns into Pauli i.

    Returns:
        Rows of `PERMUTATIONS`, (k, 3), and their shares, (k,), which sum to 1.
    """
    left = squares.copy()
    chosen, shares = [], []
    for _ in range(len(PERMUTATIONS)):
        smallest = left[PERMUTATIONS, [0, 1, 2]].min(axis=1)
        best = int(smallest.argmax())
        if smallest[best] <= _NEGLIGIBLE:
            break
        chosen.append(PERMUTATIONS[best])
        shares.append(smallest[best])
        left[PERMUTATIONS[best], [0, 1, 2]] -= smallest[best]
    return np.array(chosen), np.array(shares) / np.sum(shares)


def off_clifford(squares: Floats) -> Floats:
    """Tell how far a one-qubit gate is from the nearest Clifford gate: as if Paulis struck with probabilities ``(3,)``.

    What is left after that gate is a rotation by some angle about some axis, ``sin^2(angle / 2)`` in all, divided by
    the squares of the axis.

    Args:
        squares: (3, 3) of the elements of its rotation of the Bloch sphere.
    """
    kept = np.sqrt(np.maximum(squares, 0))[PERMUTATIONS, [0, 1, 2]]
    nearest = int(kept.sum(axis=1).argmax())
    cosine = float(np.clip((kept[nearest].sum() - 1) / 2, -1, 1))
    axis = np.zeros(3)
    axis[PERMUTATIONS[nearest]] = np.maximum(kept[nearest] - cosine, 0)
    return np.asarray((1 - cosine) / 2 * axis / max(float(axis.sum()), 1e-12))


Parts = tuple[tuple[float, float, float], Matrix, Matrix, Matrix, Matrix]


def decompose(matrix: Matrix) -> Parts:
    """Decompose a two-qubit gate: ``(K1b x K1a) exp(i (a XX + b YY + c ZZ)) (K2b x K2a)``, qubit a being the first.

    Gives (a, b, c), then K2a, K2b, which act first, then K1a, K1b.
    """
    return _decompose(np.ascontiguousarray(matrix, dtype=complex).tobytes())


@lru_cache(maxsize=4096)
def _decompose(raw: bytes) -> Parts:
    from qiskit.synthesis import TwoQubitWeylDecomposition

    left, _, right = np.linalg.svd(np.frombuffer(raw, dtype=complex).reshape(4, 4))
    # Products of hundreds of gates drift from unitary by 1e-13, at which Qiskit may fail to diagonalise.
    found = TwoQubitWeylDecomposition(left @ right)
    angles = tuple(0.0 if abs(v) < _NEGLIGIBLE else float(v) for v in (found.a, found.b, found.c))
    return (angles[0], angles[1], angles[2]), found.K2r, found.K2l, found.K1r, found.K1l


def relaxation_rates(seconds: float, t1: float, t2: float) -> Floats:
    """Give rates (3,) of X, Y, Z faults of a decohering qubit: Z shrinks by e^-t/T1, X and Y by e^-t/T2."""
    flips = seconds / (4 * t1)
    return np.array([flips, flips, max(0.0, seconds / (2 * t2) - flips)])


def depolarising_strength(error: float, seconds: float, t1: Floats, t2: Floats) -> float:
    """Give the depolarising strength that brings a gate's error to the published one; not above 0 where it is less.

    Published errors are average infidelities and contain the decoherence during the gate; what decoherence does not
    explain is taken as depolarising: ``p = d (error - r) / (d (1 - r) - 1)``, r the infidelity of the decoherence
    (the reading that qiskit-aer's ``NoiseModel.from_backend_properties`` has of these figures).

    Args:
        error: published gate error.
        seconds: length of the gate.
        t1, t2: (k,) coherence times of its qubits.
    """
    dim = 2.0 ** len(t1)
    kept = np.prod((1 + np.exp(-seconds / t1) + 2 * np.exp(-seconds / t2)) / 4)
    fidelity = (dim * kept + 1) / (dim + 1)
    excess = min(error, dim / (dim + 1)) - (1 - fidelity)
    return float(dim * excess / (dim * fidelity - 1))


def depolarising_rate(error: float, seconds: float, t1: Floats, t2: Floats) -> float:
    """Give the rate of each of the ``4^k - 1`` Paulis that makes up `depolarising_strength`."""
    strength = min(max(0.0, depolarising_strength(error, seconds, t1, t2)), _LARGEST)
    return float(-np.log1p(-strength) / 4.0 ** len(t1))
