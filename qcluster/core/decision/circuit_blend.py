"""How a decided answer of a known circuit moves when the shots are drawn anew; see `blend`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_candidates import (
    ALONE,
    BAYESIAN,
    LOG_LINEAR,
    LOG_LINEAR_SCALED,
    ROUNDS,
    STRINGS,
    WARY,
    Candidates,
    Models,
)
from qcluster.core.dense.richardson_lucy import richardson_lucy
from qcluster.core.uncertainty.response import Observables, sampled_hypotheses

_AUDIBLE = 0.02
"""Weight below which a model of the whole output is not found again: shots move the answer by more than its part."""


@dataclass(frozen=True, eq=False)
class CircuitBlend:
    """A decided answer: counts deconvolved again at a scale drawn by its weight, strings weighed again.

    The answer is the square of a sum of square roots, each with its part; the parts, the scales and the learned rates
    are held, and each resample starts at the answer. Cost: some Walsh transforms for every draw.
    """

    raw: Distribution
    """The counts."""
    found: Candidates
    """What was weighed."""
    weights: Floats
    """``(c,)``."""

    @property
    def width(self) -> int:
        """Full vectors: the answer's and what it takes to find it."""
        return 10 * self.found.kernel.size

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        roots = self._roots(draws, levels)
        answers = roots * roots
        answers /= np.maximum(answers.sum(axis=1, keepdims=True), 1e-300)
        return np.asarray(answers @ observables(self.found.support.words))

    def _roots(self, draws: Floats, levels: Floats) -> Floats:
        found, weights, support = self.found, self.weights, self.found.support
        alone = found.alone.blend
        roots = np.zeros((len(draws), len(support.words)))
        roots[:, support.places(self.raw.words)] = found.kept(weights) * np.sqrt(
            draws / draws.sum(axis=1, keepdims=True)
        )
        if alone is not None and weights[ALONE]:
            roots[:, support.places(alone.support.words)] += weights[ALONE] * alone.roots(draws, levels)
        if weights[STRINGS]:
            strings = found.few.response(found.kernel.locate(self.raw.words), self.raw.weights)
            roots[:, found.strings] += weights[STRINGS] * np.sqrt(strings.reweighted(draws))
        seen = self._numbered(draws)
        if found.models is not None:
            roots += self._modelled(found.models, seen * self.raw.shots, levels)
        deep = weights[found.slots]
        if deep.sum() > 0:
            which = sampled_hypotheses(deep / deep.sum(), levels)
            kernels = found.deconvolved.kernels.take(which)
            start = 0.5 * (found.deconvolved.ideals[which] + seen)
            roots += deep.sum() * support.spread(richardson_lucy(kernels.forward, kernels.adjoint, seen, ROUNDS, start))
        return np.asarray(roots)

    def _modelled(self, models: Models, draws: Floats, levels: Floats) -> Floats:
        """Give the part of models of the whole output, ``(n_draws, 2^m)``; those of next to no weight stand still."""
        found, part = self.found, np.zeros_like(draws)
        one, other = found.kernel, found.kernel.scaled(models.scale)
        for place, model, kernel in ((LOG_LINEAR, models.calibrated, one), (LOG_LINEAR_SCALED, models.scaled, other)):
            moved = self.weights[place] > _AUDIBLE
            part += self.weights[place] * np.sqrt(model.again(kernel, draws) if moved else model.ideal)
        for place in (BAYESIAN, WARY):
            weight = self.weights[place]
            if weight > _AUDIBLE:
                which = sampled_hypotheses(models.probability(place), levels)
                part += weight * models.bayesian.again(draws, which)
            else:
                part += weight * found.roots[place]
        return part

    def _numbered(self, draws: Floats) -> Floats:
        """Give the frequencies of numbers, ``(n_draws, 2^k)``: strings of one number are added up."""
        kernel = self.found.kernel
        seen = np.zeros((kernel.size, len(draws)))
        np.add.at(seen, kernel.locate(self.raw.words), draws.T)
        return np.asarray(seen.T / draws.sum(axis=1, keepdims=True))
