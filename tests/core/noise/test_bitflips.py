import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.bits import format_bitstrings, index_bits
from qcluster.core.noise.bitflips import ObservedFlips, as_rates, log_likelihood
from tests import oracle
from tests.core.dense.oracle_deconvolve import dense_channel

widths = st.integers(1, 6)


@given(widths, st.data())
def test_likelihood_agrees_with_the_definition(n_bits, data):
    rates = data.draw(st.lists(st.tuples(st.floats(0, 0.49), st.floats(0, 0.49)), min_size=n_bits, max_size=n_bits))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rows, sent = rng.random((5, n_bits)) < 0.5, rng.random((3, n_bits)) < 0.5
    found = np.exp(log_likelihood(rows, sent, as_rates(rates, n_bits)))
    in_text_order = list(reversed(rates))
    wanted = [
        [oracle.read_probability(y, x, in_text_order) for x in format_bitstrings(sent)] for y in format_bitstrings(rows)
    ]
    assert found == pytest.approx(np.array(wanted), abs=1e-12)


@given(widths, st.floats(0, 0.5))
def test_each_row_of_the_channel_sums_to_one(n_bits, rate):
    everything = np.array(np.meshgrid(*[[False, True]] * n_bits)).reshape(n_bits, -1).T
    assert np.exp(log_likelihood(everything, everything, as_rates(rate, n_bits))).sum(axis=0) == pytest.approx(1)


def test_one_shape_for_all_rates():
    assert as_rates(0.1, 3).tolist() == [[0.1, 0.1]] * 3
    assert as_rates([0.1, 0.2], 2).tolist() == [[0.1, 0.1], [0.2, 0.2]]
    assert as_rates([[0.1, 0.2], [0.3, 0.6]], 2).tolist() == [[0.1, 0.2], [0.3, 0.6]]
    assert not as_rates(0.1, 3).flags.writeable


@pytest.mark.parametrize(
    ("rates", "error", "said"),
    [
        (0.7, ValueError, r"\[0, 0.5\]; got 0.7 for bit 0"),
        ([0.1, 0.1, -0.1], ValueError, "got -0.1 for bit 2"),
        ([0.1, float("nan"), 0.1], ValueError, "got nan for bit 1"),
        ([[0.5, 0.5], [0.1, 0.1], [0.1, 0.1]], ValueError, r"less than 1; got \(0.5, 0.5\) for bit 0"),
        ([0.1, 0.1], ValueError, r"got shape \(2,\)"),
        ([[0.1, 0.1]], ValueError, r"got shape \(1, 2\)"),
        ([0.1, None, 0.1], TypeError, "must be numbers; got"),
        (np.array([0.1 + 1j, 0.1, 0.1]), TypeError, "must be numbers; got array"),
        (np.array([False, False, False]), TypeError, "must be numbers; got array"),
        (np.zeros(3, dtype="m8[s]"), TypeError, "must be numbers; got array"),
        ("often", TypeError, "must be numbers; got 'often'"),
        ([[0.1], [0.1, 0.2], 0.3], TypeError, "must be numbers"),
        (float("inf"), ValueError, "got inf"),
        (10**400, ValueError, r"rates must lie in \[0, 0.5\]; got 1000"),
        ([[0.1, 10**400], [0.1, 0.1], [0.1, 0.1]], ValueError, r"rates must lie in \[0, 0.5\]; got "),
    ],
)
def test_wrong_rates_are_named(rates, error, said):
    with pytest.raises(error, match=said):
        as_rates(rates, 3)


@pytest.mark.parametrize("n", [3, 6])
def test_flips_onto_observed_strings_are_rows_of_the_dense_matrix(n):
    rng = np.random.default_rng(n)
    rates = rng.uniform(0.01, 0.4, 2)
    read, sent = rng.choice(1 << n, 5, replace=False), rng.choice(1 << n, 4, replace=False)
    noise = ObservedFlips(index_bits(read, n), index_bits(sent, n), rates, 3)
    vectors, back = rng.random((6, 4)), rng.random((6, 5))
    for h in range(2):
        matrix = dense_channel(np.full((n, 2), rates[h]))[np.ix_(read, sent)]
        rows = slice(3 * h, 3 * h + 3)
        np.testing.assert_allclose(noise.forward(vectors)[rows], vectors[rows] @ matrix.T, rtol=1e-5)
        np.testing.assert_allclose(noise.adjoint(back)[rows], back[rows] @ matrix, rtol=1e-5)


@pytest.mark.parametrize("text", ["0.1", b"0.1", ["0.1", "0.2"], [0.1, "0.2"], np.array(["0.1", 0.2], dtype=object)])
def test_text_is_no_rate(text):
    with pytest.raises(TypeError, match="rates must be numbers; got "):
        as_rates(text, 2)
