"""Richardson-Lucy deconvolution under a circuit's noise kernel, at the noise that the counts allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.goodness import deviance, shot_noise
from qcluster.core.uncertainty.response import Observables

Floats = NDArray[np.float64]
Linear = Callable[[Floats], Floats]

_FAINT = 1e-12
"""Probability that every string has before the first round; a zero would stay one."""
_TINY = 1e-15
"""Least probability that is divided by."""
_RARE = 1e-9
"""Least number of shots that is expected of a string."""
_FITTED = 0.5
"""Share of the shot noise at which the rounds end: what is left of the deviance when half of the noise is fitted. Broad
outputs lose to noise from there on; few strings never come so far, and are found in all rounds."""
_MOST_DECAY = 1.5
"""Largest multiple of the calibrated readout decay: readout is measured every day, and ages less than gates do."""


@dataclass(frozen=True)
class Scaled:
    """A deconvolved distribution and the noise that was undone."""

    ideal: Floats
    """``(2^m,)`` the estimate, sum 1."""
    scale: float
    """Multiple of the calibrated noise that was undone."""
    kernel: Kernel
    """At that scale."""
    deviance: float
    """Of the counts, see `qcluster.core.stats.goodness.deviance`."""
    usual: float
    """What shot noise alone makes of the deviance, on the mean."""
    spread: float
    """One standard deviation of that."""


def richardson_lucy(
    forward: Linear,
    adjoint: Linear,
    seen: Floats,
    rounds: int,
    start: Floats | None = None,
    explained: Callable[[Floats], bool] | None = None,
) -> Floats:
    """Maximise the likelihood of noisy frequencies over distributions by expectation maximisation.

    ``u <- u K^T(p / K u)`` (Richardson, 1972; Lucy, 1974), each round extrapolated along the last step by the cosine
    of the last two (Biggs and Andrews, 1997, "Acceleration of iterative image restoration algorithms"): 20 rounds go as
    far as some 60 plain ones.

    Args:
        forward: K, from ideal to noisy probabilities, on the last axis.
        adjoint: its transpose.
        seen: ``(..., 2^m)`` frequencies p, sum 1; several are deconvolved at once.
        rounds: how many.
        start: ``(..., 2^m)`` where to begin; the frequencies themselves by default.
        explained: ends the rounds when it is true of the noisy distribution: further ones would fit shot noise.

    Returns:
        ``(..., 2^m)`` distributions. Cost: two applications of the kernel a round.

    Example:
        >>> flip = np.array([[0.9, 0.1], [0.1, 0.9]])
        >>> richardson_lucy(lambda u: u @ flip, lambda u: u @ flip, np.array([0.74, 0.26]), 40).round(3).tolist()
        [0.8, 0.2]
    """
    ideal: Floats = seen if start is None else start
    ideal = ideal + _FAINT
    ahead = last = ideal
    step: Floats | None = None
    for _ in range(rounds):
        noisy = forward(ahead)
        if explained is not None and explained(noisy):
            return np.asarray(ahead / ahead.sum(axis=-1, keepdims=True))
        moved = np.maximum(ahead * adjoint(seen / np.maximum(noisy, _TINY)), 0.0)
        moved /= moved.sum(axis=-1, keepdims=True)
        before, step = step, moved - ahead
        last, ideal = ideal, moved
        ahead = ideal
        if before is not None:
            along = (step * before).sum(axis=-1, keepdims=True)
            pull = np.clip(along / np.maximum((before * before).sum(axis=-1, keepdims=True), 1e-300), 0.0, 1.0)
            ahead = np.maximum(ideal + pull * (ideal - last), 0.1 * ideal)
    return ideal


def scaled(kernel: Kernel, scale: float) -> Kernel:
    """Multiply the noise of a calibration, readout decay by no more than it ages."""
    return replace(kernel, rates=kernel.rates * scale, decays=kernel.decays * min(scale, _MOST_DECAY))


def deconvolve(kernel: Kernel, counts: Floats, scale: float, rounds: int) -> Scaled:
    """Deconvolve counts under a multiple of the calibrated noise.

    Args:
        kernel: the calibration's.
        counts: ``(2^m,)`` shots.
        scale: the multiple.
        rounds: of Richardson-Lucy.
    """
    shots, noisier = float(counts.sum()), scaled(kernel, scale)

    def explained(noisy: Floats) -> bool:
        expected = np.maximum(shots * noisy, _RARE)
        return deviance(counts, expected) <= 2 * _FITTED * shot_noise(expected)[0]

    ideal = richardson_lucy(noisier.forward, noisier.adjoint, counts / shots, rounds, explained=explained)
    expected = np.maximum(shots * noisier.forward(ideal), _RARE)
    usual, spread = shot_noise(expected)
    return Scaled(ideal, scale, noisier, deviance(counts, expected), 2 * usual, 2 * spread)


def allowed(kernel: Kernel, counts: Floats, scales: tuple[float, ...], rounds: int, misfit: float) -> Scaled:
    """Deconvolve at the multiple of the calibrated noise nearest to 1 under which the counts are no surprise.

    No surprise: the deviance exceeds what shot noise makes of it, or the least one if that is more, by at most three
    standard deviations and the misfit that the kernel itself has. Too much noise cannot explain sharp counts; too
    little always can, and is no evidence.

    Args:
        kernel: the calibration's.
        counts: ``(2^m,)`` shots.
        scales: multiples to try.
        rounds: of Richardson-Lucy.
        misfit: deviance per shot of a kernel that is right to first order.
    """
    slack, tried = misfit * float(counts.sum()), []
    for scale in sorted(scales, key=lambda a: abs(np.log(max(a, 1e-9)))):
        found = deconvolve(kernel, counts, scale, rounds)
        if found.deviance <= found.usual + 3 * found.spread + slack:
            return found
        tried.append(found)
    least = min(found.deviance for found in tried)
    return next(found for found in tried if found.deviance <= least + 3 * found.spread + slack)


@dataclass(frozen=True, eq=False)
class Resharpened:
    """How an answer of Richardson-Lucy moves when the shots are drawn anew: every resample is deconvolved again.

    The kernel and its scale are held, and each resample starts at the answer.
    """

    found: Scaled
    """What was deconvolved."""
    rows: NDArray[np.int64]
    """``(n_outcomes,)`` numbers of the observed strings, which are exact."""
    rounds: int
    """Of Richardson-Lucy."""

    @property
    def width(self) -> int:
        """Full vectors: the answer's and what it takes to find it."""
        return 8 * self.found.kernel.size

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `qcluster.core.uncertainty.response.Response`."""
        kernel = self.found.kernel
        seen = np.zeros((len(draws), kernel.size))
        seen[:, self.rows] = draws / draws.sum(axis=1, keepdims=True)
        start = 0.5 * (self.found.ideal + seen)
        answers = richardson_lucy(kernel.forward, kernel.adjoint, seen, self.rounds, start)
        return np.asarray(answers @ observables(np.arange(kernel.size, dtype=np.uint64)[:, None]))
