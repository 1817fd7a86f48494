"""Walsh transforms against their definition, and the law of the linear index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.bits import pack
from qcluster.core.stats.walsh import LinearIndex, walsh


@pytest.mark.parametrize("m", [0, 1, 4, 5, 6, 7, 11, 12])
def test_walsh_is_the_sum_over_signs(m):
    vector = np.random.default_rng(m).random(2**m)
    k = np.arange(2**m)
    signs = 1 - 2 * (np.bitwise_count(k[:, None] & k[None, :]) % 2).astype(float)
    np.testing.assert_allclose(walsh(vector), signs @ vector, atol=1e-9)
    np.testing.assert_allclose(walsh(walsh(vector)) / 2**m, vector, atol=1e-12)


@pytest.mark.parametrize("m", [0, 1, 3, 4, 5, 6, 9])
def test_the_transform_of_a_vector_does_not_depend_on_those_beside_it(m):
    vectors = np.random.default_rng(m).normal(size=(7, 2**m))
    np.testing.assert_array_equal(walsh(vectors), [walsh(vector) for vector in vectors])
    assert walsh(vectors[:0]).shape == (0, 2**m), "there may be none"


@pytest.mark.parametrize("m", [0, 1, 6])
def test_the_transform_is_an_array_of_its_own(m):
    vector = np.ones(1 << m)
    walsh(vector)[:] = 7
    assert (vector == 1).all()


def test_the_precision_may_be_chosen():
    """Of 16 digits and more it is single by itself, which is a millionth here."""
    vector = np.random.default_rng(0).normal(size=2**16)
    errors = [np.abs(walsh(walsh(vector, kind), kind) / 2**16 - vector).max() for kind in (None, np.float64)]
    assert errors[1] < 1e-14 < 1e-8 < errors[0]


@given(n=st.integers(1, 130), m=st.integers(1, 12), seed=st.integers(0, 9))
def test_index_of_an_xor_is_the_xor_of_indices(n, m, seed):
    index = LinearIndex(n, m)
    rng = np.random.default_rng(seed)
    x, y = (pack(rng.random((20, n)) < 0.5) for _ in range(2))
    np.testing.assert_array_equal(index.of(x ^ y), index.of(x) ^ index.of(y))
    assert index.of(x).max() < index.size
    if index.exact:
        np.testing.assert_array_equal(index.of(x), x[:, 0].astype(int))
