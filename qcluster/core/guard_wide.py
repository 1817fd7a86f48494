"""The guarded answer where the full vector is too long."""

import numpy as np
from numpy.typing import NDArray

from qcluster.core.blend import Blend
from qcluster.core.deconvolve import Posterior
from qcluster.core.distribution import Distribution
from qcluster.core.evidence import (
    Evidence,
    effective_strings,
    log_belief,
    log_noise,
    log_smooth,
    ramp,
    sigmoid,
)
from qcluster.core.observed import deconvolve_observed
from qcluster.core.special import softmax
from qcluster.core.verdict import Guarded, GuardSettings, Sparse
from qcluster.core.wording import say_dense, say_sparse

Floats = NDArray[np.float64]


def answer_wide(d: Distribution, fit: Sparse, seen: Evidence, settings: GuardSettings) -> Guarded:
    """Beyond the full vector, follow the mixture where it is clear, and else ask the strings that were read."""
    one = seen.single if effective_strings(fit) == 1 else 1.0
    raw = np.sqrt(d.probabilities)
    sharp = float(seen.sharp > 0.5)
    if (share := 0.97 * seen.clear * one * sharp) >= settings.smallest_share:
        return _follow(d, fit, share)
    if d.weights.max() < 2:
        reason = "no string was read twice and no few strings explain the shots: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, 1.0, reason)
    flips = np.array(settings.flips[1:-2])
    rates = np.broadcast_to(flips[:, None, None], (len(flips), d.n_bits, 2))
    tempered = d.weights * seen.tempering
    posterior, places, explained = deconvolve_observed(d.bits, tempered, rates, np.array(settings.support))
    beyond = float(posterior.evidence.max()) - seen.product
    share = 0.97 * seen.credible * one * sharp
    if share >= settings.smallest_share and seen.several - seen.product > 0.9 * beyond:
        return _follow(d, fit, share)
    belief, flipped_by = _by_the_machine(posterior, seen, d.n_bits, settings)
    lost, flipped = float(belief @ posterior.background), 1 - (1 - float(belief @ posterior.flips)) ** (2 * d.n_bits)
    structure = sigmoid(beyond / settings.doubt - 3) * ramp(float(belief @ explained), 0.3, 0.6)
    structure *= 1 - ramp(lost - flipped, 0.0, 0.2)  # what scrambles most shots would flip more bits of the others
    structure *= flipped_by
    kept = 1 - structure * (1 - min(settings.insured + settings.insured_when_lost * lost**3, 0.95))
    if 1 - kept < settings.smallest_share:
        reason = "no few strings explain the shots, and the register is too wide for more: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, kept, reason)
    roots = kept * raw
    roots[places] += (1 - kept) * (belief @ posterior.roots)
    weights = roots**2
    reason = say_dense(float(belief @ posterior.flips), lost, kept)
    concentration = np.tile(np.array(settings.support) / len(places), len(flips))
    every = np.repeat(rates, len(settings.support), axis=0)
    blend = Blend(
        (0.0, structure, 1 - structure, 0.0), None, belief, every, concentration, seen.tempering, places=places
    )
    return Guarded(d.bits, weights * (d.shots / weights.sum()), True, 1 - kept, structure, reason, blend)


def _by_the_machine(posterior: Posterior, seen: Evidence, n_bits: int, settings: GuardSettings) -> tuple[Floats, float]:
    """Weigh the hypotheses, and say how probable it is that flips are the machine's, and not those of a smooth ideal.

    What a smooth ideal has beyond the strings that were read is not known here, so that the counts stand for it.
    """
    log = log_belief(posterior, seen.doubt, settings)
    plain, smooth = log_smooth(posterior.strings(), np.inf, settings)
    grid, lost = np.array(settings.flips), posterior.background
    noise = log_noise(grid, lost[:, None], None, n_bits, settings)
    fewer = np.where(grid < posterior.flips[:, None], noise, -np.inf)
    sharp = log + plain + log_noise(posterior.flips, lost, None, n_bits, settings)
    tops = log + smooth + np.logaddexp.reduce(fewer, axis=1)
    return softmax(sharp), sigmoid(float(np.logaddexp.reduce(sharp) - np.logaddexp.reduce(tops)))


def _follow(d: Distribution, fit: Sparse, share: float) -> Guarded:
    """Mix the strings of the mixture with the raw counts."""
    bits = np.vstack([d.bits, fit.centroids])
    roots = np.r_[(1 - share) * np.sqrt(d.probabilities), share * np.sqrt(fit.weights / fit.weights.sum())]
    pooled = Distribution(bits, roots)
    weights = pooled.weights**2
    blend = Blend((share, 0.0, 1 - share, 0.0))
    return Guarded(pooled.bits, weights * (d.shots / weights.sum()), True, share, share, say_sparse(fit), blend)
