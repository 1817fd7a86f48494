"""Combine deconvolution, the sparse mixture and the raw counts into one answer that is safe to use blind.

The three speak about the same unknown. Under Hellinger fidelity the best compromise between distributions is taken
between their square roots: ``p ~ (sum_i w_i sqrt(p_i))^2`` maximises the expected ``sqrt(fidelity)``. This file
decides the weights. See docs/guard.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.channel import as_rates
from qcluster.core.deconvolve import Posterior, deconvolve, effective_shots, smooth
from qcluster.core.distribution import Distribution
from qcluster.core.limits import least_fidelity
from qcluster.core.product import product_evidence, single_string_odds
from qcluster.core.response import Blend
from qcluster.core.verdict import Guarded, GuardSettings, Sparse

Floats = NDArray[np.float64]

_STRING_ODDS = 3.5
"""Log odds that a product of biased bits must have before it is taken for one string."""
_AGREEMENT = 0.9
"""Least cosine between counts and mixture, where deconvolution can do the work instead."""
_AGREEMENT_WIDE = 0.75
"""The same beyond the full vector: correlated errors cost agreement, and raw counts so wide have little to lose."""


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
        return Guarded(distribution.bits, distribution.weights, False, 0.0, 1.0, reason)
    known = None if rates is None else float(as_rates(rates, distribution.n_bits).mean())
    evidence = _weigh(distribution, fit, settings)
    if distribution.n_bits > settings.widest:
        return _wide(distribution, fit, evidence, settings)
    return _full(distribution, fit, evidence, known, settings)


def trust(distribution: Distribution, fit: Sparse) -> Guarded:
    """Answer with the strings of the mixture alone, without a guard: the bare method."""
    reason = f"{_say_sparse(fit)}; not guarded"
    return Guarded(
        fit.centroids, fit.weights * distribution.shots, True, 1.0, float(np.clip(fit.agreement, 0, 1)), reason
    )


@dataclass(frozen=True)
class _Evidence:
    """What the counts say about structure, before any full vector is built."""

    tempering: float
    """Effective shots over shots."""
    product: float
    """Log evidence of a product of biased bits."""
    several: float
    """Log evidence of the sparse mixture where it has more than one string; a single string is a product too."""
    credible: bool
    """The mixture explains the counts, and its number of strings is clear or the counts are concentrated."""
    single: float
    """Probability that a product of biased bits would be one string with flips."""


def _weigh(distribution: Distribution, fit: Sparse, settings: GuardSettings) -> _Evidence:
    n, k = distribution.n_bits, _strings(fit)
    shots = effective_shots(distribution.weights, settings.drift)
    tempering = shots / distribution.shots
    product = product_evidence(distribution.bits, distribution.weights * tempering)
    likelihood = tempering * fit.log_likelihood
    cost = k * n * np.log(2) + 0.5 * np.log(max(shots, 1.0)) * (k + n + 3)
    concentrated = fit.perplexity <= 0.35 * min(2.0**n, distribution.shots)
    enough = _AGREEMENT if n <= settings.widest else _AGREEMENT_WIDE
    credible = fit.excess >= 4 and fit.agreement >= enough and (fit.gap >= 5 or concentrated)
    beyond = (likelihood - product.log_likelihood - 2 * np.log(max(shots, 1.0))) / 10
    heaviest = fit.centroids[int(np.argmax(fit.weights))]
    odds = single_string_odds(distribution.bits, distribution.weights, heaviest) - _STRING_ODDS
    single = _sigmoid(odds + float(np.clip(beyond, 0, 3))) * credible
    several = likelihood - cost if k > 1 else -np.inf
    return _Evidence(tempering, product.evidence, several, credible, single)


def _full(d: Distribution, fit: Sparse, seen: _Evidence, known: float | None, settings: GuardSettings) -> Guarded:
    """Average over hypotheses on the full vector."""
    n_strings = 1 << d.n_bits
    places = 1 << np.arange(d.n_bits)
    vector, sparse = np.zeros(n_strings), np.zeros(n_strings)
    vector[d.bits @ places] = d.weights
    clean = least_fidelity(vector)
    if clean > settings.clean:
        reason = f"the counts themselves show that at most {1 - clean:.1%} of shots are in error: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, clean, reason)
    sparse[fit.centroids @ places] = np.sqrt(fit.weights / fit.weights.sum())
    channels, posterior = _posterior(vector * seen.tempering, fit, seen.credible, settings)
    few = posterior.concentration * n_strings <= 3.5
    learned = np.arange(len(few)) >= len(settings.flips) * (len(settings.strings) + len(settings.densities))
    equal, hopeless = ~learned, posterior.background > 0.9
    product = max(seen.product, float(posterior.evidence[equal & hopeless].max(initial=-np.inf)))
    explained = float(posterior.evidence[equal & ~hopeless].max(initial=-np.inf))
    beyond_product = max(explained, seen.several) - product
    learned_cost = np.where(learned, 0.5 * d.n_bits * np.log(max(d.shots * seen.tempering, 1.0)), 0.0)
    if _strings(fit) == 1:
        learned_cost = learned_cost - settings.doubt * np.where(learned, np.log(max(seen.single, 1e-3)), 0.0)
    belief = _belief(posterior, learned_cost, few, beyond_product, seen.single, known, settings)
    dense = belief @ posterior.roots
    dense /= np.sqrt(dense @ dense)
    lost = float(belief @ posterior.background)
    sparsity = float(belief @ few)
    raw, kept = np.sqrt(vector / d.shots), smooth(vector)
    near_raw = float(raw @ dense) ** 2

    structure = _sigmoid((beyond_product + 3) / 4)
    believed = structure + (1 - structure) * seen.single
    agreed = float(sparse @ dense) ** 2
    trust = seen.credible * (seen.single if _strings(fit) == 1 else believed)
    share = (
        0.95
        * trust
        * sparsity
        * (1 - lost)
        * _ramp(agreed, 0.1, 0.9)
        * (1 - _ramp(near_raw, 0.5, 0.9))
        * (1 - _ramp(_strings(fit) / n_strings, 1 / 8, 1 / 4))
    )
    clear = _sigmoid((seen.several - max(product, explained)) / settings.doubt - 3)
    little_to_win = _ramp(near_raw, 0.5, 0.9) * (1 - lost)  # hopeless hypotheses are near the raw counts, too
    share = max(share, 0.95 * clear * (fit.agreement >= _AGREEMENT) * (1 - little_to_win))
    dense_like = (1 - sparsity) * (1 - agreed * trust)
    insured = settings.insured + lost**4 + settings.insured_when_good * _ramp(near_raw, 0.65, 0.9) * dense_like
    insured = 1 - (1 - min(insured, 0.95)) * believed
    parts = np.array([share, (1 - share) * (1 - insured), (1 - share) * insured])
    answer = parts @ np.stack([sparse, dense, kept])
    answer /= np.sqrt(answer @ answer)
    few_part, dense_part, kept_part = parts.tolist()
    blend = Blend((few_part, dense_part, kept_part), belief, channels, posterior.concentration, seen.tempering)
    nearer = belief @ (posterior.roots @ answer > posterior.roots @ raw)
    confidence = min(1.0, float((1 - share) * nearer + share * (sparse @ answer > sparse @ raw)))
    mitigated = float(1 - parts[2] * (kept @ raw) ** 2)
    if mitigated < settings.smallest_share:
        reason = "no structure beyond a biased product background: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, 1 - believed * confidence, reason)
    if parts[2] > 0.9:
        reason = "no structure beyond a biased product background: only the sampling noise is smoothed"
        return _hand_over(answer**2, d, mitigated, confidence, reason, blend)
    reason = _say_sparse(fit) if share > 0.5 else _say_dense(float(belief @ posterior.flips), lost, float(parts[2]))
    return _hand_over(answer**2, d, mitigated, confidence, reason, blend)


def _posterior(vector: Floats, fit: Sparse, trusted: bool, settings: GuardSettings) -> tuple[Floats, Posterior]:
    """Deconvolve under equal flips of every bit, and under the uneven flips of a mixture that can be trusted."""
    n_bits = len(fit.rates)
    channels = np.broadcast_to(np.array(settings.flips)[:, None, None], (len(settings.flips), n_bits, 2))
    if trusted:
        channels = np.concatenate([channels, np.clip(fit.rates, 0, 0.6)[None]])
    concentration = np.r_[np.array(settings.strings) / (1 << n_bits), settings.densities]
    rates = np.repeat(channels, len(concentration), axis=0)
    return rates, deconvolve(vector, rates, np.tile(concentration, len(channels)))


def _belief(
    posterior: Posterior,
    cost: Floats,
    few: NDArray[np.bool_],
    beyond_product: float,
    single: float,
    known: float | None,
    settings: GuardSettings,
) -> Floats:
    """Weigh the hypotheses: tempered evidence less the cost of learned rates, prior, and how much each explains.

    Where a product of biased bits explains the counts nearly as well, a sparse ideal is as probable as a single
    string is.
    """
    log = (posterior.evidence - cost) / settings.doubt
    log = log + np.log(np.maximum(1 - posterior.background, 1e-3))
    log = log + np.log(_spacing(posterior.concentration))
    log = log + np.where(posterior.concentration > 1, np.log(settings.flat_odds), 0.0)
    product_like = 1 - _sigmoid((beyond_product - 6) / 3)
    log = log + np.where(few, product_like * np.log(max(single, 0.02)), 0.0)
    if known is not None:
        n_bits = posterior.roots.shape[1].bit_length() - 1
        octaves = np.log2(np.maximum(posterior.flips, 0.005) / max(known, 0.005))
        log = log - 0.5 * octaves**2
        flipped = 1 - (1 - known) ** n_bits
        log = log - 10 * np.maximum(posterior.background - flipped, 0)
    belief: Floats = np.exp(log - log.max())
    belief /= belief.sum()
    return belief


def _spacing(concentration: Floats) -> Floats:
    """Give the length of ln(concentration) that each hypothesis stands for, so that none is counted twice."""
    tried, which = np.unique(np.log(concentration), return_inverse=True)
    if len(tried) == 1:
        return np.ones(len(concentration))
    edges = np.r_[tried[0], (tried[1:] + tried[:-1]) / 2, tried[-1]]
    lengths: Floats = np.diff(edges)[which]
    return lengths


def _wide(d: Distribution, fit: Sparse, seen: _Evidence, settings: GuardSettings) -> Guarded:
    """Beyond the full vector only the sparse mixture can speak."""
    share = 0.97 * seen.credible * (seen.single if _strings(fit) == 1 else 1.0)
    if share < settings.smallest_share:
        reason = "no few strings explain the shots, and the register is too wide for more: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, 1 - share, reason)
    bits = np.vstack([d.bits, fit.centroids])
    roots = np.r_[(1 - share) * np.sqrt(d.probabilities), share * np.sqrt(fit.weights / fit.weights.sum())]
    pooled = Distribution(bits, roots)
    weights = pooled.weights**2
    blend = Blend((share, 0.0, 1 - share))
    return Guarded(pooled.bits, weights * (d.shots / weights.sum()), True, share, share, _say_sparse(fit), blend)


def _hand_over(
    probabilities: Floats, d: Distribution, share: float, confidence: float, reason: str, blend: Blend
) -> Guarded:
    heavy = np.flatnonzero(probabilities > 1e-9)
    bits = (heavy[:, None] >> np.arange(d.n_bits) & 1).astype(bool)
    weights = probabilities[heavy] * (d.shots / probabilities[heavy].sum())
    return Guarded(bits, weights, True, share, confidence, reason, blend)


def _strings(fit: Sparse) -> int:
    """Count the strings that matter: the effective number, rounded."""
    weights = fit.weights[fit.weights > 0]
    return max(1, round(float(np.exp(-(weights * np.log(weights)).sum()))))


def _say_sparse(fit: Sparse) -> str:
    many = _strings(fit)
    strings = f"{many} string{'s' if many > 1 else ''}"
    return f"{1 - fit.background:.0%} of shots explained by {strings} and {fit.flip_rate:.1%} flips per bit"


def _say_dense(flips: float, lost: float, raw: float) -> str:
    return (
        f"about {flips:.0%} flips per bit undone, {lost:.0%} of shots taken for background, "
        f"{raw:.0%} of the raw counts kept as insurance"
    )


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(x, -50, 50))))


def _ramp(x: float, low: float, high: float) -> float:
    return float(np.clip((x - low) / (high - low), 0, 1))
