"""Does a prediction explain counts, shot noise allowed for? Valid where most strings are seen once or never, too."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GRID = np.geomspace(1e-9, 60.0, 400)


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


def misfit(predicted: Floats, counts: Floats) -> tuple[float, float]:
    """Measure by how much counts deviate from a prediction beyond shot noise.

    The deviance ``sum c ln(c / mu)`` has, per cell, an exact mean and variance for Poisson counts, however small mu.

    Args:
        predicted: (n,) probabilities that sum to 1.
        counts: (n,) shots.

    Returns:
        Excess deviance per shot, in nats (a relative entropy from the truth to the prediction, about 0 for a true
        one), and its distance from 0 in standard deviations.

    Example:
        >>> excess, sigmas = misfit(np.array([0.5, 0.5]), np.array([700.0, 300.0]))
        >>> round(excess, 2), sigmas > 3
        (0.08, True)
    """
    shots = counts.sum()
    expected = np.maximum(shots * predicted, 1e-9)
    seen = counts > 0
    deviance = float((counts[seen] * np.log(counts[seen] / expected[seen])).sum() - (shots - expected.sum()))
    mean, variance = _moments()
    small = expected < _GRID[-1]
    place = np.log(expected[small])
    usual = np.interp(place, np.log(_GRID), mean).sum() + 0.5 * (~small).sum()
    spread = np.interp(place, np.log(_GRID), variance).sum() + 0.5 * (~small).sum()
    excess = deviance - float(usual)
    return excess / float(shots), excess / float(np.sqrt(spread))
