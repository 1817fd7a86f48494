"""Every baseline against a slow, independent version of itself, and the laws they share."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcluster import baselines
from qcluster.baselines import dem, em_uniform, hammer, hammr_l, identity, m3, measure_readout, plurality, qbeep
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.errors import MissingExtra, QClusterError
from tests.baselines import oracle_baselines as oracle

METHODS = {
    "identity": identity,
    "plurality": plurality,
    "hammer": hammer,
    "qbeep": lambda counts: qbeep(counts, 1.3),
    "hammr_l": lambda counts: hammr_l(counts, 0.06),
    "em_uniform": em_uniform,
    "m3": lambda counts: m3(counts, np.full(counts.n_bits, 0.02)),
}


@st.composite
def count_tables(draw, max_bits=7):
    n = draw(st.integers(1, max_bits))
    values = draw(st.dictionaries(st.integers(0, 2**n - 1), st.integers(1, 200), min_size=1, max_size=30))
    return {format(value, f"0{n}b"): count for value, count in values.items()}


def noisy(strings, rate, shots, seed):
    rng = np.random.default_rng(seed)
    sent = Distribution.of(dict.fromkeys(strings, 1)).bits
    rows = sent[rng.integers(len(sent), size=shots)]
    return Distribution(rows ^ (rng.random(rows.shape) < rate), np.ones(shots))


def wide(n_bits, n_outcomes, seed):
    rng = np.random.default_rng(seed)
    return Distribution(rng.random((n_outcomes, n_bits)) < 0.5, rng.integers(1, 60, n_outcomes).astype(float))


def texts(distribution):
    return {text: share * distribution.shots for text, share in distribution.to_probs().items()}


def assert_same(result, expected, tolerance=1e-12):
    got = result.to_probs()
    for key in got.keys() | expected.keys():
        assert got.get(key, 0.0) == pytest.approx(expected.get(key, 0.0), abs=tolerance)


@given(count_tables())
@settings(max_examples=60, deadline=None)
def test_hammer_is_the_formula(counts):
    assert_same(hammer(counts), oracle.hammer(counts))


@given(count_tables(), st.floats(0.05, 6))
@settings(max_examples=60, deadline=None)
def test_qbeep_follows_each_flow(counts, errors):
    assert_same(qbeep(counts, errors), oracle.qbeep(counts, errors))


def test_qbeep_is_its_authors_program_up_to_whole_shots():
    """Counts and mean of their own example, by hand; and where shots are many, rounding does not matter."""
    assert oracle.qbeep({"010101": 100, "010111": 25}, 0.1, whole=True) == {"010101": 119 / 125, "010111": 6 / 125}
    many = {text: 10**7 * count for text, count in texts(noisy(["00000", "10110"], 0.08, 2000, seed=9)).items()}
    assert_same(qbeep(many, 1.4), oracle.qbeep(many, 1.4, whole=True), 1e-6)


@given(count_tables(), st.floats(0.001, 0.45))
@settings(max_examples=60, deadline=None)
def test_richardson_lucy_is_the_formula(counts, rate):
    assert_same(hammr_l(counts, rate), oracle.hammr_l(counts, rate), 1e-9)


@pytest.mark.parametrize(("n_bits", "n_outcomes"), [(9, 200), (14, 80), (70, 60), (300, 40)])
def test_wide_and_dense_agree_with_the_oracles(n_bits, n_outcomes):
    counts = wide(n_bits, n_outcomes, seed=5)
    table = texts(counts)
    assert_same(hammer(counts), oracle.hammer(table))
    assert_same(qbeep(counts, 2.5), oracle.qbeep(table, 2.5))
    assert_same(hammr_l(counts, 0.1, rounds=5), oracle.hammr_l(table, 0.1, rounds=5), 1e-9)


@pytest.mark.parametrize("rate", [None, 0.08])
def test_em_is_explicit_responsibilities(rate):
    counts = noisy(["000000", "110011"], 0.06, 3000, seed=2)
    fixed = em_uniform(counts, rate, rounds=12)
    assert 2 <= fixed.n_outcomes < counts.n_outcomes
    assert_same(fixed, oracle.em_uniform(texts(counts), list(texts(fixed)), rate, 12), 1e-9)


def test_m3_inverts_the_readout_channel():
    sent, up, down = np.array([0.7, 0.0, 0.0, 0.3]), 0.03, 0.08
    one = np.array([[1 - up, down], [up, 1 - down]])
    seen = np.kron(one, one) @ sent
    counts = {format(i, "02b"): 1e6 * p for i, p in enumerate(seen)}
    assert_same(m3(counts, [(up, down)] * 2, distance=2), {"00": 0.7, "11": 0.3}, 1e-5)


def test_m3_is_mthree_with_the_bits_in_place():
    import mthree

    counts = noisy(["0011", "1000"], 0.05, 2000, seed=3)
    rates = np.array([[0.01, 0.02], [0.03, 0.05], [0.0, 0.1], [0.06, 0.02]])
    direct = mthree.M3Mitigation()
    direct.cals_from_matrices([np.array([[1 - a, b], [a, 1 - b]], dtype=np.float32) for a, b in rates])
    quasi = direct.apply_correction(counts.to_counts(), [0, 1, 2, 3])
    assert_same(m3(counts, rates), dict(quasi.nearest_probability_distribution()), 1e-6)


def test_readout_is_measured_as_an_m3_user_does():
    """Calibration circuits on a simulator whose readout errors are known; the order of bits is the caller's."""
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, ReadoutError

    model, known = NoiseModel(), {0: (0.02, 0.10), 1: (0.0, 0.0), 2: (0.06, 0.03)}
    for qubit, (up, down) in known.items():
        model.add_readout_error(ReadoutError([[1 - up, up], [down, 1 - down]]), [qubit])
    backend = AerSimulator(noise_model=model, n_qubits=3, seed_simulator=5)
    measured = measure_readout(backend, [2, 0], shots=20_000)
    assert measured == pytest.approx(np.array([known[2], known[0]]), abs=0.01)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_shots_and_support(name):
    counts = noisy(["00000000", "10110100", "11110000"], 0.05, 5000, seed=4)
    fixed = METHODS[name](counts)
    assert fixed.shots == pytest.approx(counts.shots)
    assert fixed.n_bits == counts.n_bits
    assert set(fixed.to_probs()) <= set(counts.to_probs())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("counts", [None, {"0": 5}, {"1": 1}, {"0110": 7}, {"00": 1, "11": 1}])
