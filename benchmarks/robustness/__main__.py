"""Run all robustness tests, and record the results.

Run from the repository: [QCLUSTER_FUZZ=INPUTS] python -m benchmarks.robustness [--only PART_OF_A_NAME]
Writes benchmarks/results/robustness.csv, row by row; with --only, the other rows are kept. Each row runs in a separate
process. Its processor time includes that of its children, and its peak memory is that of the largest process. The exit
code is 1 if something did not hold.
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
"""Entry in place of yes or no for a row that was not run with this version."""
ROWS = (*attacks.ROWS, *steady.ROWS, *large.ROWS)


def attempt(row: Row) -> dict[str, str | int]:
    """Run one row in a separate process, and return its line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        result, start = Path(folder) / "found.json", time.perf_counter()
        code = f"from benchmarks.robustness.__main__ import inside; inside({row.name!r}, {str(result)!r})"
        child = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
        _, status, used = os.wait4(child, 0)
        seconds = time.perf_counter() - start
        held, happened = False, f"the process ended with {os.waitstatus_to_exitcode(status)}"
        if result.exists():
            held, happened = json.loads(result.read_text(encoding="utf-8"))
    return {
        "row": row.name,
        "must": row.must,
        "held": "yes" if held else "no",
        "happened": happened,
        "cpu_seconds": round(used.ru_utime + used.ru_stime),
        "seconds": round(seconds),
        "peak_mib": round(used.ru_maxrss / 1024),
    }


def inside(name: str, path: str) -> None:
    """Do the work of a row, and write to a file whether it held and what happened."""
    (row,) = (row for row in ROWS if row.name == name)
    try:
        result = True, row.work()
    except Exception as error:  # any error is a result
        result = False, f"{type(error).__name__}: {error}"
    Path(path).write_text(json.dumps(result), encoding="utf-8")


def keep(new: dict[str, str | int]) -> None:
    """Put a row into the file, in the order of `ROWS`; obsolete rows are removed, and missing ones marked as not
    tried."""
    lines = {old["row"]: old for old in read_rows(FILE)} | {str(new["row"]): new}
    missing = dict.fromkeys(new, "") | {"held": NOT_TRIED}
    write_rows(FILE, [lines.get(row.name, missing | {"row": row.name, "must": row.must}) for row in ROWS])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="part of a name")
    only, failed = parser.parse_args().only, 0
    for row in (row for row in ROWS if only in row.name):
        line = attempt(row)
        keep(line)
        failed += line["held"] == "no"
        print(*(f"{key}: {value};" for key, value in line.items() if key != "must"), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
