"""Which strings: forward selection at frozen flip rates.

Gains are in nats of log-likelihood; a string must gain more than it adds to the description length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qcluster.core.arrays import Floats, Indices, Reals, read_only
from qcluster.core.counts.bits import hamming, pack
from qcluster.core.lockstep import Request, Stepwise
from qcluster.core.noise.prior import REGIMES, TILTS
from qcluster.core.sparse.description_length import joining_costs
from qcluster.core.sparse.model import WHOLE, Model, Rows, log_likelihood, register, values
from qcluster.core.sparse.weights import fit_weights
from qcluster.core.stats.goodness import shot_noise
from qcluster.core.stats.walsh import walsh

_RATES = (0.02, 0.06, 0.15, 0.28, 0.4)
"""Flips per bit at which strings are selected, from a good device to one near its end."""
_TOGETHER = 1 << 16
"""Strings, for each set of counts and each rate, for which strings are selected at once."""
CHANCE_GAIN = 5.0
"""Gain in log-likelihood, in nats, that the best of many superfluous strings reaches by chance."""
_STRUCTURED, _CLEAR, _EXPLAINED = 4.0, 3.0, (0.7, 0.9)
"""Standard deviations from which counts are no uniform noise, the drop in gains that is clear, and the share of the
deviance which few strings must explain where it is, and where it is not."""
SHORTLIST = 4
"""Candidates whose share is searched, those with the steepest slope of the likelihood."""
_PRUNED_TO = {2: 3, 4: 2}
"""From so many strings on, how many flip rates go on: those of least description length."""
_PATIENCE = 6
"""Strings after which selection ends where gains decline steadily and the counts fill the register: they are dense."""
_STEP, _DECLINE = 2.1, 3.0
"""Steadily: by no such factor at once, and by this one in all."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What forward selection found."""

    models: list[Model]
    """The one or two largest mixtures, that of least description length first."""
    prefixes: list[Model]
    """The mixtures of a few strings on the way; where rates led to the same strings, that of the likeliest."""
    gap: float
    """The largest drop in gain behind some number of strings, as a factor, in the first of the models."""
    dense: bool
    """True where counts fill the register and few strings do not explain them: no drop is clear, or much is left."""


def best_share(columns: Reals, total: Reals, shares: Reals, start: float, rounds: int = 2) -> tuple[Floats, Floats]:
    """Find the share e of each new component that raises ``sum_y W ln(1 + e (P(y|c) / P(y) - 1))`` most.

    Args:
        columns: ``(m, s, u)`` P(y|c) of s components for each of m mixtures.
        total: ``(m, u)`` P(y) of the mixtures.
        shares: ``(u,)`` or ``(m, u)`` W, the share of the shots.
        start: share to start from.
        rounds: safeguarded Newton steps.

    Returns:
        ``(m, s)`` shares and ``(m, s)`` gains, in nats a shot.
    """
    lift = columns / total[:, None]
    lift -= 1
    share, slope, below = np.full(lift.shape[:2], start, lift.dtype), np.empty_like(lift), np.empty_like(lift)
    each = shares[..., None]  # (m, u, 1) or (u, 1)
    for _ in range(rounds):
        np.multiply(lift, share[:, :, None], out=below)
        below += 1
        np.divide(lift, below, out=slope)
        first = (slope @ each)[:, :, 0]
        slope *= slope
        step = first / np.maximum((slope @ each)[:, :, 0], 1e-30)
        share = np.minimum(np.maximum(share + np.minimum(np.maximum(step, -0.5 * share), 2 * share + 0.02), 1e-5), 0.97)
        share = share.astype(lift.dtype, copy=False)
    np.multiply(lift, share[:, :, None], out=below)
    gain = (np.log1p(below, out=below) @ each)[:, :, 0]
    return share.astype(np.float64, copy=False), gain.astype(np.float64, copy=False)


def forward_selection(rows: Rows, most: int) -> Stepwise[Selection]:
    """Add candidates to a mixture at each flip rate, the largest net gain first, until none pays for its description.

    A frozen rate keeps one centroid from explaining everything by a rate that inflates. P(y|c) then depends on the
    distance alone and is looked up once for all candidates. Rates that fall behind are pruned.

    Args:
        rows: the strings.
        most: most centroids.
    """
    selected: Selection = yield Request(_select_together, (rows.key, most), (rows, most))
    return selected


