"""Richardson-Lucy deconvolution under a circuit's noise kernel, at several multiples of its noise side by side."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.noise.model import NoiseModel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.stats.goodness import deviance, shot_noise, usual_deviance

_FAINT = 1e-12
"""Probability that every string has before the first round; a zero would stay one."""
_TINY = 1e-15
"""Least probability that is divided by."""
_RARE = 1e-9
"""Least number of shots that is expected of a string."""
_FITTED = 0.5
"""Share of the shot noise at which the rounds end: what is left of the deviance when half of the noise is fitted. Broad
outputs lose to noise from there on; few strings never come so far, and are found in all rounds."""


@dataclass(frozen=True, eq=False)
class Deconvolved:
    """Deconvolved distributions, one for each multiple of the noise, and how well they explain the counts."""

    kernels: ScaledKernels
    """What was undone."""
    rounds: Indices
    """``(s,)`` after how many rounds each ended."""
    ideals: Floats
    """``(s, 2^m)`` the estimates, each of sum 1."""
    noisy: Floats
    """``(s, 2^m)`` what is read of them."""
    deviance: Floats
    """``(s,)`` of the counts, see `qcluster.core.stats.goodness.deviance`."""
    usual: Floats
    """``(s,)`` what shot noise alone makes of it, on the mean."""
    spread: Floats
    """``(s,)`` one standard deviation of that."""

    def take(self, rows: slice) -> "Deconvolved":
        """Keep some of the scales."""
        parts = self.ideals, self.noisy, self.deviance, self.usual, self.spread
        return Deconvolved(self.kernels.take(rows), self.rounds[rows], *(part[rows] for part in parts))

    @property
    def fidelity(self) -> Floats:
        """``(s,)`` Hellinger fidelity of each estimate to what is read of it: the raw fidelity that it predicts."""
        overlap = np.sqrt(np.maximum(self.noisy * self.ideals, 0)).sum(axis=1)
        return np.asarray((overlap / np.sqrt(self.noisy.sum(axis=1))) ** 2)

    @property
    def surprise(self) -> Floats:
        """``(s,)`` how far the counts are from what is expected, in standard deviations of shot noise."""
        return np.asarray((self.deviance - self.usual) / self.spread)


def richardson_lucy(
    noise: NoiseModel,
    seen: Floats,
    rounds: int,
    support: NDArray[np.bool_] | None = None,
    ends: Callable[[int, Floats], NDArray[np.bool_]] | None = None,
) -> Floats:
    """Maximise the likelihood of noisy frequencies over distributions by expectation maximisation.

    ``u <- u K^T(p / K u)`` (Richardson, 1972; Lucy, 1974), each round extrapolated along the last step by the cosine
    of the last two (Biggs and Andrews, 1997, "Acceleration of iterative image restoration algorithms"): 20 rounds go as
    far as some 60 plain ones.

    Args:
        noise: K, from ideal to noisy probabilities.
        seen: ``(..., 2^m)`` frequencies p, sum 1; several are deconvolved at once.
        rounds: how many.
        support: ``(..., 2^m)`` True for strings that the distributions may hold; all by default.
        ends: rounds that were made, and noisy distributions, to ``(...,)``, which of them need no more: these would fit
            shot noise.

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
        ideal = np.where(support, ideal, 0.0)  # and zero it stays
    ahead = last = ideal
    step: Floats | None = None
    ended: NDArray[np.bool_] = np.zeros(ideal.shape[:-1], dtype=bool)
    answers = ideal
    for made in range(rounds):
        noisy = noise.forward(ahead)
        if ends is not None:
            ending = ends(made, noisy) & ~ended
            if ending.any():
                answers = np.where(ending[..., None], ahead, answers)
                ended = ended | ending
            if ended.all():
                break
        moved = np.maximum(ahead * noise.adjoint(seen / np.maximum(noisy, _TINY)), 0.0)
        moved /= moved.sum(axis=-1, keepdims=True)
        before, step = step, moved - ahead
        last, ideal = ideal, moved
        ahead = ideal
        if before is not None:
            along = (step * before).sum(axis=-1, keepdims=True)
            pull = np.clip(along / np.maximum((before * before).sum(axis=-1, keepdims=True), 1e-300), 0.0, 1.0)
            ahead = np.maximum(ideal + pull * (ideal - last), 0.1 * ideal)
    answers = np.where(ended[..., None], answers, ideal)
    return np.asarray(answers / answers.sum(axis=-1, keepdims=True))


def deconvolve(
    kernels: ScaledKernels, counts: Floats, rounds: int, support: NDArray[np.bool_] | None = None
) -> Deconvolved:
    """Deconvolve counts at every multiple of the noise, up to half of the shot noise.

    Args:
        kernels: the calibration's, scaled.
        counts: ``(2^m,)`` shots.
        rounds: of Richardson-Lucy, at most.
        support: ``(2^m,)`` True for strings that the ideal may hold; all by default.
    """
    shots, ended = float(counts.sum()), np.full(len(kernels.scales), rounds)

    def explained(made: int, noisy: Floats) -> NDArray[np.bool_]:
        expected = np.maximum(shots * noisy, _RARE)
        found = np.asarray(deviance(counts, expected) <= _FITTED * usual_deviance(expected))
        ended[found] = np.minimum(ended[found], made)
        return found

    seen = np.broadcast_to(counts / shots, kernels.spectrum.shape)
    ideals = richardson_lucy(kernels, seen, rounds, support, explained)
    noisy = kernels.forward(ideals)
    expected = np.maximum(shots * noisy, _RARE)
    return Deconvolved(kernels, ended, ideals, noisy, deviance(counts, expected), *shot_noise(expected))


def redeconvolve(
    kernels: ScaledKernels, seen: Floats, rounds: int, ended: Indices, support: NDArray[np.bool_] | None = None
) -> Floats:
    """Deconvolve other frequencies in as many rounds as counts took: more would be another, sharper estimate.

    Args:
        kernels: one for each row.
        seen: ``(s, 2^m)`` frequencies.
        rounds: of Richardson-Lucy, at most, as in `deconvolve`.
        ended: ``(s,)`` after how many each ends, as `Deconvolved` has it.
        support: ``(s, 2^m)`` True for strings that the ideal may hold; all by default.

    Returns:
        ``(s, 2^m)`` distributions.
    """
    return richardson_lucy(kernels, seen, rounds, support, lambda made, _: ended <= made)


def allowed(found: Deconvolved, shots: float, misfit: float) -> int:
    """Find the multiple of the calibrated noise nearest to 1 under which the counts are no surprise.

    No surprise: the deviance exceeds what shot noise makes of it, or the least one if that is more, by at most three
    standard deviations and the misfit that the kernel itself has. Too much noise cannot explain sharp counts; too
    little always can, and is no evidence.

    Args:
        found: at every multiple.
        shots: of the counts.
        misfit: deviance per shot of a kernel that is right to first order.

    Returns:
        Its place in `found`.
    """
    order = np.argsort(np.abs(np.log(np.maximum(found.kernels.scales, 1e-9))), kind="stable")
    slack = 3 * found.spread + misfit * shots
    fits = found.deviance <= found.usual + slack
    if not fits.any():
        fits = found.deviance <= found.deviance.min() + slack
    return int(order[np.argmax(fits[order])])
