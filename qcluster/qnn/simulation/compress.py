"""Rewrite a trained product-form model as one ZX layer and a bias: the same predictions from the shortest circuit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz, layers
from qcluster.qnn.simulation.pathsum import PathSum


@dataclass(frozen=True, eq=False)
class Phases:
    """Hold what a product-form model computes on bit strings: f(z) = -amplitude sin(sum_i phases_i s_i + 2 bias).

    s_i is +1 for bit 0 and -1 for bit 1. However many gates the circuit has, this is all it can say: a sine
    perceptron.
    """

    phases: Floats
    """(n,) radians, in (-pi, pi]."""
    bias: float
    """Radians."""
    amplitude: float
    """R <= 1, what XX and YX gates cost; 1 for ZX gates alone."""


def phases(ansatz: Ansatz, theta: Floats) -> Phases:
    """Reduce a product-form model to phases, bias and amplitude.

    V_i lies in SU(2), so its diagonal is (v, conj v): phases_i = arg v_i and amplitude = prod |v_i|.

    Raises:
        ValueError: The ansatz is not of one-body Pauli gates about X, from state 1, with Y measured.

    Example:
        >>> from qcluster.qnn.ansatz import build
        >>> found = phases(build("zx", 2), np.array([0.1, 0.2, 0.3]))
        >>> found.phases, found.bias, round(found.amplitude, 12)
        (array([0.2, 0.4]), 0.3, 1.0)
    """
    if not ansatz.is_sine:
        raise ValueError("phases need Pauli gates on one data qubit each, about X, from state 1, with Y measured")
    form = PathSum(ansatz)
    diagonal = form.turns(theta)[0, :, 0, 0]
    bias = float(form.bias_angles(theta)[0]) / 2
    return Phases(np.angle(diagonal), bias, float(np.abs(diagonal).prod()))


def compress(ansatz: Ansatz, theta: Floats) -> tuple[Ansatz, Floats]:
    """Return one ZX layer with bias that decides every bit string as the given model does.

    Its decision value is f / R: the same sign and a larger margin, from n two-qubit rotations instead of n per layer.

    Example:
        >>> from qcluster.qnn.ansatz import build
        >>> short, angles = compress(build("zx-xx", 4, reps=3), np.linspace(-0.2, 0.3, 25))
        >>> short.n_parameters, short.is_zx_with_bias
        (5, True)
    """
    found = phases(ansatz, theta)
    return layers(ansatz.n_data, [("Z", "X")]), np.append(found.phases / 2, found.bias)
