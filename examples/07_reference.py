"""Measure the noise of a circuit with one reference circuit, on a recorded machine or a real one.

Run: python examples/07_reference.py [backend]    "fake_mumbai" by default; "ibm_torino" needs an account
"""

import sys

import qcluster as qc
from qcluster.bench.circuits import make_case


def main(backend: str = "fake_mumbai") -> None:
    """Run a GHZ circuit with its reference, print the report of the reference, and mitigate with and without it."""
    case = make_case("ghz:8")
    (run,) = qc.execute([case.circuit], backend, shots=8192, twirls=8, reference=True, seed=7)
    print(run.reference.report())
    answers = {
        "raw": run.counts,
        "counts alone": qc.mitigate(run.counts).distribution,
        "counts and the reference's": qc.mitigate(run.counts, noise=run.reference.noise).distribution,
        "run with its reference": qc.mitigate(run).distribution,
    }
    for name, answer in answers.items():
        print(f"{name:28s} fidelity {qc.metrics.hellinger_fidelity(answer, case.ideal):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
