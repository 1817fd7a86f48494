"""Encode rows of numbers as states of the data qubits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["basis", "product", "state"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """A batch of states of the data qubits, stored as compactly as their kind allows."""

    kind: Kind
    """basis: bit strings; product: one state per qubit; state: arbitrary joint states of all qubits."""
    array: npt.NDArray[np.generic]
    """basis: (batch, n) bool; product: (batch, n, 2) complex; state: (batch, 2**n) complex, bit j of the index = qubit
    j."""

    def __len__(self) -> int:
        """Number of inputs."""
        return len(self.array)

    @property
    def n_data(self) -> int:
        """Number of data qubits."""
        width = int(self.array.shape[1])
        return width.bit_length() - 1 if self.kind == "state" else width

    def take(self, rows: npt.NDArray[np.int64]) -> Inputs:
        """Return the inputs at the given indices."""
        return Inputs(self.kind, self.array[rows])

    def concat(self, others: Inputs) -> Inputs:
        """Concatenate two batches of the same kind and width."""
        if (self.kind, self.n_data) != (others.kind, others.n_data):
            raise ValueError(
                f"batches must be alike; got {self.kind} on {self.n_data} qubits and {others.kind} on {others.n_data}"
            )
        return Inputs(self.kind, np.concatenate([self.array, others.array]))

    def union(self, others: Inputs) -> Inputs:
        """Append the inputs of another batch that are not in this one."""
        rows = np.asarray(self.array).reshape(len(self), -1)
        new = [k for k, row in enumerate(np.asarray(others.array)) if not (rows == row.ravel()).all(axis=1).any()]
        return self.concat(others.take(np.array(new, dtype=np.int64)))

    def vectors(self) -> npt.NDArray[np.complex128]:
        """Return every input as a state vector, (batch, 2**n) complex, bit j of the index = qubit j."""
        if self.kind == "state":
            return np.asarray(self.array, dtype=np.complex128)
        if self.kind == "basis":
            out = np.zeros((len(self), 1 << self.n_data), dtype=np.complex128)
            out[np.arange(len(self)), np.asarray(self.array, dtype=np.int64) @ (1 << np.arange(self.n_data))] = 1
            return out
        out = np.ones((len(self), 1), dtype=np.complex128)
        for qubit in range(self.n_data):
            out = (np.asarray(self.array)[:, qubit, :, None] * out[:, None, :]).reshape(len(self), -1)
        return out


def basis(bits: npt.ArrayLike) -> Inputs:
    """Encode bit strings, (batch, n): data qubit j is prepared in state 1 where entry j is true or nonzero.

    Example:
        >>> basis([[0, 1]]).vectors().real
        array([[0., 0., 1., 0.]])
    """
    array = np.asarray(bits)
    if array.ndim != 2:
        raise ValueError(f"bits must have shape (batch, n); got {array.shape}")
    return Inputs("basis", array.astype(bool))


def angles(values: npt.ArrayLike) -> Inputs:
    """Encode features as product states by RX(pi x): 0 gives state 0, 1 gives state 1 up to a phase.

    Args:
        values: (batch, n) float.

    Example:
        >>> abs(angles([[0.5]]).array).round(3)
        array([[[0.707, 0.707]]])
    """
    half = np.asarray(values, dtype=np.float64) * (np.pi / 2)
    return Inputs("product", np.stack([np.cos(half), -1j * np.sin(half)], axis=-1))


def states(vectors: npt.ArrayLike) -> Inputs:
    """Encode arbitrary state vectors of the data register, entangled or not.

    Args:
        vectors: (batch, 2**n) complex, each of norm 1; bit j of the index is data qubit j, as in Qiskit.

    Example:
        >>> states([[0.6, 0, 0, 0.8j]]).n_data
        2
    """
    array = np.asarray(vectors, dtype=np.complex128)
    if array.ndim != 2 or array.shape[1] < 2 or array.shape[1] & (array.shape[1] - 1):
        raise ValueError(f"state vectors must have shape (batch, 2**n), n >= 1; got {array.shape}")
    norms = np.linalg.norm(array, axis=1)
    if not np.allclose(norms, 1, atol=1e-8):
        raise ValueError(f"state vectors must have norm 1; got {norms[np.argmax(abs(norms - 1))]:.6g}")
    return Inputs("state", array)
