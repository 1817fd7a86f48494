"""How a decided answer moves when the shots are drawn anew; see `qcluster.core.uncertainty.response`."""

from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.distribution import Distribution, histogram
from qcluster.core.decision.candidates import (
    FIXED,
    HEAVIEST,
    MIXTURE,
    RAW,
    SMOOTH,
    STEPS,
    STEPS_OBSERVED,
    STRING,
    Hypotheses,
    Support,
)
from qcluster.core.dense.bitflips import deconvolve, smooth
from qcluster.core.dense.observed import redeconvolve
from qcluster.core.noise.prior import SHOTS
from qcluster.core.sparse.fit import MixtureFit
from qcluster.core.uncertainty.response import Observables, sampled_hypotheses, under_flips


@dataclass(frozen=True, eq=False)
class Blend:
    """A decided answer: strings weighed again, counts deconvolved again under a hypothesis drawn by its weight.

    The answer is the square of a sum of square roots, each with its part, and the parts are held. Cost: that of one
    hypothesis of the deconvolution for every draw, a hundredth of a second for 12 bits.
    """

    raw: Distribution
    """The counts."""
    support: Support
    """Strings that answers may hold."""
    fit: MixtureFit
    """The sparse mixture."""
    hypotheses: Hypotheses
    """Of the deconvolutions."""
    weights: Floats
    """``(c,)`` of the candidates."""
    prior_shots: float = SHOTS
    """Weight of the prior of each flip rate of the mixture, in shots."""

    @property
    def width(self) -> int:
        """The support of the answer, and its companions in deconvolution."""
        return 8 * len(self.support.words)

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        roots = self.roots(draws, levels)
        return np.asarray(roots * roots @ observables(self.support.words))

    def roots(self, draws: Floats, levels: Floats) -> Floats:
        """Give the answers to redrawn shots as unit vectors of square roots over the support, ``(n_draws, m)``."""
        raw, fit, support, weights, under = self.raw, self.fit, self.support, self.weights, self.hypotheses
        counts = np.zeros((len(draws), len(support.words)))
        counts[:, support.seen] = draws
        read = np.sqrt(counts / raw.shots)
        roots = weights[RAW] * read
        wide = under.places is not None
        if wide and weights[FIXED]:  # which bits are fixed is held
            merged = np.zeros_like(counts)
            np.add.at(merged.T, support.fixed, draws.T)
            roots += weights[FIXED] * np.sqrt(merged / raw.shots)
        elif weights[SMOOTH]:  # what smoothing made of each string is held
            observed = histogram(raw)
            smoothed = smooth(observed) / np.sqrt(np.where(observed > 0, observed / raw.shots, 1.0))
            roots += weights[SMOOTH] * np.where(observed > 0, read * smoothed, smoothed)
        if weights[MIXTURE]:
            strings = under_flips(raw, fit.centroids, fit.weights, fit.background, fit.rates, self.prior_shots)
            roots[:, support.centroids] += weights[MIXTURE] * np.sqrt(strings.reweighted(draws))
        for place, part in zip(support.singles, weights[[STRING, HEAVIEST]], strict=True):
            roots[:, place] += part
        dense = weights[self.hypotheses.slots]
        if dense.any():
            which = sampled_hypotheses(dense / dense.sum(), levels)
            roots += dense.sum() * self._deconvolved(counts, draws, which)
        return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-150))

    def _deconvolved(self, counts: Floats, draws: Floats, which: Indices) -> Floats:
        under = self.hypotheses
        if under.places is None:
            return deconvolve(counts, under.rates[which], under.concentration[which], steps=STEPS).roots
        roots = np.zeros_like(counts)
        for one in np.unique(which):
            mine = np.flatnonzero(which == one)
            rate, concentration = float(under.rates[one, 0, 0]), float(under.concentration[one])  # one for all bits
            found = redeconvolve(self.raw.bits, draws[mine], under.places, rate, concentration, STEPS_OBSERVED)
            roots[np.ix_(mine, self.support.seen[under.places])] = found
        return roots
