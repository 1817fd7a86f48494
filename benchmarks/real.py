"""Score every method on the recorded hardware counts: six circuits of ibm_brussels and 987 LR-QAOA records.

Run from the repository: python -m benchmarks.real
Writes benchmarks/results/real/NAME/: scores, a report and figures; no counts. It resumes when it was killed.
When methods have changed: python -m benchmarks.real --again --methods mixture,mixture_unguarded,circuit
"""

from typing import Annotated

import typer

from benchmarks.data import DATA, RESULTS
from qcluster.bench.campaign import score_samples
from qcluster.bench.methods import METHODS
from qcluster.bench.records import read_records
from qcluster.bench.reports.report import write_report

NAMES = ("lrqaoa_ibm_dev", "ibm_brussels_2025")


def main(
    methods: Annotated[str, typer.Option(help="Methods, separated by commas.")] = ",".join(METHODS),
    again: Annotated[bool, typer.Option(help="Forget their scores so far; they have changed.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Score the recorded hardware counts and write the reports."""
    for name in NAMES:
        folder = RESULTS / "real" / name
        samples = read_records(DATA / f"{name}.jsonl.gz", snapshots=True)
        chosen = tuple(methods.split(","))
        for step in score_samples(samples, folder, chosen, workers=workers, again=again, drawn=False):
            print(f"\r{name}: {step.done} of {step.total}, {step.seconds_left:.0f} s left  ", end="", flush=True)
            if step.error:
                print(f"\n{step.label}: {step.error}")
        print()
        for path in write_report(folder, title=f"Recorded hardware counts: {name}"):
            print(path)


if __name__ == "__main__":
    typer.run(main)
