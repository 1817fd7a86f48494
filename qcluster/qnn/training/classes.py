"""Train one readout for each of more than two classes, all of them together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.simulation.exact import Form
from qcluster.qnn.training.losses import LOSSES


@dataclass(frozen=True)
class ClassesProblem:
    """Hold one training problem of k classes; parameters are those of all readouts in a row, (k * n_parameters,)."""

    form: Form
    """Where f and its gradient come from: an exact form or a device."""
    inputs: Inputs
    """(unique,) distinct inputs."""
    rows: npt.NDArray[np.int64]
    """(samples,) the input of each sample."""
    targets: npt.NDArray[np.int64]
    """(samples,) the class of each sample, 0..k-1."""
    weights: Floats
    """(samples,) positive."""
    n_classes: int
    """k, also where a part of the samples lacks some class."""
    loss: str
    """softmax: the cross-entropy of the classes; or a loss of `LOSSES`, summed over one-vs-rest margins."""
    sharpness: float
    """Factor of the decision values in the softmax, which end at 1."""
    totals: Floats = field(init=False)
    """(k, unique): the share of the weight on each input with each label."""

    def __post_init__(self) -> None:
        totals = np.zeros((self.n_classes, len(self.inputs)))
        np.add.at(totals, (self.targets, self.rows), self.weights / self.weights.sum())
        object.__setattr__(self, "totals", totals)

    def only(self, chosen: npt.NDArray[np.bool_]) -> ClassesProblem:
        """Keep some samples, and the inputs that they need."""
        kept, rows = np.unique(self.rows[chosen], return_inverse=True)
        return ClassesProblem(
            self.form, self.inputs.take(kept), rows.reshape(-1), self.targets[chosen], self.weights[chosen],
            self.n_classes, self.loss, self.sharpness,
        )  # fmt: skip

    def value(self, theta: Floats) -> float:
        """Return the mean loss."""
        found = [self.form.forward(own, self.inputs, gradient=False)[0] for own in self._split(theta)]
        return self._loss(np.stack(found), self.totals)[0]

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """Return the mean loss and its gradient."""
        return self._gradient(theta, self.inputs, self.totals)

    def sampled_gradient(self, theta: Floats, samples: npt.NDArray[np.int64]) -> tuple[float, Floats]:
        """Return the mean loss over some samples and its gradient."""
        totals = np.zeros((self.n_classes, len(samples)))
        totals[self.targets[samples], np.arange(len(samples))] = self.weights[samples]
        return self._gradient(
            theta, self.inputs.take(self.rows[samples]), totals / (self.weights.mean() * len(samples))
        )

    def _gradient(self, theta: Floats, inputs: Inputs, totals: Floats) -> tuple[float, Floats]:
        found = [self.form.forward(own, inputs) for own in self._split(theta)]
        loss, slopes = self._loss(np.stack([f for f, _ in found]), totals)
        return loss, np.concatenate([pullback(row) for (_, pullback), row in zip(found, slopes, strict=True)])

    def _split(self, theta: Floats) -> Floats:
        return theta.reshape(self.n_classes, -1)

    def _loss(self, f: Floats, totals: Floats) -> tuple[float, Floats]:
        """Give the loss and its slopes, (k, batch), for values f, (k, batch)."""
        weight = totals.sum(axis=0)
        if self.loss == "softmax":
            from scipy.special import log_softmax

            logs = log_softmax(self.sharpness * f, axis=0)
            return -float((totals * logs).sum()), self.sharpness * (weight * np.exp(logs) - totals)
        (up, up_slope), (down, down_slope) = LOSSES[self.loss](f), LOSSES[self.loss](-f)
        return (
            float((totals * up + (weight - totals) * down).sum()),
            totals * up_slope - (weight - totals) * down_slope,
        )
