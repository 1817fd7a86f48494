"""How gates transform Paulis, and the Pauli error rates that follow from published gate errors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats

Matrix = npt.NDArray[np.complex128]

PAULIS: Matrix = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
"""(3, 2, 2): X, Y, Z."""

PERMUTATIONS = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
"""(6, 3): the permutations of X, Y, Z; ``[:, p]`` is the Pauli that Pauli p becomes."""

_NEGLIGIBLE = 1e-9
_LARGEST = 0.999
"""Upper limit of the depolarising strength, reached by a gate that always fails."""


def rotation(unitary: Matrix) -> Floats:
    """Return the (3, 3) rotation R of the Bloch sphere under a gate U: ``U P_j U^ = sum_i R[i, j] P_i``."""
    conjugated = unitary @ PAULIS @ unitary.conj().T
    return np.asarray(0.5 * np.einsum("iab,jba->ij", PAULIS, conjugated).real)


def x_rotation(angle: float) -> Matrix:
    """Return ``exp(-i angle X / 2)``."""
    return np.asarray(np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULIS[0])


@lru_cache(maxsize=32)
def images(name: str) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return the image of each two-qubit Pauli under a Clifford gate, up to a phase: 0, 1, 2, 3 for I, X, Y, Z.

    "rzz" means a rotation by a quarter turn of either sign: it leaves a Pauli unchanged, or multiplies it by ZZ.
    """
    from qiskit.circuit.library import RZZGate, get_standard_gate_name_mapping
    from qiskit.quantum_info import Clifford, Pauli

    clifford = Clifford(RZZGate(np.pi / 2) if name == "rzz" else get_standard_gate_name_mapping()[name])
    table = {}
    for before in np.ndindex(4, 4):
        x, z = ([p in kinds for p in before] for kinds in ((1, 2), (2, 3)))
        after = Pauli((z, x)).evolve(clifford, frame="s")
        table[before] = tuple((0, 3, 1, 2)[2 * int(a) + int(b)] for a, b in zip(after.x, after.z, strict=True))
    return table


def split_x(local: Matrix, *, from_zero: bool) -> tuple[Matrix, float]:
    """Split a one-qubit gate into a part that stays in place and an X rotation after it that can be deferred.

    The next two-qubit gate, exp(i a XX), commutes with the X rotation, which can therefore be moved past it. This
    removes rotations of a compiled circuit that cancel later on.

    Args:
        local: (2, 2) unitary.
        from_zero: True while the qubit is still in |0>, where a Z rotation has no effect.

    Returns:
        ``rest`` and ``angle`` with ``local = x_rotation(angle) @ rest``; with `from_zero`, up to a Z rotation before.
    """
    bloch = rotation(local)
    if from_zero:
        _, y, z = bloch[:, 2]
        angle = float(np.arctan2(-y, z)) if np.hypot(y, z) > 1e-7 else 0.0
        rest = x_rotation(-angle) @ local
        x, _, z = rotation(rest)[:, 2]
        half = np.arctan2(x, z) / 2
        return np.array([[np.cos(half), -np.sin(half)], [np.sin(half), np.cos(half)]], dtype=complex), angle
    x, y, z = bloch[:, 0]
    if np.hypot(y, z) > 1e-7:
        angle = float(np.arctan2(z, y))
    else:
        angle = float(np.arctan2(np.sign(x) * bloch[2, 1], np.sign(x) * bloch[1, 1]))
    return x_rotation(-angle) @ local, angle


