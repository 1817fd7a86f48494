"""Coverage of the intervals in reports: how often they contain the average over all circuits, where it is known.

Run from the repository: python -m benchmarks.report_coverage
Writes benchmarks/results/report_coverage.csv, one row per population, method and number of circuits, and prints the
table of docs/uncertainty.md. A campaign is simulated by drawing circuits, each with all its outputs, from a population:
the circuits of the paper campaign, with the average over all 24 as the truth, or circuits with a known share of harmed
outputs that are more or less correlated within a circuit. `as_if_independent` treats every output as a separate
circuit.
"""

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from benchmarks.data import RESULTS, write_row_by_row
from qcluster.bench.reports.intervals import mean_intervals, share_interval
from qcluster.bench.reports.summary import HARM, RAW
from qcluster.bench.store import read_scores
from qcluster.core.counts.distribution import Floats

SIZES = (5, 10, 15, 24)
METHODS = ("m3", "hammer", "mixture", "plurality")
TRIALS = 100
Ends = Callable[[Floats, list[str]], tuple[float, float]]


def mean_ends(outputs: Floats, circuits: list[str]) -> tuple[float, float]:
    """Return the ends of the interval of a mean."""
    ((low, high),) = mean_intervals(outputs[:, None], circuits, fewest=min(SIZES)).tolist()
    return low, high


def share_ends(outputs: Floats, circuits: list[str]) -> tuple[float, float]:
    """Return the ends of the interval of a share."""
    return share_interval(outputs > 0, circuits)


def coverage(
    draw: Callable[[np.random.Generator], Floats], truth: float, ends: Ends, trials: int, seed: int = 0
) -> tuple[float, float]:
    """Return the coverage of an interval, and its coverage if outputs are treated as independent.

    Args:
        draw: Draws the outputs of one campaign, ``(n_circuits, n_outputs)``.
        truth: Average over all circuits.
        ends: Computes the ends of the interval.
        trials: Number of campaigns.
        seed: Seed of the campaigns.
    """
    rng, hits = np.random.default_rng(seed), np.zeros(2)
    for _ in range(trials):
        outputs = draw(rng)
        circuits = [str(circuit) for circuit in range(len(outputs)) for _ in outputs[0]]
        for k, names in enumerate((circuits, [str(output) for output in range(outputs.size)])):
            low, high = ends(outputs.ravel(), names)
            hits[k] += low <= truth + 1e-12 and truth - 1e-12 <= high
    return float(hits[0] / trials), float(hits[1] / trials)


def fidelities(method: str) -> Floats:
    """Read the fidelities of a method in the paper campaign, ``(n_circuits, n_machines)``."""
    rows = [row for row in read_scores(RESULTS / "paper") if row["method"] == method]
    scores = {(row["case"], row["machine"]): float(row["hellinger_fidelity"]) for row in rows}
    cases, machines = (sorted({key[k] for key in scores}) for k in (0, 1))
    return np.array([[scores[case, machine] for machine in machines] for case in cases])


def measured() -> Iterator[dict[str, object]]:
    """Yield the rows for circuits drawn from the paper campaign."""
    raw = fidelities(RAW)
    for method in METHODS:
        gain = fidelities(method) - raw
        figures: dict[str, tuple[Floats, Ends]] = {
            "mean HF": (gain + raw, mean_ends),
            "gain": (gain, mean_ends),
            "log factor": (np.log((gain + raw) / raw), mean_ends),
            "harm": ((gain < -HARM) * 1.0, share_ends),
        }
        for name, (table, ends) in figures.items():
            for size in SIZES:
                coverages = coverage(lambda rng, t=table, n=size: rng.choice(t, n), float(table.mean()), ends, TRIALS)  # type: ignore[misc]
                yield row("paper", method, size, name, coverages)


def synthetic() -> Iterator[dict[str, object]]:
    """Yield the rows for circuits of five outputs that are harmed with a beta-distributed probability per circuit."""
    for share in (0.02, 0.1, 0.3):
        for alike in (0.1, 0.5, 0.9):
            a, b = share * (1 - alike) / alike, (1 - share) * (1 - alike) / alike
            for size in SIZES:

                def draw(rng: np.random.Generator, a: float = a, b: float = b, size: int = size) -> Floats:
                    return (rng.random((size, 5)) < rng.beta(a, b, size=(size, 1))) * 1.0

                yield row(
                    "beta", f"{share}, alike {alike}", size, "harm", coverage(draw, share, share_ends, 5 * TRIALS)
                )


def row(population: str, method: str, size: int, figure: str, coverages: tuple[float, float]) -> dict[str, object]:
    """Return one row of the table."""
    trials = TRIALS if population == "paper" else 5 * TRIALS
    settings = {"population": population, "method": method, "circuits": size, "figure": figure, "trials": trials}
    return settings | {"held": coverages[0], "held_as_if_independent": coverages[1]}


def main() -> None:
    """Write the table, and print its means."""
    groups: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = {}
    for each in write_row_by_row("report_coverage.csv", chain(measured(), synthetic())):
        part = groups.setdefault((each["population"], each["figure"]), {}).setdefault(each["circuits"], [])
        part.append((each["held"], each["held_as_if_independent"]))
    print("| circuits drawn from | figure | " + " | ".join(f"{size} circuits" for size in SIZES) + " |")
    print("|---" * (2 + len(SIZES)) + "|")
    for (population, figure), parts in groups.items():
        cells = [
            f"{np.mean([h for h, _ in part]):.2f} ({np.mean([f for _, f in part]):.2f})" for part in parts.values()
        ]
        print(f"| {population} | {figure} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
