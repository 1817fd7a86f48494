"""Expectation maximisation (Dempster, Laird & Rubin, 1977) of the sparse mixture.

With few strings the time goes into calls, not arithmetic. So several mixtures are fitted at once, their centroids one
under another: those of one set of counts, and on small registers those of many sets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, Reals
from qcluster.core.lockstep import Request, Stepwise
from qcluster.core.noise.prior import TILTS
from qcluster.core.sparse.model import (
    Layout,
    Model,
    Parameters,
    Prior,
    Rows,
    component_shares,
    distance_tables,
    likelihoods,
    log_likelihood,
    marginal,
    parameters,
    rates_by_regime,
)
from qcluster.core.sparse.weights import FAINT

_LEAST_ODDS = 1e-4
"""Smallest odds of a flip."""
_TOLERANCE, _RELATIVE = 0.02, 1e-6
"""Gain in log-likelihood below which EM has converged: in nats, since no choice hangs on less, or, where that is more,
as a part of the log-likelihood."""
_TOGETHER = 1 << 16
"""Pairs of centroid and string up to which mixtures are fitted at once: beyond, it saves nothing."""
_INVERTED = 2.0
"""Product of the two odds of a bit above which it reads inverted. Nearer 1 the label is anybody's guess, and error
regimes tilt odds towards 1, so that a swap would lower the likelihood."""
_BLOCK = 1024
"""Strings of which shots are counted at once."""
_SMALL = 1e-9
"""Smallest share of flips whose logit is taken."""
_PLAIN = int(np.argmin(np.abs(TILTS - 1)))
"""The regime whose odds are those of the model."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What each centroid is expected to have sent, as shares of the shots."""

    mass: Floats
    """``(k,)`` shots of each centroid."""
    flips: Floats
    """``(k,)`` bits of those that were flipped."""
    ones: Floats
    """``(k, n)`` of those, read as 1; ``(0, n)`` where one rate needs no more than the number of flips."""
    regimes: Floats
    """``(k, s)`` of those, in each error regime."""
    background: Floats
    """``(m,)`` shots of the uniform noise."""


@dataclass(frozen=True)
class Problem:
    """Mixtures of one set of counts that are fitted: see `fit_all`."""

    rows: Rows
    models: Sequence[Model]
    prior: Prior
    rounds: int


@dataclass(frozen=True, eq=False)
class Data:
    """What each of m mixtures is fitted to; the first axis is 1 where that is the same for all."""

    rows: Rows
    """The strings."""
    weights: Floats
    """``(m, u)`` shots of each."""
    shares: Reals
    """``(m, u)`` share of the shots."""
    shots: Floats
    """``(m, 1)`` their number."""
    strength: Floats
    """``(m, 1)`` of the prior of the flip rates, as a share of the shots."""
    rates: Floats | None
    """``(m, 2n)`` its rates, ordered as odds are; None: the mean over the bits, learned on the way."""
    largest: Floats
    """``(m, 1)`` largest odds of a flip."""
    hold_weights: NDArray[np.bool_] | None
    """``(m,)`` True where weights stay; None where none do."""
    rounds: Indices
    """``(m,)`` most EM rounds."""

    @classmethod
    def of(cls, own: Sequence[Problem]) -> "Data":
        """Put under one another, for each mixture, the problem that it belongs to."""
        if own[0] is own[-1]:  # they are in order, so that all are the same
            own = own[:1]
        held = np.array([one.prior.hold_weights for one in own])
        numbers = np.array([[one.rows.shots, one.prior.shots, one.prior.largest_odds] for one in own])
        return cls(
            rows=own[0].rows,
            weights=np.array([one.rows.weights for one in own]),
            shares=np.array([one.rows.shares for one in own]),
            shots=numbers[:, :1],
            strength=numbers[:, 1:2] / numbers[:, :1],
            rates=None if own[0].prior.rates is None else np.array([_ordered(one.prior) for one in own]),
            largest=numbers[:, 2:],
            hold_weights=held if held.any() else None,
            rounds=np.array([one.rounds for one in own]),
        )

    def take(self, which: NDArray[np.bool_]) -> "Data":
        """Keep some of the mixtures."""
        if len(self.weights) == 1:
            return self
        kept: dict[str, Any] = {name: part[which] for name, part in vars(self).items() if isinstance(part, np.ndarray)}
        return replace(self, **kept)

    def log_likelihood(self, total: Reals) -> Floats:
        """Give the log-likelihood of each mixture, ``(m,)`` nats, from ``(m, u)`` P(y) in the unit of the rows."""
        weights = self.weights[0] if len(self.weights) == 1 else self.weights
        return log_likelihood(total, weights, self.shots[:, 0], self.rows.unit)


