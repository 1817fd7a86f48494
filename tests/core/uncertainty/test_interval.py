"""Intervals against plain repetition: what a method would say of other shots of the same noisy distribution."""

import dataclasses
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings

import qcluster as qc
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.uncertainty.interval import intervals, wilson
from tests.core.decision.test_circuit import chain, counted
from tests.core.noise.oracle_circuit import noisy_distribution
from tests.core.test_mitigate import ghz
from tests.strategies import counts

COUNTS = {"000": 430, "001": 70, "110": 60, "111": 440}


def left_alone() -> qc.Mitigation:
    return qc.mitigate({"000": 990, "111": 1010})


def test_raw_counts_have_the_plain_multinomial_interval():
    fixed = left_alone()
    assert not fixed.applied
    found = fixed.interval("111")
    p, n, z = 0.505, 2000, 1.959964
    assert found.value == p
    assert found.standard_error == pytest.approx(np.sqrt(p * (1 - p) / n))
    middle = (p + z * z / 2 / n) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + (z / 2 / n) ** 2) / (1 + z * z / n)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-6)
    draws = np.random.default_rng(1).binomial(n, p, 20_000) / n
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=1e-3)
    assert fixed.raw.expectation("IIZ").standard_error == pytest.approx(fixed.interval("IIZ").standard_error)


def test_what_was_never_read_may_still_be_there():
    found = left_alone().interval("010")
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(1.96**2 / (2000 + 1.96**2), rel=1e-3)
    assert left_alone().interval("III") == qc.Interval(1.0, 1.0, 1.0, 0.95, 0.0)


@pytest.mark.parametrize(
    ("counts", "number"),
    [
        ({"00": 100, "01": 100, "10": 100, "11": 100}, 800),  # a variance of 1/8, half of that of a fair bit
        ({"01": 200, "10": 200}, 400**2),  # none: the least variance is a quarter over the shots
        ({"00": 200, "11": 200}, 400),
    ],
)
def test_values_that_vary_less_than_a_bit_count_as_more_shots(counts, number):
    raw = qc.Distribution.of(counts)
    (found,) = intervals(raw, raw, None, [np.array([0.0, 1.0, 1.0, 2.0])])
    assert (found.low, found.high) == pytest.approx([2 * end for end in wilson(0.5, number, 1.959964)])


class Recorder:
    """A response that keeps the redrawn counts."""

    width = 1

    def resample(self, draws, levels, observables):
        self.draws = draws
        return np.zeros((len(draws), 1))


@pytest.mark.parametrize("weights", [{"0": 1.3, "1": 1.2}, {"0": 2e17, "1": 1e17}])
def test_redrawn_counts_have_as_many_shots_as_the_counts(weights):
    raw, response = qc.Distribution.of(weights), Recorder()
    intervals(raw, raw, response, ["0"], samples=5)
    np.testing.assert_allclose(response.draws.sum(axis=1), raw.shots)


@pytest.mark.parametrize("shots", [400, 4000])
def test_redrawn_answers_that_agree_are_no_more_sure_than_the_shots(shots):
    """Few strings under known flips leave next to no spread: an answer of .999 from 4000 shots may still be 1."""
    seen = {"000000": 0.94, "000001": 0.02, "100000": 0.02, "000100": 0.0195, "111111": 0.0005}
    fixed = qc.mitigate({bits: round(share * shots) for bits, share in seen.items()}, expect="sparse")
    assert fixed.applied
    found = fixed.interval("000000")
    below, above = wilson(found.value, shots, 1.959964)
    assert 0.9 < found.value < 1
    assert found.low <= below + 1e-9
    assert found.high >= above - 1e-9


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.999])
def test_wider_levels_hold_narrower_ones(level):
    fixed = qc.mitigate(ghz(8, 0.05, 2000, 3))
    inner, outer = fixed.interval("0" * 8, level * 0.9), fixed.interval("0" * 8, level)
    assert outer.low <= inner.low <= inner.value <= inner.high <= outer.high
    assert outer.level == level


def spread_of_refits(mitigate, draw, observable, trials):
    values = [mitigate(draw(seed)).distribution.expectation(observable).value for seed in range(trials)]
    return float(np.std(values))


