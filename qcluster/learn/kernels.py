"""Features from the circuit's noise kernel: deconvolve the counts at several multiples of the calibrated noise.

A machine that has drifted since its calibration may have two or three times the published noise. The multiple that
explains the counts best, as a distribution over all strings or as a few strings, indicates how much noise there was.
No trained decision takes part.
"""

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_candidates import kernel_of, words_of
from qcluster.core.dense.richardson_lucy import Deconvolved, deconvolve
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.read_off import few_strings
from qcluster.core.stats.goodness import excess_deviance
from qcluster.core.stats.special import perplexity

SCALES = (1.0, 2.0, 3.0)
"""Multiples of the calibrated noise."""
_ENDS = ("", "_2", "_3")
"""Suffixes of the column names, one for each of `SCALES`."""
_RARE = 1e-9
"""Smallest probability that the kernel leaves a string unchanged."""


def kernel_features(counts: Distribution, faults: FaultMasks) -> dict[str, float]:
    """Deconvolve counts, and estimate a few strings from them, at each of `SCALES`.

    Args:
        counts: what was read; without a shot or a bit the result is empty.
        faults: fault patterns of the circuit that was run.

    Returns:
        Values by name; `qcluster.learn.features.FEATURES` uses some of them. Cost: some 20 ms for up to ten bits.

    Example:
        >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
        >>> faults = FaultMasks(1, *none, np.array([[0.1, 0.1]]))
        >>> features = kernel_features(Distribution.of({"0": 900, "1": 100}), faults)
        >>> round(features["kernel_flip"], 3), round(features["few_rate"], 3)
        (0.1, 0.1)
    """
    if not counts.shots or not counts.n_bits:
        return {}
    kernel, n, shots = kernel_of(counts, faults), counts.n_bits, counts.shots
    read = kernel.index.vector(counts.words, counts.weights)
    deconvolved = deconvolve(ScaledKernels.of(kernel, SCALES), read, None if kernel.index.exact else read > 0)
    words, row = words_of(counts, kernel), dict[str, float]()
    # Whether a bit is misread depends on its value: the mean over all strings is that of symmetric readout.
    unflipped = ScaledKernels.of(kernel_of(counts, faults.symmetrised()), SCALES).spectrum.mean(axis=1)
    for place, end in enumerate(_ENDS):
        ideal = deconvolved.ideals[place]
        strings = few_strings(kernel.scaled(SCALES[place]), ideal, read, words)
        noiseless = strings.noiseless
        expected = strings.kernel.forward(strings.ideal)  # with the uniform share and the fitted rates
        beyond, _ = excess_deviance(read, expected)
        row |= {
            f"kernel_flip{end}": 1 - max(float(unflipped[place]), _RARE) ** (1 / n),
            f"kernel_loss{end}": lost(deconvolved.noisy[place], ideal, n, shots),
            f"kernel_rate{end}": lost(read / shots, ideal, n, shots),
            f"kernel_entropy{end}": float(np.log2(perplexity(ideal))) / n,
            f"kernel_misfit{end}": _misfit(deconvolved, place, shots),
            f"few_rate{end}": lost(read / shots, noiseless, n, shots),
            f"few_loss{end}": lost(kernel.forward(noiseless), noiseless, n, shots),
            f"few_misfit{end}": beyond / float(read.sum()),
            f"few_strings{end}": float(np.log2(len(strings.weights))) / n,
            f"few_uniform{end}": strings.uniform,
        }
    return row


def lost(noisy: Floats, ideal: Floats, n_bits: int, shots: float) -> float:
    """Return the effective rate (`qcluster.learn.label.effective_rate`) of vectors ``(2^m,)`` of probabilities.

    Args:
        noisy: what is read.
        ideal: what should be read.
        n_bits: number of bits.
        shots: number of shots; the probability of the most probable ideal strings counts as at least half a shot.
    """
    best = ideal >= ideal.max() * (1 - 1e-9)
    share = max(float(noisy[best].sum()), 0.5 / shots)
    return float(1 - (share / ideal[best].sum()) ** (1 / n_bits))


def _misfit(deconvolved: Deconvolved, place: int, shots: float) -> float:
    """Return the deviance per shot at one scale, beyond what shot noise causes."""
    return float(deconvolved.deviance[place] - deconvolved.usual[place]) / shots
