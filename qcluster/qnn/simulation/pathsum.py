"""Path sum over the branches of the readout: the product form, generalised to several readout axes.

A run of gates about one axis R preserves the eigenstates of R and rotates each data qubit by +theta or -theta. A path
e = (e_1, ..., e_m) selects one eigenvalue per run. With W_i(e) the operator that acts on data qubit i along the path,

    f = sum_{e', e} K(e', e) prod_i <psi_i| W_i(e')^dagger W_i(e) |psi_i>,
    K(e', e) = <start| Pi(e'_1) ... Pi(e'_m) M Pi(e_m) ... Pi(e_1) |start>.

Pairs with K = 0 are omitted, and conjugate pairs are evaluated once. With a single X run, state 1 and Y measured, one
pair remains.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.simulation.adjoint import START

Complex = npt.NDArray[np.complex128]

PAULI: dict[str, Complex] = {
    "": np.zeros((2, 2), dtype=np.complex128),
    "X": np.array([[0, 1], [1, 0]], dtype=np.complex128),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    "Z": np.array([[1, 0], [0, -1]], dtype=np.complex128),
    "1": np.array([[0, 0], [0, 1]], dtype=np.complex128),
}
"""2 x 2 matrices by letter; zero for the empty letter of bias gates and padding."""
_CHUNK = 1 << 16
"""Amplitudes per chunk of state inputs: 1 MB, which stays in the cache."""


class PathSum:
    """Evaluate an ansatz of one-body gates exactly on bit strings, product states and arbitrary states.

    The cost with p pairs (at most 4**runs), n data qubits and L gates on each is O(p n L) per call and O(p n) per
    sample, or O(p n 2**n) per sample for arbitrary states.
    """

    def __init__(self, ansatz: Ansatz) -> None:
        if not ansatz.is_one_body:
            raise ValueError("the path sum needs gates on at most one data qubit each")
        self._n_parameters = ansatz.n_parameters
        self._weights, bra, ket = _pairs(ansatz)
        index, run = _by_qubit(ansatz)
        letters = np.array([PAULI[letter] for letter in ansatz.letters] + [PAULI[""]])
        self._index, self._generators = index, letters[index]
        self._squares = self._generators @ self._generators
        self._bra, self._ket = bra[:, run][..., None, None], ket[:, run][..., None, None]
        self._bias = np.array([k for k, letter in enumerate(ansatz.letters) if not letter], dtype=np.int64)
        runs = np.repeat(np.arange(len(ansatz.axis_runs)), [b - a for _, a, b in ansatz.axis_runs])
        self._bias_signs = (ket - bra)[:, runs[self._bias]]

    @property
    def n_pairs(self) -> int:
        """Number of pairs of paths in the sum; 1 is the product form."""
        return len(self._weights)

    def operators(self, theta: Floats) -> Complex:
        """Return V = W(e')^dagger W(e) for every pair and data qubit, (pairs, n, 2, 2)."""
        return self._operators(theta)[0]

    def bias_angles(self, theta: Floats) -> Floats:
        """Return the phase of each pair from the bias gates, (pairs,), in radians."""
        return np.asarray(self._bias_signs @ theta[self._bias])

    def forward(
        self, theta: Floats, inputs: Inputs, gradient: bool = True
    ) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Return f and its pullback; see `qcluster.qnn.simulation.exact.Form`."""
        operators, before_bra, before_ket = self._operators(theta)
        scale = self._weights * np.exp(1j * self.bias_angles(theta))
        if inputs.kind == "state":
            totals, gather = _of_states(operators, inputs.array)
        else:
            totals, gather = _of_products(operators, inputs)

        def pullback(cotangent: Floats) -> Floats:
            moments = scale[:, None, None, None] * gather(cotangent)
            derivatives = self._derivatives(operators, before_bra, before_ket)
            out = np.zeros(self._n_parameters + 1)
            out[self._index] = np.einsum("pnac,plnac->ln", moments, derivatives).real
            sums = scale * (cotangent @ totals)
            out[self._bias] = (1j * sums @ self._bias_signs).real
            return out[:-1]

        return (totals @ scale).real, pullback

    def _operators(self, theta: Floats) -> tuple[Complex, Complex, Complex]:
        """Return V and, for each gate, the products of the gates before it in bra and ket, (pairs, L, n, 2, 2)."""
        angle = np.append(theta, 0.0)[self._index][..., None, None]
        even = np.eye(2) + (np.cos(angle) - 1) * self._squares
        odd = 1j * np.sin(angle) * self._generators
        bra_gates, ket_gates = even - self._bra * odd, even + self._ket * odd
        bra = np.broadcast_to(np.eye(2, dtype=np.complex128), bra_gates[:, 0].shape)
        ket, bras, kets = bra, [], []
        for level in range(self._index.shape[0]):
            bras.append(bra)
            kets.append(ket)
            bra, ket = bra @ bra_gates[:, level], ket_gates[:, level] @ ket
        return bra @ ket, np.stack(bras, axis=1), np.stack(kets, axis=1)

    def _derivatives(self, operators: Complex, bra: Complex, ket: Complex) -> Complex:
        """Return dV/dtheta = i (-e' B P B^dagger V + e V K^dagger P K), (pairs, L, n, 2, 2)."""
        left = bra @ self._generators @ _dagger(bra) @ operators[:, None]
        right = operators[:, None] @ _dagger(ket) @ self._generators @ ket
        return np.asarray(1j * (self._ket * right - self._bra * left))


def _dagger(matrices: Complex) -> Complex:
    return matrices.conj().swapaxes(-1, -2)


def _by_qubit(ansatz: Ansatz) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the indices of the gates on each data qubit in order, (L, n), and the runs of these gates, (L, n).

    Columns of qubits with fewer than L gates are padded with the index n_parameters.
    """
    columns: list[list[tuple[int, int]]] = [[] for _ in range(ansatz.n_data)]
    for run, (_, first, last) in enumerate(ansatz.axis_runs):
        for k in range(first, last):
            for qubit in ansatz.terms[k].qubits:
                columns[qubit].append((k, run))
    depth = max(1, *(len(column) for column in columns))
    padding = (ansatz.n_parameters, 0)
    table = np.array([column + [padding] * (depth - len(column)) for column in columns], dtype=np.int64)
    return table[..., 0].T.copy(), table[..., 1].T.copy()


def _pairs(ansatz: Ansatz) -> tuple[Complex, Floats, Floats]:
    """Return the weights K (p,) of the nonzero pairs and the signs (p, runs) of their bra and ket paths.

    The weights of conjugate pairs are merged, so that f is the real part of the sum.
    """
    axes = [axis for axis, _, _ in ansatz.axis_runs]
    paths: list[tuple[tuple[int, ...], Complex]] = []
    for signs in product((1, -1), repeat=len(axes)):
        state = START[ansatz.start]
        for sign, axis in zip(signs, axes, strict=True):
            state = (state + sign * (PAULI[axis] @ state)) / 2
        if np.linalg.norm(state) > 1e-12:
            paths.append((signs, state))
    ends = np.array([state for _, state in paths])
    kernel = ends.conj() @ PAULI[ansatz.measure] @ ends.T
    # f is real and the pairs (e', e) and (e, e') are conjugate, so the lower triangle counts twice.
    kernel = 2 * np.tril(kernel, -1) + np.diag(np.diag(kernel))
    bra, ket = np.nonzero(abs(kernel) > 1e-12)
    table = np.array([signs for signs, _ in paths], dtype=np.float64).reshape(len(paths), -1)
    if not len(axes):
        table = np.ones((len(paths), 1))
    return kernel[bra, ket], table[bra], table[ket]


def _of_products(operators: Complex, inputs: Inputs) -> tuple[Complex, Callable[[Floats], Complex]]:
    """Return prod_i <V_i>, (batch, pairs), and c -> sum_b c_b (prod_{j != i} <V_j>) rho_i, (pairs, n, 2, 2).

    Qubits are the first axis, so that each step of a product over them runs along a whole batch: ten times as fast as a
    product along a short last axis.
    """
    if inputs.kind == "basis":
        bits = np.ascontiguousarray(np.asarray(inputs.array, dtype=bool).T)[:, :, None]
        at_zero, at_one = operators[:, :, 0, 0].T[:, None], operators[:, :, 1, 1].T[:, None]
        factors = np.where(bits, at_one, at_zero)

        def gather(cotangent: Floats) -> Complex:
            others, out = _leave_one_out(factors), np.zeros_like(operators)
            ones = np.matmul((cotangent * bits[:, :, 0])[:, None], others)[:, 0]
            out[:, :, 1, 1] = ones.T
            out[:, :, 0, 0] = (cotangent @ others - ones).T
            return out

        return factors.prod(axis=0), gather

    psi = np.moveaxis(np.asarray(inputs.array), 1, 0)
    density = (psi.conj()[..., :, None] * psi[..., None, :]).reshape(*psi.shape[:2], 4)
    means = density @ np.moveaxis(operators.reshape(*operators.shape[:2], 4), 0, 2)

    def moments(cotangent: Floats) -> Complex:
        weighted = _leave_one_out(means) * cotangent[:, None]
        return np.asarray(np.moveaxis(weighted.swapaxes(1, 2) @ density, 0, 1).reshape(operators.shape))

    return means.prod(axis=0), moments


def _leave_one_out(factors: Complex) -> Complex:
    """Return the product of all other factors along the first axis, without division, since a factor may be zero."""
    out = np.ones_like(factors)
    for i in range(1, len(factors)):
        np.multiply(out[i - 1], factors[i - 1], out=out[i])
    running = np.ones_like(factors[0])
    for i in range(len(factors) - 1, 0, -1):
        running *= factors[i]
        out[i - 1] *= running
    return out


def _of_states(operators: Complex, vectors: npt.NDArray[np.generic]) -> tuple[Complex, Callable[[Floats], Complex]]:
    """Return <psi| (x) V_i |psi>, (batch, pairs), and the moments as in `_of_products`, in n 2 x 2 passes per vector.

    <psi| (prod_{j != i} V_j) D |psi> = sum_{ac} (D V_i^dagger)_{ac} C_{ac}, with C the 2 x 2 overlap of psi with V psi.
    """
    batch, size = vectors.shape
    n = operators.shape[1]
    step = max(1, _CHUNK // size)
    chunks = [np.asarray(vectors[at : at + step], dtype=np.complex128) for at in range(0, batch, step)]
    applied = [[_apply(operators[p], chunk) for p in range(len(operators))] for chunk in chunks]
    totals = [
        [np.einsum("bk,bk->b", chunk.conj(), image) for image in images]
        for chunk, images in zip(chunks, applied, strict=True)
    ]

    def gather(cotangent: Floats) -> Complex:
        overlaps = np.zeros_like(operators)
        for at, chunk, images in zip(range(0, batch, step), chunks, applied, strict=True):
            weighted = cotangent[at : at + step, None] * chunk.conj()
            for (p, image), i in product(enumerate(images), range(n)):
                shape = (-1, 2, 1 << i)
                overlaps[p, i] += np.einsum("hak,hck->ac", weighted.reshape(shape), image.reshape(shape))
        return np.asarray(overlaps @ operators.conj())

    return np.concatenate([np.stack(rows, axis=1) for rows in totals]), gather


def _apply(matrices: Complex, vectors: Complex) -> Complex:
    """Apply matrix i to qubit i of every vector, (batch, 2**n)."""
    out = vectors
    for i, matrix in enumerate(matrices):
        out = np.einsum("ac,hck->hak", matrix, out.reshape(-1, 2, 1 << i)).reshape(vectors.shape)
    return out
