"""Where the benchmarks find recorded hardware counts, and where they write what they find.

The counts lie in QCLUSTER_DATA, or in ../shared/data beside the repository.
"""

import csv
import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from qcluster.bench import table
from qcluster.bench.records import read_records
from qcluster.bench.sample import Sample
from qcluster.device.machines.calibration import Calibration

DATA = Path(os.environ.get("QCLUSTER_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
RESULTS = Path(__file__).parent / "results"


def records(name: str) -> list[dict[str, Any]]:
    """Read a file of recorded counts, one JSON object a line."""
    with gzip.open(DATA / name, "rt") as lines:
        return [json.loads(line) for line in lines]


def brussels() -> list[dict[str, Any]]:
    """Six circuits on ibm_brussels, March 2025, with their ideal distributions."""
    return records("ibm_brussels_2025.jsonl.gz")


def runs(name: str) -> Iterator[Sample]:
    """Read a set of recorded counts as samples, with what calibrations of other days tell about their machines."""
    exported = {"ibm_hanoi": Calibration.load(DATA / "ibm_hanoi_2023-07-13.csv")}
    return read_records(DATA / f"{name}.jsonl.gz", snapshots=True, calibrations=exported)


def read_rows(name: str | Path) -> list[dict[str, str]]:
    """Read a table of results, values as text; a path that is no name of one is a path. No rows where there is none."""
    return table.read_rows(RESULTS / name)


def write_rows(name: str | Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table of results, with every column that any row has."""
    held = list(rows)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(key for row in held for key in row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(held)


def write_as_they_come(name: str, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Write a table of results as its rows come, each time all that are there, and print them."""
    held: list[Mapping[str, Any]] = []
    for row in rows:
        held.append(row)
        write_rows(name, held)
        print(*(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)
    return held
