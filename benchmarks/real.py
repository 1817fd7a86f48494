"""Score all methods on the public sets of recorded hardware counts.

Run from the repository: python -m benchmarks.real
Writes scores, a report and figures to benchmarks/results/real/NAME/, but no counts. A killed run can be resumed.
After a change of methods: python -m benchmarks.real --again --methods mixture,mixture_unguarded,circuit
"""

from typing import Annotated

import typer

from benchmarks.data import RESULTS, runs
from qcluster.bench.campaign import score_samples
from qcluster.bench.methods import METHODS
from qcluster.bench.reports.about import About, keep_about
from qcluster.bench.reports.report import write_report

SETS = {
    "ibm_brussels_2025": About(
        "Six circuits on ibm_brussels",
        "Recorded in March 2025 by the authors of arXiv:2504.10801.",
    ),
    "lrqaoa_ibm_dev": About(
        "LR-QAOA on ibm_brisbane and ibm_torino", "5 to 10 qubits, 3 to 100 layers, 1000 shots (arXiv:2502.06471)."
    ),
    "ghz_compiled_dev": About("GHZ states on ibm_fez and ibm_marrakesh", "10 to 20 qubits, October 2025."),
    "qward_dev": About(
        "Algorithms on ibm_fez and ibm_torino", "Bernstein-Vazirani, Grover, quantum Fourier transform and Shor, 2026."
    ),
    "dem_2025_dev": About(
        "Experiments of arXiv:2501.01953", "Four outputs and their reference circuits, twirled, 200,000 shots each."
    ),
    "encoded_memory_dev": About("Code states at rest on ibm_fez", "Steane, colour and repetition codes, April 2025."),
    "hanoi_chains_dev": About(
        "Chains of CX on ibm_hanoi",
        "The long ones are wrong in a structured way: their heaviest string is a wrong one.",
    ),
    "walkers_2021_dev": About("Quantum walks on three small machines", "Two walks, repeated over days in 2021."),
    "marrakesh_dense_dev": About(
        "Dense outputs of a quiet machine", "ibm_marrakesh, 3 to 6 bits, raw fidelity about .98: little to win."
    ),
    "noiseless_dev": About("Simulated without noise", "Circuits of QASMBench: nothing may be harmed."),
}
"""Sets of records and the titles of their reports, in the order of the results page."""


def main(
    methods: Annotated[str, typer.Option(help="Methods, separated by commas.")] = ",".join(METHODS),
    again: Annotated[bool, typer.Option(help="Discard their existing scores and compute them again.")] = False,
    only: Annotated[str, typer.Option(help="Sets, separated by commas; all if omitted.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Score the recorded hardware counts and write the reports."""
    for name, about in SETS.items():
        if only and name not in only.split(","):
            continue
        folder = RESULTS / "real" / name
        chosen = tuple(methods.split(","))
        for step in score_samples(runs(name), folder, chosen, workers=workers, again=again, drawn=False):
            print(f"\r{name}: {step.done} of {step.total}, {step.seconds_left:.0f} s left  ", end="", flush=True)
            if step.error:
                print(f"\n{step.label}: {step.error}")
        print()
        keep_about(folder, about)
        for path in write_report(folder):
            print(path)


if __name__ == "__main__":
    typer.run(main)
