"""Losses: of the margin m = y f, y = +1 or -1, f the readout's mean; and of the decision values of all readouts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qcluster.core.arrays import Floats

Margin = Callable[[Floats], tuple[Floats, Floats]]
"""Margins -> losses and their slopes, all of one shape."""
Loss = Callable[[Floats, Floats], tuple[float, Floats]]
"""Decision values (readouts, batch), and shares of weight (classes, batch) -> mean loss, and slopes (readouts, batch).
Two classes share the readout that is positive for the second."""

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


def softmax(sharpness: float) -> Margin:
    """Make log(1 + exp(-2 s m)), the cross-entropy of two classes with logits -s f and s f."""

    def loss(margin: Floats) -> tuple[Floats, Floats]:
        from scipy.special import expit

        return np.logaddexp(0, -2 * sharpness * margin), -2 * sharpness * expit(-2 * sharpness * margin)

    return loss


def one_vs_rest(margin: Margin) -> Loss:
    """Sum a loss of the margin over the readouts, each of which tells its class from the others."""

    def loss(f: Floats, totals: Floats) -> tuple[float, Floats]:
        own, rest = (totals, totals.sum(axis=0) - totals) if len(totals) > 2 else (totals[1:], totals[:1])
        (up, up_slope), (down, down_slope) = margin(f), margin(-f)
        return float(np.vdot(own, up) + np.vdot(rest, down)), own * up_slope - rest * down_slope

    return loss


def cross_entropy(sharpness: float) -> Loss:
    """Make the cross-entropy of three classes or more, whose logits are the decision values times the sharpness."""

    def loss(f: Floats, totals: Floats) -> tuple[float, Floats]:
        from scipy.special import log_softmax

        logs = log_softmax(sharpness * f, axis=0)
        return -float(np.vdot(totals, logs)), sharpness * (totals.sum(axis=0) * np.exp(logs) - totals)

    return loss


LOSSES: dict[str, Margin] = {"squared": squared, "linear": linear, "hinge": hinge, "log": log}
"""The losses of the margin alone, by name."""
