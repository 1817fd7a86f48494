"""Where the benchmarks find recorded hardware counts: QCLUSTER_DATA, or ../shared/data beside the repository."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("QCLUSTER_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
RESULTS = Path(__file__).parent / "results"


def records(name: str) -> list[dict[str, Any]]:
    """Read a file of recorded counts, one JSON object a line."""
    with gzip.open(DATA / name, "rt") as lines:
        return [json.loads(line) for line in lines]


def brussels() -> list[dict[str, Any]]:
    """Six circuits on ibm_brussels, March 2025, with their ideal distributions."""
    return records("ibm_brussels_2025.jsonl.gz")
