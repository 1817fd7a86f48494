"""Rates that a circuit's noise kernel gives counts, at several multiples of its noise; no trained decision has a say.

A machine that has drifted since its calibration makes two or three times the noise that was published. What the counts
look like under each multiple, deconvolved and as few strings, is all that they tell of which one it was.
"""

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_candidates import ROUNDS, kernel_of, words_of
from qcluster.core.dense.richardson_lucy import Deconvolved, deconvolve
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.read_off import read_off
from qcluster.core.stats.goodness import misfit
from qcluster.core.stats.special import perplexity

SCALES = (1.0, 2.0, 3.0)
"""Multiples of the calibrated noise."""
_ENDS = ("", "_2", "_3")
"""Of the columns' names, one for each."""
_RARE = 1e-9
"""Least share of a string that is left."""


def seen_through(counts: Distribution, faults: FaultMasks) -> dict[str, float]:
    """Deconvolve counts, and read few strings off them, at each of `SCALES`.

    Args:
        counts: what was read; nothing is known without a shot or a bit.
        faults: of the circuit that was run.

    Returns:
        By name, of which those in `qcluster.learn.features.FEATURES` are kept. Some 20 ms for up to ten bits.

    Example:
        >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
        >>> found = seen_through(Distribution.of({"0": 900, "1": 100}), FaultMasks(1, *none, np.array([[0.1, 0.1]])))
        >>> round(found["kernel_flip"], 3), round(found["few_rate"], 3)
        (0.1, 0.1)
    """
    if not counts.shots or not counts.n_bits:
        return {}
    kernel, n, shots = kernel_of(counts, faults), counts.n_bits, counts.shots
    read = kernel.index.vector(counts.words, counts.weights)
    found = deconvolve(ScaledKernels.of(kernel, SCALES), read, ROUNDS, None if kernel.index.exact else read > 0)
    words, known = words_of(counts, kernel), dict[str, float]()
    for place, end in enumerate(_ENDS):
        ideal = found.ideals[place]
        few = read_off(kernel, ideal, SCALES[place], read, words)
        strings = few.pure
        beyond, _ = misfit(read, few.kernel.forward(few.ideal))  # with their uniform share, and the rates learned
        known |= {
            f"kernel_flip{end}": 1 - max(float(found.kernels.spectrum[place].mean()), _RARE) ** (1 / n),
            f"kernel_loss{end}": lost(found.noisy[place], ideal, n, shots),
            f"kernel_rate{end}": lost(read / shots, ideal, n, shots),
            f"kernel_entropy{end}": float(np.log2(perplexity(ideal))) / n,
            f"kernel_misfit{end}": _misfit(found, place, shots),
            f"few_rate{end}": lost(read / shots, strings, n, shots),
            f"few_loss{end}": lost(kernel.forward(strings), strings, n, shots),
            f"few_misfit{end}": beyond / float(read.sum()),
            f"few_strings{end}": float(np.log2(len(few.weights))) / n,
            f"few_uniform{end}": few.uniform,
        }
    return known


def lost(noisy: Floats, ideal: Floats, n_bits: int, shots: float) -> float:
    """Give the effective rate, as `qcluster.learn.label.effective_rate` does, of vectors ``(2^m,)`` of probabilities.

    Args:
        noisy: what is read.
        ideal: what should be.
        n_bits: number of bits.
        shots: where less than half of one is left of the most probable strings, half of one stands for it.
    """
    best = ideal >= ideal.max() * (1 - 1e-9)
    share = max(float(noisy[best].sum()), 0.5 / shots)
    return float(1 - (share / ideal[best].sum()) ** (1 / n_bits))


def _misfit(found: Deconvolved, place: int, shots: float) -> float:
    return float(found.deviance[place] - found.usual[place]) / shots
