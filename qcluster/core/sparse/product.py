"""The product of biased bits: what decohered hardware returns, and what one string with flips looks like too."""

from math import comb, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, hamming, pack, weight_of_ones
from qcluster.core.noise.prior import ASYMMETRY, LARGEST, LEVELS, SPREADS
from qcluster.core.stats.special import log_gamma

_NOISE = np.array([0.007, 0.02, 0.06])
"""How far the bits of decohered output are from fair: standard deviations of P(1) that are tried."""
_EVEN = 0.2
"""Share of the free bits that are in even superposition, before any is seen."""
_DECOHERED = 0.45
"""Mean flip rate from which one string cannot be told from noise."""


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
    ones = weight_of_ones(bits, weights)
    zeros = weights.sum() - ones
    evidence = (log_gamma(ones + 1) + log_gamma(zeros + 1) - log_gamma(ones + zeros + 2)).sum()
    chance = np.clip(ones / max(float(weights.sum()), 1e-300), 1e-300, 1 - 1e-16)
    likelihood = (ones * np.log(chance) + zeros * np.log1p(-chance)).sum()
    return Product(float(evidence), float(likelihood))


def beyond_product(counts: Floats) -> float:
    """Test whether the counts have any structure that a product of biased bits has not.

    Pearson's chi-square over all strings against the product of the observed biases, in standard deviations from what
    shot noise gives.

    Args:
        counts: ``(2**n,)``, in shots.

    Example:
        >>> beyond_product(np.array([90.0, 10, 9, 1])) < 0, beyond_product(np.array([50.0, 0, 0, 50])) > 60
        (True, True)
    """
    n_strings, shots = len(counts), float(counts.sum())
    n_bits = n_strings.bit_length() - 1
    expected = np.full(1, shots)
    for bit in range(n_bits):
        pairs = counts.reshape(-1, 2, 1 << bit).sum(axis=(0, 2)) + 0.5
        expected = np.kron(pairs / pairs.sum(), expected)
    freedom = n_strings - 1 - n_bits
    if freedom < 1:
        return 0.0
    chi = float(((counts - expected) ** 2 / expected).sum())
    rare = max(float((1 / expected).sum()) - n_strings**2 / shots, 0.0)
    return (chi - freedom) / float(np.sqrt(2 * freedom + rare))


def togetherness(bits: Bits, weights: Floats, string: NDArray[np.bool_]) -> tuple[float, float]:
    """Measure how flips of a string come together: errors of a machine do, bits of a product state do not.

    Args:
        bits: ``(n_outcomes, n_bits) bool``.
        weights: ``(n_outcomes,)``, in shots.
        string: ``(n_bits,) bool``.

    Returns:
        Log of the variance of the number of flipped bits, relative to that of independent bits of the same biases; and
        log of the shots without a flip, relative to those that independent bits give (half a shot added to either).

    Example:
        >>> bits = np.array([[False, False], [False, True], [True, False], [True, True]])
        >>> np.round(togetherness(bits, np.array([81.0, 9, 9, 1]), np.zeros(2, bool)), 3).tolist()
        [0.0, 0.0]
        >>> np.round(togetherness(bits, np.array([90.0, 0, 0, 10]), np.zeros(2, bool)), 3).tolist()
        [0.68, 0.105]
    """
    shots, ones = float(weights.sum()), weight_of_ones(bits, weights)
    flips = np.where(string, shots - ones, ones) / shots
    count = hamming(pack(string[None]), pack(bits))[0]
    variance = float(weights @ (count - flips.sum()) ** 2) / shots
    alone = float(flips @ (1 - flips))
    least = 0.5 / shots
    right = float(weights[count == 0].sum()) / shots
    together = float(np.log((variance + least) / (alone + least)))
    return together, float(np.log((right + least) / (np.prod(1 - flips) + least)))


