"""The guarded answer on the full vector of 2^n probabilities: an average over hypotheses, mixture and counts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import index_bits
from qcluster.core.blend import Blend
from qcluster.core.blurred import blurred_roots, left_over
from qcluster.core.deconvolve import IndependentFlips, Posterior, deconvolve, smooth
from qcluster.core.distribution import Distribution
from qcluster.core.evidence import (
    Evidence,
    effective_strings,
    is_sparse,
    log_belief,
    log_exact,
    log_noise,
    log_smooth,
    normalised,
    ramp,
    sigmoid,
)
from qcluster.core.limits import least_fidelity
from qcluster.core.product import beyond_product
from qcluster.core.verdict import Guarded, GuardSettings, Sparse
from qcluster.core.wording import say_dense, say_sparse, say_string

Floats = NDArray[np.float64]

_MANY_BITS, _GLANCE = 8, 16
"""From so many bits, hypotheses that are hopeless after so many steps are not followed further."""
_HOPELESS = 12.0
"""Log odds against a hypothesis from which its flips are not shared out between machine and ideal."""
_NEAR = (0.6, 1.0)
"""Fidelity between raw counts and deconvolution from which little is to win, and nearly nothing."""
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
    share = _followed(mean, fit, seen, float(sparse @ mean.sharp) ** 2, structure, settings)
    insured = _insured(mean, float(raw @ mean.dense) ** 2, settings)
    parts = structure * np.array([share, (1 - share) * (1 - insured), (1 - share) * insured, 0.0])
    parts += (1 - structure) * np.array([0.0, 0.0, 1 - seen.single, seen.single])
    answer = parts @ np.stack([sparse, mean.dense, kept, string])
    answer /= np.sqrt(answer @ answer)
    redrawn = (structure * share, structure * (1 - share), (1 - structure) * (1 - seen.single), parts[3])
    blend = Blend(redrawn, seen.string, mean.belief, mean.rates, mean.concentration, seen.tempering, blur=mean.blur)
    believed = np.r_[structure * (1 - share) * mean.belief, structure * share, (1 - structure) * seen.single]
    confidence = min(1.0, float(believed @ (np.vstack([mean.roots, sparse, string]) @ (answer - raw) > 0)))
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
        reason = say_dense(mean.undone, mean.lost, float(parts[2]))
    return _hand_over(answer**2, d, mitigated, confidence, reason, blend)


class _Average(NamedTuple):
    """The hypotheses, each with a share of the flips that is the machine's, and what they say together."""

    belief: Floats
    """``(m,)``, sum 1."""
    roots: Floats
    """``(m, 2**n)``: mean square root of the ideal, unit length."""
    rates: Floats
    """``(m, n, 2)``: all flips that are seen."""
    concentration: Floats
    """``(m,)``."""
    blur: Floats
    """``(m,)``: flips that the ideal itself has in place of the machine."""
    dense: Floats
    """``(2**n,)``: mean square root of the ideal, unit length."""
    sharp: Floats
    """The same, if the machine made all flips."""
    undone: float
    """Flips per bit of the machine."""
    lost: float
    """Share of shots that tell nothing."""
    few: float
    """Probability that a few strings matter, and not more, were the machine's flips undone or all."""
    sparse: float
    """The same, and that the machine made all flips."""
    product: float
    """Log evidence of a product of biased bits, the best there is."""
    explained: float
    """Best log evidence of an ideal under equal flips."""


def _average(
    vector: Floats, d: Distribution, fit: Sparse, seen: Evidence, known: float | None, settings: GuardSettings
) -> _Average:
    rates, concentration = _hypotheses(fit, seen.credible > 0.5, settings)
    found = _posterior(vector * seen.tempering, rates, concentration, settings)
    equal = np.arange(len(rates)) < len(settings.flips) * (len(settings.strings) + len(settings.densities))
    log = log_belief(found, seen.doubt, settings) + _odds(found, ~equal, d, fit, seen)
    strings, few = np.where(equal, found.strings(), effective_strings(fit)), is_sparse(found)
    plain, smooth_by = log_smooth(strings, settings)
    exactly = np.flatnonzero(equal & few)
    gap = _gap(vector, d.shots, found, rates, exactly)
    plain[exactly] += np.maximum(log_exact(gap, strings[exactly], d, fit), 0)  # real flips are not quite equal
    which, flips, weight = [np.arange(len(rates))], [found.flips], [log + plain]
    for rate in settings.flips:
        more = np.flatnonzero(equal & (found.flips > rate) & (log > log.max() - _HOPELESS))
        which.append(more)
        flips.append(np.full(len(more), rate))
        weight.append(log[more] + smooth_by[more])
    of, made = np.concatenate(which), np.concatenate(flips)
    lost = found.background[of]
    belief = normalised(np.concatenate(weight) + log_noise(made, lost, known, d.n_bits, settings))
    blur = left_over(found.flips[of], made)
    n_sharp = len(rates)
    blur[:n_sharp] = 0.0
    roots = np.vstack([found.roots, blurred_roots(found.shapes[of[n_sharp:]], blur[n_sharp:])])
    dense, sharp = belief @ roots, belief[:n_sharp] @ found.roots
    hopeless = found.background > 0.9
    return _Average(
        belief,
        roots,
        rates[of],
        concentration[of],
        blur,
        dense / np.sqrt(dense @ dense),
        sharp / np.sqrt(sharp @ sharp),
        undone=float(belief @ made),
        lost=float(belief @ lost),
        few=float(belief @ few[of]),
        sparse=float(belief[:n_sharp] @ few),
        product=max(seen.product, float(found.evidence[equal & hopeless].max(initial=-np.inf))),
        explained=float(found.evidence[equal & ~hopeless].max(initial=-np.inf)),
    )


