"""The sparse XOR-channel mixture as a likelihood: how probable each string is.

``P(y) = b 2^-n + (1 - b) sum_k w_k sum_s r_s prod_i P_s(y_i | c_ki)``. In regime s every bit has its *odds* of a flip
multiplied by ``t_s``, so that ``P_s(y|c) = prod_{i flipped} o_i * t_s^d(y,c) / Z_s(c)``: one matrix product gives the
first factor for all strings and centroids, and the sum over regimes is a table in the Hamming distance d. Any
number of regimes costs the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, Reals, T, read_only
from qcluster.core.counts.bits import Bits, index_bits, nearest_earlier, pack
from qcluster.core.noise.prior import TILTS

_FAINT = np.float32(1e-18)
"""Added to every P(y|c) over uniform noise: it changes nothing, and denormal numbers slow products down."""
_TILTS = TILTS[:, None]
_BLOCK = 32
"""Centroids whose sums over mixtures are one product."""
_FEWEST, _MOST, _PAIRS = 32, 96, 100_000
"""Candidates: that many at least and at most, and pairs of candidate and string that are held at once."""
WHOLE = 8
"""Widest register on which all strings are laid out, and in double precision: many sets of counts are then fitted at
once, and rounding, which depends on what is fitted together, stays far below what answers hang on."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Observed strings, laid out for matrix products; of a small register all strings, those not read with weight 0."""

    bits: Bits
    """``(u, n)``."""
    weights: Floats
    """``(u,)`` shots."""
    whole: bool = False
    """True where these are all strings of a register, by value."""

    @cached_property
    def columns(self) -> Reals:
        """``(n, u)``, the same transposed: made when first asked for."""
        return register(self.n_bits)[1] if self.whole else np.ascontiguousarray(self.bits.T, dtype=np.float32)

    @cached_property
    def ones(self) -> Reals:
        """``(u,)`` number of ones."""
        return np.asarray(self.columns.sum(axis=0))

    @cached_property
    def shares(self) -> Reals:
        """``(u,)`` share of the shots."""
        return np.asarray(self.weights / self.weights.sum(), dtype=self.dtype)

    @cached_property
    def seen(self) -> Indices:
        """``(r,)`` places of the strings that were read, the most frequent first; ties in their order."""
        return np.argsort(-self.weights, kind="stable")[: np.count_nonzero(self.weights)]

    @cached_property
    def candidates(self) -> tuple[Bits, Indices]:
        """``(m, n)`` the most frequent strings, among which centroids are sought; ``(m, u)`` their `table_indices`."""
        found = self.bits[self.seen[: max(_FEWEST, min(_MOST, _PAIRS // len(self.weights)))]]
        return found, table_indices(self, found)

    @cached_property
    def dtype(self) -> type[np.floating[Any]]:
        """Precision of likelihoods."""
        return np.float64 if self.whole else np.float32

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
        """The same for sets of counts on the same strings, which are worked out together: whole registers."""
        return -self.n_bits if self.whole else id(self)

    @cached_property
    def unit(self) -> float:
        """Logarithm of what probabilities are multiplied by, 1 being uniform noise, to stay in single precision.

        Noise spreads over 2^n strings, or over 2^100 of more: no shot of it is ever near another, so no more is needed.
        """
        return min(self.n_bits, 100) * log(2)


def lay_out(bits: Bits, weights: Floats) -> Rows:
    """Prepare observed strings: all of a small register, else the most frequent first, ties in the order given."""
    n = bits.shape[1]
    if n <= WHOLE:
        return Rows(
            register(n)[0], np.bincount(values(bits), weights, 1 << n).astype(np.float64, copy=False), whole=True
        )
    order = np.argsort(-weights, kind="stable")
    return Rows(bits[order], weights[order])


def values(bits: Bits) -> Indices:
    """Give the places of ``(k, n)`` strings in a small register."""
    return np.asarray(bits @ (1 << np.arange(bits.shape[1])))


@lru_cache(maxsize=WHOLE)
def register(n: int) -> tuple[Bits, Floats, Indices]:
    """Give all strings of a register, ``(2^n, n)``; transposed, as numbers; and their distances, ``(2^n, 2^n)``.

    Kept, and read-only.
    """
    every = np.arange(1 << n)
    bits = index_bits(every, n)
    apart = np.bitwise_count(every[:, None] ^ every).astype(np.intp)
    return read_only(bits), read_only(np.ascontiguousarray(bits.T, dtype=np.float64)), read_only(apart)


def distances(rows: Rows, sent: Bits) -> NDArray[Any]:
    """Give the Hamming distance of every centroid to every string, ``(k, u)``."""
    if rows.whole:
        return np.asarray(register(rows.n_bits)[2][values(sent)])
    c = sent.astype(np.float32)
    apart = np.asarray((-2 * c) @ rows.columns)
    apart += rows.ones
    apart += c.sum(axis=1)[:, None]
    return apart


def table_indices(rows: Rows, sent: Bits) -> Indices:
    """Give the Hamming distances as indices in a table of ``(k, n + 1)``: entry ``d`` of row k is ``k (n + 1) + d``."""
    indices = distances(rows, sent).astype(np.intp, copy=False)  # whole numbers, in single precision too
    indices += (np.arange(len(sent)) * (rows.n_bits + 1))[:, None]
    return indices


def rates_by_regime(odds: Floats) -> Floats:
    """Give the probability of a flip in each regime, ``(..., s, b)``, from odds ``(..., b)`` in that of tilt 1."""
    odds = odds[..., None, :] * _TILTS
    return np.asarray(odds / (1 + odds))


@dataclass(frozen=True, eq=False)
class Model:
    """A mixture: its parameters, and the likelihood of the strings to which they were fitted."""

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
    likelihoods: Reals = field(default_factory=lambda: np.zeros((0, 0)))
    """``(k, u)`` P(y|c), in the unit of the rows; nothing before they are worked out."""
    total: Reals = field(default_factory=lambda: np.zeros(0))
    """``(u,)`` P(y), likewise."""
    last_gain: float = 0.0
    """Nats of log-likelihood that the last round of EM gained: near 0 where it has converged; below 0 where it goes in
    circles, since a round takes one Newton step towards the odds, and swaps the labels of bits that read inverted."""

    @property
    def strings(self) -> frozenset[bytes]:
        """The centroids, whatever their order."""
        return frozenset(row.tobytes() for row in self.centroids)

    @property
    def falling(self) -> Indices:
        """``(k,)`` places of the centroids, the heaviest first."""
        return np.argsort(-self.weights, kind="stable")

    @cached_property
    def apart(self) -> Indices:
        """``(k - 1,)`` distance of every centroid but the heaviest to the nearest heavier one."""
        return nearest_earlier(pack(self.centroids[self.falling]), self.centroids.shape[1])

    def take(self, which: slice | NDArray[Any]) -> "Model":
        """Keep some of the centroids, in the order given."""
        weights, columns = self.weights[which], self.likelihoods[which]
        return replace(self, centroids=self.centroids[which], weights=weights / weights.sum(), likelihoods=columns)

    def rates(self) -> Floats:
        """Give the mean flip rates ``(n, 2)`` over the regimes."""
        return np.asarray(self.regimes @ rates_by_regime(self.odds.ravel())).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Prior:
    """Prior of the flip rates: as if so many shots had shown each bit flipped at the expected rate."""

    shots: float
    """Strength, in shots."""
    rates: Floats | None = None
    """``(n, 2)`` or None: the mean over the bits, learned on the way."""
    common: bool = False
    """True: one rate for all bits and both values."""
    largest_odds: float = 2.5
    """Largest odds of a flip."""
    hold_weights: bool = False
    """True: the weights of the centroids stay as they are."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The k centroids of m mixtures, one under another, and where the strings lie from them."""

    sent: Bits
    """``(k, n)``."""
    sizes: Indices
    """``(m,)`` centroids of each mixture."""
    lookup: Indices
    """``(k, u)`` from `table_indices`."""

    @classmethod
    def of(cls, rows: Rows, sent: Bits, sizes: Indices) -> "Layout":
        """Look up where the strings lie."""
        return cls(sent, sizes, table_indices(rows, sent))

    @classmethod
    def stacked(cls, rows: Rows, models: Sequence[Model]) -> "Layout":
        """Put the centroids of mixtures under one another."""
        sizes = np.array([len(model.weights) for model in models])
        return cls.of(rows, np.concatenate([model.centroids for model in models]), sizes)

    @cached_property
    def owner(self) -> Indices:
        """``(k,)`` the mixture of each centroid."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def first(self) -> Indices:
        """``(m,)`` the first centroid of each mixture."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def _blocks(self) -> list[tuple[slice, Floats]]:
        """Centroids of a few mixtures in a row, and ``(m', k')``: 1 where one belongs to one of them."""
        blocks, of_mixture = [], self.first // _BLOCK
        for number in range(int(of_mixture[-1]) + 1):
            own = np.flatnonzero(of_mixture == number)
            if len(own):  # none begins within a large one
                rows = slice(self.first[own[0]], self.first[own[-1]] + self.sizes[own[-1]])
                blocks.append((rows, np.asarray(self.owner[rows] == own[:, None], dtype=np.float64)))
        return blocks

    def summed(self, values: NDArray[T], factors: Floats | None = None) -> NDArray[T]:
        """Add up the centroids of each mixture, times ``(k,)`` factors: ``(k, ...)`` becomes ``(m, ...)``."""
        flat, parts = values.reshape(len(values), -1), []
        for rows, members in self._blocks:
            own = members if factors is None else members * factors[rows]
            parts.append(own.astype(flat.dtype, copy=False) @ flat[rows])
        return (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(-1, *values.shape[1:])

    @cached_property
    def design(self) -> Floats:
        """``(k, 2n)``: 1 where a 0 was sent, then 1 where a 1 was sent."""
        return np.hstack([~self.sent, self.sent]).astype(np.float64)

    def of_component(self, values: NDArray[T]) -> NDArray[T]:
        """Give each centroid what its mixture has: ``(m, ...)`` becomes ``(k, ...)``, or stays ``(1, ...)``."""
        return values if len(self.sizes) == 1 else values[self.owner]


@dataclass(frozen=True, eq=False)
class Parameters:
    """What EM learns about m mixtures of k centroids."""

    weights: Floats
    """``(k,)``, summing to 1 in each mixture."""
    background: Floats
    """``(m,)``."""
    odds: Floats
    """``(m, 2n)`` of a flip of 0, then of a flip of 1; ``(m, 1)`` where all bits have one rate."""
    regimes: Floats
    """``(m, s)``."""


def parameters(models: Sequence[Model], common: bool = False) -> Parameters:
    """Put parameters of mixtures under one another; `common`: with one rate for all bits, the mean of the logits."""
    odds = np.array([model.odds.T.ravel() for model in models])
    return Parameters(
        weights=np.concatenate([model.weights for model in models]),
        background=np.array([model.background for model in models]),
        odds=np.exp(np.log(odds).mean(axis=1, keepdims=True)) if common else odds,
        regimes=np.array([model.regimes for model in models]),
    )


def likelihoods(rows: Rows, layout: Layout, theta: Parameters, out: Reals | None = None) -> tuple[Reals, Floats]:
    """Give P(y|c) for every centroid and string.

    Args:
        rows: the strings.
        layout: the centroids.
        theta: the channels.
        out: ``(k, u)`` array to write to.

    Returns:
        ``(k, u)`` probabilities, and ``(k, s, n + 1)`` the share of each regime in them, by distance. Cost: one matrix
        product and one exponential a pair; one look-up a pair where all bits have one rate.
    """
    n, odds, regimes = rows.n_bits, theta.odds, theta.regimes
    logs, towards = np.log(odds), np.log1p(odds[:, None] * _TILTS)
    if odds.shape[1] == 1:
        table, regime_shares = _sum_regimes(n * towards[:, :, 0], regimes, n)
        table += logs * distance_tables(n)[0]
        table += rows.unit
        level = np.exp(table, out=table).astype(rows.dtype, copy=False)
        level += _FAINT
        return level[layout.owner].take(layout.lookup, out=out, mode="clip"), layout.of_component(regime_shares)
    if len(odds) == 1:
        normaliser = layout.design @ towards[0].T
    else:
        normaliser = np.einsum("ksb,kb->ks", towards[layout.owner], layout.design)
    table, regime_shares = _sum_regimes(normaliser, layout.of_component(regimes), n)
    own = layout.design * layout.of_component(logs)
    table += (own[:, n:].sum(axis=1) + rows.unit)[:, None]
    exponent = np.matmul((own[:, :n] - own[:, n:]).astype(rows.dtype), rows.columns, out=out)
    exponent += np.take(table.astype(rows.dtype).ravel(), layout.lookup)
    np.exp(exponent, out=exponent)
    exponent += _FAINT
    return exponent, regime_shares


def likelihoods_of(rows: Rows, model: Model) -> Reals:
    """Give P(y|c) for the centroids of one mixture: see `likelihoods`."""
    return likelihoods(rows, Layout.stacked(rows, [model]), parameters([model]))[0]


@lru_cache(maxsize=64)
def distance_tables(n: int) -> tuple[Floats, Floats]:
    """Give the distances d from 0 to n, ``(n + 1,)``, and ``d ln t_s``, ``(s, n + 1)``; read-only."""
    apart = np.arange(n + 1.0)
    return read_only(apart), read_only(np.log(_TILTS) * apart)


def _sum_regimes(normaliser: Floats, regimes: Floats, n: int) -> tuple[Floats, Floats]:
    """Sum ``r_s t_s^d / Z_s`` over regimes: the logarithm by distance ``(k, n + 1)``, and the shares ``(k, s, n + 1)``.

    From ``(k, s)`` log Z and ``(k, s)`` shares of the regimes.
    """
    parts = distance_tables(n)[1] - normaliser[:, :, None]
    np.exp(parts, out=parts)
    parts *= regimes[:, :, None]
    np.maximum(parts, 1e-280, out=parts)
    whole = parts.sum(axis=1)
    parts /= whole[:, None]
    return np.log(whole), parts


def component_shares(layout: Layout, theta: Parameters) -> Floats:
    """Give the share of the shots of its mixture that each centroid sent, ``(k,)``: ``(1 - b) w_k``."""
    return layout.of_component(1 - theta.background) * theta.weights


def marginal(layout: Layout, theta: Parameters, columns: Reals) -> Reals:
    """Give P(y) of every mixture, ``(m, u)``, from what `likelihoods` gives."""
    total = layout.summed(columns, component_shares(layout, theta))
    total += theta.background.astype(columns.dtype, copy=False)[:, None]
    return total


def log_likelihood(total: Reals, weights: Floats, shots: float | Floats, unit: float) -> Floats:
    """Give the log-likelihood of shots, ``sum_y W(y) ln P(y)``, in nats; ``(m,)`` of m mixtures.

    Args:
        total: ``(u,)`` or ``(m, u)`` P(y), in the unit of the rows.
        weights: ``(u,)`` W, the shots of each string, or ``(m, u)``.
        shots: their number, or ``(m,)``.
        unit: of the probabilities, see `Rows.unit`.
    """
    logs = np.log(total.astype(np.float64, copy=False))
    levels = logs @ weights if weights.ndim == 1 else np.einsum("mu,mu->m", logs, weights)
    return np.asarray(levels - shots * unit)