@pytest.mark.parametrize(
    ("method", "observable"), [("mixture", "00000"), ("mixture", "IIIIZ"), ("paper", "00000"), ("bare", "00000")]
)
def test_the_standard_error_is_the_spread_over_repetitions(method, observable):
    def draw(seed):
        return ghz(5, 0.05, 1000, seed)

    def mitigate(raw):
        options = {"mixture": {}, "paper": {"noise": 0.05, "method": "paper"}, "bare": {"guard": False}}[method]
        return qc.mitigate(raw, **options)

    seen = spread_of_refits(mitigate, draw, observable, 14)
    told = np.median([mitigate(draw(seed)).interval(observable).standard_error for seed in range(100, 105)])
    doubt = 4 if (method, observable) == ("mixture", "00000") else 1.8  # there the flip rate itself is in doubt
    assert seen / 1.8 < told < seen * doubt


def test_the_circuit_methods_two_kinds_have_the_spread_over_repetitions():
    faults = chain(6, 0.03, 0.02)
    sharp, broad = np.zeros(64), np.sort(np.random.default_rng(3).exponential(size=64))[::-1] ** 2
    sharp[[0, 63]] = 0.5
    # Of a broad output the strength of the noise is in doubt, too: the interval holds that, repetitions do not show it.
    for ideal, few, doubt in ((sharp, True, 2), (broad / broad.sum(), False, 4)):
        noisy = noisy_distribution(ideal, faults)
        fits = [decide_circuit(counted(noisy, 4000, np.random.default_rng(seed)), faults) for seed in range(16)]
        same = [fit for fit in fits if fit.applied and bool(len(fit.centroids)) == few]
        assert len(same) > 5
        seen = np.std([fit.distribution.expectation("000000").value for fit in same])
        raw = counted(noisy, 4000, np.random.default_rng(100))
        fixed = qc.mitigate(raw, noise=faults)
        assert seen / 2 < fixed.interval("000000").standard_error < doubt * seen, few


def test_the_raw_counts_are_deconvolved_to_the_answer_without_shrinkage():
    faults = chain(5, 0.03, 0.02)
    ideal = np.sort(np.random.default_rng(3).exponential(size=32))[::-1] ** 2
    raw = counted(noisy_distribution(ideal / ideal.sum(), faults), 8000, np.random.default_rng(4))
    fit = decide_circuit(raw, faults)
    assert fit.applied
    assert not len(fit.centroids)
    levels = (np.arange(60) + 0.5) / 60
    redone = fit.response.resample(np.tile(raw.weights, (60, 1)), levels, lambda words: (words == 0).astype(float))
    assert redone.mean() == pytest.approx(fit.distribution.expectation("00000").value, abs=0.02)
    assert 0 < redone.std() < 0.05


@settings(max_examples=15)
@given(counts(max_bits=7, max_strings=50))
def test_any_counts_have_intervals_within_what_can_be(given_counts):
    fixed = qc.mitigate(given_counts)
    n = fixed.raw.n_bits
    asked = ["0" * n, "Z" * n, {"Z" * n: 2.0, "I" * n: 1.0}, np.arange(2.0**n)]
    for found, (low, high) in zip(fixed.intervals(asked), [(0, 1), (-1, 1), (-1, 3), (0, 2**n - 1)], strict=True):
        assert low - 1e-9 <= found.low <= found.value <= found.high <= high + 1e-9
        assert np.isfinite(found.standard_error)


@pytest.mark.parametrize("n_bits", [13, 64, 127])
def test_wide_registers_have_intervals(n_bits):
    fixed = qc.mitigate(ghz(n_bits, 0.03, 3000, n_bits))
    assert fixed.applied
    found = fixed.interval("0" * n_bits)
    assert found.low < 0.5 < found.high
    assert found.standard_error == pytest.approx(np.sqrt(0.25 / 3000), rel=0.5)


def test_one_set_of_redraws_serves_all_and_the_seed_decides():
    fixed = qc.mitigate(ghz(3, 0.04, 1000, 1))
    assert fixed.applied
    alone, (first, _) = fixed.interval("000"), fixed.intervals(["000", "ZZI"])
    assert dataclasses.astuple(alone) == pytest.approx(dataclasses.astuple(first), abs=1e-12)
    assert fixed.interval("000", seed=3) == fixed.interval("000", seed=3) != fixed.interval("000", seed=4)
    assert fixed.intervals([]) == []
    with pytest.raises(dataclasses.FrozenInstanceError):
        alone.low = 0.0


