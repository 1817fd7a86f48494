"""How an answer changes when the shots are resampled: a small model of each method, for its intervals.

A response takes a batch of resampled counts and returns the expectation values in the method's answers to them. What a
method selects from the counts (its strings, its clusters, the learned channel) is held fixed; what it estimates given
that selection is estimated again. docs/uncertainty.md lists both, and says how far the intervals can be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, Words, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen
from qcluster.core.noise.bitflips import log_likelihood
from qcluster.core.noise.prior import PRIOR_SHOTS

Observables = Callable[[Words], Floats]
"""Maps packed strings ``(m, n_words)`` to the values ``(m, q)`` of q observables."""

_ROWS = 4096
"""Strings whose scores are held in memory at once."""
_FAINT = 1e-12
"""Least uniform share of a model, so that no string is impossible."""


def sampled_hypotheses(posterior: Floats, levels: Floats) -> NDArray[np.intp]:
    """Sample a hypothesis for each draw by inverting the cumulative posterior at its level, in (0, 1)."""
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(posterior), levels), len(posterior) - 1))


class Response(Protocol):
    """How one answer changes with its counts."""

    @property
    def width(self) -> int:
        """Values held per resample, in addition to the resampled counts; used to bound memory."""

    def resample(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """Return the values ``(n_draws, q)`` of observables in the answers to resampled counts.

        Args:
            draws: ``(n_draws, n_outcomes)``, shots of each string of the raw counts.
            levels: ``(n_draws,)``, evenly spread over (0, 1); each selects the hypothesis that its draw is made under.
            observables: the q observables.
        """


@dataclass(frozen=True, eq=False)
class NewtonResponse(Frozen):
    """A mixture of a few fixed strings: each resample takes one Newton step of the likelihood.

    The weights of the strings, the uniform share and any other parameters follow the resampled scores. To first order,
    a single step from the fitted values has the same distribution as a full fit (Davidson and MacKinnon, 1999,
    "Bootstrap testing in nonlinear models").
    """

    words: Words
    """``(k, n_words)``, the strings, packed."""
    shares: Floats
    """``(k + 1,)``, fitted shares with sum 1, the uniform one last. They are the first of the p parameters."""
    counts: Floats
    """``(n_outcomes,)``, shots."""
    scores: Callable[[slice], Floats]
    """Maps a slice of the counts to ``(rows, p)``, the derivatives of ``ln P(y)`` with respect to the parameters."""
    prior: Floats
    """``(p,)``, information of the prior about each parameter."""

    @property
    def width(self) -> int:
        """Number of shares."""
        return len(self.shares)

    def resample(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        return self.reweighted(draws) @ observables(self.words)

    def reweighted(self, draws: Floats) -> Floats:
        """Return the weights of the strings ``(n_draws, k)``, sum 1, for resampled counts ``(n_draws, n_outcomes)``.

        The parameters become ``theta + I^-1 (score(draw) - score(counts))``, where the information I is the sum of the
        outer products of the scores and of the prior's information. A Lagrange multiplier keeps the sum of the shares.
        Negative shares are set to zero, and shares that are zero stay zero.
        """
        updated = self.shares + (draws - self.counts) @ self._influence
        weights = np.maximum(updated[:, :-1], 0.0)
        return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300))

    @cached_property
    def _influence(self) -> Floats:
        """``(n_outcomes, k + 1)``: by how much one more shot of each string changes the shares."""
        shares, j, information = self.shares, len(self.shares), np.diag(self.prior)
        parts = [slice(start, start + _ROWS) for start in range(0, len(self.counts), _ROWS)]
        for rows in parts:
            score = self.scores(rows)
            information = information + (score * self.counts[rows, None]).T @ score
        active = np.r_[shares > 1e-9, np.ones(len(information) - j, dtype=bool)]
        scale = 1 / np.sqrt(np.maximum(np.diag(information)[active], 1e-300))  # a common scale, to decide on the rank
        scales = np.outer(scale, scale)
        inverse = np.linalg.pinv(information[np.ix_(active, active)] * scales, rcond=1e-9, hermitian=True) * scales
        step = inverse[:, : active[:j].sum()]
        constraint = step.sum(axis=1)
        kept = constraint[: step.shape[1]]
        step = step - np.outer(constraint, kept / max(float(kept.sum()), 1e-300))
        influence = np.zeros((len(self.counts), j))
        for rows in parts:
            influence[rows, active[:j]] = self.scores(rows)[:, active] @ step
        return influence


def flip_response(
    raw: Distribution, sent: Bits, weights: Floats, background: float, rates: Floats, prior_shots: float = PRIOR_SHOTS
) -> NewtonResponse:
    """Make the response of strings under independent flips, whose rates are estimated again as well.

    The strings are ``(k, n) bool``, their weights ``(k,)`` of sum 1, the share of uniform noise `background`, and the
    rates ``(n, 2)``. The prior of each rate, of `prior_shots`, adds information on the log odds of the flips only.
    """
    flips, shares = rates.ravel(), np.append(weights * (1 - background), background)
    prior = np.append(np.zeros(len(shares)), prior_shots * np.maximum(flips * (1 - flips), 1e-4))
    return NewtonResponse(pack(sent), shares, raw.weights, partial(_flip_scores, raw, sent, shares, rates), prior)


def _flip_scores(raw: Distribution, sent: Bits, shares: Floats, rates: Floats, rows: slice) -> Floats:
    """Return the derivatives of ``ln P(y)`` with respect to shares and log odds of flips, ``(rows, k + 1 + 2n)``.

    All probabilities are in units of the uniform one, clipped to the range of floats.
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


def column_response(words: Words, shares: Floats, counts: Floats, columns: Floats) -> NewtonResponse:
    """Make the response of strings under a fixed noise model: `columns`, ``(n_outcomes, k + 1)``, are the probabilities
    of each observed string given each string, then uniform noise. The others are those of `NewtonResponse`."""
    return NewtonResponse(words, shares, counts, partial(_column_scores, shares, columns), np.zeros(len(shares)))


def _column_scores(shares: Floats, columns: Floats, rows: slice) -> Floats:
    """Return the derivatives of ``ln P(y)`` with respect to the shares, ``(rows, k + 1)``."""
    return np.asarray(columns[rows] / np.maximum(columns[rows] @ shares, 1e-300)[:, None])
