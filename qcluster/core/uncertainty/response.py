"""How an answer moves when the shots are drawn anew: one small model of each method, for its intervals.

A response takes resampled counts, many at once, and gives what the method's answer would then say about observables.
What a method chose from the counts (its strings, its clusters, the learned channel) is held; what it estimates given
that choice is estimated anew. docs/uncertainty.md tells what each holds, and how far the intervals can be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

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


def sampled_hypotheses(posterior: Floats, levels: Floats) -> NDArray[np.intp]:
    """Sample the hypothesis of each draw: that at which the summed posterior reaches its level, 0 to 1."""
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(posterior), levels), len(posterior) - 1))


class Response(Protocol):
    """How one answer moves with its counts."""

    @property
    def width(self) -> int:
        """Numbers held per resample, the resampled counts aside; for bounding memory."""

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """Give the values ``(n_draws, q)`` of observables in the answers to resampled counts.

        Args:
            draws: ``(n_draws, n_outcomes)``, shots of each string of the raw counts.
            levels: ``(n_draws,)`` evenly spread over (0, 1): which hypothesis a draw is made under.
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

    @property
    def words(self) -> Words:
        """The centroids, packed."""
        return pack(self.centroids)

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        return self.reweighted(draws) @ observables(self.words)

    def reweighted(self, draws: Floats) -> Floats:
        """Give the weights of the strings ``(n_draws, k)`` for resampled counts."""
        shares = np.r_[self.weights * (1 - self.background), self.background]
        return _step(self.raw.weights, draws, shares, lambda rows: self._scores(self.raw.bits[rows]), self._prior())

    def _prior(self) -> Floats:
        """Information of the prior: on the log odds of the flips alone."""
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
        responsibility = ratio * shares / total[:, None]
        from_zero, from_one = responsibility @ ~sent, responsibility @ sent
        up = from_zero * (bits - self.rates[:, 0])
        down = from_one * (~bits - self.rates[:, 1])
        slopes = np.stack([up, down], axis=2).reshape(len(bits), -1)
        return np.hstack([ratio / total[:, None], 1 / total[:, None], slopes])


def _step(
    counts: Floats, draws: Floats, shares: Floats, scores: Callable[[slice], Floats], prior: Floats | None = None
) -> Floats:
    """Take one Newton step of the likelihood from the fitted parameters, for every resample.

    ``theta + I^-1 (score(draw) - score(counts))``, I the information of the counts: the sum of outer products of the
    scores, and of the prior. The step keeps the sum of the shares (a Lagrange multiplier); what falls below zero is
    zero, and shares that are zero stay so.

    Args:
        counts: ``(n_outcomes,)``.
        draws: ``(n_draws, n_outcomes)``.
        shares: ``(j,)`` fitted, the uniform one last, sum 1; they are the first of the p parameters.
        scores: rows of the counts to ``(rows, p)`` slopes of ``ln P(y)`` in the parameters.
        prior: ``(p, p)`` information; none by default.

    Returns:
        ``(n_draws, j - 1)`` weights of the strings, sum 1.
    """
    parts = [slice(start, start + _ROWS) for start in range(0, len(counts), _ROWS)]
    information: Any = 0.0 if prior is None else prior
    moved: Any = 0.0
    for rows in parts:
        score = scores(rows)
        information = information + (score * counts[rows, None]).T @ score
        moved = moved + (draws[:, rows] - counts[rows]) @ score
    j = len(shares)
    active = np.r_[shares > 1e-9, np.ones(len(information) - j, dtype=bool)]
    scale = 1 / np.sqrt(np.maximum(np.diag(information)[active], 1e-300))  # of all parameters alike, for the rank
    inverse = np.linalg.pinv(information[np.ix_(active, active)] * np.outer(scale, scale), rcond=1e-9, hermitian=True)
    inverse = inverse * np.outer(scale, scale)
    step = moved[:, active] @ inverse
    in_sum = active[:j].sum()
    pull = inverse[:, :in_sum].sum(axis=1)
    step -= np.outer(step[:, :in_sum].sum(axis=1) / max(float(pull[:in_sum].sum()), 1e-300), pull)
    found = np.tile(shares, (len(moved), 1))
    found[:, active[:j]] += step[:, :in_sum]
    kept = np.maximum(found[:, :-1], 0.0)
    return np.asarray(kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-300))


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
        return self.reweighted(draws) @ observables(self.words)

    def reweighted(self, draws: Floats) -> Floats:
        """Give the weights of the strings ``(n_draws, k)`` for resampled counts."""
        scores = self.columns / np.maximum(self.columns @ self.shares, 1e-300)[:, None]
        return _step(self.counts, draws, self.shares, lambda rows: scores[rows])
