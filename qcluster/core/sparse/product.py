"""The product of biased bits: what decohered hardware returns, and what one string with flips looks like too."""

from math import comb, log

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


def product_evidence(bits: Bits, weights: Floats) -> tuple[float, float]:
    """Judge the model in which every bit is drawn by itself.

    ``ln prod_i B(ones_i + 1, zeros_i + 1)``, B the Beta function.

    Args:
        bits: ``(n_outcomes, n_bits) bool``.
        weights: ``(n_outcomes,)``, in effective shots.

    Returns:
        The log probability of the counts with the bias of each bit unknown (uniform prior), an exact integral; and
        that at the observed biases.

    Example:
        >>> one_of_each = product_evidence(np.array([[False], [True]]), np.array([1.0, 1.0]))
        >>> np.exp(one_of_each).round(4).tolist()
        [0.1667, 0.25]
    """
    ones = weight_of_ones(bits, weights)
    zeros = weights.sum() - ones
    of_ones, of_zeros, of_both = log_gamma(np.stack([ones + 1, zeros + 1, ones + zeros + 2]))
    evidence = (of_ones + of_zeros - of_both).sum()
    chance = np.clip(ones / max(float(weights.sum()), 1e-300), 1e-300, 1 - 1e-16)
    likelihood = (ones * np.log(chance) + zeros * np.log1p(-chance)).sum()
    return float(evidence), float(likelihood)


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
        expected = ((pairs / pairs.sum())[:, None] * expected).ravel()
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
    flips = np.minimum(zeros, ones)
    order, surest = np.argsort(-ones, kind="stable"), np.argsort(flips, kind="stable")
    down, up, fixed = _first(np.stack([zeros[order], ones[order[::-1]], flips[surest]]), shots)
    up = up[..., ::-1]  # of the last n - k
    of_ones, of_zeros, of_all, of_fixed = _alike(np.stack([down, up, down + up, fixed]))
    logs = _one_string(zeros[order], ones[order], of_ones, of_zeros, of_all)
    best = int(np.argmax(logs))
    string = np.zeros(n_bits, dtype=bool)
    string[order[:best]] = True
    decayed = n_bits * np.log(2) if (ones < 0.5).all() else 0.0
    free = _some_free(ones[surest], of_fixed, shots)
    return string, float(np.logaddexp.reduce(logs) - n_bits * np.log(2) - decayed - free)


def fix_bits(bits: Bits, weights: Floats) -> Bits:
    """Set bits that read alike in nearly all shots to that value: ancillas, operands, qubits that are not used.

    Of the errors of fixed bits nothing is lost by it, however many strings the others hold. Fixed are the bits below
    the widest gap in ``arcsin sqrt(r)``, r the share of the shots with the rarer value, which scatters by as much for
    small r as for large; none where all bits are alike.

    Args:
        bits: ``(n_outcomes, n_bits) bool``.
        weights: ``(n_outcomes,)``, in effective shots.

    Returns:
        ``(n_outcomes, n_bits) bool``, what was read otherwise; equal strings are not merged.

    Example:
        >>> read = np.array([[False, False, True], [True, False, True], [True, True, True], [False, False, True]])
        >>> fix_bits(read, np.array([50.0, 45, 2, 3])).astype(int)
        array([[0, 0, 1],
               [1, 0, 1],
               [1, 0, 1],
               [0, 0, 1]])
    """
    ones, shots = weight_of_ones(bits, weights), weights.sum()
    rarer = np.round(np.minimum(ones, shots - ones) / shots, 12)  # the order of a sum must not part bits that are alike
    angle = np.arcsin(np.sqrt(np.clip(rarer, 0, 1)))
    upwards = np.sort(angle)
    gaps = np.diff(upwards)
    if not gaps.any():
        return bits
    return np.where(angle <= upwards[np.argmax(gaps)], 2 * ones > shots, bits)


