"""Expectation maximisation (EM; Dempster, Laird & Rubin, 1977) of the sparse mixture: it fits all but the centroids.

With few strings, most time goes into function calls and not into arithmetic. Several mixtures are therefore fitted at
once, with their centroids stacked: those of one set of counts, and on small registers those of many sets.
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
from qcluster.core.sparse.weights import LEAST_BACKGROUND

_LEAST_ODDS = 1e-4
"""Smallest odds of a flip."""
_TOLERANCE, _RELATIVE = 0.02, 1e-6
"""EM has converged when a round gains less than the larger of two values: this many nats, since no choice depends on
less, and this fraction of the log-likelihood."""
_MAX_PAIRS = 1 << 16
"""Pairs of centroid and string up to which mixtures are fitted together: beyond, it saves no time."""
_INVERTED = 2.0
"""Product of the two odds of a bit above which it reads inverted. Nearer 1 the labels are arbitrary, and since error
regimes tilt odds towards 1, swapping them would lower the likelihood."""
_BLOCK = 1024
"""Strings in one block of the product in `_ones`."""
_LEAST_JOINT = 1e-30
"""Added to products of shares and probabilities: denormal products would slow the histogram down."""
_TINY = 1e-9
"""Smallest share of flips, and of bits not flipped, whose logit is computed."""
_UNTILTED = int(np.argmin(np.abs(TILTS - 1)))
"""Index of the regime of tilt 1, in which the odds are those of the model."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Result of the E step: what each centroid is expected to have sent, in shares of the shots."""

    mass: Floats
    """``(k,)`` shots that each centroid sent."""
    flips: Floats | None
    """``(k,)`` number of bits flipped in these shots; None unless all bits have one rate."""
    ones: Floats
    """``(k, n)`` shots among these that read each bit as 1; ``(0, n)`` if all bits have one rate: `flips` suffice."""
    regimes: Floats
    """``(k, s)`` shots among these in each error regime."""
    background: Floats
    """``(m,)`` shots of the uniform noise."""


@dataclass(frozen=True)
class Problem:
    """Mixtures to fit to one set of counts, the arguments of `fit_all`."""

    rows: Rows
    models: Sequence[Model]
    prior: Prior
    rounds: int


@dataclass(frozen=True, eq=False)
class Data:
    """Counts and priors of m mixtures that are fitted together; the first axis is 1 if they are the same for all."""

    rows: Rows
    """The observed strings."""
    weights: Floats
    """``(m, u)`` shots of each string."""
    shares: Reals
    """``(m, u)`` share of the shots of each string."""
    shots: Floats
    """``(m, 1)`` number of shots."""
    strength: Floats
    """``(m, 1)`` strength of the prior of the flip rates, as a share of the shots."""
    rates: Floats | None
    """``(m, 2n)`` rates that the prior expects, in the order of `Parameters.odds`; None: means over the bits."""
    largest: Floats
    """``(m, 1)`` largest odds of a flip."""
    hold_weights: NDArray[np.bool_] | None
    """``(m,)`` True where weights are fixed; None if all are fitted."""
    rounds: Indices
    """``(m,)`` most EM rounds."""

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> "Data":
        """Stack the counts and priors of mixtures, given the problem of each."""
        if problems[0] is problems[-1]:  # mixtures of one problem are adjacent, so that all belong to it
            problems = problems[:1]
        fixed = np.array([one.prior.hold_weights for one in problems])
        numbers = np.array([[one.rows.shots, one.prior.shots, one.prior.largest_odds] for one in problems])
        return cls(
            rows=problems[0].rows,
            weights=np.array([one.rows.weights for one in problems]),
            shares=np.array([one.rows.shares for one in problems]),
            shots=numbers[:, :1],
            strength=numbers[:, 1:2] / numbers[:, :1],
            rates=None if problems[0].prior.rates is None else np.array([_prior_rates(one.prior) for one in problems]),
            largest=numbers[:, 2:],
            hold_weights=fixed if fixed.any() else None,
            rounds=np.array([one.rounds for one in problems]),
        )

    def take(self, mask: NDArray[np.bool_]) -> "Data":
        """Keep some of the mixtures."""
        if len(self.weights) == 1:
            return self
        kept: dict[str, Any] = {name: part[mask] for name, part in vars(self).items() if isinstance(part, np.ndarray)}
        return replace(self, **kept)

    def log_likelihood(self, total: Reals) -> Floats:
        """Return the log-likelihood of each mixture, ``(m,)`` nats, from ``(m, u)`` P(y) in the unit of the rows."""
        weights = self.weights[0] if len(self.weights) == 1 else self.weights
        return log_likelihood(total, weights, self.shots[:, 0], self.rows.log_unit)


