"""Measured decision values: where they come from, and gradients that need only such values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_choice, check_real
from qcluster.core.frozen import Valued
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.simulation.exact import exact_form

_SHIFT = np.pi / 4


@dataclass(frozen=True)
class Slope:
    """Hold the slope of measured over exact decision values, fitted on rows whose exact values are known.

    Example:
        >>> Slope(0.5, 0.01, (0.474, 0.526), 0.012, 0.4, 6).fits
        True
    """

    value: float
    """Measured / exact, through the origin."""
    standard_error: float
    """From the shots, widened where the rows scatter more than they explain."""
    interval: tuple[float, float]
    """95 % interval, Student's for n_circuits - 1 degrees of freedom."""
    residual: float
    """Root mean square of measured - value * exact."""
    p_value: float
    """Chance that shots alone scatter the rows as far from the line: small where one slope is not the whole story."""
    n_circuits: int
    """Calibration circuits that it cost, before twirling."""

    @property
    def fits(self) -> bool:
        """Whether one slope describes the rows: clear of zero, and no scatter beyond the shots at the 1 % level."""
        return self.interval[0] > 0 and self.p_value >= 0.01


@dataclass(frozen=True, eq=False)
class Readouts(Valued):
    """Hold measured decision values of a batch of circuits."""

    values: Floats
    """(batch,) estimates of f; mitigation may carry them a little beyond [-1, 1]."""
    standard_errors: Floats
    """(batch,) from the number of shots, and from the slope where values are rescaled."""
    n_circuits: int
    """Circuits asked for, before twirling, with those of the calibration and references."""
    n_shots: int
    """Shots over all of them."""
    slope: Slope | None = None
    """What rescaling divided by; None without it."""
    raw: Floats | None = None
    """(batch,) values before rescaling, or before mitigation by a reference circuit; None without either."""


@runtime_checkable
class ReadoutSource(Protocol):
    """Say what a machine must do for the classifier: measure f of many circuits in one batch.

    A source with an attribute `mitigation` equal to "rescale" asks the classifier to calibrate what it measures; see
    `qcluster.qnn.rescale`.
    """

    def measure(
        self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, *, shots: int, rng: np.random.Generator
    ) -> Readouts:
        """Measure f of circuit k, inputs[k] under thetas[k], (batch, n_parameters), with `shots` shots each."""


@dataclass(frozen=True)
class ContractedReadout:
    """Stand in for a machine: f is contracted by a factor and sampled with finite shots.

    On the noise models of IBM machines measured values were contraction x ideal + shot noise, within shot noise
    (docs/qnn.md); so this plans shots and training in milliseconds. It has no coherent errors and no drift.

    Example:
        >>> from qcluster.qnn import ansatz, encoding
        >>> zx, theta, rng = ansatz.build("zx", 2), np.array([[np.pi / 4, 0.0, 0.0]]), np.random.default_rng(1)
        >>> found = ContractedReadout(0.8).measure(zx, theta, encoding.basis([[1, 0]]), shots=10**6, rng=rng)
        >>> found.values.round(2)
        array([0.8])
    """

    contraction: float
    """Factor in (0, 1]."""
    mitigation: str = "none"
    """none, or rescale: `QNNClassifier.measure` then measures calibration rows and divides by their slope."""

    def __post_init__(self) -> None:
        check_choice("mitigation", self.mitigation, ("rescale", "none"))
        check_real("contraction", self.contraction, 0, 1, open_low=True)

    def measure(
        self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, *, shots: int, rng: np.random.Generator
    ) -> Readouts:
        """Draw binomial counts around the contracted exact values; see `ReadoutSource`."""
        form = exact_form(ansatz, inputs.kind)
        ideal = np.zeros(len(inputs))
        # Rows of one theta are neighbours in all that asks; to sort them took most of the time of a step.
        changes = np.flatnonzero((thetas[1:] != thetas[:-1]).any(axis=1)) + 1
        for rows in np.split(np.arange(len(thetas)), changes) if len(thetas) else ():
            ideal[rows] = form.forward(thetas[rows[0]], inputs.take(rows), gradient=False)[0]
        zeros = rng.binomial(shots, np.clip((1 + self.contraction * ideal) / 2, 0, 1))
        values = 2 * zeros / shots - 1
        return Readouts(values, np.sqrt(np.maximum(0, 1 - values**2) / shots), len(inputs), shots * len(inputs))


class MeasuredForm:
    """Give f and gradients from measurements only, each step of a readout in one batch; counts what it spends.

    With one ZX layer and a bias b, every derivative is +- the one by the bias, so two shifted circuits per input are
    enough: df/dtheta_i = s_i (f(b + pi/4) - f(b - pi/4)). Otherwise two per parameter: f(theta_k +- pi/4).
    """

    def __init__(
        self, ansatz: Ansatz, source: ReadoutSource, shots: int, rng: np.random.Generator, shared: bool
    ) -> None:
        if shared and not ansatz.is_zx_with_bias:
            raise ValueError("the shared shift needs one ZX gate per data qubit and a bias gate")
        self._ansatz, self._source, self._shots, self._rng, self._shared = ansatz, source, shots, rng, shared
        self.n_circuits = 0
        self.n_shots = 0
        self.last_theta = np.zeros(ansatz.n_parameters)
        self.last_inputs: Inputs | None = None
        self.last_values: Floats | None = None

    def forward(
        self, theta: Floats, inputs: Inputs, gradient: bool = True
    ) -> tuple[Floats, Callable[[Floats], Floats]]:
        """Measure f and, if asked, its gradient; see `qcluster.qnn.simulation.exact.Form`."""
        if self._shared and inputs.kind != "basis":
            raise ValueError(f"the shared shift needs bit strings; got {inputs.kind} inputs")
        if gradient and not self._shared and "1" in "".join(self._ansatz.letters):
            raise ValueError("parameter shift needs Pauli gates; train this ansatz exactly, or with spsa or cobyla")
        letters = self._ansatz.letters
        shifted = [] if not gradient else [letters.index("")] if self._shared else list(range(len(theta)))
        shifts = [np.zeros(len(theta))]
        shifts += [sign * _SHIFT * np.eye(len(theta))[k] for k in shifted for sign in (1, -1)]
        thetas = np.repeat(theta + np.array(shifts), len(inputs), axis=0)
        rows = np.tile(np.arange(len(inputs)), len(shifts))
        found = self._source.measure(self._ansatz, thetas, inputs.take(rows), shots=self._shots, rng=self._rng)
        self.n_circuits += found.n_circuits
        self.n_shots += found.n_shots
        table = found.values.reshape(len(shifts), len(inputs))
        self.last_theta, self.last_inputs, self.last_values = theta, inputs, table[0]
        slopes = table[1::2] - table[2::2]

        def pullback(cotangent: Floats) -> Floats:
            if not gradient:
                raise ValueError("forward was called without gradient")
            if not self._shared:
                return np.asarray(slopes @ cotangent)
            signs = 1.0 - 2.0 * np.asarray(inputs.array, dtype=np.float64)
            columns = [signs[:, term.qubits[0]] if term.qubits else np.ones(len(signs)) for term in self._ansatz.terms]
            return np.asarray(np.array(columns) @ (cotangent * slopes[0]))

        return table[0], pullback
