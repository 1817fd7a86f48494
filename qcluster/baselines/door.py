"""The way of the baselines into `qcluster.mitigate`: a function of counts and noise becomes a registered method."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.uncertainty.response import Observables

Answer = Callable[[Distribution, Any], Distribution]
"""Counts and noise, rates ``(n_bits, 2)`` or a noise model or None, to the better distribution."""


def enter(name: str, summary: str, answer: Answer, *, needs: str | None = None, uses: tuple[str, ...] = ()) -> Method:
    """Register a baseline as a method of `qcluster.mitigate`; name, summary, needs and uses as in `Method`."""

    def mitigate(raw: Distribution, noise: Any, guard: Any, settings: Any) -> Mitigation:
        rates = noise if isinstance(noise, np.ndarray) else None
        found = answer(raw, noise)
        if found == raw:
            return left(raw, name, "this method changes nothing here", rates)
        at = "" if rates is None else f", at {rates.mean():.1%} flips per bit"
        return Mitigation(
            distribution=found,
            raw=raw,
            method=name,
            applied=True,
            share=1.0,
            confidence=None,
            reason=f"all shots reweighed by {name}, which has no guard{at}",
            centroids=np.zeros((0, raw.n_bits), dtype=bool),
            weights=np.zeros(0),
            rates=np.zeros((raw.n_bits, 2)) if rates is None else rates,
            response=Anew(raw, noise, answer),
        )

    mitigate.__module__ = answer.__module__
    return register(Method(name, summary, mitigate, needs=needs, uses=uses))


@dataclass(frozen=True, eq=False)
class Anew:
    """The answer of a baseline to redrawn shots: the whole method, run again for each draw."""

    raw: Distribution
    """The counts."""
    noise: Any
    """As given to the method."""
    answer: Answer
    """The method."""

    @property
    def width(self) -> int:
        """One answer at a time."""
        return self.raw.n_outcomes

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `qcluster.core.uncertainty.response.Response`."""
        rows = []
        for weights in draws:
            found = self.answer(Distribution.from_words(self.raw.words, weights, self.raw.n_bits), self.noise)
            rows.append(found.probabilities @ observables(found.words))
        return np.array(rows)


def one_rate(rates: Floats) -> float:
    """Give the mean flip rate, for methods that know one rate for all bits."""
    return float(rates.mean())
