import numpy as np
import pytest
from hypothesis import given, settings

import qcluster as qc
from qcluster.core.faults import FaultMasks
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
    assert fixed.rates.shape == (3,)
    assert fixed.raw.to_counts() == COUNTS
    assert "8.0% flips per bit" in fixed.reason
    assert "paper" in repr(fixed)
    assert sorted(fixed.weights.tolist(), reverse=True) == fixed.weights.tolist()


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


@pytest.mark.parametrize("n_bits", [1, 2, 5, 13, 40, 64, 100, 127, 156])
def test_ghz_of_any_width_comes_out_better(n_bits):
    raw = ghz(n_bits, 0.04, 3000, n_bits)
    ideal = {"0" * n_bits: 1, "1" * n_bits: 1}
    before, after = (qc.metrics.hellinger_fidelity(d, ideal) for d in (raw, qc.mitigate(raw).distribution))
    assert after >= min(before, 0.99) if n_bits < 5 else after > 0.94


@pytest.mark.parametrize(
    "given_counts",
    [
        {"0": 1},
        {"0": 500, "1": 500},
        {"00": 0.5, "11": 0.5},
        {"0": 1e12, "1": 3e11},
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


def test_fault_patterns_choose_the_circuit_method():
    """Faults that flip both bits at once: independent flips cannot say that 11 came from 00."""
    masks = np.array([[3]], dtype=np.uint64)
    faults = FaultMasks(2, masks, np.array([0.1]), np.zeros(1, dtype=np.uint8), np.full((2, 2), 0.01))
    fixed = qc.mitigate({"00": 890, "11": 90, "01": 10, "10": 10}, faults=faults)
    assert (fixed.method, fixed.distribution.shots) == ("circuit", pytest.approx(1000))
    assert fixed.distribution.to_probs().get("11", 0) < 0.05
    with pytest.raises(ValueError, match="goes with faults"):
        qc.mitigate({"00": 1}, method="mixture", faults=faults)


def test_without_the_guard_the_strings_alone_answer():
    raw = ghz(8, 0.05, 2000, 3)
    bare = qc.mitigate(raw, guard=False)
    assert (bare.applied, bare.share) == (True, 1.0)
    assert "not guarded" in bare.reason
    assert bare.distribution == qc.Distribution(bare.centroids, bare.weights * raw.shots)
    left = qc.mitigate(raw, guard=qc.GuardSettings(smallest_share=1.0, widest=0))
    assert not left.applied


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"rates": 0.1, "method": "magic"}, ValueError, "one of mixture, paper, circuit; got 'magic'"),
        ({"method": "paper"}, ValueError, "needs rates"),
        ({"method": "circuit"}, ValueError, "goes with faults"),
        ({"rates": 0.6, "method": "paper"}, ValueError, "got 0.6 for bit 0"),
        ({"rates": 0.6}, ValueError, "got 0.6 for bit 0"),
        ({"settings": qc.PaperSettings()}, TypeError, "must be MixtureSettings; got PaperSettings"),
        ({"guard": "no"}, TypeError, "guard must be True, False or GuardSettings; got 'no'"),
        ({"guard": None}, TypeError, "got None"),
        ({"faults": 3}, TypeError, "faults must be FaultMasks, .*; got int"),
        ({"rates": 0.1, "method": "paper", "settings": 3}, TypeError, "must be PaperSettings; got int"),
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
