"""Dense simulation of any ansatz, with gradients by the adjoint method: slow, but without conditions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz, Term
from qcluster.qnn.encoding import Inputs

State = npt.NDArray[np.complex128]

START: dict[str, npt.NDArray[np.complex128]] = {
    "0": np.array([1, 0], dtype=np.complex128),
    "1": np.array([0, 1], dtype=np.complex128),
    "+": np.array([1, 1], dtype=np.complex128) / np.sqrt(2),
    "-": np.array([1, -1], dtype=np.complex128) / np.sqrt(2),
}
"""Initial states of the readout."""
_CHUNK = 1 << 16
"""Amplitudes per chunk: 1 MB, which stays in the cache."""
_FACTORS = {"X": None, "Y": np.array([-1j, 1j]), "Z": np.array([1.0, -1.0]), "1": np.array([0.0, 1.0])}


class Adjoint:
    """Evaluate any ansatz on state vectors of 2**(n + 1) amplitudes, in chunks of samples that fit in the cache.

    Cost per sample and gate: three passes over the state vector with the gradient, one without.
    """

    def __init__(self, ansatz: Ansatz) -> None:
        self._ansatz = ansatz

    def forward(
        self, theta: Floats, inputs: Inputs, gradient: bool = True
    ) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Return f and its pullback; see `qcluster.qnn.simulation.exact.Form`."""
        vectors, readout = inputs.vectors(), Term((), "", self._ansatz.measure)
        step = max(1, _CHUNK >> (self._ansatz.n_data + 1))
        chunks = [slice(first, first + step) for first in range(0, len(vectors), step)]
        finals = [self._evolve(theta, vectors[chunk]) for chunk in chunks]
        values = [_overlaps(psi, _operate(readout, psi)).real for psi in finals]

        def pullback(cotangent: Floats) -> Floats:
            total = np.zeros(len(theta))
            for psi, chunk in zip(finals, chunks, strict=True):
                total += self._gradient(theta, psi, _operate(readout, psi) * cotangent[chunk])
            return total

        return np.concatenate(values) if values else np.zeros(0), pullback

    def _evolve(self, theta: Floats, vectors: State) -> State:
        data = vectors.T.reshape((2,) * self._ansatz.n_data + (-1,))
        psi = np.multiply.outer(START[self._ansatz.start], data)
        for angle, term in zip(theta, self._ansatz.terms, strict=True):
            psi = _rotate(term, float(angle), psi)
        return psi

    def _gradient(self, theta: Floats, psi: State, dual: State) -> Floats:
        # d<M>/dtheta_l = 2 Re <dual| i O_l |psi>, with both vectors just after gate l and dual including the cotangent.
        out = np.zeros(len(theta))
        for k in range(len(theta) - 1, -1, -1):
            term = self._ansatz.terms[k]
            out[k] = -2 * np.vdot(dual, _operate(term, psi)).imag
            psi, dual = _rotate(term, -float(theta[k]), psi), _rotate(term, -float(theta[k]), dual)
        return out


def _overlaps(bra: State, ket: State) -> State:
    """Return <bra|ket> for each sample, (batch,)."""
    batch = bra.shape[-1]
    return np.asarray(np.einsum("kb,kb->b", bra.conj().reshape(-1, batch), ket.reshape(-1, batch)))


def _operate(term: Term, psi: State) -> State:
    """Apply the operator P R; the axes of psi are the readout, data qubits n-1 ... 0, and the samples."""
    letters = [
        (0, term.readout),
        *((psi.ndim - 2 - q, letter) for q, letter in zip(term.qubits, term.data, strict=True)),
    ]
    for axis, letter in letters:
        if letter in "XY":
            psi = np.flip(psi, axis)
        factor = _FACTORS[letter]
        if factor is not None:
            psi = psi * factor.reshape((2,) + (1,) * (psi.ndim - 1 - axis))
    return psi


def _rotate(term: Term, angle: float, psi: State) -> State:
    """Apply exp(i angle O). O**3 = O holds for Paulis and projectors, so 1 + (cos - 1) O**2 + i sin O is exact."""
    once = _operate(term, psi)
    if "1" not in term.data:
        return np.asarray(np.cos(angle) * psi + 1j * np.sin(angle) * once)
    return np.asarray(psi + (np.cos(angle) - 1) * _operate(term, once) + 1j * np.sin(angle) * once)
