"""Calibrate measured decision values on rows whose exact values are known: one slope, its interval, and its fit.

Gate errors, decoherence and readout contract f by about one factor for all inputs of a compiled circuit. The factor is
not in the calibration data of the machine, but the exact f is known here, so a few training rows measured in the same
batch give it. Division by it leaves every sign, hence every prediction, as it was; what it mends is the value.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.qnn import encoding
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs, Kind
from qcluster.qnn.measured import Readouts, Slope
from qcluster.qnn.simulation.exact import exact_form

ROWS = 6
"""Training rows kept for the slope. At 2048 shots six of them fix it to about one percent where f is contracted to
half."""


def calibration_rows(inputs: Inputs, exact: Floats, rng: np.random.Generator) -> Inputs:
    """Choose the `ROWS` inputs that the slope will be measured on, or all: large |f|, both signs, otherwise at random.

    The error of the slope falls with the sum of f**2, so the half of larger |f| is drawn from. Among those the draw is
    random: the largest alone would be near copies of one another.

    Args:
        inputs: (unique,) distinct training inputs.
        exact: (unique,) their exact decision values.
        rng: Draws.
    """
    chosen: list[int] = []
    for negative in (False, True):
        side = np.flatnonzero((exact < 0) == negative)
        side = side[np.argsort(-abs(exact[side]), kind="stable")][: max(ROWS // 2, (len(side) + 1) // 2)]
        chosen += list(rng.permutation(side)[: ROWS // 2])
    rest = np.setdiff1d(np.argsort(-abs(exact), kind="stable")[: 2 * ROWS], chosen)
    chosen += list(rng.permutation(rest)[: ROWS - len(chosen)])
    return inputs.take(np.array(sorted(chosen), dtype=np.int64))


def drawn_rows(ansatz: Ansatz, theta: Floats, kind: Kind, rng: np.random.Generator) -> Inputs:
    """Choose inputs for the slope where there are no training rows of a kind: the best of some random bit strings."""
    bits = np.unique(rng.integers(0, 2, (16 * ROWS, ansatz.n_data)), axis=0)
    strings = encoding.basis(bits)
    if kind != "basis":
        strings = encoding.angles(bits) if kind == "product" else encoding.states(strings.vectors())
    exact = exact_form(ansatz, kind).forward(theta, strings, gradient=False)[0]
    return calibration_rows(strings, exact, rng)


def strength(exact: Floats) -> float:
    """Add up the squares that a slope rests on.

    Raises:
        ValueError: There are no rows, or all exact values are zero.
    """
    power = float(exact @ exact)
    if not power:
        raise ValueError(
            "the slope needs rows whose exact decision value is not zero; got none: take mitigation='readout'"
        )
    return power


def fit_slope(exact: Floats, measured: Floats, errors: Floats, shots: int) -> Slope:
    """Fit measured = slope * exact through the origin by least squares.

    The variance is that of the shots, widened by chi2 / dof where the rows scatter more than their shots explain (the
    Birge ratio); the interval takes Student's quantiles for the dof that the widening rests on.

    Args:
        exact: (rows,) exact decision values.
        measured: (rows,) measured ones.
        errors: (rows,) standard errors from the shots.
        shots: Shots per row: no mean of +-1 is known better than to one shot, 2 / shots.

    Raises:
        ValueError: There are no rows, or all exact values are zero.

    Example:
        >>> f = np.array([0.9, -0.8, 1.0, -0.9])
        >>> slope = fit_slope(f, 0.5 * f, np.full(4, 0.02), 2048)
        >>> round(slope.value, 6), slope.fits
        (0.5, True)
    """
    from scipy.stats import chi2 as chi2_law
    from scipy.stats import t as student

    power = strength(exact)
    value = float(exact @ measured) / power
    # Near f = +-1 a row may read +-1 throughout, with no spread at all: the line knows better what its shots do.
    expected = np.sqrt(np.maximum(0, 1 - (value * exact) ** 2) / shots)
    sigma = np.maximum(np.maximum(errors, expected), 2 / shots)
    residual = measured - value * exact
    chi2, dof = float(((residual / sigma) ** 2).sum()), len(exact) - 1
    spread = max(1.0, float(np.sqrt(chi2 / dof))) if dof else 1.0
    error = spread * float(np.sqrt(((exact * sigma) ** 2).sum())) / power
    reach = float(student.ppf(0.975, dof if dof else np.inf)) * error
    p_value = float(chi2_law.sf(chi2, dof)) if dof else 1.0
    rms = float(np.sqrt(np.mean(residual**2)))
    return Slope(value, error, (value - reach, value + reach), rms, p_value, len(exact))


def rescale(found: Readouts, exact: Floats, shots: int) -> Readouts:
    """Divide measured values by the slope of the first rows, whose exact values are known, and drop those rows.

    Standard errors take up the slope's. If the interval of the slope reaches zero the machine's values carry nothing
    to divide by: they come back as measured, with a RuntimeWarning.

    Args:
        found: (k + batch,) as measured, the k calibration rows first.
        exact: (k,) exact values of those.
        shots: Shots per circuit.
    """
    k = len(exact)
    slope = fit_slope(exact, found.values[:k], found.standard_errors[:k], shots)
    values, errors = found.values[k:], found.standard_errors[k:]
    rest = replace(found, values=values, standard_errors=errors, slope=slope)
    if slope.interval[0] <= 0:
        low, high = slope.interval
        warnings.warn(
            f"the slope of measured over exact values must be clear of zero; got {slope.value:.3f}, 95 % interval "
            f"[{low:.3f}, {high:.3f}] from {k} circuits: values are not rescaled; use more shots or a shorter circuit",
            RuntimeWarning,
            stacklevel=4,
        )
        return rest
    scaled = values / slope.value
    total = np.hypot(errors, scaled * slope.standard_error) / slope.value
    return replace(rest, values=scaled, standard_errors=total, raw=values)