def test_the_same_answer_on_any_hash_seed():
    code = f"import qcluster as qc; print(qc.mitigate({COUNTS}).interval('000'))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "42")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"level": 0.0}, "level must lie between 0 and 1; got 0.0"),
        ({"level": 95}, "got 95"),
        ({"level": float("nan")}, "got nan"),
        ({"samples": 1}, "samples must be a whole number from 2"),
        ({"samples": 10**12}, "samples must be a whole number from 2 to 4194304; got 10"),  # more than memory holds
        ({"observable": "XII"}, "diagonal"),
    ],
)
def test_wrong_questions_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        qc.mitigate(COUNTS).interval(**{"observable": "000"} | arguments)


def test_one_observable_is_no_list_of_them():
    with pytest.raises(TypeError, match="got 'ZZI': for a single one, use `interval`"):
        qc.mitigate(COUNTS).intervals("ZZI")
    with pytest.raises(TypeError, match=r"got \{'ZZI': 0\.5\}: for a single one, use `interval`"):
        qc.mitigate(COUNTS).intervals({"ZZI": 0.5})  # whose terms would be answered without their coefficients
    with pytest.raises(TypeError, match="observables must be a list; got None"):
        qc.mitigate(COUNTS).intervals(None)


def test_nothing_measured_has_no_interval():
    empty = qc.Distribution(np.zeros((0, 3), dtype=bool), [])
    with pytest.raises(ValueError, match="at least one shot"):
        intervals(empty, empty, None, ["000"])


def test_fractions_of_shots_and_very_many_are_taken():
    for weights in ({"0": 0.3, "1": 0.2}, {"0": 3e17, "1": 1e17}):
        found = qc.mitigate(weights).interval("0")
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_an_interval_is_cheap_beside_the_mitigation():
    raw = ghz(10, 0.05, 4000, 1)
    start = time.perf_counter()
    fixed = qc.mitigate(raw)
    middle = time.perf_counter()
    fixed.intervals([format(i, "010b") for i in range(10)])
    assert time.perf_counter() - middle < 10 * (middle - start) + 1


def wide_interval(seed: int = 0) -> tuple[qc.Mitigation, float, qc.Interval]:
    """Mitigate 60 strings of 14 bits; the share of the heaviest, and its interval."""
    rng = np.random.default_rng(seed)
    sent, shares = rng.random((60, 14)) < 0.5, rng.dirichlet(np.ones(60))
    bits = sent[rng.choice(60, size=3000, p=shares)] ^ (rng.random((3000, 14)) < 0.04)
    fixed = qc.mitigate(qc.Distribution(bits, np.ones(3000)))
    heaviest = qc.Distribution(sent, shares).top(1)
    ((string, share),) = heaviest.items()
    return fixed, share, fixed.interval(string, samples=50)


def test_outputs_too_wide_for_the_full_vector_are_deconvolved_again():
    fixed, share, found = wide_interval()
    assert "deconvolution that assumes" in fixed.reason
    assert 0.3 < found.standard_error / np.sqrt(share * (1 - share) / 3000) < 4


@pytest.mark.xfail(strict=True, reason="wide outputs are deconvolved at 3 to 28 % of flips, which is too sharp at 4 %")
def test_the_intervals_of_such_outputs_hold_the_truth():
    """In nine of twelve draws: if they did in 95 %, fewer would come once in four hundred times."""
    found = [wide_interval(seed)[1:] for seed in range(12)]
    assert sum(interval.low < share < interval.high for share, interval in found) >= 9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"level": 95}, "level must lie between 0 and 1; got 95"),
        ({"level": "0.9"}, "level must lie between 0 and 1; got '0.9'"),
        ({"samples": 1}, "samples must be a whole number from 2 to 4194304; got 1"),
        ({"samples": 20.0}, "samples must be a whole number from 2 to 4194304; got 20.0"),
    ],
)
def test_what_an_interval_cannot_be_made_with_is_named(options, said):
    with pytest.raises(ValueError, match=said):
        qc.mitigate({"00": 60, "01": 4, "11": 40}).interval("ZZ", **options)
