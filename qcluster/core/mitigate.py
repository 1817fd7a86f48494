"""`mitigate`: picks the method, returns a `Mitigation`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Bits
from qcluster.core.channel import as_rates
from qcluster.core.distribution import Distribution
from qcluster.core.paper import PaperSettings, q_cluster

Floats = NDArray[np.float64]

METHODS = ("paper",)
"""Names that `mitigate` takes for its method."""


@dataclass(frozen=True, repr=False)
class Mitigation:
    """The outcome of `mitigate`: the better distribution, and what was done to get it."""

    distribution: Distribution
    """The estimate of the ideal distribution, with as many shots as the input."""
    raw: Distribution
    """The counts as they came."""
    method: str
    """Name of the method."""
    applied: bool
    """False when the counts are returned as they came."""
    share: float
    """How much of the answer is mitigated, 0 (counts as they came) to 1."""
    confidence: float
    """How sure the verdict is, 0 to 1."""
    reason: str
    """What was done and why, in one sentence."""
    centroids: Bits
    """``(k, n_bits) bool``: the strings that explain the counts, heaviest first."""
    weights: Floats
    """``(k,)``: share of the shots that each explains."""
    rates: Floats
    """Flip rates used: ``(n_bits,)``, or ``(n_bits, 2)`` = P(read 1|0), P(read 0|1) where they differ."""

    def __repr__(self) -> str:
        return f"Mitigation({self.method}, applied={self.applied}: {self.reason})"


def mitigate(
    counts: Any,
    rates: Any = None,
    *,
    method: str | None = None,
    settings: PaperSettings | None = None,
) -> Mitigation:
    """Estimate the ideal distribution from measured counts.

    Args:
        counts: anything that `Distribution.of` takes.
        rates: flip rates: one number, ``(n_bits,)``, or ``(n_bits, 2)`` = P(read 1|0), P(read 0|1).
        method: ``"paper"``, Q-Cluster as published (arXiv:2504.10801), which needs `rates`.
        settings: constants of the method.

    Returns:
        A Mitigation; `counts` are not changed, and the result has as many shots.

    Raises:
        ValueError, TypeError: bad counts, rates or method, saying what must hold and what came.

    Example:
        >>> fixed = mitigate({"000": 430, "001": 40, "100": 35, "110": 45, "111": 450}, 0.08, method="paper")
        >>> list(fixed.distribution.top(2)), fixed.distribution.shots
        (['111', '000'], 1000.0)
    """
    raw = Distribution.of(counts)
    method = method or METHODS[0]
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if rates is None:
        raise ValueError(
            'method="paper" needs rates, the flip rate of each bit, such as mitigate(counts, 0.05); got none'
        )
    pairs = as_rates(rates, raw.n_bits)
    return _paper(raw, pairs, settings)


def _paper(raw: Distribution, pairs: Floats, settings: PaperSettings | None) -> Mitigation:
    distribution, found = q_cluster(raw, pairs, settings)
    heaviest = np.argsort(-found.weights, kind="stable")
    symmetric = bool((pairs[:, 0] == pairs[:, 1]).all())
    covered, many = float(found.weights.sum()), len(found.weights)
    return Mitigation(
        distribution=distribution,
        raw=raw,
        method="paper",
        applied=True,
        share=1.0,
        confidence=covered,
        reason=f"{covered:.0%} of the shots lie within reach of {many} centroid{'s' if many > 1 else ''} "
        f"at {pairs.mean():.1%} flips per bit",
        centroids=found.centroids[heaviest],
        weights=found.weights[heaviest],
        rates=pairs[:, 0] if symmetric else pairs,
    )
