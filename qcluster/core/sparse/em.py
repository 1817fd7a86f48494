"""Expectation and maximisation for the sparse mixture: the steps that raise its likelihood.

Small counts cost calls, not arithmetic. So several mixtures are fitted at once, their strings one under another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, Singles
from qcluster.core.counts.bits import Bits
from qcluster.core.sparse.model import (
    TILTS,
    Layout,
    Model,
    Parameters,
    Prior,
    Rows,
    held_shares,
    kernel,
    parameters,
    places,
    totals,
)

_LEAST = 1e-4
"""Smallest odds of a flip."""
FAINT = 1e-6
"""Smallest share of uniform noise."""
_SETTLED = 0.02
"""Gain in log-likelihood, in nats, below which EM stops in any case: no choice hangs on less."""
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
class Expected:
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


def fit(
    rows: Rows, model: Model, prior: Prior, rounds: int, tolerance: float = 1e-6, hold_weights: bool = False
) -> Model:
    """Raise the likelihood of one mixture: see `fit_all`."""
    (fitted,) = fit_all(rows, [model], prior, rounds, tolerance, hold_weights)
    return fitted


def fit_all(
    rows: Rows,
    models: Sequence[Model],
    prior: Prior,
    rounds: int,
    tolerance: float = 1e-6,
    hold_weights: bool = False,
) -> list[Model]:
    """Raise the likelihood of mixtures by EM: weights, background, regimes and flip odds; the centroids stay.

    Dempster, Laird & Rubin (1977). The odds solve ``flips_i = sum_s shots_s o t_s / (1 + o t_s)`` bit by bit; a round
    takes one Newton step. A bit
    whose two odds multiply to clearly more than 1 reads inverted; its labels are swapped, so that a centroid means
    what was sent.

    Args:
        rows: the strings.
        models: where to start.
        prior: belief about the rates.
        rounds: most EM rounds.
        tolerance: relative gain of the log-likelihood at which EM stops.
        hold_weights: leave the weights of the centroids as they are.

    Returns:
        The mixtures in their order. Cost a round: two matrix products, an exponential and a histogram a pair of
        centroid and string; with one rate for all bits a look-up and a histogram.
    """
    fitted: list[Model] = []
    for group in _groups(models, _TOGETHER // len(rows.weights)):
        fitted += _fit_group(rows, group, prior, rounds, tolerance, hold_weights)
    return fitted


def _groups(models: Sequence[Model], most: int) -> Iterator[list[Model]]:
    """Part models, in their order, into groups of at most so many centroids, or of one model."""
    group: list[Model] = []
    held = 0
    for model in models:
        if group and held + len(model.weights) > most:
            yield group
            group, held = [], 0
        group.append(model)
        held += len(model.weights)
    if group:
        yield group


def _fit_group(
    rows: Rows, models: list[Model], prior: Prior, rounds: int, tolerance: float, hold_weights: bool
) -> list[Model]:
    layout, now = lay_under(rows, models), parameters(models, prior.common)
    found, left, last = list(models), np.arange(len(models)), np.full(len(models), -np.inf)
    columns = np.empty(layout.place.shape, np.float32)
    scratch = np.empty_like(columns)
    for round_ in range(rounds + 1):
        columns, parts = kernel(rows, layout, now, columns)
        total = totals(layout, now, columns)
        level = np.log(total.astype(np.float64)) @ rows.weights - rows.shots * rows.unit
        done = np.abs(level - last) < np.maximum(tolerance * np.abs(level), _SETTLED)
        done |= round_ == rounds
        for m in np.flatnonzero(done).tolist():
            found[left[m]] = _model(layout, now, m, float(level[m]), columns, total)
        if done.all():
            break
        if done.any():
            stay = ~done[layout.owner]
            left, level, total, columns, parts = left[~done], level[~done], total[~done], columns[stay], parts[stay]
            layout = _laid(rows, layout.sent[stay], layout.sizes[~done])
            now = Parameters(now.weights[stay], now.background[~done], now.odds[~done], now.regimes[~done])
            scratch = np.empty_like(columns)
        last = level
        seen = expect(rows, layout, now, columns, total, parts, scratch)
        inverted, then = _maximise(rows, layout, now, prior, seen)
        now = replace(then, weights=now.weights) if hold_weights else then
        if inverted.any():
            layout = _laid(rows, layout.sent ^ layout.of_owner(inverted), layout.sizes)
    return found


def _laid(rows: Rows, sent: Bits, sizes: Indices) -> Layout:
    return Layout(sent, sizes, places(rows, sent))


def lay_under(rows: Rows, models: Sequence[Model]) -> Layout:
    """Put the centroids of mixtures under one another."""
    return _laid(rows, np.concatenate([m.centroids for m in models]), np.array([len(m.weights) for m in models]))


def _model(layout: Layout, now: Parameters, m: int, level: float, columns: Singles, total: Singles) -> Model:
    own, n = slice(layout.first[m], layout.first[m] + layout.sizes[m]), layout.sent.shape[1]
    return Model(
        layout.sent[own],
        now.weights[own],
        np.broadcast_to(now.odds[m], 2 * n).reshape(2, n).T,
        now.regimes[m],
        float(now.background[m]),
        level,
        columns[own] if len(layout.sizes) == 1 else columns[own].copy(),
        total[m],
    )


def expect(
    rows: Rows, layout: Layout, now: Parameters, columns: Singles, total: Singles, parts: Floats, scratch: Singles
) -> Expected:
    """Take the E step, from what `kernel` and `totals` give."""
    n, held = rows.n_bits, held_shares(layout, now)[:, None]
    ratio = rows.shares / total
    joint = np.multiply(columns, layout.of_owner(ratio), out=scratch)
    joint += np.float32(1e-30)
    seen = np.bincount(layout.place.ravel(), joint.ravel(), len(columns) * (n + 1)).reshape(-1, n + 1) * held
    one_rate = now.odds.shape[1] == 1
    return Expected(
        mass=seen.sum(axis=1),
        flips=seen @ np.arange(n + 1.0),
        ones=np.zeros((0, n)) if one_rate else _read(joint, rows.columns) * held,
        regimes=np.matmul(parts, seen[:, :, None])[:, :, 0],
        background=now.background * ratio.sum(axis=1, dtype=np.float64),
    )


def _read(joint: Singles, columns: Singles) -> Singles:
    """Give ``joint @ columns.T``, by blocks of strings that stay in cache: two to three times as fast."""
    read = joint[:, :_BLOCK] @ columns[:, :_BLOCK].T
    for start in range(_BLOCK, columns.shape[1], _BLOCK):
        read += joint[:, start : start + _BLOCK] @ columns[:, start : start + _BLOCK].T
    return np.asarray(read)


def _maximise(
    rows: Rows, layout: Layout, now: Parameters, prior: Prior, seen: Expected
) -> tuple[NDArray[np.bool_], Parameters]:
    """Take the M step; also tell, ``(m, n)``, which bits turned out to read inverted."""
    n, members = rows.n_bits, layout.members
    mass, in_regime = members @ seen.mass, members @ seen.regimes
    if now.odds.shape[1] == 1:  # the mean over the 2n odds, of which each is met by half of the shots
        flips = (members @ seen.flips)[:, None] / (2 * n)
        sent = in_regime[:, :, None] / 2
    else:
        read = np.hstack([seen.ones, seen.mass[:, None] - seen.ones]) * layout.design
        flips = np.maximum(members @ read, 0)
        by_regime = members[:, None] * seen.regimes.T
        sent = (by_regime.reshape(-1, len(read)) @ layout.design).reshape(*in_regime.shape, -1)
    odds = np.minimum(solve_odds(flips, sent, now.odds, prior, rows.shots), prior.most)
    half = (odds.shape[1] + 1) // 2
    inverted = odds[:, :half] * odds[:, -half:] > _INVERTED
    if inverted.any():
        swapped = np.hstack([odds[:, -half:], odds[:, :half]])[:, : odds.shape[1]]
        odds = np.where(np.hstack([inverted, inverted])[:, : odds.shape[1]], 1 / swapped, odds)
    return inverted, Parameters(
        weights=seen.mass / layout.of_owner(mass),
        background=np.maximum(seen.background / (seen.background + mass), FAINT),
        odds=np.maximum(odds, _LEAST),
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
        prior: belief about the rates, as if that many shots had been seen.
        shots: number of shots.
    """
    strength, whole = prior.shots / shots, sent.sum(axis=1)
    turned = start[:, None] * _TILTS
    turned /= 1 + turned
    counted = flips + strength * _believed(flips, whole, prior)
    sent = sent.copy()
    sent[:, _PLAIN] += strength
    flipped = sent * turned
    awaited = flipped.sum(axis=1)
    turned *= flipped
    curvature = awaited - turned.sum(axis=1)
    whole = whole + strength
    stay, counted = whole - awaited, np.minimum(np.maximum(counted, _SMALL * whole), (1 - _SMALL) * whole)
    step = np.log(counted * stay / (awaited * (whole - counted))) * awaited * stay / (whole * curvature)
    return np.asarray(start * np.exp(np.minimum(np.maximum(step, -1.5), 1.5)))


def _believed(flips: Floats, sent: Floats, prior: Prior) -> Floats:
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


def expected(rows: Rows, model: Model) -> Expected:
    """Give what each centroid is expected to have sent."""
    layout, now = lay_under(rows, [model]), parameters([model])
    columns, parts = kernel(rows, layout, now)
    return expect(rows, layout, now, columns, totals(layout, now, columns), parts, np.empty_like(columns))
