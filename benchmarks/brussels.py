"""Hellinger fidelity of both methods on six recorded circuits of ibm_brussels.

Run from the repository: python -m benchmarks.brussels
Writes benchmarks/results/brussels.csv.
"""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import qcluster as qc
from benchmarks.data import brussels, write_as_they_come


def rows() -> Iterator[dict[str, Any]]:
    for record in brussels():
        counts = qc.Distribution.of(record["counts"])
        start = perf_counter()
        paper = qc.mitigate(counts, record["effective_rate"], method="paper")
        between = perf_counter()
        fixed = qc.mitigate(counts)
        done = perf_counter()
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
            "paper_ms": round(1e3 * (between - start), 1),
            "mixture_ms": round(1e3 * (done - between), 1),
        }


if __name__ == "__main__":
    write_as_they_come("brussels.csv", rows())
