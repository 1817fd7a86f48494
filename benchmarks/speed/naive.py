"""The published method as a first version in NumPy would have it: the yardstick of what care is worth."""

import numpy as np

ROUNDS = 100
"""Most rounds of assignment."""


def naive_q_cluster(counts: dict[str, int], rate: float, most: int = 64, tol: float = 0.95) -> dict[str, float]:
    """Follow arXiv:2504.10801 with one row a shot: assign, vote, reweigh, one cluster more until the answer settles.

    Args:
        counts: shots of each string.
        rate: flips per bit.
        most: most clusters.
        tol: Hellinger fidelity of two answers in a row at which growth stops.
    """
    strings = list(counts)
    width, total = len(strings[0]), sum(counts.values())
    distinct = np.array([[int(character) for character in string] for string in strings])
    shots = np.repeat(distinct, list(counts.values()), axis=0)
    ranked = sorted(range(len(strings)), key=lambda i: -counts[strings[i]])
    answer: dict[str, float] | None = None
    for k in range(1, min(most, len(strings)) + 1):
        centroids = distinct[ranked[:k]].copy()
        for _ in range(ROUNDS):
            apart = np.stack([(shots != centroid).sum(axis=1) for centroid in centroids], axis=1)
            label = apart.argmin(axis=1)
            label[apart.min(axis=1) > 2 * width * rate * (1 - rate)] = -1
            moved = centroids.copy()
            for j in range(k):
                if (label == j).any():
                    moved[j] = 2 * shots[label == j].sum(axis=0) >= (label == j).sum()
            if (moved == centroids).all():
                break
            centroids = moved
        share = [(label == j).mean() for j in range(k)]
        kept = {}
        for string, bits in zip(strings, distinct, strict=True):
            flips = (bits != centroids).sum(axis=1)
            spread = float((share * rate**flips * (1 - rate) ** (width - flips)).sum())
            kept[string] = max(0.0, counts[string] / total - spread)
        for centroid, part in zip(centroids, share, strict=True):
            kept["".join(map(str, centroid))] = float(part)
        whole = sum(kept.values())
        grown = {string: value / whole for string, value in kept.items()}
        if answer is not None:
            overlap = sum(np.sqrt(answer[string] * grown[string]) for string in answer.keys() & grown.keys())
            if overlap**2 >= tol:
                return answer
        answer = grown
    assert answer is not None
    return answer
