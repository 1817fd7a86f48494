"""The product of biased bits: what hopeless hardware returns, and what one string with flips looks like too."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Bits
from qcluster.core.special import log_gamma

Floats = NDArray[np.float64]

_LEVELS = np.log(np.geomspace(0.005, 0.45, 12))
"""Typical flip rates that are tried, as logarithms."""
_SPREADS = np.array([0.1, 0.25, 0.5, 0.8])
"""Spreads of ln(rate) from bit to bit that are tried."""


class Product(NamedTuple):
    """How well independent biased bits explain the counts."""

    evidence: float
    """Log probability with the bias of each bit unknown (uniform prior), an exact integral."""
    log_likelihood: float
    """Log probability at the observed biases."""


def product_evidence(bits: Bits, weights: Floats) -> Product:
    """Judge the model in which every bit is drawn by itself.

    ``ln prod_i B(ones_i + 1, zeros_i + 1)``, B the Beta function.

    Args:
        bits: ``(n_outcomes, n_bits) bool``.
        weights: ``(n_outcomes,)``, in effective shots.

    Example:
        >>> one_of_each = product_evidence(np.array([[False], [True]]), np.array([1.0, 1.0]))
        >>> round(float(np.exp(one_of_each.evidence)), 4), round(float(np.exp(one_of_each.log_likelihood)), 4)
        (0.1667, 0.25)
    """
    ones = weights @ bits
    zeros = weights.sum() - ones
    evidence = (log_gamma(ones + 1) + log_gamma(zeros + 1) - log_gamma(ones + zeros + 2)).sum()
    chance = np.clip(ones / max(float(weights.sum()), 1e-300), 1e-300, 1 - 1e-16)
    likelihood = (ones * np.log(chance) + zeros * np.log1p(-chance)).sum()
    return Product(float(evidence), float(likelihood))


def single_string_odds(bits: Bits, weights: Floats, string: NDArray[np.bool_]) -> float:
    """Weigh "one string, flipped" against "biased bits of another origin", from the biases alone.

    A product of biased bits fits both equally well. But flip rates of one machine resemble each other (log-normal,
    level and spread unknown; those of 0 and of 1 apart, for decay), while biases that the ideal itself has can lie
    anywhere; and decay pulls *every* bit of a hopeless output towards 0, which the string of zeros would explain too.

    Args:
        bits: ``(n_outcomes, n_bits) bool``.
        weights: ``(n_outcomes,)``, in shots.
        string: ``(n_bits,) bool``, the string in question.

    Returns:
        Log odds in favour of the single string.

    Example:
        >>> strings = np.array([[True, False, True], [True, True, True], [True, False, False], [False, False, True]])
        >>> single_string_odds(strings, np.array([850.0, 50.0, 50.0, 50.0]), strings[0]) > 3
        True
        >>> single_string_odds(strings, np.array([400.0, 30.0, 300.0, 20.0]), strings[0]) > 3
        False
    """
    shots, n_bits = float(weights.sum()), bits.shape[1]
    ones = (weights @ bits + 0.5) / (shots + 1)
    rate = np.where(string, 1 - ones, ones)
    log = sum(_alike(rate[string == value], shots) for value in (False, True))
    decayed = n_bits * np.log(2) if (ones < 0.5).all() else 0.0
    return float(log - n_bits * np.log(2) - decayed)


def _alike(rates: Floats, shots: float) -> float:
    """Give the log density of rates that scatter about one level, both level and spread unknown."""
    if not len(rates):
        return 0.0
    variance = _SPREADS[None, :, None] ** 2 + (1 - rates) / (rates * shots)
    scaled = (np.log(rates) - _LEVELS[:, None, None]) ** 2 / variance
    log = (-0.5 * scaled - 0.5 * np.log(2 * np.pi * variance) - np.log(rates)).sum(axis=-1)
    best = log.max()
    return float(np.log(np.exp(log - best).mean()) + best)
