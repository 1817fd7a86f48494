"""Compress a trained sine perceptron to one ZX layer and a bias, which make the same predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz, layers
from qcluster.qnn.simulation.pathsum import PathSum


@dataclass(frozen=True, eq=False)
class Phases:
    """The sine perceptron f(z) = -amplitude sin(sum_i phases_i s_i + 2 bias), with s_i = +1 for bit 0 and -1 for bit 1.

    It describes the decision value of such a circuit for every bit string, whatever the number of gates.
    """

    phases: Floats
    """(n,) radians, in (-pi, pi]."""
    bias: float
    """Radians."""
    amplitude: float
    """R <= 1, which XX and YX gates reduce; 1 if all gates are ZX."""


def phases(ansatz: Ansatz, theta: Floats) -> Phases:
    """Return the phases, bias and amplitude of an ansatz with given angles.

    V_i, defined in `qcluster.qnn.simulation.exact`, lies in SU(2), so its diagonal is (v_i, conj v_i). Hence
    phases_i = arg v_i and amplitude = prod |v_i|.

    Raises:
        ValueError: The ansatz is not a sine perceptron (`Ansatz.is_sine`).

    Example:
        >>> from qcluster.qnn.ansatz import build
        >>> sine = phases(build("zx", 2), np.array([0.1, 0.2, 0.3]))
        >>> sine.phases, sine.bias, round(sine.amplitude, 12)
        (array([0.2, 0.4]), 0.3, 1.0)
    """
    if not ansatz.is_sine:
        raise ValueError(
            "only a sine perceptron can be compressed: gates with one Pauli letter on a data qubit and X on the "
            "readout, which starts in 1 and is measured in Y"
        )
    form = PathSum(ansatz)
    diagonal = form.operators(theta)[0, :, 0, 0]
    bias = float(form.bias_angles(theta)[0]) / 2
    return Phases(np.angle(diagonal), bias, float(np.abs(diagonal).prod()))


def compress(ansatz: Ansatz, theta: Floats) -> tuple[Ansatz, Floats]:
    """Return one ZX layer with a bias, and its angles, that makes the same prediction for every bit string.

    Its decision value is f / R, which has the same sign and a larger margin. It needs n two-qubit rotations instead of
    n per layer.

    Example:
        >>> from qcluster.qnn.ansatz import build
        >>> short, angles = compress(build("zx-xx", 4, reps=3), np.linspace(-0.2, 0.3, 25))
        >>> short.n_parameters, short.is_zx_with_bias
        (5, True)
    """
    sine = phases(ansatz, theta)
    return layers(ansatz.n_data, [("Z", "X")]), np.append(sine.phases / 2, sine.bias)
