"""Circuit-aware mitigation of six recorded circuits of ibm_brussels, March 2025.

Run from the repository: python -m benchmarks.circuit_brussels [part of a record's name ...]
Writes benchmarks/results/circuit_brussels.csv. The records contain the circuits that ran, on physical qubits.
FakeBrussels is a calibration of the same machine a year later, so the figures show what a stale calibration achieves.
"""

import sys
from collections.abc import Iterator
from typing import Any

import qcluster as qc
from benchmarks.data import runs, write_row_by_row
from benchmarks.timing import timed


def rows(parts: list[str]) -> Iterator[dict[str, Any]]:
    for sample in runs("ibm_brussels_2025"):
        if parts and not any(part in sample.identity for part in parts):
            continue
        assert sample.run is not None
        counts, ideal = sample.counts, sample.ideal
        fixed, seconds = timed(lambda: qc.mitigate(counts, sample.run.faults))  # noqa: B023
        alone = qc.mitigate(counts, method="mixture")
        yield {
            "record": sample.identity,
            "bits": counts.n_bits,
            "shots": int(counts.shots),
            "raw": round(qc.metrics.hellinger_fidelity(counts, ideal), 4),
            "mitigate": round(qc.metrics.hellinger_fidelity(fixed.distribution, ideal), 4),
            "method": fixed.method,
            "counts_alone": round(qc.metrics.hellinger_fidelity(alone.distribution, ideal), 4),
            "cpu_seconds": round(seconds, 1),
            "reason": fixed.reason,
        }


if __name__ == "__main__":
    write_row_by_row("circuit_brussels.csv", rows(sys.argv[1:]))
