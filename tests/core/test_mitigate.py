from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from qiskit.primitives import BitArray

import qcluster as qc
from qcluster.core.methods.registry import every, find
from qcluster.core.noise.faults import FaultMasks
from tests.strategies import counts

COUNTS = {"000": 430, "001": 70, "110": 60, "111": 440}


def ghz(n_bits: int, rate: float, shots: int, seed: int) -> qc.Distribution:
    """A GHZ output with independent flips."""
    rng = np.random.default_rng(seed)
    sent = np.repeat(rng.random((shots, 1)) < 0.5, n_bits, axis=1)
    return qc.Distribution(sent ^ (rng.random((shots, n_bits)) < rate), np.ones(shots))


def test_the_outcome_tells_what_was_done():
    fixed = qc.mitigate(COUNTS, 0.08, method="paper")
    assert (fixed.method, fixed.applied, fixed.share) == ("paper", True, 1.0)
    assert fixed.confidence is None or 0 <= fixed.confidence <= 1
    assert fixed.centroids.shape == (len(fixed.weights), 3)
    assert fixed.rates.tolist() == [[0.08, 0.08]] * 3
    assert fixed.raw.to_counts() == COUNTS
    assert "at flips of 8.0% per bit" in fixed.reason
    assert "paper" in repr(fixed)
    assert sorted(fixed.weights.tolist(), reverse=True) == fixed.weights.tolist()


def test_parameter_sets_are_pooled_and_the_verdict_says_so():
    """A sweep was answered as one circuit, with no word."""
    samples = ["000"] * 400 + ["111"] * 400
    swept = BitArray.from_samples(samples).reshape(2, 400)
    assert qc.mitigate(swept).reason.endswith("; the shots of 2 parameter sets are pooled")
    assert "pooled" not in qc.mitigate(BitArray.from_samples(samples)).reason
    assert "pooled" not in qc.mitigate(swept[0]).reason


def test_asymmetric_rates_are_kept():
    rates = np.array([[0.01, 0.05]] * 3)
    assert np.array_equal(qc.mitigate(COUNTS, rates, method="paper").rates, rates)


@settings(max_examples=40)
@given(counts(max_bits=9, max_strings=60))
def test_the_default_is_safe_on_any_counts(given_counts):
    fixed = qc.mitigate(given_counts)
    assert fixed.method == "mixture"
    assert fixed.distribution.shots == pytest.approx(sum(given_counts.values()))
    assert fixed.raw.to_counts() == dict(sorted(given_counts.items()))
    assert 0 <= fixed.share <= 1
    assert fixed.confidence is None or 0 <= fixed.confidence <= 1
    assert fixed.centroids.shape == (len(fixed.weights), fixed.raw.n_bits)
    assert fixed.weights.sum() == pytest.approx(1) or not len(fixed.weights)
    assert fixed.rates.shape == (fixed.raw.n_bits, 2)
    if not fixed.applied:
        assert fixed.distribution == fixed.raw
        assert fixed.share == 0


@pytest.mark.parametrize("n_bits", [5, 13, 40, 64, 100, 127, 156])
def test_ghz_of_any_width_comes_out_better(n_bits):
    raw = ghz(n_bits, 0.04, 3000, n_bits)
    ideal = {"0" * n_bits: 1, "1" * n_bits: 1}
    before, after = (qc.metrics.hellinger_fidelity(d, ideal) for d in (raw, qc.mitigate(raw).distribution))
    assert before < 0.9
    assert after > 0.94


@pytest.mark.parametrize("n_bits", [1, 2])
def test_one_bit_or_two_are_not_harmed(n_bits):
    raw = ghz(n_bits, 0.04, 3000, n_bits)
    ideal = {"0" * n_bits: 1, "1" * n_bits: 1}
    before, after = (qc.metrics.hellinger_fidelity(d, ideal) for d in (raw, qc.mitigate(raw).distribution))
    assert after >= min(before, 0.99)


