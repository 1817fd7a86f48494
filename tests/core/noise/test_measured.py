"""The smoothed patterns of a reference, against maximum likelihood and leave-one-out in closed form and by loops."""

import numpy as np
import pytest

import qcluster as qc
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise import measured
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.stats.walsh import LinearIndex, walsh

SEEN = np.array([880.0, 61, 42, 3, 11, 0, 1, 0])
"""Patterns of three bits: but for one bit at a time, none is read five times."""


def noise_of(seen):
    bits = (np.arange(len(seen))[:, None] >> np.arange(3) & 1).astype(bool)
    expected = np.array([True, False, True])
    return MeasuredNoise(Distribution(bits ^ expected, seen), expected)


def independent(seen):
    """The most likely independent flips: each bit flips as often as it was read flipped."""
    places = np.arange(len(seen))
    result = np.ones(len(seen))
    for bit in range(3):
        rate = seen[places >> bit & 1 == 1].sum() / seen.sum()
        result *= np.where(places >> bit & 1 == 1, rate, 1 - rate)
    return result


def test_the_model_is_the_most_likely_of_independent_flips():
    model = measured._model(LinearIndex(3, 3), SEEN)
    np.testing.assert_allclose(model, independent(SEEN), atol=2e-4)


def test_a_pattern_read_often_is_a_fault_of_its_own():
    seen = SEEN + np.array([0, 0, 0, 57, 0, 0, 0, 0])  # more than both of its bits by chance
    model = measured._model(LinearIndex(3, 3), seen)
    assert model[3] == pytest.approx(60 / seen.sum(), rel=0.05)
    assert independent(seen)[3] < 0.2 * model[3]


def test_the_weight_predicts_each_shot_best_from_the_others():
    model = independent(SEEN)

    def left_out(weight):
        total = 0.0
        for y, shots in enumerate(SEEN):
            for _ in range(int(shots)):
                others = SEEN.copy()
                others[y] -= 1
                total += np.log((others[y] + weight * model[y]) / (others.sum() + weight))
        return total

    found = measured._weight(SEEN, model)
    tried = measured._CONCENTRATIONS
    best = tried[int(np.argmax([left_out(weight) for weight in tried]))]
    assert found == best
    assert tried[0] < found


def test_the_kernel_has_the_shrunk_frequencies():
    noise = noise_of(SEEN)
    model = measured._model(LinearIndex(3, 3), SEEN)
    weight = measured._weight(SEEN, model)
    expected = (SEEN + weight * model) / (SEEN.sum() + weight)
    sent = np.zeros(8)
    sent[0] = 1.0
    kernel = noise.kernel()
    np.testing.assert_allclose(kernel.forward(sent), expected, atol=1e-9)
    np.testing.assert_allclose(walsh(kernel.scaled(2.0).forward(sent)), walsh(expected) ** 2, atol=1e-9)


def test_what_a_reference_says_of_itself_is_counted():
    noise = noise_of(SEEN)
    assert noise.survival == pytest.approx(880 / SEEN.sum())
    np.testing.assert_allclose(noise.flips, np.array([61 + 3, 42 + 3 + 1, 11 + 1]) / SEEN.sum())
    np.testing.assert_array_equal(noise.rates, np.stack([noise.flips, noise.flips], axis=1))
    assert noise.clear
    assert not noise.refusal


@pytest.mark.parametrize(("rival", "refused"), [(490, False), (540, False), (560, True)])
def test_a_reference_is_refused_where_another_string_leads_beyond_shot_noise(rival, refused):
    """Of 1000 shots, three standard deviations of the difference are 95."""
    noise = MeasuredNoise({"00": 1000 - rival, "01": rival}, "00")
    assert bool(noise.refusal) == refused


