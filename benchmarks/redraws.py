"""Test whether redrawing the shots of an output gives the uncertainty of its mitigated fidelity.

Run from the repository: python -m benchmarks.redraws
Writes benchmarks/results/redraws.csv and prints it as the table of docs/uncertainty.md. For circuits of six bits with
flips of 3 and 7 % and a tenth of uniform noise, it compares the spread of the mitigated fidelity over 40 independent
sets of counts with the spread over 25 redraws of each of 8 of these sets, and gives the shift of the fidelity by
redraws.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from benchmarks.coverage import apply_flips
from benchmarks.data import write_row_by_row
from qcluster import baselines, mitigate
from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution, Floats
from qcluster.core.counts.metrics import hellinger_fidelity

COLUMNS = ("case", "shots", "method", "fidelity", "spread", "spread_of_redraws", "shift_of_redraws")
N_BITS = 6
BITS = index_bits(np.arange(1 << N_BITS), N_BITS)
METHODS: dict[str, Callable[[Distribution], Distribution]] = {
    "raw": lambda counts: counts,
    "hammer": baselines.hammer,
    "mixture": lambda counts: mitigate(counts).distribution,
}


def cases() -> dict[str, Floats]:
    """Return ideal outputs: two strings, six strings, a smooth one, and a random one."""
    index = np.arange(1 << N_BITS)
    weights = {
        "ghz": np.isin(index, [0, index[-1]]) * 1.0,
        "w": np.isin(index, 1 << np.arange(N_BITS)) * 1.0,
        "smooth": np.exp(-1.2 * (BITS[:, 1:] != BITS[:, :-1]).sum(axis=1)),
        "Porter-Thomas": np.random.default_rng(3).exponential(size=len(index)),
    }
    return {name: vector / vector.sum() for name, vector in weights.items()}


def distribution(weights: Floats) -> Distribution:
    """Return the distribution of a vector of weights, with only the strings of nonzero weight."""
    return Distribution(BITS[weights > 0], weights[weights > 0].astype(float))


def spreads(ideal: Floats, shots: int, method: str, trials: int = 40, redrawn: int = 8, redraws: int = 25) -> Floats:
    """Return the mean fidelity, its spread, the median spread of redraws, and the shift of the mean by redraws."""
    rng, truth = np.random.default_rng(0), distribution(ideal)
    noisy = apply_flips(ideal, np.tile([0.03, 0.07], (N_BITS, 1)), 0.1)

    def fidelity(weights: Floats) -> float:
        return hellinger_fidelity(METHODS[method](distribution(weights)), truth)

    drawn = rng.multinomial(shots, noisy, size=trials)
    first = np.array([fidelity(weights) for weights in drawn])
    again = np.array([[fidelity(w) for w in rng.multinomial(shots, row / shots, redraws)] for row in drawn[:redrawn]])
    shift = again.mean() - first[:redrawn].mean()
    return np.array([first.mean(), first.std(), np.median(again.std(axis=1)), shift])


def main() -> None:
    """Write the table and print it."""

    def rows() -> Iterator[dict[str, Any]]:
        for (name, ideal), shots, method in product(cases().items(), (1000, 8192), METHODS):
            numbers = [float(f"{value:.4f}") for value in spreads(ideal, shots, method)]
            yield dict(zip(COLUMNS, (name, shots, method, *numbers), strict=True))

    table = write_row_by_row("redraws.csv", rows())
    print("| " + " | ".join(COLUMNS).replace("_", " ") + " |\n" + "|---" * len(COLUMNS) + "|")
    for row in table:
        print("| " + " | ".join(map(str, row.values())) + " |")


if __name__ == "__main__":
    main()
