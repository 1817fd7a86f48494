"""The sparse mixture: a few strings, flipped by a noisy channel, explain the counts."""

from dataclasses import dataclass, replace
from math import log

import numpy as np

from qcluster.core.bits import Bits
from qcluster.core.growth import REGIMES, candidates, choices, grow, joining_gains, ranked, score, settle, shrink, take
from qcluster.core.likelihood import TILTS, Floats, Indices, Model, Prior, Rows, distances, fit, lay_out
from qcluster.core.moves import improve, level_within, relocate, ring, ring_gain, undo_decay

_FIRST = 6
"""Strings grown at every rate, before the two best rates go on."""
_CHANCE = 5.0
"""Gain in log-likelihood, in nats, that the best of many superfluous strings reaches by chance."""
_TAIL = 2.5
"""Strings that correlated errors bring, for each factor e between the gain of the first and the cost of naming one."""


@dataclass(frozen=True)
class MixtureSettings:
    """The knobs of the sparse mixture."""

    max_clusters: int = 32
    """Most strings that may explain the counts."""
    rates_tried: tuple[float, ...] = (0.02, 0.06, 0.15, 0.28, 0.4)
    """Flip rates at which growth starts, from a good device to one near its end."""
    prior_shots: float = 30.0
    """How many shots the belief about a bit's flip rate is worth: the scatter of rates over a device."""
    prior_share: float = 0.0
    sharpness: float = 2.0
    """How fast the probability of a number of clusters rises with its gap in the likelihood gains."""
    misfit: float = -50
    """Standard deviations of misfit from which the number of clusters is judged by gaps instead of description length:
    the errors are then not independent from bit to bit, and likelihood alone would ask for ever more strings."""
    rounds: int = 30
    """Most EM rounds of the final fits."""


@dataclass(frozen=True)
class MixtureFit:
    """The sparse mixture fitted to counts, and what a guard needs to judge it."""

    centroids: Bits
    """``(k, n) bool``, heaviest first."""
    weights: Floats
    """``(k,)`` summing to 1: the mitigated distribution over the centroids, averaged over the plausible numbers."""
    rates: Floats
    """``(n, 2)`` P(read 1|0) and P(read 0|1), averaged over the error regimes."""
    regimes: Floats
    """``(s,)`` share of the shots in each error regime; the odds of a flip are multiplied by `likelihood.TILTS`."""
    background: float
    """Share of uniform noise."""
    log_likelihood: float
    """Of all shots, under the most plausible number of clusters."""
    model: Floats
    """``(u,)`` probability of each string given to `fit_mixture`, in its order."""
    agreement: float
    """Cosine between counts and model after the uniform part is taken from both; 1 where the model explains them."""
    excess: float
    """How many standard deviations the collisions between shots exceed those of uniform noise."""
    gap: float
    """Drop in likelihood gain behind the chosen number of clusters, as a factor: near 1, the number is a guess."""
    flip_rate: float
    """Flips per bit of an average shot, counting uniform noise as one half."""
    perplexity: float
    """Effective number of distinct strings in the counts."""
    support: float
    """Effective number of strings in the answer."""
    clusters: Floats
    """``(m,)`` probability of 1, 2, ... m clusters."""
    ring: bool
    """True where the answer is a ring of strings around a centre."""


