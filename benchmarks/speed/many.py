"""Time `mitigate_many` on small counts against a loop of `mitigate`, alternating in one process.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.speed.many [--sets 1000]
Writes benchmarks/results/speed_many.csv, row by row; a minute and a half on one core. Times are processor time of one
thread, from dicts of strings to answers; the two alternate every 500 sets.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import write_row_by_row
from benchmarks.timing import timed

KINDS = ("ghz", "bv", "w", "dense", "product")
"""Two strings, one string, a W state, a random state, a product of rotated qubits."""
CASES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "mixed, 3 to 8 bits": (KINDS, (3, 4, 5, 6, 7, 8)),
    "mixed, 5 bits": (KINDS, (5,)),
    "GHZ, 5 bits": (("ghz",), (5,)),
    "GHZ, 8 bits": (("ghz",), (8,)),
    "dense, 8 bits": (("dense",), (8,)),
}
_TURN = 500


def ideal(kind: str, n: int, rng: np.random.Generator) -> Any:
    """Return the ``(2^n,)`` probabilities of an output of a kind."""
    index = np.arange(1 << n)
    if kind == "dense":
        return rng.dirichlet(np.ones(1 << n))
    if kind == "product":
        chance = rng.random(n)
        return np.where(index[:, None] >> np.arange(n) & 1, chance, 1 - chance).prod(axis=1)
    strings = {"ghz": [0, -1], "bv": [int(rng.integers(1 << n))], "w": 1 << np.arange(n)}[kind]
    p = np.zeros(1 << n)
    p[strings] = 1 / len(strings)
    return p


def drawn(
    many: int, kinds: Sequence[str] = KINDS, bits: Sequence[int] = (3, 4, 5, 6, 7, 8), shots: int = 4096, seed: int = 1
) -> list[dict[str, int]]:
    """Draw sets of counts of alternating kinds and widths, with different flip rates for every bit, 1 to 10%."""
    rng, sets = np.random.default_rng(seed), []
    for i in range(many):
        n = bits[i // len(kinds) % len(bits)]
        sent = rng.choice(1 << n, shots, p=ideal(kinds[i % len(kinds)], n, rng))[:, None] >> np.arange(n) & 1 > 0
        flips = rng.random(sent.shape) < np.where(sent, rng.uniform(0.02, 0.1, n), rng.uniform(0.01, 0.06, n))
        sets.append(qc.Distribution(sent ^ flips, np.ones(shots)).to_counts())
    return sets


def compare(name: str, sets: int) -> dict[str, Any]:
    """Return both times per set in ms, their ratio, and the largest difference of a probability."""
    kinds, bits = CASES[name]
    counts, loop, together, apart = drawn(sets, kinds, bits), 0.0, 0.0, 0.0
    for start in range(0, sets, _TURN):
        part = counts[start : start + _TURN]
        singly, loop_seconds = timed(lambda: [qc.mitigate(item) for item in part])  # noqa: B023
        jointly, joint_seconds = timed(lambda: list(qc.mitigate_many(part, workers=1)))  # noqa: B023
        loop, together = loop + loop_seconds, together + joint_seconds
        for alone, joint in zip(singly, jointly, strict=True):
            first, second = alone.distribution.to_probs(), joint.distribution.to_probs()
            apart = max(apart, *(abs(first.get(key, 0.0) - second.get(key, 0.0)) for key in first.keys() | second))
    row: dict[str, Any] = {"counts": name, "sets": sets, "loop_ms": round(1e3 * loop / sets, 2)}
    row |= {"many_ms": round(1e3 * together / sets, 2), "loop/many": round(loop / together, 2)}
    return row | {"apart": f"{apart:.0e}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000)
    sets = parser.parse_args().sets
    list(qc.mitigate_many(drawn(10), workers=1))  # warm up: files are read and code compiled once
    write_row_by_row("speed_many.csv", (compare(name, sets) for name in CASES))


if __name__ == "__main__":
    main()