def _ordered(prior: Prior) -> Floats:
    """Give the rates that a prior expects, of 0 and then of 1."""
    assert prior.rates is not None
    rates = np.minimum(np.maximum(prior.rates, 1e-4), 0.8)
    return rates.mean(keepdims=True)[0] if prior.common else rates.T.ravel()


def fit(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model]:
    """Raise the likelihood of one mixture: see `fit_all`."""
    (fitted,) = yield from fit_all(rows, [model], prior, rounds)
    return fitted


def fit_all(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int) -> Stepwise[list[Model]]:
    """Raise the likelihood of mixtures by EM: weights, background, regimes and flip odds; the centroids stay.

    The odds solve ``flips_i = sum_s shots_s o t_s / (1 + o t_s)`` bit by bit; a round takes one Newton step. A bit
    whose two odds multiply to clearly more than 1 reads inverted; its labels are swapped, so that a centroid means
    what was sent. EM that has not converged after `rounds` is no error here, since most calls only screen mixtures:
    `Model.last_gain` tells, and of the mixture that is chosen, `MixtureFit.converged`.

    Args:
        rows: the strings.
        models: where to start.
        prior: of the flip rates, and what is held.
        rounds: most EM rounds.

    Returns:
        The mixtures in their order. Cost a round: two matrix products, an exponential and a histogram a
        pair of centroid and string; with one rate for all bits a look-up and a histogram.
    """
    if not models:
        return []
    key = rows.key, prior.common, prior.rates is None  # on the same strings, with parameters of the same shape
    fitted: list[Model] = yield Request(_fit_together, key, Problem(rows, models, prior, rounds))
    return fitted