def test_every_method_survives_the_edges(name, counts):
    observed = Distribution.of(counts) if counts else Distribution(np.zeros((0, 3), dtype=bool), np.zeros(0))
    fixed = METHODS[name](observed)
    assert fixed.shots == pytest.approx(observed.shots)
    assert fixed.n_bits == observed.n_bits
    if observed.n_outcomes == 1:
        assert fixed == observed


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"m3", "identity"}))
def test_relabelling_qubits_relabels_the_answer(name):
    counts = noisy(["000000", "101100"], 0.07, 4000, seed=6)
    order = [3, 1, 5, 0, 2, 4]
    assert_same(METHODS[name](counts.marginal(order)), METHODS[name](counts).marginal(order).to_probs(), 1e-9)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"identity", "plurality"}))
def test_each_method_helps_on_its_own_ground(name):
    """Two distant strings behind independent flips at 3 %: every method must beat the raw counts there."""
    counts = noisy(["0000000", "1111111"], 0.03, 8000, seed=7)
    ideal = {"0000000": 1, "1111111": 1}
    assert hellinger_fidelity(METHODS[name](counts), ideal) > hellinger_fidelity(counts, ideal) + 0.05


def test_plurality_takes_the_lowest_of_equals():
    assert plurality({"10": 4, "01": 4, "11": 1}).to_counts() == {"01": 9}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: qbeep({"0": 1}, -1.0), "expected_errors"),
        (lambda: qbeep({"0": 1}, float("nan")), "expected_errors"),
        (lambda: hammr_l({"0": 1}, 0.5), "rate"),
        (lambda: em_uniform({"0": 1}, -0.1), "rate"),
        (lambda: hammr_l({"00": 1}, [0.1, 0.1]), r"rate must be one number in \[0, 0.5\); got \[0.1, 0.1\]"),
        (lambda: em_uniform({"0": 1}, "0.1"), r"rate must be one number in \[0, 0.5\); got '0.1'"),
        (lambda: dem({"0": 1}, {"0": 9}, "0", truncation="0.1"), r"truncation must be a number in \[0, 1\); got '0.1'"),
        (lambda: hammr_l({"0": 1}, False), r"rate must be one number in \[0, 0.5\); got False"),
        (lambda: dem({"0": 1}, {"0": 9}, "0", truncation=1), r"truncation must be a number in \[0, 1\); got 1"),
        (lambda: m3({"00": 1}, [0.1]), "shape"),
        (lambda: m3({"00": 1}, [0.1, 1.2]), r"\[0, 1\]"),
        (lambda: m3({"0": 1}, [10**400]), r"readout errors must lie in \[0, 1\]; got \[1000"),
        (lambda: m3({"001": 13, "010": 10, "100": 45, "101": 1, "110": 25, "111": 37}, [0.49995] * 3), "far enough"),
        (lambda: m3({"0" * 1000: 9, "1" * 1000: 1}, [0.1] * 1000), "and strings short enough, .* for bit 0 of 1000"),
        (lambda: hammr_l({"0" * 897: 1}, 0.1), "at most 896 bits; got 897"),
        (lambda: em_uniform({"0" * 2000: 1}), "at most 896 bits; got 2000"),
        (lambda: m3({"00": 1, "11": 1}, [0.1, 0.5]), r"must not sum to 1, .* got \(0.5, 0.5\) for bit 1"),
    ],
)
def test_callers_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "readout", [["0.1"], [None], np.array([0.1 + 1j]), np.array([False]), {"0": 0.1}, [0.1, [0.2, 0.3]], "0.1"]
)
def test_readout_errors_are_numbers(readout):
    with pytest.raises(TypeError, match="readout errors must be numbers; got "):
        m3({"0": 90, "1": 10}, readout)


