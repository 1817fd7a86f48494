"""The sparse XOR-channel mixture as a likelihood: how probable each string is, and the EM steps that raise it.

``P(y) = b 2^-n + (1 - b) sum_k w_k sum_s r_s prod_i P_s(y_i | c_ki)``. In regime s every bit has its *odds* of a flip
multiplied by ``t_s``, so that ``P_s(y|c) = prod_{i flipped} o_i * t_s^d(y,c) / Z_s(c)``: one matrix product gives the
first factor for all strings and centroids, and the sum over regimes is a table in the Hamming distance d. Any
number of regimes costs the same.
"""

from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Bits

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.intp]

TILTS = np.array([0.12, 0.4, 1.0, 2.2])
"""Factors on the odds of a flip: shots with few errors, and shots with many."""
_LEAST = 1e-4
"""Smallest odds of a flip."""
_FAINT = 1e-6
"""Smallest share of uniform noise."""
_NEWTON = 3
"""Newton steps towards the odds of a round: each starts where the last round ended."""
_FLOOR = -42.0
"""Smallest logarithm of P(y|c) over uniform noise: numbers below it change nothing, and slow products down."""


@dataclass(frozen=True)
class Rows:
    """Observed strings, laid out for matrix products."""

    bits: Bits
    """``(u, n)``."""
    columns: Singles
    """``(n, u)``, the same transposed."""
    ones: Singles
    """``(u,)`` number of ones."""
    shares: Singles
    """``(u,)`` share of the shots."""
    weights: Floats
    """``(u,)`` shots."""

    @property
    def shots(self) -> float:
        """Number of shots."""
        return float(self.weights.sum())

    @property
    def n_bits(self) -> int:
        """Number of bits."""
        return int(self.bits.shape[1])

    @property
    def unit(self) -> float:
        """Logarithm of what probabilities are multiplied by, 1 being uniform noise, to stay in single precision.

        Noise spreads over 2^n strings, or over 2^100 of more: no shot of it is ever near another, so no more is needed.
        """
        return min(self.n_bits, 100) * log(2)


def lay_out(bits: Bits, weights: Floats) -> Rows:
    """Prepare observed strings, the most frequent first; ties in the order given."""
    order = np.argsort(-weights, kind="stable")
    bits, weights = bits[order], weights[order]
    columns = np.ascontiguousarray(bits.T, dtype=np.float32)
    return Rows(bits, columns, columns.sum(axis=0), (weights / weights.sum()).astype(np.float32), weights)


def distances(rows: Rows, sent: Bits) -> Singles:
    """Give the Hamming distance of every centroid to every string, ``(k, u)``."""
    c = sent.astype(np.float32)
    apart = np.asarray((-2 * c) @ rows.columns)
    apart += rows.ones
    apart += c.sum(axis=1)[:, None]
    return apart


def places(rows: Rows, sent: Bits) -> Indices:
    """Give the Hamming distances as places in a table of ``(k, n + 1)``: entry ``d`` of row k is ``k (n + 1) + d``."""
    apart = distances(rows, sent)
    apart += np.arange(len(sent), dtype=np.float32)[:, None] * np.float32(rows.n_bits + 1) + np.float32(0.25)
    return apart.astype(np.intp)


@dataclass(frozen=True)
class Model:
    """Parameters of the mixture, and what they say about the strings they were fitted to."""

    centroids: Bits
    """``(k, n)``."""
    weights: Floats
    """``(k,)``, summing to 1."""
    odds: Floats
    """``(n, 2)`` odds of a flip of a 0 and of a 1 in the regime of tilt 1."""
    regimes: Floats
    """``(s,)`` share of the shots in each error regime."""
    background: float
    """Share b of uniform noise."""
    log_likelihood: float = -np.inf
    """Of all shots."""
    kernel: Singles | None = None
    """``(k, u)`` P(y|c), in the unit of the rows."""
    total: Singles | None = None
    """``(u,)`` P(y), likewise."""

    def rates(self) -> Floats:
        """Give the mean flip rates ``(n, 2)`` over the regimes."""
        tilted = self.odds[None] * TILTS[:, None, None]
        return np.asarray(np.tensordot(self.regimes, tilted / (1 + tilted), 1))


