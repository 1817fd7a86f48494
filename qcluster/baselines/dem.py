"""DEM: inversion, by a Walsh transform, of the noise that a second circuit measured (arXiv:2501.01953)."""

from typing import Any

import numpy as np

from qcluster.baselines.door import enter
from qcluster.core.arithmetic import default_errstate
from qcluster.core.checks import check_real
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.stats.walsh import LinearIndex, walsh

_WIDEST = 20
"""Largest number of bits for which the transform runs over all strings; wider strings are hashed to this many."""


@default_errstate
def dem(counts: Any, reference_counts: Any, expected: Any, *, truncation: float = 0.0) -> Distribution:
    """Divide by the measured noise in the Walsh domain, ``p^(k) = h^(k) / e^(k)``.

    Let e be the frequencies of the reference's flip patterns (its counts XORed with its expected string). The noisy
    frequencies h are then the XOR-convolution of the ideal ones with e. Negative results are set to 0, and the rest is
    scaled to sum to 1.

    Source: Gonzales, "Quantum distribution error mitigation via the circulant structure of Pauli noise",
    arXiv:2501.01953, which gives the inversion. Where ``|e^(k)|`` is below its own shot noise, the divisor is the shot
    noise with the sign of ``e^(k)``, positive if that is 0. Above 20 bits strings are hashed linearly, so that the
    convolution stays one, and only observed strings are kept; those that are hashed alike divide their probability in
    proportion to their counts. If no probability is left on observed strings, the counts are returned unchanged.

    Args:
        counts: anything that `Distribution.of` takes.
        reference_counts: counts of the noise-estimation circuit.
        expected: its noiseless output, such as ``"0110"``.
        truncation: probabilities below this are set to 0 as well; in [0, 1).

    Returns:
        A distribution with the same number of shots. Cost: three transforms of 2^min(n, 20) numbers.

    Raises:
        ValueError: the widths differ, or truncation leaves nothing.

    Example:
        >>> fixed = dem({"00": 810, "01": 90, "10": 90, "11": 10}, {"10": 810, "11": 90, "00": 90, "01": 10}, "10")
        >>> round(fixed.to_probs()["00"], 6)
        1.0
    """
    truncation = check_real("truncation", truncation, 0, 1, open_high=True, kind="a number")
    observed, noise = Distribution.of(counts), MeasuredNoise(reference_counts, expected)
    if observed.n_bits != noise.n_bits:
        raise ValueError(
            f"counts and reference must have one width; got {observed.n_bits} and {noise.n_bits} bits"
        )  # fmt: skip
    index = LinearIndex(observed.n_bits, _WIDEST)
    seen = index.vector(observed.words, observed.probabilities)
    noisy = walsh(seen, np.float64)
    flipped = walsh(index.vector(noise.patterns.words, noise.patterns.weights), np.float64) / noise.shots
    least = 1 / np.sqrt(noise.shots)
    # Sums of whole shots are exact, so that rounding gives a zero component no sign, on which the answer would depend.
    flipped = np.where(np.abs(flipped) < least, np.where(flipped < 0, -least, least), flipped)
    ideal = walsh(noisy / flipped, np.float64) / index.size
    if index.exact:
        strings = np.arange(index.size, dtype=np.uint64)[:, None]
        kept = ideal
    else:
        strings, number = observed.words, index.of(observed.words)
        kept = ideal[number] * (observed.probabilities / seen[number])
    if not (kept > 1e-12).any():
        return observed
    kept = np.where(kept > max(truncation, 1e-12), kept, 0.0)
    if not kept.any():
        raise ValueError(f"truncation must leave something; nothing is above {truncation}")
    rows = np.flatnonzero(kept)
    return Distribution.from_words(strings[rows], kept[rows] * (observed.shots / kept.sum()), observed.n_bits)


def _answer(counts: Distribution, noise: MeasuredNoise) -> Distribution:
    return dem(counts, noise.reference_counts, noise.expected)


enter(
    "dem",
    "DEM (arXiv:2501.01953): inverts the noise of a reference circuit by a Walsh transform, without truncation.",
    _answer,
    needs="measured",
)
