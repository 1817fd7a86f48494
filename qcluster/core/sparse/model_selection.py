"""How many strings: by evidence where the noise is simple, by gaps where it is not."""

from dataclasses import dataclass, replace
from math import log

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, distinct
from qcluster.core.lockstep import Stepwise
from qcluster.core.noise.prior import INDEPENDENT
from qcluster.core.sparse.backward_elimination import backward_elimination
from qcluster.core.sparse.description_length import (
    description_length,
    joining_costs,
    negative_log_evidence,
    shortest_length,
)
from qcluster.core.sparse.em import fit_all
from qcluster.core.sparse.forward_selection import gaps, joining_gains
from qcluster.core.sparse.local_search import level_within, local_search, relocate, ring, undo_decay
from qcluster.core.sparse.model import Model, Prior, Rows, distances, rates_by_regime
from qcluster.core.stats.goodness import pearson_misfit
from qcluster.core.stats.special import softmax

_TAIL = 2.5
"""Strings that correlated errors add, for each factor e between the gain of the first and the cost of one string."""
_NEAR = 2.5
"""Strings nearer than this to a centroid, in bits, judge between answers of one size."""
_LIKELY = 8
"""Mixtures, of least description length, whose evidence is computed at one rate."""
_FAR = 60.0
"""Nats of description length behind the best, from which it is not."""
_QUICK, _ONE_RATE = 4, 8
"""EM rounds of one rate for all bits: of the screening pass, and before the evidence."""
_ONE_HEAVY_RATE = 40
"""The latter under heavy noise, which EM is slow to tell from the uniform component."""
HEAVY, _FILL = 0.2, 4.0
"""Flips per bit from which noise is heavy; and fewest shots a string, of all strings of the register: fewer cannot tell
one rate from many."""
_FREE = 10
"""EM rounds of rates of their own for all bits."""
_REACH = 0.25
"""Nats a shot that these may gain."""
_SIMPLE, _FAR_OFF = 2.5, 25.0
"""Standard deviations of misfit up to which the noise counts as simple, and those beyond which a few more rounds of EM
change nothing."""
_SHARPNESS = 2.0
"""How fast the probability of a number of strings rises with the gap behind it: a power."""
Path = list[Model | None]
"""The best mixture of 1, 2, ... strings; None where there is none."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The plausible mixtures."""

    models: list[Model]
    """The most probable first."""
    posterior: Floats
    """Their probabilities."""
    gap: float
    """How clear the number of strings is: see `MixtureFit.gap`."""
    simple: bool = False
    """True where independent flips at one rate explain the counts."""
    ring: bool = False
    """True where the most probable is a ring."""


def by_marginal_likelihood(rows: Rows, models: list[Model], prior: Prior, most: int) -> Stepwise[Chosen | None]:
    """Weigh mixtures of any size by their evidence, if independent flips at one rate for all bits explain the counts.

    Then nothing hints at correlated errors, and every string that raises the evidence is real. Two things must hold of
    the best of them: Pearson's statistic on well filled strings lies within `_SIMPLE` standard deviations of what
    chance gives, and rates of their own for all bits do not describe the shots in less. Under heavy noise the best
    mixture is improved first, and weighed with all that backward elimination leaves of it.

    Args:
        rows: the strings.
        models: mixtures of any size.
        prior: of the flip rates.
        most: most centroids.

    Returns:
        The plausible mixtures, their gap the odds of the first; None where the noise is not simple.
    """
    one_rate = replace(prior, common=True)
    quick = yield from fit_all(rows, _independent(models), one_rate, _QUICK)
    lengths = np.array([description_length(rows, model) for model in quick])
    likely = [quick[i] for i in np.argsort(lengths, kind="stable")[:_LIKELY] if lengths[i] <= lengths.min() + _FAR]
    heavy = is_heavy(rows, likely[0])
    if not heavy and _misfit(rows, likely[0]) > _FAR_OFF:
        return None
    if heavy:
        searched = yield from local_search(rows, likely[0], one_rate, most)
        likely += backward_elimination(rows, [searched])
        fitted = yield from fit_all(rows, likely, one_rate, _QUICK)
        moved = []
        for model in fitted:
            moved.append((yield from relocate(rows, model, one_rate, _QUICK)))
        likely = list({model.strings: model for model in moved}.values())
    kept = yield from fit_all(rows, likely, one_rate, _ONE_RATE if not heavy else _ONE_HEAVY_RATE)
    found = np.array([negative_log_evidence(rows, model) for model in kept])
    order = np.argsort(found, kind="stable")
    best = kept[order[0]]
    reach = description_length(rows, best) + _REACH * rows.shots
    few = [quick[i] for i in np.argsort(lengths, kind="stable") if lengths[i] < reach]
    smaller = [model for model in few if len(model.weights) < len(best.weights)][:_LIKELY]
    if _misfit(rows, best) > _SIMPLE or (yield from _rates_differ(rows, best, smaller, prior)):
        return None
    order = order[found[order] - found.min() < 7.0]
    posterior = softmax(-found[order])
    return Chosen([kept[i] for i in order], posterior, float(posterior[0] / max(1 - posterior[0], 1e-3)), simple=True)


