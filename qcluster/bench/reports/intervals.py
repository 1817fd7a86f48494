"""Between which values averages over a campaign lie: circuits are drawn anew, each with all its outputs.

Outputs of one circuit, from several machines, seeds or records, are alike and count as one draw. The intervals tell how
far an average would move with other circuits of the same kind; nothing about machines or days that were not measured.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.uncertainty.interval import wilson

LEVEL = 0.95
"""Probability with which an interval is meant to hold the average over all circuits of the kind."""
FEWEST = 10
"""Circuits below which a mean gets no interval: among so few, those that make the mean are too often missing."""

_NORMAL = NormalDist()
_Z = -_NORMAL.inv_cdf((1 - LEVEL) / 2)
_DRAWS = (2_000, 10_000)
"""For many circuits and for few, whose intervals end farther out in the tails."""
_AT_ONCE = 1 << 22
"""Numbers held in memory at once."""


def mean_intervals(
    values: Floats, circuits: Sequence[str], *, fewest: int = FEWEST, seed: int | np.random.Generator | None = 0
) -> Floats:
    """Bootstrap the means of several columns over circuits, all columns from the same draws.

    Percentiles of 2,000 to 10,000 draws, widened for few circuits so that of a plain mean they would reach as far as
    Student's interval (Hesterberg, The American Statistician 69, 371, 2015: plain percentiles are too narrow).

    Args:
        values: ``(n_outputs, n_columns)``, finite.
        circuits: name of the circuit of each output.
        fewest: circuits that there must be; one is never enough.
        seed: of the draws.

    Returns:
        ``(n_columns, 2)``: lower and upper ends; NaN where there are fewer circuits.

    Example:
        >>> gains = np.linspace(0, 0.3, 24)[:, None]
        >>> mean_intervals(gains, [f"bv:{n}" for n in range(24)]).round(2).tolist()
        [[0.11, 0.19]]
        >>> mean_intervals(gains, ["bv:5"] * 24).tolist()
        [[nan, nan]]
    """
    places, sizes = _clusters(circuits)
    number = len(sizes)
    if number < max(fewest, 2):
        return np.full((values.shape[1], 2), np.nan)
    totals = np.zeros((number, values.shape[1]))
    np.add.at(totals, places, values)
    rng = np.random.default_rng(seed)
    draws = int(np.clip(400_000 // number, *_DRAWS))
    step = max(1, _AT_ONCE // (number * (values.shape[1] + 1)))
    means = []
    for start in range(0, draws, step):
        picks = rng.integers(number, size=(min(step, draws - start), number))
        means.append(totals[picks].sum(axis=1) / sizes[picks].sum(axis=1)[:, None])
    tail = _NORMAL.cdf(-sqrt(number / (number - 1)) * _student(number))
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    found = values.mean(axis=0)
    return np.stack([np.minimum(low, found), np.maximum(high, found)], axis=1)


def share_interval(hits: Sequence[bool] | NDArray[np.bool_], circuits: Sequence[str]) -> tuple[float, float]:
    """Give Wilson's interval of a share, with as many draws as the outputs are worth.

    Drawing anew cannot doubt a share of none or all. Wilson's interval can, but takes outputs for independent. So it
    is given the number of independent outputs with the variance that is seen between circuits, less what few circuits
    do not know of it (Korn and Graubard, Survey Methodology 24, 193, 1998); at most the number of outputs, at least,
    and where all agree, that of circuits (less where these have unequally many outputs).

    Args:
        hits: ``(n_outputs,)``.
        circuits: name of the circuit of each output.

    Returns:
        Lower and upper end.

    Example:
        >>> low, high = share_interval([False] * 20, [f"bv:{n}" for n in range(20)])
        >>> low, round(high, 2)
        (0.0, 0.16)
    """
    places, sizes = _clusters(circuits)
    number, outputs, share = len(sizes), len(places), float(np.mean(hits))
    worth = outputs**2 / float(sizes @ sizes)
    if number > 1 and 0 < share < 1:
        excess, alone = np.bincount(places, np.asarray(hits) - share), share * (1 - share) / outputs
        variance = number / (number - 1) * float(excess @ excess) / outputs**2
        worth = max(worth, outputs * alone / max(variance, alone) * (_Z / _student(number)) ** 2)
    return wilson(share, worth, _Z)


def raw_interval(fidelity: float, shots: float) -> tuple[float, float]:
    """Tell how far the Hellinger fidelity of raw counts would move if the shots were drawn again.

    With ``F = (sum_i sqrt(p_i q_i))^2`` and multinomial shots the variance of F is ``F (Q - F) / shots`` to first
    order, Q the ideal probability of the strings that were read. That is at most the variance of a share F of the
    shots, whose interval (Wilson's) it is given. For one ideal string F is that share.

    Args:
        fidelity: F, between 0 and 1.
        shots: their number, more than 0.

    Example:
        >>> low, high = raw_interval(0.8, 1000)
        >>> round(low, 3), round(high, 3)
        (0.774, 0.824)
    """
    return wilson(fidelity, shots, _Z)


def _student(number: int) -> float:
    """Give how many standard errors Student's interval reaches from a mean of so many values."""
    from scipy.special import stdtrit

    return -float(stdtrit(number - 1, (1 - LEVEL) / 2))


def _clusters(circuits: Sequence[str]) -> tuple[NDArray[np.intp], Floats]:
    """Number the circuits; give the number of each output, and how many outputs each circuit has."""
    _, places, sizes = np.unique(np.asarray(circuits, dtype=str), return_inverse=True, return_counts=True)
    return places, sizes.astype(np.float64)
