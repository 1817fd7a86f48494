"""Undoing a circuit's noise kernel on a broad output: Richardson-Lucy rounds, as many as shot noise allows.

``w <- w . K^T(h / K w)``, K the kernel of the compiled circuit, from the counts h. Two questions are put to the counts
first. Is the calibration's noise too strong for them? Then no w >= 0 gives K w peaks as high as those observed, and the
rates are scaled down. How many rounds are worth it, and is one? A sharper w is measured on counts that are drawn from
itself: the same rounds on pseudo-counts, against the w that they came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.circuit_kernel import Kernel
from qcluster.core.walsh import decay

Floats = NDArray[np.float64]

_TINY = 1e-300


@dataclass(frozen=True)
class DenseSettings:
    """Constants of the deconvolution."""

    scales: tuple[float, ...] = (1.0, 0.8, 0.6, 0.45, 0.3, 0.2)
    """Multiples of the calibration's rates, tried in this order until the counts can be explained."""
    sigmas: float = 4.0
    """Largest surprise, in standard deviations, at which they are."""
    trial: int = 10
    """Rounds before that is judged."""
    rounds: int = 20
    """Rounds at most."""
    pseudo_truth: int = 6
    """Rounds that make the w from which pseudo-counts are drawn."""
    repeats: int = 2
    """Sets of pseudo-counts."""
    keen: float = 0.9
    """Share of the best expected gain at which to stop: further rounds mostly sharpen noise."""


@dataclass(frozen=True, eq=False)
class DenseFit:
    """A deconvolved distribution, and what it is expected to be worth."""

    ideal: Floats
    """(2^m,) the estimate."""
    scale: float
    """Multiple of the calibration's rates that was used; 0 if none explains the counts."""
    rounds: int
    """Rounds made."""
    expected_raw: float
    """Fidelity of raw counts to their source, measured on pseudo-counts."""
    expected: float
    """The same after these rounds."""


def fidelity(p: Floats, q: Floats) -> float:
    """Hellinger fidelity of two vectors of probabilities."""
    return float(min(1.0, np.sqrt(np.maximum(p * q, 0.0)).sum() ** 2))


def sharpen(kernel: Kernel, seen: Floats, rounds: int) -> Iterator[Floats]:
    """Yield the estimate before the first and after every round of Richardson-Lucy (1972, 1974)."""
    ideal = seen
    yield ideal
    for _ in range(rounds):
        noisy = np.maximum(kernel.forward(ideal), _TINY)
        ideal = np.maximum(ideal * kernel.adjoint(np.where(seen > 0, seen / noisy, 0.0)), 0.0)
        ideal /= ideal.sum()
        yield ideal


def slopes(kernel: Kernel, seen: Floats, rounds: int, values: Floats) -> Floats:
    """Give how an average over the estimate follows the counts: ``d(values . w) / d seen``, by going the rounds back.

    Args:
        kernel: as in `sharpen`.
        seen: (2^m,) shares of the counts.
        rounds: as made.
        values: (2^m,) whose average is asked for.

    Returns:
        (2^m,). Cost: that of the rounds, twice.
    """
    path = list(sharpen(kernel, seen, rounds))
    slope, total = values.astype(np.float64), np.zeros_like(seen)
    for ideal in reversed(path[:-1]):
        noisy = np.maximum(kernel.forward(ideal), _TINY)
        ratio = np.where(seen > 0, seen / noisy, 0.0)
        pushed = decay(kernel.spread(slope * ideal), kernel.decays) / noisy
        total += np.where(seen > 0, pushed, 0.0)
        slope = slope * kernel.adjoint(ratio) - kernel.adjoint(ratio * pushed)
    return total + slope


def surprise(kernel: Kernel, ideal: Floats, seen: Floats, shots: float) -> float:
    """Give by how many standard deviations counts are more peaked than the prediction lets them be.

    Mean log-probability of the counts against that of counts drawn from ``K w``.
    """
    noisy = np.maximum(kernel.forward(ideal), _TINY)
    logs = np.log(noisy)
    mean = float(noisy @ logs)
    spread = max(float(noisy @ (logs * logs)) - mean**2, 1e-12)
    return (float(seen @ logs) - mean) / float(np.sqrt(spread / shots))


def deconvolve(kernel: Kernel, counts: Floats, settings: DenseSettings, rng: np.random.Generator) -> DenseFit:
    """Undo the kernel on counts.

    Args:
        kernel: the calibration's.
        counts: (2^m,) shots.
        settings: constants.
        rng: draws the pseudo-counts.

    Returns:
        DenseFit. Cost: about 100 rounds of four Walsh transforms.
    """
    shots = float(counts.sum())
    seen = counts / shots
    for scale in settings.scales:
        scaled = kernel.scaled(scale)
        path = list(sharpen(scaled, seen, settings.trial))
        if surprise(scaled, path[-1], seen, shots) <= settings.sigmas:
            break
    else:
        return DenseFit(seen, 0.0, 0, 1.0, 1.0)
    truth = path[settings.pseudo_truth]
    noisy = scaled.forward(truth)
    noisy /= noisy.sum()
    curve = np.zeros(settings.rounds + 1)
    for _ in range(settings.repeats):
        drawn = rng.multinomial(round(shots), noisy) / round(shots)
        curve += [fidelity(w, truth) for w in sharpen(scaled, drawn, settings.rounds)]
    curve /= settings.repeats
    rounds = int(np.argmax(curve - curve[0] >= settings.keen * (curve.max() - curve[0])))
    *_, ideal = sharpen(scaled, seen, rounds)
    return DenseFit(ideal, scale, rounds, float(curve[0]), float(curve[rounds]))