@pytest.mark.parametrize(
    "given_counts",
    [
        {"0": 1},
        {"0": 500, "1": 500},
        {"00": 0.5, "11": 0.5},
        {"0": 1e12, "1": 3e11},
        {"0" * 9: 4e17, "1" * 9: 2e17},
        {"01010": 1000},
        {"0" * 156: 1000, "1" * 156: 900},
        {format(i, "0100b"): 1 for i in range(50)},
        {format(i, "0130b"): 1 for i in range(50)},
        {format(i, "04b"): 1 for i in range(16)},
    ],
)
@pytest.mark.parametrize("guard", [True, False])
def test_extreme_counts_have_an_answer(given_counts, guard):
    fixed = qc.mitigate(given_counts, guard=guard)
    assert fixed.distribution.shots == pytest.approx(sum(given_counts.values()))
    assert fixed.confidence is None or 0 <= fixed.confidence <= 1
    assert np.isfinite(fixed.rates).all()


def test_a_few_shots_say_nothing():
    fixed = qc.mitigate({"00": 0.5, "01": 0.1, "11": 0.4})
    assert not fixed.applied
    assert "shots" in fixed.reason


@pytest.mark.parametrize("total", [1.0, 100.0])
def test_shares_of_shots_are_left(total):
    """Percentages of 143 strings passed for 100 shots: the fidelity fell from .994 to .866."""
    ideal = np.exp(-(((np.arange(256) - 102) / 30) ** 2))
    read = np.random.default_rng(1).multinomial(8192, ideal / ideal.sum())
    shares = {format(y, "08b"): total / 8192 * shots for y, shots in enumerate(read.tolist()) if shots}
    fixed = qc.mitigate(shares)
    assert not fixed.applied
    assert fixed.reason.startswith(f"left as is: weights that sum to {total:g} for {len(shares)} strings, less")
    with pytest.raises(ValueError, match=f"counts must be counts of shots; got weights that sum to {total:g} for"):
        qc.estimate_rates(shares)


def test_counts_that_are_not_whole_are_doubted():
    """Mitigated counts that are mitigated again lose more often than raw ones: some of their strings pass for noise."""
    said = "the counts are not whole numbers: are they raw, not mitigated?"
    once = qc.mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450, "011": 30})
    assert said not in once.reason
    assert said in qc.mitigate(once.distribution, method="hammer").reason
    again = qc.mitigate({"000": 430.4, "001": 20.1, "010": 18, "100": 22.5, "111": 450, "011": 29})
    assert again.applied
    assert again.reason.endswith(said)


@pytest.mark.parametrize("method", [method.name for method in every()])
@pytest.mark.parametrize("shape", [(0, 3), (1, 0)])
def test_no_shots_or_bits_are_left_by_every_method(method, shape):
    nothing, n_bits = qc.Distribution(np.zeros(shape, dtype=bool), np.full(shape[0], 100.0)), shape[1]
    noises = {
        "rates": 0.05,
        "measured": qc.MeasuredNoise({"000": 90}, "000"),
        "faults": FaultMasks(n_bits, np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0), np.zeros((n_bits, 2))),
    }
    needs = find(method).needs
    if needs == "measured" and not n_bits:
        pytest.skip("nothing can be measured of no bits")
    for guard in (True, False) if find(method).guarded else (True,):
        fixed = qc.mitigate(nothing, noises.get(needs), method=method, guard=guard)
        assert (fixed.applied, fixed.method, fixed.distribution) == (False, method, nothing)
        assert fixed.reason == "left as is: there are no shots to mitigate"
        assert fixed.rates.tolist() == [[0.05, 0.05] if needs == "rates" else [0, 0]] * n_bits


def test_fault_patterns_choose_the_circuit_method():
    """Faults that flip both bits at once: independent flips cannot say that 11 came from 00."""
    masks = np.array([[3]], dtype=np.uint64)
    faults = FaultMasks(2, masks, np.array([0.1]), np.zeros(1, dtype=np.uint8), np.full((2, 2), 0.01))
    fixed = qc.mitigate({"00": 890, "11": 90, "01": 10, "10": 10}, faults)
    assert (fixed.method, fixed.distribution.shots) == ("circuit", pytest.approx(1000))
    assert fixed.distribution.to_probs().get("11", 0) < 0.05
    assert fixed.rates.shape == (2, 2)
    for method in ("mixture", "paper", "hammer"):
        with pytest.raises(ValueError, match=rf"method='{method}' takes .* as its noise; got fault patterns"):
            qc.mitigate({"00": 1}, faults, method=method)
    with pytest.raises(ValueError, match=r"counts and fault patterns .* must have one width; got 3 and 2 bits"):
        qc.mitigate(COUNTS, faults)
    bare = qc.mitigate({"00": 890, "11": 90, "01": 10, "10": 10}, faults, guard=False)
    assert (bare.method, bare.confidence) == ("circuit", None)
    assert bare.distribution.to_probs().get("11", 0) < 0.05