def _fit_together(alike: Sequence[Problem]) -> list[list[Model]]:
    """Fit the mixtures of several sets of counts, as many at once as stay in cache."""
    own = [(problem, model) for problem in alike for model in problem.models]
    sizes = [len(model.weights) for _, model in own]
    parts = _batches(sizes, _TOGETHER // len(alike[0].rows.weights))
    fitted = iter([model for part in parts for model in _fit_batch(*zip(*own[part], strict=True))])
    return [[next(fitted) for _ in problem.models] for problem in alike]


def _batches(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Part mixtures, in their order, into batches of at most so many centroids, or of one mixture."""
    start, many = 0, 0
    for place, size in enumerate(sizes):
        if place > start and many + size > most:
            yield slice(start, place)
            start, many = place, 0
        many += size
    if many:
        yield slice(start, len(sizes))


def _fit_batch(own: Sequence[Problem], models: Sequence[Model]) -> list[Model]:
    """The EM loop, of mixtures and the problem that each belongs to. A mixture that is done leaves the batch."""
    data, rows = Data.of(own), own[0].rows
    layout, theta = Layout.stacked(rows, models), parameters(models, own[0].prior.common)
    fitted, active, previous = list(models), np.arange(len(models)), np.full(len(models), -np.inf)
    columns = np.empty(layout.lookup.shape, rows.dtype)
    scratch = np.empty_like(columns)
    for made in count():
        columns, regime_shares = likelihoods(rows, layout, theta, columns)
        total = marginal(layout, theta, columns)
        levels = data.log_likelihood(total)
        gains = levels - previous
        left = ~(np.abs(gains) < np.maximum(_RELATIVE * np.abs(levels), _TOLERANCE)) & (made < data.rounds)
        if not left.all():
            for m in np.flatnonzero(~left).tolist():
                fitted[active[m]] = _model(layout, theta, m, float(levels[m]), columns, total, float(gains[m]))
            if not left.any():
                break
            active, levels = active[left], levels[left]
            stay, data = left[layout.owner], data.take(left)
            columns, regime_shares = columns[stay], regime_shares[stay]
            scratch = scratch[: len(columns)]
            layout, total = Layout.of(rows, layout.sent[stay], layout.sizes[left]), total[left]
            theta = Parameters(theta.weights[stay], theta.background[left], theta.odds[left], theta.regimes[left])
        previous = levels
        expected = e_step(rows, data.shares, layout, theta, columns, total, regime_shares, scratch)
        layout, theta = m_step(data, layout, theta, expected)
    return fitted


def _model(layout: Layout, theta: Parameters, m: int, level: float, columns: Reals, total: Reals, gain: float) -> Model:
    """Give a mixture of a batch, with what was worked out of it."""
    own, n = slice(layout.first[m], layout.first[m] + layout.sizes[m]), layout.sent.shape[1]
    return Model(
        layout.sent[own],
        theta.weights[own],
        theta.odds[m].repeat(2 * n // theta.odds.shape[1]).reshape(2, n).T,
        theta.regimes[m],
        float(theta.background[m]),
        level,
        columns if len(layout.sizes) == 1 else columns[own].copy(),
        total[m],
        gain,
    )


def e_step(
    rows: Rows,
    shares: Reals,
    layout: Layout,
    theta: Parameters,
    columns: Reals,
    total: Reals,
    regime_shares: Floats,
    scratch: Reals,
) -> Statistics:
    """Take the E step, from what `likelihoods` and `marginal` give; ``(m, u)`` shares of the shots, or ``(1, u)``.

    A shot's responsibility is ``P(y|c_k) w_k / P(y)``. Summed by distance, one histogram gives the mass, the flips and
    the regimes of every centroid, since in a regime P(y|c) depends on y through its flipped bits and their number.
    """
    n, share = rows.n_bits, component_shares(layout, theta)[:, None]
    ratio = shares / total
    joint = np.multiply(columns, layout.of_component(ratio), out=scratch)
    joint += np.float32(1e-30)  # denormal products would slow the histogram down
    size = len(columns) * (n + 1)
    by_distance = np.bincount(layout.lookup.ravel(), joint.ravel(), size).reshape(-1, n + 1) * share
    one_rate = theta.odds.shape[1] == 1
    return Statistics(
        mass=by_distance.sum(axis=1),
        flips=by_distance @ distance_tables(n)[0],
        ones=np.zeros((0, n)) if one_rate else _ones(joint, rows.columns) * share,
        regimes=np.einsum("ksd,kd->ks", regime_shares, by_distance),
        background=theta.background * ratio.sum(axis=1, dtype=np.float64),
    )


def _ones(joint: Reals, columns: Reals) -> Reals:
    """Give ``joint @ columns.T``, by blocks of strings that stay in cache: two to three times as fast."""
    read = joint[:, :_BLOCK] @ columns[:, :_BLOCK].T
    for start in range(_BLOCK, columns.shape[1], _BLOCK):
        read += joint[:, start : start + _BLOCK] @ columns[:, start : start + _BLOCK].T
    return np.asarray(read)


def m_step(data: Data, layout: Layout, theta: Parameters, expected: Statistics) -> tuple[Layout, Parameters]:
    """Take the M step, in closed form but for the odds; where bits read inverted, centroids change."""
    n = data.rows.n_bits
    of_mass = expected.mass[:, None]
    if theta.odds.shape[1] == 1:  # the mean over the 2n odds, of which each is met by half of the shots
        every = layout.summed(np.concatenate([of_mass, expected.regimes, expected.flips[:, None]], axis=1))
        mass, in_regime, flips = every[:, 0], every[:, 1:-1], every[:, -1:] / (2 * n)
        sent = in_regime[:, :, None] / 2
    else:
        read = np.concatenate([expected.ones, of_mass - expected.ones], axis=1) * layout.design
        by_regime = (expected.regimes[:, :, None] * layout.design[:, None]).reshape(len(read), -1)
        every = layout.summed(np.concatenate([of_mass, expected.regimes, read, by_regime], axis=1))
        counted = 1 + len(TILTS)
        mass, in_regime, flips = every[:, 0], every[:, 1:counted], np.maximum(every[:, counted : counted + 2 * n], 0)
        sent = every[:, counted + 2 * n :].reshape(len(every), len(TILTS), -1)
    odds = np.minimum(solve_odds(flips, sent, theta.odds, data.strength, data.rates), data.largest)
    half = (odds.shape[1] + 1) // 2
    inverted = odds[:, :half] * odds[:, -half:] > _INVERTED
    if inverted.any():
        swapped = np.hstack([odds[:, -half:], odds[:, :half]])[:, : odds.shape[1]]
        odds = np.where(np.hstack([inverted, inverted])[:, : odds.shape[1]], 1 / swapped, odds)
        layout = Layout.of(data.rows, layout.sent ^ layout.of_component(inverted), layout.sizes)
    weights = expected.mass / layout.of_component(mass)
    if data.hold_weights is not None:
        stay = np.broadcast_to(data.hold_weights, len(layout.sizes))[layout.owner]
        weights = np.where(stay, theta.weights, weights)
    return layout, Parameters(
        weights=weights,
        background=np.maximum(expected.background / (expected.background + mass), FAINT),
        odds=np.maximum(odds, _LEAST_ODDS),
        regimes=in_regime / in_regime.sum(axis=1, keepdims=True),
    )


def solve_odds(flips: Floats, sent: Floats, start: Floats, strength: Floats, rates: Floats | None) -> Floats:
    """Step towards the odds whose expected flips match the counted ones.

    One Newton step on the logit of the share of flips: ``ln o += (logit F/S - logit E/S) E (S - E) / (S V)``, F the
    flips counted, E those expected of S shots sent, V their variance summed over regimes: exact for a single regime.

    Args:
        flips: ``(m, 2n)`` share of the shots with that bit flipped, ordered as in `Parameters`; or ``(m, 1)``.
        sent: ``(m, s, 2n)`` share of the shots in each regime that were sent with that value; or ``(m, s, 1)``.
        start: odds to start from, shaped as the flips.
        strength: of the prior of the rates, as in `Data`.
        rates: that it expects, likewise.
    """
    whole = sent.sum(axis=1)
    turned = rates_by_regime(start)
    counted = flips + strength * (_mean_rates(flips, whole) if rates is None else rates)
    sent = sent.copy()
    sent[:, _PLAIN] += strength
    flipped = sent * turned
    predicted = flipped.sum(axis=1)
    turned *= flipped
    variance = predicted - turned.sum(axis=1)
    whole = whole + strength
    stay, counted = whole - predicted, np.minimum(np.maximum(counted, _SMALL * whole), (1 - _SMALL) * whole)
    step = np.log(counted * stay / (predicted * (whole - counted))) * predicted * stay / (whole * variance)
    return np.asarray(start * np.exp(np.minimum(np.maximum(step, -1.5), 1.5)))


def _mean_rates(flips: Floats, sent: Floats) -> Floats:
    """Give the mean flip rate over bits, of 0 and of 1 apart."""
    if flips.shape[1] == 1:
        return flips / np.maximum(sent, 1e-12)
    flipped = flips.reshape(len(flips), 2, -1).sum(axis=2)
    of_bit = sent.reshape(len(flips), 2, -1).sum(axis=2)
    common = flipped.sum(axis=1, keepdims=True) / np.maximum(of_bit.sum(axis=1, keepdims=True), 1e-12)
    return np.repeat((flipped + 0.3 * common) / (of_bit + 0.3), flips.shape[1] // 2, axis=1)


def refit(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int) -> Stepwise[list[Model]]:
    """Refit mixtures with free rates; drop centroids that hold less than a shot."""
    fitted = yield from fit_all(rows, models, prior, rounds)
    kept = [model.weights * (1 - model.background) * rows.shots > 1 for model in fitted]
    for model, which in zip(fitted, kept, strict=True):
        which[np.argmax(model.weights)] = True
    pruned = [i for i, which in enumerate(kept) if not which.all()]
    again = yield from fit_all(rows, [fitted[i].take(kept[i]) for i in pruned], prior, 2)
    for i, model in zip(pruned, again, strict=True):
        fitted[i] = model
    return fitted


def statistics(rows: Rows, model: Model) -> Statistics:
    """Give what each centroid is expected to have sent."""
    layout, theta = Layout.stacked(rows, [model]), parameters([model])
    columns, regime_shares = likelihoods(rows, layout, theta)
    total, scratch = marginal(layout, theta, columns), np.empty_like(columns)
    return e_step(rows, rows.shares[None], layout, theta, columns, total, regime_shares, scratch)
