import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import hellinger_fidelity as qiskit_fidelity

from qcluster.core.counts import metrics
from qcluster.core.counts.distribution import Distribution
from tests.strategies import counts

pairs = st.integers(1, 6).flatmap(lambda n: st.tuples(counts(n, n), counts(n, n)))


@given(pairs)
def test_fidelity_agrees_with_qiskit(pair):
    assert metrics.hellinger_fidelity(*pair) == pytest.approx(qiskit_fidelity(*pair), abs=1e-9)


@given(pairs)
def test_distances_are_bounded_and_symmetric(pair):
    p, q = pair
    assert metrics.hellinger_fidelity(p, p) == pytest.approx(1)
    assert metrics.total_variation(p, p) == 0
    for metric in (metrics.hellinger_fidelity, metrics.total_variation):
        assert 0 <= metric(p, q) <= 1
        assert metric(p, q) == pytest.approx(metric(q, p))
    overlap = metrics.hellinger_fidelity(p, q) ** 0.5
    assert 1 - overlap <= metrics.total_variation(p, q) + 1e-9 <= (1 - overlap**2) ** 0.5 + 2e-9


def test_known_values():
    assert metrics.total_variation({"0": 1}, {"1": 1}) == 1
    assert metrics.success_probability({"00": 3, "01": 1}, {"00": 1, "11": 1}) == 0.75
    assert metrics.entropy({"0": 1}) == 0
    assert metrics.entropy({"00": 1, "11": 1}) == 1
    assert metrics.entropy({"00": 1, "11": 1}, normalised=True) == 0.5
    assert metrics.entropy(Distribution.of({"00": 1, "11": 1}).marginal([]), normalised=True) == 0
    with pytest.raises(ValueError, match="one width"):
        metrics.hellinger_fidelity({"0": 1}, {"00": 1})
    with pytest.raises(ValueError, match="normalised must be True or False; got 'no'"):
        metrics.entropy({"0": 1}, normalised="no")


@pytest.mark.parametrize("ideal", [{0: 0.5, 3: 0.5}, {"0x0": 0.5, "0x3": 0.5}, {"000": 0.5, "011": 0.5}])
def test_keys_that_are_numbers_have_the_width_of_the_other(ideal):
    counted = {"000": 60, "011": 30, "111": 10}
    for metric in (metrics.hellinger_fidelity, metrics.total_variation):
        assert metric(counted, ideal) == metric(ideal, counted) == metric(counted, {"000": 0.5, "011": 0.5})
    assert metrics.success_probability(counted, ideal) == pytest.approx(0.9)
    assert metrics.total_variation({0: 1}, {4: 1}) == 1
    with pytest.raises(ValueError, match="one width to be compared; got 3 and 4 bits"):
        metrics.hellinger_fidelity(counted, {8: 1})
