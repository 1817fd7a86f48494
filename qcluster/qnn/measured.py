"""Decision values measured on a machine or a stand-in for one, and gradients computed from them alone."""

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
    """The slope of measured against exact decision values, fitted on calibration rows.

    Example:
        >>> Slope(0.5, 0.01, (0.474, 0.526), 0.012, 0.4, 6).fits
        True
    """

    value: float
    """Slope of the line through the origin."""
    standard_error: float
    """Standard error from shot noise, increased if the rows scatter more than shot noise explains."""
    interval: tuple[float, float]
    """95 % interval from Student's t with n_circuits - 1 degrees of freedom."""
    residual: float
    """Root mean square of measured - value * exact."""
    p_value: float
    """Probability that shot noise alone scatters the rows this far from the line. A small value means that the
    contraction differs between rows."""
    n_circuits: int
    """Number of calibration circuits, before twirling."""

    @property
    def fits(self) -> bool:
        """Whether one slope describes the rows: its interval is positive, and the scatter is compatible with shot noise
        at the 1 % level."""
        return self.interval[0] > 0 and self.p_value >= 0.01


@dataclass(frozen=True, eq=False)
class Readouts(Valued):
    """Measured decision values of a batch of circuits."""

    values: Floats
    """(batch,) estimates of f; after mitigation they may lie slightly outside [-1, 1]."""
    standard_errors: Floats
    """(batch,) standard errors from the shots and, for rescaled values, from the slope, or from the shots of a
    reference."""
    n_circuits: int
    """Number of circuits, including calibration and reference circuits, before twirling."""
    n_shots: int
    """Total number of shots of these circuits."""
    slope: Slope | None = None
    """The slope by which the values were divided; None without rescaling."""
    raw: Floats | None = None
    """(batch,) values before rescaling, or before mitigation by a reference circuit; None without either."""


@runtime_checkable
class ReadoutSource(Protocol):
    """Interface of a machine to the classifier: it measures f for a batch of circuits.

    If the source has an attribute `mitigation` equal to "rescale", the classifier calibrates the measured values; see
    `qcluster.qnn.rescale`.
    """

    def measure(
        self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, *, shots: int, rng: np.random.Generator
    ) -> Readouts:
        """Measure f of each circuit with `shots` shots; circuit k has inputs[k] and the angles thetas[k].

        Args:
            ansatz: The gates of all circuits.
            thetas: (batch, n_parameters) angles.
            inputs: (batch,) inputs.
            shots: Shots per circuit.
            rng: Random generator, for simulated shots or for the seed of the run.
        """


@dataclass(frozen=True)
class ContractedReadout:
    """A stand-in for a machine: the exact f times a contraction factor, sampled with a finite number of shots.

    On recorded IBM machines measured values followed contraction x ideal to a few hundredths (docs/qnn.md), so that
    shots and training can be planned in milliseconds. All inputs have one contraction here, while on the machines those
    of long circuits differ; there are no coherent errors and no drift.

    Example:
        >>> from qcluster.qnn import ansatz, encoding
        >>> zx, theta, rng = ansatz.build("zx", 2), np.array([[np.pi / 4, 0.0, 0.0]]), np.random.default_rng(1)
        >>> readouts = ContractedReadout(0.8).measure(zx, theta, encoding.basis([[1, 0]]), shots=10**6, rng=rng)
        >>> readouts.values.round(2)
        array([0.8])
    """

    contraction: float
    """Factor in (0, 1] by which f is multiplied."""
    mitigation: str = "none"
    """none; or rescale, and `QNNClassifier.measure` also measures calibration rows and divides by their slope."""

    def __post_init__(self) -> None:
        check_choice("mitigation", self.mitigation, ("rescale", "none"))
        check_real("contraction", self.contraction, 0, 1, open_low=True)

    def measure(
        self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, *, shots: int, rng: np.random.Generator
    ) -> Readouts:
        """Draw binomial counts around the contracted exact values; see `ReadoutSource`."""
        form = exact_form(ansatz, inputs.kind)
        ideal = np.zeros(len(inputs))
        # All callers place rows of equal theta next to one another; sorting them took most of the time of a step.
        changes = np.flatnonzero((thetas[1:] != thetas[:-1]).any(axis=1)) + 1
        for rows in np.split(np.arange(len(thetas)), changes) if len(thetas) else ():
            ideal[rows] = form.forward(thetas[rows[0]], inputs.take(rows), gradient=False)[0]
        zeros = rng.binomial(shots, np.clip((1 + self.contraction * ideal) / 2, 0, 1))
        values = 2 * zeros / shots - 1
        return Readouts(values, np.sqrt(np.maximum(0, 1 - values**2) / shots), len(inputs), shots * len(inputs))


def measure_checked(
    source: ReadoutSource, ansatz: Ansatz, thetas: Floats, inputs: Inputs, *, shots: int, rng: np.random.Generator
) -> Readouts:
    """Measure f of each circuit, and check what the source returned, which may be one of the user's.

    Raises:
        TypeError: It is not a Readouts.
        ValueError: It does not have one value and one standard error for each circuit.
    """
    readouts = source.measure(ansatz, thetas, inputs, shots=shots, rng=rng)
    name = f"{type(source).__name__}.measure"
    if not isinstance(readouts, Readouts):
        raise TypeError(f"{name} must return Readouts; got {type(readouts).__name__}")
    values, errors = np.shape(readouts.values), np.shape(readouts.standard_errors)
    if not values == errors == (len(inputs),):
        raise ValueError(f"{name} must return ({len(inputs)},) values and standard errors; got {values} and {errors}")
    return readouts


class MeasuredForm:
    """Compute f and its gradient from measurements only, with one batch per call, and count circuits and shots.

    The gradient takes two circuits per parameter and input, at theta_k +- pi/4. For one ZX layer with a bias b
    (`shared`) two circuits per input are enough, because every derivative is plus or minus the one with respect to b:
    df/dtheta_i = s_i (f(b + pi/4) - f(b - pi/4)).
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
        """Measure f and, if `gradient`, its derivatives; see `qcluster.qnn.simulation.exact.Form`."""
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
        readouts = measure_checked(
            self._source, self._ansatz, thetas, inputs.take(rows), shots=self._shots, rng=self._rng
        )
        self.n_circuits += readouts.n_circuits
        self.n_shots += readouts.n_shots
        table = readouts.values.reshape(len(shifts), len(inputs))
        self.last_theta, self.last_inputs, self.last_values = theta, inputs, table[0]
        derivatives = table[1::2] - table[2::2]

        def pullback(cotangent: Floats) -> Floats:
            if not gradient:
                raise ValueError("forward was called without gradient")
            if not self._shared:
                return np.asarray(derivatives @ cotangent)
            signs = 1.0 - 2.0 * np.asarray(inputs.array, dtype=np.float64)
            columns = [signs[:, term.qubits[0]] if term.qubits else np.ones(len(signs)) for term in self._ansatz.terms]
            return np.asarray(np.array(columns) @ (cotangent * derivatives[0]))

        return table[0], pullback
