"""How an answer moves when the shots are drawn anew: one small model of each method, for its intervals.

A response takes resampled counts, many at once, and gives what the method's answer would then say about observables.
What a method chose from the counts (its strings, its clusters, the learned channel) is held; what it estimates given
that choice is estimated anew. docs/uncertainty.md tells what each holds, and how far the intervals can be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, Words, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.bitflips import log_likelihood
from qcluster.core.noise.prior import SHOTS

Observables = Callable[[Words], Floats]
"""Packed strings ``(m, n_words)`` to the values ``(m, q)`` of q observables."""

_ROWS = 4096
"""Strings whose scores are held in memory at once."""
_FAINT = 1e-12
"""Least probability of a string under a model."""


def believed(belief: Floats, levels: Floats) -> NDArray[np.intp]:
    """Give the hypothesis that each draw believes, at its level, 0 to 1, of the summed `belief`."""
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(belief), levels), len(belief) - 1))


class Response(Protocol):
    """How one answer moves with its counts."""

    @property
    def width(self) -> int:
        """Numbers held per resample, the resampled counts aside; for bounding memory."""

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """Give the values ``(n_draws, q)`` of observables in the answers to resampled counts.

        Args:
            draws: ``(n_draws, n_outcomes)``, shots of each string of the raw counts.
            levels: ``(n_draws,)`` evenly spread over (0, 1): which hypothesis a draw believes.
            observables: gives the values of q observables.
        """


@dataclass(frozen=True, eq=False)
class Strings:
    """A few strings seen through a channel: one Newton step of the likelihood for every resample.

    The strings are held; their weights, the uniform share and the flip rates follow the resampled scores. A single
    step from the fitted values has the same distribution as a full fit to first order (Davidson and MacKinnon, 1999,
    "Bootstrap testing in nonlinear models").
    """

    raw: Distribution
    """The counts."""
    centroids: Bits
    """``(k, n)``."""
    weights: Floats
    """``(k,)`` sum 1."""
    background: float
    """Share of uniform noise."""
    rates: Floats
    """``(n, 2)`` P(read 1|0), P(read 0|1)."""
    prior_shots: float = SHOTS
    """Weight of the prior of each rate, in shots."""

    @property
    def width(self) -> int:
        """The weights."""
        return len(self.weights)

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        return self.reweighted(draws) @ observables(pack(self.centroids))

    def reweighted(self, draws: Floats) -> Floats:
        """Give the weights of the strings ``(n_draws, k)`` for resampled counts."""
        k = len(self.weights)
        information = self._prior()
        moved = np.zeros((len(draws), len(information)))
        for start in range(0, self.raw.n_outcomes, _ROWS):
            rows = slice(start, start + _ROWS)
            score, counts = self._scores(self.raw.bits[rows]), self.raw.weights[rows]
            information = information + (score * counts[:, None]).T @ score
            moved = moved + (draws[:, rows] - counts) @ score
        return _newton(np.r_[self.weights * (1 - self.background), self.background], information, moved)[:, :k]

    def _prior(self) -> Floats:
        size, rates = len(self.weights) + 1 + self.rates.size, self.rates.ravel()
        prior = np.zeros((size, size))
        prior[-rates.size :, -rates.size :] = np.diag(self.prior_shots * np.maximum(rates * (1 - rates), 1e-4))
        return prior

    def _scores(self, bits: Bits) -> Floats:
        """Slopes of ``ln P(y)`` in the weights, the uniform share, and the log odds of each flip, ``(rows, k+1+2n)``.

        All probabilities are in units of the uniform one, and no further below it than numbers reach.
        """
        sent = self.centroids
        log = log_likelihood(bits, sent, self.rates) + sent.shape[1] * np.log(2)
        ratio = np.exp(np.clip(log, -600, 600))
        shares = self.weights * (1 - self.background)
        total = ratio @ shares + max(self.background, _FAINT)
        believed = ratio * shares / total[:, None]
        from_zero, from_one = believed @ ~sent, believed @ sent
        up = from_zero * (bits - self.rates[:, 0])
        down = from_one * (~bits - self.rates[:, 1])
        slopes = np.stack([up, down], axis=2).reshape(len(bits), -1)
        return np.hstack([ratio / total[:, None], 1 / total[:, None], slopes])


def _newton(shares: Floats, information: Floats, moved: Floats) -> Floats:
    """Step from shares that sum to 1 along resampled scores; what falls below zero is zero.

    Args:
        shares: ``(j,)``, the first parameters; the others are free.
        information: ``(p, p)``.
        moved: ``(n_draws, p)``, change of the scores.

    Returns:
        ``(n_draws, j)``; without the last, the shares sum to 1.
    """
    j = len(shares)
    active = np.r_[shares > 1e-9, np.ones(len(information) - j, dtype=bool)]
    scale = 1 / np.sqrt(np.maximum(np.diag(information)[active], 1e-300))
    inverse = np.linalg.pinv(information[np.ix_(active, active)] * np.outer(scale, scale), rcond=1e-9, hermitian=True)
    inverse = inverse * np.outer(scale, scale)
    step = moved[:, active] @ inverse
    in_sum = active[:j].sum()
    pull = inverse[:, :in_sum].sum(axis=1)
    step -= np.outer(step[:, :in_sum].sum(axis=1) / max(float(pull[:in_sum].sum()), 1e-300), pull)
    moved_shares = np.tile(shares, (len(moved), 1))
    moved_shares[:, active[:j]] += step[:, :in_sum]
    kept = np.maximum(moved_shares[:, :-1], 0.0)
    return np.hstack([kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-300), moved_shares[:, -1:]])


@dataclass(frozen=True, eq=False)
class Weighed:
    """Strings whose likelihoods are given, a circuit's kernel held: one Newton step for every resample."""

    counts: Floats
    """``(n_outcomes,)`` shots."""
    columns: Floats
    """``(n_outcomes, k + 1)`` probability of each observed string under each centroid; the last is uniform noise."""
    shares: Floats
    """``(k + 1,)`` sum 1."""
    words: Words
    """``(k, n_words)`` the centroids."""

    @property
    def width(self) -> int:
        """The shares."""
        return len(self.shares)

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        score = self.columns / np.maximum(self.columns @ self.shares, 1e-300)[:, None]
        information = (score * self.counts[:, None]).T @ score
        return _newton(self.shares, information, (draws - self.counts) @ score)[:, :-1] @ observables(self.words)
