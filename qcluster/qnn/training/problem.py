"""The training problem: the loss of labelled inputs as a function of the angles."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.simulation.exact import Form
from qcluster.qnn.training.losses import Loss


@dataclass(frozen=True, eq=False)
class Problem:
    """A training problem, in which each distinct input is evaluated once, whatever its number of samples and labels.

    Two classes share one readout; more than two have one each. theta is the concatenation of the angles of all
    readouts.
    """

    form: Form
    """Computes f and its gradient: an exact form, or measurement on a device."""
    inputs: Inputs
    """(unique,) distinct inputs."""
    rows: npt.NDArray[np.int64]
    """(samples,) index of the input of each sample."""
    targets: npt.NDArray[np.int64]
    """(samples,) index of the class of each sample, 0..k-1."""
    weights: Floats
    """(samples,) positive weights."""
    n_classes: int
    """Number of classes k, including any that the samples lack."""
    loss: Loss
    """Mean loss as a function of the decision values of all readouts."""
    unit: float | None = None
    """Weight of a sample that counts once; None takes the mean of the weights."""
    totals: Floats = field(init=False)
    """(k, unique) total weight of each input with each label, divided by the number of samples times the unit."""
    relative: Floats = field(init=False)
    """(samples,) the weights divided by the unit."""

    def __post_init__(self) -> None:
        totals = np.zeros((self.n_classes, len(self.inputs)))
        whole = self.weights.sum() if self.unit is None else self.unit * len(self.weights)
        np.add.at(totals, (self.targets, self.rows), self.weights / whole)
        object.__setattr__(self, "totals", totals)
        object.__setattr__(self, "relative", self.weights / (self.unit or self.weights.mean()))

    def only(self, chosen: npt.NDArray[np.bool_]) -> Problem:
        """Return the problem restricted to the selected samples and their inputs."""
        kept, rows = np.unique(self.rows[chosen], return_inverse=True)
        inputs, targets, weights = self.inputs.take(kept), self.targets[chosen], self.weights[chosen]
        return replace(self, inputs=inputs, rows=rows.reshape(-1), targets=targets, weights=weights)

    def value(self, theta: Floats) -> float:
        """Return the mean loss."""
        values = [self.form.forward(angles, self.inputs, gradient=False)[0] for angles in self._readouts(theta)]
        return self.loss(np.array(values), self.totals)[0]

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """Return the mean loss and its gradient."""
        return self._gradient(theta, self.inputs, self.totals)

    def sampled_gradient(self, theta: Floats, samples: npt.NDArray[np.int64]) -> tuple[float, Floats]:
        """Return the mean loss over the samples with the given indices, and its gradient."""
        totals = np.zeros((self.n_classes, len(samples)))
        totals[self.targets[samples], np.arange(len(samples))] = self.relative[samples] / len(samples)
        return self._gradient(theta, self.inputs.take(self.rows[samples]), totals)

    def _gradient(self, theta: Floats, inputs: Inputs, totals: Floats) -> tuple[float, Floats]:
        evaluated = [self.form.forward(angles, inputs) for angles in self._readouts(theta)]
        loss, cotangents = self.loss(np.array([f for f, _ in evaluated]), totals)
        return loss, np.concatenate([pullback(row) for (_, pullback), row in zip(evaluated, cotangents, strict=True)])

    def _readouts(self, theta: Floats) -> Floats:
        """Return the angles of each readout, (readouts, n_parameters)."""
        return theta.reshape(self.n_classes if self.n_classes > 2 else 1, -1)
