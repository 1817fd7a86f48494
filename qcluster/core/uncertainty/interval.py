"""`Interval`: between which values an average lies, by a bootstrap over shots."""

from __future__ import annotations  # np.random.Generator would import numpy.random, for a tenth of the time

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from numbers import Real
from typing import Any

import numpy as np

from qcluster.core.arithmetic import own_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole, make_rng
from qcluster.core.counts.bits import Words
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.observables import diagonal
from qcluster.core.uncertainty.response import Response

_AT_ONCE = 1 << 22
"""Numbers held in memory at once."""
_MOST_SHOTS = 2**53
"""Beyond, whole shots are no longer exact."""


@dataclass(frozen=True)
class Interval:
    """An average, and between which values it lies."""

    value: float
    """What the answer says."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    level: float
    """Probability with which the interval is meant to hold the value."""
    standard_error: float
    """Root mean square deviation of the redrawn answers from the value."""


@own_errstate
def intervals(
    raw: Distribution,
    answer: Distribution,
    response: Response | None,
    observables: Sequence[Any],
    *,
    level: float = 0.95,
    samples: int = 200,
    seed: int | np.random.Generator | None = 0,
) -> list[Interval]:
    """Give an interval for each of several observables, from one set of resamples.

    Shots are redrawn from the observed strings (a multinomial distribution), `response` tells what the answer would
    then be, and the spread of these answers about the one given makes the interval. It stays within what the observable
    can be, and is nowhere narrower than Wilson's interval for so many shots: that all of them agree is no proof. For
    the counts themselves it is Wilson's interval.

    Args:
        raw: the counts.
        answer: the mitigated distribution.
        response: how the answer moves with the counts; None where it is the counts themselves, for which the spread is
            ``sqrt(variance / shots)`` and nothing needs to be redrawn.
        observables, level, samples, seed: see `qcluster.Mitigation.interval`; the spread of 200 samples is known to 5%.

    Raises:
        ValueError, TypeError: wrong level, samples or observable.
    """
    from statistics import NormalDist  # brings fractions, decimals and random: a tenth of what the package imports

    if isinstance(observables, (str, Mapping)) or not isinstance(observables, Iterable):
        raise TypeError(f"observables must be a list of them; got {observables!r}: of one alone, ask `interval`")
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}")
    samples = check_whole("samples", samples, 2)
    read = [diagonal(observable, raw.n_bits) for observable in observables]
    if not raw.n_outcomes:
        raise ValueError("an interval needs counts of at least one shot; got none")

    def values(words: Words) -> Floats:
        columns = [one.values(words) / one.unit for one in read]
        return np.stack(columns, axis=1) if read else np.zeros((len(words), 0))

    means = answer.probabilities @ values(answer.words)
    variances = answer.probabilities @ (values(answer.words) - means) ** 2
    if response is None:
        spread = np.sqrt(variances / raw.shots)
    else:
        redrawn = _redraw(raw, response, values, samples, make_rng(seed))
        spread = np.sqrt(((redrawn - means) ** 2).mean(axis=0))
    z = -NormalDist().inv_cdf((1 - level) / 2)
    found = []
    redrawn_z = z if response is not None else 0.0  # of the counts themselves, Wilson's interval alone
    for mean, variance, error, one in zip(means.tolist(), variances.tolist(), spread.tolist(), read, strict=True):
        ends = one.low / one.unit, one.high / one.unit
        low, high = _ends(mean, variance, *ends, raw.shots, z, redrawn_z * error)
        found.append(Interval(*(part * one.unit for part in (mean, low, high)), float(level), error * one.unit))
    return found


def _redraw(raw: Distribution, response: Response, values: Any, samples: int, rng: np.random.Generator) -> Floats:
    """Draw shots anew, as many draws at once as memory allows, and collect what the answers say."""
    shots = int(min(max(1, round(raw.shots)), _MOST_SHOTS))
    levels = rng.permutation((np.arange(samples) + 0.5) / samples)
    step = max(1, _AT_ONCE // max(raw.n_outcomes, response.width))
    collected = []
    for start in range(0, samples, step):
        part = levels[start : start + step]
        draws: Floats = rng.multinomial(shots, raw.probabilities, size=len(part)).astype(np.float64)
        draws *= raw.shots / shots
        collected.append(response.redo(draws, part, values))
    return np.vstack(collected)


def _ends(
    mean: float, variance: float, low: float, high: float, shots: float, z: float, least: float
) -> tuple[float, float]:
    """Join ``mean +- least`` with Wilson's interval for as many shots, more where values spread less than bits do."""
    reach = high - low
    if reach <= 0:
        return mean, mean
    t, least = min(max((mean - low) / reach, 0.0), 1.0), least / reach
    number = shots * t * (1 - t) / max(variance / reach**2, 0.25 / shots)
    below, above = wilson(t, max(shots, number), z)
    below, above = max(0.0, min(below, t - least)), min(1.0, max(above, t + least))
    return min(low + reach * below, mean), max(low + reach * above, mean)


def wilson(share: float, number: float, z: float) -> tuple[float, float]:
    """Give Wilson's interval (1927) of a share that was seen in a number of draws, `z` standard deviations wide."""
    centre = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z * sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2) / (1 + z * z / number)
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
