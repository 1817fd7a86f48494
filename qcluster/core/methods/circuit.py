"""Mitigation under the fault patterns of the compiled circuit, the default for a Run that has them."""

from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_candidates import NAMES
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.decision.gate import Gate
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.sparse.fit import MOST_BITS


def mitigate(
    raw: Distribution,
    faults: FaultMasks,
    guard: bool,
    settings: None,
    expect: str | None = None,
    gate: Gate | None = None,
) -> Mitigation:
    """Weigh candidate answers under the circuit's faults; see `Method.function`."""
    return decide_circuit(raw, faults, guard=guard, expect=expect, gate=gate)


register(
    Method(
        name="circuit",
        summary="Deconvolution and a few strings under the bit patterns that faults of the compiled circuit flip, "
        "weighed by a trained gate.",
        function=mitigate,
        widest=MOST_BITS,
        needs="faults",
        guarded=True,
        weighs=NAMES,
    )
)