def fit_mixture(
    bits: Bits, weights: Floats, *, rates: Floats | None = None, settings: MixtureSettings | None = None
) -> MixtureFit:
    """Explain counts by a few strings and a noisy channel.

    Args:
        bits: ``(u, n) bool`` distinct observed strings.
        weights: ``(u,)`` their shots.
        rates: ``(n, 2)`` flip rates expected, or None to learn them from the counts.
        settings: the knobs.

    Returns:
        The fit. Deterministic.

    Example:
        >>> bits = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
        >>> found = fit_mixture(bits, np.array([430.0, 40, 35, 450, 45]))
        >>> sorted(found.centroids.astype(int).tolist())
        [[0, 0, 0], [1, 1, 1]]
    """
    settings = settings or MixtureSettings()
    rows = lay_out(bits, np.asarray(weights, dtype=np.float64))
    prior = Prior(settings.prior_shots + settings.prior_share * rows.shots, rates)
    pool, place = candidates(rows, 1024)
    path = _path(rows, pool, place, prior, settings)
    best = min((model for model in path if model is not None), key=lambda model: score(rows, model))
    best = improve(rows, fit(rows, best, prior, 10), pool, place, prior, settings.max_clusters)
    complete = ranked(best)
    belief, gaps = _belief(rows, path, complete, settings)
    for k in np.flatnonzero(belief > 0.02).tolist():
        path[k] = _better(rows, path[k], take(complete, k + 1), prior, settings.rounds)
    chosen = int(np.argmax(belief))
    is_ring = False
    finished: list[Model] = []
    for k, model in enumerate(path):
        if model is None or belief[k] < 0.01:
            belief[k] = 0
            continue
        if k == 0:
            model = undo_decay(rows, model, prior, settings.rounds)
        model = relocate(rows, model, prior, settings.rounds // 2)
        if k == 0:
            circle = ring(rows, model, prior, settings.rounds)
            if circle is not None and ring_gain(rows, model, *circle) > 0:
                model, is_ring = circle[0], chosen == 0
        if k == chosen:
            best = model
        finished.append(model)
    centroids, averaged = _average(finished, belief[belief > 0] / belief.sum())
    agreement, excess = _agreement(rows, best)
    frequency = rows.weights / rows.shots
    assert best.total is not None
    total = np.empty(len(rows.weights))
    total[np.argsort(-np.asarray(weights, dtype=np.float64), kind="stable")] = best.total * np.exp(-rows.unit)
    mean = best.rates()
    share = best.weights @ best.centroids
    return MixtureFit(
        centroids=centroids,
        weights=averaged,
        rates=mean,
        regimes=best.regimes,
        background=best.background,
        log_likelihood=best.log_likelihood,
        model=total,
        agreement=agreement,
        excess=excess,
        gap=float(gaps[chosen]),
        flip_rate=best.background / 2
        + (1 - best.background) * float((mean[:, 0] * (1 - share) + mean[:, 1] * share).mean()),
        perplexity=float(np.exp(-(frequency * np.log(frequency)).sum())),
        support=float(np.exp(-(averaged * np.log(np.maximum(averaged, 1e-300))).sum())),
        clusters=belief,
        ring=is_ring,
    )


def _path(rows: Rows, pool: Bits, place: Indices, prior: Prior, settings: MixtureSettings) -> list[Model | None]:
    """Give the best mixture found for each number of clusters.

    A few strings are grown at every rate tried; from the two rates that then describe the shots best, growth goes on
    to the end, and centroids are taken out again one by one.
    """
    apart = place - np.arange(len(pool))[:, None] * (rows.n_bits + 1)
    path: list[Model | None] = [None] * settings.max_clusters

    def meet(model: Model) -> float:
        k, level = len(model.weights) - 1, score(rows, model)
        known = path[k]
        if known is None or level < score(rows, known):
            path[k] = model
        return level

    trials = []
    for rate in settings.rates_tried:
        model = grow(rows, pool, apart, rate, min(_FIRST, settings.max_clusters))
        if model is not None:
            trials.append((meet(settle(rows, model, prior, 4)), rate))
    for _, rate in sorted(trials)[:2]:
        model = grow(rows, pool, apart, rate, settings.max_clusters)
        if model is not None:
            for fitted in shrink(rows, settle(rows, model, prior, 5), prior, 5):
                meet(fitted)
    if not trials:  # no string stands out from uniform noise: the most frequent one stands for it
        alone = Model(pool[:1], np.ones(1), np.full((rows.n_bits, 2), 0.1), REGIMES, 0.9)
        meet(fit(rows, alone, prior, 5))
    return path


def _better(rows: Rows, one: Model | None, other: Model, prior: Prior, rounds: int) -> Model:
    """Refit two mixtures of as many strings, and keep the one that describes the shots near its strings better."""
    other = fit(rows, replace(other, kernel=None), prior, rounds)
    if one is None:
        return other
    one = fit(rows, one, prior, rounds)
    near = np.zeros(len(rows.weights), dtype=bool)
    for model in (one, other):
        near |= (distances(rows, model.centroids) < 2.5).any(axis=0)
    return one if level_within(rows, one, near) >= level_within(rows, other, near) else other


def _belief(rows: Rows, path: list[Model | None], complete: Model, settings: MixtureSettings) -> tuple[Floats, Floats]:
    """Give the probability of each number of clusters, and its gap.

    The gap is the smallest gain in log-likelihood up to that number over the largest behind it. It must show twice:
    in the best mixtures of each size, with rates of their own, and when the strings of the complete mixture join by
    weight under its rates. Errors that the channel does not know (correlated ones) ask for ever more strings, with
    gains that fall off slowly; so few strings behind the gap speak against it.
    """
    size = len(path)
    scores = np.array([np.inf if model is None else score(rows, model) for model in path])
    last = max(int(np.argmin(scores)), len(complete.weights) - 1)
    levels = np.full(last + 2, -rows.shots * rows.unit)
    for k, model in enumerate(path[: last + 1]):
        levels[k + 1] = levels[k] if model is None else max(levels[k], model.log_likelihood)
    levels[len(complete.weights) :] = np.maximum(levels[len(complete.weights) :], complete.log_likelihood)
    cost = 0.5 * log(max(rows.shots, 8.0)) + log(rows.n_bits) + choices(rows.n_bits)[: rows.n_bits // 2 + 1].mean()
    full = last + 1 >= 0.85 * size
    gap, behind = _gaps(_concave(levels), full)
    joined, _ = _gaps(np.append(joining_gains(rows, complete), np.zeros(last + 1 - len(complete.weights))), full)
    gaps, belief = np.zeros(size), np.zeros(size)
    gaps[: last + 1] = np.minimum(gap, joined)
    tail = _TAIL * np.log(np.maximum(behind / cost, 1.0))
    few = np.array([_at_most(last - k, mean) for k, mean in enumerate(tail.tolist())])
    belief[: last + 1] = gaps[: last + 1] ** settings.sharpness / np.arange(1, last + 2) * (0.3 + 0.7 * few)
    belief[: last + 1] *= _visible(path, complete, last)
    belief /= belief.sum()
    trust = 1 / (1 + np.exp(2 * (misfit(rows, complete) - settings.misfit)))
    lengths = np.append(scores, np.inf)[: len(complete.weights)]
    lengths[-1] = score(rows, complete)
    posterior = np.zeros(size)
    posterior[: len(lengths)] = np.exp(lengths.min() - lengths)
    return trust * posterior / posterior.sum() + (1 - trust) * belief, gaps


def _visible(path: list[Model | None], complete: Model, last: int) -> Floats:
    """Give how clearly the weights step down behind each number of clusters, 0 to 1.

    The step is looked for in the complete mixture and in the best one with one string more: where strings of like
    weight follow, likelihood gains alone do not justify a cut.
    """
    step = np.full(last + 1, np.inf)
    for k in range(last):
        weights = complete.weights
        step[k] = weights[k] / weights[k + 1] if k + 1 < len(weights) else np.inf
        more = path[k + 1]
        if more is not None:
            ordered = np.sort(more.weights)[::-1]
            step[k] = max(step[k], ordered[k] / ordered[k + 1])
    return np.asarray(np.clip((step - 1) / 0.5, 0.02, 1.0) ** 2)


def misfit(rows: Rows, model: Model, least: float = 5.0) -> float:
    """Give how many standard deviations Pearson's statistic lies above what chance gives, on well filled strings."""
    assert model.total is not None
    awaited = model.total.astype(np.float64) * rows.shots * np.exp(-rows.unit)
    filled = awaited >= least
    number = int(filled.sum())
    excess = float(((rows.weights - awaited)[filled] ** 2 / awaited[filled]).sum()) - number
    return excess / float(np.sqrt(2 * max(number, 1)))


def _gaps(gains: Floats, full: bool) -> tuple[Floats, Floats]:
    gains = np.maximum(gains, _CHANCE)
    behind = np.append(np.maximum.accumulate(gains[::-1])[::-1][1:], gains[-1] if full else _CHANCE)
    return np.minimum.accumulate(gains) / behind, behind


def _concave(levels: Floats) -> Floats:
    """Give the steps of the least concave curve above these levels (pooling adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for gain in np.diff(levels).tolist():
        total, count = gain, 1
        while pools and pools[-1][0] * count < total * pools[-1][1]:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    return np.concatenate([np.full(count, total / count) for total, count in pools])


def _at_most(count: int, mean: float) -> float:
    """Give the chance of at most `count` events when `mean` are expected (Poisson)."""
    terms = np.cumprod(np.append(1.0, mean / np.arange(1, count + 1)))
    return float(np.exp(-mean) * terms.sum())


def _average(models: list[Model], belief: Floats) -> tuple[Bits, Floats]:
    """Average answers by expected Hellinger fidelity: the top eigenvector of ``sum_K pi_K sqrt(w^K) sqrt(w^K)^T``."""
    every = np.vstack([model.centroids for model in models])
    distinct, which = np.unique(every, axis=0, return_inverse=True)
    owner = np.repeat(np.arange(len(models)), [len(model.weights) for model in models])
    roots = np.zeros((len(models), len(distinct)))
    np.add.at(roots, (owner, which.ravel()), np.concatenate([model.weights for model in models]))
    roots = np.sqrt(roots) * np.sqrt(belief)[:, None]
    _, _, top = np.linalg.svd(roots, full_matrices=False)
    weights = top[0] ** 2
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] > 1e-9]
    return distinct[order], weights[order] / weights[order].sum()


def _agreement(rows: Rows, model: Model) -> tuple[float, float]:
    """Give the cosine between counts and model without the uniform part, and the z-score of the excess collisions."""
    assert model.total is not None
    shots, uniform = rows.shots, float(np.exp(-rows.unit))
    collisions = float(rows.weights @ (rows.weights - 1)) / max(shots * (shots - 1), 1.0) - uniform
    excess = collisions * shots / np.sqrt(2 * uniform)
    used = np.flatnonzero(model.regimes > 1e-4)
    tilted = model.odds[None] * TILTS[used, None, None]
    flip = tilted / (1 + tilted)
    reads_one = np.where(model.centroids[:, None], 1 - flip[None, :, :, 1], flip[None, :, :, 0])
    reads_one = reads_one.reshape(-1, rows.n_bits)
    share = (np.outer(model.weights, model.regimes[used]) * (1 - model.background)).ravel()
    overlap = np.exp(sum(np.log(np.outer(one, one) + np.outer(1 - one, 1 - one)) for one in reads_one.T))
    b = model.background
    own = float(share @ overlap @ share) + (2 * b * (1 - b) + b * b - 1) * uniform
    cross = float(rows.weights @ model.total) * np.exp(-rows.unit) / shots - uniform
    cosine = cross / np.sqrt(max(collisions, 1e-300) * max(own, 1e-300)) if collisions > 0 else 0.0
    return min(float(cosine), 1.0), float(excess)