def branches(squares: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Decompose a doubly stochastic matrix into a mixture of permutations (Birkhoff), greedily, largest share first.

    Args:
        squares: (3, 3), ``[i, j]`` the probability that Pauli j becomes Pauli i.

    Returns:
        (k, 3) rows of `PERMUTATIONS`, and their (k,) shares, which sum to 1.
    """
    remaining = squares.copy()
    chosen, shares = [], []
    for _ in range(len(PERMUTATIONS)):
        smallest = remaining[PERMUTATIONS, [0, 1, 2]].min(axis=1)
        best = int(smallest.argmax())
        if smallest[best] <= _NEGLIGIBLE:
            break
        chosen.append(PERMUTATIONS[best])
        shares.append(smallest[best])
        remaining[PERMUTATIONS[best], [0, 1, 2]] -= smallest[best]
    return np.array(chosen), np.array(shares) / np.sum(shares)


def off_clifford(squares: Floats) -> Floats:
    """Measure how far a one-qubit gate is from the nearest Clifford gate, as probabilities (3,) of X, Y and Z.

    The gate is that Clifford gate and a rotation by an angle about an axis. The Pauli twirl of the rotation applies
    Pauli P with probability ``sin^2(angle / 2) axis_P^2``.

    Args:
        squares: (3, 3) squared elements of the gate's rotation of the Bloch sphere.
    """
    kept = np.sqrt(np.maximum(squares, 0))[PERMUTATIONS, [0, 1, 2]]
    nearest = int(kept.sum(axis=1).argmax())
    cosine = float(np.clip((kept[nearest].sum() - 1) / 2, -1, 1))
    axis = np.zeros(3)
    axis[PERMUTATIONS[nearest]] = np.maximum(kept[nearest] - cosine, 0)
    return np.asarray((1 - cosine) / 2 * axis / max(float(axis.sum()), 1e-12))


Parts = tuple[tuple[float, float, float], Matrix, Matrix, Matrix, Matrix]


def decompose(matrix: Matrix) -> Parts:
    """Decompose a two-qubit gate (Weyl): ``(K1b x K1a) exp(i (a XX + b YY + c ZZ)) (K2b x K2a)``, qubit a being first.

    Returns:
        (a, b, c), then K2a and K2b, which act first, then K1a and K1b.
    """
    return _decompose(np.ascontiguousarray(matrix, dtype=complex).tobytes())


@lru_cache(maxsize=4096)
def _decompose(raw: bytes) -> Parts:
    from qiskit.synthesis import TwoQubitWeylDecomposition

    left, _, right = np.linalg.svd(np.frombuffer(raw, dtype=complex).reshape(4, 4))
    # A product of hundreds of gates deviates from unitary by 1e-13, where Qiskit may fail to diagonalise it.
    weyl = TwoQubitWeylDecomposition(left @ right)
    angles = tuple(0.0 if abs(v) < _NEGLIGIBLE else float(v) for v in (weyl.a, weyl.b, weyl.c))
    return (angles[0], angles[1], angles[2]), weyl.K2r, weyl.K2l, weyl.K1r, weyl.K1l


def relaxation_rates(seconds: float, t1: float, t2: float) -> Floats:
    """Return rates (3,) of X, Y, Z faults of a decohering qubit: <Z> decays as e^(-t/T1), <X> and <Y> as e^(-t/T2)."""
    flips = seconds / (4 * t1)
    return np.array([flips, flips, max(0.0, seconds / (2 * t2) - flips)])


def depolarising_strength(error: float, seconds: float, t1: Floats, t2: Floats) -> float:
    """Return the depolarising strength that, with decoherence, accounts for a published gate error.

    A published error is an average infidelity that includes the decoherence during the gate. The rest is attributed to
    depolarisation: ``p = d (error - r) / (d (1 - r) - 1)``, where r is the infidelity of the decoherence and d the
    dimension. qiskit-aer's ``NoiseModel.from_backend_properties`` interprets the figures in the same way. The result
    is zero or negative where decoherence alone explains the error.

    Args:
        error: published gate error.
        seconds: duration of the gate.
        t1, t2: (k,) coherence times of its qubits, in seconds.
    """
    dim = 2.0 ** len(t1)
    kept = np.prod((1 + np.exp(-seconds / t1) + 2 * np.exp(-seconds / t2)) / 4)
    fidelity = (dim * kept + 1) / (dim + 1)
    excess = min(error, dim / (dim + 1)) - (1 - fidelity)
    return float(dim * excess / (dim * fidelity - 1))


def depolarising_rate(error: float, seconds: float, t1: Floats, t2: Floats) -> float:
    """Return the rate of each of the ``4^k - 1`` Pauli faults that together have this `depolarising_strength`."""
    strength = min(max(0.0, depolarising_strength(error, seconds, t1, t2)), _LARGEST)
    return float(-np.log1p(-strength) / 4.0 ** len(t1))
