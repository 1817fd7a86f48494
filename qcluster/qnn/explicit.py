"""Explicit angles for Boolean functions that the circuit represents exactly (arXiv:1802.06002, section 2).

Each function returns an ansatz and its angles, from which `QNNClassifier.from_angles` makes a fitted classifier.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz, layers, reed_muller


def parity_angles(subset: npt.ArrayLike) -> tuple[Ansatz, Floats]:
    """Represent the parity of a subset of the bits by one ZX layer: f = +1 for an odd number of ones, else -1.

    Args:
        subset: (n,) bool, True for the bits of the subset.

    Example:
        >>> from qcluster.qnn import QNNClassifier
        >>> QNNClassifier.from_angles(*parity_angles([1, 0, 1])).predict([[1, 0, 1], [1, 1, 0]])
        array([0, 1])
    """
    in_subset = _check_subset(subset)
    # Each bit equal to 1 adds pi/2 to the angle of the readout. As Z = 1 - 2 bit, a gate has the angle -pi/4, and the
    # constant goes into the bias.
    theta = np.append(np.where(in_subset, -np.pi / 4, 0.0), (in_subset.sum() + 1) * np.pi / 4)
    return layers(len(in_subset), [("Z", "X")]), theta


def majority_angles(subset: npt.ArrayLike) -> tuple[Ansatz, Floats]:
    """Represent the majority of a subset of k bits by one ZX layer: f > 0 if more than half are 1, f = 0 at a tie.

    f is the sine of pi/2 times (ones - zeros) / k. It is right for every string, but the margin is only about pi/(2k)
    where the majority is of one bit.

    Args:
        subset: (n,) bool, True for the bits of the subset.

    Example:
        >>> from qcluster.qnn import QNNClassifier
        >>> QNNClassifier.from_angles(*majority_angles([1, 1, 1])).predict([[1, 0, 1], [0, 1, 0]])
        array([1, 0])
    """
    in_subset = _check_subset(subset)
    theta = np.append(np.where(in_subset, np.pi / (4 * in_subset.sum()), 0.0), 0.0)
    return layers(len(in_subset), [("Z", "X")]), theta


def reed_muller_angles(truth: npt.ArrayLike) -> tuple[Ansatz, Floats]:
    """Represent a Boolean function by a circuit: f = +1 where the function is true, -1 where it is false.

    Args:
        truth: (2**n,) bool. Entry k is the value of the function for the bits of k, bit j = (k >> j) & 1.

    Returns:
        The full-degree ansatz and its angles: a_S pi/2, with a_S the Reed-Muller coefficients (sums modulo 2), plus
        pi/4 for the bias. There are 2**n gates, so n must be small.

    Example:
        >>> ansatz, theta = reed_muller_angles([False, True, True, False])   # XOR
        >>> [term.qubits for term, angle in zip(ansatz.terms, theta) if angle]
        [(), (0,), (1,)]
    """
    values = np.asarray(truth)
    n = values.size.bit_length() - 1
    if values.ndim != 1 or n < 1 or values.size != 1 << n:
        raise ValueError(f"truth must have 2**n entries, n >= 1; got shape {values.shape}")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"truth must hold zeros and ones; got {values.tolist()}")
    coefficients = values.astype(bool)
    table = coefficients.reshape((2,) * n)
    for axis in range(n):
        halves = np.moveaxis(table, axis, 0)
        halves[1] ^= halves[0]
    ansatz = reed_muller(n, n)
    has_gate = [coefficients[sum(1 << q for q in term.qubits)] for term in ansatz.terms]
    theta = np.where(has_gate, np.pi / 2, 0.0)
    theta[0] += np.pi / 4
    return ansatz, theta


def _check_subset(subset: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    in_subset = np.asarray(subset)
    if in_subset.ndim != 1 or not np.isin(in_subset, (0, 1)).all() or not in_subset.any():
        raise ValueError(f"subset must be (n,) zeros and ones, at least one 1; got {in_subset.tolist()}")
    return in_subset.astype(bool)
