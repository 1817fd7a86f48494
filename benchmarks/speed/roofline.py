"""Roofline of an EM round: time per operation and byte, compared with the speed of the machine.

Run from the repository: python -m benchmarks.speed.roofline
Prints the cost per pair of centroid and string of each part of a round; of a copy, an exponential and a product of the
same size; and the cost of one pass of candidates over a million shots. Processor time of one thread, fastest of seven.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.speed.works import synthetic
from benchmarks.timing import timed
from qcluster.core.noise.prior import REGIMES
from qcluster.core.sparse.em import e_step
from qcluster.core.sparse.model import Layout, Model, lay_out, likelihoods, marginal, parameters

SHAPES = ((2, 30, 10_000), (6, 30, 10_000), (20, 30, 10_000), (6, 156, 10_000))
"""Centroids, bits, strings."""
REPEATS = 7


def ns(work, pairs: int) -> float:
    """Return the time of one call, in ns per pair."""
    return 1e9 * min(timed(lambda: [work() for _ in range(10)])[1] for _ in range(REPEATS)) / pairs / 10


def measure(k: int, n: int, u: int) -> str:
    """Return the line of the table for k centroids, n bits and u strings."""
    counts, rng = synthetic(n, u, 0.2, k), np.random.default_rng(0)
    rows = lay_out(counts.bits, counts.weights)
    models = [Model(rng.random((k, n)) < 0.5, np.full(k, 1 / k), rng.uniform(0.05, 0.2, (n, 2)), REGIMES, 0.1)]
    layout, free, common = Layout.stacked(rows, models), parameters(models), parameters(models, common=True)
    columns, parts = likelihoods(rows, layout, free)
    total, scratch = marginal(layout, free, columns), np.empty_like(columns)
    slopes, table = rng.random((k, n), dtype=np.float32), rng.random(k * (n + 1), dtype=np.float32)
    logs, pairs = np.log(columns), columns.size
    steps = [
        lambda: np.copyto(scratch, columns),
        lambda: np.exp(logs, out=scratch),
        lambda: np.matmul(slopes, rows.columns, out=scratch),
        lambda: np.take(table, layout.lookup),
        lambda: likelihoods(rows, layout, free, scratch),
        lambda: likelihoods(rows, layout, common, scratch),
        lambda: (np.copyto(scratch, columns), e_step(rows, rows.shares[None], layout, free, scratch, total, parts)),
    ]
    times = [ns(step, pairs) for step in steps]
    times[6] -= times[0]  # the E step overwrites its input
    whole = times[4] + times[6]
    # Operations per pair: two products of 2n. Bytes per pair: the bits once each way, shared by all centroids, ten
    # passes of four bytes, and two of the eight-byte indices.
    reached = f"{4 * n / whole:.1f} | {(2 * 4 * n / k + 10 * 4 + 2 * 8) / whole:.1f}"
    return f"| {k} | {n} | {u} | " + " | ".join(f"{time:.2f}" for time in times) + f" | {whole:.2f} | {reached} |"


def one_pass(candidates: int, strings: int = 1 << 14) -> float:
    """Return the seconds of one product and one exponential over all distinct strings of a million shots of 156
    bits."""
    counts, rng = synthetic(156, 1_000_000, 0.03), np.random.default_rng(0)
    slopes = rng.random((candidates, counts.n_bits), dtype=np.float32)

    def work() -> None:
        for start in range(0, counts.n_outcomes, strings):
            np.exp(slopes @ counts.bits[start : start + strings].T.astype(np.float32))

    return timed(work)[1]


def main() -> None:
    print("| k | bits | strings | copy | exp | product | take | kernel | one rate | E step | round | GFLOP/s | GB/s |")
    print("|---" * 13 + "|")
    for shape in SHAPES:
        print(measure(*shape))
    for candidates in (32, 256):
        print(f"one pass of {candidates} candidates over a million shots of 156 bits: {one_pass(candidates):.2f} s")


if __name__ == "__main__":
    main()
