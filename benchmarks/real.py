"""Score every method on the recorded hardware counts: six circuits of ibm_brussels and 987 LR-QAOA records.

Run from the repository: python -m benchmarks.real [workers]
Writes benchmarks/results/real/NAME/: scores, a report and figures; no counts. It resumes when it was killed. After the
methods have changed: python -m benchmarks.real --again [workers]
"""

import sys

from benchmarks.data import DATA, RESULTS
from qcluster.bench.campaign import score_samples
from qcluster.bench.methods import METHODS
from qcluster.bench.records import read_records
from qcluster.bench.report import write_report

NAMES = ("ibm_brussels_2025", "lrqaoa_ibm_dev")


def main(workers: int = 1, again: bool = False) -> None:
    for name in NAMES:
        folder = RESULTS / "real" / name
        samples = read_records(DATA / f"{name}.jsonl.gz", snapshots=True)
        for step in score_samples(samples, folder, tuple(METHODS), workers=workers, again=again, drawn=False):
            print(f"\r{name}: {step.done} of {step.total}, {step.seconds_left:.0f} s left  ", end="", flush=True)
            if step.error:
                print(f"\n{step.label}: {step.error}")
        print()
        for path in write_report(folder, title=f"Recorded hardware counts: {name}"):
            print(path)


if __name__ == "__main__":
    numbers = [argument for argument in sys.argv[1:] if argument != "--again"]
    main(int(numbers[0]) if numbers else 1, "--again" in sys.argv)
