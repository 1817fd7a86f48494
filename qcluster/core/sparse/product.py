"""The product of independent, biased bits: the output of decohered hardware, and also of one string with flips.

Counts are distinct strings, ``bits (n_outcomes, n_bits) bool``, and their shots, ``weights (n_outcomes,)``.
"""

from math import comb, log

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, hamming, pack, weight_of_ones
from qcluster.core.noise.prior import ASYMMETRY, LARGEST_DECAY_RATE, LEVEL_RANGE, SPREADS
from qcluster.core.stats.special import log_gamma

_BIAS_SPREADS = np.array([0.007, 0.02, 0.06])
"""Standard deviations of P(1) around 1/2 for bits of decohered output, equally probable."""
_EVEN = 0.2
"""Prior probability that a free bit is in even superposition."""
_DECOHERED = 0.45
"""Mean flip rate from which one string cannot be distinguished from noise."""


def product_evidence(bits: Bits, weights: Floats) -> tuple[float, float]:
    """Return the log evidence and the log-likelihood of the model in which all bits are independent.

    The evidence is ``prod_i B(ones_i + 1, zeros_i + 1)``, B the Beta function: the exact integral over the bias of each
    bit under a uniform prior. The likelihood is that of the observed biases.

    Example:
        >>> one_of_each = product_evidence(np.array([[False], [True]]), np.array([1.0, 1.0]))
        >>> np.exp(one_of_each).round(4).tolist()
        [0.1667, 0.25]
    """
    ones = weight_of_ones(bits, weights)
    zeros = weights.sum() - ones
    gamma_ones, gamma_zeros, gamma_both = log_gamma(np.stack([ones + 1, zeros + 1, ones + zeros + 2]))
    evidence = (gamma_ones + gamma_zeros - gamma_both).sum()
    bias = np.clip(ones / max(float(weights.sum()), 1e-300), 1e-300, 1 - 1e-16)
    likelihood = (ones * np.log(bias) + zeros * np.log1p(-bias)).sum()
    return float(evidence), float(likelihood)


