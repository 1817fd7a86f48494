"""Richardson-Lucy deconvolution of a broad output under a circuit's noise kernel, at the noise that the counts allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qcluster.core.circuit_kernel import Kernel
from qcluster.core.response import Observables

Floats = NDArray[np.float64]
Linear = Callable[[Floats], Floats]

_FAINT = 1e-12
"""Probability that every string has before the first round; a zero would stay one."""
_TINY = 1e-15
"""Least probability that is divided by."""
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
    """``2 sum c ln(c / mu)`` of the counts c against the expected counts mu."""
    cells: float
    """Strings that are expected to be read, each counted up to one: the degrees of freedom of the deviance."""


def richardson_lucy(forward: Linear, adjoint: Linear, seen: Floats, rounds: int, start: Floats | None = None) -> Floats:
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

    Returns:
        ``(..., 2^m)`` distributions. Cost: two applications of the kernel a round.

    Example:
        >>> flip = np.array([[0.9, 0.1], [0.1, 0.9]])
        >>> richardson_lucy(lambda u: u @ flip, lambda u: u @ flip, np.array([0.74, 0.26]), 40).round(3).tolist()
        [0.8, 0.2]
    """
    ideal: Floats = seen if start is None else start
    ideal = ideal + _FAINT
    ahead, last, step = ideal, ideal, None
    for _ in range(rounds):
        moved = np.maximum(ahead * adjoint(seen / np.maximum(forward(ahead), _TINY)), 0.0)
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
    ideal = richardson_lucy(noisier.forward, noisier.adjoint, counts / shots, rounds)
    expected = shots * np.maximum(noisier.forward(ideal), _TINY)
    return Scaled(ideal, scale, noisier, deviance(counts, expected), float(np.minimum(expected, 1.0).sum()))


def deviance(counts: Floats, expected: Floats) -> float:
    """Give the Poisson deviance ``2 sum (c ln(c / mu) - (c - mu))`` of counts c where mu are expected.

    Example:
        >>> deviance(np.array([5.0, 5.0]), np.array([5.0, 5.0]))
        0.0
    """
    seen = counts > 0
    return float(2 * ((counts[seen] * np.log(counts[seen] / expected[seen])).sum() - counts.sum() + expected.sum()))


def allowed(kernel: Kernel, counts: Floats, scales: tuple[float, ...], rounds: int, misfit: float) -> Scaled:
    """Deconvolve at the multiple of the calibrated noise nearest to 1 that explains the counts as well as any.

    As well as any: the deviance is at most three of its standard deviations above the least, and the misfit that the
    kernel itself has. Too much noise cannot explain sharp counts; too little always can, and is no evidence.

    Args:
        kernel: the calibration's.
        counts: ``(2^m,)`` shots.
        scales: multiples to try.
        rounds: of Richardson-Lucy.
        misfit: deviance per shot of a kernel that is right to first order.
    """
    tried: list[Scaled] = []
    slack = misfit * float(counts.sum())
    for scale in sorted(scales, key=lambda a: abs(np.log(max(a, 1e-9)))):
        found = deconvolve(kernel, counts, scale, rounds)
        tried.append(found)
        if found.deviance <= _most(found, slack):
            return found  # no deviance is below 0, so none of those further from 1 could forbid it
    least = min(found.deviance for found in tried)
    return next(found for found in tried if found.deviance <= least + _most(found, slack))


def _most(found: Scaled, slack: float) -> float:
    """Give what the deviance may exceed the least one by."""
    return 3 * float(np.sqrt(2 * max(found.cells, 4.0))) + slack


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
        """See `qcluster.core.response.Response`."""
        kernel = self.found.kernel
        seen = np.zeros((len(draws), kernel.size))
        seen[:, self.rows] = draws / draws.sum(axis=1, keepdims=True)
        start = 0.5 * (self.found.ideal + seen)
        answers = richardson_lucy(kernel.forward, kernel.adjoint, seen, self.rounds, start)
        return np.asarray(answers @ observables(np.arange(kernel.size, dtype=np.uint64)[:, None]))