def test_flags_of_numpy_are_flags():
    counts = {"000": 430, "001": 20, "010": 18, "111": 450}
    for flag in True, False:
        wanted, found = qc.mitigate(counts, guard=flag), qc.mitigate(counts, guard=np.bool_(flag))
        assert (found.distribution, found.reason) == (wanted.distribution, wanted.reason)
        (many,) = qc.mitigate_many([counts], guard=np.bool_(flag), workers=1)
        assert many.reason == wanted.reason
    assert qc.mitigate(counts, 0.1, method="paper", guard=np.True_).method == "paper"
    with pytest.raises(ValueError, match="method='paper' has no guard"):
        qc.mitigate(counts, 0.1, method="paper", guard=np.False_)


def test_without_the_guard_the_strings_alone_answer():
    raw = ghz(8, 0.05, 2000, 3)
    bare = qc.mitigate(raw, guard=False)
    assert (bare.applied, bare.share) == (True, 1.0)
    assert "not guarded" in bare.reason
    assert bare.distribution == qc.Distribution(bare.centroids, bare.weights * raw.shots)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (
            {"noise": 0.1, "method": "magic"},
            ValueError,
            "be one of mixture, circuit, measured, paper, .*'magic'",
        ),
        ({"method": ["paper"]}, ValueError, r"method must be one of .*; got \['paper'\]"),
        ({"method": "paper"}, ValueError, "needs flip rates as its noise, such as noise=0.05; got none"),
        ({"method": "circuit"}, ValueError, "needs fault patterns .*, or a Run that has them; got none"),
        ({"method": "circuit", "noise": 0.1}, ValueError, "takes fault patterns .* as its noise; got flip rates"),
        ({"method": "hammer", "noise": 0.1}, ValueError, "method='hammer' takes nothing as its noise; got flip rates"),
        ({"noise": 0.6, "method": "paper"}, ValueError, "got 0.6 for bit 0"),
        ({"noise": 0.6}, ValueError, "got 0.6 for bit 0"),
        ({"noise": float("nan")}, ValueError, "got nan for bit 0"),
        ({"noise": [0.1, 0.1]}, ValueError, r"\(3,\) or \(3, 2\); got shape \(2,\)"),
        ({"noise": "much"}, TypeError, r"noise must be flip rates .*, or fault patterns \(FaultMasks\); got a str"),
        ({"noise": "0.08"}, TypeError, r"noise must be flip rates \(one number, .* got a str: rates are no text"),
        ({"noise": b"0.08"}, TypeError, "got a bytes: rates are no text"),
        ({"noise": np.str_("0.08")}, TypeError, "rates are no text"),
        ({"noise": ["0.1", "0.1", "0.1"]}, TypeError, "got a list: rates are no text"),
        ({"noise": [0.1, "0.1", 0.1]}, TypeError, "got a list: rates are no text"),
        ({"noise": np.array(["0.1", 0.1, 0.1], dtype=object)}, TypeError, "got a ndarray: rates are no text"),
        ({"noise": {"a": 1}}, TypeError, "got a dict$"),
        ({"noise": qc.Distribution.of({"000": 1})}, TypeError, "got a Distribution$"),
        ({"noise": False}, TypeError, "noise must be flip rates .* got a bool"),
        ({"noise": object()}, TypeError, "got a object"),
        ({"settings": qc.PaperSettings()}, TypeError, "method='mixture' must be MixtureSettings; got PaperSettings"),
        ({"method": "hammer", "settings": qc.PaperSettings()}, TypeError, "must be None; got PaperSettings"),
        ({"guard": "no"}, TypeError, "guard must be True or False; got 'no'"),
        ({"expect": "few"}, ValueError, "expect must be 'sparse' or 'dense', or None; got 'few'"),
        ({"expect": "sparse", "method": "hammer"}, ValueError, "makes no use of expect"),
        ({"expect": "sparse", "guard": False}, ValueError, "makes no use of expect without its guard: leave expect"),
        ({"guard": None}, TypeError, "got None"),
        ({"guard": False, "noise": 0.1, "method": "paper"}, ValueError, "method='paper' has no guard"),
        ({"guard": False, "method": "hammer"}, ValueError, "method='hammer' has no guard"),
        ({"noise": 0.1, "method": "paper", "settings": 3}, TypeError, "must be PaperSettings; got int"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, said):
    with pytest.raises(error, match=said):
        qc.mitigate(COUNTS, **arguments)


