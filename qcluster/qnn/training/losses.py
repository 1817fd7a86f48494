"""Losses of the margin m = y f, with y = +1 or -1 and f the decision value, and of the values of all readouts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qcluster.core.arrays import Floats

Margin = Callable[[Floats], tuple[Floats, Floats]]
"""Margins -> losses and their derivatives, all of the same shape."""
Loss = Callable[[Floats, Floats], tuple[float, Floats]]
"""Decision values (readouts, batch) and normalised weights (classes, batch) -> mean loss and its derivatives (readouts,
batch). Two classes share one readout, positive for the second."""

_FLOOR = 1e-9


def squared(margin: Floats) -> tuple[Floats, Floats]:
    """Return (1 - m)**2 and its derivative."""
    return (1 - margin) ** 2, -2 * (1 - margin)


def linear(margin: Floats) -> tuple[Floats, Floats]:
    """Return 1 - m, the loss of arXiv:1802.06002, equation (4), and its derivative."""
    return 1 - margin, -np.ones_like(margin)


def hinge(margin: Floats) -> tuple[Floats, Floats]:
    """Return max(0, 1 - m) and its derivative; for |f| <= 1 this is the linear loss."""
    return np.maximum(0, 1 - margin), np.where(margin < 1, -1.0, 0.0)


def log(margin: Floats) -> tuple[Floats, Floats]:
    """Return -log((1 + m) / 2), the negative log-likelihood under Born's rule (nats), and its derivative.

    Margins below -1, which shot noise can produce, count as -1.
    """
    probability = np.maximum((1 + margin) / 2, _FLOOR)
    return -np.log(probability), -0.5 / probability


def softmax(sharpness: float) -> Margin:
    """Return the loss log(1 + exp(-2 s m)) for sharpness s: the cross-entropy of two classes, logits -s f and s f."""

    def loss(margin: Floats) -> tuple[Floats, Floats]:
        from scipy.special import expit

        return np.logaddexp(0, -2 * sharpness * margin), -2 * sharpness * expit(-2 * sharpness * margin)

    return loss


def one_vs_rest(margin: Margin) -> Loss:
    """Return the sum of a margin loss over the readouts, each of which separates its class from all others."""

    def loss(f: Floats, totals: Floats) -> tuple[float, Floats]:
        positive, negative = (totals, totals.sum(axis=0) - totals) if len(totals) > 2 else (totals[1:], totals[:1])
        (up, up_slope), (down, down_slope) = margin(f), margin(-f)
        return float(np.vdot(positive, up) + np.vdot(negative, down)), positive * up_slope - negative * down_slope

    return loss


def cross_entropy(sharpness: float) -> Loss:
    """Return the cross-entropy of three or more classes, with decision values times the sharpness as logits."""

    def loss(f: Floats, totals: Floats) -> tuple[float, Floats]:
        from scipy.special import log_softmax

        logs = log_softmax(sharpness * f, axis=0)
        return -float(np.vdot(totals, logs)), sharpness * (totals.sum(axis=0) * np.exp(logs) - totals)

    return loss


LOSSES: dict[str, Margin] = {"squared": squared, "linear": linear, "hinge": hinge, "log": log}
"""Losses of the margin, by name."""
