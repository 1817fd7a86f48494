"""Decays of bits, against moving the probability of each string bit by bit."""

import numpy as np
import pytest

from qcluster.core.noise.decay import decay, decays_of


def moved(vector, rates):
    result = vector.copy()
    for bit, rate in enumerate(rates):
        for x in range(len(vector)):
            if (x >> bit & 1) == (rate > 0):
                part = abs(rate) * result[x]
                result[x] -= part
                result[x ^ 1 << bit] += part
    return result


@pytest.mark.parametrize("m", [1, 3, 7, 11])
def test_each_bit_decays_on_its_own(m):
    rng = np.random.default_rng(m)
    rates = rng.uniform(-0.5, 0.5, (2, m))
    rates[:, 0] = 0.0
    vectors, others = rng.random((2, 2**m)), rng.random((2, 2**m))
    for row in range(2):
        decays = decays_of(rates[row : row + 1])
        expected = moved(vectors[row], rates[row])
        np.testing.assert_allclose(decay(vectors[row], decays), expected, atol=1e-12)
        np.testing.assert_allclose(decay(vectors, decays)[row], expected, atol=1e-12)  # one set of rates for all
        np.testing.assert_allclose(decay(vectors, decays_of(rates))[row], expected, atol=1e-12)  # a set for each
        back = decay(others[row], decays, transposed=True)
        assert others[row] @ expected == pytest.approx(vectors[row] @ back)


def test_bits_that_keep_their_value_cost_nothing():
    rates = np.zeros((1, 12))
    assert decays_of(rates) == ()
    rates[0, 7] = 0.1
    ((first, block),) = decays_of(rates)
    assert (first, block.shape) == (5, (1, 32, 32))
