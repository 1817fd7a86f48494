"""The guarded answer on the full vector of 2^n probabilities: an average over hypotheses, mixture and counts."""

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import index_bits
from qcluster.core.blend import Blend
from qcluster.core.deconvolve import smooth
from qcluster.core.distribution import Distribution
from qcluster.core.evidence import Evidence, effective_strings, ramp, sigmoid
from qcluster.core.hypotheses import Average, average
from qcluster.core.limits import least_fidelity
from qcluster.core.product import beyond_product
from qcluster.core.verdict import Guarded, GuardSettings, Sparse
from qcluster.core.wording import say_dense, say_sparse, say_string

Floats = NDArray[np.float64]

_NEAR = (0.6, 1.0)
"""Fidelity between raw counts and deconvolution from which little is to win, and nearly nothing."""


def answer_full(d: Distribution, fit: Sparse, seen: Evidence, known: float | None, settings: GuardSettings) -> Guarded:
    """Average over hypotheses on the full vector."""
    places = 1 << np.arange(d.n_bits)
    vector = np.zeros(1 << d.n_bits)
    vector[d.bits @ places] = d.weights
    clean = least_fidelity(vector)
    if clean > settings.clean:
        reason = f"the counts themselves show that at most {1 - clean:.1%} of shots are in error: left as is"
        return Guarded(d.bits, d.weights, False, 0.0, clean, reason)
    mean = average(vector, d, fit, seen, known, settings)
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


def _followed(
    mean: Average, fit: Sparse, seen: Evidence, agreed: float, structure: float, settings: GuardSettings
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


def _insured(mean: Average, near_raw: float, settings: GuardSettings) -> float:
    """Say how much of the raw counts to keep where the mixture is not followed: where little is to win, or much lost.

    Args:
        mean: the hypotheses.
        near_raw: fidelity between the raw counts and the deconvolution.
        settings: constants.
    """
    insured = settings.insured + settings.insured_when_lost * mean.lost**3
    return min(insured + settings.insured_when_good * ramp(near_raw, *_NEAR) * (1 - mean.sparse), 0.95)


def _hand_over(
    probabilities: Floats, d: Distribution, share: float, confidence: float, reason: str, blend: Blend
) -> Guarded:
    heavy = np.flatnonzero(probabilities > 1e-9)
    weights = probabilities[heavy] * (d.shots / probabilities[heavy].sum())
    return Guarded(index_bits(heavy, d.n_bits), weights, True, share, confidence, reason, blend)