def _prior_rates(prior: Prior) -> Floats:
    """Return the rates that a prior expects, clipped and in the order of `Parameters.odds`."""
    assert prior.rates is not None
    rates = np.minimum(np.maximum(prior.rates, 1e-4), 0.8)
    return rates.mean(keepdims=True)[0] if prior.common else rates.T.ravel()


def fit(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model]:
    """Fit one mixture by EM: see `fit_all`."""
    return (yield from fit_all(rows, [model], prior, rounds))[0]


def fit_all(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int) -> Stepwise[list[Model]]:
    """Fit weights, background, regimes and flip odds of mixtures by EM, with the centroids fixed, in order.

    For each bit i the odds o solve ``flips_i = sum_s shots_s o t_s / (1 + o t_s)``; a round takes one Newton step. If
    the product of a bit's two odds is well above 1, the bit reads inverted: its labels are then swapped in all
    centroids, so that a centroid remains what was sent. Most calls only screen mixtures, so that it is no error if EM
    has not converged after `rounds`: see `Model.last_gain`, and `MixtureFit.converged` for the mixture chosen.

    Cost per round and pair of centroid and string: 2n multiplications, an exponential and a histogram entry; if all
    bits have one rate, a look-up and a histogram entry.
    """
    if not models:
        return []
    key = rows.key, prior.common, prior.rates is None  # the same strings, and parameters of the same shape
    fitted: list[Model] = yield Request(_fit_together, key, Problem(rows, models, prior, rounds))
    return fitted


