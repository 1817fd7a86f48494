"""Exact evaluation on product states of an ansatz with one Pauli letter per data qubit, without matrices.

All gates on data qubit i are rotations about the same axis. With phi_i twice the sum of their angles, b the bias, and
r_i the component of the qubit's Bloch vector along the axis,

    f = -Im e^{2 i b} prod_i (cos phi_i + i r_i sin phi_i),

which takes a few passes over an array of shape (n, batch).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs


class OneAxis:
    """Evaluate a sine ansatz with one Pauli letter per data qubit; the formula is in the docstring of the module.

    The Bloch components of the last inputs are cached, because training evaluates the same inputs repeatedly.
    """

    def __init__(self, ansatz: Ansatz) -> None:
        if not has_one_axis(ansatz):
            raise ValueError("the one-axis form needs a sine ansatz with one Pauli letter per data qubit")
        self._n = ansatz.n_data
        self._gates = np.array([k for k, term in enumerate(ansatz.terms) if term.qubits], dtype=np.int64)
        self._qubits = np.array([term.qubits[0] for term in ansatz.terms if term.qubits], dtype=np.int64)
        self._bias = np.array([k for k, term in enumerate(ansatz.terms) if not term.qubits], dtype=np.int64)
        letters = {term.qubits[0]: term.data for term in ansatz.terms if term.qubits}
        self._letters = [letters.get(qubit, "Z") for qubit in range(ansatz.n_data)]
        self._last: tuple[Any, Floats] | None = None

    def forward(
        self, theta: Floats, inputs: Inputs, gradient: bool = True
    ) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Return f and its pullback; see `qcluster.qnn.simulation.exact.Form`."""
        if inputs.kind != "product":
            raise ValueError(f"the one-axis form needs product states; got {inputs.kind} inputs")
        if self._last is None or self._last[0] is not inputs.array:
            self._last = (inputs.array, self._components(inputs))
        components = self._last[1]
        phi = 2 * np.bincount(self._qubits, theta[self._gates], self._n)[:, None]
        cos, sin = np.cos(phi), np.sin(phi)
        sin_parts = sin * components
        factors = np.empty(components.shape, dtype=np.complex128)
        factors.real, factors.imag = cos, sin_parts
        total = np.exp(2j * theta[self._bias].sum()) * factors.prod(axis=0)

        def pullback(cotangent: Floats) -> Floats:
            # Logarithmic derivatives of the factors. |factor|**2 is never zero, since no float has cosine zero.
            inverse = 1 / (cos**2 + sin_parts**2)
            real, imaginary = cotangent * total.real, cotangent * total.imag
            by_qubit = (cos * sin)[:, 0] * (((1 - components**2) * inverse) @ imaginary) - (components * inverse) @ real
            out = np.empty(len(theta))
            out[self._gates], out[self._bias] = 2 * by_qubit[self._qubits], -2 * real.sum()
            return out

        return -total.imag, pullback

    def _components(self, inputs: Inputs) -> Floats:
        """Return the component of each Bloch vector along the axis of its qubit, (n, batch)."""
        zero, one = np.moveaxis(np.asarray(inputs.array, dtype=np.complex128), 2, 0)
        cross = 2 * zero.conj() * one
        parts = {"X": cross.real, "Y": cross.imag, "Z": abs(zero) ** 2 - abs(one) ** 2}
        return np.array([parts[letter][:, qubit] for qubit, letter in enumerate(self._letters)])


def has_one_axis(ansatz: Ansatz) -> bool:
    """Return whether the ansatz is a sine perceptron in which each data qubit has gates of one Pauli letter only."""
    pairs = {(term.qubits, term.data) for term in ansatz.terms}
    return ansatz.is_sine and len(pairs) == len({qubits for qubits, _ in pairs})
