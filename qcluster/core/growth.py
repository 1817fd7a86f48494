"""Which centroids: growth at a fixed flip rate, removal one by one, and the cost of naming a centroid."""

from dataclasses import replace
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Bits
from qcluster.core.likelihood import TILTS, Floats, Indices, Model, Prior, Rows, Singles, fit, places, reweigh

REGIMES = np.array([0.1, 0.3, 0.5, 0.1])
"""Shares of the error regimes before the shots are seen."""
_PAIRS = 1_000_000
"""Pairs of candidate and string held at once."""


def choices(n: int) -> Floats:
    """Give ln C(n, d) for d = 0 to n."""
    return np.array([lgamma(n + 1) - lgamma(d + 1) - lgamma(n - d + 1) for d in range(n + 1)], dtype=np.float64)


def naming_cost(centroids: Bits, shots: float) -> float:
    """Give the description length of centroids, in nats.

    The first costs n ln 2; each other names its distance to the nearest earlier one and the bits in which they differ,
    and brings one weight: ``0.5 ln N + ln C(n, d) + ln n``.

    Example:
        >>> round(naming_cost(np.array([[False, False], [True, True]]), 100.0) / log(2), 2)
        6.32
    """
    k, n = int(centroids.shape[0]), int(centroids.shape[1])
    c = centroids.astype(np.float32)
    apart = c.sum(axis=1)[:, None] + c.sum(axis=1) - 2 * c @ c.T
    apart[np.triu_indices(k)] = np.inf
    nearest = np.rint(apart[1:].min(axis=1)).astype(int) if k > 1 else np.zeros(0, dtype=int)
    return n * log(2) + float((choices(n)[nearest] + 0.5 * log(max(shots, 1.0)) + log(n)).sum())


def score(rows: Rows, model: Model) -> float:
    """Give the description length of the shots: lower is better."""
    return naming_cost(model.centroids[np.argsort(-model.weights, kind="stable")], rows.shots) - model.log_likelihood


def candidates(rows: Rows, most: int) -> tuple[Bits, Indices]:
    """Pick the most frequent strings as candidates, and give their `places`, ``(m, u)``."""
    m = max(32, min(most, _PAIRS // len(rows.weights)))
    found = rows.bits[:m]
    return found, places(rows, found)


def best_share(lift: Singles, shares: Singles, start: float, rounds: int = 5) -> tuple[Floats, Floats]:
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


def grow(rows: Rows, pool: Bits, apart: Indices, rate: float, most: int, shortlist: int = 8) -> Model | None:
    """Grow a mixture at one flip rate for all bits, the best net gain first, until naming costs more than it gains.

    A frozen rate keeps one centroid from explaining everything by a rate that inflates. The kernel then depends on
    the distance alone and is looked up once for all candidates.

    Args:
        rows: the strings.
        pool: ``(m, n)`` candidates.
        apart: ``(m, u)`` their distances.
        rate: flips per bit.
        most: most centroids.
        shortlist: candidates whose share is searched at each step, by the slope of the likelihood.

    Returns:
        The mixture, or None where no candidate beats uniform noise.
    """
    n, u, shots, odds = rows.n_bits, len(rows.weights), rows.shots, rate / (1 - rate)
    table = np.exp(np.log(odds * TILTS)[:, None] * np.arange(n + 1) - n * np.log1p(odds * TILTS)[:, None])
    level = np.exp(np.maximum(np.log(REGIMES @ table) + rows.unit, -42.0)).astype(np.float32)
    columns = np.take(level, apart)
    held, lifts = np.empty((most, u), np.float32), np.empty((shortlist, u), np.float32)
    cost, nearest = choices(n), np.full(len(pool), n)
    chosen: list[int] = []
    model = Model(pool[:0], np.zeros(0), np.full((n, 2), odds), REGIMES, 1.0, total=np.ones(u, np.float32))
    while len(chosen) < most:
        assert model.total is not None
        slope = columns @ (rows.shares / model.total)
        slope[chosen] = 0
        short = np.argsort(-slope, kind="stable")[:shortlist]
        short = short[slope[short] > 1]
        if not len(short):
            break
        lift = np.divide(columns[short], model.total, out=lifts[: len(short)])
        lift -= 1
        share, gain = best_share(lift, rows.shares, 0.02 if chosen else 0.3)
        net = gain * shots - (0.5 * log(max(shots, 1.0)) + cost[nearest[short]] + log(n) if chosen else 0)
        j = int(np.argmax(net))
        if net[j] <= 0:
            break
        held[len(chosen)] = columns[short[j]]
        chosen.append(int(short[j]))
        weights = np.append(model.weights * (1 - model.background) * (1 - share[j]), share[j])
        model = replace(
            model,
            centroids=pool[chosen],
            weights=weights / weights.sum(),
            background=model.background * (1 - float(share[j])),
            kernel=held[: len(chosen)],
        )
        model = reweigh(rows, model, 4)
        nearest = np.minimum(nearest, (pool ^ pool[short[j]]).sum(axis=1))
    return model if chosen else None


def settle(rows: Rows, model: Model, prior: Prior, rounds: int) -> Model:
    """Refit a mixture with free rates; drop centroids that hold less than a shot."""
    model = fit(rows, model, prior, rounds)
    held = model.weights * (1 - model.background) * rows.shots > 1
    held[np.argmax(model.weights)] = True
    return model if held.all() else fit(rows, keep(model, held), prior, 2)


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


def shrink(rows: Rows, model: Model, prior: Prior, rounds: int) -> list[Model]:
    """Take centroids out, the least needed first, refitting each time, down to one.

    Returns:
        The mixtures met on the way, the one given first. Above ten centroids a fourth goes at a time.
    """
    met = [model]
    while len(model.weights) > 1:
        k = len(model.weights)
        out = np.argsort(losses(rows, model), kind="stable")[: 1 if k <= 10 else max(1, k // 4)]
        left = np.ones(k, dtype=bool)
        left[out] = False
        model = settle(rows, reweigh(rows, keep(model, left), 3), prior, rounds if k <= 10 else 3)
        met.append(model)
    return met


def merged(centroids: Bits, weights: Floats) -> tuple[Bits, Floats]:
    """Pool equal centroids; the result is in ascending order of bits."""
    distinct, which = np.unique(centroids, axis=0, return_inverse=True)
    pooled = np.zeros(len(distinct))
    np.add.at(pooled, which.ravel(), weights)
    return distinct, pooled


def evidence(rows: Rows, model: Model) -> float:
    """Give minus the log evidence of a mixture, its weights integrated out (Laplace), its rates fitted.

    ``-ln L + ln(2^{nK} / K!) + 0.5 ln det(H / 2 pi) - ln K!``, H the curvature in the weights, with a flat prior over
    them and over sets of K strings. Where the shots fix the weights, this is the description length; under heavy
    noise they do not, and a further string costs less.
    """
    assert model.kernel is not None
    assert model.total is not None
    k = len(model.weights)
    apart = ((model.kernel - np.float32(1)) / model.total).astype(np.float64)
    curvature = (apart * rows.weights) @ apart.T + np.eye(k)
    volume = 0.5 * float(np.linalg.slogdet(curvature / (2 * np.pi))[1])
    return k * rows.n_bits * log(2) - 2 * lgamma(k + 1) + volume - model.log_likelihood


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
