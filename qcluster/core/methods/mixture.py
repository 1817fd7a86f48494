"""The default method for counts: few strings under learned flips, or deconvolution, weighed by a trained decision."""

from dataclasses import replace

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.candidates import MIXTURE
from qcluster.core.decision.decide import deciding, in_words
from qcluster.core.lockstep import Stepwise
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation
from qcluster.core.sparse.fit import MOST_BITS, MixtureFit, MixtureSettings, fit_mixture
from qcluster.core.uncertainty.response import under_flips

_MATTERS = 0.25
"""Weight in the answer from which it matters whether the strings' EM has converged."""


def mitigate(
    raw: Distribution, rates: Floats | None, guard: bool, settings: MixtureSettings, expect: str | None = None
) -> Stepwise[Mitigation]:
    """Decide between candidate answers, or give the strings alone without a guard; see `Method.function`."""
    if not guard:
        return _bare(raw, rates, settings)
    found = yield from deciding(raw, rates, expect, settings)
    if found.blend is None or found.blend.weights[MIXTURE] <= _MATTERS or found.blend.fit.converged:
        return found.answer
    return replace(found.answer, reason=found.answer.reason + _unconverged(found.blend.fit))


def _bare(raw: Distribution, rates: Floats | None, settings: MixtureSettings) -> Mitigation:
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
        response=under_flips(raw, fit.centroids, fit.weights, fit.background, fit.rates, settings.prior_shots),
    )


def _unconverged(fit: MixtureFit) -> str:
    """Say where more rounds of EM would still change the strings' weights and rates."""
    cure = "" if fit.simple else ": MixtureSettings(rounds=...) allows more rounds"
    return "" if fit.converged else f"; EM has not converged{cure}"


register(
    Method(
        name="mixture",
        summary="The few strings that explain the counts under learned flips, or deconvolution where there are many, "
        "as a trained decision weighs them, which leaves alone what nothing helps.",
        function=mitigate,
        widest=MOST_BITS,
        uses=("rates",),
        settings=MixtureSettings,
        guarded=True,
    )
)
