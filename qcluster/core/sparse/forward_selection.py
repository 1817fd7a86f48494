"""Which strings: forward selection at frozen flip rates, and backward elimination to every smaller number.

Gains are in nats of log-likelihood; a string must gain more than it adds to the description length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qcluster.core.arrays import Floats, Indices, Singles
from qcluster.core.counts.bits import Bits, distinct, hamming, index_bits, pack
from qcluster.core.noise.prior import REGIMES, TILTS
from qcluster.core.sparse.description_length import joining_costs
from qcluster.core.sparse.em import subset
from qcluster.core.sparse.model import Model, Rows, log_likelihood, table_indices
from qcluster.core.sparse.weights import fit_weights
from qcluster.core.stats.goodness import shot_noise
from qcluster.core.stats.walsh import walsh

_PAIRS = 100_000
"""Pairs of candidate and string held at once."""
CHANCE_GAIN = 5.0
"""Gain in log-likelihood, in nats, that the best of many superfluous strings reaches by chance."""
_STRUCTURED, _CLEAR, _EXPLAINED = 4.0, 3.0, (0.7, 0.9)
"""Standard deviations from which counts are no uniform noise, the drop in gains that is clear, and the share of the
deviance which few strings must explain where it is, and where it is not."""
_SMOOTHED, _SMOOTHING, _PEAKS = 12, (0.2, 0.35), 16
"""Widest register whose counts are smoothed, the flip rates of that, and the peaks kept of each."""
SHORTLIST = 4
"""Candidates whose share is searched, those with the steepest slope of the likelihood."""
_PRUNED_TO = {2: 3, 4: 2}
"""From so many strings on, how many flip rates go on: those of least description length."""
OF_SIZE = 2
"""Mixtures of each number of strings that are refitted with free rates."""
_PATIENCE = 6
"""Strings after which selection ends where gains decline steadily and the counts fill the register: they are dense."""
_STEP, _DECLINE = 2.1, 3.0
"""Steadily: by no such factor at once, and by this one in all."""


@dataclass(frozen=True)
class Selection:
    """What forward selection found."""

    models: list[Model]
    """The one or two largest mixtures, that of least description length first."""
    prefixes: list[Model]
    """The mixtures of a few strings on the way: of every number the `OF_SIZE` likeliest that differ in strings."""
    gap: float
    """The largest drop in gain behind some number of strings, as a factor, in the first of the models."""
    dense: bool
    """True where counts fill the register and few strings do not explain them: no drop is clear, or much is left."""


def candidates(rows: Rows, most: int) -> tuple[Bits, Indices]:
    """Pick the most frequent strings as candidates, and the peaks of the smoothed counts.

    Under heavy noise the frequent strings are no guide; counts convolved with the noise (a matched filter) peak near
    what was sent. On registers that a vector over all strings holds.

    Returns:
        ``(m, n)`` strings, and ``(m, u)`` their `table_indices`.
    """
    m = max(32, min(most, _PAIRS // len(rows.weights)))
    found = rows.bits[:m]
    if rows.n_bits <= _SMOOTHED:
        peaks = _peaks(rows)
        found = np.vstack([found, peaks[(hamming(pack(peaks), pack(found)) > 0).all(axis=1)]])
    return found, table_indices(rows, found)


def _peaks(rows: Rows) -> Bits:
    """Give the strings at which counts smoothed by heavy flips are highest among their neighbours."""
    n = rows.n_bits
    counts, every = np.zeros(1 << n), np.arange(1 << n)
    counts[rows.bits @ (1 << np.arange(n))] = rows.weights
    fades = (1 - 2 * np.array(_SMOOTHING)[:, None]) ** np.bitwise_count(every)
    smooth = walsh(walsh(counts) * fades)
    around = smooth[:, every[:, None] ^ (1 << np.arange(n))].max(axis=2)
    height = np.where(smooth > around, smooth, 0)
    highest = np.argsort(-height, axis=1, kind="stable")[:, :_PEAKS]
    return index_bits(np.unique(highest[np.take_along_axis(height, highest, 1) > 0]), n)


def best_share(
    columns: Singles, total: Singles, shares: Singles, start: float, rounds: int = 2
) -> tuple[Floats, Floats]:
    """Find the share e of each new component that raises ``sum_y W ln(1 + e (P(y|c) / P(y) - 1))`` most.

    Args:
        columns: ``(m, s, u)`` P(y|c) of s components for each of m mixtures.
        total: ``(m, u)`` P(y) of the mixtures.
        shares: ``(u,)`` W, the share of the shots.
        start: share to start from.
        rounds: safeguarded Newton steps.

    Returns:
        ``(m, s)`` shares and ``(m, s)`` gains, in nats a shot.
    """
    lift = (columns / total[:, None]).reshape(-1, columns.shape[2])
    lift -= 1
    share, slope, below = np.full(len(lift), start, np.float32), np.empty_like(lift), np.empty_like(lift)
    for _ in range(rounds):
        np.multiply(lift, share[:, None], out=below)
        below += 1
        np.divide(lift, below, out=slope)
        first = slope @ shares
        slope *= slope
        step = first / np.maximum(slope @ shares, 1e-30)
        share = np.minimum(np.maximum(share + np.minimum(np.maximum(step, -0.5 * share), 2 * share + 0.02), 1e-5), 0.97)
        share = share.astype(np.float32)
    np.multiply(lift, share[:, None], out=below)
    gain = np.log1p(below, out=below) @ shares
    return share.reshape(columns.shape[:2]).astype(np.float64), gain.reshape(columns.shape[:2]).astype(np.float64)


def forward_selection(rows: Rows, pool: Bits, lookup: Indices, rates: Sequence[float], most: int) -> Selection:
    """Add strings to a mixture at each flip rate, the largest net gain first, until none pays for its description.

    A frozen rate keeps one centroid from explaining everything by a rate that inflates. P(y|c) then depends on the
    distance alone and is looked up once for all candidates. Rates that fall behind are pruned.

    Args:
        rows: the strings.
        pool: ``(m, n)`` candidates.
        lookup: ``(m, u)`` their `table_indices`.
        rates: flips per bit.
        most: most centroids.
    """
    n, u, shots, packed = rows.n_bits, len(rows.weights), rows.shots, pack(pool)
    odds = np.array(rates) / (1 - np.array(rates))
    columns = _likelihood_by_distance(rows, odds)[:, lookup - np.arange(len(pool))[:, None] * (n + 1)]
    likelihoods = np.empty((len(odds), most, u), np.float32)
    share, background = np.zeros((len(odds), 0), np.float32), np.ones(len(odds))
    total, nearest = np.ones((len(odds), u), np.float32), np.full((len(odds), len(pool)), n)
    chosen, gains = np.zeros((len(odds), 0), np.intp), np.zeros((len(odds), 0))
    costs = joining_costs(n, shots)
    filled = u * 4 >= 1 << min(n, 60)
    prefixes: list[Model] = []
    finished: list[tuple[float, Model | None, Floats]] = []

    def model(m: int) -> Model:
        weights = share[m].astype(np.float64)
        return Model(
            pool[chosen[m]],
            weights / weights.sum(),
            np.full((n, 2), odds[m]),
            REGIMES,
            float(background[m]),
            float(log_likelihoods[m]),
            likelihoods=likelihoods[m, : share.shape[1]],
            total=total[m],
        )

    log_likelihoods = np.zeros(len(odds))
    for k in range(most + 1):  # all rates at once, the first axis of every array
        best, new_share, net = _best_candidates(rows, columns, total, nearest, costs if k else 0 * costs)
        active = net > 0 if k < most else np.zeros(len(odds), dtype=bool)
        if k >= _PATIENCE and filled:
            steady = _largest_gap(gains) < _STEP
            active &= ~steady | (gains[:, 0] < _DECLINE * gains[:, -1])
        for m in np.flatnonzero(~active).tolist() if k else []:
            finished.append((float(gains[m].sum()), model(m), np.append(gains[m], net[m])))
        if k in _PRUNED_TO and active.sum() > _PRUNED_TO[k]:
            active[np.argsort(-np.where(active, gains.sum(axis=1), -np.inf), kind="stable")[_PRUNED_TO[k] :]] = False
        if not active.any():
            break
        if not active.all():
            columns, likelihoods, share = columns[active], likelihoods[active], share[active]
            background, odds, new_share, net = background[active], odds[active], new_share[active], net[active]
            best, nearest, chosen, gains = best[active], nearest[active], chosen[active], gains[active]
        likelihoods[:, k] = columns[np.arange(len(odds)), best]
        share = np.hstack([share * (1 - new_share)[:, None], new_share[:, None]]).astype(np.float32)
        kept = (background * (1 - new_share))[:, None]
        fitted = fit_weights(likelihoods[:, : k + 1], rows.shares, share[:, None], kept, 3)
        share, background, total = fitted[0][:, 0], fitted[1][:, 0], fitted[2][:, 0]
        log_likelihoods = log_likelihood(rows, total)
        nearest = np.minimum(nearest, hamming(packed, packed[best]).T)
        chosen, gains = np.hstack([chosen, best[:, None]]), np.hstack([gains, net[:, None]])
        if k < _PATIENCE:
            prefixes += [model(m) for m in _likeliest(log_likelihoods, chosen)]
    first, *others = sorted(finished, key=lambda one: -one[0]) or [(0.0, None, np.zeros(0))]
    models = [one[1] for one in (first, *others[:1]) if one[1] is not None]
    gap = float(_largest_gap(first[2])) if models else 1.0
    return Selection(models, prefixes, gap, filled and (gap < _STEP or _unexplained(rows, models, gap)))


def _likeliest(levels: Floats, chosen: Indices) -> list[int]:
    """Give the places of the `OF_SIZE` mixtures of highest level, one a set of strings; ``(g,)`` and ``(g, k)``."""
    places: dict[frozenset[int], int] = {}
    for m in np.argsort(-levels, kind="stable").tolist():
        places.setdefault(frozenset(chosen[m].tolist()), m)
    return list(places.values())[:OF_SIZE]


def _unexplained(rows: Rows, models: list[Model], gap: float) -> bool:
    """Tell whether a mixture leaves much of what sets the counts apart from uniform noise, shot noise taken off.

    ``(ln L - ln L_uniform) / (sum_y W ln(W 2^n / N) - E)``, E what shot noise gives the denominator: the share of the
    deviance that is explained (McFadden's pseudo-R^2, with the saturated model for the perfect one).
    """
    uniform = rows.shots * np.exp(-rows.unit)
    chance, spread = map(float, shot_noise(np.array([uniform])))
    cells = 2.0**rows.n_bits
    whole = float(rows.weights @ np.log(np.maximum(rows.weights / uniform, 1e-300))) - chance * cells
    gained = models[0].log_likelihood + rows.shots * rows.unit if models else 0.0
    return whole > _STRUCTURED * spread * np.sqrt(cells) and gained < _EXPLAINED[gap < _CLEAR] * whole


def _largest_gap(gains: Floats) -> Floats:
    """Give the largest ratio of the smallest gain so far to the largest behind, `CHANCE_GAIN` at least.

    From ``(..., k)`` gains; ``(...)``.
    """
    gains = np.maximum(gains, CHANCE_GAIN)
    behind = np.maximum.accumulate(gains[..., ::-1], axis=-1)[..., ::-1]
    return np.asarray((np.minimum.accumulate(gains, axis=-1)[..., :-1] / behind[..., 1:]).max(axis=-1))


def _best_candidates(
    rows: Rows, columns: Singles, total: Singles, nearest: Indices, costs: Floats
) -> tuple[Indices, Floats, Floats]:
    """Find the candidate that lowers the description length of each mixture most: which, its share, its net gain.

    Args:
        rows: the strings.
        columns: ``(g, m, u)`` P(y|c) of the candidates under each mixture's rate.
        total: ``(g, u)`` P(y).
        nearest: ``(g, m)`` distance of each candidate to the nearest centroid; 0 for one that is chosen.
        costs: ``(n + 1,)`` cost of a string by that distance.
    """
    each = np.arange(len(columns))
    slope = np.matmul(columns, (rows.shares / total)[:, :, None])[:, :, 0]
    slope[nearest == 0] = 0
    short = np.argsort(-slope, axis=1, kind="stable")[:, :SHORTLIST]
    at = each[:, None], short
    new_share, gain = best_share(columns[at], total, rows.shares, 0.02 if costs.any() else 0.3)
    net = gain * rows.shots - costs[nearest[at]]
    net[slope[at] <= 1] = -np.inf
    best = net.argmax(axis=1)
    return short[each, best], new_share[each, best], net[each, best]


def _likelihood_by_distance(rows: Rows, odds: Floats) -> Singles:
    """Give P(y|c) by distance where all bits have one rate, ``(g, n + 1)`` for g rates."""
    tilted, n = odds[:, None] * TILTS, rows.n_bits
    table = np.exp(np.log(tilted)[:, :, None] * np.arange(n + 1) - n * np.log1p(tilted)[:, :, None])
    level = np.log(np.maximum(REGIMES @ table, 1e-280)) + rows.unit
    return np.asarray(np.exp(np.maximum(level, -42.0)), dtype=np.float32)


def reweigh(rows: Rows, model: Model, rounds: int) -> Model:
    """Raise the likelihood of a mixture by EM over weights and background alone: see `fit_weights`."""
    assert model.likelihoods is not None
    share = (model.weights * (1 - model.background)).astype(np.float32)
    (share,), (background,), (total,) = fit_weights(
        model.likelihoods, rows.shares, share[None], np.array([model.background]), rounds
    )
    weights = share.astype(np.float64)
    return replace(
        model,
        weights=weights / weights.sum(),
        background=float(background),
        log_likelihood=float(log_likelihood(rows, total)),
        total=total,
    )


def deletion_losses(rows: Rows, model: Model) -> Floats:
    """Give the log-likelihood lost when one centroid is taken out and nothing refitted, ``(k,)`` nats."""
    assert model.likelihoods is not None
    assert model.total is not None
    rest = model.likelihoods * ((1 - model.background) * model.weights).astype(np.float32)[:, None]
    rest /= model.total
    np.subtract(1, rest, out=rest)
    return np.asarray(-(np.log(np.maximum(rest, 1e-6)) @ rows.shares).astype(np.float64) * rows.shots)


def backward_elimination(rows: Rows, model: Model) -> list[Model]:
    """Take centroids out, the least needed first, the channel kept, down to one: the best mixture of every size.

    Returns:
        All mixtures on the way, that given first. Above ten centroids a fourth goes at a time.
    """
    path = [model]
    while (k := len(model.weights)) > 1:
        stay = np.ones(k, dtype=bool)
        stay[np.argsort(deletion_losses(rows, model), kind="stable")[: 1 if k <= 10 else k // 4]] = False
        model = reweigh(rows, subset(model, stay), 2)
        path.append(model)
    return path


def merged(centroids: Bits, weights: Floats) -> tuple[Bits, Floats]:
    """Pool equal centroids; the result is in ascending order of bits."""
    strings, which = distinct(centroids)
    return strings, np.bincount(which, weights).astype(np.float64, copy=False)


def by_weight(model: Model) -> Model:
    """Order the centroids by weight, heaviest first."""
    order = np.argsort(-model.weights, kind="stable")
    columns = model.likelihoods[order] if model.likelihoods is not None else None
    return replace(model, centroids=model.centroids[order], weights=model.weights[order], likelihoods=columns)


def heaviest(model: Model, k: int) -> Model:
    """Keep the first k centroids."""
    return subset(model, np.arange(len(model.weights)) < k)


def joining_gains(rows: Rows, model: Model, rounds: int = 6) -> Floats:
    """Give what each centroid adds to the log-likelihood as they join in their order, the rates kept, ``(k,)`` nats."""
    assert model.likelihoods is not None
    share = np.tril(np.broadcast_to(model.weights * (1 - model.background), (len(model.weights),) * 2))[:, None]
    background = np.maximum(1 - share.sum(axis=2), 1e-3)
    _, _, total = fit_weights(model.likelihoods[None], rows.shares, share.astype(np.float32), background, rounds)
    levels = np.log(total[:, 0].astype(np.float64)) @ rows.weights
    return np.asarray(np.diff(np.maximum.accumulate(levels), prepend=0.0).clip(0))
