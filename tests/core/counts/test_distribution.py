import json
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qcluster.core.counts.distribution import Distribution, align, whole_shots
from qcluster.core.counts.metrics import entropy
from tests.strategies import counts


@given(counts())
def test_counts_come_back(given_counts):
    held = Distribution.of(given_counts)
    assert held.to_counts() == dict(sorted(given_counts.items()))
    assert held.shots == sum(given_counts.values())
    assert list(held.to_probs()) == sorted(given_counts)
    assert sum(held.to_probs().values()) == pytest.approx(1)


@given(counts(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(given_counts, random):
    rows = list(given_counts.items())
    random.shuffle(rows)
    assert Distribution.of(dict(rows)) == Distribution.of(given_counts)


def test_rows_are_merged_sorted_and_dropped_when_empty():
    bits = np.array([[1, 1], [0, 1], [1, 1], [1, 0]], dtype=bool)
    held = Distribution(bits, [1, 2, 3, 0])
    assert held.to_counts() == {"10": 2, "11": 4}


def test_arrays_are_read_only_and_the_callers_are_left_alone():
    bits, weights = np.array([[False], [True]]), np.array([1.0, 2.0])
    held = Distribution(bits, weights)
    for array in (held.bits, held.weights, held.words):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    bits[0], weights[0] = True, 5
    assert held.to_counts() == {"0": 1, "1": 2}


def test_bits_that_are_not_unpacked_yet_are_listed():
    assert "bits" in dir(Distribution.of({"01": 3}))


@pytest.mark.parametrize(("shots", "n_bits"), [(0, 2), (0, 0), (3, 0), (3, 2)])
def test_what_is_written_is_read_without_shots_or_bits_too(shots, n_bits):
    """Elsewhere an empty mapping, and a string of no bits, are refused as counts."""
    one = Distribution(np.zeros((shots, n_bits), dtype=bool), np.full(shots, 1.5))
    content = json.loads(one.to_json())
    assert Distribution.of(content) == one
    with pytest.raises(ValueError, match=f"num_bits must be the width of the counts, {n_bits}; got 7|must have 7 bits"):
        Distribution.of(content, num_bits=7)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"counts": {"0": 3}, "n_bits": 0}, "counts of 0 bits must be shots of the key ''; got"),
        ({"counts": 3, "n_bits": 0}, "counts of 0 bits must be shots of the key ''; got 3"),
        ({"counts": {"": -1}, "n_bits": 0}, "weights must be finite and not negative; got -1"),
        ({"counts": {}}, "n_bits must be a whole number from 0 to 100000; got None"),
        ({"counts": {"0": 3}, "n_bits": 1, "version": 2}, "must have the version 1, which this qcluster reads; got 2"),
        ({"counts": {"0": 3}, "n_bits": 1, "version": None}, "must have the version 1, .* got None"),
    ],
)
def test_what_is_no_written_distribution_is_refused(more, said):
    with pytest.raises(ValueError, match=said):
        Distribution.of({"format": "qcluster-distribution", "version": 1, **more})


def test_an_empty_distribution_keeps_its_width():
    empty = Distribution(np.zeros((0, 5), dtype=bool), np.zeros(0))
    assert (empty.n_bits, empty.n_outcomes, empty.shots, empty.to_probs(), empty.top(3)) == (5, 0, 0.0, {}, {})
    assert (Distribution.of({"00000": 1}) + empty).to_counts() == {"00000": 1}


@pytest.mark.parametrize(
    ("bits", "weights", "said"),
    [
        (np.zeros((2, 2), dtype=bool), [1], r"got bool \(2, 2\) and \(1,\)"),
        (np.zeros((1, 2)), [1], "got float64"),
        (np.zeros((1, 2), dtype=bool), [-1], "not negative; got -1.0 for row 0"),
        (np.zeros((1, 2), dtype=bool), [np.nan], "finite"),
    ],
)
def test_wrong_arrays_are_refused(bits, weights, said):
    with pytest.raises(ValueError, match=said):
        Distribution(bits, weights)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"00": 1}, r"got dict alone: read counts by Distribution\.of\(counts\)"),
        (["00", "11"], r"got list alone: read counts by Distribution\.of\(counts\)"),
        (np.zeros((2, 3), dtype=bool), r"got ndarray alone: weights np\.ones\(n\) make each row a shot"),
    ],
)
def test_counts_that_the_class_does_not_read_are_sent_to_of(source, said):
    with pytest.raises(TypeError, match=said):
        Distribution(source)


