"""How a decided answer for a known circuit changes when the shots are redrawn; see `blend`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.blend import Blend
from qcluster.core.decision.circuit_candidates import (
    ALONE,
    BAYESIAN,
    LOG_LINEAR,
    LOG_LINEAR_SCALED,
    RAW,
    SCALED,
    STRINGS,
    WARY,
    Candidates,
    Support,
)
from qcluster.core.dense.log_linear import LogLinear
from qcluster.core.dense.richardson_lucy import redeconvolve
from qcluster.core.dense.unknown_scale import redeconvolved
from qcluster.core.frozen import Frozen
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.under_kernel import FewStrings
from qcluster.core.uncertainty.response import NewtonResponse, Observables, sampled_hypotheses

_MOVING = 0.02
"""Least weight of a model of the whole output that is fitted again to redrawn shots; lighter ones hardly matter."""


@dataclass(frozen=True, eq=False)
class CircuitBlend(Frozen):
    """The response of a decided answer, the square of a weighted sum of candidates' square roots.

    For each redraw, counts are deconvolved again at one scale, sampled by its weight, and strings are weighed again.
    Candidates' weights, scales, learned rates and rounds of Richardson-Lucy stay fixed. Cost per redraw: some Walsh
    transforms. Only what this needs is kept of the candidates, 0.6 MB for 12 bits: users keep hundreds of answers.
    """

    raw: Distribution
    """The counts."""
    weights: Floats
    """``(c,)`` weights of the candidates."""
    kernel: Kernel
    """Noise kernel of the calibration."""
    support: Support
    """Strings of the answer."""
    alone: Blend | None
    """Response of the answer from counts alone; None where that answer is the counts."""
    few: FewStrings
    """The few strings and their kernel."""
    strings: Indices
    """``(k,)`` their rows in the support."""
    log_linear: tuple[tuple[float, float, LogLinear], ...]
    """Weight, multiple of the noise, and model, for each log-linear model that is fitted again."""
    bayesian: tuple[tuple[float, Floats], ...]
    """Weight, and probability of each hypothesis, for each Bayesian deconvolution that is computed again."""
    still: Floats
    """``(m,)`` weighted sum of the other models, which stay fixed and have almost no weight."""
    slots: list[int]
    """``(s,)`` index of the candidate that each deconvolution yields."""
    scales: Floats
    """``(s,)`` multiple of the noise that each undoes; the last undoes the readout errors alone."""
    rounds: Indices
    """``(s,)`` number of rounds after which each ended."""

    @classmethod
    def of(cls, raw: Distribution, candidates: Candidates, weights: Floats) -> CircuitBlend:
        """Make the response of candidates blended by ``(c,)`` weights."""
        deconvolved, models, moving = candidates.deconvolved, candidates.models, weights > _MOVING
        log_linear: tuple[tuple[float, float, LogLinear], ...] = ()
        bayesian: tuple[tuple[float, Floats], ...] = ()
        if models is not None:
            linear = (LOG_LINEAR, 1.0, models.calibrated), (LOG_LINEAR_SCALED, models.scale, models.scaled)
            log_linear = tuple((float(weights[i]), scale, model) for i, scale, model in linear if moving[i])
            bayesian = tuple((float(weights[i]), models.probability(i)) for i in (BAYESIAN, WARY) if moving[i])
        still = [i for i in range(LOG_LINEAR, SCALED) if not moving[i]]
        answers = candidates.kernel, candidates.support, candidates.alone.blend, candidates.few, candidates.strings
        parts = log_linear, bayesian, weights[still] @ candidates.roots[still]
        return cls(raw, weights, *answers, *parts, candidates.slots, deconvolved.kernels.scales, deconvolved.rounds)

    @property
    def width(self) -> int:
        """Numbers in memory per redraw: the answer as a full vector, and the work arrays behind it."""
        return 10 * self.kernel.size

    def resample(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        roots = self._roots(draws, levels)
        answers = roots * roots
        answers /= np.maximum(answers.sum(axis=1, keepdims=True), 1e-300)
        return np.asarray(answers @ observables(self.support.words))

    def _roots(self, draws: Floats, levels: Floats) -> Floats:
        """Return the square roots of the answers to redrawn shots, ``(n_draws, m)`` of any norm."""
        support, weights, alone = self.support, self.weights, self.alone
        roots = np.tile(self.still, (len(draws), 1))
        kept = float(weights[RAW] + (weights[ALONE] if alone is None else 0.0))
        roots[:, support.places(self.raw.words)] += kept * np.sqrt(draws / draws.sum(axis=1, keepdims=True))
        if alone is not None and weights[ALONE]:
            roots[:, support.places(alone.support.words)] += weights[ALONE] * alone.roots(draws, levels)
        if weights[STRINGS]:
            roots[:, self.strings] += weights[STRINGS] * np.sqrt(self._reweighing.reweighted(draws))
        seen = np.array([np.bincount(self._indices, drawn, self.kernel.size) for drawn in draws], dtype=np.float64)
        seen /= draws.sum(axis=1, keepdims=True)  # frequencies; strings that share an index are added up
        shots = seen * self.raw.shots
        for weight, scale, model in self.log_linear:
            roots += weight * np.sqrt(model.refit(self.kernel.scaled(scale), shots))
        kernels = ScaledKernels.of(self.kernel, self.scales[:-1], readout=True)
        for weight, probability in self.bayesian:  # the last kernel, readout alone, is not among their hypotheses
            sampled = sampled_hypotheses(probability, levels)
            roots += weight * redeconvolved(kernels.take(slice(0, -1)), shots, sampled)
        deconvolved = weights[self.slots]
        if deconvolved.sum() > 0:
            sampled = sampled_hypotheses(deconvolved / deconvolved.sum(), levels)
            observed = None if self.kernel.index.exact else seen > 0
            again = redeconvolve(kernels.take(sampled), seen, self.rounds[sampled], observed)
            roots += deconvolved.sum() * support.spread(again)
        return np.asarray(roots)

    @cached_property
    def _indices(self) -> Indices:
        """``(n_outcomes,)`` index of each string that was read."""
        return self.kernel.index.of(self.raw.words)

    @cached_property
    def _reweighing(self) -> NewtonResponse:
        """Response of the few strings."""
        return self.few.response(self._indices, self.raw.weights)