def single_string(bits: Bits, weights: Floats) -> tuple[NDArray[np.bool_], float]:
    """Find the string that a product of biased bits would be, and weigh "one string, flipped" against other origins.

    A product fits both equally well, so the biases alone decide. Flip rates of one machine resemble each other
    (log-normal, level and spread unknown), those of 0 and of 1 alike or apart; decay may also differ from bit to bit
    at will, up to one half. Against it stand ideals in which *some* bits are fixed, read with the machine's flips, and
    the others are free: in superposition (P(1) near 1/2) or biased at will. That silent bits are silent is evidence
    for neither. Biases of decohered output lie near 1/2, and decay pulls *every* bit of it towards 0, which the string
    of zeros would explain too. Strings are tried that read as 1 the bits whose P(1) lies above a threshold, each
    threshold in turn, and as free the bits that are read least surely, any number of them.

    Args:
        bits: ``(n_outcomes, n_bits) bool``.
        weights: ``(n_outcomes,)``, in shots.

    Returns:
        ``(n_bits,) bool``, the most probable string, and its log odds.

    Example:
        >>> strings = np.array([[True, False, True], [True, True, True], [True, False, False], [False, False, True]])
        >>> found, odds = single_string(strings, np.array([850.0, 50.0, 50.0, 50.0]))
        >>> found.tolist(), odds > 3
        ([True, False, True], True)
        >>> single_string(strings, np.array([400.0, 30.0, 300.0, 20.0]))[1] > 3
        False
    """
    shots, n_bits = float(weights.sum()), bits.shape[1]
    counted = np.minimum(weight_of_ones(bits, weights), shots)
    ones, zeros = (counted + 0.5) / (shots + 1), (shots - counted + 0.5) / (shots + 1)
    order = np.argsort(-ones, kind="stable")
    places = [k for k in range(n_bits + 1) if k in (0, n_bits) or ones[order[k - 1]] > ones[order[k]]]
    logs = [_one_string(zeros[order[:k]], ones[order[k:]], shots) for k in places]
    best = int(np.argmax(logs))
    string = np.zeros(n_bits, dtype=bool)
    string[order[: places[best]]] = True
    decayed = n_bits * np.log(2) if (ones < 0.5).all() else 0.0
    return string, float(np.logaddexp.reduce(logs) - n_bits * np.log(2) - decayed - _some_free(zeros, ones, shots))


def _some_free(zeros: Floats, ones: Floats, shots: float) -> float:
    """Give the log density of the biases where some bits, at least one, are free and the others fixed.

    Every number of free bits is equally probable, and so is every choice of them; that of those read least surely is
    the one that counts.
    """
    n_bits = len(ones)
    flips = np.minimum(zeros, ones)
    surest = np.argsort(flips, kind="stable")
    variance = _NOISE[:, None] ** 2 + 0.25 / shots
    even = -0.5 * (ones - 0.5) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    free = np.logaddexp(np.log1p(-_EVEN), np.log(_EVEN) + even)  # each anywhere in [0, 1], or near 1/2
    logs = np.zeros(n_bits)
    for k in range(n_bits):  # the k surest are fixed
        fixed, rest = surest[:k], surest[k:]
        bias = np.logaddexp.reduce(free[:, rest].sum(axis=1)) - np.log(len(_NOISE))
        logs[k] = bias + _alike(flips[fixed], shots) - k * np.log(2) - log(comb(n_bits, k))
    return float(np.logaddexp.reduce(logs) - np.log(n_bits))


def _one_string(down: Floats, up: Floats, shots: float) -> float:
    """Give the log density of the flip rates of the ones and of the zeros of a string."""
    if (down >= LARGEST).any() or (up >= 0.5).any() or np.r_[down, up].mean() > _DECOHERED:
        return -np.inf
    alike = _alike(np.r_[down, up], shots)
    if not (len(down) and len(up)):
        return alike
    apart = np.logaddexp(_alike(down, shots), -len(down) * np.log(LARGEST)) - np.log(2) + _alike(up, shots)
    apart -= 0.5 * (float(np.log(down.mean() / max(up.mean(), LEVELS[0]))) / ASYMMETRY) ** 2
    return float(np.logaddexp(apart, alike) - np.log(2))


def _alike(rates: Floats, shots: float) -> float:
    """Give the log density of rates that scatter about one level, both level and spread unknown.

    The level has a flat prior in ln(rate) and is integrated in closed form; spreads are averaged.
    """
    if not len(rates):
        return 0.0
    logs = np.log(rates)
    precision = 1 / (SPREADS[:, None] ** 2 + (1 - rates) / (rates * shots))
    total = precision.sum(axis=1)
    scatter = (precision * logs**2).sum(axis=1) - (precision @ logs) ** 2 / total
    level = 0.5 * np.log(2 * np.pi / total) - np.log(np.log(LEVELS[1] / LEVELS[0]))
    density = 0.5 * np.log(precision / (2 * np.pi)).sum(axis=1) - 0.5 * scatter + level - logs.sum()
    return float(np.logaddexp.reduce(density) - np.log(len(SPREADS)))
