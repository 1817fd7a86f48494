"""Hellinger fidelity of the methods `paper` and `mixture` on six recorded circuits of ibm_brussels.

Run from the repository: python -m benchmarks.brussels
Writes benchmarks/results/brussels.csv.
"""

from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Any

import qcluster as qc
from benchmarks.data import brussels, write_row_by_row
from benchmarks.timing import timed


def rows() -> Iterator[dict[str, Any]]:
    for record in brussels():
        counts = qc.Distribution.of(record["counts"])
        paper, paper_seconds = timed(
            partial(qc.mitigate, counts, record["effective_rate"], method="paper"), perf_counter
        )
        fixed, seconds = timed(partial(qc.mitigate, counts), perf_counter)
        yield {
            "record": record["id"],
            "bits": counts.n_bits,
            "shots": int(counts.shots),
            "distinct": counts.n_outcomes,
            "rate": record["effective_rate"],
            "raw": round(qc.metrics.hellinger_fidelity(counts, record["ideal"]), 4),
            "paper": round(qc.metrics.hellinger_fidelity(paper.distribution, record["ideal"]), 4),
            "mixture": round(qc.metrics.hellinger_fidelity(fixed.distribution, record["ideal"]), 4),
            "share": round(fixed.share, 3),
            "paper_ms": round(1e3 * paper_seconds, 1),
            "mixture_ms": round(1e3 * seconds, 1),
        }


if __name__ == "__main__":
    write_row_by_row("brussels.csv", rows())
