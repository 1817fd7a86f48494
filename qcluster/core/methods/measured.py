"""Mitigation under the noise that a reference circuit measured: the default where it is given, or a Run brings it."""

from collections.abc import Callable
from typing import Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.measured import MeasuredFit, MeasuredSettings, mitigate_measured
from qcluster.core.methods import circuit
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.sparse.fit import MOST_BITS

_MOSTLY = 0.9
"""Share of the most likely output that a few strings must hold where the measured noise does not quite explain the
counts, and the faults of the circuit are known."""


def mitigate(raw: Distribution, noise: MeasuredNoise, guard: bool, settings: MeasuredSettings) -> Mitigation:
    """Mitigate under the measured patterns of flips; see `Method.function`."""
    return mitigate_measured(raw, noise, settings=settings).answer


def mitigate_or_learn(
    raw: Distribution,
    noise: MeasuredNoise,
    guard: bool,
    settings: MeasuredSettings,
    brought: Callable[[str], Any],
) -> Mitigation:
    """Give few strings under the measured patterns; where there are many, mitigate under the faults of the circuit.

    A fault in the middle of a circuit flips other bits there than in its reference, which few strings bear and broad
    outputs do not. The faults that a Run brings have the rates that its reference measured, and the patterns of its
    circuit. Without them, the measured patterns are all that is known; see `Method.unasked`.
    """
    fit = mitigate_measured(raw, noise, settings=settings)
    faults = brought("faults")
    if faults is None or (fit.few and (fit.explained or _clear(fit, settings))):
        return fit.answer
    return circuit.mitigate(raw, faults, guard, None, most_noise=settings.inflation)


def _clear(fit: MeasuredFit, settings: MeasuredSettings) -> bool:
    """Tell whether strings that do not quite explain the counts are the output all the same: they hold most of it, and
    none lies a step below the heaviest, as what is left of the noise does."""
    weights = fit.answer.weights
    return bool(fit.held > _MOSTLY and weights.min() * settings.step >= weights.max())


register(
    Method(
        name="measured",
        summary="A few strings, or deconvolution, under the patterns of flips that a reference circuit measured.",
        function=mitigate,
        widest=MOST_BITS,
        unasked=mitigate_or_learn,
        needs="measured",
        settings=MeasuredSettings,
    )
)
