"""Deconvolution of a broad output by a log-linear model: interactions of few bits, or of many, as the counts show.

``ln p(x) = sum_k theta_k (-1)^(k.x) + const`` over all sets k of bits, as an Ising model has for one and two bits.
Interactions have a normal prior of mean 0; its variance, one for all sets of equally many bits, is found by maximising
the evidence (MacKay, 1992, "Bayesian interpolation"; for densities: Leonard, 1978, "Density estimation, stochastic
processes and prior information"). Outputs of local circuits are smooth in this sense, and then hold far fewer
parameters than strings; where they are not, as those of random circuits, all variances come out alike.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import index_bits
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.special import softmax
from qcluster.core.stats.walsh import rounding, walsh

_ROUNDS, _STEPS = 6, 12
"""Of the variances, and of the interactions for each. Broad outputs are at their most probable distribution then; few
strings are some nats short of it, and rounding, and so the order of bits, moves their roots by a hundredth."""
_HELD = 10
"""Steps that the minimiser remembers."""
_FIRST, _LEAST, _MOST = 1.0, 1e-7, 4.0
"""Variances: the first, and the range in which they stay."""
_UNMOVED = 1e-3
"""Variance of a parity below which it counts as certain."""
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class LogLinear:
    """A deconvolved distribution, and what is needed to find it again for other shots."""

    ideal: Floats
    """``(2^m,)`` the most probable distribution, nearly (see `_STEPS`), sum 1."""
    interactions: Floats
    """``(2^m,)`` theta; the first is 0."""
    prior: Floats
    """``(2^m,)`` their variances before the counts; the first is 0."""
    spread: Floats
    """``(2^m,)`` and after them, to first order."""

    def again(self, kernel: Kernel, draws: Floats) -> Floats:
        """Deconvolve counts drawn anew, ``(n_draws, 2^m)``, with the prior held; to as many distributions."""
        start = self.interactions, self.prior, self.spread
        return distribution(np.stack([_most_probable(kernel, counts, *start) for counts in draws]))


def log_linear(kernel: Kernel, counts: Floats) -> LogLinear:
    """Deconvolve counts by a log-linear model.

    Args:
        kernel: what makes noisy distributions, one number a string.
        counts: ``(2^m,)`` shots, at least one.

    Returns:
        LogLinear. Cost: some 500 Walsh transforms: 0.02 s for 10 bits, 0.04 s for 12.

    Example:
        >>> from qcluster.core.noise.faults import FaultMasks
        >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
        >>> kernel = Kernel.of(FaultMasks(2, *none, np.full((2, 2), 0.1)))
        >>> found = log_linear(kernel, np.array([500.0, 180, 180, 140]))
        >>> found.ideal.round(2).tolist()
        [0.58, 0.14, 0.14, 0.13]
    """
    size, m = kernel.size, kernel.index.n_index
    order = index_bits(np.arange(size), m).sum(axis=1)
    many = np.bincount(order)
    known = counts.sum() * kernel.spectrum**2
    prior = np.where(order > 0, _FIRST, 0.0)
    theta, spread = np.zeros(size), prior
    for _ in range(_ROUNDS):
        theta = _most_probable(kernel, counts, theta, prior, spread)
        ideal = distribution(theta)
        sharp = known * np.maximum(1 - walsh(ideal) ** 2, _UNMOVED)
        spread = prior / (1 + prior * sharp)
        variances = np.clip(np.bincount(order, theta**2 + spread) / many, _LEAST, _MOST)
        prior = np.where(order > 0, variances[order], 0.0)
    return LogLinear(ideal, theta, prior, spread)


def distribution(theta: Floats) -> Floats:
    """Give the distributions ``(..., 2^m)`` of interactions."""
    return softmax(walsh(theta))


def slope(kernel: Kernel, counts: Floats, theta: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """Give the log posterior of interactions, ``(...)``, and its slope, ``(..., 2^m)``."""
    ideal = distribution(theta)
    noisy = np.maximum(kernel.forward(ideal), rounding(ideal))
    sent = ideal * kernel.adjoint(counts / noisy)
    pull = np.divide(theta, prior, out=np.zeros_like(theta), where=prior > 0)
    value = (counts * np.log(noisy)).sum(axis=-1) - 0.5 * (theta * pull).sum(axis=-1)
    uphill = walsh(sent - sent.sum(axis=-1, keepdims=True) * ideal) - pull
    return value, np.where(prior > 0, uphill, 0.0)


def _most_probable(kernel: Kernel, counts: Floats, theta: Floats, prior: Floats, spread: Floats) -> Floats:
    """Climb from some interactions; in units of their spread the posterior is about as wide in all directions."""
    unit = np.sqrt(spread)

    def downhill(x: Floats) -> tuple[float, Floats]:
        value, uphill = slope(kernel, counts, x * unit, prior)
        return -float(value), -uphill * unit

    start = np.divide(theta, unit, out=np.zeros_like(theta), where=unit > 0)
    return minimise(downhill, start, _STEPS) * unit


def minimise(function: Callable[[Floats], tuple[float, Floats]], x: Floats, steps: int) -> Floats:
    """Minimise by limited-memory BFGS with backtracking (Nocedal, 1980).

    Args:
        function: vectors to values and slopes.
        x: where to begin.
        steps: at most.

    Example:
        >>> minimise(lambda x: (float((x - 3) @ (x - 3)), 2 * (x - 3)), np.zeros(2), 20).round(3).tolist()
        [3.0, 3.0]
    """
    value, down = function(x)
    kept: deque[tuple[Floats, Floats, float]] = deque(maxlen=_HELD)
    for _ in range(steps):
        way = -_curved(down, kept)
        fall, reach = float(way @ down), 1.0 if kept else min(1.0, 1.0 / max(float(np.linalg.norm(down)), _TINY))
        while reach > 1e-6:
            new, slope_there = function(x + reach * way)
            if new <= value + 1e-4 * reach * fall:
                break
            reach *= 0.4
        else:
            break
        moved, turned = reach * way, slope_there - down
        if float(moved @ turned) > 1e-12 * float(turned @ turned):
            kept.append((moved, turned, 1.0 / float(moved @ turned)))
        x, value, down = x + moved, new, slope_there
        if float(down @ down) < 1e-6:  # in units of the posterior's spread: a thousandth of it
            break
    return x


def _curved(vector: Floats, kept: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Multiply by the inverse of the curvature that past steps showed: the two-loop recursion."""
    along = []
    for moved, turned, inverse in reversed(kept):
        part = inverse * float(moved @ vector)
        along.append(part)
        vector = vector - part * turned
    if kept:
        moved, turned, _ = kept[-1]
        vector = vector * (float(moved @ turned) / float(turned @ turned))
    for (moved, turned, inverse), part in zip(kept, reversed(along), strict=True):
        vector = vector + (part - inverse * float(turned @ vector)) * moved
    return vector
