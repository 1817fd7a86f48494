"""The likelihood of the sparse mixture: the probability P(y) of reading each string.

``P(y) = b 2^-n + (1 - b) sum_k w_k sum_s r_s prod_i P_s(y_i | c_ki)``. In error regime s the *odds* o_i of all flips
are multiplied by ``t_s``, so that ``P_s(y|c) = prod_{i flipped} o_i * t_s^d(y,c) / Z_s(c)``. One matrix product gives
the product of odds for all strings and centroids. The sum over regimes depends on y through the Hamming distance d
alone and is looked up in a table, so that any number of regimes costs the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, Reals, T, read_only
from qcluster.core.counts.bits import Bits, Words, hamming, index_bits, nearest_earlier, pack
from qcluster.core.noise.prior import TILTS

_FLOOR = np.float32(1e-18)
"""Added to every P(y|c), in units of the uniform probability: too small to matter, it avoids slow denormal numbers."""
_MOST_SINGLE = 100
"""Most bits for which single precision holds a probability in units of the uniform one, divided by a small share."""
_TILTS = TILTS[:, None]
_BLOCK = 32
"""Centroids that one matrix product adds up by mixture."""
_FEWEST, _MOST, _MAX_PAIRS = 32, 96, 100_000
"""Fewest and most candidates for centroids; between the two, the largest number of pairs of candidate and string."""
WIDEST_WHOLE_REGISTER = 8
"""Widest register of which all strings are listed, in double precision. Many sets of counts are then fitted together;
rounding errors, which depend on what is fitted together, stay too small to change an answer."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Observed strings, ready for matrix products. A small register is listed whole, unread strings with weight 0."""

    bits: Bits
    """``(u, n)``."""
    weights: Floats
    """``(u,)`` shots."""
    whole: bool = False
    """True if these are all strings of a register, ordered by value."""

    @cached_property
    def columns(self) -> Reals:
        """``(n, u)`` the transposed bits, as numbers."""
        return register(self.n_bits)[1] if self.whole else np.ascontiguousarray(self.bits.T, dtype=self.dtype)

    @cached_property
    def packed(self) -> Words:
        """``(u, n_words)`` the strings, packed."""
        return pack(self.bits)

    @cached_property
    def shares(self) -> Reals:
        """``(u,)`` share of the shots of each string."""
        return np.asarray(self.weights / self.weights.sum(), dtype=self.dtype)

    @cached_property
    def seen(self) -> Indices:
        """``(r,)`` indices of the strings that were read, the most frequent first; ties in the order of the rows."""
        return np.argsort(-self.weights, kind="stable")[: np.count_nonzero(self.weights)]

    @cached_property
    def candidates(self) -> tuple[Bits, Indices]:
        """``(m, n)`` the most frequent strings, as candidates for centroids, and ``(m, u)`` their `table_indices`."""
        frequent = self.bits[self.seen[: max(_FEWEST, min(_MOST, _MAX_PAIRS // len(self.weights)))]]
        return frequent, table_indices(self, frequent)

    @cached_property
    def dtype(self) -> type[np.floating[Any]]:
        """Precision of likelihoods: single where its range holds them."""
        return np.float64 if self.whole or self.n_bits > _MOST_SINGLE else np.float32

    @cached_property
    def shots(self) -> float:
        """Number of shots."""
        return float(self.weights.sum())

    @cached_property
    def n_bits(self) -> int:
        """Number of bits."""
        return int(self.bits.shape[1])

    @property
    def key(self) -> int:
        """Equal for sets of counts on the same strings, whole registers of one width: they are fitted together."""
        return -self.n_bits if self.whole else id(self)

    @cached_property
    def log_unit(self) -> float:
        """Minus the log probability of a string under uniform noise, the unit of all probabilities in arrays."""
        return self.n_bits * log(2)


def lay_out(bits: Bits, weights: Floats) -> Rows:
    """Prepare observed strings: a small register whole, a wider one with the most frequent first, ties as given."""
    n = bits.shape[1]
    if n <= WIDEST_WHOLE_REGISTER:
        shots = np.bincount(values(bits), weights, 1 << n).astype(np.float64, copy=False)
        return Rows(register(n)[0], shots, whole=True)
    order = np.argsort(-weights, kind="stable")
    return Rows(bits[order], weights[order])


def values(bits: Bits) -> Indices:
    """Return the values of ``(k, n)`` strings as binary numbers, which are their rows in `register`."""
    return np.asarray(bits @ (1 << np.arange(bits.shape[1])))


@lru_cache(maxsize=WIDEST_WHOLE_REGISTER)
def register(n: int) -> tuple[Bits, Floats, Indices]:
    """Return all strings of a register, ``(2^n, n)``; their transpose, as numbers; and their Hamming distances,
    ``(2^n, 2^n)``. The arrays are cached and read-only."""
    index = np.arange(1 << n)
    bits = index_bits(index, n)
    distance = np.bitwise_count(index[:, None] ^ index).astype(np.intp)
    return read_only(bits), read_only(np.ascontiguousarray(bits.T, dtype=np.float64)), read_only(distance)


def distances(rows: Rows, sent: Bits) -> Indices:
    """Return the Hamming distance of every centroid to every observed string, ``(k, u)``."""
    return register(rows.n_bits)[2][values(sent)] if rows.whole else hamming(pack(sent), rows.packed)


def table_indices(rows: Rows, sent: Bits) -> Indices:
    """Return the Hamming distances as flat indices into a ``(k, n + 1)`` table: ``k (n + 1) + d`` for distance d."""
    return distances(rows, sent) + (np.arange(len(sent)) * (rows.n_bits + 1))[:, None]


def rates_by_regime(odds: Floats) -> Floats:
    """Return the probability of a flip in each regime, ``(..., s, b)``, from the odds ``(..., b)`` at tilt 1."""
    odds = odds[..., None, :] * _TILTS
    return np.asarray(odds / (1 + odds))


@dataclass(frozen=True, eq=False)
class Model:
    """A mixture: its parameters, and the probabilities that it gives to the observed strings."""

    centroids: Bits
    """``(k, n)``."""
    weights: Floats
    """``(k,)``, summing to 1."""
    odds: Floats
    """``(n, 2)`` odds that a sent 0 and a sent 1 flip, in the regime of tilt 1."""
    regimes: Floats
    """``(s,)`` share of the shots in each error regime."""
    background: float
    """Share b of uniform noise."""
    log_likelihood: float = -np.inf
    """Of all shots, in nats."""
    likelihoods: Reals = field(default_factory=lambda: np.zeros((0, 0)))
    """``(k, u)`` P(y|c), in the unit of the rows; empty before they are computed."""
    total: Reals = field(default_factory=lambda: np.zeros(0))
    """``(u,)`` P(y), likewise."""
    last_gain: float = 0.0
    """Nats of log-likelihood that the last round of EM gained: near 0 if it has converged, and below 0 if it cycles. It
    can cycle because a round takes one Newton step towards the odds, and relabels bits that read inverted."""

    @property
    def strings(self) -> frozenset[bytes]:
        """The set of centroids, to compare mixtures regardless of order."""
        return frozenset(row.tobytes() for row in self.centroids)

    @property
    def by_weight(self) -> Indices:
        """``(k,)`` order of the centroids, the heaviest first."""
        return np.argsort(-self.weights, kind="stable")

    @cached_property
    def nearest_heavier(self) -> Indices:
        """``(k - 1,)`` distance of every centroid but the heaviest to the nearest heavier one."""
        return nearest_earlier(pack(self.centroids[self.by_weight]), self.centroids.shape[1])

    def take(self, which: slice | NDArray[Any]) -> "Model":
        """Keep some of the centroids, in this order; `total` and `log_likelihood` stay those of all."""
        weights, kept = self.weights[which], self.likelihoods[which]
        return replace(self, centroids=self.centroids[which], weights=weights / weights.sum(), likelihoods=kept)

    def rates(self) -> Floats:
        """Return the flip rates of a sent 0 and a sent 1, averaged over the regimes, ``(n, 2)``."""
        return np.asarray(self.regimes @ rates_by_regime(self.odds.ravel())).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Prior:
    """Prior of the flip rates, equivalent to shots in which each bit flips at its expected rate; and constraints."""

    shots: float
    """Strength of the prior, in shots."""
    rates: Floats | None = None
    """``(n, 2)`` expected rates of a sent 0 and a sent 1; None: their means over the bits, which EM learns."""
    common: bool = False
    """True: one rate for all bits and both values."""
    largest_odds: float = 2.5
    """Largest odds of a flip."""
    hold_weights: bool = False
    """True: the weights of the centroids are fixed."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The k centroids of m mixtures, stacked, and their distances to the observed strings."""

    sent: Bits
    """``(k, n)`` the centroids."""
    sizes: Indices
    """``(m,)`` number of centroids of each mixture."""
    lookup: Indices
    """``(k, u)`` from `table_indices`."""

    @classmethod
    def of(cls, rows: Rows, sent: Bits, sizes: Indices) -> "Layout":
        """Compute the distances of centroids to the observed strings."""
        return cls(sent, sizes, table_indices(rows, sent))

    @classmethod
    def stacked(cls, rows: Rows, models: Sequence[Model]) -> "Layout":
        """Stack the centroids of mixtures."""
        sizes = np.array([len(model.weights) for model in models])
        return cls.of(rows, np.concatenate([model.centroids for model in models]), sizes)

    @cached_property
    def owner(self) -> Indices:
        """``(k,)`` index of the mixture of each centroid."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def first(self) -> Indices:
        """``(m,)`` index of the first centroid of each mixture."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def _blocks(self) -> list[tuple[slice, Floats]]:
        """The k' centroids of m' mixtures in a row, and ``(m', k')``: 1 where a centroid belongs to a mixture."""
        blocks, block_of_mixture = [], self.first // _BLOCK
        for block in range(int(block_of_mixture[-1]) + 1):
            mixtures = np.flatnonzero(block_of_mixture == block)
            if len(mixtures):  # a large mixture extends over blocks in which none begins
                part = slice(self.first[mixtures[0]], self.first[mixtures[-1]] + self.sizes[mixtures[-1]])
                blocks.append((part, np.asarray(self.owner[part] == mixtures[:, None], dtype=np.float64)))
        return blocks

    def sum_by_mixture(self, values: NDArray[T], factors: Floats | None = None) -> NDArray[T]:
        """Add up the centroids of each mixture, times ``(k,)`` factors: ``(k, ...)`` becomes ``(m, ...)``."""
        flat, sums = values.reshape(len(values), -1), []
        for part, members in self._blocks:
            matrix = members if factors is None else members * factors[part]
            sums.append(matrix.astype(flat.dtype, copy=False) @ flat[part])
        return (sums[0] if len(sums) == 1 else np.concatenate(sums)).reshape(-1, *values.shape[1:])

    @cached_property
    def design(self) -> Floats:
        """``(k, 2n)``: n columns that are 1 where a 0 was sent, then n that are 1 where a 1 was sent."""
        return np.hstack([~self.sent, self.sent]).astype(np.float64)

    def per_centroid(self, values: NDArray[T]) -> NDArray[T]:
        """Repeat values of mixtures for their centroids: ``(m, ...)`` becomes ``(k, ...)``, or stays ``(1, ...)``."""
        return values if len(self.sizes) == 1 else values.take(self.owner, axis=0)


@dataclass(frozen=True, eq=False)
class Parameters:
    """The parameters that EM fits, of m mixtures with k centroids in all."""

    weights: Floats
    """``(k,)``, summing to 1 in each mixture."""
    background: Floats
    """``(m,)`` share of uniform noise."""
    odds: Floats
    """``(m, 2n)``: the odds that a 0 flips, for each bit, then that a 1 does; ``(m, 1)`` if all bits have one rate."""
    regimes: Floats
    """``(m, s)`` share of the shots in each error regime."""


def parameters(models: Sequence[Model], common: bool = False) -> Parameters:
    """Stack the parameters of mixtures; with `common`, one rate for all bits, from the mean of the logits."""
    odds = np.array([model.odds.T.ravel() for model in models])
    return Parameters(
        weights=np.concatenate([model.weights for model in models]),
        background=np.array([model.background for model in models]),
        odds=np.exp(np.log(odds).mean(axis=1, keepdims=True)) if common else odds,
        regimes=np.array([model.regimes for model in models]),
    )


def likelihoods(rows: Rows, layout: Layout, theta: Parameters, out: Reals | None = None) -> tuple[Reals, Floats]:
    """Return P(y|c) for every centroid and observed string, under the channels of `theta`.

    Returns:
        ``(k, u)`` P(y|c), in `out` if that is given, and ``(k, s, n + 1)`` the posterior probability of each regime, by
        distance. Cost per pair of centroid and string: n multiplications and one exponential, or one look-up if all
        bits have one rate.
    """
    n, odds, regimes = rows.n_bits, theta.odds, theta.regimes
    log_odds, log_norms = np.log(odds), np.log1p(odds[:, None] * _TILTS)
    if odds.shape[1] == 1:
        table, regime_shares = _sum_regimes(n * log_norms[:, :, 0], regimes, n)
        table += log_odds * distance_tables(n)[0]
        table += rows.log_unit
        by_distance = np.exp(table, out=table).astype(rows.dtype, copy=False)
        by_distance += _FLOOR
        return by_distance[layout.owner].take(layout.lookup, out=out, mode="clip"), layout.per_centroid(regime_shares)
    if len(odds) == 1:
        log_z = layout.design @ log_norms[0].T
    else:
        log_z = np.einsum("ksb,kb->ks", log_norms[layout.owner], layout.design)
    table, regime_shares = _sum_regimes(log_z, layout.per_centroid(regimes), n)
    sent_odds = layout.design * layout.per_centroid(log_odds)
    table += (sent_odds[:, n:].sum(axis=1) + rows.log_unit)[:, None]
    likelihood = np.matmul((sent_odds[:, :n] - sent_odds[:, n:]).astype(rows.dtype, copy=False), rows.columns, out=out)
    likelihood += table.astype(rows.dtype, copy=False).take(layout.lookup)
    np.exp(likelihood, out=likelihood)
    likelihood += _FLOOR
    return likelihood, regime_shares


def likelihoods_of(rows: Rows, model: Model) -> Reals:
    """Return P(y|c) for the centroids of one mixture, ``(k, u)``: see `likelihoods`."""
    return likelihoods(rows, Layout.stacked(rows, [model]), parameters([model]))[0]


@lru_cache(maxsize=64)
def distance_tables(n: int) -> tuple[Floats, Floats]:
    """Return the distances d from 0 to n, ``(n + 1,)``, and ``d ln t_s``, ``(s, n + 1)``; cached and read-only."""
    distance = np.arange(n + 1.0)
    return read_only(distance), read_only(np.log(_TILTS) * distance)


def _sum_regimes(log_z: Floats, regimes: Floats, n: int) -> tuple[Floats, Floats]:
    """Sum ``r_s t_s^d / Z_s`` over the regimes, for every distance d from 0 to n.

    From ``(k, s)`` ln Z and r, to ``(k, n + 1)`` logarithms of the sum and ``(k, s, n + 1)`` shares of its terms.
    """
    terms = distance_tables(n)[1] - log_z[:, :, None]
    np.exp(terms, out=terms)
    terms *= regimes[:, :, None]
    np.maximum(terms, 1e-280, out=terms)
    total = terms.sum(axis=1)
    terms /= total[:, None]
    return np.log(total), terms


def component_shares(layout: Layout, theta: Parameters) -> Floats:
    """Return the share of all shots that each centroid sent, ``(k,)``: ``(1 - b) w_k``."""
    return layout.per_centroid(1 - theta.background) * theta.weights


def marginal(layout: Layout, theta: Parameters, share: Floats, likelihood: Reals) -> Reals:
    """Return P(y) of every mixture, ``(m, u)``, from the ``(k, u)`` P(y|c) that `likelihoods` returns, and the share of
    all shots that each centroid sent, ``(k,)``, from `component_shares`."""
    total = layout.sum_by_mixture(likelihood, share)
    total += theta.background.astype(likelihood.dtype, copy=False)[:, None]
    return total


def log_likelihood(total: Reals, weights: Floats, shots: float | Floats, log_unit: float) -> Floats:
    """Return the log-likelihood of the shots, ``sum_y W(y) ln P(y)``, in nats; ``(m,)`` for m mixtures.

    `total` is P(y) in the unit of the rows, ``(u,)`` or ``(m, u)``, and so are the weights; `shots` is their sum.
    """
    logs = np.log(total.astype(np.float64, copy=False))
    sums = logs @ weights if weights.ndim == 1 else np.einsum("mu,mu->m", logs, weights)
    return np.asarray(sums - shots * log_unit)
