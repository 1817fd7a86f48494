"""How a decided answer of a known circuit moves when the shots are drawn anew; see `blend`."""

from __future__ import annotations

from dataclasses import dataclass

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
    ROUNDS,
    SCALED,
    STRINGS,
    WARY,
    Candidates,
    Support,
)
from qcluster.core.dense.log_linear import LogLinear
from qcluster.core.dense.richardson_lucy import redeconvolve
from qcluster.core.dense.unknown_scale import redeconvolved
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.under_kernel import Few
from qcluster.core.uncertainty.response import Observables, sampled_hypotheses

_MOVING = 0.02
"""Weight below which a model of the whole output is not found again: shots move the answer by more than its part."""


@dataclass(frozen=True, eq=False)
class CircuitBlend:
    """A decided answer: counts deconvolved again at a scale drawn by its weight, strings weighed again.

    The answer is the square of a sum of square roots, each with its part; the parts, the scales, the learned rates and
    the rounds of Richardson-Lucy are held. Cost: some Walsh transforms for every draw. Of the candidates only what this
    needs is held, 0.6 MB for 12 bits, since answers are kept by the hundred.
    """

    raw: Distribution
    """The counts."""
    weights: Floats
    """``(c,)`` of the candidates."""
    kernel: Kernel
    """Of the calibration."""
    support: Support
    """Strings of the answer."""
    alone: Blend | None
    """What the counts say alone; None where that is the counts."""
    few: Few
    """The strings, and what they are seen through."""
    strings: Indices
    """``(k,)`` their places in the support."""
    log_linear: tuple[tuple[float, float, LogLinear], ...]
    """Weight, multiple of the noise, and model of those that move."""
    bayesian: tuple[tuple[float, Floats], ...]
    """Weight, and probability of each hypothesis, of those that move."""
    still: Floats
    """``(m,)`` the part of the models that do not, of next to no weight."""
    slots: list[int]
    """``(s,)`` the candidate that each deconvolution makes."""
    scales: Floats
    """``(s,)`` multiple of the noise that each undoes; the last undoes the readout errors alone."""
    rounds: Indices
    """``(s,)`` after how many rounds each ended."""

    @classmethod
    def of(cls, raw: Distribution, found: Candidates, weights: Floats) -> CircuitBlend:
        """Hold what candidates blended by ``(c,)`` weights need to be found again for other shots."""
        deep, models, moving = found.deconvolved, found.models, weights > _MOVING
        log_linear: tuple[tuple[float, float, LogLinear], ...] = ()
        bayesian: tuple[tuple[float, Floats], ...] = ()
        if models is not None:
            linear = (LOG_LINEAR, 1.0, models.calibrated), (LOG_LINEAR_SCALED, models.scale, models.scaled)
            log_linear = tuple((float(weights[at]), scale, model) for at, scale, model in linear if moving[at])
            bayesian = tuple((float(weights[at]), models.probability(at)) for at in (BAYESIAN, WARY) if moving[at])
        still = [at for at in range(LOG_LINEAR, SCALED) if not moving[at]]
        answers = found.kernel, found.support, found.alone.blend, found.few, found.strings
        parts = log_linear, bayesian, weights[still] @ found.roots[still]
        return cls(raw, weights, *answers, *parts, found.slots, deep.kernels.scales, deep.rounds)

    @property
    def width(self) -> int:
        """Full vectors: the answer's and what it takes to find it."""
        return 10 * self.kernel.size

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        roots = self._roots(draws, levels)
        answers = roots * roots
        answers /= np.maximum(answers.sum(axis=1, keepdims=True), 1e-300)
        return np.asarray(answers @ observables(self.support.words))

    def _roots(self, draws: Floats, levels: Floats) -> Floats:
        support, weights, alone = self.support, self.weights, self.alone
        roots = np.tile(self.still, (len(draws), 1))
        kept = float(weights[RAW] + (weights[ALONE] if alone is None else 0.0))
        roots[:, support.places(self.raw.words)] += kept * np.sqrt(draws / draws.sum(axis=1, keepdims=True))
        if alone is not None and weights[ALONE]:
            roots[:, support.places(alone.support.words)] += weights[ALONE] * alone.roots(draws, levels)
        if weights[STRINGS]:
            strings = self.few.response(self.kernel.index.of(self.raw.words), self.raw.weights)
            roots[:, self.strings] += weights[STRINGS] * np.sqrt(strings.reweighted(draws))
        seen = self._numbered(draws)
        shots = seen * self.raw.shots
        for weight, scale, model in self.log_linear:
            roots += weight * np.sqrt(model.again(self.kernel.scaled(scale), shots))
        kernels = ScaledKernels.of(self.kernel, self.scales[:-1], readout=True)
        for weight, probability in self.bayesian:  # readout alone, the last kernel, is none of their hypotheses
            which = sampled_hypotheses(probability, levels)
            roots += weight * redeconvolved(kernels.take(slice(0, -1)), shots, which)
        deep = weights[self.slots]
        if deep.sum() > 0:
            which = sampled_hypotheses(deep / deep.sum(), levels)
            observed = None if self.kernel.index.exact else seen > 0
            again = redeconvolve(kernels.take(which), seen, ROUNDS, self.rounds[which], observed)
            roots += deep.sum() * support.spread(again)
        return np.asarray(roots)

    def _numbered(self, draws: Floats) -> Floats:
        """Give the frequencies of numbers, ``(n_draws, 2^k)``: strings of one number are added up."""
        seen = np.zeros((self.kernel.size, len(draws)))
        np.add.at(seen, self.kernel.index.of(self.raw.words), draws.T)
        return np.asarray(seen.T / draws.sum(axis=1, keepdims=True))
