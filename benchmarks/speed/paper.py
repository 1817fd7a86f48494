"""Time both methods against mthree, and the published one against a naive version, on the same counts, in one run.

Run from the repository: python -m benchmarks.speed.paper
Writes benchmarks/results/speed_paper.csv. The runs are interleaved, and the ratio is that of the
fastest of each. The naive version holds one Python object per shot and follows the formulas with loops; so that it
ends, its time is that of the package's number of clusters only, with one round of assignment each: a lower bound.
mthree runs apply_correction with a calibration given beforehand (flip rates of 2%), without building it.
"""

import csv
from time import perf_counter

import numpy as np

import qcluster as qc
from benchmarks.data import RESULTS, brussels

REPEATS = 3


class Shot:
    """One shot as a Python object."""

    def __init__(self, string: str) -> None:
        self.bits = [int(character) for character in string]
        self.label = -1

    def distance(self, centroid: list[int]) -> int:
        return sum(a != b for a, b in zip(self.bits, centroid, strict=True))


def naive(counts: dict[str, int], rate: float, clusters: int) -> None:
    """Assign each shot to its nearest centroid, vote, and reweigh: once for each number of clusters."""
    shots = [Shot(string) for string, count in counts.items() for _ in range(count)]
    width = len(next(iter(counts)))
    ranked = sorted(counts, key=lambda string: -counts[string])
    for k in range(1, clusters + 2):
        centroids = [[int(character) for character in string] for string in ranked[:k]]
        members: list[list[Shot]] = [[] for _ in centroids]
        for shot in shots:
            distances = [shot.distance(centroid) for centroid in centroids]
            shot.label = min(range(k), key=distances.__getitem__)
            if distances[shot.label] <= 2 * width * rate * (1 - rate):
                members[shot.label].append(shot)
        for j, group in enumerate(members):
            if group:
                ones = [sum(shot.bits[i] for shot in group) for i in range(width)]
                centroids[j] = [int(2 * one >= len(group)) for one in ones]
        shares = [len(group) / len(shots) for group in members]
        for string, count in counts.items():
            bits = [int(character) for character in string]
            left = count / len(shots)
            for centroid, share in zip(centroids, shares, strict=True):
                d = sum(a != b for a, b in zip(bits, centroid, strict=True))
                left -= share * rate**d * (1 - rate) ** (width - d)


def m3(width: int):
    """Give mthree with a calibration of 2% flips a bit, and its mapping."""
    import mthree

    mitigator = mthree.M3Mitigation()
    mitigator.cals_from_matrices([np.array([[0.98, 0.02], [0.02, 0.98]], dtype=np.float32)] * width)
    return lambda counts: mitigator.apply_correction(counts, list(range(width)))


def timed(work) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def main() -> None:
    rows = []
    for record in brussels():
        counts, rate = record["counts"], record["effective_rate"]
        correct = m3(record["n"])
        clusters = len(qc.mitigate(counts, rate, method="paper").weights)
        works = {
            "paper": lambda counts=counts, rate=rate: qc.mitigate(counts, rate, method="paper"),
            "mixture": lambda counts=counts: qc.mitigate(counts),
            "mthree": lambda counts=counts, correct=correct: correct(counts),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(REPEATS):
            for name, work in works.items():
                times[name].append(timed(work))
        slow = timed(lambda counts=counts, rate=rate, clusters=clusters: naive(counts, rate, clusters))
        best = {name: min(values) for name, values in times.items()} | {"naive": slow}
        rows.append(
            {
                "record": record["id"],
                "distinct": len(counts),
                "paper_ms": round(1e3 * best["paper"], 2),
                "naive_over_paper": round(best["naive"] / best["paper"], 1),
                "mthree_over_paper": round(best["mthree"] / best["paper"], 1),
                "mixture_ms": round(1e3 * best["mixture"], 2),
                "mthree_over_mixture": round(best["mthree"] / best["mixture"], 2),
            }
        )
        print(*(f"{key} {value}" for key, value in rows[-1].items()))
    with (RESULTS / "speed_paper.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
