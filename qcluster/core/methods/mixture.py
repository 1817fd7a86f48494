"""The default method for counts: a few strings under learned flips, or deconvolution, weighed by a trained gate."""

from dataclasses import replace

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.candidates import MIXTURE, NAMES
from qcluster.core.decision.decide import decide_steps, in_words
from qcluster.core.decision.gate import Gate
from qcluster.core.lockstep import Stepwise
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation
from qcluster.core.sparse.fit import MOST_BITS, MixtureFit, MixtureSettings, fit_mixture
from qcluster.core.uncertainty.response import flip_response

_MATTERS = 0.25
"""Weight of the mixture in the answer above which the reason says if its EM has not converged."""


def mitigate(
    raw: Distribution,
    rates: Floats | None,
    guard: bool,
    settings: MixtureSettings,
    expect: str | None = None,
    gate: Gate | None = None,
) -> Stepwise[Mitigation]:
    """Weigh candidate answers, or without a guard return the few strings alone; see `Method.function`."""
    if not guard:
        return _unguarded(raw, rates, settings)
    decided = yield from decide_steps(raw, rates, expect, settings, gate)
    answer, blend = decided.answer, decided.blend
    if blend is None or blend.weights[MIXTURE] <= _MATTERS:
        return answer
    return replace(answer, reason=answer.reason + _unconverged(blend.fit))


def _unguarded(raw: Distribution, rates: Floats | None, settings: MixtureSettings) -> Mitigation:
    fit = fit_mixture(raw.bits, raw.weights, rates=rates, settings=settings)
    return Mitigation(
        distribution=Distribution(fit.centroids, fit.weights * raw.shots),
        raw=raw,
        method="mixture",
        applied=True,
        share=1.0,
        confidence=None,
        reason=f"{in_words(fit)}; not guarded{_unconverged(fit)}",
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=flip_response(raw, fit.centroids, fit.weights, fit.background, fit.rates, settings.prior_shots),
    )


def _unconverged(fit: MixtureFit) -> str:
    """Say, for the reason, that more rounds of EM would change weights and rates; nothing if EM has converged."""
    cure = "" if fit.simple else ": MixtureSettings(rounds=...) allows more rounds"
    return "" if fit.converged else f"; EM has not converged{cure}"


register(
    Method(
        name="mixture",
        summary="The few strings that explain the counts under learned flips, or deconvolution if there are many, "
        "weighed by a trained gate; counts that neither would improve are left as they are.",
        function=mitigate,
        widest=MOST_BITS,
        uses=("rates",),
        settings=MixtureSettings,
        guarded=True,
        weighs=NAMES,
    )
)
