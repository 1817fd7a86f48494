"""How a decided answer changes when the shots are redrawn; see `qcluster.core.uncertainty.response`."""

from dataclasses import dataclass
from functools import cached_property

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
from qcluster.core.frozen import Frozen
from qcluster.core.noise.prior import PRIOR_SHOTS
from qcluster.core.sparse.fit import MixtureFit
from qcluster.core.uncertainty.response import NewtonResponse, Observables, flip_response, sampled_hypotheses


@dataclass(frozen=True, eq=False)
class Blend(Frozen):
    """The response of a decided answer, the square of a weighted sum of candidates' square roots.

    For each redraw, strings are weighed again and counts are deconvolved again under one hypothesis, sampled by its
    weight; the candidates' weights stay fixed. Cost per redraw: one deconvolution, a hundredth of a second for 12 bits.
    """

    raw: Distribution
    """The counts."""
    support: Support
    """Strings that answers may contain."""
    fit: MixtureFit
    """The sparse mixture."""
    hypotheses: Hypotheses
    """Hypotheses of the deconvolutions."""
    weights: Floats
    """``(c,)`` weights of the candidates."""
    prior_shots: float = PRIOR_SHOTS
    """Weight of the prior of each flip rate of the mixture, in shots."""

    @property
    def width(self) -> int:
        """Numbers in memory per redraw: the answer over the support, and the work arrays of deconvolution."""
        return 8 * len(self.support.words)

    def resample(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        roots = self.roots(draws, levels)
        return np.asarray(roots * roots @ observables(self.support.words))

    def roots(self, draws: Floats, levels: Floats) -> Floats:
        """Return the answers to redrawn shots as unit vectors of square roots over the support, ``(n_draws, m)``."""
        raw, support, weights = self.raw, self.support, self.weights
        counts = np.zeros((len(draws), len(support.words)))
        counts[:, support.seen] = draws
        read = np.sqrt(counts / raw.shots)
        roots = weights[RAW] * read
        wide = self.hypotheses.rows is not None
        if wide and weights[FIXED]:  # the same bits stay fixed
            merged = np.zeros_like(counts)
            np.add.at(merged.T, support.fixed, draws.T)
            roots += weights[FIXED] * np.sqrt(merged / raw.shots)
        elif weights[SMOOTH]:  # each string keeps the factor by which smoothing changed it
            observed = histogram(raw)
            smoothed = smooth(observed) / np.sqrt(np.where(observed > 0, observed / raw.shots, 1.0))
            roots += weights[SMOOTH] * np.where(observed > 0, read * smoothed, smoothed)
        if weights[MIXTURE]:
            roots[:, support.centroids] += weights[MIXTURE] * np.sqrt(self._strings.reweighted(draws))
        for index, weight in zip(support.singles, weights[[STRING, HEAVIEST]], strict=True):
            roots[:, index] += weight
        dense = weights[self.hypotheses.slots]
        if dense.any():
            sampled = sampled_hypotheses(dense / dense.sum(), levels)
            roots += dense.sum() * self._deconvolved(counts, draws, sampled)
        return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-150))

    @cached_property
    def _strings(self) -> NewtonResponse:
        """Response of the mixture's strings."""
        fit = self.fit
        return flip_response(self.raw, fit.centroids, fit.weights, fit.background, fit.rates, self.prior_shots)

    def _deconvolved(self, counts: Floats, draws: Floats, sampled: Indices) -> Floats:
        """Deconvolve each redraw under its sampled hypothesis: ``(n_draws, m)`` unit vectors of square roots."""
        rates, concentration, rows = self.hypotheses.rates, self.hypotheses.concentration, self.hypotheses.rows
        if rows is None:
            return deconvolve(counts, rates[sampled], concentration[sampled], steps=STEPS).roots
        roots = np.zeros_like(counts)
        for index in np.unique(sampled):
            members = np.flatnonzero(sampled == index)
            rate, mass = float(rates[index, 0, 0]), float(concentration[index])  # the rate is the same for all bits
            again = redeconvolve(self.raw.bits, draws[members], rows, rate, mass, STEPS_OBSERVED)
            roots[np.ix_(members, self.support.seen[rows])] = again
        return roots
