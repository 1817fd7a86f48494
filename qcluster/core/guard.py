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
from qcluster.core.product import beyond_product, product_evidence, single_string
from qcluster.core.verdict import Guarded, GuardSettings, Sparse

Floats = NDArray[np.float64]

_STRING_ODDS = 3.5
"""Log odds that a product of biased bits must have before it is taken for one string."""
_AGREEMENT = 0.9
"""Least cosine between counts and mixture, where deconvolution can do the work instead."""
_AGREEMENT_WIDE = 0.75
"""The same beyond the full vector: correlated errors cost agreement, and raw counts so wide have little to lose."""

_MANY_BITS, _GLANCE = 8, 16
"""From so many bits, hypotheses that are hopeless after so many steps are not followed further."""


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
    string: NDArray[np.bool_]
    """``(n,)``: what a product of biased bits would be, if it were one string with flips."""
    single: float
    """Probability that it would."""


def _weigh(distribution: Distribution, fit: Sparse, settings: GuardSettings) -> _Evidence:
    n, k = distribution.n_bits, _strings(fit)
    shots = effective_shots(distribution.weights, settings.drift)
    tempering = shots / distribution.shots
    product = product_evidence(distribution.bits, distribution.weights * tempering)
    likelihood = tempering * fit.log_likelihood
    cost = k * n * np.log(2) + 0.5 * np.log(max(shots, 1.0)) * (k + 3 + (1 if fit.simple else n))
    concentrated = fit.perplexity <= 0.35 * min(2.0**n, distribution.shots)
    enough = _AGREEMENT if n <= settings.widest else _AGREEMENT_WIDE
    credible = fit.excess >= 4 and fit.agreement >= enough and (fit.gap >= 5 or concentrated)
    beyond = (likelihood - product.log_likelihood - 2 * np.log(max(shots, 1.0))) / 10
    string, odds = single_string(distribution.bits, distribution.weights)
    single = _sigmoid(odds - _STRING_ODDS + float(np.clip(beyond, 0, 3))) * (fit.excess >= 4)
    several = likelihood - cost if k > 1 else -np.inf
    return _Evidence(tempering, product.evidence, several, credible, string, single)


def _full(d: Distribution, fit: Sparse, seen: _Evidence, known: float | None, settings: GuardSettings) -> Guarded:
    """Average over hypotheses on the full vector."""
    places = 1 << np.arange(d.n_bits)
    vector = np.zeros(1 << d.n_bits)
    vector[d.bits @ places] = d.weights
    clean = least_fidelity(vector)
    if clean > settings.clean:
        reason = f"the counts themselves show that at most {1 - clean:.1%} of shots are in error: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, clean, reason)
    posterior = _posterior(vector * seen.tempering, fit, seen.credible, settings)
    belief, sparsity = _belief(posterior, d, fit, seen, known, settings)
    dense = belief @ posterior.roots
    dense /= np.sqrt(dense @ dense)
    lost = float(belief @ posterior.background)
    raw, kept = np.sqrt(vector / d.shots), smooth(vector)
    near_raw = float(raw @ dense) ** 2

    product, explained = _explained(posterior, seen, settings)
    evidence = max(explained, seen.several) - product
    structure = _sigmoid(beyond_product(vector, settings.drift) / 2 + evidence / 5)
    string, sparse = np.zeros(len(vector)), np.zeros(len(vector))
    string[seen.string @ places] = 1.0
    sparse[fit.centroids @ places] = np.sqrt(fit.weights / fit.weights.sum())
    many = _strings(fit)
    trusted = seen.credible * (seen.single if many == 1 else 1.0) * (1 - _ramp(many / len(vector), 1 / 8, 1 / 4))
    agreed = float(sparse @ dense) ** 2
    share = trusted * sparsity * (1 - lost) * _ramp(agreed, 0.1, 0.9) * (1 - _ramp(near_raw, 0.5, 0.9))
    doubt = settings.doubt_when_simple if fit.simple else settings.doubt
    clear = _sigmoid((seen.several - max(product, explained)) / doubt - 3) * (fit.agreement >= _AGREEMENT)
    share = 0.95 * max(share, clear * (1 - _ramp(near_raw, 0.5, 0.9) * (1 - lost)))
    dense_like = (1 - sparsity) * (1 - agreed * trusted)
    insured = settings.insured + settings.insured_when_lost * lost**3
    insured = min(insured + settings.insured_when_good * _ramp(near_raw, 0.8, 0.9) * dense_like, 0.95)
    parts = structure * np.array([share, (1 - share) * (1 - insured), (1 - share) * insured, 0.0])
    parts += (1 - structure) * np.array([0.0, 0.0, 1 - seen.single, seen.single])
    answer = parts @ np.stack([sparse, dense, kept, string])
    answer /= np.sqrt(answer @ answer)
    gains = np.r_[posterior.roots @ answer - posterior.roots @ raw, (sparse, string) @ answer - (sparse, string) @ raw]
    confidence = float(
        np.r_[structure * (1 - share) * belief, structure * share, (1 - structure) * seen.single] @ (gains > 0)
    )
    mitigated = float(1 - parts[2] * (kept @ raw) ** 2)
    if mitigated < settings.smallest_share:
        reason = "no structure beyond a biased product background: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, 1 - confidence, reason)
    if parts[2] > 0.9:
        reason = "no structure beyond a biased product background: only the sampling noise is smoothed"
        return _hand_over(answer**2, d, mitigated, confidence, reason)
    reason = (
        _say_string(d, seen.string)
        if parts[3] > 0.5
        else _say_sparse(fit)
        if parts[0] > 0.5
        else _say_dense(float(belief @ posterior.flips), lost, float(parts[2]))
    )
    return _hand_over(answer**2, d, mitigated, confidence, reason)


