"""Angles that need no training: functions that the circuit represents exactly (arXiv:1802.06002, section 2).

Each function returns an ansatz and its angles; `QNNClassifier.from_angles` makes a fitted classifier of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz, layers, reed_muller


def parity_angles(subset: npt.ArrayLike) -> tuple[Ansatz, Floats]:
    """Write the parity of some bits as one ZX layer: f = +1 where an odd number of them is 1, else -1.

    Args:
        subset: (n,) bool, the bits that count.

    Example:
        >>> from qcluster.qnn import QNNClassifier
        >>> QNNClassifier.from_angles(*parity_angles([1, 0, 1])).predict([[1, 0, 1], [1, 1, 0]])
        array([0, 1])
    """
    chosen = _checked(subset)
    # The readout turns by pi/2 per bit that is 1: Z = 1 - 2 bit, so -pi/4 a gate and the constant in the bias.
    theta = np.append(np.where(chosen, -np.pi / 4, 0.0), (chosen.sum() + 1) * np.pi / 4)
    return layers(len(chosen), [("Z", "X")]), theta


def majority_angles(subset: npt.ArrayLike) -> tuple[Ansatz, Floats]:
    """Write the majority of k bits as one ZX layer: f > 0 where more than half of them are 1; f = 0 at a tie.

    f is the sine of pi/2 times (ones - zeros) / k: right for every string, but by a margin of about pi/(2k) only where
    the majority is of one bit.

    Args:
        subset: (n,) bool, the bits that count.

    Example:
        >>> from qcluster.qnn import QNNClassifier
        >>> QNNClassifier.from_angles(*majority_angles([1, 1, 1])).predict([[1, 0, 1], [0, 1, 0]])
        array([1, 0])
    """
    chosen = _checked(subset)
    theta = np.append(np.where(chosen, np.pi / (4 * chosen.sum()), 0.0), 0.0)
    return layers(len(chosen), [("Z", "X")]), theta


def reed_muller_angles(truth: npt.ArrayLike) -> tuple[Ansatz, Floats]:
    """Write a Boolean function as a circuit: f = +1 where the function is true, -1 where it is false.

    Args:
        truth: (2**n,) bool. Entry k is the value on the bits of k, bit j = (k >> j) & 1.

    Returns:
        The full-degree ansatz and its angles: a_S pi/2, with a_S the Reed-Muller coefficients (sums modulo 2), and
        the bias pi/4 of the right sign. 2**n gates: only for small n.

    Example:
        >>> ansatz, theta = reed_muller_angles([False, True, True, False])   # XOR
        >>> [term.qubits for term, angle in zip(ansatz.terms, theta) if angle]
        [(), (0,), (1,)]
    """
    given = np.asarray(truth)
    n = given.size.bit_length() - 1
    if given.ndim != 1 or n < 1 or given.size != 1 << n:
        raise ValueError(f"truth must have 2**n entries, n >= 1; got shape {given.shape}")
    if not np.isin(given, (0, 1)).all():
        raise ValueError(f"truth must hold zeros and ones; got {given.tolist()}")
    coefficients = given.astype(bool)
    table = coefficients.reshape((2,) * n)
    for axis in range(n):
        halves = np.moveaxis(table, axis, 0)
        halves[1] ^= halves[0]
    ansatz = reed_muller(n, n)
    chosen = [coefficients[sum(1 << q for q in term.qubits)] for term in ansatz.terms]
    theta = np.where(chosen, np.pi / 2, 0.0)
    theta[0] += np.pi / 4
    return ansatz, theta


def _checked(subset: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    chosen = np.asarray(subset)
    if chosen.ndim != 1 or not np.isin(chosen, (0, 1)).all() or not chosen.any():
        raise ValueError(f"subset must be (n,) zeros and ones, at least one 1; got {chosen.tolist()}")
    return chosen.astype(bool)
