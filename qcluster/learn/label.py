"""The label of the rate model, and the same quantity with a mitigated answer in place of the ideal output."""

from typing import Any

import numpy as np

from qcluster.core.arithmetic import default_errstate
from qcluster.core.counts.bits import columns_by_weight
from qcluster.core.counts.distribution import Distribution, align
from qcluster.core.counts.metrics import entropy
from qcluster.core.mitigate import mitigate
from qcluster.core.noise.faults import FaultMasks


@default_errstate
def effective_rate(counts: Any, ideal: Any) -> float:
    """Compute the label: ``1 - (h(s)/ideal(s))^(1/m)``, s the most probable ideal string, m the number of bits.

    Where several strings share the largest ideal probability, h and ideal are summed over all of them; for equal
    strings this is the same quantity with less shot noise. The rate is slightly negative where noise favours s. If s
    was never read, it counts as half a shot.

    Args:
        counts: what was read; anything that `Distribution.of` accepts.
        ideal: the ideal output.

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


def plug_in_label(counts: Distribution, noise: FaultMasks | None = None) -> tuple[float, float, float]:
    """Mitigate counts and use the answer in place of the ideal output.

    Args:
        counts: what was read.
        noise: the ``noise=`` of `mitigate`.

    Returns:
        The effective rate against the answer, the entropy of the answer divided by the number of bits, and the largest
        probability of the answer.
    """
    if noise is None:  # deconvolutions of many bits are in single precision
        counts = counts.marginal(columns_by_weight(counts.bits, counts.weights).tolist())
    answer = mitigate(counts, noise).distribution
    top = float(answer.weights.max() / answer.shots)
    return effective_rate(counts, answer), entropy(answer, normalised=True), top


def saturated(counts: Any, ideal: Any) -> bool:
    """Return whether noise has mixed the shots so much that the right strings are no more frequent than any others.

    The label of such a run does not measure how strong the noise was: beyond this point it no longer rises. Runs with a
    flat ideal output are never saturated, since uniform noise does not change it.

    Args:
        counts: what was read.
        ideal: the ideal output.

    Returns:
        True if the most probable ideal strings were read no more often than in uniform noise, within three standard
        deviations, although their ideal probability exceeds the uniform one by far more than that.

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