def _fit_together(problems: Sequence[Problem]) -> list[list[Model]]:
    """Fit the mixtures of several sets of counts, in batches that fit in the cache."""
    pairs = [(problem, model) for problem in problems for model in problem.models]
    sizes = [len(model.weights) for _, model in pairs]
    batches = _batches(sizes, _MAX_PAIRS // len(problems[0].rows.weights))
    fitted = iter([model for batch in batches for model in _fit_batch(*zip(*pairs[batch], strict=True))])
    return [[next(fitted) for _ in problem.models] for problem in problems]


def _batches(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Divide mixtures, one at least, into consecutive batches of at most `most` centroids or of a single mixture."""
    start, batch_size = 0, 0
    for index, size in enumerate(sizes):
        if index > start and batch_size + size > most:
            yield slice(start, index)
            start, batch_size = index, 0
        batch_size += size
    yield slice(start, len(sizes))


def _fit_batch(problems: Sequence[Problem], models: Sequence[Model]) -> list[Model]:
    """Run the EM loop on mixtures, given the problem of each; a mixture that has finished leaves the batch."""
    data, rows = Data.of(problems), problems[0].rows
    layout, theta = Layout.stacked(rows, models), parameters(models, problems[0].prior.common)
    fitted, active, previous = list(models), np.arange(len(models)), np.full(len(models), -np.inf)
    likelihood = np.empty(layout.lookup.shape, rows.dtype)
    for rounds_done in count():
        likelihood, regime_shares = likelihoods(rows, layout, theta, likelihood)
        share = component_shares(layout, theta)
        total = marginal(layout, theta, share, likelihood)
        levels = data.log_likelihood(total)
        gains = levels - previous
        stay = ~(np.abs(gains) < np.maximum(_RELATIVE * np.abs(levels), _TOLERANCE)) & (rounds_done < data.rounds)
        if not stay.all():
            for m in np.flatnonzero(~stay).tolist():
                fitted[active[m]] = _model(layout, theta, m, float(levels[m]), likelihood, total, float(gains[m]))
            if not stay.any():
                break
            active, levels = active[stay], levels[stay]
            kept, data = stay[layout.owner], data.take(stay)
            likelihood, regime_shares, share = likelihood[kept], regime_shares[kept], share[kept]
            layout, total = Layout.of(rows, layout.sent[kept], layout.sizes[stay]), total[stay]
            theta = Parameters(theta.weights[kept], theta.background[stay], theta.odds[stay], theta.regimes[stay])
        previous = levels
        expected = e_step(rows, data.shares, layout, theta, share, likelihood, total, regime_shares)
        layout, theta = m_step(data, layout, theta, expected)
    return fitted


def _model(
    layout: Layout, theta: Parameters, m: int, level: float, likelihood: Reals, total: Reals, gain: float
) -> Model:
    """Take one mixture out of a batch, with its log-likelihood (`level`), probabilities and last gain."""
    part, n = slice(layout.first[m], layout.first[m] + layout.sizes[m]), layout.sent.shape[1]
    return Model(
        layout.sent[part],
        theta.weights[part],
        theta.odds[m].repeat(2 * n // theta.odds.shape[1]).reshape(2, n).T,
        theta.regimes[m],
        float(theta.background[m]),
        level,
        likelihood if len(layout.sizes) == 1 else likelihood[part].copy(),
        total[m],
        gain,
    )


def e_step(
    rows: Rows,
    shares: Reals,
    layout: Layout,
    theta: Parameters,
    share: Floats,
    likelihood: Reals,
    total: Reals,
    regime_shares: Floats,
) -> Statistics:
    """Take the E step: compute the expected statistics of every centroid.

    The responsibility of centroid k for a shot y is ``(1 - b) w_k P(y|c_k) / P(y)``. In each regime P(y|c) depends on
    which bits are flipped and on how many, so that one histogram of responsibilities by distance yields the mass, the
    flips and the regimes of every centroid.

    `likelihood`, which is overwritten, and `regime_shares` come from `likelihoods`, `total` from `marginal`, and the
    `share` of the shots that each centroid sent, ``(k,)``, from `component_shares`. The `shares` of the shots that read
    each string are ``(m, u)``, or ``(1, u)`` if the same for all mixtures.
    """
    n, share, one_rate = rows.n_bits, share[:, None], theta.odds.shape[1] == 1
    ratio = shares / total
    joint = np.multiply(likelihood, layout.per_centroid(ratio), out=likelihood)
    joint += _LEAST_JOINT
    size = len(likelihood) * (n + 1)
    by_distance = np.bincount(layout.lookup.ravel(), joint.ravel(), size).reshape(-1, n + 1) * share
    return Statistics(
        mass=by_distance.sum(axis=1),
        flips=by_distance @ distance_tables(n)[0] if one_rate else None,
        ones=np.zeros((0, n)) if one_rate else _ones(joint, rows.columns) * share,
        regimes=np.einsum("ksd,kd->ks", regime_shares, by_distance),
        background=theta.background * ratio.sum(axis=1, dtype=np.float64),
    )


def _ones(joint: Reals, columns: Reals) -> Reals:
    """Return ``joint @ columns.T``, computed in blocks of strings that stay in cache: two to three times as fast."""
    ones = joint[:, :_BLOCK] @ columns[:, :_BLOCK].T
    for start in range(_BLOCK, columns.shape[1], _BLOCK):
        ones += joint[:, start : start + _BLOCK] @ columns[:, start : start + _BLOCK].T
    return np.asarray(ones)


def m_step(data: Data, layout: Layout, theta: Parameters, expected: Statistics) -> tuple[Layout, Parameters]:
    """Take the M step: in closed form, but for the odds. Centroids change in the bits that read inverted."""
    n, masses, regimes = data.rows.n_bits, expected.mass[:, None], expected.regimes
    if expected.flips is not None:  # means over the n bits and both values, as if half of the shots sent each value
        sums = layout.sum_by_mixture(np.concatenate([regimes, expected.flips[:, None]], axis=1))
        in_regime, flips = sums[:, :-1], sums[:, -1:] / (2 * n)
        sent = in_regime[:, :, None] / 2
    else:
        by_value = np.empty((len(masses), 1 + len(TILTS), 2 * n))  # flips, and shots in each regime, of a sent 0 or 1
        by_value[:, 0, :n], by_value[:, 0, n:] = expected.ones, masses - expected.ones
        by_value[:, 1:] = regimes[:, :, None]
        by_value *= layout.design[:, None]
        sums = layout.sum_by_mixture(by_value)
        flips, sent = np.maximum(sums[:, 0], 0), sums[:, 1:]
        in_regime = sent[:, :, 0] + sent[:, :, n]  # all shots, since a centroid has a 0 or a 1 at its first bit
    mass = in_regime.sum(axis=1)
    odds = np.minimum(solve_odds(flips, sent, theta.odds, data.strength, data.rates), data.largest)
    half = (odds.shape[1] + 1) // 2
    inverted = odds[:, :half] * odds[:, -half:] > _INVERTED
    if inverted.any():
        swapped = np.hstack([odds[:, -half:], odds[:, :half]])[:, : odds.shape[1]]
        odds = np.where(np.hstack([inverted, inverted])[:, : odds.shape[1]], 1 / swapped, odds)
        layout = Layout.of(data.rows, layout.sent ^ layout.per_centroid(inverted), layout.sizes)
    weights = expected.mass / layout.per_centroid(mass)
    if data.hold_weights is not None:
        fixed = np.broadcast_to(data.hold_weights, len(layout.sizes))[layout.owner]
        weights = np.where(fixed, theta.weights, weights)
    return layout, Parameters(
        weights=weights,
        background=np.maximum(expected.background / (expected.background + mass), LEAST_BACKGROUND),
        odds=np.maximum(odds, _LEAST_ODDS),
        regimes=in_regime / mass[:, None],
    )


def solve_odds(flips: Floats, sent: Floats, start: Floats, strength: Floats, rates: Floats | None) -> Floats:
    """Take one Newton step towards the odds whose expected flips equal the counted ones.

    The step is taken on the logit of the share of flips: ``ln o += (logit F/S - logit E/S) E (S - E) / (S V)``. F is
    the number of flips counted, E the number expected of the S shots sent, and V the variance of that number, summed
    over regimes. With a single regime the step is exact.

    Args:
        flips: ``(m, 2n)`` share of the shots in which a bit flipped, in the order of `Parameters.odds`; or ``(m, 1)``.
        sent: ``(m, s, 2n)`` share of the shots that sent that value, in each regime; or ``(m, s, 1)``.
        start: odds to start from, shaped like the flips.
        strength, rates: of the prior, as in `Data`.
    """
    shots = sent.sum(axis=1)
    flip_rates = rates_by_regime(start)
    counted = flips + strength * (_mean_rates(flips, shots) if rates is None else rates)
    sent = sent.copy()
    sent[:, _UNTILTED] += strength
    flipped = sent * flip_rates
    predicted = flipped.sum(axis=1)
    flip_rates *= flipped
    variance = predicted - flip_rates.sum(axis=1)
    shots = shots + strength
    counted, unflipped = np.minimum(np.maximum(counted, _TINY * shots), (1 - _TINY) * shots), shots - predicted
    step = np.log(counted * unflipped / (predicted * (shots - counted))) * predicted * unflipped / (shots * variance)
    return np.asarray(start * np.exp(np.minimum(np.maximum(step, -1.5), 1.5)))


def _mean_rates(flips: Floats, sent: Floats) -> Floats:
    """Return the mean flip rates over the bits, of a sent 0 and a sent 1, each shrunk a little towards their mean."""
    if flips.shape[1] == 1:
        return flips / np.maximum(sent, 1e-12)
    flips_of_value = flips.reshape(len(flips), 2, -1).sum(axis=2)
    sent_of_value = sent.reshape(len(flips), 2, -1).sum(axis=2)
    common = flips_of_value.sum(axis=1, keepdims=True) / np.maximum(sent_of_value.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(((flips_of_value + 0.3 * common) / (sent_of_value + 0.3)).repeat(flips.shape[1] // 2, axis=1))


def refit(rows: Rows, models: Sequence[Model], prior: Prior, rounds: int) -> Stepwise[list[Model]]:
    """Fit mixtures by EM, and drop centroids with less than one shot."""
    fitted = yield from fit_all(rows, models, prior, rounds)
    kept = [model.weights * (1 - model.background) * rows.shots > 1 for model in fitted]
    for model, above in zip(fitted, kept, strict=True):
        above[np.argmax(model.weights)] = True
    pruned = [i for i, above in enumerate(kept) if not above.all()]
    refitted = yield from fit_all(rows, [fitted[i].take(kept[i]) for i in pruned], prior, 2)
    for i, model in zip(pruned, refitted, strict=True):
        fitted[i] = model
    return fitted


def statistics(rows: Rows, model: Model) -> Statistics:
    """Take the E step of one mixture: see `e_step`."""
    layout, theta = Layout.stacked(rows, [model]), parameters([model])
    likelihood, regime_shares = likelihoods(rows, layout, theta)
    share = component_shares(layout, theta)
    total = marginal(layout, theta, share, likelihood)
    return e_step(rows, rows.shares[None], layout, theta, share, likelihood, total, regime_shares)
