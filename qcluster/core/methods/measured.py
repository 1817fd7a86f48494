"""Mitigation under the noise that a reference circuit measured: the default where it is given, or a Run brings it."""

from collections.abc import Callable
from typing import Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.estimators.measured import MOST_NOISE, mitigate_measured
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.sparse.fit import MOST_BITS


def mitigate(raw: Distribution, noise: MeasuredNoise, guard: bool, settings: None) -> Mitigation:
    """Mitigate under the measured patterns of flips; see `Method.function`."""
    return mitigate_measured(raw, noise)


def mitigate_or_learn(
    raw: Distribution, noise: MeasuredNoise, guard: bool, settings: None, brought: Callable[[str], Any]
) -> Mitigation:
    """Give few strings under the measured patterns; where there are many, mitigate under the faults of the circuit.

    A fault in the middle of a circuit flips other bits there than in its reference, which few strings bear and broad
    outputs do not. The faults that a Run brings have the rates that its reference measured, and the patterns of its
    circuit. Without them, the measured patterns are all that is known; see `Method.unasked`.
    """

    def by_faults() -> Mitigation | None:
        faults = brought("faults")
        return None if faults is None else decide_circuit(raw, faults, guard=guard, most_noise=MOST_NOISE)

    return mitigate_measured(raw, noise, by_faults)


register(
    Method(
        name="measured",
        summary="A few strings, or deconvolution, under the patterns of flips that a reference circuit measured.",
        function=mitigate,
        widest=MOST_BITS,
        unasked=mitigate_or_learn,
        needs="measured",
    )
)