@dataclass(frozen=True)
class Prior:
    """What is believed about the flip rates before the shots are seen."""

    shots: float
    """Strength, in shots."""
    rates: Floats | None = None
    """``(n, 2)`` or None: the mean over the bits, learned on the way."""
    common: bool = False
    """True: one rate for all bits and both values."""
    most: float = 2.5
    """Largest odds of a flip."""


def kernel(
    rows: Rows, sent: Bits, odds: Floats, regimes: Floats, place: Indices, out: Singles | None = None
) -> tuple[Singles, Floats]:
    """Give P(y|c) for every centroid and string.

    Args:
        rows: the strings.
        sent: ``(k, n)`` centroids.
        odds: ``(n, 2)``.
        regimes: ``(s,)`` shares.
        place: ``(k, u)`` from `places`.
        out: ``(k, u)`` array to write to.

    Returns:
        ``(k, u)`` probabilities, and ``(k, s, n + 1)`` the part of each regime in the table over distances.
        Cost: one matrix product and one exponential a pair.
    """
    n, c, logs = rows.n_bits, sent.astype(np.float32), np.log(odds)
    slopes = ((1 - c) * logs[:, 0] - c * logs[:, 1]).astype(np.float32)
    exponent = np.matmul(slopes, rows.columns, out=out)
    own = np.where(sent, odds[:, 1], odds[:, 0])
    normaliser = np.log1p(own[:, :, None] * TILTS).sum(axis=1)
    parts = regimes[:, None] * np.exp(np.log(TILTS)[:, None] * np.arange(n + 1) - normaliser[:, :, None])
    parts = np.maximum(parts, 1e-280)
    table = np.log(parts.sum(axis=1)) + (c @ logs[:, 1] + rows.unit)[:, None]
    exponent += np.take(table.astype(np.float32).ravel(), place)
    np.maximum(exponent, _FLOOR, out=exponent)
    return np.exp(exponent, out=exponent), parts


def _weigh(rows: Rows, model: Model, columns: Singles) -> Model:
    total = ((1 - model.background) * model.weights).astype(np.float32) @ columns
    total += np.float32(model.background)
    level = float(rows.weights @ np.log(total.astype(np.float64))) - rows.shots * rows.unit
    return replace(model, log_likelihood=level, kernel=columns, total=total)


def fit(
    rows: Rows, model: Model, prior: Prior, rounds: int, tolerance: float = 1e-6, hold_weights: bool = False
) -> Model:
    """Raise the likelihood by EM: weights, background, regimes and flip odds; the centroids stay.

    The odds solve ``flips_i = sum_s shots_s o t_s / (1 + o t_s)`` bit by bit (Newton). A bit whose two odds multiply to
    more than 1 reads inverted; its labels are swapped, so that a centroid means what was sent.

    Args:
        rows: the strings.
        model: where to start.
        prior: belief about the rates.
        rounds: most EM rounds.
        tolerance: relative gain of the log-likelihood at which EM stops.
        hold_weights: leave the weights of the centroids as they are.
    """
    place = places(rows, model.centroids)
    columns, scratch, last = np.empty(place.shape, np.float32), np.empty(place.shape, np.float32), -np.inf
    for round_ in range(rounds + 1):
        columns, parts = kernel(rows, model.centroids, model.odds, model.regimes, place, columns)
        model = _weigh(rows, model, columns)
        if round_ == rounds or abs(model.log_likelihood - last) < tolerance * abs(model.log_likelihood):
            break
        last, weights, sent = model.log_likelihood, model.weights, model.centroids
        model = _maximise(rows, model, prior, expect(rows, model, parts, place, scratch))
        if hold_weights:
            model = replace(model, weights=weights)
        if (model.centroids != sent).any():
            place = places(rows, model.centroids)
    return model


@dataclass(frozen=True)
class Expected:
    """What each centroid is expected to have sent, as shares of the shots."""

    mass: Floats
    """``(k,)`` shots of each centroid."""
    ones: Floats
    """``(k, n)`` of those, read as 1."""
    regimes: Floats
    """``(s, k)`` of those, in each error regime."""
    background: float
    """Shots of the uniform noise."""


