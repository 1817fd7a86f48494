"""The sparse XOR-channel mixture as a likelihood: how probable each string is.

``P(y) = b 2^-n + (1 - b) sum_k w_k sum_s r_s prod_i P_s(y_i | c_ki)``. In regime s every bit has its *odds* of a flip
multiplied by ``t_s``, so that ``P_s(y|c) = prod_{i flipped} o_i * t_s^d(y,c) / Z_s(c)``: one matrix product gives the
first factor for all strings and centroids, and the sum over regimes is a table in the Hamming distance d. Any
number of regimes costs the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import log
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, Singles
from qcluster.core.counts.bits import Bits
from qcluster.core.noise.prior import TILTS

T = TypeVar("T", bound=np.generic)

_FAINT = np.float32(1e-18)
"""Added to every P(y|c) over uniform noise: it changes nothing, and denormal numbers slow products down."""
_TILTS = TILTS[:, None]


@dataclass(frozen=True)
class Rows:
    """Observed strings, laid out for matrix products."""

    bits: Bits
    """``(u, n)``."""
    weights: Floats
    """``(u,)`` shots."""

    @cached_property
    def columns(self) -> Singles:
        """``(n, u)``, the same transposed: made when first asked for."""
        return np.ascontiguousarray(self.bits.T, dtype=np.float32)

    @cached_property
    def ones(self) -> Singles:
        """``(u,)`` number of ones."""
        return np.asarray(self.columns.sum(axis=0))

    @cached_property
    def shares(self) -> Singles:
        """``(u,)`` share of the shots."""
        return np.asarray(self.weights / self.weights.sum(), dtype=np.float32)

    @cached_property
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
    return Rows(bits[order], weights[order])


def distances(rows: Rows, sent: Bits) -> Singles:
    """Give the Hamming distance of every centroid to every string, ``(k, u)``."""
    c = sent.astype(np.float32)
    apart = np.asarray((-2 * c) @ rows.columns)
    apart += rows.ones
    apart += c.sum(axis=1)[:, None]
    return apart


def table_indices(rows: Rows, sent: Bits) -> Indices:
    """Give the Hamming distances as indices in a table of ``(k, n + 1)``: entry ``d`` of row k is ``k (n + 1) + d``."""
    apart = distances(rows, sent)
    apart += np.arange(len(sent), dtype=np.float32)[:, None] * np.float32(rows.n_bits + 1) + np.float32(0.25)
    return apart.astype(np.intp)


@dataclass(frozen=True)
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
    likelihoods: Singles | None = None
    """``(k, u)`` P(y|c), in the unit of the rows."""
    total: Singles | None = None
    """``(u,)`` P(y), likewise."""
    last_gain: float = 0.0
    """Nats of log-likelihood that the last round of EM gained: near 0 where it has converged; below 0 where it goes in
    circles, since a round takes one Newton step towards the odds, and swaps the labels of bits that read inverted."""

    def rates(self) -> Floats:
        """Give the mean flip rates ``(n, 2)`` over the regimes."""
        tilted = self.odds.ravel() * _TILTS
        return np.asarray(self.regimes @ (tilted / (1 + tilted))).reshape(-1, 2)


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Layout:
    """The k centroids of m mixtures, one under another, and where the strings lie from them."""

    sent: Bits
    """``(k, n)``."""
    sizes: Indices
    """``(m,)`` centroids of each mixture."""
    lookup: Indices
    """``(k, u)`` from `table_indices`."""

    @cached_property
    def owner(self) -> Indices:
        """``(k,)`` the mixture of each centroid."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def first(self) -> Indices:
        """``(m,)`` the first centroid of each mixture."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def members(self) -> Floats:
        """``(m, k)``: 1 where a centroid belongs to a mixture, so that products sum over centroids."""
        return np.asarray(self.owner == np.arange(len(self.sizes))[:, None], dtype=np.float64)

    @cached_property
    def design(self) -> Floats:
        """``(k, 2n)``: 1 where a 0 was sent, then 1 where a 1 was sent."""
        return np.hstack([~self.sent, self.sent]).astype(np.float64)

    def of_component(self, values: NDArray[T]) -> NDArray[T]:
        """Give each centroid what its mixture has: ``(m, ...)`` becomes ``(k, ...)``, or stays ``(1, ...)``."""
        return values if len(self.sizes) == 1 else values[self.owner]


@dataclass(frozen=True)
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
    odds = np.stack([model.odds.T.ravel() for model in models])
    return Parameters(
        weights=np.concatenate([model.weights for model in models]),
        background=np.array([model.background for model in models]),
        odds=np.exp(np.log(odds).mean(axis=1, keepdims=True)) if common else odds,
        regimes=np.stack([model.regimes for model in models]),
    )


def likelihoods(rows: Rows, layout: Layout, theta: Parameters, out: Singles | None = None) -> tuple[Singles, Floats]:
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
    logs = np.log(odds)
    towards = np.log1p(odds[:, None] * _TILTS)
    if odds.shape[1] == 1:
        table, regime_shares = _sum_regimes(n * towards[:, :, 0], regimes, n)
        table += logs * distance_tables(n)[0]
        table += rows.unit
        level = np.exp(table, out=table).astype(np.float32)
        level += _FAINT
        return level[layout.owner].take(layout.lookup, out=out, mode="clip"), layout.of_component(regime_shares)
    if len(odds) == 1:
        normaliser = layout.design @ towards[0].T
    else:  # one product for all mixtures, of which each centroid takes its own
        every = (layout.design @ towards.reshape(-1, 2 * n).T).reshape(-1, *regimes.shape)
        normaliser = every[np.arange(len(every)), layout.owner]
    table, regime_shares = _sum_regimes(normaliser, layout.of_component(regimes), n)
    own = layout.design * layout.of_component(logs)
    table += (own[:, n:].sum(axis=1) + rows.unit)[:, None]
    exponent = np.matmul((own[:, :n] - own[:, n:]).astype(np.float32), rows.columns, out=out)
    exponent += np.take(table.astype(np.float32).ravel(), layout.lookup)
    np.exp(exponent, out=exponent)
    exponent += _FAINT
    return exponent, regime_shares


def likelihoods_of(rows: Rows, sent: Bits, model: Model, lookup: Indices) -> Singles:
    """Give P(y|c) under the channel of a mixture: see `likelihoods`."""
    return likelihoods(rows, Layout(sent, np.array([len(sent)]), lookup), parameters([model]))[0]


@lru_cache(maxsize=64)
def distance_tables(n: int) -> tuple[Floats, Floats]:
    """Give the distances d from 0 to n, ``(n + 1,)``, and ``d ln t_s``, ``(s, n + 1)``; read-only."""
    apart = np.arange(n + 1.0)
    tables = apart, np.log(_TILTS) * apart
    for table in tables:
        table.flags.writeable = False
    return tables


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


def marginal(layout: Layout, theta: Parameters, columns: Singles) -> Singles:
    """Give P(y) of every mixture, ``(m, u)``, from what `likelihoods` gives."""
    total = (layout.members * component_shares(layout, theta)).astype(np.float32) @ columns
    total += theta.background.astype(np.float32)[:, None]
    return np.asarray(total)


def log_likelihood(rows: Rows, total: Singles) -> Floats:
    """Give the log-likelihood of the shots, in nats, from P(y) in the unit of the rows, ``(u,)`` or ``(m, u)``."""
    return np.asarray(np.log(total.astype(np.float64)) @ rows.weights - rows.shots * rows.unit)
