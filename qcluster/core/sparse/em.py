"""Expectation maximisation (Dempster, Laird & Rubin, 1977) of the sparse mixture.

With few strings the time goes into calls, not arithmetic. So several mixtures are fitted at once, their centroids one
under another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, Singles
from qcluster.core.counts.bits import Bits
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
    table_indices,
)
from qcluster.core.sparse.weights import FAINT

_LEAST_ODDS = 1e-4
"""Smallest odds of a flip."""
_TOLERANCE, _RELATIVE = 0.02, 1e-6
"""Gain in log-likelihood below which EM has converged: in nats, since no choice hangs on less, or, where that is more,
as a part of the log-likelihood."""
_TOGETHER = 1 << 15
"""Pairs of centroid and string up to which mixtures are fitted at once: beyond, it saves nothing."""
_INVERTED = 2.0
"""Product of the two odds of a bit above which it reads inverted. Nearer 1 the label is anybody's guess, and error
regimes tilt odds towards 1, so that a swap would lower the likelihood."""
_BLOCK = 1024
"""Strings of which shots are counted at once."""
_SMALL = 1e-9
"""Smallest share of flips whose logit is taken."""
_TILTS = TILTS[:, None]
_PLAIN = int(np.argmin(np.abs(TILTS - 1)))
"""The regime whose odds are those of the model."""


@dataclass(frozen=True)
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


def fit(rows: Rows, model: Model, prior: Prior, rounds: int, hold_weights: bool = False) -> Model:
    """Raise the likelihood of one mixture: see `fit_all`."""
    (fitted,) = fit_all(rows, [model], prior, rounds, hold_weights)
    return fitted


def fit_all(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int, hold_weights: bool = False) -> list[Model]:
    """Raise the likelihood of mixtures by EM: weights, background, regimes and flip odds; the centroids stay.

    The odds solve ``flips_i = sum_s shots_s o t_s / (1 + o t_s)`` bit by bit; a round takes one Newton step. A bit
    whose two odds multiply to clearly more than 1 reads inverted; its labels are swapped, so that a centroid means
    what was sent. EM that has not converged after `rounds` is no error here, since most calls only screen mixtures:
    `Model.last_gain` tells, and of the mixture that is chosen, `MixtureFit.converged`.

    Args:
        rows: the strings.
        models: where to start.
        prior: of the flip rates.
        rounds: most EM rounds.
        hold_weights: leave the weights of the centroids as they are.

    Returns:
        The mixtures in their order. Cost a round: two matrix products, an exponential and a histogram a pair of
        centroid and string; with one rate for all bits a look-up and a histogram.
    """
    fitted: list[Model] = []
    for batch in _batches(models, _TOGETHER // len(rows.weights)):
        fitted += _fit_batch(rows, batch, prior, rounds, hold_weights)
    return fitted


def _batches(models: Sequence[Model], most: int) -> Iterator[list[Model]]:
    """Part models, in their order, into batches of at most so many centroids, or of one model."""
    batch: list[Model] = []
    for model in models:
        if batch and sum(len(one.weights) for one in [*batch, model]) > most:
            yield batch
            batch = []
        batch.append(model)
    if batch:
        yield batch


def _fit_batch(rows: Rows, models: list[Model], prior: Prior, rounds: int, hold_weights: bool) -> list[Model]:
    """The EM loop. A mixture that has converged leaves the batch, and the others go on."""
    layout, theta = stacked(rows, models), parameters(models, prior.common)
    fitted, active, previous = list(models), list(range(len(models))), [-np.inf] * len(models)
    columns = np.empty(layout.lookup.shape, np.float32)
    scratch = np.empty_like(columns)
    for iteration in range(rounds + 1):
        columns, regime_shares = likelihoods(rows, layout, theta, columns)
        total = marginal(layout, theta, columns)
        levels = log_likelihood(rows, total).tolist()
        goes_on = [iteration < rounds and not _converged(*pair) for pair in zip(levels, previous, strict=True)]
        for m in [m for m, going in enumerate(goes_on) if not going]:
            fitted[active[m]] = _model(layout, theta, m, levels[m], columns, total, levels[m] - previous[m])
        if not any(goes_on):
            break
        if not all(goes_on):
            active, levels, left = list(compress(active, goes_on)), list(compress(levels, goes_on)), np.array(goes_on)
            stay = left[layout.owner]
            columns, regime_shares, scratch = columns[stay], regime_shares[stay], np.empty_like(columns[stay])
            layout, total = _layout(rows, layout.sent[stay], layout.sizes[left]), total[left]
            theta = Parameters(theta.weights[stay], theta.background[left], theta.odds[left], theta.regimes[left])
        previous = levels
        expected = e_step(rows, layout, theta, columns, total, regime_shares, scratch)
        inverted, updated = m_step(rows, layout, theta, prior, expected)
        theta = replace(updated, weights=theta.weights) if hold_weights else updated
        if inverted.any():
            layout = _layout(rows, layout.sent ^ layout.of_component(inverted), layout.sizes)
    return fitted


def _converged(level: float, previous: float) -> bool:
    return abs(level - previous) < max(_RELATIVE * abs(level), _TOLERANCE)


def _layout(rows: Rows, sent: Bits, sizes: Indices) -> Layout:
    return Layout(sent, sizes, table_indices(rows, sent))


def stacked(rows: Rows, models: Sequence[Model]) -> Layout:
    """Put the centroids of mixtures under one another."""
    return _layout(rows, np.concatenate([m.centroids for m in models]), np.array([len(m.weights) for m in models]))


def _model(
    layout: Layout, theta: Parameters, m: int, level: float, columns: Singles, total: Singles, gain: float
) -> Model:
    own, n = slice(layout.first[m], layout.first[m] + layout.sizes[m]), layout.sent.shape[1]
    return Model(
        layout.sent[own],
        theta.weights[own],
        np.broadcast_to(theta.odds[m], 2 * n).reshape(2, n).T,
        theta.regimes[m],
        float(theta.background[m]),
        level,
        columns[own] if len(layout.sizes) == 1 else columns[own].copy(),
        total[m],
        gain,
    )


def e_step(
    rows: Rows,
    layout: Layout,
    theta: Parameters,
    columns: Singles,
    total: Singles,
    regime_shares: Floats,
    scratch: Singles,
) -> Statistics:
    """Take the E step, from what `likelihoods` and `marginal` give.

    A shot's responsibility is ``P(y|c_k) w_k / P(y)``. Summed by distance, one histogram gives the mass, the flips and
    the regimes of every centroid, since in a regime P(y|c) depends on y through its flipped bits and their number.
    """
    n, share = rows.n_bits, component_shares(layout, theta)[:, None]
    ratio = rows.shares / total
    joint = np.multiply(columns, layout.of_component(ratio), out=scratch)
    joint += np.float32(1e-30)  # denormal products would slow the histogram down
    size = len(columns) * (n + 1)
    by_distance = np.bincount(layout.lookup.ravel(), joint.ravel(), size).reshape(-1, n + 1) * share
    one_rate = theta.odds.shape[1] == 1
    return Statistics(
        mass=by_distance.sum(axis=1),
        flips=by_distance @ distance_tables(n)[0],
        ones=np.zeros((0, n)) if one_rate else _ones(joint, rows.columns) * share,
        regimes=np.matmul(regime_shares, by_distance[:, :, None])[:, :, 0],
        background=theta.background * ratio.sum(axis=1, dtype=np.float64),
    )


def _ones(joint: Singles, columns: Singles) -> Singles:
    """Give ``joint @ columns.T``, by blocks of strings that stay in cache: two to three times as fast."""
    read = joint[:, :_BLOCK] @ columns[:, :_BLOCK].T
    for start in range(_BLOCK, columns.shape[1], _BLOCK):
        read += joint[:, start : start + _BLOCK] @ columns[:, start : start + _BLOCK].T
    return np.asarray(read)


def m_step(
    rows: Rows, layout: Layout, theta: Parameters, prior: Prior, expected: Statistics
) -> tuple[NDArray[np.bool_], Parameters]:
    """Take the M step, in closed form but for the odds; also tell, ``(m, n)``, which bits read inverted."""
    n, members = rows.n_bits, layout.members
    mass, in_regime = members @ expected.mass, members @ expected.regimes
    if theta.odds.shape[1] == 1:  # the mean over the 2n odds, of which each is met by half of the shots
        flips = (members @ expected.flips)[:, None] / (2 * n)
        sent = in_regime[:, :, None] / 2
    else:
        read = np.hstack([expected.ones, expected.mass[:, None] - expected.ones]) * layout.design
        flips = np.maximum(members @ read, 0)
        by_regime = members[:, None] * expected.regimes.T
        sent = (by_regime.reshape(-1, len(read)) @ layout.design).reshape(*in_regime.shape, -1)
    odds = np.minimum(solve_odds(flips, sent, theta.odds, prior, rows.shots), prior.largest_odds)
    half = (odds.shape[1] + 1) // 2
    inverted = odds[:, :half] * odds[:, -half:] > _INVERTED
    if inverted.any():
        swapped = np.hstack([odds[:, -half:], odds[:, :half]])[:, : odds.shape[1]]
        odds = np.where(np.hstack([inverted, inverted])[:, : odds.shape[1]], 1 / swapped, odds)
    return inverted, Parameters(
        weights=expected.mass / layout.of_component(mass),
        background=np.maximum(expected.background / (expected.background + mass), FAINT),
        odds=np.maximum(odds, _LEAST_ODDS),
        regimes=in_regime / in_regime.sum(axis=1, keepdims=True),
    )


def solve_odds(flips: Floats, sent: Floats, start: Floats, prior: Prior, shots: float) -> Floats:
    """Step towards the odds whose expected flips match the counted ones.

    One Newton step on the logit of the share of flips: ``ln o += (logit F/S - logit E/S) E (S - E) / (S V)``, F the
    flips counted, E those expected of S shots sent, V their variance summed over regimes: exact for a single regime.

    Args:
        flips: ``(m, 2n)`` share of the shots with that bit flipped, ordered as in `Parameters`; or ``(m, 1)``.
        sent: ``(m, s, 2n)`` share of the shots in each regime that were sent with that value; or ``(m, s, 1)``.
        start: odds to start from, shaped as the flips.
        prior: of the rates, as if that many shots had been seen.
        shots: number of shots.
    """
    strength, whole = prior.shots / shots, sent.sum(axis=1)
    turned = start[:, None] * _TILTS
    turned /= 1 + turned
    counted = flips + strength * _prior_rates(flips, whole, prior)
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


def _prior_rates(flips: Floats, sent: Floats, prior: Prior) -> Floats:
    """Give the flip rates that the prior expects: those given, or the mean over bits, of 0 and of 1 apart."""
    if prior.rates is not None:
        rates = np.minimum(np.maximum(prior.rates, 1e-4), 0.8)
        return np.asarray(rates.mean(keepdims=True) if flips.shape[1] == 1 else rates.T.reshape(1, -1))
    if flips.shape[1] == 1:
        return flips / np.maximum(sent, 1e-12)
    flipped = flips.reshape(len(flips), 2, -1).sum(axis=2)
    of_bit = sent.reshape(len(flips), 2, -1).sum(axis=2)
    common = flipped.sum(axis=1, keepdims=True) / np.maximum(of_bit.sum(axis=1, keepdims=True), 1e-12)
    return np.repeat((flipped + 0.3 * common) / (of_bit + 0.3), flips.shape[1] // 2, axis=1)


def refit(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int) -> list[Model]:
    """Refit mixtures with free rates; drop centroids that hold less than a shot."""
    fitted = fit_all(rows, models, prior, rounds)
    kept = [model.weights * (1 - model.background) * rows.shots > 1 for model in fitted]
    for model, which in zip(fitted, kept, strict=True):
        which[np.argmax(model.weights)] = True
    pruned = [i for i, which in enumerate(kept) if not which.all()]
    again = fit_all(rows, [subset(fitted[i], kept[i]) for i in pruned], prior, 2)
    for i, model in zip(pruned, again, strict=True):
        fitted[i] = model
    return fitted


def subset(model: Model, which: NDArray[np.bool_]) -> Model:
    """Keep some of the centroids."""
    weights = model.weights[which]
    columns = model.likelihoods[which] if model.likelihoods is not None else None
    return replace(model, centroids=model.centroids[which], weights=weights / weights.sum(), likelihoods=columns)


def statistics(rows: Rows, model: Model) -> Statistics:
    """Give what each centroid is expected to have sent."""
    layout, theta = stacked(rows, [model]), parameters([model])
    columns, regime_shares = likelihoods(rows, layout, theta)
    return e_step(rows, layout, theta, columns, marginal(layout, theta, columns), regime_shares, np.empty_like(columns))
