"""How a decided answer moves when the shots are drawn anew; see `qcluster.core.uncertainty.response`."""

from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words
from qcluster.core.dense.bitflips import deconvolve, smooth
from qcluster.core.dense.observed import redeconvolve
from qcluster.core.uncertainty.response import Observables, Strings, sampled_hypotheses


@dataclass(frozen=True, eq=False)
class Blend:
    """A decided answer: strings weighed again, counts deconvolved again under a hypothesis drawn by its weight.

    The answer is the square of a sum of square roots, each with its part, and the parts are held. Cost: that of one
    hypothesis of the deconvolution for every draw, a hundredth of a second for 12 bits.
    """

    words: Words
    """``(m, n_words)`` packed strings that answers may hold."""
    seen: Indices
    """``(n_outcomes,)`` places of the observed strings among them."""
    raw_part: float
    """Part of the raw counts, smoothed where every string is a candidate."""
    mixture: Strings
    """The sparse mixture."""
    centroids: Indices
    """``(k,)`` places of its strings."""
    mixture_part: float
    """Part of the mixture."""
    singles: Indices
    """``(l,)`` places of single strings."""
    single_parts: Floats
    """``(l,)`` their parts."""
    dense_part: float
    """Part of all deconvolutions together."""
    shares: Floats
    """``(n_hypotheses,)`` of the deconvolutions among themselves, sum 1."""
    rates: Floats
    """``(n_hypotheses, n_bits, 2)``."""
    concentration: Floats
    """``(n_hypotheses,)``."""
    places: Indices | None
    """Rows of the counts among which the ideal was sought; None: among all 2^n strings."""

    @property
    def width(self) -> int:
        """The support of the answer, and its companions in deconvolution."""
        raw = self.mixture.raw
        return 8 << raw.n_bits if self.places is None else 8 * raw.n_outcomes

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        roots = self.roots(draws, levels)
        return np.asarray(roots * roots @ observables(self.words))

    def roots(self, draws: Floats, levels: Floats) -> Floats:
        """Give the answers to redrawn shots as unit vectors of square roots over `words`, ``(n_draws, m)``."""
        raw = self.mixture.raw
        counts, observed = np.zeros((len(draws), len(self.words))), np.zeros(len(self.words))
        counts[:, self.seen], observed[self.seen] = draws, raw.weights
        roots = self.raw_part * np.sqrt(counts / raw.shots)
        if self.places is None and self.raw_part:
            smoothed = smooth(observed) / np.sqrt(np.where(observed > 0, observed / raw.shots, 1.0))
            roots = np.where(observed > 0, roots * smoothed, self.raw_part * smoothed)
        if self.mixture_part:
            roots[:, self.centroids] += self.mixture_part * np.sqrt(self.mixture.reweighted(draws))
        for place, part in zip(self.singles, self.single_parts, strict=True):
            roots[:, place] += part
        if self.dense_part:
            roots += self.dense_part * self._deconvolved(counts, draws, sampled_hypotheses(self.shares, levels))
        return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-150))

    def _deconvolved(self, counts: Floats, draws: Floats, which: Indices) -> Floats:
        if self.places is None:
            return deconvolve(counts, self.rates[which], self.concentration[which]).roots
        roots, bits = np.zeros_like(counts), self.mixture.raw.bits
        for one in np.unique(which):
            mine = np.flatnonzero(which == one)
            rate, concentration = float(self.rates[one, 0, 0]), float(self.concentration[one])  # one for all bits
            found = redeconvolve(bits, draws[mine], self.places, rate, concentration)
            roots[np.ix_(mine, self.seen[self.places])] = found
        return roots