def _one_string(zeros: Floats, ones: Floats, of_ones: Floats, of_zeros: Floats, of_all: Floats) -> Floats:
    """Give the log density of the biases where the first k bits were sent as 1 and the others as 0, ``(n + 1,)``.

    Bits go by P(1), the highest first. Bits that are read alike must be sent alike, no flip rate may be too large, nor
    their mean.

    Args:
        zeros: ``(n,)`` P(0).
        ones: ``(n,)`` P(1).
        of_ones: ``(n + 1,)`` log density of the flip rates of the first k bits; `_alike`.
        of_zeros: of the others.
        of_all: of both together.
    """
    n_bits = len(ones)
    sent = np.arange(1.0, n_bits)  # ones, where there are zeros as well
    falls, rises = np.cumsum(zeros), np.cumsum(ones[::-1])[::-1]
    ratio = (falls[:-1] / sent) / np.maximum(rises[1:] / sent[::-1], LEVELS[0])
    apart = np.logaddexp(of_ones[1:-1], -sent * np.log(LARGEST)) - np.log(2) + of_zeros[1:-1]
    apart -= 0.5 * (np.log(ratio) / ASYMMETRY) ** 2
    logs = of_all.copy()
    logs[1:-1] = np.logaddexp(apart, of_all[1:-1]) - np.log(2)
    fits = np.append(0.0, falls) + np.append(rises, 0.0) <= _DECOHERED * n_bits
    fits[1:] &= zeros < LARGEST
    fits[:-1] &= ones < 0.5
    fits[1:-1] &= ones[:-1] > ones[1:]
    return np.where(fits, logs, -np.inf)


def _some_free(ones: Floats, of_fixed: Floats, shots: float) -> float:
    """Give the log density of the biases where some bits, at least one, are free and the others fixed.

    Every number of free bits is equally probable, and so is every choice of them; that of those read least surely is
    the one that counts.

    Args:
        ones: ``(n,)`` P(1), of the bit that is read most surely first.
        of_fixed: ``(n + 1,)`` log density of the flip rates of the first k bits.
        shots: how many.
    """
    n_bits = len(ones)
    variance = _NOISE[:, None] ** 2 + 0.25 / shots
    even = -0.5 * (ones - 0.5) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    free = np.logaddexp(np.log1p(-_EVEN), np.log(_EVEN) + even)  # each anywhere in [0, 1], or near 1/2
    bias = np.logaddexp.reduce(np.cumsum(free[:, ::-1], axis=1)[:, ::-1], axis=0) - np.log(len(_NOISE))
    choices = [k * log(2) + log(comb(n_bits, k)) for k in range(n_bits)]
    return float(np.logaddexp.reduce(bias + of_fixed[:-1] - choices) - np.log(n_bits))


def _first(rates: Floats, shots: float) -> Floats:
    """Give what `_alike` must know of the first k of some rates, for k from 0 to all of them.

    Of ``(r, n)`` rates: four sums over them for each of s spreads, ``(r, 4, s, n + 1)``.
    """
    logs = np.log(rates)[:, None]
    precision = 1 / (SPREADS[:, None] ** 2 + ((1 - rates) / (rates * shots))[:, None])
    sums = np.zeros((len(rates), 4, len(SPREADS), rates.shape[1] + 1))
    terms = precision, precision * logs, precision * logs**2, 0.5 * np.log(precision / (2 * np.pi)) - logs
    for i, term in enumerate(terms):
        sums[:, i, :, 1:] = term
    return np.asarray(np.cumsum(sums, axis=-1, out=sums))


def _alike(sums: Floats) -> Floats:
    """Give the log density of rates that scatter about one level, both level and spread unknown; of none, 0.

    The level has a flat prior in ln(rate) and is integrated in closed form; spreads are averaged. From ``(r, 4, s, k)``
    sums, see `_first`; ``(r, k)``.
    """
    precision, first, second, density = sums.swapaxes(0, 1)
    some = precision[:, 0] > 0
    total = np.where(some[:, None], precision, 1.0)
    level = 0.5 * np.log(2 * np.pi / total) - np.log(np.log(LEVELS[1] / LEVELS[0]))
    each = density - 0.5 * (second - first**2 / total) + level
    return np.where(some, np.logaddexp.reduce(each, axis=1) - np.log(len(SPREADS)), 0.0)
