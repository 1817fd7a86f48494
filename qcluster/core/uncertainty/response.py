"""How an answer moves when the shots are drawn anew: one small model of each method, for its intervals.

A response takes resampled counts, many at once, and gives what the method's answer would then say about observables.
What a method chose from the counts (its strings, its clusters, the learned channel) is held; what it estimates given
that choice is estimated anew. docs/uncertainty.md tells what each holds, and how far the intervals can be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
    """A few strings that are held: one Newton step of the likelihood for every resample.

    The weights of the strings, the uniform share and what else is estimated follow the resampled scores. A single step
    from the fitted values has the same distribution as a full fit to first order (Davidson and MacKinnon, 1999,
    "Bootstrap testing in nonlinear models").
    """

    words: Words
    """``(k, n_words)``, packed."""
    shares: Floats
    """``(k + 1,)`` fitted, the uniform one last, sum 1; they are the first of the p parameters."""
    counts: Floats
    """``(n_outcomes,)`` shots."""
    scores: Callable[[slice], Floats]
    """Some of the counts to ``(rows, p)``, the slopes of ``ln P(y)`` in the parameters."""
    prior: Floats
    """``(p,)`` information that the prior has of each parameter."""

    @property
    def width(self) -> int:
        """The shares."""
        return len(self.shares)

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        return self.reweighted(draws) @ observables(self.words)

    def reweighted(self, draws: Floats) -> Floats:
        """Give the weights of the strings ``(n_draws, k)``, sum 1, for resampled counts ``(n_draws, n_outcomes)``.

        ``theta + I^-1 (score(draw) - score(counts))``, I the information of the counts: the sum of outer products of
        the scores, and of the prior. The step keeps the sum of the shares (a Lagrange multiplier); what falls below
        zero is zero, and shares that are zero stay so.
        """
        shares, j = self.shares, len(self.shares)
        information, moved = np.diag(self.prior), np.zeros((len(draws), len(self.prior)))
        for start in range(0, len(self.counts), _ROWS):
            rows = slice(start, start + _ROWS)
            counts, score = self.counts[rows], self.scores(rows)
            information = information + (score * counts[:, None]).T @ score
            moved += (draws[:, rows] - counts) @ score
        active = np.r_[shares > 1e-9, np.ones(len(information) - j, dtype=bool)]
        scale = 1 / np.sqrt(np.maximum(np.diag(information)[active], 1e-300))  # of all parameters alike, for the rank
        scales = np.outer(scale, scale)
        inverse = np.linalg.pinv(information[np.ix_(active, active)] * scales, rcond=1e-9, hermitian=True) * scales
        step = moved[:, active] @ inverse
        in_sum = active[:j].sum()
        pull = inverse[:, :in_sum].sum(axis=1)
        step -= np.outer(step[:, :in_sum].sum(axis=1) / max(float(pull[:in_sum].sum()), 1e-300), pull)
        found = np.tile(shares, (len(moved), 1))
        found[:, active[:j]] += step[:, :in_sum]
        kept = np.maximum(found[:, :-1], 0.0)
        return np.asarray(kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-300))


def under_flips(
    raw: Distribution, sent: Bits, weights: Floats, background: float, rates: Floats, prior_shots: float = SHOTS
) -> Strings:
    """Hold strings seen through independent flips, whose rates follow the shots as well.

    Args:
        raw: the counts.
        sent: ``(k, n)``.
        weights: ``(k,)`` sum 1.
        background: share of uniform noise.
        rates: ``(n, 2)`` P(read 1|0), P(read 0|1).
        prior_shots: weight of the prior of each rate, in shots: information on the log odds of the flips alone.
    """
    flips, shares = rates.ravel(), np.append(weights * (1 - background), background)
    prior = np.append(np.zeros(len(shares)), prior_shots * np.maximum(flips * (1 - flips), 1e-4))
    return Strings(pack(sent), shares, raw.weights, partial(_of_flips, raw, sent, shares, rates), prior)


def _of_flips(raw: Distribution, sent: Bits, shares: Floats, rates: Floats, rows: slice) -> Floats:
    """Slopes of ``ln P(y)`` in the weights, the uniform share, and the log odds of each flip, ``(rows, k + 1 + 2n)``.

    All probabilities are in units of the uniform one, and no further below it than numbers reach.
    """
    bits, strings = raw.bits[rows], shares[:-1]
    log = log_likelihood(bits, sent, rates) + sent.shape[1] * np.log(2)
    ratio = np.exp(np.clip(log, -600, 600))
    total = (ratio @ strings + max(shares[-1], _FAINT))[:, None]
    responsibility = ratio * strings / total
    from_zero, from_one = responsibility @ ~sent, responsibility @ sent
    up = from_zero * (bits - rates[:, 0])
    down = from_one * (~bits - rates[:, 1])
    slopes = np.stack([up, down], axis=2).reshape(len(bits), -1)
    return np.hstack([ratio / total, 1 / total, slopes])


def under_columns(words: Words, shares: Floats, counts: Floats, columns: Floats) -> Strings:
    """Hold strings whose likelihoods are given, and with them the noise.

    Args:
        words: ``(k, n_words)`` the strings, packed.
        shares: ``(k + 1,)`` sum 1, the uniform one last.
        counts: ``(n_outcomes,)`` shots.
        columns: ``(n_outcomes, k + 1)`` probability of each observed string under each string and uniform noise.
    """
    return Strings(words, shares, counts, partial(_of_columns, shares, columns), np.zeros(len(shares)))


def _of_columns(shares: Floats, columns: Floats, rows: slice) -> Floats:
    """Slopes of ``ln P(y)`` in the shares."""
    return np.asarray(columns[rows] / np.maximum(columns[rows] @ shares, 1e-300)[:, None])
