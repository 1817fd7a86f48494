"""The number of strings: by marginal likelihood if the noise is simple, else by the gap in likelihood gains."""

from dataclasses import dataclass, replace
from math import log

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, distinct
from qcluster.core.lockstep import Stepwise
from qcluster.core.noise.prior import INDEPENDENT_REGIMES
from qcluster.core.sparse.backward_elimination import backward_elimination
from qcluster.core.sparse.description_length import (
    description_length,
    joining_costs,
    negative_log_evidence,
    shortest_length,
)
from qcluster.core.sparse.em import fit_all
from qcluster.core.sparse.forward_selection import gaps, joining_gains
from qcluster.core.sparse.local_search import conditional_log_likelihood, local_search, relocate, ring, undo_decay
from qcluster.core.sparse.model import Model, Prior, Rows, distances, rates_by_regime
from qcluster.core.stats.goodness import pearson_misfit
from qcluster.core.stats.special import softmax

_TAIL = 2.5
"""Strings that correlated errors add, for each factor e between the gain of the first one and the cost of a string."""
_NEAR = 2
"""Two mixtures of one size are compared on the strings at most this far from a centroid, in bits."""
_MAX_COMPARED = 8
"""Mixtures whose evidence is computed: those of least description length."""
_FAR = 60.0
"""Nats of description length behind the best mixture beyond which the evidence is not computed."""
_SCREENING, _ONE_RATE, _ONE_HEAVY_RATE = 4, 8, 40
"""EM rounds with one rate for all bits: to screen mixtures; before their evidence; and before their evidence under
heavy noise, which EM is slow to separate from the uniform component."""
HEAVY, _MIN_OCCUPATION = 0.2, 4.0
"""Flips per bit beyond which noise is heavy; and least number of shots per string of the whole register: with fewer,
one rate cannot be distinguished from several."""
_FREE_RATES = 10
"""EM rounds with a rate for every bit and value."""
_MAX_GAIN = 0.25
"""Nats per shot that such rates may gain: smaller mixtures further behind are not tried."""
_MAX_MISFIT, _PRUNED_MISFIT = 2.5, 25.0
"""Standard deviations of misfit up to which the noise is simple, and beyond which more EM rounds change nothing."""
_GAP_POWER = 2.0
"""Power of the gap behind a number of strings with which its probability rises."""
Path = list[Model | None]
"""The best mixture of 1, 2, ... strings; None if there is none of that size."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Result of model selection: the plausible mixtures."""

    models: list[Model]
    """The most probable first."""
    posterior: Floats
    """Their posterior probabilities."""
    gap: float
    """How clear the number of strings is: see `MixtureFit.gap`."""
    simple: bool = False
    """True if independent flips at one rate explain the counts."""
    ring: bool = False
    """True if the most probable mixture is a ring."""


def by_marginal_likelihood(rows: Rows, models: list[Model], prior: Prior, most: int) -> Stepwise[Chosen | None]:
    """Weigh mixtures of any size by their evidence, if independent flips at one rate explain the counts.

    Nothing then suggests correlated errors, and every string that raises the evidence is real. The noise is simple if
    the best mixture meets two conditions: Pearson's statistic on well filled strings is at most `_MAX_MISFIT` standard
    deviations above its mean, and separate rates for the bits do not shorten the description. Under heavy noise the
    best mixture first goes through local search, and what backward elimination makes of it is compared as well.

    Returns the plausible mixtures, with the posterior odds of the first as `gap`; None if the noise is not simple.
    """
    one_rate = replace(prior, common=True)
    screened = yield from fit_all(rows, _independent(models), one_rate, _SCREENING)
    lengths = np.array([description_length(rows, model) for model in screened])
    order = np.argsort(lengths, kind="stable")
    likely = [screened[i] for i in order[:_MAX_COMPARED] if lengths[i] <= lengths.min() + _FAR]
    heavy = is_heavy(rows, likely[0])
    if not heavy and _misfit(rows, likely[0]) > _PRUNED_MISFIT:
        return None
    if heavy:
        searched = yield from local_search(rows, likely[0], one_rate, most)
        likely += backward_elimination(rows, [searched])
        fitted = yield from fit_all(rows, likely, one_rate, _SCREENING)
        moved = []
        for model in fitted:
            moved.append((yield from relocate(rows, model, one_rate, _SCREENING)))
        likely = list({model.strings: model for model in moved}.values())
    likely = yield from fit_all(rows, likely, one_rate, _ONE_RATE if not heavy else _ONE_HEAVY_RATE)
    log_evidence = -np.array([negative_log_evidence(rows, model) for model in likely])
    ranked = np.argsort(-log_evidence, kind="stable")
    best = likely[ranked[0]]
    limit = description_length(rows, best) + _MAX_GAIN * rows.shots
    smaller = [screened[i] for i in order if lengths[i] < limit and len(screened[i].weights) < len(best.weights)]
    if _misfit(rows, best) > _MAX_MISFIT or (yield from _rates_differ(rows, best, smaller[:_MAX_COMPARED], prior)):
        return None
    ranked = ranked[log_evidence.max() - log_evidence[ranked] < 7.0]
    posterior = softmax(log_evidence[ranked])
    odds = float(posterior[0] / max(1 - posterior[0], 1e-3))
    return Chosen([likely[i] for i in ranked], posterior, odds, simple=True)


