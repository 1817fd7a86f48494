"""Does a prediction explain counts, shot noise allowed for? Valid where most strings are seen once or never, too."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, upper_triangle
from qcluster.core.counts.bits import Bits

_ROWS, _EXACT = 1 << 13, 1 << 24
"""Strings whose signs are held in memory at once; shots that single precision counts exactly."""
_FILLED = 5.0
"""Counts that are expected of a well filled cell (the rule of thumb for Pearson's test)."""
_GRID = np.geomspace(1e-9, 60.0, 400)
"""Expected counts at which the moments of the deviance are tabled."""


@lru_cache(maxsize=1)
def _moments() -> tuple[Floats, Floats]:
    """Mean and variance of ``c ln(c / mu) - (c - mu)``, c ~ Poisson(mu), at `_GRID`."""
    counts = np.arange(0, 200)[:, None].astype(np.float64)
    logs = np.cumsum(np.log(np.maximum(counts, 1)), axis=0)
    chance = np.exp(counts * np.log(_GRID) - _GRID - logs)
    excess = counts * np.log(np.maximum(counts, 1) / _GRID) * (counts > 0) - (counts - _GRID)
    mean = (chance * excess).sum(axis=0)
    return mean, (chance * excess**2).sum(axis=0) - mean**2


def collisions(shots: Floats) -> float:
    """Estimate ``sum_y p(y)^2`` without bias: the share of pairs of shots that agree.

    Example:
        >>> collisions(np.array([2.0, 2.0]))
        0.3333333333333333
    """
    total = float(shots.sum())
    return float(shots @ (shots - 1)) / max(total * (total - 1), 1.0)


def beyond_uniform(bits: Bits, shots: Floats) -> float:
    """Measure by how much counts differ from uniform noise, in standard deviations.

    The largest of three: collisions between shots, which see single strings; Pearson's chi-square of the marginals of
    all bits; and that of the correlations of all pairs of bits, which see a structure blurred by flips where no string
    is read twice.

    Args:
        bits: ``(n_outcomes, n_bits) bool`` distinct strings.
        shots: ``(n_outcomes,)``.

    Returns:
        Under uniform noise each has mean 0 and spread 1 (collisions of a few bits less), and the largest some 0.7, with
        chi-square's tail: it exceeds 4 once in a hundred counts of one to three bits, once in a thousand of 20.
        Cost: one product of ``(n_bits, n_outcomes)`` matrices.

    Example:
        >>> both = np.array([[False, False], [True, True]])
        >>> beyond_uniform(both, np.array([50.0, 50.0])) > 10
        True
    """
    n_bits, total = bits.shape[1], float(shots.sum())
    strings = 2.0**-n_bits
    pairs = 0.5 * total * (total - 1) * strings
    equal = 0.5 * float(shots @ (shots - 1))
    found = [(equal - pairs) / np.sqrt(pairs + 1)]
    mean, gram = _correlations(bits, shots)
    squares = mean**2 / total, gram[upper_triangle(n_bits)] ** 2 / total
    found += [float((part - 1).sum() / np.sqrt(2 * len(part))) for part in squares if len(part)]
    return float(max(found))


def _correlations(bits: Bits, shots: Floats) -> tuple[Floats, Floats]:
    """Give the sums over shots of the signs of all bits, ``(n,)``, and of the products of two, ``(n, n)``.

    Whole shots are counted in single precision, which is exact up to 2^24 of them and twice as fast. Most strings of
    large counts were read once, and the product of a matrix with its own transpose costs half: what was read more often
    is added.
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
        again = np.flatnonzero(weights != 1)
        mean += weights @ signs
        gram += signs.T @ signs
        gram += signs[again].T @ (signs[again] * (weights[again] - 1)[:, None])
    return mean, gram


def pearson_misfit(expected: Floats, counts: Floats) -> float:
    """Give how far Pearson's chi-square lies above its mean, in standard deviations, on cells that are well filled.

    ``(sum (c - mu)^2 / mu - k) / sqrt(2 k)`` over the k cells in which at least five counts are expected: there the
    statistic of a true prediction is distributed as chi-square with k degrees of freedom (Pearson, 1900).

    Args:
        expected: ``(m,)`` mu, above 0.
        counts: ``(m,)`` c.

    Example:
        >>> round(pearson_misfit(np.array([100.0, 100.0]), np.array([120.0, 80.0])), 1)
        3.0
    """
    filled = expected >= _FILLED
    cells = int(filled.sum())
    excess = float(((counts - expected)[filled] ** 2 / expected[filled]).sum()) - cells
    return excess / float(np.sqrt(2 * max(cells, 1)))


def deviance(counts: Floats, expected: Floats) -> Floats:
    """Give the Poisson deviance ``2 sum (c ln(c / mu) - (c - mu))`` of counts c where mu are expected.

    Args:
        counts: ``(m,)``.
        expected: ``(..., m)``, above 0.

    Example:
        >>> float(deviance(np.array([5.0, 5.0]), np.array([5.0, 5.0])))
        0.0
    """
    seen = counts > 0
    ratio = np.log(counts[seen] / expected[..., seen])
    return np.asarray(2 * (ratio @ counts[seen] - counts.sum() + expected.sum(axis=-1)))


def shot_noise(expected: Floats) -> tuple[Floats, Floats]:
    """Give mean and standard deviation of the deviance, where shot noise alone is at work.

    Args:
        expected: ``(..., m)`` counts.

    Example:
        >>> mean, spread = shot_noise(np.full(100, 1000.0))
        >>> round(float(mean)), round(float(spread))
        (100, 14)
    """
    return usual_deviance(expected), 2 * np.sqrt(_summed(expected, _moments()[1]))


def usual_deviance(expected: Floats) -> Floats:
    """Give the mean that `shot_noise` gives, alone."""
    return 2 * _summed(expected, _moments()[0])


def misfit(counts: Floats, noisy: Floats) -> tuple[float, float]:
    """Give the deviance of counts beyond what shot noise makes of it, and one standard deviation of that.

    Args:
        counts: ``(m,)``.
        noisy: ``(m,)`` what is expected, of any sum; nothing below a billionth of a shot.

    Example:
        >>> beyond, spread = misfit(np.array([120.0, 80.0]), np.array([0.5, 0.5]))
        >>> round(beyond), round(spread)
        (6, 2)
    """
    expected = np.maximum(counts.sum() * noisy / noisy.sum(), 1e-9)
    usual, spread = shot_noise(expected)
    return float(deviance(counts, expected) - usual), float(spread)


def _summed(expected: Floats, tabled: Floats) -> Floats:
    """Add up a tabled moment over the last axis; one half is its value for large counts.

    The grid is geometric, so that places in it are computed and not searched for.
    """
    first, step = np.log(_GRID[0]), np.log(_GRID[1] / _GRID[0])
    place = np.clip((np.log(expected) - first) / step, 0, len(_GRID) - 1)
    below = np.minimum(place.astype(np.intp), len(_GRID) - 2)
    slopes = np.diff(tabled)
    value = tabled[below] + (place - below) * slopes[below]
    return np.asarray(np.where(expected < _GRID[-1], value, 0.5).sum(axis=-1))
