"""The guarded answer on the full vector of 2^n probabilities: an average over hypotheses, mixture and counts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import index_bits
from qcluster.core.blend import Blend
from qcluster.core.deconvolve import Posterior, deconvolve, smooth
from qcluster.core.distribution import Distribution
from qcluster.core.evidence import Evidence, belief_in, effective_strings, is_sparse, ramp, sigmoid
from qcluster.core.limits import least_fidelity
from qcluster.core.product import beyond_product
from qcluster.core.verdict import Guarded, GuardSettings, Sparse
from qcluster.core.wording import say_dense, say_sparse, say_string

Floats = NDArray[np.float64]

_MANY_BITS, _GLANCE = 8, 16
"""From so many bits, hypotheses that are hopeless after so many steps are not followed further."""
_UNLIKE = 0.5
"""Spread of ln(rate) from bit to bit of one machine."""
_MANY_FLIPS = 0.115
"""Flips per bit that are rare on machines of today: above the upper quartile less the background."""


def answer_full(d: Distribution, fit: Sparse, seen: Evidence, known: float | None, settings: GuardSettings) -> Guarded:
    """Average over hypotheses on the full vector."""
    places = 1 << np.arange(d.n_bits)
    vector = np.zeros(1 << d.n_bits)
    vector[d.bits @ places] = d.weights
    clean = least_fidelity(vector)
    if clean > settings.clean:
        reason = f"the counts themselves show that at most {1 - clean:.1%} of shots are in error: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, clean, reason)
    mean = _average(vector, d, fit, seen, known, settings)
    raw, kept = np.sqrt(vector / d.shots), smooth(vector)
    string, sparse = np.zeros(len(vector)), np.zeros(len(vector))
    string[seen.string @ places] = 1.0
    sparse[fit.centroids @ places] = np.sqrt(fit.weights / fit.weights.sum())
    structure = sigmoid(
        beyond_product(vector, settings.drift) / 2 + (max(mean.explained, seen.several) - mean.product) / 5
    )
    share, insured = _shares(
        mean, fit, seen, float(sparse @ mean.dense) ** 2, float(raw @ mean.dense) ** 2, structure, settings
    )
    parts = structure * np.array([share, (1 - share) * (1 - insured), (1 - share) * insured, 0.0])
    parts += (1 - structure) * np.array([0.0, 0.0, 1 - seen.single, seen.single])
    answer = parts @ np.stack([sparse, mean.dense, kept, string])
    answer /= np.sqrt(answer @ answer)
    redrawn = (structure * share, structure * (1 - share), (1 - structure) * (1 - seen.single), parts[3])
    blend = Blend(redrawn, seen.string, mean.belief, *_hypotheses(fit, seen.credible > 0.5, settings), seen.tempering)
    believed = np.r_[structure * (1 - share) * mean.belief, structure * share, (1 - structure) * seen.single]
    confidence = min(1.0, float(believed @ (np.vstack([mean.posterior.roots, sparse, string]) @ (answer - raw) > 0)))
    mitigated = float(1 - parts[2] * (kept @ raw) ** 2)
    if mitigated < settings.smallest_share:
        reason = "no structure beyond a biased product background: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, 1 - confidence, reason)
    if parts[2] > 0.9:
        reason = "no structure beyond a biased product background: only the sampling noise is smoothed"
    elif parts[3] > 0.5:
        reason = say_string(d, seen.string)
    elif parts[0] > 0.5:
        reason = say_sparse(fit)
    else:
        reason = say_dense(float(mean.belief @ mean.posterior.flips), mean.lost, float(parts[2]))
    return _hand_over(answer**2, d, mitigated, confidence, reason, blend)


class _Average(NamedTuple):
    """The hypotheses of the deconvolution, and what they say together."""

    posterior: Posterior
    belief: Floats
    """``(n_hypotheses,)``, sum 1."""
    dense: Floats
    """``(2**n,)``: mean square root of the ideal, unit length."""
    lost: float
    """Share of shots that tell nothing."""
    sparsity: float
    """Probability that a few strings matter, and not more."""
    product: float
    """Log evidence of a product of biased bits, the best there is."""
    explained: float
    """Best log evidence of an ideal under equal flips."""


def _average(
    vector: Floats, d: Distribution, fit: Sparse, seen: Evidence, known: float | None, settings: GuardSettings
) -> _Average:
    posterior = _posterior(vector * seen.tempering, fit, seen.credible > 0.5, settings)
    equal = np.arange(len(posterior.flips)) < len(settings.flips) * (len(settings.strings) + len(settings.densities))
    odds = _odds(posterior, ~equal, d, fit, seen)
    belief = belief_in(posterior, odds, seen.doubt, known, d.n_bits, settings)
    dense = belief @ posterior.roots
    hopeless = posterior.background > 0.9
    return _Average(
        posterior,
        belief,
        dense / np.sqrt(dense @ dense),
        lost=float(belief @ posterior.background),
        sparsity=float(belief @ is_sparse(posterior)),
        product=max(seen.product, float(posterior.evidence[equal & hopeless].max(initial=-np.inf))),
        explained=float(posterior.evidence[equal & ~hopeless].max(initial=-np.inf)),
    )


def _odds(posterior: Posterior, learned: NDArray[np.bool_], d: Distribution, fit: Sparse, seen: Evidence) -> Floats:
    """Give the log prior odds of hypotheses, from what the mixture found.

    Learned rates cost their number (in evidence, doubt counted in), and rates of one machine resemble each other. Few
    strings are believed as far as the mixture explains the counts; many flips, where shots hardly outnumber the
    strings, only if it explains them wholly: then smooth outputs cannot be told from flips.
    """
    rates = np.log(np.clip(fit.rates.mean(axis=1), 0.003, 1.0))
    cost = 0.5 * d.n_bits * np.log(max(d.shots * seen.tempering, 1.0)) / seen.doubt
    cost += 0.5 * float(((rates - rates.mean()) ** 2).sum()) / _UNLIKE**2
    if effective_strings(fit) == 1:
        cost -= np.log(max(seen.single, 1e-3))
    explained, wholly = max(ramp(fit.agreement, 0.8, 0.95), 0.2), max(ramp(fit.agreement, 0.98, 1.0), 1e-4)
    crowded = 1 - ramp(d.shots / posterior.roots.shape[1], 2, 8)
    few = np.log(explained) + np.where(posterior.flips > _MANY_FLIPS, crowded * np.log(wholly), 0.0)
    odds: Floats = np.where(is_sparse(posterior), few, 0.0) - np.where(learned, cost, 0.0)
    return odds


def _shares(
    mean: _Average,
    fit: Sparse,
    seen: Evidence,
    agreed: float,
    near_raw: float,
    structure: float,
    settings: GuardSettings,
) -> tuple[float, float]:
    """Say how far to follow the mixture, and how much of the raw counts to keep where it is not followed.

    Args:
        mean: the hypotheses.
        fit: the mixture.
        seen: what the counts say of structure.
        agreed: fidelity between the mixture and the deconvolution.
        near_raw: fidelity between the raw counts and the deconvolution.
        structure: probability that the counts are no product of biased bits.
        settings: constants.
    """
    many, n_strings = effective_strings(fit), len(mean.dense)
    one = max(seen.single, structure * ramp(fit.agreement, 0.95, 0.99)) if many == 1 else 1.0
    trusted = seen.credible * one * (1 - ramp(many / n_strings, 3 / 16, 7 / 16))
    little = ramp(near_raw, 0.5, 0.9) * (1 - ramp(agreed, 0.85, 0.97))  # to win, and more to lose
    share = trusted * mean.sparsity * (1 - mean.lost) * ramp(agreed, 0.1, 0.9) * (1 - little)
    doubt = settings.doubt_when_simple if fit.simple else settings.doubt
    clear = sigmoid((seen.several - max(mean.product, mean.explained)) / doubt - 3) * seen.agrees
    share = 0.95 * max(share, clear * (1 - ramp(near_raw, 0.5, 0.9) * (1 - mean.lost)))
    dense_like = (1 - mean.sparsity) * (1 - agreed * trusted)
    insured = settings.insured + settings.insured_when_lost * mean.lost**3
    return share, min(insured + settings.insured_when_good * ramp(near_raw, 0.7, 0.85) * dense_like, 0.95)


def _hypotheses(fit: Sparse, trusted: bool, settings: GuardSettings) -> tuple[Floats, Floats]:
    """Pair equal flips, and the uneven ones of a mixture that can be trusted, with every concentration."""
    n_bits = len(fit.rates)
    channels = np.broadcast_to(np.array(settings.flips)[:, None, None], (len(settings.flips), n_bits, 2))
    if trusted:
        channels = np.concatenate([channels, np.clip(fit.rates, 0, 0.6)[None]])
    concentration = np.r_[np.array(settings.strings) / (1 << n_bits), settings.densities]
    return np.repeat(channels, len(concentration), axis=0), np.tile(concentration, len(channels))


def _posterior(vector: Floats, fit: Sparse, trusted: bool, settings: GuardSettings) -> Posterior:
    """Deconvolve under all hypotheses."""
    n_bits = len(fit.rates)
    rates, concentration = _hypotheses(fit, trusted, settings)
    if n_bits < _MANY_BITS:
        return deconvolve(vector, rates, concentration)
    glance = deconvolve(vector, rates, concentration, steps=_GLANCE)
    alive = np.flatnonzero(glance.evidence > glance.evidence.max() - 20 * settings.doubt)
    closely = deconvolve(vector, rates[alive], concentration[alive])
    for part in ("roots", "evidence", "background"):
        getattr(glance, part)[alive] = getattr(closely, part)
    return glance


def _hand_over(
    probabilities: Floats, d: Distribution, share: float, confidence: float, reason: str, blend: Blend
) -> Guarded:
    heavy = np.flatnonzero(probabilities > 1e-9)
    weights = probabilities[heavy] * (d.shots / probabilities[heavy].sum())
    return Guarded(index_bits(heavy, d.n_bits), weights, True, share, confidence, reason, blend)
