"""Forward selection of strings at fixed flip rates.

Gains are in nats of log-likelihood. A string joins if it gains more than it adds to the description length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, Reals, read_only
from qcluster.core.counts.bits import hamming, pack
from qcluster.core.lockstep import Request, Stepwise
from qcluster.core.noise.prior import REGIMES, TILTS
from qcluster.core.sparse.description_length import joining_costs
from qcluster.core.sparse.model import WIDEST_WHOLE_REGISTER, Model, Rows, log_likelihood, register, values
from qcluster.core.sparse.weights import fit_weights
from qcluster.core.stats.goodness import shot_noise
from qcluster.core.stats.walsh import walsh

_FLIP_RATES = (0.02, 0.06, 0.15, 0.28, 0.4)
"""Flips per bit at which strings are selected, from a good device to one that is hardly usable."""
_MAX_PROBABILITIES = 1 << 16
"""Values of P(y), one for each set of counts, flip rate and string, up to which sets are selected for at once."""
CHANCE_GAIN = 5.0
"""Gain in log-likelihood, in nats, that the best of many superfluous strings reaches by chance."""
_STRUCTURED, _CLEAR, _EXPLAINED = 4.0, 3.0, (0.7, 0.9)
"""Standard deviations beyond which counts are not uniform noise; the factor from which a drop in gains is clear; the
share of the deviance that a few strings must explain if there is a clear drop, and if there is none."""
SHORTLIST = 4
"""Candidates whose best share is computed: those with the steepest slopes of the likelihood."""
_PRUNED_TO = {2: 3, 4: 2}
"""Number of strings at which flip rates are pruned, and how many are kept: those of least description length."""
_PATIENCE = 6
"""Strings after which selection ends if gains decline steadily and the counts fill the register: they are dense."""
_STEP, _DECLINE = 2.1, 3.0
"""Gains decline steadily if no single drop reaches the first factor, and all together reach the second."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Result of forward selection."""

    models: list[Model]
    """The complete mixtures of the one or two best flip rates, that of least description length first."""
    prefixes: list[Model]
    """The mixtures of the first few strings; if several rates select the same strings, the likeliest of them."""
    gap: float
    """The largest drop in gain behind any number of strings, as a factor, in the first of `models`."""
    dense: bool
    """True if the counts fill the register and a few strings do not explain them: gains never drop clearly, or much of
    the deviance is left."""


def best_share(likelihood: Reals, total: Reals, shares: Reals, start: float, rounds: int = 2) -> tuple[Floats, Floats]:
    """Find the share e of a new string that maximises its gain ``sum_y W ln(1 + e (P(y|c) / P(y) - 1))``.

    From ``(m, s, u)`` P(y|c) of s new strings for each of m mixtures, ``(m, u)`` P(y) and ``(u,)`` or ``(m, u)`` W, the
    share of the shots, to ``(m, s)`` shares and gains, in nats per shot, by safeguarded Newton steps from `start`.
    """
    lift = likelihood / total[:, None]
    lift -= 1
    share, slope, ratio = np.full(lift.shape[:2], start, lift.dtype), np.empty_like(lift), np.empty_like(lift)
    column = shares[..., None]  # (m, u, 1) or (u, 1)
    for _ in range(rounds):
        np.multiply(lift, share[:, :, None], out=ratio)
        ratio += 1
        np.divide(lift, ratio, out=slope)
        first = (slope @ column)[:, :, 0]
        slope *= slope
        step = first / np.maximum((slope @ column)[:, :, 0], 1e-30)
        share = np.minimum(np.maximum(share + np.minimum(np.maximum(step, -0.5 * share), 2 * share + 0.02), 1e-5), 0.97)
        share = share.astype(lift.dtype, copy=False)
    np.multiply(lift, share[:, :, None], out=ratio)
    gain = (np.log1p(ratio, out=ratio) @ column)[:, :, 0]
    return share.astype(np.float64, copy=False), gain.astype(np.float64, copy=False)


def forward_selection(rows: Rows, most: int) -> Stepwise[Selection]:
    """Build a mixture at each flip rate, adding the candidate that shortens the description most, until none does.

    The rates are fixed so that one centroid cannot explain everything with an inflated rate. P(y|c) then depends on the
    distance alone, and is looked up once for all candidates. Rates that fall behind are pruned. `most` limits the
    number of strings.
    """
    selected: Selection = yield Request(_select_together, (rows.key, most), (rows, most))
    return selected


