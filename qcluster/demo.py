"""The demonstration: a GHZ circuit compiled for a recorded IBM machine, simulated with its noise, and mitigated."""

from dataclasses import dataclass

from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.mitigate import mitigate
from qcluster.core.mitigation import Mitigation


@dataclass(frozen=True)
class Demo:
    """The result of the demonstration."""

    fixed: Mitigation
    """The mitigated counts of the noisy circuit."""
    ideal: Distribution
    """The noiseless distribution."""

    @property
    def fidelities(self) -> tuple[float, float]:
        """Hellinger fidelities to the ideal: of the raw counts and of the mitigated distribution."""
        return (
            hellinger_fidelity(self.fixed.raw, self.ideal),
            hellinger_fidelity(self.fixed.distribution, self.ideal),
        )


def run_demo(n_qubits: int = 8, shots: int = 8192, seed: int = 7) -> Demo:
    """Run a GHZ circuit on Aer with the noise of FakeTorino and mitigate the counts.

    Args:
        n_qubits: number of qubits, 2 to 12 (a density matrix is simulated).
        shots: number of shots.
        seed: seed of the compilation and the simulation.
    """
    from qcluster.bench.circuits import make_case
    from qcluster.device.execute import execute

    if not 2 <= n_qubits <= 12:
        raise ValueError(f"n_qubits must lie in 2..12; got {n_qubits}")
    case = make_case(f"ghz:{n_qubits}")
    (run,) = execute([case.circuit], "fake_torino", shots=shots, seed=seed)
    assert case.ideal is not None
    return Demo(mitigate(run.counts), case.ideal)