@pytest.mark.parametrize("n_bits", [896, 897, 3000])
def test_registers_without_end_are_left_in_words(n_bits: int) -> None:
    """A few thousand classical bits are read by circuits with many rounds of measurement."""
    counts = {"0" * n_bits: 480, "0" * (n_bits - 1) + "1": 20}
    fixed = qc.mitigate(counts)
    assert fixed.distribution.top(1) == {"0" * n_bits: pytest.approx(0.96, abs=0.04)}
    if n_bits > 896:
        assert not fixed.applied
        assert "896" in fixed.reason
        assert not qc.mitigate(counts, guard=False).applied
        assert qc.mitigate(counts, 0.01, method="paper").applied
        low, high = fixed.interval("0" * n_bits).low, fixed.interval("0" * n_bits).high
        assert low <= 0.96 <= high


class Machine(SimpleNamespace):
    """What `mitigate` asks of a Run: counts, and what it brings."""


def masks(n_bits: int) -> FaultMasks:
    patterns = (1 << np.arange(n_bits, dtype=np.uint64))[:, None]
    return FaultMasks(n_bits, patterns, np.full(n_bits, 0.05), np.zeros(n_bits), np.full((n_bits, 2), 0.02))


def test_a_run_brings_its_faults_and_what_is_given_goes_before_them():
    run = Machine(counts=ghz(4, 0.06, 3000, 5), faults=masks(4))
    assert qc.mitigate(run).method == "circuit"
    assert qc.mitigate(run, method="circuit").method == "circuit"
    for options in (
        {"method": "mixture"},
        {"noise": 0.05},
        {"settings": qc.MixtureSettings()},
    ):
        assert qc.mitigate(run, **options).method == "mixture"
    for options in ({"guard": False}, {"expect": "dense"}):
        assert qc.mitigate(run, **options).method == "circuit"
    with pytest.raises(ValueError, match="needs fault patterns"):
        qc.mitigate(Machine(counts=run.counts, faults=None), method="circuit")


def test_counts_of_a_simulator_without_noise_are_left_as_they_are():
    run = Machine(counts=ghz(4, 0.06, 3000, 5), faults=None, noiseless=True)
    fixed = qc.mitigate(run)
    assert fixed.reason == "left as is: the simulator that made these counts has no noise"
    assert not fixed.applied
    assert fixed.distribution == run.counts
    assert fixed.confidence is None
    assert fixed.rates.shape == (4, 2)
    assert qc.mitigate(run, method="mixture").applied
    assert qc.mitigate(run, 0.06).applied
    assert qc.mitigate(Machine(counts=run.counts, faults=None, noiseless=False)).applied


def test_estimated_rates_are_noise():
    counts = ghz(5, 0.05, 3000, 5)
    rates = qc.estimate_rates(counts=counts)
    for method in ("paper", "hammr_l", "m3", "mixture"):
        assert qc.mitigate(counts, rates, method=method).rates.shape == (5, 2)
    assert qc.mitigate(counts, rates, method="hammr_l").rates[:, 0] == pytest.approx(rates.per_bit)
    assert qc.mitigate(counts, rates, method="paper").rates[:, 0] == pytest.approx(rates.clustering)
    assert qc.mitigate(counts, rates.per_bit, method="paper").rates[:, 0] == pytest.approx(rates.per_bit)


def test_confidence_is_a_probability_or_none():
    raw = ghz(6, 0.05, 3000, 5)
    assert 0 <= qc.mitigate(raw).confidence <= 1
    for options in ({"guard": False}, {"noise": 0.05, "method": "paper"}, {"method": "hammer"}):
        assert qc.mitigate(raw, **options).confidence is None


def test_what_is_given_is_not_changed():
    counts, rates = dict(COUNTS), np.full((3, 2), 0.05)
    qc.mitigate(counts, rates, method="paper")
    assert counts == COUNTS
    assert (rates == 0.05).all()
