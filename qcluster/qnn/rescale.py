"""Calibrate measured decision values by the slope of measured against exact values on a few training rows.

Gate errors, decoherence and readout errors contract f by about the same factor for all inputs of a compiled circuit.
The machine's calibration data do not contain this factor. Here the exact f is known, so a few training rows in the same
batch determine it. Division by the factor corrects the values and leaves every sign, hence every prediction, unchanged.
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
"""Number of calibration rows. With 2048 shots each, six rows determine a slope with a standard error of about .01."""


def calibration_rows(inputs: Inputs, exact: Floats, rng: np.random.Generator) -> Inputs:
    """Choose up to `ROWS` inputs with large |f| and both signs, on which the slope will be measured.

    The error of the slope falls as the sum of f**2 grows, so they are drawn from the inputs of each sign whose |f| lies
    in the upper half. They are drawn at random, as those with the largest |f| would be nearly the same input.

    Args:
        inputs: (unique,) distinct training inputs.
        exact: (unique,) exact decision values of the inputs.
        rng: Random generator.
    """
    chosen: list[int] = []
    for negative in (False, True):
        side = np.flatnonzero((exact < 0) == negative)
        side = side[np.argsort(-abs(exact[side]), kind="stable")][: max(ROWS // 2, (len(side) + 1) // 2)]
        chosen += list(rng.permutation(side)[: ROWS // 2])
    rest = np.setdiff1d(np.argsort(-abs(exact), kind="stable")[: 2 * ROWS], chosen)
    chosen += list(rng.permutation(rest)[: ROWS - len(chosen)])
    return inputs.take(np.array(sorted(chosen), dtype=np.int64))


def draw_calibration_rows(ansatz: Ansatz, theta: Floats, kind: Kind, rng: np.random.Generator) -> Inputs:
    """Choose calibration rows from random bit strings, for a kind of input without training rows."""
    bits = np.unique(rng.integers(0, 2, (16 * ROWS, ansatz.n_data)), axis=0)
    strings = encoding.basis(bits)
    if kind != "basis":
        strings = encoding.angles(bits) if kind == "product" else encoding.states(strings.vectors())
    exact = exact_form(ansatz, kind).forward(theta, strings, gradient=False)[0]
    return calibration_rows(strings, exact, rng)


def sum_of_squares(exact: Floats) -> float:
    """Return the sum of the squared exact values, by which the fit of a slope divides.

    Raises:
        ValueError: It is zero: there are no rows, or all exact values are zero.
    """
    total = float(exact @ exact)
    if not total:
        raise ValueError(
            "the slope needs rows whose exact decision value is not zero; got none: take mitigation='readout'"
        )
    return total


def fit_slope(exact: Floats, measured: Floats, errors: Floats, shots: int) -> Slope:
    """Fit measured = slope * exact through the origin by least squares.

    The variance of the slope is that from shot noise, times chi2 / dof (the squared Birge ratio) if the rows scatter
    more than shot noise explains. The interval uses Student's t quantiles for dof = rows - 1.

    Args:
        exact: (rows,) exact decision values.
        measured: (rows,) measured decision values.
        errors: (rows,) standard errors of the measured values from shot noise.
        shots: Shots per row. A standard error is at least 2 / shots, the change of the mean if one shot flips.

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

    norm = sum_of_squares(exact)
    value = float(exact @ measured) / norm
    # Near f = +-1 all shots of a row may agree, and their spread is then zero. The fitted line gives a better estimate.
    expected = np.sqrt(np.maximum(0, 1 - (value * exact) ** 2) / shots)
    sigma = np.maximum(np.maximum(errors, expected), 2 / shots)
    residual = measured - value * exact
    chi2, dof = float(((residual / sigma) ** 2).sum()), len(exact) - 1
    birge = max(1.0, float(np.sqrt(chi2 / dof))) if dof else 1.0
    error = birge * float(np.sqrt(((exact * sigma) ** 2).sum())) / norm
    half_width = float(student.ppf(0.975, dof if dof else np.inf)) * error
    p_value = float(chi2_law.sf(chi2, dof)) if dof else 1.0
    rms = float(np.sqrt(np.mean(residual**2)))
    return Slope(value, error, (value - half_width, value + half_width), rms, p_value, len(exact))


def rescale(measured: Readouts, exact: Floats, shots: int) -> Readouts:
    """Fit the slope on the calibration rows, drop these rows, and divide the values of the others by the slope.

    The standard errors include that of the slope. If the interval of the slope is not entirely positive, the
    values are returned as measured, with a RuntimeWarning.

    Args:
        measured: (k + batch,) measured values, the k calibration rows first.
        exact: (k,) exact decision values of the calibration rows.
        shots: Shots per circuit.
    """
    k = len(exact)
    slope = fit_slope(exact, measured.values[:k], measured.standard_errors[:k], shots)
    values, errors = measured.values[k:], measured.standard_errors[k:]
    rest = replace(measured, values=values, standard_errors=errors, slope=slope)
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