def is_heavy(rows: Rows, model: Model) -> bool:
    """Tell whether so many bits are flipped that frequent strings are no guide, and shots suffice to do better."""
    return bool(model.rates().mean() > HEAVY) and rows.shots >= _FILL * 2.0**rows.n_bits


def _independent(models: list[Model]) -> list[Model]:
    """Start from independent flips at the mean rate."""
    of_regime = rates_by_regime(np.array([model.odds.ravel() for model in models])).mean(axis=2)
    means = (of_regime * np.array([model.regimes for model in models])).sum(axis=1)
    rates = np.minimum(np.maximum(means, 1e-3), 0.45)
    return [
        Model(model.centroids, model.weights, np.full(model.odds.shape, odds), INDEPENDENT, model.background)
        for model, odds in zip(models, (rates / (1 - rates)).tolist(), strict=True)
    ]


def _rates_differ(rows: Rows, best: Model, smaller: list[Model], prior: Prior) -> Stepwise[bool]:
    """Tell whether rates of their own for all bits describe the shots in less: with the same strings, or with fewer.

    Their description costs ``(2n - 1) / 2 ln F`` nats (Schwarz, 1978), F the flips that an average one of them counts.
    """
    flips = rows.shots * (1 - best.background) * float(best.rates().mean()) / 2
    limit = description_length(rows, best) - (rows.n_bits - 0.5) * log(max(flips, 2.0))
    able = [model for model in (best, *smaller) if shortest_length(rows, len(model.weights)) < limit]
    free = yield from fit_all(rows, able, prior, _FREE)
    return any(description_length(rows, model) < limit for model in free)


def _misfit(rows: Rows, model: Model) -> float:
    """Give Pearson's statistic of a mixture, in standard deviations above its mean."""
    expected = model.total[rows.seen].astype(np.float64) * rows.shots * np.exp(-rows.unit)
    return pearson_misfit(expected, rows.weights[rows.seen])


