"""How an answer moves when the shots are drawn anew: one small model of each method, for `qcluster.core.interval`.

A response takes resampled counts, many at once, and gives what the method's answer would then say about observables.
What a method chose from the counts (its strings, its clusters, the learned channel) is held; what it estimates given
that choice is estimated anew. docs/uncertainty.md tells what each holds, and how far the intervals can be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Bits, Words, distinct_rows, hamming, pack
from qcluster.core.channel import log_likelihood
from qcluster.core.deconvolve import deconvolve, smooth
from qcluster.core.distribution import Distribution
from qcluster.core.observed import redeconvolve

Floats = NDArray[np.float64]
Observables = Callable[[Words], Floats]
"""Packed strings ``(m, n_words)`` to the values ``(m, q)`` of q observables."""

_ROWS = 4096
"""Strings whose scores are held in memory at once."""
_FAINT = 1e-12
"""Least probability of a string under a model."""


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
    prior_shots: float = 30.0
    """Weight of the belief about each rate, in shots."""

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
class Blend:
    """What a guarded answer is blended from. It is the square of a sum of square roots, each with its part."""

    parts: tuple[float, float, float, float]
    """The strings of the mixture, the deconvolution, the raw counts, and a single string. Raw counts that are kept as
    insurance alone are left to the deconvolution here: what they cost is an error of the answer, not a part of it."""
    string: NDArray[np.bool_] | None = None
    """``(n_bits,)``: the single string; None where it has no part."""
    belief: Floats | None = None
    """``(n_hypotheses,)`` sum 1; None where nothing was deconvolved."""
    rates: Floats | None = None
    """``(n_hypotheses, n_bits, 2)``."""
    concentration: Floats | None = None
    """``(n_hypotheses,)``."""
    tempering: float = 1.0
    """Effective shots over shots."""
    places: NDArray[np.intp] | None = None
    """Rows of the counts among which the ideal was sought; None: among all 2^n strings."""


@dataclass(frozen=True, eq=False)
class Blended:
    """A guarded answer: strings weighed again, counts deconvolved again under a hypothesis drawn by belief.

    Cost: that of one hypothesis of the deconvolution for every draw, a hundredth of a second for 12 bits.
    """

    sparse: Strings
    """The strings."""
    blend: Blend
    """What they are blended with."""

    @property
    def width(self) -> int:
        """The support of the answer, and its companions in deconvolution."""
        raw = self.sparse.raw
        return 8 << raw.n_bits if self._on_all_strings else 8 * raw.n_outcomes

    @property
    def _on_all_strings(self) -> bool:
        return self.blend.belief is not None and self.blend.places is None

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        words, seen, strings, single = self._support()
        few, deep, kept, lone = self.blend.parts
        counts, raw = np.zeros((len(draws), len(words))), np.zeros(len(words))
        counts[:, seen], raw[seen] = draws, self.sparse.raw.weights
        roots = kept * np.sqrt(counts / self.sparse.raw.shots)
        if self._on_all_strings:
            calmed = smooth(raw) / np.sqrt(np.where(raw > 0, raw / self.sparse.raw.shots, 1.0))
            roots = np.where(raw > 0, roots * calmed, kept * calmed)
        roots[:, strings] += few * np.sqrt(self.sparse.reweighted(draws))
        roots[:, single] += lone
        if self.blend.belief is not None:
            which = np.minimum(np.searchsorted(np.cumsum(self.blend.belief), levels), len(self.blend.belief) - 1)
            roots += deep * self._deconvolved(counts, draws, which, seen)
        answers = roots * roots
        answers /= np.maximum(answers.sum(axis=1, keepdims=True), 1e-300)
        return np.asarray(answers @ observables(words))

    def _deconvolved(self, counts: Floats, draws: Floats, which: NDArray[np.intp], seen: NDArray[np.intp]) -> Floats:
        rates, concentration, places = self.blend.rates, self.blend.concentration, self.blend.places
        assert rates is not None
        assert concentration is not None
        if places is None:
            return deconvolve(counts * self.blend.tempering, rates[which], concentration[which]).roots
        roots = np.zeros_like(counts)
        for one in np.unique(which):
            mine = np.flatnonzero(which == one)
            found = redeconvolve(
                self.sparse.raw.bits, draws[mine] * self.blend.tempering, places, rates[one], concentration[one]
            )
            roots[np.ix_(mine, seen[places])] = found
        return roots

    def _support(self) -> tuple[Words, NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Give packed strings that answers may hold; where the observed ones, the centroids and the single one are."""
        raw = self.sparse.raw
        lone = np.zeros((0, raw.n_bits), dtype=bool) if self.blend.string is None else self.blend.string[None]
        parts = raw.words, pack(self.sparse.centroids), pack(lone)
        if self._on_all_strings:
            seen, strings, single = (part[:, 0].astype(np.intp) for part in parts)
            return np.arange(1 << raw.n_bits, dtype=np.uint64)[:, None], seen, strings, single
        both = np.vstack(parts)
        order, starts = distinct_rows(both)
        place = np.empty(len(order), dtype=np.intp)
        place[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
        seen, strings, single = np.split(place, np.cumsum([len(part) for part in parts])[:-1])
        return both[order[starts]], seen, strings, single


@dataclass(frozen=True, eq=False)
class Clustered:
    """Q-Cluster as published, with the clusters held: shares, and what of every string is left, follow the counts."""

    raw: Distribution
    """The counts."""
    centroids: Bits
    """``(k, n)``, distinct."""
    labels: NDArray[np.intp]
    """``(n_outcomes,)`` centroid that each string joins, -1 for none."""
    rates: Floats
    """``(n, 2)``."""

    @property
    def width(self) -> int:
        """What every string keeps."""
        return 2 * self.raw.n_outcomes

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        k = len(self.centroids)
        joins = (self.labels[:, None] == np.arange(k)).astype(np.float64)
        shots = np.maximum(draws.sum(axis=1, keepdims=True), 1e-300)
        shares = draws @ joins / shots
        spread = np.exp(log_likelihood(self.raw.bits, self.centroids, self.rates))
        kept = np.maximum(0.0, draws / shots - shares @ spread.T)
        kept[:, (hamming(self.raw.words, pack(self.centroids)) == 0).any(axis=1)] = 0.0
        total = np.maximum(kept.sum(axis=1, keepdims=True) + shares.sum(axis=1, keepdims=True), 1e-300)
        return np.asarray((kept @ observables(self.raw.words) + shares @ observables(pack(self.centroids))) / total)


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


@dataclass(frozen=True, eq=False)
class Linear:
    """An answer that follows small changes of the counts linearly, by its gradient."""

    raw: Distribution
    """The counts."""
    words: Words
    """``(m, n_words)`` strings of the answer."""
    probabilities: Floats
    """``(m,)`` of the answer."""
    gradient: Callable[[Floats], Floats]
    """Values of one observable on the strings ``(m,)`` to the slope of its average in the share of every observed
    string, ``(n_outcomes,)``."""

    @property
    def width(self) -> int:
        """Little beside the draws."""
        return self.raw.n_outcomes

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        values = observables(self.words)
        slopes = np.stack([self.gradient(values[:, one]) for one in range(values.shape[1])], axis=1)
        change = draws / np.maximum(draws.sum(axis=1, keepdims=True), 1e-300) - self.raw.probabilities
        return np.asarray(self.probabilities @ values + change @ slopes)
