"""What counts say about structure, and how hypotheses about the ideal are weighed against each other."""

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import weight_of_ones
from qcluster.core.deconvolve import Posterior, effective_shots
from qcluster.core.distribution import Distribution
from qcluster.core.goodness import collisions
from qcluster.core.product import product_evidence, single_string
from qcluster.core.special import perplexity
from qcluster.core.verdict import GuardSettings, Sparse

Floats = NDArray[np.float64]

_STRING_ODDS = 3.5
"""Log odds that a product of biased bits must have before it is taken for one string."""
_AGREES = (0.97, 0.99)
"""Cosine between counts and mixture at which it begins to explain them, and does: smooth outputs come near."""
_EXACT = 0.0125
"""What a smooth ideal leaves of that cosine when it is taken for a few strings with flips."""
_ABSORBED = 0.25
"""How much of a misfit each string in use takes up, of the share that it is of all strings."""
_NARROW = 7.0
"""Bits of a register whose machine flips as many as `GuardSettings.typical` says; wide circuits are deep, and flip more
in proportion."""
_SPREADS = (0.35, 0.9)
"""Spread of ln(rate) over the bits of one machine, and over those of a smooth ideal that is taken for flips."""
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
    sharp: float
    """Probability that the strings of the mixture are the ideal's, and not the tops of one that is smooth."""


def weigh(distribution: Distribution, fit: Sparse, known: float | None, settings: GuardSettings) -> Evidence:
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
    if known is not None:
        ones = weight_of_ones(distribution.bits, distribution.weights) / distribution.shots
        odds += float(log_noise(float(np.where(string, 1 - ones, ones).mean()), 0.0, known, n, settings))
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
    sharp = _sharp(distribution, fit, known, settings)
    return Evidence(
        tempering, doubt, product.evidence, several, credible, real * agrees * clear, agrees, string, single, sharp
    )


def _sharp(d: Distribution, fit: Sparse, known: float | None, settings: GuardSettings) -> float:
    """Weigh a few strings under all the flips against a smooth ideal under fewer: both explain the same.

    For the strings speaks what only flips do: to leave nothing unexplained, as far as the shots can tell, and to be
    even over the bits. Against them speaks a rate that is rare.
    """
    if (many := effective_strings(fit)) == 1:
        return 1.0  # judged as a product of biased bits
    lost = fit.background
    flips = max(fit.flip_rate - lost / 2, 0.0) / max(1 - lost, 1e-3)
    fewer = np.array([rate for rate in settings.flips if rate < flips])
    exact, deeper = _even(fit), 1.0
    if d.n_bits <= settings.widest:
        exact += float(log_exact(1 - fit.agreement, 0, d, fit))
        plain, smooth = log_smooth(many, settings.mostly_blurred, settings)
    else:  # correlated errors cost agreement, and many strings stand out less; those of a ring are one structure
        deeper = d.n_bits / _NARROW
        plain, smooth = log_smooth(2 if fit.ring else 1 + (many - 1) ** 2, np.inf, settings)
    strings = plain + exact + log_noise(flips, lost, known, d.n_bits, settings, deeper)
    tops = smooth + np.logaddexp.reduce(log_noise(fewer, lost, known, d.n_bits, settings, deeper), initial=-np.inf)
    return sigmoid(float(strings - tops))


def _even(fit: Sparse) -> float:
    """Give the log odds for flips from how even the rates are, as if two bits told: spreads themselves are unsure."""
    machine, ideal = _SPREADS
    scatter = float(np.log(np.clip(fit.rates.mean(axis=1), 0.003, 1.0)).std())
    return float(2 * np.log(ideal / machine) - scatter**2 * (1 / machine**2 - 1 / ideal**2))


def log_exact(gap: Floats | float, strings: Floats | float, d: Distribution, fit: Sparse) -> Floats:
    """Give the log odds for flips, against a smooth ideal, from how little of the counts is left unexplained.

    Args:
        gap: cosine between counts and explanation, short of 1. Its shot noise is added: that of the collisions between
            shots, by which it is scaled.
        strings: effective number of strings that explain; where all were free, they take up some of the misfit.
        d: the counts.
        fit: for the excess of collisions.
    """
    crowd = collisions(d.weights) * 2.0**d.n_bits
    noise = float(np.sqrt(max(crowd, 1.0)) / 2 / max(fit.excess, 1e-3))
    return np.asarray(2 * np.log(_EXACT / (np.maximum(gap, 0) + noise + _ABSORBED * strings / 2.0**d.n_bits)))


def log_belief(posterior: Posterior, doubt: float, settings: GuardSettings) -> Floats:
    """Weigh hypotheses by tempered evidence and the prior of sparsity, whatever the machine is thought to be like."""
    log = posterior.evidence / doubt + np.log(_spacing(posterior.concentration))
    return np.asarray(log + np.where(posterior.concentration > 1, np.log(settings.flat_odds), 0.0))


def log_noise(
    flips: Floats | float,
    lost: Floats | float,
    known: float | None,
    n_bits: int,
    settings: GuardSettings,
    deeper: float = 1.0,
) -> Floats:
    """Give the log prior, up to a constant, of a machine that loses such a share of shots and flips bits of the rest.

    The fewer are lost, the better. Flips are log-normal about what is known, or else what the lost shots suggest, times
    `deeper`: deep circuits flip more.
    """
    log = np.log(np.maximum(1 - lost, 1e-3))
    if known is None:
        typical = deeper * (settings.typical + (settings.typical_when_lost - settings.typical) * lost)
        return np.asarray(log - 0.5 * (np.log(np.maximum(flips, 0.01) / typical) / settings.spread) ** 2)
    away = np.log(np.maximum(flips, 0.005) / max(known, 0.005)) / np.log(2)
    flipped = 1 - (1 - known) ** n_bits
    return np.asarray(log - 0.5 * away**2 - 10 * np.maximum(lost - flipped, 0))


def log_smooth(strings: Floats | float, most: float, settings: GuardSettings) -> tuple[Floats, Floats]:
    """Give the log prior that an ideal of so many strings is not smooth, and that it is by each of the rates tried.

    The odds that it is are at most `most`.
    """
    odds = np.clip(settings.blurred * (np.asarray(strings) - 1), 1e-12, most)
    return -np.log1p(odds), np.log(odds / (1 + odds) / max(len(settings.flips) - 1, 1))


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
    return max(1, round(float(perplexity(fit.weights))))


def sigmoid(x: float) -> float:
    """Turn log odds into a probability."""
    return float(1 / (1 + np.exp(-np.clip(x, -50, 50))))


def ramp(x: float, low: float, high: float) -> float:
    """Rise from 0 at `low` to 1 at `high`."""
    return float(np.clip((x - low) / (high - low), 0, 1))