def by_gap(rows: Rows, path: Path, complete: Model, prior: Prior, rounds: int) -> Stepwise[Chosen]:
    """Weigh numbers of strings by the gap in likelihood gains behind them.

    Errors that the channel does not know (correlated ones) ask for ever more strings, so that likelihood alone never
    stops; but their gains are smaller and fall off slowly.

    Returns:
        The plausible mixtures, and the gap of the first.
    """
    posterior, clear = gap_posterior(rows, path, complete)
    plausible = [k for k in np.argsort(-posterior, kind="stable").tolist() if posterior[k] >= 0.05]
    mixtures, is_ring = (yield from _refitted(rows, plausible, path, complete, prior, rounds)), False
    for i, (k, model) in enumerate(zip(plausible, mixtures, strict=True)):
        if k == 0:
            model = yield from undo_decay(rows, model, prior, rounds)
        model = yield from relocate(rows, model, prior, rounds // 2)
        if k == 0 and (circle := (yield from ring(rows, model, prior, rounds))) is not None:
            model, is_ring = circle, i == 0
        mixtures[i] = model
    share = posterior[plausible]
    return Chosen(mixtures, share / share.sum(), float(clear[plausible[0]]), ring=is_ring)


def _refitted(
    rows: Rows, plausible: list[int], path: Path, complete: Model, prior: Prior, rounds: int
) -> Stepwise[list[Model]]:
    """Give, for each number of strings less one, the better of the path's mixture and the complete one cut there.

    Better is what describes the shots near its strings better: far from all strings, bursts of errors decide, which
    neither describes.
    """
    offers: list[tuple[int, Model]] = []
    for i, k in enumerate(plausible):
        known, cut = path[k], k < len(complete.weights)
        offers += ([] if known is None else [(i, known)]) + ([(i, complete.take(slice(k + 1)))] if cut else [])
    better: dict[int, Model] = {}
    fitted = yield from fit_all(rows, [model for _, model in offers], prior, rounds)
    for (i, _), model in zip(offers, fitted, strict=True):
        better[i] = _nearer(rows, better[i], model) if i in better else model
    return [better[i] for i in range(len(plausible))]


def _nearer(rows: Rows, one: Model, other: Model) -> Model:
    near = (distances(rows, np.vstack([one.centroids, other.centroids])) < _NEAR).any(axis=0) & (rows.weights > 0)
    return one if level_within(rows, one, near) >= level_within(rows, other, near) else other


def gap_posterior(rows: Rows, path: Path, complete: Model) -> tuple[Floats, Floats]:
    """Give the probability of each number of strings, and its gap.

    The gap is the smallest gain in log-likelihood up to that number over the largest behind it. It must show twice:
    in the best mixtures of each size, with rates of their own, and when the strings of the complete mixture join by
    weight under its rates. The probability rises with the gap to the power `_SHARPNESS`, falls as 1/K, and is less
    where the weights do not step down behind the gap, or where few strings lie behind it although the first of them
    gains much.

    Args:
        rows: the strings.
        path: the best mixture of each size.
        complete: the mixture of least description length, heaviest string first.

    Returns:
        Two arrays of the length of the path.
    """
    size, most = len(path), len(complete.weights)
    lengths = [np.inf if model is None else description_length(rows, model) for model in path]
    last = max(int(np.argmin(lengths)), most - 1)
    levels = np.full(last + 2, -rows.shots * rows.unit)
    for k, model in enumerate(path[: last + 1]):
        levels[k + 1] = levels[k] if model is None else max(levels[k], model.log_likelihood)
    levels[most:] = np.maximum(levels[most:], complete.log_likelihood)
    cost = float(joining_costs(rows.n_bits, max(rows.shots, 8.0))[: rows.n_bits // 2 + 1].mean())
    steps, joining = concave_steps(levels), np.append(joining_gains(rows, complete), np.zeros(last + 1 - most))
    # Behind all that were tried there is chance alone, unless so many were tried that more may be real.
    more = last + 1 >= 0.85 * size
    gap, behind = gaps(np.append(steps, steps[-1] if more else 0.0))
    joined, _ = gaps(np.append(joining, joining[-1] if more else 0.0))
    clear, posterior = np.zeros(size), np.zeros(size)
    clear[: last + 1] = np.minimum(gap, joined)
    superfluous = _TAIL * np.log(np.maximum(behind / cost, 1.0))
    few = np.array([_at_most(last - k, mean) for k, mean in enumerate(superfluous.tolist())])
    posterior[: last + 1] = clear[: last + 1] ** _SHARPNESS / np.arange(1, last + 2) * (0.3 + 0.7 * few)
    posterior[: last + 1] *= _visible(path, complete, last)
    posterior[[k for k in range(most, last + 1) if path[k] is None]] = 0
    return posterior / posterior.sum(), clear


def concave_steps(levels: Floats) -> Floats:
    """Give the steps of the least concave curve above these levels (pooling adjacent violators).

    Example:
        >>> concave_steps(np.array([0.0, 1.0, 4.0, 5.0]))
        array([2., 2., 1.])
    """
    pools: list[tuple[float, int]] = []
    for gain in np.diff(levels).tolist():
        total, count = gain, 1
        while pools and pools[-1][0] * count < total * pools[-1][1]:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    return np.concatenate([np.full(count, total / count) for total, count in pools])


def _at_most(count: int, mean: float) -> float:
    """Give the probability of at most `count` events of a Poisson distribution of this mean."""
    terms = np.cumprod(np.append(1.0, mean / np.arange(1, count + 1)))
    return float(np.exp(-mean) * terms.sum())


def _visible(path: Path, complete: Model, last: int) -> Floats:
    """Give how clearly the weights step down behind each number of strings, 0 to 1.

    The step is looked for in the complete mixture and in the best one with one string more: where strings of like
    weight follow, likelihood gains alone do not justify a cut.
    """
    step = np.full(last + 1, np.inf)
    for k in range(last):
        more, weights = path[k + 1], complete.weights
        step[k] = weights[k] / weights[k + 1] if k + 1 < len(weights) else np.inf
        if more is not None:
            ordered = np.sort(more.weights)[::-1]
            step[k] = max(step[k], ordered[k] / ordered[k + 1])
    return np.asarray(np.clip((step - 1) / 0.5, 0.02, 1.0) ** 2)


def average(models: list[Model], posterior: Floats) -> tuple[Bits, Floats]:
    """Average answers by expected Hellinger fidelity: the top eigenvector of ``sum_K pi_K sqrt(w^K) sqrt(w^K)^T``.

    Returns:
        Distinct strings, heaviest first, and their weights, which sum to 1.
    """
    every = np.vstack([model.centroids for model in models])
    strings, which = distinct(every)
    owner = np.repeat(np.arange(len(models)), [len(model.weights) for model in models])
    shares = np.zeros((len(models), len(strings)))
    np.add.at(shares, (owner, which), np.concatenate([model.weights for model in models]))
    weights = shares[0]
    if len(models) > 1:
        _, _, top = np.linalg.svd(np.sqrt(shares * posterior[:, None]), full_matrices=False)
        weights = top[0] ** 2
    order = np.argsort(-weights.round(12), kind="stable")
    order = order[weights[order] > 1e-9]
    return strings[order], weights[order] / weights[order].sum()
