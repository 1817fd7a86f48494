"""Losses of the margin m = y f, y = +1 or -1, f the readout's mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qcluster.core.arrays import Floats

Loss = Callable[[Floats], tuple[Floats, Floats]]
"""Margins (k,) -> losses (k,) and their slopes (k,)."""

_FLOOR = 1e-9


def squared(margin: Floats) -> tuple[Floats, Floats]:
    """Compute (1 - m)**2."""
    return (1 - margin) ** 2, -2 * (1 - margin)


def linear(margin: Floats) -> tuple[Floats, Floats]:
    """Compute 1 - m, the loss of arXiv:1802.06002, equation (4)."""
    return 1 - margin, -np.ones_like(margin)


def hinge(margin: Floats) -> tuple[Floats, Floats]:
    """Compute max(0, 1 - m): the linear loss as long as |f| <= 1."""
    return np.maximum(0, 1 - margin), np.where(margin < 1, -1.0, 0.0)


def log(margin: Floats) -> tuple[Floats, Floats]:
    """Compute -log((1 + m) / 2), the log-likelihood of Born's rule; margins beyond -1 (shot noise) count as -1."""
    chance = np.maximum((1 + margin) / 2, _FLOOR)
    return -np.log(chance), -0.5 / chance


def softmax(sharpness: float) -> Loss:
    """Make log(1 + exp(-2 s m)), the cross-entropy of two classes with logits -s f and s f."""

    def loss(margin: Floats) -> tuple[Floats, Floats]:
        from scipy.special import expit

        return np.logaddexp(0, -2 * sharpness * margin), -2 * sharpness * expit(-2 * sharpness * margin)

    return loss


LOSSES: dict[str, Loss] = {"squared": squared, "linear": linear, "hinge": hinge, "log": log}
"""The losses of the margin alone, by name."""
