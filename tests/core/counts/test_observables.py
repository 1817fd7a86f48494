"""Diagonal observables of every kind, against sums over strings written out."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.circuit import Parameter
from qiskit.quantum_info import Pauli, SparseObservable, SparsePauliOp, Statevector

import qcluster as qc
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.observables import diagonal
from qcluster.core.mitigation import left
from tests.strategies import counts

pauli_sums = st.integers(1, 5).flatmap(
    lambda n: st.dictionaries(st.text("IZ", min_size=n, max_size=n), st.floats(-3, 3), min_size=1, max_size=5)
)


def slow_value(terms: dict[str, float], string: str) -> float:
    signs = [(-1) ** sum(b == "1" and p == "Z" for b, p in zip(string, term, strict=True)) for term in terms]
    return sum(sign * value for sign, value in zip(signs, terms.values(), strict=True))


@given(pauli_sums, st.data())
def test_dict_operator_and_array_say_the_same(terms, data):
    n = len(next(iter(terms)))
    held = Distribution.of(data.draw(counts(min_bits=n, max_bits=n)))
    wanted = sum(p * slow_value(terms, string) for string, p in held.to_probs().items())
    square = sum(p * slow_value(terms, string) ** 2 for string, p in held.to_probs().items())
    array = [slow_value(terms, format(y, f"0{n}b")) for y in range(2**n)]
    for kind in (terms, SparsePauliOp(list(terms), list(terms.values())), np.array(array), array):
        found = held.expectation(kind)
        assert found.value == pytest.approx(wanted, abs=1e-9)
        assert found.standard_error == pytest.approx(np.sqrt(max(0, square - wanted**2) / held.shots), abs=1e-6)
        one = diagonal(kind, n)
        assert one.low - 1e-9 <= min(array)
        assert max(array) <= one.high + 1e-9


def test_qiskit_agrees_bit_for_bit():
    operator = SparsePauliOp(["IIZ", "IZI", "ZZI", "III"], [1.0, 2.0, 4.0, 8.0])
    state = Statevector.from_label("101")
    assert Distribution.of({"101": 7}).expectation(operator).value == pytest.approx(
        state.expectation_value(operator).real
    )


def test_one_pauli_is_its_label():
    held = Distribution.of({"001": 3, "110": 1})
    assert held.expectation(Pauli("IZZ")) == held.expectation("IZZ")
    for wrong, said in ("XII", "diagonal"), ("-XII", "diagonal"), ("ZI", "3 letters"), ("-ZI", "3 letters I or Z"):
        with pytest.raises(ValueError, match=said):
            held.expectation(Pauli(wrong))


@pytest.mark.parametrize("letters", ["IZZ", "ZII", "III", "ZZZ"])
def test_a_pauli_has_its_sign(letters):
    held = Distribution.of({"001": 3, "110": 1})
    minus = Pauli(f"-{letters}")
    assert held.expectation(minus).value == -held.expectation(letters).value
    assert held.expectation(minus) == held.expectation(SparsePauliOp(minus))
    assert held.expectation(-minus) == held.expectation(letters)
    one = diagonal(minus, 3)
    assert (one.low, one.high) == ((-1.0, -1.0) if letters == "III" else (-1.0, 1.0))
    for phase in "i", "-i":
        with pytest.raises(
            ValueError, match=f"phase of an observable must be 1 or -1; got {phase} in '{phase}{letters}'"
        ):
            held.expectation(Pauli(phase + letters))


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.tuples(st.text("IZ01", min_size=n, max_size=n), st.floats(-3, 3)), min_size=1, max_size=4)
    ),
    st.data(),
)
def test_projectors_are_sums_of_paulis(terms, data):
    n = len(terms[0][0])
    held = Distribution.of(data.draw(counts(min_bits=n, max_bits=n)))
    observable = SparseObservable.from_list(terms)
    paulis = SparsePauliOp.from_sparse_observable(observable.as_paulis())
    assert held.expectation(observable) == pytest.approx(held.expectation(paulis), abs=1e-6)
    one = diagonal(observable, n)
    values = one.values(held.words)
    assert one.low - 1e-9 <= values.min()
    assert values.max() <= one.high + 1e-9


def test_a_projector_on_many_bits_is_one_term():
    """As a sum of Paulis it would have 2^70 terms."""
    held = Distribution.of({"0" * 70: 3, "1" * 70: 1})
    assert held.expectation(SparseObservable("0" * 70)) == held.expectation("0" * 70)
    found = diagonal(SparseObservable.from_list([("1" + "I" * 68 + "Z", 2.0), ("+" * 70, 0.0)]), 70)
    assert (found.low, found.high, found.values(held.words).tolist()) == (-2.0, 2.0, [0.0, -2.0])
    assert held.expectation(SparseObservable.zero(70)) == (0.0, 0.0)


def test_phases_and_terms_of_weight_zero():
    minus = SparsePauliOp.from_list([("ZI", 1.0)]) * -1
    assert Distribution.of({"00": 1}).expectation(minus).value == -1
    faded = SparsePauliOp(["XI", "ZI"], [0.0, 2.0])
    assert Distribution.of({"00": 1}).expectation(faded).value == 2


def test_values_may_be_numbers_of_any_kind():
    """Whole numbers beyond 64 bits, fractions and decimals made arrays of objects, and were said to be no numbers."""
    held = Distribution.of({"0": 3, "1": 1})
    for value in (Fraction(1, 2), Decimal("0.5"), 2**70):
        assert held.expectation({"Z": value}) == held.expectation({"Z": float(value)})
        assert held.expectation([value, 0]) == held.expectation([float(value), 0])


def test_a_bitstring_is_its_probability():
    held = Distribution.of({"001": 3, "110": 1})
    assert held.expectation("001") == pytest.approx((0.75, np.sqrt(0.75 * 0.25 / 4)))
    assert held.expectation("111").value == 0


def test_wide_registers():
    held = Distribution.of({"1" + "0" * 129: 3, "0" * 130: 1})
    assert held.expectation("Z" + "I" * 129).value == -0.5
    assert held.expectation({"Z" * 130: 2.0}).value == -1.0
    assert held.expectation("1" + "0" * 129).value == 0.75


def test_parities_over_several_words_are_those_of_the_bits():
    rng = np.random.default_rng(0)
    held = Distribution(rng.random((50, 200)) < 0.5, np.arange(1.0, 51.0))
    for z in (rng.random(200) < 0.5, np.arange(200) == 64, np.arange(200) > 190, np.zeros(200, dtype=bool)):
        signs = 1 - 2 * (held.bits[:, z].sum(axis=1) % 2)
        term = "".join(np.where(z[::-1], "Z", "I"))
        assert held.expectation({term: 1.0}).value == pytest.approx(held.probabilities @ signs, abs=1e-12)


@pytest.mark.parametrize(
    ("observable", "error", "said"),
    [
        ("XII", ValueError, "diagonal in the measured basis; got 'XII'"),
        ("ZYI", ValueError, "got 'ZYI'"),
        ("ZZ", ValueError, "3 letters I or Z; got 'ZZ'"),
        ("01", ValueError, "must be 3 bits, or 3 letters I or Z; got '01'"),
        ("0Z1", ValueError, "3 letters I or Z"),
        ("", ValueError, "3 letters I or Z"),
        ({}, ValueError, "at least one term"),
        ({"ZZI": 1, "XII": 2}, ValueError, "got 'XII'"),
        ({"ZZI": 1, 3: 2}, TypeError, "got 3"),
        ({"ZZI": "2"}, TypeError, "must be numbers"),
        ({"ZZI": None}, TypeError, "must be numbers"),
        ({"ZZI": True}, TypeError, r"must be numbers; got \[True\]"),
        ({"ZZI": [1.0], "IIZ": [2.0]}, TypeError, r"each term of an observable must have one number; got \[1.0\]"),
        ({"ZZI": [1.0, np.inf]}, TypeError, r"each term of an observable must have one number; got \[1.0, inf\]"),
        ({"ZZI": 1.0, "IIZ": np.ones(2)}, TypeError, "each term of an observable must have one number; got array"),
        (np.ones(8, dtype="m8[s]"), TypeError, "must be numbers; got array"),
        ({"ZZI": float("nan")}, ValueError, "real and finite; got nan for 'ZZI'"),
        ({"ZZI": 10**400}, TypeError, "must be numbers"),
        ({"ZZI": 1 + 2j}, ValueError, "real and finite"),
        (np.ones(4), ValueError, r"2\*\*3 values, one a string; got shape \(4,\)"),
        (np.eye(8), ValueError, r"got shape \(8, 8\)"),
        ([[1, 2], [3]], TypeError, "must be numbers"),
        (np.full(8, np.inf), ValueError, "got inf for string 0"),
        (SparsePauliOp(["ZZ"]), ValueError, "3 qubits, one a classical bit; got 2"),
        (SparseObservable("ZZ"), ValueError, "3 qubits, one a classical bit; got 2"),
        (SparseObservable("1Z+"), ValueError, r"3 letters I, Z, 0 or 1, diagonal in .* got '1Z\+'"),
        (SparseObservable.from_list([("Z1I", 1j)]), ValueError, "real and finite; got 1j for term 0"),
        (SparsePauliOp(["ZZI", "IXY"], [1, 2]), ValueError, "got 'IXY'"),
        (SparsePauliOp(["ZZI"], [1j]), ValueError, "real and finite"),
        (SparsePauliOp(["ZZI"], np.array([Parameter("a")], dtype=object)), TypeError, "bind its parameters"),
        (3, TypeError, "got int"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_other_observables_are_refused(observable, error, said):
    with pytest.raises(error, match=said):
        Distribution.of({"001": 3}).expectation(observable)


def test_a_diagonal_of_a_wide_register_is_refused_unbuilt():
    with pytest.raises(ValueError, match=r"2\*\*100 values"):
        Distribution.of({"0" * 100: 1}).expectation(np.ones(4))


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e-163, 1e-155, 1e155, 1e200, 1e307])
@pytest.mark.parametrize("method", ["none", "mixture"])
def test_averages_of_tiny_and_huge_values_are_those_of_ordinary_ones_in_their_unit(size, method):
    """Squares below 1e-324 are 0 and those above 1e308 infinite: intervals divided by zero, or had no ends."""
    counts = {"00": 600, "01": 30, "10": 20, "11": 350}
    fixed = qc.mitigate(counts, guard=False) if method == "mixture" else left(Distribution.of(counts), "none", "asked")
    for terms in ({"ZZ": 1.0, "IZ": -2.0}, np.array([0.0, 1.0, -3.0, 2.0])):
        scaled = {k: v * size for k, v in terms.items()} if isinstance(terms, dict) else terms * size
        with np.errstate(all="raise", under="ignore"):
            found, wanted = fixed.interval(scaled), fixed.interval(terms)
            mean, other = fixed.raw.expectation(scaled), fixed.raw.expectation(terms)
        close = {"rel": 1e-9, "abs": 1.01 * 5e-324}
        for name in ("value", "low", "high", "standard_error"):
            assert getattr(found, name) == pytest.approx(getattr(wanted, name) * size, **close)
        assert tuple(mean) == pytest.approx(tuple(part * size for part in other), **close)


def test_coefficients_that_add_up_beyond_numbers_are_refused():
    with pytest.raises(ValueError, match="must add up to a finite number"):
        Distribution.of({"00": 1}).expectation({"ZI": 1e308, "IZ": 1e308})