def _select_together(alike: Sequence[tuple[Rows, int]]) -> list[Selection]:
    """Select for several sets of counts, as many at once as stay in cache."""
    every, most = [rows for rows, _ in alike], alike[0][1]
    many = max(1, _TOGETHER // (len(_RATES) * len(every[0].weights)))
    return [one for start in range(0, len(every), many) for one in _select(every[start : start + many], most)]


class _Listed:
    """Candidates of one set of counts, P(y|c) of which is kept: ``(r, m, u)`` for the rates that go on."""

    def __init__(self, rows: Rows) -> None:
        self.bits, lookup = rows.candidates
        levels = _likelihood_by_distance(rows.n_bits, rows.unit).astype(rows.dtype)
        self.packed, self.allowed = pack(self.bits), np.ones((1, len(self.bits)), dtype=bool)
        self.rate = np.arange(len(levels))
        self.columns = levels[:, lookup - np.arange(len(lookup))[:, None] * (rows.n_bits + 1)]

    def slopes(self, rate: Indices, ratio: Reals) -> Reals:
        """Give the sums of P(y|c) times ``(g, u)`` numbers, for g rates, ``(g, m)``."""
        if len(rate) < len(self.rate):  # what was pruned does not come back
            self.rate, self.columns = rate, self.columns[np.isin(self.rate, rate)]
        return np.asarray(np.matmul(self.columns, ratio[:, :, None])[:, :, 0])

    def likelihoods(self, rate: Indices, which: Indices) -> Reals:
        """Give P(y|c) of ``(g, s)`` candidates under g rates, ``(g, s, u)``."""
        return np.asarray(self.columns[np.arange(len(rate))[:, None], which])

    def distances(self, which: Indices) -> Indices:
        """Give the distances of all candidates from ``(g,)`` of them, ``(g, m)``."""
        return hamming(self.packed[which], self.packed)


class _Register:
    """All strings of a register as candidates: P(y|c) depends on y xor c, so that sums over y are Walsh transforms."""

    def __init__(self, every: Sequence[Rows]) -> None:
        self.bits, _, self.apart = register(every[0].n_bits)
        self.levels, self.spectra = _spectra(every[0].n_bits, every[0].unit)
        self.allowed = np.zeros((len(every), len(self.bits)), dtype=bool)
        for able, rows in zip(self.allowed, every, strict=True):
            able[values(rows.candidates[0])] = True

    def slopes(self, rate: Indices, ratio: Reals) -> Reals:
        """See `_Listed`. In single precision, so that what is equal stays equal whatever else is transformed."""
        return walsh(walsh(ratio.astype(np.float64, copy=False)) * self.spectra[rate]).astype(np.float32)

    def likelihoods(self, rate: Indices, which: Indices) -> Reals:
        """See `_Listed`."""
        return np.asarray(self.levels[rate[:, None, None], self.apart[which]])

    def distances(self, which: Indices) -> Indices:
        """See `_Listed`."""
        return np.asarray(self.apart[which])


def _select(every: Sequence[Rows], most: int) -> list[Selection]:
    """Select for sets of counts on the same strings; the first axis of arrays is every rate of every set."""
    rows, n, source = every[0], every[0].n_bits, _Register(every) if every[0].whole else _Listed(every[0])
    owner, rate = np.repeat(np.arange(len(every)), len(_RATES)), np.tile(np.arange(len(_RATES)), len(every))
    read, weights = np.array([one.shares for one in every])[owner], np.array([one.weights for one in every])[owner]
    shots = np.array([one.shots for one in every])[owner]
    costs = np.array([joining_costs(n, one.shots) for one in every])[owner]
    filled = np.array([len(one.seen) * 4 >= 1 << min(n, 60) for one in every])
    prefixes: list[list[Model]] = [[] for _ in every]
    finished: list[list[tuple[Model, Floats]]] = [[] for _ in every]
    g, u = len(owner), len(rows.weights)
    likelihoods = np.empty((g, most, u), rows.dtype)
    share, background = np.zeros((g, 0), rows.dtype), np.ones(g)
    total, nearest = np.ones((g, u), rows.dtype), np.where(source.allowed, n, 0)[owner]
    chosen, gains, log_likelihoods = np.zeros((g, 0), np.intp), np.zeros((g, 0)), np.zeros(g)
    channels = [np.full((n, 2), flips / (1 - flips)) for flips in _RATES]

    def model(m: int) -> Model:
        sent = share[m].astype(np.float64, copy=False)
        return Model(
            source.bits[chosen[m]],
            sent / sent.sum(),
            channels[rate[m]],
            REGIMES,
            float(background[m]),
            float(log_likelihoods[m]),
            likelihoods=likelihoods[m, : share.shape[1]].copy(),  # a view would keep those of all others
            total=total[m],
        )

    for k in range(most + 1):
        best, column, new_share, net = _best_candidates(source, rate, total, read, nearest, costs, shots, k)
        active = net > 0 if k < most else np.zeros(len(owner), dtype=bool)
        if k >= _PATIENCE and filled.any():
            steady = filled[owner] & (gaps(gains)[0].max(axis=-1) < _STEP)
            active &= ~steady | (gains[:, 0] < _DECLINE * gains[:, -1])
        for m in np.flatnonzero(~active).tolist() if k else []:
            finished[owner[m]].append((model(m), np.append(gains[m], net[m])))
        if k in _PRUNED_TO:
            active &= _ranks(owner, np.where(active, gains.sum(axis=1), -np.inf)) < _PRUNED_TO[k]
        if not active.any():
            break
        if not active.all():
            kept = np.empty((int(active.sum()), most, u), rows.dtype)
            kept[:, :k], likelihoods = likelihoods[active, :k], kept
            owner, rate, read, share = owner[active], rate[active], read[active], share[active]
            weights, shots, costs = weights[active], shots[active], costs[active]
            best, column, new_share, net = best[active], column[active], new_share[active], net[active]
            background, nearest, chosen, gains = background[active], nearest[active], chosen[active], gains[active]
        likelihoods[:, k] = column
        share = np.concatenate([share * (1 - new_share)[:, None], new_share[:, None]], axis=1, dtype=rows.dtype)
        left = (background * (1 - new_share))[:, None]
        fitted = fit_weights(likelihoods[:, : k + 1], read[:, None], share[:, None], left, 3)
        share, background, total = fitted[0][:, 0], fitted[1][:, 0], fitted[2][:, 0]
        log_likelihoods = log_likelihood(total, weights, shots, rows.unit)
        nearest = np.minimum(nearest, source.distances(best))
        chosen, gains = np.concatenate([chosen, best[:, None]], axis=1), np.concatenate([gains, net[:, None]], axis=1)
        if k < _PATIENCE:
            likeliest: dict[tuple[int, bytes], int] = {}
            for m in np.argsort(-log_likelihoods, kind="stable").tolist():
                likeliest.setdefault((int(owner[m]), chosen[m].tobytes()), m)
            for m in sorted(likeliest.values()):
                prefixes[owner[m]].append(model(m))
    return [_selected(one, finished[s], prefixes[s], bool(filled[s])) for s, one in enumerate(every)]


def _ranks(owner: Indices, scores: Floats) -> Indices:
    """Give the rank of each score among those of its set, the highest first."""
    order = np.lexsort((-scores, owner))
    ranks = np.empty(len(owner), np.intp)
    ranks[order] = np.arange(len(owner)) - np.searchsorted(owner, owner)
    return ranks


def _selected(rows: Rows, finished: list[tuple[Model, Floats]], prefixes: list[Model], filled: bool) -> Selection:
    """Choose among mixtures and the gains of their strings, that of one string more at the end."""
    best = sorted(finished, key=lambda one: -one[1][:-1].sum())[:2]
    models, gap = [model for model, _ in best], float(gaps(best[0][1])[0].max()) if best else 1.0
    return Selection(models, prefixes, gap, filled and (gap < _STEP or _unexplained(rows, models[0], gap)))


def _unexplained(rows: Rows, model: Model, gap: float) -> bool:
    """Tell whether a mixture leaves much of what sets the counts apart from uniform noise, shot noise taken off.

    ``2 (ln L - ln L_uniform) / (2 sum_y W ln(W 2^n / N) - E)``, E what shot noise gives the denominator: the share of
    the deviance that is explained (McFadden's pseudo-R^2, with the saturated model for the perfect one).
    """
    uniform = rows.shots * np.exp(-rows.unit)
    chance, spread = map(float, shot_noise(np.array([uniform])))
    cells = 2.0**rows.n_bits
    whole = 2 * float(rows.weights @ np.log(np.maximum(rows.weights / uniform, 1e-300))) - chance * cells
    gained = 2 * (model.log_likelihood + rows.shots * rows.unit)
    return whole > _STRUCTURED * spread * np.sqrt(cells) and gained < _EXPLAINED[gap < _CLEAR] * whole


def gaps(gains: Floats) -> tuple[Floats, Floats]:
    """Give, for each gain but the last, the ratio of the smallest so far to the largest behind, and the latter.

    Gains ``(..., k)``, each counted as `CHANCE_GAIN` at least, to two arrays ``(..., k - 1)``.

    Example:
        >>> gaps(np.array([90.0, 100.0, 10.0]))[0].tolist()
        [0.9, 9.0]
    """
    gains = np.maximum(gains, CHANCE_GAIN)
    behind = np.maximum.accumulate(gains[..., :0:-1], axis=-1)[..., ::-1]
    return np.minimum.accumulate(gains, axis=-1)[..., :-1] / behind, behind


def _best_candidates(
    source: _Listed | _Register,
    rate: Indices,
    total: Reals,
    read: Reals,
    nearest: Indices,
    costs: Floats,
    shots: Floats,
    k: int,
) -> tuple[Indices, Reals, Floats, Floats]:
    """Find the candidate that lowers the description length of each mixture most.

    Args:
        source: candidates.
        rate: ``(g,)`` the rate of each mixture.
        total: ``(g, u)`` P(y).
        read: ``(g, u)`` shares of the shots.
        nearest: ``(g, m)`` distance of each candidate to the nearest centroid; 0 for one that is chosen, or is none.
        costs: ``(g, n + 1)`` cost of a string by that distance; the first one costs nothing.
        shots: ``(g,)``.
        k: strings that there are.

    Returns:
        Which, ``(g,)``; its P(y|c), ``(g, u)``; its share, and its net gain.
    """
    each = np.arange(len(rate))
    slope = source.slopes(rate, read / total)
    slope[nearest == 0] = 0
    short, rest = np.empty((len(each), min(SHORTLIST, slope.shape[1])), np.intp), slope.copy()
    for place in range(short.shape[1]):
        short[:, place] = largest = rest.argmax(axis=1)
        rest[each, largest] = -np.inf
    at = each[:, None], short
    columns = source.likelihoods(rate, short)
    new_share, gain = best_share(columns, total, read, 0.02 if k else 0.3)
    net = gain * shots[:, None] - (costs[each[:, None], nearest[at]] if k else 0.0)
    net[slope[at] <= 1] = -np.inf
    best = net.argmax(axis=1)
    return short[each, best], columns[each, best], new_share[each, best], net[each, best]


def _likelihood_by_distance(n: int, unit: float) -> Floats:
    """Give P(y|c) by distance where all bits have one of the rates, ``(g, n + 1)``."""
    tilted = (np.array(_RATES) / (1 - np.array(_RATES)))[:, None] * TILTS
    table = np.exp(np.log(tilted)[:, :, None] * np.arange(n + 1) - n * np.log1p(tilted)[:, :, None])
    level = np.log(np.maximum(REGIMES @ table, 1e-280)) + unit
    return np.asarray(np.exp(np.maximum(level, -42.0)))


@lru_cache(maxsize=WHOLE)
def _spectra(n: int, unit: float) -> tuple[Floats, Floats]:
    """Give the same for a small register, and its Walsh transforms, ``(g, 2^n)``; kept, and read-only."""
    levels, apart = _likelihood_by_distance(n, unit), register(n)[2][0]
    return read_only(levels), read_only(walsh(levels[:, apart]) / len(apart))


def joining_gains(rows: Rows, model: Model, rounds: int = 6) -> Floats:
    """Give what each centroid adds to the log-likelihood as they join in their order, the rates kept, ``(k,)`` nats."""
    share = np.tril(np.broadcast_to(model.weights * (1 - model.background), (len(model.weights),) * 2))[:, None]
    background = np.maximum(1 - share.sum(axis=2), 1e-3)
    _, _, total = fit_weights(model.likelihoods[None], rows.shares, share.astype(rows.dtype), background, rounds)
    levels = np.log(total[:, 0].astype(np.float64)) @ rows.weights
    return np.asarray(np.diff(np.maximum.accumulate(levels), prepend=0.0).clip(0))
