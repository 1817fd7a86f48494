"""How a guarded answer moves when the shots are drawn anew; see `qcluster.core.response`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Words, numbered, pack
from qcluster.core.blurred import blurred_roots
from qcluster.core.deconvolve import deconvolve, smooth
from qcluster.core.observed import redeconvolve
from qcluster.core.response import Observables, Strings, believed

Floats = NDArray[np.float64]


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
    blur: Floats | None = None
    """``(n_hypotheses,)``: rate at which the ideal is smooth by itself (`blurred_roots`); None: at none."""
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
            roots += deep * self._deconvolved(counts, draws, believed(self.blend.belief, levels), seen)
        answers = roots * roots
        answers /= np.maximum(answers.sum(axis=1, keepdims=True), 1e-300)
        return np.asarray(answers @ observables(words))

    def _deconvolved(self, counts: Floats, draws: Floats, which: NDArray[np.intp], seen: NDArray[np.intp]) -> Floats:
        rates, concentration, places = self.blend.rates, self.blend.concentration, self.blend.places
        assert rates is not None
        assert concentration is not None
        if places is None:
            anew = deconvolve(counts * self.blend.tempering, rates[which], concentration[which])
            blur = np.zeros(len(which)) if self.blend.blur is None else self.blend.blur[which]
            anew.roots[blur > 0] = blurred_roots(anew.shapes[blur > 0], blur[blur > 0])
            return anew.roots
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
        words, place = numbered(np.vstack(parts))
        seen, strings, single = np.split(place, np.cumsum([len(part) for part in parts])[:-1])
        return words, seen, strings, single
