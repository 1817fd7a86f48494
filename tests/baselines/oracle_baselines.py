"""Slow, obvious versions of the baselines, on dictionaries of text."""

import math


def distance(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


def normalise(values):
    total = sum(values.values())
    return {key: value / total for key, value in values.items()}


def hammer(counts):
    h = normalise(counts)
    reach = len(next(iter(h))) // 2
    chs = dict.fromkeys(range(reach), 0.0)
    for x in h:
        for y in h:
            if distance(x, y) < reach:
                chs[distance(x, y)] += h[y]
    result = {}
    for x in h:
        score = h[x]
        for y in h:
            if distance(x, y) < reach and h[y] < h[x]:
                score += h[y] / chs[distance(x, y)]
        result[x] = score * h[x]
    return normalise(result)


def qbeep(counts, expected_errors, rounds=20, floor=0.05, whole=False):
    """Follow the flows one by one, with the caps written out; whole flows are rounded down, as in the authors' program.

    See https://github.com/pnnl/qbeep.
    """

    def edge(k):
        weight = math.exp(-expected_errors + k * math.log(expected_errors) - math.lgamma(k + 1))
        return weight if k and weight >= floor else 0.0

    held = dict(counts)
    for turn in range(1, rounds + 1):
        flows = {}
        for x in held:
            if not held[x]:
                continue
            offers = {y: edge(distance(x, y)) * held[y] / held[x] for y in held if y != x}
            total = sum(offers.values())
            if total > 1:
                offers = {y: offer / total for y, offer in offers.items()}
            for y, offer in offers.items():
                flow = offer * held[x] / turn
                flows[x, y] = int(flow) if whole else flow
        change = dict.fromkeys(held, 0.0)
        for (x, y), flow in flows.items():
            change[x] -= flow
            change[y] += flow
        held = {x: max(0.0, held[x] + change[x]) for x in held}
    return normalise(held)


def hammr_l(counts, rate, rounds=20):
    h = normalise(counts)
    n = len(next(iter(h)))

    def spread(x, y):
        d = distance(x, y)
        return rate**d * (1 - rate) ** (n - d)

    u = dict(h)
    for _ in range(rounds):
        seen = {y: sum(spread(x, y) * u[x] for x in u) for y in u}
        u = {x: u[x] * sum(spread(x, y) * h[y] / seen[y] for y in u) for x in u}
    return normalise(u)


def em_uniform(counts, candidates, rate, rounds):
    """EM of the mixture by explicit responsibilities, from the same start."""
    h = normalise(counts)
    n = len(next(iter(h)))
    weights = normalise({k: h[k] for k in candidates})
    uniform, learn, p = 0.1, rate is None, 0.05 if rate is None else rate
    for _ in range(rounds):
        taken, background, flips = dict.fromkeys(candidates, 0.0), 0.0, 0.0
        for y, share in h.items():
            parts = {
                k: (1 - uniform) * weights[k] * p ** distance(y, k) * (1 - p) ** (n - distance(y, k))
                for k in candidates
            }
            total = uniform / 2**n + sum(parts.values())
            background += share * uniform / 2**n / total
            for k, part in parts.items():
                taken[k] += share * part / total
                flips += share * part / total * distance(y, k)
        uniform, weights = background, normalise(taken)
        if learn:
            p = flips / (n * (1 - uniform))
    return weights