@pytest.mark.parametrize(
    "weights",
    [
        ["1", "2"],
        np.array(["1", "2"]),
        [True, False],
        np.array([1 + 2j, 2]),
        np.array([1, 2], dtype="m8[s]"),
        [None, 1],
        {0: 1, 1: 2},
        [1, [2]],
    ],
)
def test_weights_are_numbers_however_a_distribution_is_made(weights):
    """NumPy makes numbers of texts, dates and truth values, and drops imaginary parts."""
    rows = np.array([[False], [True]])
    with pytest.raises(TypeError, match="weights must be numbers; got"):
        Distribution(rows, weights)
    with pytest.raises(TypeError, match="weights must be numbers; got"):
        Distribution.from_words(rows.astype(np.uint64), weights, 1)


def test_weights_may_be_numbers_of_any_kind():
    rows = np.array([[False], [True]])
    assert Distribution(rows, [Fraction(1, 2), Decimal(2)]).weights.tolist() == [0.5, 2.0]
    assert Distribution(rows, np.array([1, 2], dtype=np.int8)).weights.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="weights must be finite; got a whole number too large in"):
        Distribution(rows, [10**400, 1])


def test_a_string_whose_probability_vanishes_is_not_in_it():
    """Weights may be 1e-323 beside 10; logarithms of the probability, which is 0, were -inf, and entropies 0."""
    held = Distribution.of({"00": 5e-324, "01": 10, "10": 10})
    assert held.to_probs() == {"01": 0.5, "10": 0.5}
    assert entropy(held) == 1.0
    assert Distribution.of({"0": 5e-324, "1": 1.0}).weights.tolist() == [5e-324, 1.0]


@pytest.mark.parametrize(
    ("words", "weights", "n_bits", "said"),
    [
        ([[1], [0]], [1, 1, 5], 2, r"weights \(n_outcomes,\); got uint64 \(2, 1\) and \(3,\)"),
        ([[8], [0]], [1, 1], 2, "bits below 2; got 8"),
        ([[1, 2], [1, 0]], [1, 1], 65, "bits below 65; got 2"),
        ([[1]], [1], 65, r"\(n_outcomes, 2\) uint64 for 65 bits"),
        ([[0]], [1], -1, "n_bits must be a whole number of at least 0; got -1"),
        ([[1]], [1], 2.0, "n_bits must be a whole number of at least 0; got 2.0"),
        ([[1]], [1], True, "n_bits must be a whole number of at least 0; got True"),
    ],
)
def test_packed_rows_that_do_not_fit_are_refused(words, weights, n_bits, said):
    """Weights without a string were dropped, and bits beyond the width made two rows of one string."""
    with pytest.raises(ValueError, match=said):
        Distribution.from_words(np.array(words, dtype=np.uint64), weights, n_bits)


def test_a_width_of_numpy_is_written_as_any_other():
    held = Distribution.from_words(np.array([[1]], dtype=np.uint64), [1], np.int64(2))
    assert json.loads(held.to_json())["n_bits"] == 2
    with pytest.raises(ValueError, match=r"uint64 for 2 bits .*; got int64 \(1, 1\)"):
        Distribution.from_words([[1]], [1], 2)


def test_pooling_adds_shots_and_needs_one_width():
    pooled = Distribution.of({"01": 3, "10": 1}) + Distribution.of({"10": 2})
    assert pooled.to_counts() == {"01": 3, "10": 3}
    with pytest.raises(ValueError, match="2 and 3 bits"):
        pooled + Distribution.of({"000": 1})
    with pytest.raises(TypeError):
        pooled + {"01": 1}


def test_marginal_takes_bits_in_the_order_asked():
    held = Distribution.of({"001": 5, "100": 3, "110": 2})
    assert held.marginal([0]).to_counts() == {"0": 5, "1": 5}
    assert held.marginal([2, 1]).to_counts() == {"00": 5, "01": 3, "11": 2}
    assert held.marginal([np.uint64(2), np.int64(1)]) == held.marginal([2, 1])
    assert held.marginal(np.array([2, 1])) == held.marginal(bit for bit in (2, 1)) == held.marginal([2, 1])
    for wrong, said in (([3], "got 3"), ([-1], "got -1"), ([0, 0], "named once")):
        with pytest.raises(ValueError, match=said):
            held.marginal(wrong)


@pytest.mark.parametrize(
    ("bits", "came"),
    [([0.7], "0.7"), ("01", "'0'"), ([False, True], "False"), (np.array([False, True]), "False"), (0, "0")],
)
def test_a_marginal_takes_numbers_of_bits_and_no_mask(bits, came):
    with pytest.raises(TypeError, match=f"bits must be .* got .*{came}"):
        Distribution.of({"011": 3, "111": 2}).marginal(bits)