def test_fractions_are_rates_and_expected_errors():
    counts, tenth = {"00": 81, "01": 9, "10": 9, "11": 1}, Fraction(1, 10)
    for method in (qbeep, hammr_l, em_uniform):
        assert method(counts, tenth) == method(counts, 0.1)
    assert m3(counts, [tenth, tenth]) == m3(counts, [0.1, 0.1])


def test_rounds_of_a_short_kind_of_number_do_not_overflow():
    """One more than np.uint8(255) is 0: there were no rounds."""
    counts = {"000": 70, "001": 10, "010": 10, "100": 10}
    assert qbeep(counts, 0.5, rounds=np.uint8(255)) == qbeep(counts, 0.5, rounds=255)
    assert m3(counts, [0.1] * 3, distance=np.uint8(2)) == m3(counts, [0.1] * 3, distance=2)


def test_all_names_are_exported():
    assert set(baselines.__all__) == {*METHODS, "dem", "measure_readout"}  # dem has counts of a reference, too


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        hammer,
        lambda counts: qbeep(counts, 1.5, rounds=1),
        lambda counts: hammr_l(counts, 0.05, rounds=1),
        lambda counts: em_uniform(counts, rounds=2),
    ],
    ids=["hammer", "qbeep", "hammr_l", "em_uniform"],
)
def test_hundred_thousand_strings_fit_in_memory(method):
    import tracemalloc

    counts = wide(40, 100_000, seed=8)
    tracemalloc.start()
    fixed = method(counts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fixed.shots == pytest.approx(counts.shots)
    assert peak < 6e8


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mthree", None)
    with pytest.raises(MissingExtra, match=r"mthree is not installed; in a checkout: pip install '.\[bench\]'"):
        m3({"00": 60, "11": 40}, [0.02, 0.02])
    assert issubclass(MissingExtra, QClusterError)
    assert issubclass(MissingExtra, ImportError)
