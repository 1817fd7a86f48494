"""A straightforward NumPy version of the published method, as a baseline for timing."""

import numpy as np

ROUNDS = 100
"""Most rounds of assignment."""


def naive_q_cluster(counts: dict[str, int], rate: float, most: int = 64, tol: float = 0.95) -> dict[str, float]:
    """Mitigate counts as in arXiv:2504.10801, with one row per shot.

    Shots are assigned to clusters, centroids found by majority vote, and weights updated. Clusters are added one by one
    until the answer no longer changes.

    Args:
        counts: Shots of each string.
        rate: Flip rate per bit.
        most: Most clusters.
        tol: Hellinger fidelity between successive answers at which no more clusters are added.
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
            distances = np.stack([(shots != centroid).sum(axis=1) for centroid in centroids], axis=1)
            label = distances.argmin(axis=1)
            label[distances.min(axis=1) > 2 * width * rate * (1 - rate)] = -1
            moved = centroids.copy()
            for j in range(k):
                if (label == j).any():
                    moved[j] = 2 * shots[label == j].sum(axis=0) >= (label == j).sum()
            if (moved == centroids).all():
                break
            centroids = moved
        share = [(label == j).mean() for j in range(k)]
        weights = {}
        for string, bits in zip(strings, distinct, strict=True):
            flips = (bits != centroids).sum(axis=1)
            spread = float((share * rate**flips * (1 - rate) ** (width - flips)).sum())
            weights[string] = max(0.0, counts[string] / total - spread)
        for centroid, part in zip(centroids, share, strict=True):
            weights["".join(map(str, centroid))] = float(part)
        whole = sum(weights.values())
        new = {string: value / whole for string, value in weights.items()}
        if answer is not None:
            overlap = sum(np.sqrt(answer[string] * new[string]) for string in answer.keys() & new.keys())
            if overlap**2 >= tol:
                return answer
        answer = new
    assert answer is not None
    return answer
