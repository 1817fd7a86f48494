"""Which centroids: growth at a fixed flip rate, removal one by one, and the cost of naming a centroid."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Bits, hamming, pack
from qcluster.core.description import choices
from qcluster.core.em import FAINT, fit_all
from qcluster.core.likelihood import TILTS, Floats, Indices, Model, Prior, Rows, Singles, places

REGIMES = np.array([0.1, 0.3, 0.5, 0.1])
"""Shares of the error regimes before the shots are seen."""
_PAIRS = 1_000_000
"""Pairs of candidate and string held at once."""


def candidates(rows: Rows, most: int) -> tuple[Bits, Indices]:
    """Pick the most frequent strings as candidates, and give their `places`, ``(m, u)``."""
    m = max(32, min(most, _PAIRS // len(rows.weights)))
    found = rows.bits[:m]
    return found, places(rows, found)


def best_share(lift: Singles, shares: Singles, start: float, rounds: int = 3) -> tuple[Floats, Floats]:
    """Find the share of each new component that raises ``sum W ln(1 + e (Q - 1))`` most.

    Args:
        lift: ``(m, u)`` Q - 1, the new component's probability over the present one, minus 1.
        shares: ``(u,)`` W.
        start: share to start from.
        rounds: safeguarded Newton steps.

    Returns:
        ``(m,)`` shares and ``(m,)`` gains a shot.
    """
    share, slope, below = np.full(len(lift), start), np.empty_like(lift), np.empty_like(lift)
    for _ in range(rounds):
        np.multiply(lift, share[:, None].astype(np.float32), out=below)
        below += 1
        np.divide(lift, below, out=slope)
        first = (slope @ shares).astype(np.float64)
        slope *= slope
        step = first / np.maximum(slope @ shares, 1e-30)
        share = np.clip(share + np.clip(step, -0.5 * share, 2 * share + 0.02), 1e-5, 0.97)
    np.multiply(lift, share[:, None].astype(np.float32), out=below)
    return share, (np.log1p(below, out=below) @ shares).astype(np.float64)


def seeds(rows: Rows, rates: Sequence[float]) -> list[Model]:
    """Give a mixture without strings for each rate, from which to `grow`."""
    n, u = rows.n_bits, len(rows.weights)
    nothing, level = np.zeros((0, n), dtype=bool), -rows.shots * rows.unit
    return [
        Model(
            nothing,
            np.zeros(0),
            np.full((n, 2), rate / (1 - rate)),
            REGIMES,
            1.0,
            level,
            np.zeros((0, u), np.float32),
            np.ones(u, np.float32),
        )
        for rate in rates
    ]


def grow(rows: Rows, pool: Bits, apart: Indices, models: Sequence[Model], most: int, shortlist: int = 8) -> list[Model]:
    """Grow mixtures at one flip rate each, the best net gain first, until naming a string costs more than it gains.

    A frozen rate keeps one centroid from explaining everything by a rate that inflates. The kernel then depends on
    the distance alone and is looked up once for all candidates.

    Args:
        rows: the strings.
        pool: ``(m, n)`` candidates.
        apart: ``(m, u)`` their distances.
        models: mixtures of one size, from `seeds` or from this function.
        most: most centroids.
        shortlist: candidates whose share is searched at each step, by the slope of the likelihood.

    Returns:
        The mixtures grown, in their order; one stays as it is where no candidate gains enough.
    """
    n, shots, packed = rows.n_bits, rows.shots, pack(pool)
    grown, going = list(models), np.arange(len(models))
    columns = np.stack([np.take(_by_distance(rows, model), apart) for model in models])
    size = len(models[0].weights)
    held = np.zeros((len(models), most, len(rows.weights)), np.float32)
    held[:, :size] = [model.kernel for model in models]
    share = np.array([model.weights * (1 - model.background) for model in models], np.float32)
    background = np.array([model.background for model in models])
    total = np.stack([model.total for model in models if model.total is not None])
    nearest = np.stack([hamming(packed, pack(model.centroids)).min(axis=1, initial=n) for model in models])
    naming = 0.5 * log(max(shots, 1.0)) + log(n) + choices(n)
    while size < most:
        chosen, joins, net = _best_candidates(rows, columns, total, nearest, naming if size else 0 * naming, shortlist)
        go = net > 0
        if not go.any():
            break
        if not go.all():
            columns, held, share, background, nearest = columns[go], held[go], share[go], background[go], nearest[go]
            going, chosen, joins = going[go], chosen[go], joins[go]
        each = np.arange(len(going))
        held[:, size] = columns[each, chosen]
        share = np.hstack([share * (1 - joins)[:, None], joins[:, None]]).astype(np.float32)
        background = background * (1 - joins)
        size += 1
        share, background, total = reweighted(rows, held[:, :size], share, background, 4)
        nearest = np.minimum(nearest, hamming(packed, packed[chosen]).T)
        for at, place in enumerate(going):
            weights = share[at].astype(np.float64)
            grown[place] = replace(
                grown[place],
                centroids=np.vstack([grown[place].centroids, pool[chosen[at]]]),
                weights=weights / weights.sum(),
                background=float(background[at]),
                kernel=held[at, :size],
                total=total[at],
            )
    return grown


def _best_candidates(
    rows: Rows, columns: Singles, total: Singles, nearest: Indices, naming: Floats, shortlist: int
) -> tuple[Indices, Floats, Floats]:
    """Find the candidate that lowers the description length of each mixture most: which, its share, its net gain.

    Args:
        rows: the strings.
        columns: ``(g, m, u)`` P(y|c) of the candidates under each mixture's rate.
        total: ``(g, u)`` P(y).
        nearest: ``(g, m)`` distance of each candidate to the nearest centroid; 0 for one that is chosen.
        naming: ``(n + 1,)`` cost of a string by that distance.
        shortlist: candidates whose share is searched, by the slope of the likelihood.
    """
    each = np.arange(len(columns))
    slope = np.matmul(columns, (rows.shares / total)[:, :, None])[:, :, 0]
    slope[nearest == 0] = 0
    short = np.argsort(-slope, axis=1, kind="stable")[:, :shortlist]
    lift = columns[each[:, None], short]
    lift /= total[:, None]
    lift -= 1
    joins, gain = best_share(lift.reshape(-1, lift.shape[2]), rows.shares, 0.02 if naming.any() else 0.3)
    net = gain.reshape(short.shape) * rows.shots - naming[np.take_along_axis(nearest, short, 1)]
    net[np.take_along_axis(slope, short, 1) <= 1] = -np.inf
    best = net.argmax(axis=1)
    return short[each, best], joins.reshape(short.shape)[each, best], net[each, best]


def _by_distance(rows: Rows, model: Model) -> Singles:
    """Give P(y|c) by distance, ``(n + 1,)``, where all bits have one rate."""
    n, tilted = rows.n_bits, model.odds[0, 0] * TILTS
    table = np.exp(np.log(tilted)[:, None] * np.arange(n + 1) - n * np.log1p(tilted)[:, None])
    level = np.log(np.maximum(model.regimes @ table, 1e-280)) + rows.unit
    return np.asarray(np.exp(np.maximum(level, -42.0)), dtype=np.float32)


def weigh(rows: Rows, model: Model, columns: Singles) -> Model:
    """Judge a mixture by its kernel: its log-likelihood, and P(y)."""
    total = ((1 - model.background) * model.weights).astype(np.float32) @ columns
    total += np.float32(model.background)
    level = float(rows.weights @ np.log(total.astype(np.float64))) - rows.shots * rows.unit
    return replace(model, log_likelihood=level, kernel=columns, total=total)


def reweigh(rows: Rows, model: Model, rounds: int) -> Model:
    """Raise the likelihood of a mixture by EM over weights and background alone: see `reweighted`."""
    assert model.kernel is not None
    share = (model.weights * (1 - model.background)).astype(np.float32)
    (share,), (background,), _ = reweighted(rows, model.kernel[None], share[None], np.array([model.background]), rounds)
    weights = share.astype(np.float64)
    return weigh(rows, replace(model, weights=weights / weights.sum(), background=float(background)), model.kernel)


def reweighted(
    rows: Rows, columns: Singles, share: Singles, background: Floats, rounds: int
) -> tuple[Singles, Floats, Singles]:
    """Take EM steps over weights and background, the channel kept: two matrix-vector products a round.

    Args:
        rows: the strings.
        columns: ``(m, k, u)`` P(y|c) of m mixtures of one size.
        share: ``(m, k)`` what each centroid holds of the shots.
        background: ``(m,)``.
        rounds: how many.

    Returns:
        Shares, backgrounds, and P(y) ``(m, u)``.
    """
    total = _mixed(columns, share, background)
    for _ in range(rounds):
        ratio = rows.shares / total
        share = share * np.matmul(columns, ratio[:, :, None])[:, :, 0]
        background = background * ratio.sum(axis=1, dtype=np.float64)
        whole = share.sum(axis=1) + background
        share = (share / whole[:, None]).astype(np.float32)
        background = np.maximum(background / whole, FAINT)
        total = _mixed(columns, share, background)
    return share, background, total


def _mixed(columns: Singles, share: Singles, background: Floats) -> Singles:
    return np.asarray(np.matmul(share[:, None], columns)[:, 0] + background.astype(np.float32)[:, None])


def settle(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int) -> list[Model]:
    """Refit mixtures with free rates; drop centroids that hold less than a shot."""
    fitted = fit_all(rows, models, prior, rounds)
    held = [model.weights * (1 - model.background) * rows.shots > 1 for model in fitted]
    for model, shots in zip(fitted, held, strict=True):
        shots[np.argmax(model.weights)] = True
    poor = [place for place, shots in enumerate(held) if not shots.all()]
    again = fit_all(rows, [keep(fitted[place], held[place]) for place in poor], prior, 2)
    for place, model in zip(poor, again, strict=True):
        fitted[place] = model
    return fitted


def keep(model: Model, which: NDArray[np.bool_]) -> Model:
    """Keep some of the centroids."""
    weights = model.weights[which]
    columns = model.kernel[which] if model.kernel is not None else None
    return replace(model, centroids=model.centroids[which], weights=weights / weights.sum(), kernel=columns)


def losses(rows: Rows, model: Model) -> Floats:
    """Give the log-likelihood lost when one centroid is taken out and nothing refitted, ``(k,)``."""
    assert model.kernel is not None
    assert model.total is not None
    rest = model.kernel * ((1 - model.background) * model.weights).astype(np.float32)[:, None]
    rest /= model.total
    np.subtract(1, rest, out=rest)
    return np.asarray(-(np.log(np.maximum(rest, 1e-6)) @ rows.shares).astype(np.float64) * rows.shots)


def shrink(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int) -> list[Model]:
    """Take centroids out, the least needed first, refitting each time, down to one.

    Returns:
        All mixtures met on the way, those given first. Above ten centroids a fourth goes at a time.
    """
    met = list(models)
    while left := [model for model in models if len(model.weights) > 1]:
        few = max(len(model.weights) for model in left) <= 10
        models = settle(rows, [_fewer(rows, model) for model in left], prior, rounds if few else 3)
        met += models
    return met


def _fewer(rows: Rows, model: Model) -> Model:
    k = len(model.weights)
    stay = np.ones(k, dtype=bool)
    stay[np.argsort(losses(rows, model), kind="stable")[: 1 if k <= 10 else max(1, k // 4)]] = False
    return reweigh(rows, keep(model, stay), 3)


def merged(centroids: Bits, weights: Floats) -> tuple[Bits, Floats]:
    """Pool equal centroids; the result is in ascending order of bits."""
    distinct, which = np.unique(centroids, axis=0, return_inverse=True)
    pooled = np.zeros(len(distinct))
    np.add.at(pooled, which.ravel(), weights)
    return distinct, pooled


def ranked(model: Model) -> Model:
    """Order the centroids by weight, heaviest first."""
    order = np.argsort(-model.weights, kind="stable")
    columns = model.kernel[order] if model.kernel is not None else None
    return replace(model, centroids=model.centroids[order], weights=model.weights[order], kernel=columns)


def take(model: Model, k: int) -> Model:
    """Keep the first k centroids."""
    return keep(model, np.arange(len(model.weights)) < k)


def joining_gains(rows: Rows, model: Model, rounds: int = 6) -> Floats:
    """Give what each centroid adds to the log-likelihood as they join in their order, the rates kept, ``(k,)``."""
    gains, level = np.zeros(len(model.weights)), -rows.shots * rows.unit
    for k in range(len(gains)):
        held = float(model.weights[: k + 1].sum()) * (1 - model.background)
        joined = reweigh(rows, replace(take(model, k + 1), background=max(1 - held, 1e-3)), rounds)
        gains[k] = max(joined.log_likelihood - level, 0.0)
        level = max(level, joined.log_likelihood)
    return gains
