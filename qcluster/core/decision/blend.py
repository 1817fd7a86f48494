"""How a decided answer moves when the shots are drawn anew; see `qcluster.core.uncertainty.response`."""

from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Bits, Words, numbered, pack
from qcluster.core.dense.bitflips import deconvolve, smooth
from qcluster.core.dense.observed import redeconvolve
from qcluster.core.uncertainty.response import Observables, Strings, believed


@dataclass(frozen=True, eq=False)
class Blend:
    """A decided answer: strings weighed again, counts deconvolved again under a hypothesis drawn by its weight.

    The answer is the square of a sum of square roots, each with its part, and the parts are held. Cost: that of one
    hypothesis of the deconvolution for every draw, a hundredth of a second for 12 bits.
    """

    mixture: Strings
    """The sparse mixture."""
    parts: tuple[float, float, float]
    """Of the mixture's strings, of all deconvolutions, and of the raw counts."""
    lone: Bits
    """``(l, n)`` single strings."""
    lone_parts: Floats
    """``(l,)`` their parts."""
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

    @property
    def words(self) -> Words:
        """Packed strings ``(m, n_words)`` that answers may hold."""
        return self._support()[0]

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        words, roots = self.roots(draws, levels)
        return np.asarray(roots * roots @ observables(words))

    def roots(self, draws: Floats, levels: Floats) -> tuple[Words, Floats]:
        """Give the answers to redrawn shots as packed strings ``(m, n_words)`` and unit vectors ``(n_draws, m)``."""
        words, seen, strings, lone = self._support()
        few, deep, kept = self.parts
        raw = self.mixture.raw
        counts, held = np.zeros((len(draws), len(words))), np.zeros(len(words))
        counts[:, seen], held[seen] = draws, raw.weights
        roots = kept * np.sqrt(counts / raw.shots)
        if self.places is None and kept:
            calmed = smooth(held) / np.sqrt(np.where(held > 0, held / raw.shots, 1.0))
            roots = np.where(held > 0, roots * calmed, kept * calmed)
        if few:
            roots[:, strings] += few * np.sqrt(self.mixture.reweighted(draws))
        for place, part in zip(lone, self.lone_parts, strict=True):
            roots[:, place] += part
        if deep:
            roots += deep * self._deconvolved(counts, draws, believed(self.shares, levels), seen)
        return words, roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-150)

    def _deconvolved(self, counts: Floats, draws: Floats, which: Indices, seen: Indices) -> Floats:
        if self.places is None:
            return deconvolve(counts, self.rates[which], self.concentration[which]).roots
        roots, bits = np.zeros_like(counts), self.mixture.raw.bits
        for one in np.unique(which):
            mine = np.flatnonzero(which == one)
            found = redeconvolve(bits, draws[mine], self.places, self.rates[one], float(self.concentration[one]))
            roots[np.ix_(mine, seen[self.places])] = found
        return roots

    def _support(self) -> tuple[Words, Indices, Indices, Indices]:
        """Give packed strings that answers may hold; where the observed ones, the centroids and the single ones are."""
        raw = self.mixture.raw
        sets = raw.words, pack(self.mixture.centroids), pack(self.lone)
        if self.places is None:
            seen, strings, lone = (part[:, 0].astype(np.intp) for part in sets)
            return np.arange(1 << raw.n_bits, dtype=np.uint64)[:, None], seen, strings, lone
        words, place = numbered(np.vstack(sets))
        seen, strings, lone = np.split(place, np.cumsum([len(part) for part in sets])[:-1])
        return words, seen, strings, lone
