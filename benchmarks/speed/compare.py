"""Time all methods on the same counts in one interleaved run, and print ratios.

Run from the repository: python -m benchmarks.speed.compare [--narrow] [--only PART_OF_A_NAME] [--repeats 3]
Writes benchmarks/results/speed.csv, row by row; with --only, the other rows are kept. Times are processor time of one
thread, the fastest of the repeats; a method that takes more than two seconds is run once. `unique` is np.unique on a
void view of the packed shots, `strings` the search of `mixture` without its guard, and `all` is `mitigate` from the
BitArray on.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import Any

from benchmarks.data import read_rows, write_rows
from benchmarks.speed.works import Load, loads, works
from benchmarks.timing import timed

METHODS = (
    *("unique", "get_counts", "intake", "paper", "mixture", "strings", "all", "circuit", "hammer", "mthree", "naive"),
)
RATIOS = (
    *(("mthree", "mixture"), ("mthree", "strings"), ("mthree", "paper"), ("naive", "paper"), ("hammer", "mixture")),
    *(("get_counts", "intake"), ("all", "unique")),
)
FILE, TOTAL = "speed.csv", "six ibm_brussels records"
SLOW = 2.0
"""Time in seconds above which a method is run once."""


def measure(load: Load, repeats: int) -> dict[str, float]:
    """Return the fastest time of each method, in seconds."""
    ready, best = works(load), {}
    for _ in range(repeats):
        for name, work in ready.items():
            if best.get(name, 0.0) < SLOW:
                best[name] = min(best.get(name, float("inf")), timed(work)[1])
    return best


def row(name: str, size: tuple[object, object, object], best: dict[str, float]) -> dict[str, object]:
    """Return a row of times in ms and their ratios, empty where a method did not run."""
    times = {f"{key}_ms": round(1e3 * best[key], 2) if key in best else "" for key in METHODS}
    ratios = {f"{a}/{b}": round(best[a] / best[b], 2) if a in best and b in best else "" for a, b in RATIOS}
    return dict(zip(("counts", "bits", "shots", "distinct"), (name, *size), strict=True)) | times | ratios


def total(rows: list[dict[str, object]]) -> dict[str, object]:
    """Sum the six ibm_brussels records, for the methods that ran on all of them."""
    columns = [[row.get(f"{key}_ms", "") for row in rows] for key in METHODS]
    times = {key: sum(map(float, values)) / 1e3 for key, values in zip(METHODS, columns, strict=True) if all(values)}
    return row(TOTAL, ("", "", ""), times)


def keep(new: dict[str, object]) -> None:
    """Put a row into the file, in place of an earlier row of the same name."""
    rows: dict[object, dict[str, Any]] = {old["counts"]: old for old in read_rows(FILE)} | {new["counts"]: new}
    rows.pop(TOTAL, None)
    recorded = [row for name, row in rows.items() if str(name).startswith("brussels")]
    if len(recorded) == 6:
        rows[TOTAL] = total(recorded)
    write_rows(FILE, rows.values())


def show(row: dict[str, object]) -> None:
    print(*(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--narrow", action="store_true", help="leave out 300,000 and more shots")
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for load in loads(not options.narrow):
        if options.only in load.name:
            counts = load.counts
            new = row(load.name, (counts.n_bits, int(counts.shots), counts.n_outcomes), measure(load, options.repeats))
            keep(new)
            show(new)
    for line in read_rows(FILE):
        if line["counts"] == TOTAL:
            show(line)


if __name__ == "__main__":
    main()
