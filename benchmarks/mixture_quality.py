"""Score the bare mixture on outputs of few strings: fidelity, losses and time, on recorded and on drawn counts.

Run from the repository: python -m benchmarks.mixture_quality LABEL
Writes the rows of that label to benchmarks/results/mixture_quality.csv; those of other labels stay. A loss is an answer
worse than the counts by more than .02 in Hellinger fidelity. Times are processor time of one thread, the median.
"""

import argparse
import csv
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from time import process_time

import numpy as np

import qcluster as qc
from benchmarks.data import RESULTS, records, write_rows
from qcluster.core.sparse.fit import fit_mixture

FILE = RESULTS / "mixture_quality.csv"
RECORDED = (
    "ibm_brussels_2025",
    "ghz_compiled_dev",
    "qward_dev",
    "walkers_2021_dev",
    "dem_2025_dev",
    "hanoi_chains_dev",
    "encoded_memory_dev",
)
DRAWN = ("strings", "ghz", "w", "affine", "decayed", "heavy", "wide", "dense")
CASES = 50
"""Drawn outputs of each kind."""
Case = tuple[qc.Distribution, qc.Distribution]
"""Counts, and the ideal."""


def recorded(name: str) -> Iterator[Case]:
    for row in records(f"{name}.jsonl.gz"):
        yield qc.Distribution.of(row["counts"]), qc.Distribution.of(row["ideal"])


def sent_strings(kind: str, n: int, rng: np.random.Generator) -> qc.Distribution:
    """Draw what an ideal machine of n bits would send."""
    if kind == "ghz":
        return qc.Distribution(np.array([[False] * n, [True] * n]), np.ones(2))
    if kind == "w":
        return qc.Distribution(np.eye(n, dtype=bool) ^ (rng.random(n) < 0.5), np.ones(n))
    if kind == "affine":
        basis = rng.random((int(rng.integers(1, min(n, 5))), n)) < 0.5
        chosen = np.arange(1 << len(basis))[:, None] >> np.arange(len(basis)) & 1
        return qc.Distribution((chosen @ basis) % 2 > 0, np.ones(len(chosen)))
    if kind == "dense":
        every = np.arange(1 << n)[:, None] >> np.arange(n) & 1 > 0
        return qc.Distribution(every, rng.exponential(size=1 << n))
    k = int(np.exp(rng.uniform(0, np.log(3 if kind == "decayed" else 4 if kind == "heavy" else 24))))
    return qc.Distribution(rng.random((k, n)) < 0.5, rng.dirichlet(np.full(k, 3.0)))


def drawn(kind: str, seed: int) -> Case:
    """Draw strings, and counts of them with uneven flips, decay, over-dispersion and lost shots."""
    rng = np.random.default_rng([DRAWN.index(kind), seed])
    n = int(rng.integers(13, 33) if kind == "wide" else rng.integers(3, 13))
    ideal = sent_strings(kind, n, rng)
    shots = int(rng.choice([1000, 4096, 16384]))
    sent = ideal.bits[rng.choice(len(ideal.bits), shots, p=ideal.probabilities)]
    level = rng.uniform(0.2, 0.38) if kind == "heavy" else np.exp(rng.uniform(np.log(0.003), np.log(0.12)))
    spread = 0.0 if kind == "heavy" else 0.5
    rates = level * np.exp(rng.normal(0, spread, (2, n)))
    if kind == "decayed":
        rates[1] += rng.uniform(0, 0.5, n)
    rate = np.where(sent, rates[1], rates[0]) * np.exp(rng.normal(0, spread, (shots, 1)))
    read = sent ^ (rng.random(sent.shape) < np.minimum(rate, 0.6))
    lost = rng.random(shots) < (0.0 if kind == "heavy" else rng.choice([0.0, 0.05, 0.4]))
    read[lost] = rng.random((int(lost.sum()), n)) < 0.5
    return qc.Distribution(read, np.ones(shots)), ideal


def scored(label: str, name: str, cases: list[Case]) -> dict[str, object]:
    raw, bare, times, k = [], [], [], []
    for counts, ideal in cases:
        start = process_time()
        fit = fit_mixture(counts.bits, counts.weights)
        times.append(1e3 * (process_time() - start))
        raw.append(qc.metrics.hellinger_fidelity(counts, ideal))
        bare.append(qc.metrics.hellinger_fidelity(qc.Distribution(fit.centroids, fit.weights), ideal))
        k.append(len(fit.weights))
    losses = np.mean(np.array(bare) < np.array(raw) - 0.02)
    return {
        "label": label,
        "set": name,
        "cases": len(cases),
        "raw": round(float(np.mean(raw)), 4),
        "mixture": round(float(np.mean(bare)), 4),
        "losses": round(float(losses), 3),
        "strings": float(np.median(k)),
        "ms": round(float(np.median(times)), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("label", help="name of what is measured, such as a version")
    label = parser.parse_args().label
    held: list[dict[str, object]] = []
    if FILE.exists():
        with FILE.open(newline="") as file:
            held = [dict(row) for row in csv.DictReader(file) if row["label"] != label]
    for name in RECORDED:
        held.append(scored(label, name, list(recorded(name))))
        print(held[-1], flush=True)
    for kind in DRAWN:
        held.append(scored(label, kind, [drawn(kind, seed) for seed in range(CASES)]))
        print(held[-1], flush=True)
    write_rows(FILE.name, held)


if __name__ == "__main__":
    main()
