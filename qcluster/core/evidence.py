"""What counts say about structure, and how hypotheses about the ideal are weighed against each other."""

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from qcluster.core.deconvolve import Posterior, effective_shots
from qcluster.core.distribution import Distribution
from qcluster.core.product import product_evidence, single_string
from qcluster.core.verdict import GuardSettings, Sparse

Floats = NDArray[np.float64]

_STRING_ODDS = 3.5
"""Log odds that a product of biased bits must have before it is taken for one string."""
_AGREES = (0.97, 0.995)
"""Cosine between counts and mixture at which it begins to explain them, and does: smooth outputs come near."""
_AGREEMENT_WIDE = 0.75
"""Least cosine beyond the full vector: correlated errors cost agreement, and raw counts so wide have little to lose."""
_GAPS = (2.5, 4.5)
"""Drop of the likelihood gain behind the last string from which the number of strings begins to be clear, and is."""
_FEW_PAIRS = 100.0
"""Pairs of shots that agree: with fewer, collisions say nothing, and the evidence alone must be overwhelming."""
_OVERWHELMING = 10.0
"""Log odds, doubt counted in, at which it is."""


@dataclass(frozen=True)
class Evidence:
    """What the counts say about structure, before any full vector is built."""

    tempering: float
    """Effective shots over shots."""
    doubt: float
    """How many times less the evidence counts than the formula says."""
    product: float
    """Log evidence of a product of biased bits."""
    several: float
    """Log evidence of the sparse mixture where it has more than one string; a single string is a product too."""
    credible: float
    """How far the mixture explains the counts, and its number of strings is clear or the counts are concentrated."""
    clear: float
    """How clear its number of strings is by itself, 0 to 1."""
    agrees: float
    """How far the mixture agrees with the counts, 0 to 1."""
    string: NDArray[np.bool_]
    """``(n,)``: what a product of biased bits would be, if it were one string with flips."""
    single: float
    """Probability that it would."""


def weigh(distribution: Distribution, fit: Sparse, settings: GuardSettings) -> Evidence:
    """Judge the counts and the mixture fitted to them, at the number of shots that drift leaves."""
    n, k = distribution.n_bits, effective_strings(fit)
    shots = effective_shots(distribution.weights, settings.drift)
    tempering = shots / distribution.shots
    product = product_evidence(distribution.bits, distribution.weights * tempering)
    likelihood = tempering * fit.log_likelihood
    names = k * n * np.log(2) - lgamma(k + 1)  # their order does not matter
    cost = names + 0.5 * np.log(max(shots, 1.0)) * (k + 3 + (1 if fit.simple else n))
    concentrated = fit.perplexity <= 0.35 * min(2.0**n, distribution.shots)
    beyond = (likelihood - product.log_likelihood - 2 * np.log(max(shots, 1.0))) / 10
    string, odds = single_string(distribution.bits, distribution.weights)
    several = likelihood - cost if k > 1 else -np.inf
    clear = ramp(fit.gap, *_GAPS)
    real = float(fit.excess >= 4)
    agrees = ramp(fit.agreement, *_AGREES) if n <= settings.widest else float(fit.agreement >= _AGREEMENT_WIDE)
    if n > settings.widest and 0.5 * float(distribution.weights @ (distribution.weights - 1)) < _FEW_PAIRS:
        gained = odds if k == 1 else (several - product.evidence) / settings.doubt
        agrees = real = float(gained > _OVERWHELMING)
    single = sigmoid(odds - _STRING_ODDS + float(np.clip(beyond, 0, 3))) * real
    credible = real * agrees * max(clear, float(concentrated))
    # What the channel does not know grows with the shots, unless shot noise alone explains the counts.
    doubt = settings.doubt * (1.0 if fit.simple else max(1.0, shots / settings.telling))
    return Evidence(
        tempering, doubt, product.evidence, several, credible, real * agrees * clear, agrees, string, single
    )


def belief_in(
    posterior: Posterior, odds: Floats, doubt: float, known: float | None, n_bits: int, settings: GuardSettings
) -> Floats:
    """Weigh the hypotheses: tempered evidence, log odds, how much each explains, priors of sparsity and of flips."""
    log = _calmed(posterior, posterior.evidence / doubt, settings.doubt / settings.doubt_of_flips) + odds
    log = log + np.log(np.maximum(1 - posterior.background, 1e-3))
    log = log + np.log(_spacing(posterior.concentration))
    log = log + np.where(posterior.concentration > 1, np.log(settings.flat_odds), 0.0)
    few = is_sparse(posterior)
    typical = np.where(few, settings.typical, settings.typical_when_dense) if known is None else max(known, 0.005)
    least, spread = (0.01, settings.spread) if known is None else (0.005, np.log(2))
    away = np.log(np.maximum(posterior.flips, least) / typical) / spread
    log = log - 0.5 * away**2
    if known is not None:
        flipped = 1 - (1 - known) ** n_bits
        log = log - 10 * np.maximum(posterior.background - flipped, 0)
    belief: Floats = np.exp(log - log.max())
    belief /= belief.sum()
    return belief


def _calmed(posterior: Posterior, log: Floats, share: float) -> Floats:
    """Let dense hypotheses say less of the flip rate than of the ideal at each rate: smooth ideals look like flips."""
    dense, calmed = ~is_sparse(posterior), log.copy()
    top = log[dense].max(initial=-np.inf)
    for rate in np.unique(posterior.flips[dense]):
        here = dense & (posterior.flips == rate)
        calmed[here] += (1 - share) * (top - np.logaddexp.reduce(log[here]))
    return calmed


def is_sparse(posterior: Posterior) -> NDArray[np.bool_]:
    """Tell the hypotheses under which a few strings hold most of the ideal."""
    few: NDArray[np.bool_] = posterior.concentration * posterior.roots.shape[1] <= 3.5
    return few


def _spacing(concentration: Floats) -> Floats:
    """Give the length of ln(concentration) that each hypothesis stands for, so that none is counted twice."""
    tried, which = np.unique(np.log(concentration), return_inverse=True)
    if len(tried) == 1:
        return np.ones(len(concentration))
    edges = np.r_[tried[0], (tried[1:] + tried[:-1]) / 2, tried[-1]]
    lengths: Floats = np.diff(edges)[which]
    return lengths


def effective_strings(fit: Sparse) -> int:
    """Count the strings that matter: the effective number, rounded."""
    weights = fit.weights[fit.weights > 0]
    return max(1, round(float(np.exp(-(weights * np.log(weights)).sum()))))


def sigmoid(x: float) -> float:
    """Turn log odds into a probability."""
    return float(1 / (1 + np.exp(-np.clip(x, -50, 50))))


def ramp(x: float, low: float, high: float) -> float:
    """Rise from 0 at `low` to 1 at `high`."""
    return float(np.clip((x - low) / (high - low), 0, 1))
