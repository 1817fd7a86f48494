"""The demonstration: a GHZ circuit compiled for a fake IBM machine, run with that machine's noise, and mitigated."""

from dataclasses import dataclass

from qcluster.core.distribution import Distribution
from qcluster.core.metrics import hellinger_fidelity
from qcluster.core.mitigate import Mitigation, mitigate


@dataclass(frozen=True)
class Demo:
    """What the demonstration measured."""

    fixed: Mitigation
    """The counts of the noisy machine, mitigated."""
    ideal: Distribution
    """The noiseless distribution."""

    @property
    def fidelities(self) -> tuple[float, float]:
        """Hellinger fidelity to the ideal, raw and mitigated."""
        return (
            hellinger_fidelity(self.fixed.raw, self.ideal),
            hellinger_fidelity(self.fixed.distribution, self.ideal),
        )


def run_demo(n_qubits: int = 8, shots: int = 8192, seed: int = 7) -> Demo:
    """Run a GHZ circuit on Aer with the noise of FakeTorino and mitigate the counts.

    Args:
        n_qubits: width, 2 to 12 (a density matrix is simulated).
        shots: number of shots.
        seed: of compilation and simulation.
    """
    from qiskit import QuantumCircuit, transpile
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, ReadoutError
    from qiskit_ibm_runtime.fake_provider import FakeTorino

    if not 2 <= n_qubits <= 12:
        raise ValueError(f"n_qubits must lie in 2..12; got {n_qubits}")
    circuit = QuantumCircuit(n_qubits)
    circuit.h(0)
    for qubit in range(n_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    backend = FakeTorino()
    compiled = transpile(circuit, backend, optimization_level=3, scheduling_method="alap", seed_transpiler=seed)
    noise = NoiseModel.from_backend(backend, readout_error=False)
    for qubit in compiled.layout.final_index_layout():
        wrong = [backend.properties().qubit_property(qubit)[f"prob_meas{1 - sent}_prep{sent}"][0] for sent in (0, 1)]
        noise.add_readout_error(ReadoutError([[1 - wrong[0], wrong[0]], [wrong[1], 1 - wrong[1]]]), [qubit])
    simulator = AerSimulator(noise_model=noise, method="density_matrix")
    counts = simulator.run(compiled, shots=shots, seed_simulator=seed).result().get_counts()
    ideal = Distribution.of({"0" * n_qubits: shots / 2, "1" * n_qubits: shots / 2})
    return Demo(mitigate(counts, 0.03), ideal)