def is_heavy(rows: Rows, model: Model) -> bool:
    """Tell whether so many bits flip that frequent strings are no guide, and whether the shots suffice to do better."""
    return bool(model.rates().mean() > HEAVY) and rows.shots >= _MIN_OCCUPATION * 2.0**rows.n_bits


def _independent(models: list[Model]) -> list[Model]:
    """Replace the channel of each mixture by independent flips at its mean rate."""
    regime_rates = rates_by_regime(np.array([model.odds.ravel() for model in models])).mean(axis=2)
    means = (regime_rates * np.array([model.regimes for model in models])).sum(axis=1)
    rates = np.minimum(np.maximum(means, 1e-3), 0.45)
    return [
        Model(model.centroids, model.weights, np.full(model.odds.shape, odds), INDEPENDENT_REGIMES, model.background)
        for model, odds in zip(models, (rates / (1 - rates)).tolist(), strict=True)
    ]


def _rates_differ(rows: Rows, best: Model, smaller: list[Model], prior: Prior) -> Stepwise[bool]:
    """Tell whether a rate for every bit and value shortens the description, with the same strings or with fewer.

    The 2n - 1 further rates cost ``(2n - 1) / 2 ln F`` nats (Schwarz, 1978), F the average number of flips behind each.
    """
    flips = rows.shots * (1 - best.background) * float(best.rates().mean()) / 2
    limit = description_length(rows, best) - (rows.n_bits - 0.5) * log(max(flips, 2.0))
    models = [model for model in (best, *smaller) if shortest_length(rows, len(model.weights)) < limit]
    fitted = yield from fit_all(rows, models, prior, _FREE_RATES)
    return any(description_length(rows, model) < limit for model in fitted)


def _misfit(rows: Rows, model: Model) -> float:
    """Return Pearson's statistic of a mixture, in standard deviations above its mean: see `pearson_misfit`."""
    expected = model.total[rows.seen].astype(np.float64) * rows.shots * np.exp(-rows.log_unit)
    return pearson_misfit(expected, rows.weights[rows.seen])


