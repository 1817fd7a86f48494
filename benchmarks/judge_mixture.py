"""Compare the guarded mixture with raw counts, the paper's method and HAMMER, on recorded and synthetic counts.

Run from the repository: python -m benchmarks.judge_mixture [--sets brussels lrqaoa synthetic] [--every 1] [--each 40]
Writes benchmarks/results/judge_mixture.csv, one row per record. All methods get the same shots. The value of each part
of the decision is measured by benchmarks.ablations.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.data import DATA, write_row_by_row
from benchmarks.synthetic import cases
from benchmarks.timing import timed
from qcluster.baselines.hammer import hammer
from qcluster.bench.records import read_records
from qcluster.bench.sample import Sample
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy, hellinger_fidelity
from qcluster.core.decision.decide import decide
from qcluster.core.estimators.q_cluster import q_cluster
from qcluster.core.sparse.fit import fit_mixture

HARM = 0.02
"""A record is harmed when its fidelity falls by more than this."""


def everything(sets: list[str], every: int, each: int) -> Iterator[Sample]:
    """Yield all records of the chosen sets, with the group over which they are averaged as their family.

    LR-QAOA records are grouped by even and odd lines, and by the entropy of the ideal output.
    """
    if "brussels" in sets:
        for sample in read_records(DATA / "ibm_brussels_2025.jsonl.gz"):
            yield replace(sample, family=sample.identity)
    for line, sample in enumerate(read_records(DATA / "lrqaoa_ibm_dev.jsonl.gz") if "lrqaoa" in sets else ()):
        if line // 2 % every == 0 and sample.ideal is not None:
            share = entropy(sample.ideal, normalised=True)
            level = "low" if share < 0.4 else "mid" if share <= 0.7 else "high"
            yield replace(sample, family=f"lrqaoa {('even', 'odd')[line % 2]} {level}")
    for number, case in enumerate(cases(20251, each) if "synthetic" in sets else ()):
        name = f"{number} " + " ".join(f"{key}={value}" for key, value in case.note.items())
        yield Sample(name, name, f"synthetic {case.group}", "synthetic", case.counts, case.ideal)


def judge(sample: Sample) -> dict[str, Any]:
    """Score all methods on one record."""
    counts, ideal = sample.counts, sample.ideal
    fit, fit_seconds = timed(partial(fit_mixture, counts.bits, counts.weights), perf_counter)
    answer, seconds = timed(lambda: decide(counts).answer, perf_counter)
    rate = np.full((counts.n_bits, 2), float(np.clip(fit.flip_rate, 0.005, 0.45)))
    bare = Distribution(fit.centroids, fit.weights * counts.shots)
    row = {
        "record": sample.identity,
        "group": sample.family,
        "machine": sample.machine,
        "raw": hellinger_fidelity(counts, ideal),
        "paper": hellinger_fidelity(q_cluster(counts, rate, None)[0], ideal),
        "hammer": hellinger_fidelity(hammer(counts), ideal),
        "bare": hellinger_fidelity(bare, ideal),
        "mixture": hellinger_fidelity(answer.distribution, ideal),
        "applied": int(answer.applied),
        "share": answer.share,
        "confidence": float("nan") if answer.confidence is None else answer.confidence,
        "fit_ms": 1e3 * fit_seconds,
        "decide_ms": 1e3 * seconds,
        "reason": answer.reason,
    }
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def summary(rows: list[Mapping[str, Any]]) -> None:
    """Print means, harm and worst loss of each group, then of each machine, then the calibration of the confidence."""
    for key in ("group", "machine"):
        for name in dict.fromkeys(row[key] for row in rows):
            part = [row for row in rows if row[key] == name]
            raw = np.array([row["raw"] for row in part])
            line = f"{name:42} n={len(part):4d} raw {raw.mean():.3f}"
            for method in ("paper", "hammer", "bare", "mixture"):
                fidelity = np.array([row[method] for row in part])
                change = fidelity - raw
                line += f" | {method} {fidelity.mean():.3f} ({np.median(fidelity):.3f})"
                line += f" harm {(change < -HARM).mean():5.1%} worst {min(change.min(), 0):+.2f}"
            print(
                line + " | ms {:.0f}+{:.0f}".format(*(np.mean([r[k] for r in part]) for k in ("fit_ms", "decide_ms")))
            )
    applied = [row for row in rows if row["applied"]]
    for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        won = [row["mixture"] > row["raw"] for row in applied if low <= row["confidence"] < high]
        if won:
            print(f"confidence {low:.1f}-{min(high, 1):.1f}: {len(won)} records, {np.mean(won):.0%} improved")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sets", nargs="+", default=["brussels", "lrqaoa", "synthetic"])
    parser.add_argument("--every", type=int, default=1, help="use every n-th pair of LR-QAOA lines")
    parser.add_argument("--each", type=int, default=40, help="synthetic cases per group")
    options = parser.parse_args()
    samples = everything(options.sets, options.every, options.each)
    summary(write_row_by_row("judge_mixture.csv", map(judge, samples)))


if __name__ == "__main__":
    main()
