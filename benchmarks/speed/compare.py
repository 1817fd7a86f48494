"""Time every method on the same counts in one interleaved run, and print ratios.

Run from the repository: python -m benchmarks.speed.compare [--narrow] [--only PART_OF_A_NAME] [--repeats 3]
Writes benchmarks/results/speed.csv. Times are processor time of one thread, the fastest of the repeats; what takes more
than two seconds is run once. `unique` is np.unique on a void view of the packed shots.
"""

import argparse
import csv
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from time import process_time

from benchmarks.data import RESULTS
from benchmarks.speed.works import Load, Work, loads, works

METHODS = ("unique", "get_counts", "intake", "paper", "mixture", "all", "circuit", "hammer", "mthree", "naive")
RATIOS = (
    ("mthree", "mixture"),
    ("mthree", "paper"),
    ("naive", "paper"),
    ("hammer", "mixture"),
    ("get_counts", "intake"),
    ("all", "unique"),
)
SLOW = 2.0
"""Seconds from which a method is run once."""


def timed(work: Work) -> float:
    start = process_time()
    work()
    return process_time() - start


def measure(load: Load, repeats: int) -> dict[str, float]:
    """Give the fastest time of each method, in seconds."""
    ready, best = works(load), {}
    for _ in range(repeats):
        for name, work in ready.items():
            if best.get(name, 0.0) < SLOW:
                best[name] = min(best.get(name, float("inf")), timed(work))
    return best


def row(load: Load, best: dict[str, float]) -> dict[str, object]:
    """Lay out times in ms, and ratios."""
    held = load.counts
    size = {"counts": load.name, "bits": held.n_bits, "shots": int(held.shots), "distinct": held.n_outcomes}
    return size | cells(best)


def cells(best: dict[str, float]) -> dict[str, object]:
    """Give times in ms, and ratios, empty where a method did not run."""
    times = {f"{name}_ms": round(1e3 * best[name], 2) if name in best else "" for name in METHODS}
    ratios = {f"{a}/{b}": round(best[a] / best[b], 2) if a in best and b in best else "" for a, b in RATIOS}
    return times | ratios


def total(name: str, rows: list[dict[str, float]]) -> dict[str, object]:
    """Sum the times of several sets of counts, of the methods that ran on all of them."""
    summed = {key: sum(best[key] for best in rows) for key in METHODS if all(key in best for best in rows)}
    return {"counts": name, "bits": "", "shots": "", "distinct": ""} | cells(summed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--narrow", action="store_true", help="leave out 300,000 and more shots")
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows, recorded = [], []
    RESULTS.mkdir(exist_ok=True)
    for load in loads(not options.narrow):
        if options.only not in load.name:
            continue
        best = measure(load, options.repeats)
        if load.name.startswith("brussels"):
            recorded.append(best)
        rows.append(row(load, best))
        print(*(f"{key} {value}" for key, value in rows[-1].items() if value != ""), flush=True)
    if len(recorded) == 6:
        rows.append(total("six ibm_brussels records", recorded))
        print(*(f"{key} {value}" for key, value in rows[-1].items() if value != ""), flush=True)
    with (RESULTS / "speed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
