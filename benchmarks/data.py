"""Paths and files of the benchmarks: recorded hardware counts, and tables of results.

Recorded counts are in the folder QCLUSTER_DATA, or else in ../shared/data beside the repository.
"""

import csv
import gzip
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from qcluster.bench import table
from qcluster.bench.records import read_records
from qcluster.bench.sample import Sample
from qcluster.device.machines.calibration import Calibration
from qcluster.files import write_whole

DATA = Path(os.environ.get("QCLUSTER_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
RESULTS = Path(__file__).parent / "results"


def records(name: str) -> list[dict[str, Any]]:
    """Read a file of recorded counts, one JSON object per line."""
    with gzip.open(DATA / name, "rt") as lines:
        return [json.loads(line) for line in lines]


def brussels() -> list[dict[str, Any]]:
    """Read the records of six circuits on ibm_brussels, March 2025, with their ideal distributions."""
    return records("ibm_brussels_2025.jsonl.gz")


def runs(name: str) -> Iterator[Sample]:
    """Read a set of recorded counts as samples, with calibrations of their machines from other days."""
    exported = {"ibm_hanoi": Calibration.load(DATA / "ibm_hanoi_2023-07-13.csv")}
    return read_records(DATA / f"{name}.jsonl.gz", snapshots=True, calibrations=exported)


def read_rows(name: str | Path) -> list[dict[str, str]]:
    """Read a table of results by name, or any table by its absolute path; values are text, a missing file has no
    rows."""
    return table.read_rows(RESULTS / name)


def write_rows(name: str | Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table of results with the columns of all rows; the file is replaced as a whole, since tables take
    hours."""
    table_rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(key for row in table_rows for key in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table_rows)
    write_whole(RESULTS / name, text.getvalue())


def append_json_lines(path: Path, objects: Iterable[Mapping[str, Any]]) -> None:
    """Append objects to a file of JSON lines, after removing an unfinished last line that a killed process left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(sum(len(line) for line in file if line.endswith(b"\n")))
        file.write("".join(json.dumps(item) + "\n" for item in objects).encode())


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects that `append_json_lines` wrote, but no unfinished last line; nothing if there is no file."""
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.endswith("\n"))


def write_row_by_row(name: str, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Write a table of results anew after each of its rows, print the rows, and return them."""
    done: list[Mapping[str, Any]] = []
    for row in rows:
        done.append(row)
        write_rows(name, done)
        print(*(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)
    return done
