"""Time the intake of a BitArray against one np.unique on a void view and against Qiskit's get_counts, in one run.

Run from the repository: python -m benchmarks.speed.intake
Writes benchmarks/results/speed_intake.csv. One million shots of 127 bits; the three are interleaved, and the ratio
is that of the fastest of each.
"""

import csv
from time import perf_counter

import numpy as np
from qiskit.primitives import BitArray

import qcluster as qc
from benchmarks.data import RESULTS

SHOTS, BITS, REPEATS = 1_000_000, 127, 3


def timed(work) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def main() -> None:
    rng = np.random.default_rng(0)
    sets = {
        "all distinct": rng.integers(0, 256, (SHOTS, 16), dtype=np.uint8),
        "few distinct": (rng.random((SHOTS, 16)) < 0.05).astype(np.uint8),
    }
    rows = []
    for name, packed in sets.items():
        array = BitArray(packed, BITS)
        works = {
            "intake": lambda array=array: qc.Distribution.of(array),
            "unique": lambda packed=packed: np.unique(packed.view("V16").ravel(), return_counts=True),
            "get_counts": lambda array=array: array.get_counts(),
        }
        times: dict[str, list[float]] = {work: [] for work in works}
        for _ in range(REPEATS):
            for key, work in works.items():
                times[key].append(timed(work))
        best = {key: min(values) for key, values in times.items()}
        rows.append(
            {
                "counts": name,
                "distinct": qc.Distribution.of(array).n_outcomes,
                "intake_seconds": round(best["intake"], 3),
                "intake_over_unique": round(best["intake"] / best["unique"], 2),
                "get_counts_over_intake": round(best["get_counts"] / best["intake"], 1),
            }
        )
        print(*(f"{key} {value}" for key, value in rows[-1].items()))
    with (RESULTS / "speed_intake.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