def _select_together(requests: Sequence[tuple[Rows, int]]) -> list[Selection]:
    """Select strings for several sets of counts, in batches that fit in the cache."""
    sets, most = [rows for rows, _ in requests], requests[0][1]
    batch = max(1, _MAX_PROBABILITIES // (len(_FLIP_RATES) * len(sets[0].weights)))
    return [chosen for start in range(0, len(sets), batch) for chosen in _select(sets[start : start + batch], most)]


class _ListedCandidates:
    """The candidates of one set of counts, with a table of P(y|c): ``(r, m, u)`` for the r rates not pruned."""

    def __init__(self, rows: Rows) -> None:
        self.bits, lookup = rows.candidates
        table = _likelihood_by_distance(rows.n_bits, rows.log_unit).astype(rows.dtype)
        self.packed, self.allowed = pack(self.bits), np.ones((1, len(self.bits)), dtype=bool)
        self.rate = np.arange(len(table))
        self.table = table[:, lookup - np.arange(len(lookup))[:, None] * (rows.n_bits + 1)]

    def slopes(self, rate: Indices, ratio: Reals) -> Reals:
        """Return ``sum_y P(y|c) x(y)`` of all candidates, ``(g, m)``, under g rates, for the ``(g, u)`` ratios x."""
        if len(rate) < len(self.rate):  # a rate that was pruned is never asked for again
            self.rate, self.table = rate, self.table[np.isin(self.rate, rate)]
        return np.asarray(np.matmul(self.table, ratio[:, :, None])[:, :, 0])

    def likelihoods(self, rate: Indices, which: Indices) -> Reals:
        """Return P(y|c) of ``(g, s)`` candidates under g rates, ``(g, s, u)``."""
        return np.asarray(self.table[np.arange(len(rate))[:, None], which])

    def distances(self, which: Indices) -> Indices:
        """Return the distances of all candidates from ``(g,)`` of them, ``(g, m)``."""
        return hamming(self.packed[which], self.packed)


class _RegisterCandidates:
    """All strings of a small register: P(y|c) depends on y xor c alone, so that sums over y are Walsh transforms."""

    def __init__(self, sets: Sequence[Rows]) -> None:
        self.bits, _, self.distance = register(sets[0].n_bits)
        self.by_distance, self.spectra = _spectra(sets[0].n_bits, sets[0].log_unit)
        self.allowed = np.zeros((len(sets), len(self.bits)), dtype=bool)
        for allowed, rows in zip(self.allowed, sets, strict=True):
            allowed[values(rows.candidates[0])] = True

    def slopes(self, rate: Indices, ratio: Reals) -> Reals:
        """See `_ListedCandidates`. Rounded to single precision, so that ties do not depend on the batch."""
        return walsh(walsh(ratio.astype(np.float64, copy=False)) * self.spectra[rate]).astype(np.float32)

    def likelihoods(self, rate: Indices, which: Indices) -> Reals:
        """See `_ListedCandidates`."""
        return np.asarray(self.by_distance[rate[:, None, None], self.distance[which]])

    def distances(self, which: Indices) -> Indices:
        """See `_ListedCandidates`."""
        return np.asarray(self.distance[which])


class _Growing:
    """Mixtures that gain one string a round. The first axis of every array is all rates of all sets of counts.

    `owner` and `rate` are the indices of a mixture's set of counts and of its flip rate. The counts enter as `shots`,
    ``(g,)``, `weights` and `shares`, ``(g, u)`` shots of each string and their share, and `costs`, ``(g, n + 1)`` of a
    string by its distance to the nearest centroid. Of the mixtures, `chosen`, `share` and `gains`, ``(g, k)``, are the
    candidates that joined, their weights, and the nats that they gained; `likelihoods`, ``(g, k, u)``, are their
    P(y|c); `background`, `log_likelihoods`, ``(g,)``, and `total`, ``(g, u)`` P(y), are those of `Model`; and
    `nearest`, ``(g, m)``, is the distance of each candidate to the nearest centroid, or 0 to exclude it.
    """

    def __init__(self, sets: Sequence[Rows]) -> None:
        rows, n = sets[0], sets[0].n_bits
        self.rows, self.candidates = rows, _RegisterCandidates(sets) if rows.whole else _ListedCandidates(rows)
        self.owner = owner = np.repeat(np.arange(len(sets)), len(_FLIP_RATES))
        self.rate = np.tile(np.arange(len(_FLIP_RATES)), len(sets))
        self.shots = np.array([one.shots for one in sets])[owner]
        self.weights = np.array([one.weights for one in sets])[owner]
        self.shares = np.array([one.shares for one in sets])[owner]
        self.costs = np.array([joining_costs(n, one.shots) for one in sets])[owner]
        g, u = self.weights.shape
        self.chosen, self.share, self.gains = np.zeros((g, 0), np.intp), np.zeros((g, 0), rows.dtype), np.zeros((g, 0))
        self.likelihoods = np.zeros((g, 0, u), rows.dtype)
        self.background, self.log_likelihoods, self.total = np.ones(g), np.zeros(g), np.ones((g, u), rows.dtype)
        self.nearest = np.where(self.candidates.allowed, n, 0)[owner]

    def model(self, m: int) -> Model:
        """Return one of the mixtures as it is now."""
        sent = self.share[m].astype(np.float64, copy=False)
        odds = _FLIP_RATES[self.rate[m]] / (1 - _FLIP_RATES[self.rate[m]])
        return Model(
            self.candidates.bits[self.chosen[m]],
            sent / sent.sum(),
            np.full((self.rows.n_bits, 2), odds),
            REGIMES,
            float(self.background[m]),
            float(self.log_likelihoods[m]),
            likelihoods=self.likelihoods[m].copy(),  # a view would keep those of all others in memory
            total=self.total[m],
        )

    def best(self) -> tuple[Indices, Reals, Floats, Floats]:
        """Find the candidate that shortens the description of each mixture most; the first string costs nothing.

        Returns its index, ``(g,)``; P(y|c), ``(g, u)``; share, ``(g,)``; and gain less cost, ``(g,)`` nats.
        """
        mixture, first = np.arange(len(self.rate)), not self.share.shape[1]
        slope = self.candidates.slopes(self.rate, self.shares / self.total)
        slope[self.nearest == 0] = 0
        short, rest = np.empty((len(mixture), min(SHORTLIST, slope.shape[1])), np.intp), slope.copy()
        for rank in range(short.shape[1]):
            short[:, rank] = largest = rest.argmax(axis=1)
            rest[mixture, largest] = -np.inf
        at = mixture[:, None], short
        likelihood = self.candidates.likelihoods(self.rate, short)
        share, gain = best_share(likelihood, self.total, self.shares, 0.3 if first else 0.02)
        net = gain * self.shots[:, None] - (0.0 if first else self.costs[mixture[:, None], self.nearest[at]])
        net[slope[at] <= 1] = -np.inf
        best = net.argmax(axis=1)
        return short[mixture, best], likelihood[mixture, best], share[mixture, best], net[mixture, best]

    def keep(self, active: NDArray[np.bool_]) -> None:
        """Drop the other mixtures."""
        vars(self).update({name: part[active] for name, part in vars(self).items() if isinstance(part, np.ndarray)})

    def join(self, best: Indices, likelihood: Reals, share: Floats, net: Floats) -> None:
        """Add a candidate to each mixture, with the results of `best`, and refit weights and background."""
        self.likelihoods = np.concatenate([self.likelihoods, likelihood[:, None]], axis=1)
        start = np.concatenate([self.share * (1 - share)[:, None], share[:, None]], axis=1, dtype=self.rows.dtype)
        background = (self.background * (1 - share))[:, None]
        fitted = fit_weights(self.likelihoods, self.shares[:, None], start[:, None], background, 3)
        self.share, self.background, self.total = fitted[0][:, 0], fitted[1][:, 0], fitted[2][:, 0]
        self.log_likelihoods = log_likelihood(self.total, self.weights, self.shots, self.rows.log_unit)
        self.nearest = np.minimum(self.nearest, self.candidates.distances(best))
        self.chosen = np.concatenate([self.chosen, best[:, None]], axis=1)
        self.gains = np.concatenate([self.gains, net[:, None]], axis=1)

    def likeliest(self) -> list[int]:
        """Return the likeliest of all mixtures of one set of counts that have the same strings, for each such group."""
        likeliest: dict[tuple[int, bytes], int] = {}
        for m in np.argsort(-self.log_likelihoods, kind="stable").tolist():
            likeliest.setdefault((int(self.owner[m]), self.chosen[m].tobytes()), m)
        return sorted(likeliest.values())


def _select(sets: Sequence[Rows], most: int) -> list[Selection]:
    """Select for sets of counts on the same strings."""
    growing = _Growing(sets)
    filled = np.array([len(one.seen) * 4 >= 1 << min(one.n_bits, 60) for one in sets])
    prefixes: list[list[Model]] = [[] for _ in sets]
    finished: list[list[tuple[Model, Floats]]] = [[] for _ in sets]
    for k in range(most + 1):
        best, likelihood, share, net = growing.best()
        gains, owner = growing.gains, growing.owner
        active = net > 0 if k < most else np.zeros(len(owner), dtype=bool)
        if k >= _PATIENCE and filled.any():
            steady = filled[owner] & (gaps(gains)[0].max(axis=-1) < _STEP)
            active &= ~steady | (gains[:, 0] < _DECLINE * gains[:, -1])
        for m in np.flatnonzero(~active).tolist() if k else []:
            finished[owner[m]].append((growing.model(m), np.append(gains[m], net[m])))
        if k in _PRUNED_TO:
            active &= _ranks(owner, np.where(active, gains.sum(axis=1), -np.inf)) < _PRUNED_TO[k]
        if not active.any():
            break
        if not active.all():
            growing.keep(active)
            best, likelihood, share, net = best[active], likelihood[active], share[active], net[active]
        growing.join(best, likelihood, share, net)
        for m in growing.likeliest() if k < _PATIENCE else []:
            prefixes[growing.owner[m]].append(growing.model(m))
    return [_selected(one, finished[s], prefixes[s], bool(filled[s])) for s, one in enumerate(sets)]


def _ranks(owner: Indices, scores: Floats) -> Indices:
    """Return the rank of each score among those of its set of counts: 0 for the highest."""
    order = np.lexsort((-scores, owner))
    ranks = np.empty(len(owner), np.intp)
    ranks[order] = np.arange(len(owner)) - np.searchsorted(owner, owner)
    return ranks


def _selected(rows: Rows, finished: list[tuple[Model, Floats]], prefixes: list[Model], filled: bool) -> Selection:
    """Choose the two best of the mixtures; with each come the gains of its strings, and that of one string more."""
    best = sorted(finished, key=lambda pair: -pair[1][:-1].sum())[:2]
    models, gap = [model for model, _ in best], float(gaps(best[0][1])[0].max()) if best else 1.0
    return Selection(models, prefixes, gap, filled and (gap < _STEP or _unexplained(rows, models[0], gap)))


def _unexplained(rows: Rows, model: Model, gap: float) -> bool:
    """Tell whether a mixture leaves too much of the deviance of the counts from uniform noise unexplained.

    The explained share is ``2 (ln L - ln L_uniform) / (2 sum_y W ln(W 2^n / N) - E)``, where E is the expected deviance
    of shot noise alone: the deviance R^2 of Cameron and Windmeijer (1997), less shot noise.
    """
    uniform = rows.shots * np.exp(-rows.log_unit)
    mean, spread = map(float, shot_noise(np.array([uniform])))
    cells = 2.0**rows.n_bits
    deviance = 2 * float(rows.weights @ np.log(np.maximum(rows.weights / uniform, 1e-300))) - mean * cells
    explained = 2 * (model.log_likelihood + rows.shots * rows.log_unit)
    return deviance > _STRUCTURED * spread * np.sqrt(cells) and explained < _EXPLAINED[gap < _CLEAR] * deviance


def gaps(gains: Floats) -> tuple[Floats, Floats]:
    """Measure how sharply gains drop behind each number of strings: the smallest so far over the largest behind.

    Gains ``(..., k)`` below `CHANCE_GAIN` are raised to it. Returns ``(..., k - 1)`` ratios, and the largest gains
    behind, of the same shape.

    Example:
        >>> gaps(np.array([90.0, 100.0, 10.0]))[0].tolist()
        [0.9, 9.0]
    """
    gains = np.maximum(gains, CHANCE_GAIN)
    behind = np.maximum.accumulate(gains[..., :0:-1], axis=-1)[..., ::-1]
    return np.minimum.accumulate(gains, axis=-1)[..., :-1] / behind, behind


def _likelihood_by_distance(n: int, log_unit: float) -> Floats:
    """Return P(y|c) by distance, ``(r, n + 1)``, if all bits flip at one of the r flip rates."""
    odds = (np.array(_FLIP_RATES) / (1 - np.array(_FLIP_RATES)))[:, None] * TILTS
    table = np.exp(np.log(odds)[:, :, None] * np.arange(n + 1) - n * np.log1p(odds)[:, :, None])
    logs = np.log(np.maximum(REGIMES @ table, 1e-280)) + log_unit
    return np.asarray(np.exp(np.maximum(logs, -42.0)))


@lru_cache(maxsize=WIDEST_WHOLE_REGISTER)
def _spectra(n: int, log_unit: float) -> tuple[Floats, Floats]:
    """Return P(y|c) by distance, ``(r, n + 1)``, and its Walsh transforms over y xor c, ``(r, 2^n)``; read-only."""
    by_distance, ones = _likelihood_by_distance(n, log_unit), register(n)[2][0]
    return read_only(by_distance), read_only(walsh(by_distance[:, ones]) / len(ones))


def joining_gains(rows: Rows, model: Model, rounds: int = 6) -> Floats:
    """Return the log-likelihood that each centroid adds as they join in their order, rates fixed, ``(k,)`` nats."""
    share = np.tril(np.broadcast_to(model.weights * (1 - model.background), (len(model.weights),) * 2))[:, None]
    background = np.maximum(1 - share.sum(axis=2), 1e-3)
    _, _, total = fit_weights(model.likelihoods[None], rows.shares, share.astype(rows.dtype), background, rounds)
    log_likelihoods = np.log(total[:, 0].astype(np.float64)) @ rows.weights  # above uniform noise
    return np.asarray(np.diff(np.maximum.accumulate(log_likelihoods), prepend=0.0).clip(0))