def by_gap(rows: Rows, path: Path, complete: Model, prior: Prior, rounds: int) -> Stepwise[Chosen]:
    """Weigh the numbers of strings by the gap in likelihood gains behind them.

    Correlated errors, which the channel does not describe, call for ever more strings, so that likelihood alone never
    stops. But the gains of such strings are smaller, and fall off slowly.

    `path` holds the best mixture of each size, `complete` is that of least description length, heaviest string first,
    and `rounds` the most EM rounds of a final fit. Returns the plausible mixtures, with the gap behind the first.
    """
    posterior, gap = gap_posterior(rows, path, complete)
    plausible = [k for k in np.argsort(-posterior, kind="stable").tolist() if posterior[k] >= 0.05]
    mixtures, is_ring = (yield from _best_of_sizes(rows, plausible, path, complete, prior, rounds)), False
    for i, (k, model) in enumerate(zip(plausible, mixtures, strict=True)):
        if k == 0:
            model = yield from undo_decay(rows, model, prior, rounds)
        model = yield from relocate(rows, model, prior, rounds // 2)
        if k == 0 and (fitted := (yield from ring(rows, model, prior, rounds))) is not None:
            model, is_ring = fitted, i == 0
        mixtures[i] = model
    share = posterior[plausible]
    return Chosen(mixtures, share / share.sum(), float(gap[plausible[0]]), ring=is_ring)


def _best_of_sizes(
    rows: Rows, plausible: list[int], path: Path, complete: Model, prior: Prior, rounds: int
) -> Stepwise[list[Model]]:
    """Refit, for each k in `plausible`, two mixtures of k + 1 strings; return the better of each two.

    One is the mixture of the path, the other the heaviest strings of the complete mixture. The better one describes the
    shots near its strings better: far from all strings bursts of errors dominate, which neither describes.
    """
    rivals: list[tuple[int, Model]] = []
    for i, k in enumerate(plausible):
        known = path[k]
        rivals += [] if known is None else [(i, known)]
        same = known is not None and known.log_likelihood == complete.log_likelihood  # but for the order of strings
        rivals += [(i, complete.take(slice(k + 1)))] if k < len(complete.weights) and not same else []
    better: dict[int, Model] = {}
    fitted = yield from fit_all(rows, [model for _, model in rivals], prior, rounds)
    for (i, _), model in zip(rivals, fitted, strict=True):
        better[i] = _better_near_centroids(rows, better[i], model) if i in better else model
    return [better[i] for i in range(len(plausible))]


def _better_near_centroids(rows: Rows, first: Model, second: Model) -> Model:
    """Return the mixture that gives the shots near any centroid of the two the higher likelihood."""
    near = (distances(rows, np.vstack([first.centroids, second.centroids])) <= _NEAR).any(axis=0) & (rows.weights > 0)
    return max((first, second), key=lambda model: conditional_log_likelihood(rows, model, near))


def gap_posterior(rows: Rows, path: Path, complete: Model) -> tuple[Floats, Floats]:
    """Return the posterior probability of each number K of strings, and the gap behind it: arrays as long as the path.

    The gap is the smallest gain in log-likelihood up to K strings, divided by the largest gain behind them. Two gaps
    are computed, and the smaller one counts: that of the best mixtures of each size, each with rates fitted to it, and
    that of the strings of the complete mixture as they join by weight, at its rates. The probability rises as the gap
    to the power `_GAP_POWER` and falls as 1/K. It is lower if the weights do not step down behind the gap, or if fewer
    strings lie behind it than the gain of the first of them suggests. `by_gap` describes the arguments.
    """
    size, most = len(path), len(complete.weights)
    lengths = [np.inf if model is None else description_length(rows, model) for model in path]
    last = max(int(np.argmin(lengths)), most - 1)
    log_likelihoods = np.full(last + 2, -rows.shots * rows.log_unit)
    for k, model in enumerate(path[: last + 1]):
        previous = log_likelihoods[k]
        log_likelihoods[k + 1] = previous if model is None else max(previous, model.log_likelihood)
    log_likelihoods[most:] = np.maximum(log_likelihoods[most:], complete.log_likelihood)
    cost = float(joining_costs(rows.n_bits, max(rows.shots, 8.0))[: rows.n_bits // 2 + 1].mean())
    steps, joining = concave_steps(log_likelihoods), np.append(joining_gains(rows, complete), np.zeros(last + 1 - most))
    # Only chance gains lie behind the last string tried, unless so many were tried that further ones may be real.
    more = last + 1 >= 0.85 * size
    path_gap, behind = gaps(np.append(steps, steps[-1] if more else 0.0))
    joining_gap, _ = gaps(np.append(joining, joining[-1] if more else 0.0))
    gap, posterior = np.zeros(size), np.zeros(size)
    gap[: last + 1] = np.minimum(path_gap, joining_gap)
    superfluous = _TAIL * np.log(np.maximum(behind / cost, 1.0))
    few = np.array([_poisson_cdf(last - k, mean) for k, mean in enumerate(superfluous.tolist())])
    posterior[: last + 1] = gap[: last + 1] ** _GAP_POWER / np.arange(1, last + 2) * (0.3 + 0.7 * few)
    posterior[: last + 1] *= _weight_step(path, complete, last)
    posterior[[k for k in range(most, last + 1) if path[k] is None]] = 0
    return posterior / posterior.sum(), gap


def concave_steps(levels: Floats) -> Floats:
    """Return the steps of the least concave curve above some levels (pool adjacent violators).

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


def _poisson_cdf(count: int, mean: float) -> float:
    """Return the probability of at most `count` events under a Poisson distribution."""
    terms = np.cumprod(np.append(1.0, mean / np.arange(1, count + 1)))
    return float(np.exp(-mean) * terms.sum())


def _weight_step(path: Path, complete: Model, last: int) -> Floats:
    """Score how clearly the weights step down behind each number of strings, from 0 to 1.

    The larger step counts, of the one in the complete mixture and the one in the best mixture of one string more: if
    strings of similar weight follow, likelihood gains alone do not justify a cut.
    """
    step = np.full(last + 1, np.inf)
    for k in range(last):
        larger, weights = path[k + 1], complete.weights
        step[k] = weights[k] / weights[k + 1] if k + 1 < len(weights) else np.inf
        if larger is not None:
            ordered = np.sort(larger.weights)[::-1]
            step[k] = max(step[k], ordered[k] / ordered[k + 1])
    return np.asarray(np.clip((step - 1) / 0.5, 0.02, 1.0) ** 2)


def average(models: list[Model], posterior: Floats) -> tuple[Bits, Floats]:
    """Average mixtures: return the distribution of highest expected Hellinger fidelity to them.

    The square roots of its weights are the top eigenvector of ``sum_K pi_K sqrt(w^K) sqrt(w^K)^T``, pi the posterior.
    Its strings are distinct, the heaviest first, and their weights sum to 1.
    """
    strings, which = distinct(np.vstack([model.centroids for model in models]))
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
