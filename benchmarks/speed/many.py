"""Time `mitigate_many` on small counts against a loop of `mitigate`, in one process, turn by turn.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.speed.many [--sets 1000]
Writes benchmarks/results/speed_many.csv, a row as soon as it is there; a minute and a half of one core. Times are
processor time of one thread, from dicts of text to answers, by 500 sets in turn.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import write_as_they_come
from benchmarks.timing import timed

KINDS = ("ghz", "bv", "w", "dense", "product")
"""Two strings, one string, the ring of a W state, a random state, a product of turned qubits."""
CASES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "mixed, 3 to 8 bits": (KINDS, (3, 4, 5, 6, 7, 8)),
    "mixed, 5 bits": (KINDS, (5,)),
    "GHZ, 5 bits": (("ghz",), (5,)),
    "GHZ, 8 bits": (("ghz",), (8,)),
    "dense, 8 bits": (("dense",), (8,)),
}
_TURN = 500


def ideal(kind: str, n: int, rng: np.random.Generator) -> Any:
    """Give ``(2^n,)`` probabilities of an output of a kind."""
    every = np.arange(1 << n)
    if kind == "dense":
        return rng.dirichlet(np.ones(1 << n))
    if kind == "product":
        chance = rng.random(n)
        return np.where(every[:, None] >> np.arange(n) & 1, chance, 1 - chance).prod(axis=1)
    strings = {"ghz": [0, -1], "bv": [int(rng.integers(1 << n))], "w": 1 << np.arange(n)}[kind]
    p = np.zeros(1 << n)
    p[strings] = 1 / len(strings)
    return p


def drawn(
    many: int, kinds: Sequence[str] = KINDS, bits: Sequence[int] = (3, 4, 5, 6, 7, 8), shots: int = 4096, seed: int = 1
) -> list[dict[str, int]]:
    """Draw sets of counts, kinds and widths in turn, every bit flipped at a rate of its own, 1 to 10%."""
    rng, found = np.random.default_rng(seed), []
    for i in range(many):
        n = bits[i // len(kinds) % len(bits)]
        sent = rng.choice(1 << n, shots, p=ideal(kinds[i % len(kinds)], n, rng))[:, None] >> np.arange(n) & 1 > 0
        flips = rng.random(sent.shape) < np.where(sent, rng.uniform(0.02, 0.1, n), rng.uniform(0.01, 0.06, n))
        found.append(qc.Distribution(sent ^ flips, np.ones(shots)).to_counts())
    return found


def compare(name: str, sets: int) -> dict[str, Any]:
    """Give the times of both a set, in ms, their ratio, and by how much a probability differs at most."""
    kinds, bits = CASES[name]
    counts, loop, together, apart = drawn(sets, kinds, bits), 0.0, 0.0, 0.0
    for start in range(0, sets, _TURN):
        some = counts[start : start + _TURN]
        singly, spent = timed(lambda: [qc.mitigate(one) for one in some])  # noqa: B023
        many, at_once = timed(lambda: list(qc.mitigate_many(some, workers=1)))  # noqa: B023
        loop, together = loop + spent, together + at_once
        for one, other in zip(singly, many, strict=True):
            first, second = one.distribution.to_probs(), other.distribution.to_probs()
            apart = max(apart, *(abs(first.get(key, 0.0) - second.get(key, 0.0)) for key in first.keys() | second))
    row: dict[str, Any] = {"counts": name, "sets": sets, "loop_ms": round(1e3 * loop / sets, 2)}
    row |= {"many_ms": round(1e3 * together / sets, 2), "loop/many": round(loop / together, 2)}
    return row | {"apart": f"{apart:.0e}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000)
    sets = parser.parse_args().sets
    list(qc.mitigate_many(drawn(10), workers=1))  # what is read and compiled once
    write_as_they_come("speed_many.csv", (compare(name, sets) for name in CASES))


if __name__ == "__main__":
    main()