def _explained(posterior: Posterior, seen: _Evidence, settings: GuardSettings) -> tuple[float, float]:
    """Give the best log evidence of a product of biased bits, and that of an ideal under equal flips."""
    equal, hopeless = _equal(posterior, settings), posterior.background > 0.9
    product = max(seen.product, float(posterior.evidence[equal & hopeless].max(initial=-np.inf)))
    return product, float(posterior.evidence[equal & ~hopeless].max(initial=-np.inf))


def _equal(posterior: Posterior, settings: GuardSettings) -> NDArray[np.bool_]:
    """Tell the hypotheses of equal flips from those that follow the learned rates of the mixture."""
    return np.arange(len(posterior.flips)) < len(settings.flips) * (len(settings.strings) + len(settings.densities))


def _posterior(vector: Floats, fit: Sparse, trusted: bool, settings: GuardSettings) -> Posterior:
    """Deconvolve under equal flips of every bit, and under the uneven flips of a mixture that can be trusted."""
    n_bits = len(fit.rates)
    channels = np.broadcast_to(np.array(settings.flips)[:, None, None], (len(settings.flips), n_bits, 2))
    if trusted:
        channels = np.concatenate([channels, np.clip(fit.rates, 0, 0.6)[None]])
    concentration = np.r_[np.array(settings.strings) / (1 << n_bits), settings.densities]
    rates, concentration = np.repeat(channels, len(concentration), axis=0), np.tile(concentration, len(channels))
    if n_bits < _MANY_BITS:
        return deconvolve(vector, rates, concentration)
    glance = deconvolve(vector, rates, concentration, steps=_GLANCE)
    alive = np.flatnonzero(glance.evidence > glance.evidence.max() - 20 * settings.doubt)
    closely = deconvolve(vector, rates[alive], concentration[alive])
    for part in ("roots", "evidence", "background"):
        getattr(glance, part)[alive] = getattr(closely, part)
    return glance


def _belief(
    posterior: Posterior, d: Distribution, fit: Sparse, seen: _Evidence, known: float | None, settings: GuardSettings
) -> tuple[Floats, float]:
    """Weigh the hypotheses, and say how probable the sparse ones are together.

    Tempered evidence, less the cost of learned rates; how much each explains; priors of sparsity and of flip rates.
    """
    learned = ~_equal(posterior, settings)
    cost = np.where(learned, 0.5 * d.n_bits * np.log(max(d.shots * seen.tempering, 1.0)), 0.0) / settings.doubt
    if _strings(fit) == 1:
        cost -= np.where(learned, np.log(max(seen.single, 1e-3)), 0.0)
    log = posterior.evidence / settings.doubt - cost
    log = log + np.log(np.maximum(1 - posterior.background, 1e-3))
    log = log + np.log(_spacing(posterior.concentration))
    log = log + np.where(posterior.concentration > 1, np.log(settings.flat_odds), 0.0)
    typical, spread = settings.typical if known is None else (max(known, 0.005), np.log(2))
    away = np.log(np.maximum(posterior.flips, 0.01 if known is None else 0.005) / typical) / spread
    log = log - 0.5 * away**2
    if known is not None:
        flipped = 1 - (1 - known) ** d.n_bits
        log = log - 10 * np.maximum(posterior.background - flipped, 0)
    belief: Floats = np.exp(log - log.max())
    belief /= belief.sum()
    return belief, float(belief @ (posterior.concentration * posterior.roots.shape[1] <= 3.5))


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
    return Guarded(pooled.bits, weights * (d.shots / weights.sum()), True, share, share, _say_sparse(fit))


def _hand_over(probabilities: Floats, d: Distribution, share: float, confidence: float, reason: str) -> Guarded:
    heavy = np.flatnonzero(probabilities > 1e-9)
    bits = (heavy[:, None] >> np.arange(d.n_bits) & 1).astype(bool)
    weights = probabilities[heavy] * (d.shots / probabilities[heavy].sum())
    return Guarded(bits, weights, True, share, confidence, reason)


def _strings(fit: Sparse) -> int:
    """Count the strings that matter: the effective number, rounded."""
    weights = fit.weights[fit.weights > 0]
    return max(1, round(float(np.exp(-(weights * np.log(weights)).sum()))))


def _say_string(d: Distribution, string: NDArray[np.bool_]) -> str:
    ones = d.weights @ d.bits / d.shots
    flips = np.where(string, 1 - ones, ones)
    return f"bits are independent and biased like one string with {flips.min():.1%} to {flips.max():.1%} flips a bit"


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
