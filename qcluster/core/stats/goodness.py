"""Goodness of fit of predicted counts under shot noise. Valid even where most strings are seen once or never."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, upper_triangle
from qcluster.core.counts.bits import Bits

_ROWS, _EXACT = 1 << 13, 1 << 24
"""Strings whose signs are held in memory at once; number of shots that single precision counts exactly."""
_WELL_FILLED = 5.0
"""Least expected count of a cell in Pearson's test (the usual rule of thumb)."""
_GRID = np.geomspace(1e-9, 60.0, 400)
"""Expected counts at which the moments of the deviance are tabulated."""


@lru_cache(maxsize=1)
def _deviance_moments() -> tuple[Floats, Floats]:
    """Mean and variance of ``c ln(c / mu) - (c - mu)``, c ~ Poisson(mu), for each mu of `_GRID`."""
    counts = np.arange(0, 200)[:, None].astype(np.float64)
    logs = np.cumsum(np.log(np.maximum(counts, 1)), axis=0)
    chance = np.exp(counts * np.log(_GRID) - _GRID - logs)
    excess = counts * np.log(np.maximum(counts, 1) / _GRID) * (counts > 0) - (counts - _GRID)
    mean = (chance * excess).sum(axis=0)
    return mean, (chance * excess**2).sum(axis=0) - mean**2


def collisions(shots: Floats) -> float:
    """Return an unbiased estimate of ``sum_y p(y)^2``: the share of pairs of shots that agree."""
    total = float(shots.sum())
    return float(shots @ (shots - 1)) / max(total * (total - 1), 1.0)


def distance_from_uniform(bits: Bits, shots: Floats) -> float:
    """Measure by how much counts differ from uniform noise, in standard deviations.

    This is the largest of three statistics: collisions between shots, which detect single strings; Pearson's chi-square
    of the marginals of all bits; and that of the correlations of all pairs of bits, which detects a structure blurred
    by flips even where no string is read twice.

    Args:
        bits: ``(n_outcomes, n_bits) bool``, distinct strings.
        shots: ``(n_outcomes,)``.

    Returns:
        The largest statistic. Under uniform noise each has mean 0 and standard deviation 1 (for a few bits, collisions
        have less), and the largest has a mean of at most 0.9 and the tail of chi-square: it exceeds 4 in one of a
        hundred sets of counts of one to three bits, in one of a thousand of 20 bits.
        Cost: one product of ``(n_bits, n_outcomes)`` matrices.
    """
    n_bits, total = bits.shape[1], float(shots.sum())
    expected = 0.5 * total * (total - 1) * 2.0**-n_bits
    equal = 0.5 * float(shots @ (shots - 1))
    statistics = [(equal - expected) / np.sqrt(expected + 1)]
    mean, gram = sums_of_signs(bits, shots)
    squares = mean**2 / total, gram[upper_triangle(n_bits)] ** 2 / total
    statistics += [float((part - 1).sum() / np.sqrt(2 * len(part))) for part in squares if len(part)]
    return float(max(statistics))


def sums_of_signs(bits: Bits, shots: Floats) -> tuple[Floats, Floats]:
    """Return the sums over shots of the signs of all bits, ``(n,)``, and of the products of pairs, ``(n, n)``.

    Whole shots are counted in single precision, which is exact up to 2^24 of them and twice as fast. Most strings of
    large counts are read once, and a product of a matrix with its own transpose costs half: so every string is first
    counted once, and the remaining shots of repeated strings are added.
    """
    n_bits = bits.shape[1]
    mean, gram = np.zeros(n_bits), np.zeros((n_bits, n_bits))
    for start in range(0, len(bits), _ROWS):
        weights = shots[start : start + _ROWS]
        exact = bool((np.rint(weights) == weights).all()) and float(weights.sum()) < _EXACT
        dtype: Any = np.float32 if exact else np.float64
        signs: NDArray[Any] = bits[start : start + _ROWS].astype(dtype)
        signs *= -2
        signs += 1
        weights = weights.astype(dtype)
        repeated = np.flatnonzero(weights != 1)
        mean += weights @ signs
        gram += signs.T @ signs
        gram += signs[repeated].T @ (signs[repeated] * (weights[repeated] - 1)[:, None])
    return mean, gram


def pearson_misfit(expected: Floats, counts: Floats) -> float:
    """Return Pearson's chi-square of the well-filled cells, in standard deviations above its mean.

    ``(sum (c - mu)^2 / mu - k) / sqrt(2 k)`` over the k cells with at least five expected counts, of ``(m,)`` counts c
    and expected counts mu above 0. For a true prediction the sum has a chi-square distribution with k degrees of
    freedom (Pearson, 1900).
    """
    filled = expected >= _WELL_FILLED
    n_cells = int(filled.sum())
    excess = float(((counts - expected)[filled] ** 2 / expected[filled]).sum()) - n_cells
    return excess / float(np.sqrt(2 * max(n_cells, 1)))


def deviance(counts: Floats, expected: Floats) -> Floats:
    """Return the Poisson deviance ``2 sum (c ln(c / mu) - (c - mu))`` of counts c, ``(m,)``, from expected counts mu
    above 0, ``(..., m)``."""
    seen = counts > 0
    ratio = np.log(counts[seen] / expected[..., seen])
    return np.asarray(2 * (ratio @ counts[seen] - counts.sum() + expected.sum(axis=-1)))


def shot_noise(expected: Floats) -> tuple[Floats, Floats]:
    """Return the mean and the standard deviation of the deviance under shot noise alone, from ``(..., m)`` counts.

    Example:
        >>> mean, spread = shot_noise(np.full(100, 1000.0))
        >>> round(float(mean)), round(float(spread))
        (100, 14)
    """
    return expected_deviance(expected), 2 * np.sqrt(_sum_over_cells(expected, _deviance_moments()[1]))


def expected_deviance(expected: Floats) -> Floats:
    """Return the mean of the deviance under shot noise alone: the first result of `shot_noise`."""
    return 2 * _sum_over_cells(expected, _deviance_moments()[0])


def excess_deviance(counts: Floats, noisy: Floats) -> tuple[float, float]:
    """Return by how much the deviance of counts exceeds its mean under shot noise, and its standard deviation there.

    The expected distribution, `noisy`, may have any sum; expected counts are raised to at least 1e-9. Both arrays are
    ``(m,)``.

    Example:
        >>> beyond, spread = excess_deviance(np.array([120.0, 80.0]), np.array([0.5, 0.5]))
        >>> round(beyond), round(spread)
        (6, 2)
    """
    expected = np.maximum(counts.sum() * noisy / noisy.sum(), 1e-9)
    usual, spread = shot_noise(expected)
    return float(deviance(counts, expected) - usual), float(spread)


def _sum_over_cells(expected: Floats, table: Floats) -> Floats:
    """Sum a tabulated moment over the last axis, by linear interpolation; for large counts its value is one half.

    The grid is geometric, so that positions in it are computed rather than searched for.
    """
    first, step = np.log(_GRID[0]), np.log(_GRID[1] / _GRID[0])
    position = np.clip((np.log(expected) - first) / step, 0, len(_GRID) - 1)
    below = np.minimum(position.astype(np.intp), len(_GRID) - 2)
    slopes = np.diff(table)
    value = table[below] + (position - below) * slopes[below]
    return np.asarray(np.where(expected < _GRID[-1], value, 0.5).sum(axis=-1))
