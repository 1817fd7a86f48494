"""Combine deconvolution, the sparse mixture and the raw counts into one answer that is safe to use blind.

The three speak about the same unknown. Under Hellinger fidelity the best compromise between distributions is taken
between their square roots: ``p ~ (sum_i w_i sqrt(p_i))^2`` maximises the expected ``sqrt(fidelity)``. This file
decides the weights. See docs/guard.md.
"""

from typing import Any

import numpy as np

from qcluster.core.channel import as_rates
from qcluster.core.distribution import Distribution
from qcluster.core.evidence import weigh
from qcluster.core.guard_full import answer_full
from qcluster.core.guard_wide import answer_wide
from qcluster.core.verdict import Guarded, GuardSettings, Sparse
from qcluster.core.wording import say_sparse

_PROBABILITIES = 1.0 + 1e-6
"""Sum of the weights up to which they are probabilities."""


def combine(
    distribution: Distribution, fit: Sparse, *, rates: Any = None, settings: GuardSettings | None = None
) -> Guarded:
    """Give the best answer that is safe, and say how sure it is.

    Args:
        distribution: the counts.
        fit: the sparse mixture fitted to them.
        rates: flip rates known beforehand, in any form of `as_rates`: a prior on the flip rate of the
            deconvolution, within a factor of about two, and a bound on the share of shots that tell nothing (not
            much more than the share with a flip). Never needed.
        settings: constants.

    Returns:
        A Guarded. With ``applied=False`` it holds the arrays of `distribution` themselves.

    Cost: that of `deconvolve` for up to ``settings.widest`` bits; beyond, next to nothing.
    """
    settings = settings or GuardSettings()
    if not distribution.n_outcomes or not distribution.n_bits:
        return Guarded(distribution.bits, distribution.weights, False, 0.0, 1.0, "there are no shots to mitigate")
    if distribution.shots < settings.fewest_shots:
        reason = f"{distribution.shots:g} shots are too few to tell errors from the ideal: left as is"
        if distribution.shots <= _PROBABILITIES and distribution.n_outcomes > 1:
            reason = "weights that sum to 1 are probabilities; what can be mitigated are counts of shots: left as is"
        return Guarded(distribution.bits, distribution.weights, False, 0.0, 1.0, reason)
    known = None if rates is None else float(as_rates(rates, distribution.n_bits).mean())
    evidence = weigh(distribution, fit, known, settings)
    if distribution.n_bits > settings.widest:
        return answer_wide(distribution, fit, evidence, settings)
    return answer_full(distribution, fit, evidence, known, settings)


def trust(distribution: Distribution, fit: Sparse) -> Guarded:
    """Answer with the strings of the mixture alone, without a guard: the bare method."""
    reason = f"{say_sparse(fit)}; not guarded"
    return Guarded(
        fit.centroids, fit.weights * distribution.shots, True, 1.0, float(np.clip(fit.agreement, 0, 1)), reason
    )
