"""Use MitigatedSampler in an algorithm of another library: Grover's search from qiskit-algorithms.

Needs: pip install qiskit-algorithms
Run: python examples/grover_with_qiskit_algorithms.py

Grover accepts any Qiskit Sampler and needs no knowledge of mitigation. Without noise, two rounds on three qubits find
the marked string with a probability of 94.5%. The noise of FakeTorino removes a sixth of that, and mitigation recovers
part of it.
"""

import numpy as np
from qiskit import QuantumCircuit
from qiskit_algorithms import AmplificationProblem, Grover

from qcluster.device import MitigatedSampler, Run


def readout_rates(run: Run) -> np.ndarray:
    """Return flip rates to start from: the calibrated readout errors of the measured qubits."""
    return run.readout.mean(axis=1)


def search(sampler: MitigatedSampler) -> tuple[str, float]:
    """Return the string that the oracle marks, and the share of shots that gave it."""
    oracle = QuantumCircuit(3)
    oracle.ccz(0, 1, 2)
    result = Grover(iterations=2, sampler=sampler).amplify(AmplificationProblem(oracle, is_good_state=["111"]))
    return result.top_measurement, result.max_probability


def main() -> None:
    """Search without and with mitigation, with the same shots."""
    for name, options in (("raw", {"method": "none"}), ("mitigated", {"noise": readout_rates})):
        string, share = search(MitigatedSampler("fake_torino", shots=4096, twirls=4, seed=7, **options))
        print(f"{name:9} {string} {share:.3f}")


if __name__ == "__main__":
    main()
