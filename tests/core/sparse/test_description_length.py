"""Description length by its formula, and the Laplace evidence against brute-force marginal likelihoods."""

from itertools import product
from math import comb, factorial, log

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits, nearest_earlier, pack
from qcluster.core.noise.prior import REGIMES
from qcluster.core.sparse.description_length import (
    description_length,
    joining_costs,
    negative_log_evidence,
    shortest_length,
)
from qcluster.core.sparse.model import Model, Prior, lay_out
from tests.core.sparse.at_once import fit

INDEPENDENT = np.array([0.0, 0.0, 1.0, 0.0])


@pytest.mark.parametrize("n", [1, 5, 70])
def test_a_string_costs_its_weight_and_the_bits_in_which_it_differs(n):
    rng = np.random.default_rng(n)
    strings = rng.random((6, n)) < 0.5
    costs = joining_costs(n, 3000.0)[nearest_earlier(pack(strings), n)]
    for k in range(1, 6):
        d = min(int((strings[k] != strings[j]).sum()) for j in range(k))
        assert costs[k - 1] == pytest.approx(0.5 * log(3000) + log(comb(n, d)) + log(n))
    assert joining_costs(n, 3000.0)[-1] == pytest.approx(0.5 * log(3000) + log(n))


def exact_evidence(rows, centroids, rate: float, steps: int) -> float:
    """ln of the likelihood integrated over weights and background (flat), and of the prior of the set of strings."""
    k, n = centroids.shape
    flips = (rows.bits[:, None] != centroids[None]).sum(axis=2)
    columns = np.hstack([rate**flips * (1 - rate) ** (n - flips), np.full((len(rows.bits), 1), 0.5**n)])
    grid = [(*part, steps - sum(part)) for part in product(range(steps + 1), repeat=k) if sum(part) <= steps]
    levels = np.log(np.maximum(columns @ (np.array(grid).T / steps), 1e-300)).T @ rows.weights
    mean = float(np.logaddexp.reduce(levels)) - log(len(grid))
    return mean + log(factorial(k)) - k * n * log(2)


@pytest.mark.parametrize(
    ("k", "shots", "steps"), [(1, 300, 220), (1, 3000, 220), (2, 300, 220), (2, 3000, 220), (3, 300, 70)]
)
def test_the_laplace_evidence_is_near_the_integral(k, shots, steps):
    """The flat prior of k weights and a background is k! on the simplex: the same in the sum of `exact_evidence`."""
    n, rate = 4, 0.15
    rng = np.random.default_rng([k, shots])
    centroids = index_bits(np.array([3, 12, 10])[:k], n)
    sent = centroids[rng.integers(0, k, shots)] ^ (rng.random((shots, n)) < rate)
    lost = rng.random(shots) < 0.2
    sent[lost] = rng.random((int(lost.sum()), n)) < 0.5
    bits, counts = np.unique(sent, axis=0, return_counts=True)
    rows = lay_out(bits, counts.astype(float))
    odds = np.full((n, 2), rate / (1 - rate))
    start = Model(centroids, np.full(k, 1 / k), odds, INDEPENDENT, 0.2)
    held = fit(rows, start, Prior(1e12, np.full((n, 2), rate), common=True), 60)
    assert -negative_log_evidence(rows, held) == pytest.approx(exact_evidence(rows, centroids, rate, steps), abs=0.1)


def test_a_string_too_many_has_less_evidence():
    n, rate, rng = 4, 0.1, np.random.default_rng(2)
    string = index_bits(np.array([5]), n)
    bits, counts = np.unique(string ^ (rng.random((2000, n)) < rate), axis=0, return_counts=True)
    rows, found = lay_out(bits, counts.astype(float)), []
    for centroids in (string, index_bits(np.array([5, 4]), n)):
        start = Model(centroids, np.full(len(centroids), 1 / len(centroids)), np.full((n, 2), 0.11), INDEPENDENT, 0.02)
        found.append(negative_log_evidence(rows, fit(rows, start, Prior(30.0, None, common=True), 60)))
    assert found[0] < found[1]


@pytest.mark.parametrize("k", [1, 2, 4])
def test_no_mixture_is_described_in_less_than_the_shortest_length(k):
    """Not even in the best case: each string is read without errors, and explains all its shots."""
    rng, n = np.random.default_rng(k), 4
    for _ in range(20):
        sent = index_bits(rng.choice(1 << n, k, replace=False), n)
        shots = rng.multinomial(500, [*np.full(k, 0.97 / k).tolist(), 0.03])[:k] + 1.0
        rows = lay_out(sent, shots)
        start = Model(sent, np.full(k, 1 / k), np.full((n, 2), 0.01), REGIMES, 1e-3)
        best = fit(rows, start, Prior(1.0), 60)
        assert shortest_length(rows, k) <= description_length(rows, best) + 1e-3
        assert shortest_length(rows, k) > description_length(rows, best) - 15 * k