def expect(rows: Rows, model: Model, parts: Floats, place: Indices, scratch: Singles | None = None) -> Expected:
    """Take the E step, from what `kernel` gives."""
    assert model.kernel is not None
    assert model.total is not None
    k, n = model.centroids.shape
    ratio = rows.shares / model.total
    joint = np.multiply(model.kernel, ratio, out=scratch)
    joint *= ((1 - model.background) * model.weights).astype(np.float32)[:, None]
    np.maximum(joint, 1e-30, out=joint)
    by_distance = np.bincount(place.ravel(), joint.ravel(), k * (n + 1)).reshape(k, n + 1)
    return Expected(
        mass=joint.sum(axis=1, dtype=np.float64),
        ones=(joint @ rows.columns.T).astype(np.float64),
        regimes=np.einsum("kd,ksd->sk", by_distance / np.maximum(parts.sum(axis=1), 1e-300), parts),
        background=float(model.background * ratio.sum(dtype=np.float64)),
    )


def _maximise(rows: Rows, model: Model, prior: Prior, seen: Expected) -> Model:
    c, mass = model.centroids.astype(np.float64), seen.mass
    flips = np.stack([((1 - c) * seen.ones).sum(axis=0), (c * (mass[:, None] - seen.ones)).sum(axis=0)], axis=1)
    sent = np.stack([seen.regimes @ (1 - c), seen.regimes @ c], axis=2)
    odds = np.minimum(solve_odds(np.maximum(flips, 0), sent, model.odds, prior, rows.shots), prior.most)
    regimes = seen.regimes.sum(axis=1)
    inverted = odds.prod(axis=1) > 1.0001
    odds = np.where(inverted[:, None], 1 / np.flip(odds, axis=1), odds)
    return replace(
        model,
        centroids=model.centroids ^ inverted,
        weights=mass / mass.sum(),
        odds=np.maximum(odds, _LEAST),
        regimes=regimes / regimes.sum(),
        background=max(seen.background / (seen.background + float(mass.sum())), _FAINT),
    )


def solve_odds(flips: Floats, sent: Floats, start: Floats, prior: Prior, shots: float) -> Floats:
    """Find the odds whose expected flips match the counted ones.

    Args:
        flips: ``(n, 2)`` share of the shots with that bit flipped.
        sent: ``(s, n, 2)`` share of the shots in each regime that were sent with that value.
        start: ``(n, 2)`` odds to start from.
        prior: belief about the rates, as if that many shots had been seen.
        shots: number of shots.
    """
    shape = flips.shape
    if prior.common:
        flips, sent = flips.mean(keepdims=True), sent.mean(axis=(1, 2), keepdims=True)
        start = np.exp(np.log(start).mean(keepdims=True))
    strength = prior.shots / shots
    if prior.rates is None:
        common = flips.sum() / max(float(sent.sum()), 1e-12)
        believed = (flips.sum(axis=0) + 0.3 * common) / (sent.sum(axis=(0, 1)) + 0.3)
    else:
        believed = np.minimum(np.maximum(prior.rates, 1e-4), 0.8)
        believed = believed.mean(keepdims=True) if prior.common else believed
    target, logit, tilts = flips + strength * believed, np.log(start), TILTS[:, None, None]
    for _ in range(_NEWTON):
        odds = np.exp(logit)
        tilted = odds * tilts
        chance, plain = tilted / (1 + tilted), odds / (1 + odds)
        flipped = sent * chance
        over = flipped.sum(axis=0) + strength * plain - target
        flipped *= 1 - chance
        slope = flipped.sum(axis=0) + strength * plain * (1 - plain)
        step = over / np.maximum(slope, 1e-12)
        logit = np.minimum(np.maximum(logit - np.minimum(np.maximum(step, -1.5), 1.5), -9.2), 2.5)
    return np.broadcast_to(np.exp(logit), shape)


def reweigh(rows: Rows, model: Model, rounds: int) -> Model:
    """Raise the likelihood by EM over weights and background alone: two matrix-vector products a round."""
    assert model.kernel is not None
    columns = model.kernel
    share = (model.weights * (1 - model.background)).astype(np.float32)
    background = model.background
    for _ in range(rounds):
        total = share @ columns
        total += np.float32(background)
        ratio = rows.shares / total
        share = share * (columns @ ratio)
        background = background * float(ratio.sum(dtype=np.float64))
        whole = float(share.sum()) + background
        share, background = share / np.float32(whole), max(background / whole, _FAINT)
    weights = share.astype(np.float64)
    return _weigh(rows, replace(model, weights=weights / weights.sum(), background=background), columns)