@pytest.mark.parametrize("seed", range(6))
def test_patterns_that_no_faults_explain_leave_the_rates_as_they_were(seed):
    """Single precision: a handful of shots of any pattern beside 4,400 with one flip or none."""
    rng, index = np.random.default_rng(seed), LinearIndex(16, 16)
    seen = np.zeros(1 << 16)
    seen[0], seen[1 << np.arange(16)] = 4000, rng.integers(5, 60, 16)
    without = measured._model(index, seen)
    np.add.at(seen, rng.integers(0, 1 << 16, 5), 1)
    with np.errstate(all="raise", under="ignore"):
        model = measured._model(index, seen)
    singles = np.append(0, 1 << np.arange(16))
    np.testing.assert_allclose(model[singles], without[singles], atol=5 / 4400)  # five shots more
    assert model[0] == pytest.approx(seen[0] / seen.sum(), abs=0.03)


@pytest.mark.parametrize("keys", [(2, 0, 3), ("0x2", "0x0", "0x3"), ("0b10", "0b00", "0b11")])
@pytest.mark.parametrize("expected", ["0010", np.array([False, True, False, False])])
def test_numbers_for_strings_have_the_width_of_what_is_expected(keys, expected):
    noise = MeasuredNoise(dict(zip(keys, (900, 60, 40), strict=True)), expected)
    assert (noise.n_bits, noise.expected, noise.survival) == (4, "0010", 0.9)


@pytest.mark.parametrize("counts", [{"010": 9}, {9: 9}, Distribution.of({"010": 9})])
def test_counts_of_a_width_of_their_own_keep_it(counts):
    with pytest.raises(ValueError, match=r"width of the reference's counts, \d bits; got 2"):
        MeasuredNoise(counts, "10")


@pytest.mark.parametrize("n", [21, 64, 65])
def test_a_kernel_of_wide_patterns_is_hashed_unless_asked_otherwise(n):
    """It wanted 2^n numbers: 16 GB for 30 bits, and an OverflowError for 64."""
    kernel = MeasuredNoise({"0" * n: 900, "1" * n: 100}, "0" * n).kernel()
    assert kernel.index.n_index == 20


def test_the_width_of_an_index_is_at_least_one_bit():
    for wrong in (0, -1, 1.5, None):
        with pytest.raises(ValueError, match="n_index must be a whole number of at least 1"):
            MeasuredNoise({"00": 9}, "00").kernel(wrong)


def test_a_mitigated_reference_is_refused_or_doubted():
    """The error said to give its distribution, which has lost the noise."""
    fixed = qc.mitigate({"00": 900, "01": 60, "10": 40})
    with pytest.raises(TypeError, match="reference_counts must be raw counts; got a Mitigation: give its raw"):
        MeasuredNoise(fixed, "00")
    assert MeasuredNoise(fixed.raw, "00").doubts == ()
    said = "the reference's counts are not whole numbers: are they raw, not mitigated?"
    noise = MeasuredNoise({"00": 950.5, "01": 49.5}, "00")
    assert noise.doubts == (said,)
    assert said in qc.mitigate({"00": 500, "11": 500}, noise).reason
    assert MeasuredNoise({"00": 0.7 * 90000, "01": 0.3 * 90000}, "00").doubts == (), "rounding"


def test_messages_about_a_reference_are_short_and_have_all_digits():
    with pytest.raises(TypeError, match="expected must be a string of 0 and 1") as swapped:
        MeasuredNoise("0" * 20, {f"{i:020b}": 1 for i in range(1000)})
    assert len(str(swapped.value)) < 300
    said = MeasuredNoise({"01": 1234567, "10": 2345678}, "01").refusal
    assert "'01' has 1234567 of 3580245 shots, '10' has 2345678" in said


def test_probabilities_are_no_reference():
    """They passed for one shot, beside whose noise no Walsh component counts: DEM undid nothing, without a word."""
    with pytest.raises(ValueError, match="reference_counts must be counts of shots; got weights that sum to 1"):
        MeasuredNoise({"01": 0.9, "00": 0.1}, "01")
    assert MeasuredNoise({"01": 1}, "01").shots == 1
