"""Try everything that may go wrong, and write down what happened.

Run from the repository: [QCLUSTER_FUZZ=INPUTS] python -m benchmarks.robustness [--only PART_OF_A_NAME]
Writes benchmarks/results/robustness.csv, each row as soon as it is there; with --only, the other rows stay. Each row
runs in a process of its own: processor time and peak memory are those of it and its children (the largest of them).
Exit code 1 where something did not hold.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.data import RESULTS, read_rows, write_rows
from benchmarks.robustness import attacks, large, steady
from benchmarks.robustness.row import Row

FILE = RESULTS / "robustness.csv"
NOT_TRIED = "not tried"
"""What the table has in the place of yes or no for a row that was not run with this version."""
ROWS = (*attacks.ROWS, *steady.ROWS, *large.ROWS)


def attempt(row: Row) -> dict[str, str | int]:
    """Try one thing in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place, start = Path(folder) / "found.json", time.perf_counter()
        code = f"from benchmarks.robustness.__main__ import inside; inside({row.name!r}, {str(place)!r})"
        child = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
        _, status, used = os.wait4(child, 0)
        seconds = time.perf_counter() - start
        held, happened = False, f"the process ended with {os.waitstatus_to_exitcode(status)}"
        if place.exists():
            held, happened = json.loads(place.read_text(encoding="utf-8"))
    return {
        "row": row.name,
        "must": row.must,
        "held": "yes" if held else "no",
        "happened": happened,
        "cpu_seconds": round(used.ru_utime + used.ru_stime),
        "seconds": round(seconds),
        "peak_mib": round(used.ru_maxrss / 1024),
    }


def inside(name: str, place: str) -> None:
    """Do the work of a row, and leave what happened in a file."""
    (row,) = (one for one in ROWS if one.name == name)
    try:
        found = True, row.work()
    except Exception as error:  # whatever it is, it is the finding
        found = False, f"{type(error).__name__}: {error}"
    Path(place).write_text(json.dumps(found), encoding="utf-8")


def keep(new: dict[str, str | int]) -> None:
    """Put a row into the file, in the order of the rows; what is no row any more goes, what is to be tried is named."""
    found = {old["row"]: old for old in read_rows(FILE)} | {str(new["row"]): new}
    left = dict.fromkeys(new, "") | {"held": NOT_TRIED}
    write_rows(FILE, [found.get(row.name, left | {"row": row.name, "must": row.must}) for row in ROWS])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="part of a name")
    only, failed = parser.parse_args().only, 0
    for row in (row for row in ROWS if only in row.name):
        found = attempt(row)
        keep(found)
        failed += found["held"] == "no"
        print(*(f"{key}: {value};" for key, value in found.items() if key != "must"), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