def _gap(vector: Floats, shots: float, found: Posterior, rates: Floats, which: NDArray[np.intp]) -> Floats:
    """Give how much the cosine between counts and their explanation lacks of 1, the uniform part taken from both."""
    uniform = 1 / len(vector)
    sent = found.shapes[which] / found.shapes[which].sum(axis=1, keepdims=True)
    lost = found.background[which, None]
    read = (1 - lost) * (IndependentFlips(rates[which], sent.dtype)(sent) - uniform)
    collisions = float(vector @ (vector - 1)) / max(shots * (shots - 1), 1.0) - uniform
    cosine = read @ (vector / shots - uniform) / np.sqrt(np.maximum(collisions * (read * read).sum(axis=1), 1e-300))
    return np.asarray(1 - cosine if collisions > 0 else np.ones(len(which)))


def _odds(posterior: Posterior, learned: NDArray[np.bool_], d: Distribution, fit: Sparse, seen: Evidence) -> Floats:
    """Give the log prior odds of hypotheses, from what the mixture found.

    Learned rates cost their number (in evidence, doubt counted in), and rates of one machine resemble each other. Few
    strings are believed as far as the mixture explains the counts; many flips, where shots hardly outnumber the
    strings, only if it explains them wholly.
    """
    rates = np.log(np.clip(fit.rates.mean(axis=1), 0.003, 1.0))
    cost = 0.5 * d.n_bits * np.log(max(d.shots * seen.tempering, 1.0)) / seen.doubt
    cost += 0.5 * float(((rates - rates.mean()) ** 2).sum()) / _UNLIKE**2
    if effective_strings(fit) == 1:
        cost -= np.log(max(seen.single, 1e-3))
    explained, wholly = max(ramp(fit.agreement, 0.8, 0.95), 0.2), max(ramp(fit.agreement, 0.98, 1.0), 0.2)
    crowded = 1 - ramp(d.shots / posterior.roots.shape[1], 2, 8)
    few = np.log(explained) + np.where(posterior.flips > _MANY_FLIPS, crowded * np.log(wholly), 0.0)
    odds: Floats = np.where(is_sparse(posterior), few, 0.0) - np.where(learned, cost, 0.0)
    return odds


def _followed(
    mean: _Average, fit: Sparse, seen: Evidence, agreed: float, structure: float, settings: GuardSettings
) -> float:
    """Say how far to follow the mixture.

    Args:
        mean: the hypotheses.
        fit: the mixture.
        seen: what the counts say of structure.
        agreed: fidelity between the mixture and the deconvolution of all flips.
        structure: probability that the counts are no product of biased bits.
        settings: constants.
    """
    many, n_strings = effective_strings(fit), len(mean.dense)
    one = max(seen.single, structure * ramp(fit.agreement, 0.95, 0.99)) if many == 1 else 1.0
    trusted = seen.credible * one * (1 - ramp(many / n_strings, 3 / 16, 7 / 16))
    doubt = settings.doubt_when_simple if fit.simple else settings.doubt
    clear = sigmoid((seen.several - max(mean.product, mean.explained)) / doubt - 3) * seen.agrees
    return 0.95 * seen.sharp * max(trusted * mean.few * (1 - mean.lost) * ramp(agreed, 0.1, 0.9), clear)


def _insured(mean: _Average, near_raw: float, settings: GuardSettings) -> float:
    """Say how much of the raw counts to keep where the mixture is not followed: where little is to win, or much lost.

    Args:
        mean: the hypotheses.
        near_raw: fidelity between the raw counts and the deconvolution.
        settings: constants.
    """
    insured = settings.insured + settings.insured_when_lost * mean.lost**3
    return min(insured + settings.insured_when_good * ramp(near_raw, *_NEAR) * (1 - mean.sparse), 0.95)


def _hypotheses(fit: Sparse, trusted: bool, settings: GuardSettings) -> tuple[Floats, Floats]:
    """Pair equal flips, and the uneven ones of a mixture that can be trusted, with every concentration."""
    n_bits = len(fit.rates)
    channels = np.broadcast_to(np.array(settings.flips)[:, None, None], (len(settings.flips), n_bits, 2))
    if trusted:
        channels = np.concatenate([channels, np.clip(fit.rates, 0, 0.6)[None]])
    concentration = np.r_[np.array(settings.strings) / (1 << n_bits), settings.densities]
    return np.repeat(channels, len(concentration), axis=0), np.tile(concentration, len(channels))


def _posterior(vector: Floats, rates: Floats, concentration: Floats, settings: GuardSettings) -> Posterior:
    """Deconvolve under all hypotheses."""
    if rates.shape[1] < _MANY_BITS:
        return deconvolve(vector, rates, concentration)
    glance = deconvolve(vector, rates, concentration, steps=_GLANCE)
    alive = np.flatnonzero(glance.evidence > glance.evidence.max() - 20 * settings.doubt)
    closely = deconvolve(vector, rates[alive], concentration[alive])
    for part in ("roots", "evidence", "background", "shapes"):
        getattr(glance, part)[alive] = getattr(closely, part)
    return glance


def _hand_over(
    probabilities: Floats, d: Distribution, share: float, confidence: float, reason: str, blend: Blend
) -> Guarded:
    heavy = np.flatnonzero(probabilities > 1e-9)
    weights = probabilities[heavy] * (d.shots / probabilities[heavy].sum())
    return Guarded(index_bits(heavy, d.n_bits), weights, True, share, confidence, reason, blend)
