"""Use qcluster as the executor of mitiq, alone and with zero-noise extrapolation (ZNE).

Needs: pip install '.[mitiq]'
Run: python examples/05_mitiq.py

mitiq needs a function from circuits to measured bitstrings, which is easily made from a MitigatedSampler. The circuits
are compiled at level 0, because a higher level would remove the gates that ZNE inserts. Mitigated counts leave less
noise for ZNE to extrapolate. Whether the combination is better than either method alone depends on the circuit, so all
four results are printed.
"""

from collections.abc import Sequence

from mitiq import MeasurementResult, Observable, PauliString
from mitiq.executor import Executor
from mitiq.zne import execute_with_zne
from mitiq.zne.inference import LinearFactory
from mitiq.zne.scaling import fold_global
from qiskit import QuantumCircuit

from qcluster.device import MitigatedSampler

OBSERVABLE = Observable(PauliString("ZZZZ"))
"""Parity of a GHZ state of four qubits; 1 without noise."""


def ghz(n_qubits: int) -> QuantumCircuit:
    """Build a circuit that prepares a GHZ state; mitiq adds the measurements."""
    circuit = QuantumCircuit(n_qubits)
    circuit.h(0)
    for i in range(n_qubits - 1):
        circuit.cx(i, i + 1)
    return circuit


def executor(sampler: MitigatedSampler) -> Executor:
    """Wrap a sampler as an executor of mitiq that runs circuits in batches."""

    def run(circuits: Sequence[QuantumCircuit]) -> Sequence[MeasurementResult]:
        results = sampler.run(circuits, shots=8192).result()
        bits = (pub.join_data().to_bool_array("little") for pub in results)  # column j is classical bit j
        return [MeasurementResult(rows.astype(int).tolist()) for rows in bits]

    return Executor(run, max_batch_size=10)


def main() -> None:
    """Estimate the parity in four ways: raw or mitigated, each without and with ZNE."""
    for name, method in (("raw", "none"), ("mitigated", "mixture")):
        device = executor(MitigatedSampler("fake_torino", seed=7, method=method, optimization_level=0))
        (plain,) = device.evaluate(ghz(4), OBSERVABLE)
        factory = LinearFactory([1.0, 2.0, 3.0])
        zne = execute_with_zne(ghz(4), device, OBSERVABLE, factory=factory, scale_noise=fold_global)
        print(f"{name:9} {plain.real:+.3f}   with ZNE {zne.real:+.3f}   (ideal +1)")


if __name__ == "__main__":
    main()
