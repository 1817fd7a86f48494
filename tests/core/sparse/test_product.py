"""The product of biased bits, and the single string that it may be, against integrals and known origins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.sparse.product import beyond_product, product_evidence, single_string


def spread(counts: np.ndarray, n: int) -> Distribution:
    return Distribution(index_bits(np.arange(1 << n), n), counts.astype(float))


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_product_evidence_is_the_integral(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = spread(rng.multinomial(40, np.full(1 << n, 0.5**n)), n)
    grid = (np.arange(4000) + 0.5) / 4000
    total = 0.0
    for bit in range(n):
        ones = float(d.weights @ d.bits[:, bit])
        total += np.log(np.mean(grid**ones * (1 - grid) ** (d.shots - ones)))
    assert product_evidence(d.bits, d.weights).evidence == pytest.approx(total, rel=1e-4)


def test_even_flips_are_a_string_and_wild_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    n, string = 10, np.arange(10) % 2 == 0
    even = rng.random((5000, n)) < 0.25
    wild = rng.random((5000, n)) < rng.uniform(0.02, 0.5, n)
    found = [single_string(flips ^ string, np.ones(5000)) for flips in (even, wild)]
    assert found[0][0].tolist() == string.tolist()
    assert found[0][1] > 2
    assert found[1][1] < 0


@pytest.mark.parametrize("shots", [1.0, 2.0**53, 9e18])
def test_a_single_string_of_any_number_of_shots_has_odds(shots):
    assert np.isfinite(single_string(np.array([[True, False]]), np.array([shots]))[1])


def test_structure_beyond_a_product_is_measured_in_standard_deviations() -> None:
    rng = np.random.default_rng(5)
    product = np.ones(1)
    for one in rng.uniform(0.2, 0.8, 7):
        product = np.kron(product, [1 - one, one])
    scores = []
    for _ in range(200):
        scores.append(beyond_product(rng.multinomial(4000, product / product.sum()).astype(float)))
    assert abs(np.mean(scores)) < 0.5
    assert 0.7 < np.std(scores) < 1.5
    assert beyond_product(4000 * (0.8 * product + 0.2 * np.eye(128)[5])) > 5
