"""Bind a form, inputs and labels to the loss that a solver lowers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.simulation.exact import Form
from qcluster.qnn.training.losses import Loss


class Objective(Protocol):
    """Say what a solver lowers: a mean loss of all samples, its gradient, and that of some samples."""

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """(samples,) the input of each sample."""

    def value(self, theta: Floats) -> float:
        """Return the mean loss."""

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """Return the mean loss and its gradient."""

    def sampled_gradient(self, theta: Floats, samples: npt.NDArray[np.int64]) -> tuple[float, Floats]:
        """Return the mean loss over some samples and its gradient."""


@dataclass(frozen=True)
class Problem:
    """Hold one training problem of two classes. Equal inputs are evaluated once, whatever their number and labels."""

    form: Form
    """Where f and its gradient come from: an exact form or a device."""
    inputs: Inputs
    """(unique,) distinct inputs."""
    rows: npt.NDArray[np.int64]
    """(samples,) the input of each sample."""
    signs: Floats
    """(samples,) +1 or -1."""
    weights: Floats
    """(samples,) positive."""
    loss: Loss
    """Loss of the margin."""
    totals: Floats = field(init=False)
    """(2, unique): the share of the weight on each input with label +1 and -1."""

    def __post_init__(self) -> None:
        share = self.weights / self.weights.sum()
        totals = [np.bincount(self.rows, share * (self.signs == sign), len(self.inputs)) for sign in (1, -1)]
        object.__setattr__(self, "totals", np.array(totals))

    def only(self, chosen: npt.NDArray[np.bool_]) -> Problem:
        """Keep some samples, and the inputs that they need."""
        kept, rows = np.unique(self.rows[chosen], return_inverse=True)
        inputs = self.inputs.take(kept)
        return Problem(self.form, inputs, rows.reshape(-1), self.signs[chosen], self.weights[chosen], self.loss)

    def value(self, theta: Floats) -> float:
        """Return the mean loss."""
        f, _ = self.form.forward(theta, self.inputs, gradient=False)
        return self._full(f)[0]

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """Return the mean loss and its gradient."""
        f, pullback = self.form.forward(theta, self.inputs)
        loss, slope = self._full(f)
        return loss, pullback(slope)

    def sampled_gradient(self, theta: Floats, samples: npt.NDArray[np.int64]) -> tuple[float, Floats]:
        """Return the mean loss over some samples and its gradient."""
        f, pullback = self.form.forward(theta, self.inputs.take(self.rows[samples]))
        losses, slopes = self.loss(self.signs[samples] * f)
        share = self.weights[samples] / (self.weights.mean() * len(samples))
        return float(share @ losses), pullback(share * self.signs[samples] * slopes)

    def _full(self, f: Floats) -> tuple[float, Floats]:
        up, up_slope = self.loss(f)
        down, down_slope = self.loss(-f)
        plus, minus = self.totals
        return float(plus @ up + minus @ down), plus * up_slope - minus * down_slope
