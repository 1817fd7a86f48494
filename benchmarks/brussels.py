"""Hellinger fidelity of both methods on six recorded circuits of ibm_brussels.

Run from the repository: python -m benchmarks.brussels
Writes benchmarks/results/brussels.csv.
"""

from time import perf_counter

import qcluster as qc
from benchmarks.data import brussels, write_rows


def main() -> None:
    rows = []
    for record in brussels():
        counts = qc.Distribution.of(record["counts"])
        start = perf_counter()
        paper = qc.mitigate(counts, record["effective_rate"], method="paper")
        between = perf_counter()
        fixed = qc.mitigate(counts)
        done = perf_counter()
        rows.append(
            {
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
        )
    write_rows("brussels.csv", rows)
    for row in rows:
        print(*(f"{value!s:>22}" if key == "record" else f"{key} {value!s:<8}" for key, value in row.items()))


if __name__ == "__main__":
    main()
