"""Put MitigatedSampler inside somebody else's algorithm: Grover's search from qiskit-algorithms.

Needs: pip install qiskit-algorithms
Run: python examples/grover_with_qiskit_algorithms.py

Grover takes any Qiskit Sampler and knows nothing of mitigation. Two rounds over three qubits should find the marked
string 94.5% of the time; the noise of FakeTorino takes a sixth of that away, and mitigation gives part of it back.
"""

import numpy as np
from qiskit import QuantumCircuit
from qiskit_algorithms import AmplificationProblem, Grover

from qcluster.device import MitigatedSampler, Run


def readout_rates(run: Run) -> np.ndarray:
    """Flip rates to start from: what the calibration says of the qubits that were read."""
    return run.readout.mean(axis=1)


def search(sampler: MitigatedSampler) -> tuple[str, float]:
    """Find the string that the oracle marks, and how often it came up."""
    oracle = QuantumCircuit(3)
    oracle.ccz(0, 1, 2)
    found = Grover(iterations=2, sampler=sampler).amplify(AmplificationProblem(oracle, is_good_state=["111"]))
    return found.top_measurement, found.max_probability


def main() -> None:
    """Search without and with mitigation, on the same shots."""
    for name, options in (("raw", {"method": "none"}), ("mitigated", {"noise": readout_rates})):
        string, share = search(MitigatedSampler("fake_torino", shots=4096, twirls=4, seed=7, **options))
        print(f"{name:9} {string} {share:.3f}")


if __name__ == "__main__":
    main()
