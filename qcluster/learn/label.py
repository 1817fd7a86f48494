"""The label of the rate model, and the same figure taken against a mitigated answer instead of the ideal output."""

from typing import Any

import numpy as np

from qcluster.core.arithmetic import own_errstate
from qcluster.core.counts.bits import by_contents
from qcluster.core.counts.distribution import Distribution, align
from qcluster.core.counts.metrics import entropy
from qcluster.core.mitigate import mitigate
from qcluster.core.noise.faults import FaultMasks


@own_errstate
def effective_rate(counts: Any, ideal: Any) -> float:
    """Compute the label: ``1 - (h(s)/ideal(s))^(1/m)``, s the most probable ideal string, m the number of bits.

    Where several strings share the largest ideal probability, h and ideal are summed over all of them, which is the
    same for one string and less noisy for many. Slightly negative where noise favours s; where s was never read, half
    a shot stands for it.

    Args:
        counts: what was read; anything that `Distribution.of` takes.
        ideal: what should have been read.

    Source: arXiv:2504.10801; reproduces its published table.

    Example:
        >>> round(effective_rate({"00": 81, "01": 19}, {"00": 1}), 6)
        0.1
    """
    read, wanted = Distribution.of(counts), Distribution.of(ideal)
    _, seen, right = align(read, wanted)
    best = right >= right.max() * (1 - 1e-9)
    share = float(seen[best].sum()) or 0.5 / read.shots
    return float(1 - (share / right[best].sum()) ** (1 / read.n_bits))


def answered(counts: Distribution, noise: FaultMasks | None = None) -> tuple[float, float, float]:
    """Mitigate counts, and take the answer for the ideal output.

    Args:
        counts: what was read.
        noise: what is known of the noise, for `mitigate`.

    Returns:
        The effective rate against the answer, the answer's entropy in units of the number of bits, and its largest
        probability.
    """
    if noise is None:  # deconvolutions of many bits are in single precision
        counts = counts.marginal(by_contents(counts.bits, counts.weights).tolist())
    answer = mitigate(counts, noise).distribution
    top = float(answer.weights.max() / answer.shots)
    return effective_rate(counts, answer), entropy(answer, normalised=True), top


def saturated(counts: Any, ideal: Any) -> bool:
    """Tell whether the label is of shots so mixed that the right strings are no more frequent than any others.

    Such a label says where uniform noise ends, not how strong the noise was: it rises no further. Flat ideal outputs
    have no such end, since noise takes nothing from them.

    Args:
        counts: what was read.
        ideal: what should have been read.

    Returns:
        True where the most probable ideal strings were read as often as in uniform noise, to within three standard
        deviations, while the ideal output has them more often by far more than that.

    Example:
        >>> saturated({"00": 251, "01": 249, "10": 250, "11": 250}, {"00": 1})
        True
    """
    read, wanted = Distribution.of(counts), Distribution.of(ideal)
    _, seen, right = align(read, wanted)
    best = right >= right.max() * (1 - 1e-9)
    uniform = float(best.sum()) * 2.0**-read.n_bits
    noise = 3 * float(np.sqrt(uniform * (1 - min(uniform, 1.0)) / read.shots))
    return float(seen[best].sum()) < uniform + noise and float(right[best].sum()) > uniform + 3 * noise
