"""Slow and obvious versions, written from the formulas alone: strings, dicts and loops."""

from math import inf, prod, sqrt

Counts = dict[str, float]


def distance(a: str, b: str) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def ranked(counts: Counts) -> list[str]:
    """Most frequent first; ties by summed distance to all shots, then by value."""
    return sorted(counts, key=lambda s: (-counts[s], sum(c * distance(s, t) for t, c in counts.items()), s))


def majority(members: Counts) -> str:
    total = sum(members.values())
    width = len(next(iter(members)))
    return "".join("1" if 2 * sum(c for s, c in members.items() if s[i] == "1") >= total else "0" for i in range(width))


def cluster(counts: Counts, starts: list[str], radius: float) -> tuple[list[str], dict[str, int]]:
    centroids = list(starts)
    while True:
        labels = {}
        for s in counts:
            best, label = inf, -1
            for k, centroid in enumerate(centroids):
                if distance(s, centroid) < best:
                    best, label = distance(s, centroid), k
            labels[s] = label if best <= radius + 1e-9 else -1
        moved = []
        for k, centroid in enumerate(centroids):
            members = {s: c for s, c in counts.items() if labels[s] == k}
            moved.append(majority(members) if members else centroid)
        if moved == centroids:
            return centroids, labels
        centroids = moved


def read_probability(read: str, sent: str, rates: list[tuple[float, float]]) -> float:
    """P(read | sent); rates in the order of the characters, (P(1|0), P(0|1))."""
    return prod(
        {("0", "0"): 1 - a, ("1", "0"): a, ("0", "1"): b, ("1", "1"): 1 - b}[y, x]
        for y, x, (a, b) in zip(read, sent, rates, strict=True)
    )


def reshape(counts: Counts, k: int, p: float, radius: float) -> Counts:
    total = sum(counts.values())
    centroids, labels = cluster(counts, ranked(counts)[:k], radius)
    shares: Counts = {}
    for i, centroid in enumerate(centroids):
        shares[centroid] = shares.get(centroid, 0) + sum(c for s, c in counts.items() if labels[s] == i) / total
    shares = {s: w for s, w in shares.items() if w > 0}
    answer = dict(shares)
    for s, c in counts.items():
        if s not in shares:
            spread = sum(w * p ** distance(s, t) * (1 - p) ** (len(s) - distance(s, t)) for t, w in shares.items())
            answer[s] = max(0.0, c / total - spread)
    norm = sum(answer.values())
    return {s: w / norm for s, w in answer.items()}


def fidelity(p: Counts, q: Counts) -> float:
    return sum(sqrt(p[s] * q[s]) for s in p.keys() & q.keys()) ** 2


def q_cluster(counts: Counts, p: float, mul: float = 2.0, tol: float = 0.95, most: int = 64) -> Counts:
    n = len(next(iter(counts)))
    radius = mul * n * p * (1 - p)
    answer = reshape(counts, 1, p, radius)
    for k in range(2, min(most, len(counts)) + 1):
        grown = reshape(counts, k, p, radius)
        if fidelity(answer, grown) >= tol:
            break
        answer = grown
    return answer
