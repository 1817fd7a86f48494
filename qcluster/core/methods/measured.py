"""Mitigation under the noise that a reference circuit measured: the default if it is given or a Run brings it."""

from collections.abc import Callable
from typing import Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_candidates import gather
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.estimators.measured import mitigate_measured, outdone
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.sparse.fit import MOST_BITS
from qcluster.core.sparse.under_kernel import FewStrings


def mitigate(
    raw: Distribution, noise: MeasuredNoise, guard: bool, settings: None, expect: str | None = None
) -> Mitigation:
    """Mitigate under the measured patterns of flips; see `Method.function`."""
    return mitigate_measured(raw, noise, guard, expect)


def mitigate_by_default(
    raw: Distribution,
    noise: MeasuredNoise,
    guard: bool,
    settings: None,
    noise_of_kind: Callable[[str], Any],
    expect: str | None = None,
) -> Mitigation:
    """Look for a few strings under the measured patterns, else mitigate under the faults of the circuit.

    A fault in the middle of a circuit flips other bits there than in the reference circuit. This hardly matters for a
    few strings, but it does for broad outputs. The fault patterns that a Run brings are those of its own circuit, with
    the rates that its reference measured. If other strings, and no more of them, explain the counts better under these,
    the measured patterns do not decide; nor do they if the user expects something or wants no decision. Without fault
    patterns only the measured ones are used; see `Method.unasked`.
    """
    faults = noise_of_kind("faults")
    if faults is None:
        return mitigate_measured(raw, noise, guard, expect)
    if not guard or expect is not None:
        return decide_circuit(raw, faults, guard=guard, expect=expect)

    def by_faults(certain: FewStrings | None) -> Mitigation | None:
        if certain is None:
            return decide_circuit(raw, faults)
        candidates = gather(raw, faults)
        if not outdone(certain, candidates.few, raw, noise):
            return None
        return decide_circuit(raw, faults, candidates=candidates)

    return mitigate_measured(raw, noise, instead=by_faults)


register(
    Method(
        name="measured",
        summary="A few strings, else deconvolutions weighed by a trained gate, under the patterns of flips that a "
        "reference circuit measured.",
        function=mitigate,
        widest=MOST_BITS,
        unasked=mitigate_by_default,
        needs="measured",
        guarded=True,
    )
)
