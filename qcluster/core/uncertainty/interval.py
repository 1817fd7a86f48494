"""`Interval`: a confidence interval of an expectation value, by a bootstrap over shots."""

from __future__ import annotations  # else np.random.Generator would import numpy.random, a tenth of the import time

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from numbers import Real
from typing import Any

import numpy as np

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole, make_rng
from qcluster.core.counts.bits import Words
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.observables import diagonal
from qcluster.core.uncertainty.response import Response

_AT_ONCE = 1 << 22
"""Largest number of values held in memory at once."""
_MOST_SHOTS = 2**53
"""Largest number of shots that floats count exactly."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval of an expectation value."""

    value: float
    """The expectation value in the answer."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    level: float
    """Nominal confidence level."""
    standard_error: float
    """Root mean square deviation of the resampled answers from the value."""


@default_errstate
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
    """Return an interval for each of several observables, from one set of resamples; see `Mitigation.interval`.

    Shots are resampled from the observed strings (a multinomial distribution), `response` computes the answer for each
    resample, and the interval is made from the spread of these answers about `answer`; 200 samples give it within 5%.
    The interval stays within the range of the observable, and is never narrower than Wilson's for as many shots, since
    even shots that all agree prove little. If `response` is None, the answer is the counts themselves: the interval is
    Wilson's, and the standard error ``sqrt(variance / shots)``.
    """
    from statistics import NormalDist  # imports fractions, decimal and random: a tenth of the package's import time

    if isinstance(observables, (str, Mapping)) or not isinstance(observables, Iterable):
        raise TypeError(f"observables must be a list; got {observables!r}: for a single one, use `interval`")
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level!r}")
    samples = check_whole("samples", samples, 2, _AT_ONCE)
    operators = [diagonal(observable, raw.n_bits) for observable in observables]
    if not raw.n_outcomes:
        raise ValueError("an interval needs counts of at least one shot; got none")

    def values(words: Words) -> Floats:
        columns = [operator.values(words) / operator.unit for operator in operators]
        return np.stack(columns, axis=1) if operators else np.zeros((len(words), 0))

    means = answer.probabilities @ values(answer.words)
    variances = answer.probabilities @ (values(answer.words) - means) ** 2
    if response is None:
        errors = np.sqrt(variances / raw.shots)
    else:
        resampled = _resample(raw, response, values, samples, make_rng(seed))
        errors = np.sqrt(((resampled - means) ** 2).mean(axis=0))
    z = -NormalDist().inv_cdf((1 - level) / 2)
    result = []
    resampled_z = z if response is not None else 0.0  # for the counts themselves, Wilson's interval only
    for mean, variance, error, one in zip(means.tolist(), variances.tolist(), errors.tolist(), operators, strict=True):
        bounds = one.low / one.unit, one.high / one.unit
        low, high = _ends(mean, variance, *bounds, raw.shots, z, resampled_z * error)
        result.append(Interval(*(part * one.unit for part in (mean, low, high)), float(level), error * one.unit))
    return result


def _resample(raw: Distribution, response: Response, values: Any, samples: int, rng: np.random.Generator) -> Floats:
    """Return the values in the answers to resampled counts, ``(samples, q)``, computed in batches to bound memory."""
    shots = int(min(max(1, round(raw.shots)), _MOST_SHOTS))
    levels = rng.permutation((np.arange(samples) + 0.5) / samples)
    step = max(1, _AT_ONCE // max(raw.n_outcomes, response.width))
    batches = []
    for start in range(0, samples, step):
        part = levels[start : start + step]
        draws: Floats = rng.multinomial(shots, raw.probabilities, size=len(part)).astype(np.float64)
        draws *= raw.shots / shots
        batches.append(response.resample(draws, part, values))
    return np.vstack(batches)


def _ends(
    mean: float, variance: float, low: float, high: float, shots: float, z: float, margin: float
) -> tuple[float, float]:
    """Return the ends of the union of ``mean +- margin`` and Wilson's interval for a bit of the same mean, scaled to
    ``[low, high]``; values that vary less than this bit count as more shots, in proportion."""
    span = high - low
    if span <= 0:
        return mean, mean
    t, margin = min(max((mean - low) / span, 0.0), 1.0), margin / span
    number = shots * t * (1 - t) / max(variance / span**2, 0.25 / shots)
    below, above = wilson(t, max(shots, number), z)
    below, above = max(0.0, min(below, t - margin)), min(1.0, max(above, t + margin))
    return min(low + span * below, mean), max(low + span * above, mean)


def wilson(share: float, number: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval (1927) for a share observed in a number of draws, at `z` standard deviations."""
    centre = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z * sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2) / (1 + z * z / number)
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
