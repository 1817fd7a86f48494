"""The default method for counts: a few strings under learned flips, or deconvolution, with a guard between them."""

from dataclasses import replace
from typing import Any

from qcluster.core.blend import Blended
from qcluster.core.distribution import Distribution
from qcluster.core.goodness import beyond_uniform
from qcluster.core.guard import combine, trust
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.mixture import MOST_BITS, MixtureSettings, fit_mixture
from qcluster.core.response import Strings
from qcluster.core.verdict import GuardSettings

_STRUCTURE = 4.0
"""Standard deviations beyond uniform noise from which counts have a structure that can be looked for: shot noise alone
goes there once in some ten thousand counts."""


def mitigate(raw: Distribution, rates: Any, guard: bool | GuardSettings, settings: MixtureSettings) -> Mitigation:
    """Fit the mixture, and let the guard combine it with deconvolution and raw counts; see `Method.function`."""
    if raw.n_bits > MOST_BITS:
        return left(raw, "mixture", f"{raw.n_bits} bits are more than the {MOST_BITS} that this method takes")
    if guard and raw.shots > 1 and raw.n_bits and beyond_uniform(raw.bits, raw.weights) < _STRUCTURE:
        return left(raw, "mixture", "the counts cannot be told from uniform noise", rates)
    fit = fit_mixture(raw.bits, raw.weights, rates=rates, settings=settings)
    constants = guard if isinstance(guard, GuardSettings) else None
    answer = combine(raw, fit, rates=rates, settings=constants) if guard else trust(raw, fit)
    strings = Strings(raw, fit.centroids, fit.weights, fit.background, fit.rates, settings.prior_shots)
    blended = strings if answer.blend is None else Blended(strings, answer.blend)
    return Mitigation(
        distribution=Distribution(answer.bits, answer.weights) if answer.applied else raw,
        raw=raw,
        method="mixture",
        applied=answer.applied,
        share=answer.share,
        confidence=answer.confidence if guard else None,
        reason=answer.reason,
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=blended if answer.applied else None,
    )


register(
    Method(
        name="mixture",
        summary="The few strings that explain the counts under learned flips, or deconvolution where there are many, "
        "with a guard that leaves alone what nothing helps.",
        function=mitigate,
        uses=("rates",),
        settings=MixtureSettings,
        guarded=True,
    )
)


def alone(raw: Distribution, why: str) -> Mitigation:
    """Mitigate by the counts alone, where what is known of the noise does not explain them; `why` begins the reason."""
    fixed = mitigate(raw, None, True, MixtureSettings())
    return replace(fixed, reason=f"{why}; by these alone: {fixed.reason}")
