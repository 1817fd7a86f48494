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
from qcluster.core.words import many

Answer = Callable[[Distribution, Any], Any]
"""Counts and noise, rates ``(n_bits, 2)`` or a noise model or None, to the better distribution, or whatever
`Distribution.of` reads: its weights are shared out over as many shots as went in."""


def enter(name: str, summary: str, answer: Answer, *, needs: str | None = None, uses: tuple[str, ...] = ()) -> Method:
    """Register a baseline as a method of `qcluster.mitigate`; name, summary, needs and uses as in `Method`.

    The method raises TypeError or ValueError where `answer` returns no distribution, or one of another width.
    """

    def mitigate(raw: Distribution, noise: Any, guard: Any, settings: Any) -> Mitigation:
        rates = noise if isinstance(noise, np.ndarray) else None
        found = _read(name, raw, answer(raw, noise))
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
            response=Anew(raw, noise, answer, name),
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
    name: str
    """Its name, for errors."""

    @property
    def width(self) -> int:
        """One answer at a time."""
        return self.raw.n_outcomes

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `qcluster.core.uncertainty.response.Response`."""
        rows = []
        for weights in draws:
            drawn = Distribution.from_words(self.raw.words, weights, self.raw.n_bits)
            found = _read(self.name, drawn, self.answer(drawn, self.noise))
            rows.append(found.probabilities @ observables(found.words))
        return np.array(rows)


def _read(name: str, raw: Distribution, found: Any) -> Distribution:
    """Read what a method made of counts, of their width and over their shots."""
    try:
        answer = Distribution.of(found)
    except (TypeError, ValueError) as error:
        raise TypeError(f"method={name!r} must return a distribution; got {type(found).__name__}: {error}") from error
    if answer.n_bits != raw.n_bits or not answer.shots:
        what = f"{many(answer.n_bits, 'bit')} and {many(answer.shots, 'shot')}"
        raise ValueError(
            f"method={name!r} must return a distribution over strings of {many(raw.n_bits, 'bit')}; got {what}"
        )
    if np.isclose(answer.shots, raw.shots, rtol=1e-9, atol=0):
        return answer
    return Distribution.from_words(answer.words, answer.probabilities * raw.shots, raw.n_bits)


def one_rate(rates: Floats) -> float:
    """Give the mean flip rate, for methods that know one rate for all bits."""
    return float(rates.mean())
