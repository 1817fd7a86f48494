"""Bit flips and a uniform background, fitted by expectation maximisation (arXiv:2506.00683)."""

from typing import Any

import numpy as np

from qcluster.baselines.door import enter, one_rate
from qcluster.baselines.hammr_l import flip_kernel
from qcluster.baselines.radial import distance_blocks, look_up
from qcluster.core.arithmetic import default_errstate
from qcluster.core.checks import check_whole
from qcluster.core.counts.distribution import Distribution

_CANDIDATES = 1000
"""Largest number of strings considered as true outputs: the most frequent ones."""
_START_RATE = 0.05
"""Starting value of a flip rate that is learned."""


@default_errstate
def em_uniform(counts: Any, rate: float | None = None, *, rounds: int = 200) -> Distribution:
    """Fit the counts by a few true strings, independent bit flips and a uniform (depolarised) share.

    Model: ``P(y) = b 2^-n + (1 - b) sum_k w_k p^d(y,k) (1-p)^(n-d(y,k))``. Candidates k are the strings that are too
    frequent for a uniform output with as many shots: fewer than one of the 2^n strings would be expected to have as
    many shots or more. If there is no such string, the counts are returned unchanged.

    Source: Chandramouli et al., arXiv:2506.00683 (filter the depolarised part, then EM for the rest). Their filter
    discards counts; here the uniform part stays in the model as a component, so that no threshold discards shots.
    Cost: ``rounds x n_outcomes x candidates``.

    Args:
        counts: anything that `Distribution.of` takes.
        rate: flip probability of one bit, in [0, 0.5); learned if None.
        rounds: largest number of EM steps; EM stops when the log-likelihood gains less than 1e-9 of its value.

    Returns:
        A distribution with the same number of shots, on the candidates.

    Raises:
        ValueError: rate is outside [0, 0.5), rounds below 1, or the strings have more than 896 bits.

    Example:
        >>> fixed = em_uniform({"0000": 700, "0001": 70, "0010": 80, "0100": 70, "1000": 75, "1111": 5})
        >>> {text: round(p, 2) for text, p in fixed.to_probs().items()}
        {'0000': 0.99, '0010': 0.01}
    """
    rounds = check_whole("rounds", rounds, 1)
    observed = Distribution.of(counts)
    learn, p = rate is None, _START_RATE if rate is None else rate
    kernel = flip_kernel(p, observed.n_bits)
    candidates = _candidates(observed)
    if not len(candidates):
        return observed
    background, flips = 2.0**-observed.n_bits, np.arange(observed.n_bits + 1)
    share = observed.probabilities
    weights = share[candidates] / share[candidates].sum()
    uniform, previous = 0.1, -np.inf
    for _ in range(rounds):
        gain, flipped, explained, likelihood = np.zeros(len(candidates)), 0.0, 0.0, 0.0
        for rows, distances in distance_blocks(observed.words, observed.words[candidates]):
            likely = look_up(kernel, distances)
            mixed = uniform * background + (1 - uniform) * (likely @ weights)
            ratio = share[rows] / mixed
            gain += ratio @ likely
            explained += uniform * background * ratio.sum()
            flipped += (1 - uniform) * float(ratio @ (look_up(flips * kernel, distances) @ weights))
            likelihood += float(share[rows] @ np.log(mixed))
        weights = weights * gain
        weights /= weights.sum()
        uniform = float(np.clip(explained, 0.0, 1.0 - 1e-9))
        if learn:
            p = float(np.clip(flipped / (observed.n_bits * (1 - uniform)), 1e-6, 0.49))
            kernel = flip_kernel(p, observed.n_bits)
        if likelihood - previous < 1e-9 * abs(likelihood):
            break
        previous = likelihood
    return Distribution(observed.bits[candidates], weights * observed.shots)


def _candidates(observed: Distribution) -> np.ndarray:
    """Return the rows of strings that are too frequent for a uniform output, the most frequent first."""
    from scipy.special import pdtrc

    if not observed.n_outcomes or not observed.n_bits:
        return np.zeros(0, dtype=np.intp)
    expected = observed.shots * 2.0**-observed.n_bits
    chance = pdtrc(np.ceil(observed.weights) - 1, expected)
    rows = np.flatnonzero(chance * 2.0**observed.n_bits < 1)
    return rows[np.argsort(-observed.weights[rows], kind="stable")][:_CANDIDATES]


def _answer(counts: Distribution, rates: Any) -> Distribution:
    return em_uniform(counts, None if rates is None else one_rate(rates))


enter(
    "em_uniform",
    "Bit flips and a uniform background by expectation maximisation (arXiv:2506.00683); learns its flip rate, or takes "
    "the mean of the rates given.",
    _answer,
    uses=("rates",),
)
