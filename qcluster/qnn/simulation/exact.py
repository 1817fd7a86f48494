"""Compute decision values and gradients without a state vector of the whole circuit.

If every gate exp(i theta P R) touches one data qubit, the state of the readout can be expanded in eigenstates of R, and
each branch of the expansion acts on each data qubit separately. For a single run of gates about X, with the readout
starting in 1 and Y measured, one pair of branches contributes and

    <Y> = -Im prod_i <psi_i| V_i |psi_i>,    V_i = G_1 ... G_L G_L ... G_1,    G_l = exp(i theta_l P_l),

which costs O(n L) instead of 2**(n + 1). Such a circuit therefore offers no quantum advantage. It is a cheap model that
also runs on hardware, with an ideal answer that is known at any size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs, Kind
from qcluster.qnn.simulation.adjoint import Adjoint
from qcluster.qnn.simulation.one_axis import OneAxis, has_one_axis
from qcluster.qnn.simulation.pathsum import PathSum

Pullback = Callable[[Floats], Floats]
Route = Literal["auto", "diagonal", "one-axis", "product", "path-sum", "adjoint"]

MAX_RUNS = 6
"""Most axis runs for the path sum; each run multiplies its cost by up to four."""
MAX_DENSE = 18
"""Most data qubits for dense simulation: 2**19 amplitudes, 8 MB."""


class Form(Protocol):
    """Interface for decision values and gradients, implemented by the exact forms and by measurement on hardware."""

    def forward(self, theta: Floats, inputs: Inputs, gradient: bool = True) -> tuple[Floats, Pullback]:
        """Return f, (batch,), and its pullback, c (batch,) -> sum_b c_b df_b/dtheta, (n_parameters,)."""


class Diagonal:
    """Evaluate an ansatz of diagonal gates about X on bit strings: f(z) = -sin(2 phi(z)), phi = sum_t theta_t a_t(z).

    a_t(z) is a product of signs (letters Z) or of bits (letters 1). The cost is one matrix product per call. The a_t of
    the last inputs are cached, because training evaluates the same inputs repeatedly.
    """

    def __init__(self, ansatz: Ansatz) -> None:
        if not ansatz.is_standard or not all(term.is_diagonal for term in ansatz.terms):
            raise ValueError("the diagonal form needs diagonal gates about X, from state 1, with Y measured")
        self._terms = [(list(term.qubits), "1" in term.data) for term in ansatz.terms]
        self._last: tuple[Any, Floats] | None = None

    def forward(self, theta: Floats, inputs: Inputs, gradient: bool = True) -> tuple[Floats, Pullback]:
        """Return f and its pullback; see `Form`."""
        if inputs.kind != "basis":
            raise ValueError(f"the diagonal form needs bit strings; got {inputs.kind} inputs")
        if self._last is None or self._last[0] is not inputs.array:
            self._last = (inputs.array, self._features(np.asarray(inputs.array, dtype=bool)))
        features = self._last[1]
        angle = 2 * features @ theta
        return -np.sin(angle), lambda c: -2 * features.T @ (c * np.cos(angle))

    def _features(self, bits: npt.NDArray[np.bool_]) -> Floats:
        signs = 1.0 - 2.0 * bits
        columns = [bits[:, q].all(axis=1) if is_and else signs[:, q].prod(axis=1) for q, is_and in self._terms]
        return np.stack(columns, axis=1).astype(np.float64) if columns else np.zeros((len(bits), 0))


def choose_route(ansatz: Ansatz, kind: Kind) -> Route:
    """Return the name of the cheapest exact method for an ansatz and a kind of input.

    Returns:
        One of these, with its cost: "diagonal" (one matrix product), "one-axis" (O(n) real numbers per sample),
        "product" (O(n L)), "path-sum" (4**runs n) or "adjoint" (2**(n + 1) per gate).

    Raises:
        ValueError: The ansatz is beyond the limits of every method.

    Example:
        >>> from qcluster.qnn.ansatz import build
        >>> choose_route(build("zx-xx", 16), "basis"), choose_route(build("tfq", 16, reps=2), "basis")
        ('product', 'path-sum')
    """
    if kind == "basis" and ansatz.is_standard and all(term.is_diagonal for term in ansatz.terms):
        return "diagonal"
    if kind == "product" and has_one_axis(ansatz):
        return "one-axis"
    if ansatz.is_one_body and len(ansatz.axis_runs) <= MAX_RUNS:
        n_pairs = PathSum(ansatz).n_pairs
        if n_pairs == 1:
            return "product"
        if kind != "state":
            return "path-sum"
    if ansatz.n_data <= MAX_DENSE:
        return "adjoint"
    raise ValueError(
        f"no exact route: {len(ansatz.axis_runs)} axis runs (at most {MAX_RUNS}, one data qubit per gate) "
        f"and {ansatz.n_data} data qubits (at most {MAX_DENSE} for the dense one)"
    )


def exact_form(ansatz: Ansatz, kind: Kind, route: Route = "auto") -> Form:
    """Return an object that evaluates an ansatz exactly; training uses it repeatedly.

    Args:
        ansatz: The gates.
        kind: The kind of input.
        route: A name from `choose_route`, or "auto".

    Raises:
        ValueError: The route is not valid for this ansatz.

    Example:
        >>> from qcluster.qnn import ansatz, encoding
        >>> zx = ansatz.build("zx", 1, bias=False)
        >>> f, pullback = exact_form(zx, "basis").forward(np.array([0.1]), encoding.basis([[0], [1]]))
        >>> f.round(4)
        array([-0.1987,  0.1987])
    """
    chosen = choose_route(ansatz, kind) if route == "auto" else route
    if chosen == "diagonal":
        return Diagonal(ansatz)
    if chosen == "one-axis":
        return OneAxis(ansatz)
    if chosen == "adjoint":
        if ansatz.n_data > MAX_DENSE:
            raise ValueError(f"the dense route must have at most {MAX_DENSE} data qubits; got {ansatz.n_data}")
        return Adjoint(ansatz)
    if chosen in ("product", "path-sum"):
        paths = PathSum(ansatz)
        if chosen == "product" and paths.n_pairs != 1:
            raise ValueError(f"the product form needs one pair of branches; this ansatz has {paths.n_pairs}")
        return paths
    raise ValueError(f"route must be auto, diagonal, one-axis, product, path-sum or adjoint; got {route!r}")
