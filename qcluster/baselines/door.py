"""Register baselines, which are functions of counts and noise, as methods of `qcluster.mitigate`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.uncertainty.response import Observables
from qcluster.core.words import plural

Answer = Callable[[Distribution, Any], Any]
"""Maps counts and noise (rates ``(n_bits, 2)``, a noise model or None) to a mitigated distribution, or to anything that
`Distribution.of` reads; it is scaled to the shots of the counts."""


def enter(name: str, summary: str, answer: Answer, *, needs: str | None = None, uses: tuple[str, ...] = ()) -> Method:
    """Register a baseline as a method of `qcluster.mitigate`; name, summary, needs and uses as in `Method`.

    The method raises TypeError if `answer` does not return a distribution, and ValueError if its width differs.

    Raises:
        ValueError, TypeError: as for `Method` and `register`.
    """
    if not callable(answer):
        raise TypeError(f"answer must be callable; got {answer!r}")

    def mitigate(raw: Distribution, noise: Any, guard: Any, settings: Any) -> Mitigation:
        rates = noise if isinstance(noise, np.ndarray) else None
        mitigated = _read(name, raw, answer(raw, noise))
        if mitigated == raw:
            return left(raw, name, "this method changes nothing here", rates)
        at = "" if rates is None else f", at flips of {rates.mean():.1%} per bit"
        return Mitigation(
            distribution=mitigated,
            raw=raw,
            method=name,
            applied=True,
            share=1.0,
            confidence=None,
            reason=f"all shots reweighed by {name}, which has no guard{at}",
            centroids=np.zeros((0, raw.n_bits), dtype=bool),
            weights=np.zeros(0),
            rates=np.zeros((raw.n_bits, 2)) if rates is None else rates,
            response=FullRerun(raw, noise, answer, name),
        )

    mitigate.__module__ = answer.__module__
    return register(Method(name, summary, mitigate, needs=needs, uses=uses))


@dataclass(frozen=True, eq=False)
class FullRerun:
    """The response of a baseline: the whole method runs again on each resample."""

    raw: Distribution
    """The counts."""
    noise: Any
    """Noise, as passed to the method."""
    answer: Answer
    """The method."""
    name: str
    """Name of the method, for errors."""

    @property
    def width(self) -> int:
        """Size of one answer: answers are computed one at a time."""
        return self.raw.n_outcomes

    def resample(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `qcluster.core.uncertainty.response.Response`."""
        rows = []
        for weights in draws:
            resample = Distribution.from_words(self.raw.words, weights, self.raw.n_bits)
            mitigated = _read(self.name, resample, self.answer(resample, self.noise))
            rows.append(mitigated.probabilities @ observables(mitigated.words))
        return np.array(rows)


def _read(name: str, raw: Distribution, output: Any) -> Distribution:
    """Read the output of a method, check its width, and scale it to the shots of the counts."""
    try:
        answer = Distribution.of(output)
    except (TypeError, ValueError) as error:
        raise TypeError(f"method={name!r} must return a distribution; got {type(output).__name__}: {error}") from error
    if answer.n_bits != raw.n_bits or not answer.shots:
        size = f"{plural(answer.n_bits, 'bit')} and {plural(answer.shots, 'shot')}"
        raise ValueError(
            f"method={name!r} must return a distribution over strings of {plural(raw.n_bits, 'bit')}; got {size}"
        )
    if np.isclose(answer.shots, raw.shots, rtol=1e-9, atol=0):
        return answer
    return Distribution.from_words(answer.words, answer.probabilities * raw.shots, raw.n_bits)


def one_rate(rates: Floats) -> float:
    """Return the mean flip rate, for methods with one rate for all bits."""
    return float(rates.mean())
