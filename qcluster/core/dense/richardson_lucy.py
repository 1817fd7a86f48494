"""Richardson-Lucy deconvolution under a circuit's noise kernel, at several multiples of its noise at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.noise.model import NoiseModel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.stats.goodness import deviance, expected_deviance, shot_noise

_ROUNDS = 20
"""Most rounds, accelerated, of a deconvolution at several multiples of the noise."""
_MISFIT = 0.01
"""Deviance per shot, beyond shot noise, that comes from errors of a kernel that is right to first order."""
_FAINT = 1e-12
"""Probability added to every string before the first round, since a zero would stay zero."""
_TINY = 1e-15
"""Least probability used as a divisor."""
_RARE = 1e-9
"""Least expected number of shots of a string."""
_FITTED = 0.5
"""Rounds end when the deviance falls to this fraction of what shot noise alone makes: half of the noise is then fitted.
Broad outputs get worse from there on; few strings never get so far, and take all rounds."""


@dataclass(frozen=True, eq=False)
class Deconvolved:
    """Deconvolved distributions, one for each multiple of the noise, and how well they explain the counts."""

    kernels: ScaledKernels
    """The noise that was undone, at each multiple."""
    rounds: Indices
    """``(s,)`` number of rounds after which each ended."""
    ideals: Floats
    """``(s, 2^m)`` the estimates, each of sum 1."""
    noisy: Floats
    """``(s, 2^m)`` the estimates seen through the noise."""
    deviance: Floats
    """``(s,)`` deviance of the counts, see `qcluster.core.stats.goodness.deviance`."""
    usual: Floats
    """``(s,)`` its mean if there is only shot noise."""
    spread: Floats
    """``(s,)`` its standard deviation if there is only shot noise."""

    def take(self, rows: slice) -> "Deconvolved":
        """Return some of the scales."""
        parts = self.ideals, self.noisy, self.deviance, self.usual, self.spread
        return Deconvolved(self.kernels.take(rows), self.rounds[rows], *(part[rows] for part in parts))

    @property
    def fidelity(self) -> Floats:
        """``(s,)`` Hellinger fidelity of each estimate to its noisy version: the raw fidelity that it predicts."""
        overlap = np.sqrt(np.maximum(self.noisy * self.ideals, 0)).sum(axis=1)
        return np.asarray((overlap / np.sqrt(self.noisy.sum(axis=1))) ** 2)

    @property
    def surprise(self) -> Floats:
        """``(s,)`` excess of the deviance over its mean, in standard deviations of shot noise."""
        return np.asarray((self.deviance - self.usual) / self.spread)


def richardson_lucy(
    noise: NoiseModel,
    seen: Floats,
    rounds: int,
    support: NDArray[np.bool_] | None = None,
    ends: Callable[[int, Floats], NDArray[np.bool_]] | None = None,
) -> Floats:
    """Maximise the likelihood of noisy frequencies over ideal distributions by expectation maximisation.

    ``u <- u K^T(p / K u)`` (Richardson, 1972; Lucy, 1974). Each round is extrapolated along the last step, by a factor
    that follows from the overlap of the last two steps (Biggs and Andrews, 1997, "Acceleration of iterative image
    restoration algorithms"), so that 20 rounds go as far as some 60 plain ones.

    Args:
        noise: K, from ideal to noisy probabilities.
        seen: ``(..., 2^m)`` frequencies p, sum 1; several are deconvolved at once.
        support: ``(..., 2^m)`` True for strings that the distributions may contain; all by default.
        ends: called with the number of rounds so far and the noisy distributions; returns ``(...,)`` True for those
            that should end, since more rounds would fit shot noise.

    Returns:
        ``(..., 2^m)`` distributions. Cost: two applications of K a round.

    Example:
        >>> from qcluster.core.noise.bitflips import IndependentFlips
        >>> flips = IndependentFlips(np.full((1, 1, 2), 0.1))
        >>> richardson_lucy(flips, np.array([[0.74, 0.26]]), 40).round(3).tolist()
        [[0.8, 0.2]]
    """
    ideal: Floats = seen + _FAINT
    if support is not None:
        ideal = np.where(support, ideal, 0.0)  # zeros stay zero
    extrapolated = previous = answers = ideal
    step: Floats | None = None
    ended: NDArray[np.bool_] = np.zeros(ideal.shape[:-1], dtype=bool)
    for n_done in range(rounds):
        noisy = noise.forward(extrapolated)
        if ends is not None:
            ending = ends(n_done, noisy) & ~ended
            if ending.any():
                answers = np.where(ending[..., None], extrapolated, answers)
                ended = ended | ending
            if ended.all():
                break
        moved = np.maximum(extrapolated * noise.adjoint(seen / np.maximum(noisy, _TINY)), 0.0)
        moved /= moved.sum(axis=-1, keepdims=True)
        old_step, step = step, moved - extrapolated
        previous, ideal, extrapolated = ideal, moved, moved
        if old_step is not None:
            overlap = (step * old_step).sum(axis=-1, keepdims=True)
            factor = np.clip(overlap / np.maximum((old_step * old_step).sum(axis=-1, keepdims=True), 1e-300), 0.0, 1.0)
            extrapolated = np.maximum(ideal + factor * (ideal - previous), 0.1 * ideal)
    answers = np.where(ended[..., None], answers, ideal)
    return np.asarray(answers / answers.sum(axis=-1, keepdims=True))


def deconvolve(
    kernels: ScaledKernels, counts: Floats, support: NDArray[np.bool_] | None = None, *, rounds: int = _ROUNDS
) -> Deconvolved:
    """Deconvolve counts, ``(2^m,)`` shots, at every multiple of the noise, until half of the shot noise is fitted.

    The support is ``(2^m,)`` True for strings that the ideal may contain; all by default.
    """
    shots, ended = float(counts.sum()), np.full(len(kernels.scales), rounds)

    def are_fitted(n_done: int, noisy: Floats) -> NDArray[np.bool_]:
        expected = np.maximum(shots * noisy, _RARE)
        fitted = np.asarray(deviance(counts, expected) <= _FITTED * expected_deviance(expected))
        ended[fitted] = np.minimum(ended[fitted], n_done)
        return fitted

    seen = np.broadcast_to(counts / shots, kernels.spectrum.shape)
    ideals = richardson_lucy(kernels, seen, rounds, support, are_fitted)
    noisy = kernels.forward(ideals)
    expected = np.maximum(shots * noisy, _RARE)
    return Deconvolved(kernels, ended, ideals, noisy, deviance(counts, expected), *shot_noise(expected))


def redeconvolve(
    kernels: ScaledKernels, seen: Floats, ended: Indices, support: NDArray[np.bool_] | None = None
) -> Floats:
    """Deconvolve redrawn frequencies in as many rounds as the counts took: more rounds would make another estimate.

    Kernels, frequencies ``(s, 2^m)``, rounds (see `Deconvolved.rounds`) and support are those of each row.
    """
    return richardson_lucy(kernels, seen, _ROUNDS, support, lambda done, _: ended <= done)


def allowed(fits: Deconvolved, shots: float) -> int:
    """Find the multiple of the calibrated noise, nearest to 1, that explains the counts.

    It does if the deviance exceeds that of shot noise by at most three standard deviations plus the misfit of the
    kernel itself; if no multiple does, the limit starts from the least deviance of all. Too much noise cannot explain
    sharp counts; too little always can, so that a good fit is no evidence for it. Returns the row of that multiple.
    """
    order = np.argsort(np.abs(np.log(np.maximum(fits.kernels.scales, 1e-9))), kind="stable")
    slack = 3 * fits.spread + _MISFIT * shots
    explains = fits.deviance <= fits.usual + slack
    if not explains.any():
        explains = fits.deviance <= fits.deviance.min() + slack
    return int(order[np.argmax(explains[order])])
