"""Mitigation under the fault patterns of the compiled circuit: the default where a Run brings them."""

from typing import Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.circuit import CircuitFit, CircuitSettings, mitigate_circuit
from qcluster.core.methods.mixture import alone
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.sparse.fit import MOST_BITS


def mitigate(raw: Distribution, faults: FaultMasks, guard: bool, settings: CircuitSettings) -> Mitigation:
    """Mitigate under the faults, whether or not they explain the counts; see `Method.function`."""
    if raw.n_bits > MOST_BITS:
        return left(raw, "circuit", f"{raw.n_bits} bits are more than the {MOST_BITS} that this method takes")
    return _answer(raw, mitigate_circuit(raw, faults, settings=settings))


def mitigate_where_explained(
    raw: Distribution, faults: FaultMasks, guard: bool, settings: CircuitSettings, brought: Any = None
) -> Mitigation:
    """Mitigate under the faults; where these do not explain the counts, by the counts alone; see `Method.unasked`."""
    if raw.n_bits > MOST_BITS:
        return mitigate(raw, faults, guard, settings)
    fit = mitigate_circuit(raw, faults, settings=settings)
    return _answer(raw, fit) if fit.believed else alone(raw, "the circuit's faults do not explain the counts")


def _answer(raw: Distribution, fit: CircuitFit) -> Mitigation:
    return Mitigation(
        distribution=fit.distribution,
        raw=raw,
        method="circuit",
        applied=fit.applied,
        share=fit.share,
        confidence=None,
        reason=fit.reason,
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=fit.response,
    )


register(
    Method(
        name="circuit",
        summary="Deconvolution, or a few strings, under the patterns of bits that faults of the compiled circuit flip.",
        function=mitigate,
        unasked=mitigate_where_explained,
        needs="faults",
        settings=CircuitSettings,
    )
)