@given(counts(max_bits=5), st.data())
def test_expectation_agrees_with_the_definition(given_counts, data):
    held = Distribution.of(given_counts)
    observable = data.draw(st.text("IZ", min_size=held.n_bits, max_size=held.n_bits))
    signs = {
        string: (-1) ** sum(bit == "1" and pauli == "Z" for bit, pauli in zip(string, observable, strict=True))
        for string in given_counts
    }
    value = sum(signs[string] * count for string, count in given_counts.items()) / held.shots
    estimate = held.expectation(observable)
    assert estimate.value == pytest.approx(value, abs=1e-12)
    assert estimate.standard_error == pytest.approx(np.sqrt(max(0, 1 - value**2) / held.shots), abs=1e-7)


def test_expectation_counts_bit_zero_from_the_right():
    held = Distribution.of({"001": 1})
    assert [held.expectation(pauli).value for pauli in ("IIZ", "ZII", "III")] == [-1, 1, 1]
    for wrong in ("XII", "ZZ", ""):
        with pytest.raises(ValueError, match="3 letters I or Z"):
            held.expectation(wrong)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=30), st.integers(0, 10**6))
def test_whole_shots_sum_and_stay_near(weights, total):
    shots = whole_shots(weights, total)
    exact = np.array(weights) * total / np.sum(weights)
    assert shots.sum() == total
    assert (np.abs(shots - exact) < 1 + 1e-6).all()


@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=40), st.integers(2**53, 2**63 - 2**40))
@example([9, 7, 1, 3] * 10, 9 * 10**18)
def test_whole_shots_sum_where_floats_are_not_exact(weights, total):
    shots = whole_shots(weights, total)
    assert int(shots.sum()) == total
    np.testing.assert_allclose(shots, np.array(weights) * (total / np.sum(weights)), rtol=1e-12, atol=1)


def test_equal_remainders_go_to_the_lower_string():
    assert Distribution.of({"10": 0.5, "01": 0.5}).to_counts() == {"01": 1}


@given(counts(max_bits=4), counts(max_bits=4))
def test_align_keeps_both_supports(one, other):
    left, right = Distribution.of(one), Distribution.of(other)
    if left.n_bits != right.n_bits:
        with pytest.raises(ValueError, match="one width"):
            align(left, right)
        return
    words, p, q = align(left, right)
    made = partial(Distribution.from_words, words, n_bits=left.n_bits)
    assert made(p + q).n_outcomes == len(one.keys() | other.keys()) == len(words)
    assert made(p * left.shots).to_counts() == left.to_counts()
    assert made(q * right.shots).to_counts() == right.to_counts()


def test_top_orders_by_weight_then_value():
    assert list(Distribution.of({"11": 2, "00": 2, "01": 5, "10": 1}).top(3)) == ["01", "00", "11"]
    for wrong in (-1, 2.0, "2", True):
        with pytest.raises(ValueError, match=f"k must be a whole number of at least 0; got {wrong!r}"):
            Distribution.of({"11": 2}).top(wrong)


def test_equality_and_text():
    held = Distribution.of({"00": 1, "11": 2})
    assert held == Distribution.of({"11": 2, "00": 1}) != Distribution.of({"11": 1, "00": 1})
    assert held != {"00": 1, "11": 2}
    assert repr(held) == "Distribution(2 strings of 2 bits, 3 shots)"
    assert repr(Distribution.of({"00": 1_000_000, "11": 234_567})) == "Distribution(2 strings of 2 bits, 1234567 shots)"
    with pytest.raises(TypeError):
        hash(held)


def test_bitstrings_are_looked_up_with_spaces_between_registers_too():
    """As they stand in the counts: `get` found no shot of them."""
    d = Distribution.of({"1 01": 3, "0 10": 1})
    assert d["1 01"] == d["101"] == d.get("1 01", 0.0) == 0.75
    assert "0 10" in d
    assert "0 11" not in d
    assert 5 not in d
    assert d.expectation("1 01").value == 0.75
    assert d.expectation("Z II").value == d.expectation({"Z II": 1.0}).value == -0.5


def test_a_subclass_reads_a_distribution():
    """It took the bitstrings of the distribution for the arguments of `from_words`."""

    class Mine(Distribution):
        pass

    counts = Distribution.of({"00": 6, "11": 4})
    assert Mine.of(counts) == counts
    assert type(Mine.of({"00": 6, "11": 4})) is Mine