def misfit_of_product(counts: Floats) -> float:
    """Return Pearson's chi-square of counts, ``(2**n,)`` shots, against the product of the observed biases, in standard
    deviations above its mean under shot noise.

    Example:
        >>> misfit_of_product(np.array([90.0, 10, 9, 1])) < 0, misfit_of_product(np.array([50.0, 0, 0, 50])) > 60
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


def flip_coincidence(bits: Bits, weights: Floats, string: NDArray[np.bool_]) -> tuple[float, float]:
    """Measure how far flips of a string ``(n_bits,)`` coincide: errors of a machine do, bits of a product state do not.

    Returns two log ratios, observed to expected of independent bits with the same biases: of the variance of the number
    of flipped bits, and of the share of shots without a flip. Half a shot's share is added to each quantity.

    Example:
        >>> bits = np.array([[False, False], [False, True], [True, False], [True, True]])
        >>> np.round(flip_coincidence(bits, np.array([81.0, 9, 9, 1]), np.zeros(2, bool)), 3).tolist()
        [0.0, 0.0]
        >>> np.round(flip_coincidence(bits, np.array([90.0, 0, 0, 10]), np.zeros(2, bool)), 3).tolist()
        [0.68, 0.105]
    """
    shots, ones = float(weights.sum()), weight_of_ones(bits, weights)
    flips = np.where(string, shots - ones, ones) / shots
    count = hamming(pack(string[None]), pack(bits))[0]
    variance = float(weights @ (count - flips.sum()) ** 2) / shots
    expected_variance = float(flips @ (1 - flips))
    half_shot = 0.5 / shots
    correct = float(weights[count == 0].sum()) / shots
    excess = float(np.log((variance + half_shot) / (expected_variance + half_shot)))
    return excess, float(np.log((correct + half_shot) / (np.prod(1 - flips) + half_shot)))


def single_string(bits: Bits, weights: Floats) -> tuple[NDArray[np.bool_], float]:
    """Find the likeliest single string, and the log odds that the counts are a single string with flips.

    Independent flips of one string give a product of biased bits, and so do other ideals: only the biases can decide.

    - One string: the flip rates of a machine scatter around one level (log-normally, level and spread unknown), for 0
      and 1 together or separately. Or the rates of 1 scatter freely below `LARGEST_DECAY_RATE`, since decay differs
      between bits.
    - Otherwise: some bits are fixed and read with the machine's flips; the others are free, either in even
      superposition (P(1) near 1/2) or with any bias. If every P(1) is below 1/2, decay of decohered output explains it
      as well as the string of zeros does, and the odds are lowered for that.

    That some bits hardly ever flip is evidence for neither. A string sets the bits whose P(1) lies above a threshold to
    1; every threshold is tried. The free bits are those read least reliably; every number of them is tried.

    Returns ``(n_bits,) bool``, the most probable string; and the log odds of one string, of any of these, against the
    rest.

    Example:
        >>> strings = np.array([[True, False, True], [True, True, True], [True, False, False], [False, False, True]])
        >>> string, odds = single_string(strings, np.array([850.0, 50.0, 50.0, 50.0]))
        >>> string.tolist(), odds > 3
        ([True, False, True], True)
        >>> single_string(strings, np.array([400.0, 30.0, 300.0, 20.0]))[1] > 3
        False
    """
    shots, n_bits = float(weights.sum()), bits.shape[1]
    counted = np.minimum(weight_of_ones(bits, weights), shots)
    ones, zeros = (counted + 0.5) / (shots + 1), (shots - counted + 0.5) / (shots + 1)
    flips = np.minimum(zeros, ones)
    order, surest = np.argsort(-ones, kind="stable"), np.argsort(flips, kind="stable")
    falls, rises, fixed = _prefix_sums(np.stack([zeros[order], ones[order[::-1]], flips[surest]]), shots)
    rises = rises[..., ::-1]  # sums over the last n - k
    log_falls, log_rises, log_all, log_fixed = _log_density(np.stack([falls, rises, falls + rises, fixed]))
    logs = _one_string(zeros[order], ones[order], log_falls, log_rises, log_all)
    best = int(np.argmax(logs))
    string = np.zeros(n_bits, dtype=bool)
    string[order[:best]] = True
    decayed = n_bits * np.log(2) if (ones < 0.5).all() else 0.0
    free = _some_free(ones[surest], log_fixed, shots)
    return string, float(np.logaddexp.reduce(logs) - n_bits * np.log(2) - decayed - free)


def fix_bits(bits: Bits, weights: Floats) -> Bits:
    """Set bits that are the same in nearly all shots to that value: ancillas, operands, unused qubits.

    This removes the errors of fixed bits, however many strings the other bits form. A bit counts as fixed if it lies
    below the widest gap in ``arcsin sqrt(r)``, r the share of the shots with its rarer value. The sampling error of
    this angle does not depend on r. If r is the same for all bits, none is fixed. The strings come back in their order;
    equal ones are not merged.

    Example:
        >>> read = np.array([[False, False, True], [True, False, True], [True, True, True], [False, False, True]])
        >>> fix_bits(read, np.array([50.0, 45, 2, 3])).astype(int)
        array([[0, 0, 1],
               [1, 0, 1],
               [1, 0, 1],
               [0, 0, 1]])
    """
    ones, shots = weight_of_ones(bits, weights), weights.sum()
    rarer = np.round(np.minimum(ones, shots - ones) / shots, 12)  # so that rounding errors do not make a gap
    angle = np.arcsin(np.sqrt(np.clip(rarer, 0, 1)))
    ascending = np.sort(angle)
    gaps = np.diff(ascending)
    if not gaps.any():
        return bits
    return np.where(angle <= ascending[np.argmax(gaps)], 2 * ones > shots, bits)


def _one_string(zeros: Floats, ones: Floats, log_falls: Floats, log_rises: Floats, log_all: Floats) -> Floats:
    """Return the log density of the biases if the first k bits were sent as 1 and the others as 0, ``(n + 1,)``.

    The bits, given by ``(n,)`` P(0) and P(1), are in descending order of P(1). The density is 0 if k separates bits
    with the same P(1), or if a flip rate or the mean flip rate is too large. `log_falls`, `log_rises` and `log_all`,
    ``(n + 1,)``, are the log densities of the flip rates of the first k bits, of the others, and of all together.
    """
    n_bits = len(ones)
    sent = np.arange(1.0, n_bits)  # number of ones, if zeros were sent as well
    falls, rises = np.cumsum(zeros), np.cumsum(ones[::-1])[::-1]
    ratio = (falls[:-1] / sent) / np.maximum(rises[1:] / sent[::-1], LEVEL_RANGE[0])
    separate = np.logaddexp(log_falls[1:-1], -sent * np.log(LARGEST_DECAY_RATE)) - np.log(2) + log_rises[1:-1]
    separate -= 0.5 * (np.log(ratio) / ASYMMETRY) ** 2
    logs = log_all.copy()
    logs[1:-1] = np.logaddexp(separate, log_all[1:-1]) - np.log(2)
    fits = np.append(0.0, falls) + np.append(rises, 0.0) <= _DECOHERED * n_bits
    fits[1:] &= zeros < LARGEST_DECAY_RATE
    fits[:-1] &= ones < 0.5
    fits[1:-1] &= ones[:-1] > ones[1:]
    return np.where(fits, logs, -np.inf)


def _some_free(ones: Floats, log_fixed: Floats, shots: float) -> float:
    """Return the log density of the biases if at least one bit is free and the others are fixed.

    Every number of free bits is equally probable, and so is every choice of that many. For each number only one choice
    is counted: the bits that are read least reliably. `ones`, ``(n,)`` P(1), begins with the most reliably read bit;
    `log_fixed`, ``(n + 1,)``, is the log density of the flip rates of the first k bits.
    """
    n_bits = len(ones)
    variance = _BIAS_SPREADS[:, None] ** 2 + 0.25 / shots
    even = -0.5 * (ones - 0.5) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    free = np.logaddexp(np.log1p(-_EVEN), np.log(_EVEN) + even)  # a P(1) anywhere in [0, 1], or near 1/2
    bias = np.logaddexp.reduce(np.cumsum(free[:, ::-1], axis=1)[:, ::-1], axis=0) - np.log(len(_BIAS_SPREADS))
    choices = [k * log(2) + log(comb(n_bits, k)) for k in range(n_bits)]
    return float(np.logaddexp.reduce(bias + log_fixed[:-1] - choices) - np.log(n_bits))


def _prefix_sums(rates: Floats, shots: float) -> Floats:
    """Return the sums that `_log_density` takes, over the first k of n rates, for each k from 0 to n.

    From ``(r, n)`` rates to four sums for each of s spreads, ``(r, 4, s, n + 1)``.
    """
    logs = np.log(rates)[:, None]
    precision = 1 / (SPREADS[:, None] ** 2 + ((1 - rates) / (rates * shots))[:, None])
    sums = np.zeros((len(rates), 4, len(SPREADS), rates.shape[1] + 1))
    terms = precision, precision * logs, precision * logs**2, 0.5 * np.log(precision / (2 * np.pi)) - logs
    for i, term in enumerate(terms):
        sums[:, i, :, 1:] = term
    return np.asarray(np.cumsum(sums, axis=-1, out=sums))


def _log_density(sums: Floats) -> Floats:
    """Return the log density of rates that scatter around one level, with level and spread unknown; of no rate, 0.

    The level has a flat prior in ln(rate) and is integrated in closed form; the spreads are averaged. From
    ``(r, 4, s, k)`` sums, see `_prefix_sums`, to ``(r, k)``.
    """
    precision, first, second, density = sums.swapaxes(0, 1)
    some = precision[:, 0] > 0
    total = np.where(some[:, None], precision, 1.0)
    level = 0.5 * np.log(2 * np.pi / total) - np.log(np.log(LEVEL_RANGE[1] / LEVEL_RANGE[0]))
    each = density - 0.5 * (second - first**2 / total) + level
    return np.where(some, np.logaddexp.reduce(each, axis=1) - np.log(len(SPREADS)), 0.0)
