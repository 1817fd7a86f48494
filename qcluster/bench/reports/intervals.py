"""Confidence intervals for averages over a campaign, by bootstrap over circuits.

Outputs of one circuit, from several machines, seeds or records, are similar, and are resampled together. The intervals
show how far an average would change with other circuits of the same kind. They do not cover machines or days that were
not measured.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.uncertainty.interval import wilson

LEVEL = 0.95
"""Nominal probability that an interval contains the average over all circuits of the kind."""
FEWEST = 10
"""Circuits below which a mean gets no interval: so small a sample too often lacks the circuits that dominate the mean.
"""

_NORMAL = NormalDist()
_Z = -_NORMAL.inv_cdf((1 - LEVEL) / 2)
_DRAWS = (2_000, 10_000)
"""Numbers of bootstrap draws for many circuits and for few, whose intervals lie farther out in the tails."""
_AT_ONCE = 1 << 22
"""Numbers held in memory at the same time."""


def mean_intervals(
    values: Floats, circuits: Sequence[str], *, fewest: int = FEWEST, seed: int | np.random.Generator | None = 0
) -> Floats:
    """Compute bootstrap intervals for the means of several columns over circuits, all from the same draws.

    The ends are percentiles of 2,000 to 10,000 draws. For few circuits these are widened so that for a plain mean they
    would match Student's interval (Hesterberg, The American Statistician 69, 371, 2015: plain percentiles are too
    narrow).

    Args:
        values: ``(n_outputs, n_columns)``, finite.
        circuits: name of the circuit of each output.
        fewest: smallest number of circuits; at least two are needed in any case.
        seed: seed of the draws.

    Returns:
        ``(n_columns, 2)``: lower and upper ends; NaN if there are fewer circuits.

    Example:
        >>> gains = np.linspace(0, 0.3, 24)[:, None]
        >>> mean_intervals(gains, [f"bv:{n}" for n in range(24)]).round(2).tolist()
        [[0.11, 0.19]]
        >>> mean_intervals(gains, ["bv:5"] * 24).tolist()
        [[nan, nan]]
    """
    places, sizes = _clusters(circuits)
    n_circuits = len(sizes)
    if n_circuits < max(fewest, 2):
        return np.full((values.shape[1], 2), np.nan)
    totals = np.zeros((n_circuits, values.shape[1]))
    np.add.at(totals, places, values)
    rng = np.random.default_rng(seed)
    draws = int(np.clip(400_000 // n_circuits, *_DRAWS))
    step = max(1, _AT_ONCE // (n_circuits * (values.shape[1] + 1)))
    means = []
    for start in range(0, draws, step):
        picks = rng.integers(n_circuits, size=(min(step, draws - start), n_circuits))
        means.append(totals[picks].sum(axis=1) / sizes[picks].sum(axis=1)[:, None])
    tail = _NORMAL.cdf(-sqrt(n_circuits / (n_circuits - 1)) * _student_reach(n_circuits))
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    center = values.T.copy().mean(axis=1)  # rounded as the mean of each column by itself, which must lie within
    return np.stack([np.minimum(low, center), np.maximum(high, center)], axis=1)


def share_interval(hits: Sequence[bool] | NDArray[np.bool_], circuits: Sequence[str]) -> tuple[float, float]:
    """Return Wilson's interval of a share, for the effective number of independent outputs.

    A bootstrap gives no interval for a share of 0 or 1. Wilson's interval does, but assumes independent outputs. It is
    therefore computed for the number of independent outputs with the same variance as observed between circuits,
    reduced because few circuits estimate this variance poorly (Korn and Graubard, Survey Methodology 24, 193, 1998).
    This number is at most that of the outputs and at least that of the circuits (less if circuits have unequal numbers
    of outputs); the least is used where all outputs agree.

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
    n_circuits, outputs, share = len(sizes), len(places), float(np.mean(hits))
    effective = outputs**2 / float(sizes @ sizes)
    if n_circuits > 1 and 0 < share < 1:
        excess, sampling = np.bincount(places, np.asarray(hits) - share), share * (1 - share) / outputs
        variance = n_circuits / (n_circuits - 1) * float(excess @ excess) / outputs**2
        effective = max(
            effective, outputs * sampling / max(variance, sampling) * (_Z / _student_reach(n_circuits)) ** 2
        )
    return wilson(share, effective, _Z)


def raw_interval(fidelity: float, shots: float) -> tuple[float, float]:
    """Return the interval within which the Hellinger fidelity of raw counts varies if the shots are drawn again.

    With ``F = (sum_i sqrt(p_i q_i))^2`` and multinomial shots, the variance of F is ``F (Q - F) / shots`` to first
    order, where Q is the ideal probability of the strings that were read. This is at most the variance of a share F of
    the shots, whose Wilson interval is returned. For a single ideal string, F is that share.

    Args:
        fidelity: F, between 0 and 1.
        shots: number of shots, more than 0.

    Example:
        >>> low, high = raw_interval(0.8, 1000)
        >>> round(low, 3), round(high, 3)
        (0.774, 0.824)
    """
    return wilson(fidelity, shots, _Z)


def _student_reach(number: int) -> float:
    """Return the half-width of Student's interval for a mean of `number` values, in standard errors."""
    from scipy.special import stdtrit

    return -float(stdtrit(number - 1, (1 - LEVEL) / 2))


def _clusters(circuits: Sequence[str]) -> tuple[NDArray[np.intp], Floats]:
    """Return the index of the circuit of each output, and the number of outputs of each circuit."""
    _, places, sizes = np.unique(np.asarray(circuits, dtype=str), return_inverse=True, return_counts=True)
    return places, sizes.astype(np.float64)
