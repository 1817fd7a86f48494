"""Counts mitigated under the noise that a reference circuit measured; noise and ideals made here."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

import qcluster as qc
from qcluster.core.counts.bits import index_bits
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.estimators.measured import _above_step, _clear, mitigate_measured
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.walsh import walsh
from tests.conftest import read_records


def masks(n: int, total: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """4n patterns of one to three neighbours, a tenth of them on to the last bit, with rates that sum to `total`."""
    bits = np.zeros((4 * n, n), dtype=bool)
    for row in bits:
        first = rng.integers(n)
        row[(first + np.arange(rng.integers(1, 4))) % n] = True
        if rng.random() < 0.1:
            row[first:] = True
    rates = rng.lognormal(0, 1, len(bits))
    return bits, rates * total / rates.sum()


def flips(shots: int, patterns: np.ndarray, rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    odd = rng.poisson(rates, (shots, len(rates))) & 1
    return (odd @ patterns.astype(np.int64) & 1).astype(bool)


def measured(
    ideal: qc.Distribution, shots: int = 8192, total: float = 0.7, seed: int = 0
) -> tuple[qc.Distribution, qc.MeasuredNoise]:
    """Counts of an ideal, and of a reference of as many shots, under one noise."""
    rng = np.random.default_rng(seed)
    patterns, rates = masks(ideal.n_bits, total, rng)
    expected = rng.random(ideal.n_bits) < 0.5
    reference = qc.Distribution(flips(shots, patterns, rates, rng) ^ expected, np.ones(shots))
    sent = ideal.bits[rng.choice(ideal.n_outcomes, shots, p=ideal.probabilities)]
    counts = qc.Distribution(sent ^ flips(shots, patterns, rates, rng), np.ones(shots))
    return counts, qc.MeasuredNoise(reference, expected)


def ghz(n: int) -> qc.Distribution:
    return qc.Distribution(np.repeat([[False], [True]], n, axis=1), np.ones(2))


def w_state(n: int) -> qc.Distribution:
    return qc.Distribution(np.eye(n, dtype=bool), np.ones(n))


@pytest.mark.parametrize(
    "ideal",
    [ghz(3), ghz(8), w_state(5), w_state(10), w_state(20), ghz(40)],
    ids=lambda d: f"{d.n_outcomes}of{d.n_bits}",
)
def test_few_strings_come_back(ideal):
    counts, noise = measured(ideal)
    fixed = qc.mitigate(counts, noise=noise)
    assert qc.metrics.hellinger_fidelity(counts, ideal) < 0.75
    assert qc.metrics.hellinger_fidelity(fixed.distribution, ideal) > 0.99
    assert fixed.method == "measured"
    assert fixed.reason.startswith(f"{ideal.n_outcomes} strings seen through the measured noise explain the counts")
    assert fixed.distribution.shots == counts.shots
    assert fixed.rates.shape == (ideal.n_bits, 2)


@pytest.mark.parametrize(
    ("name", "least"), [("ghz20", 0.98), ("dicke10", 0.98), ("grover5", 0.98), ("phase_estimation6", 0.98)]
)
def test_recorded_outputs_that_were_lost_come_back(name, least):
    """Counts and references of arXiv:2501.01953: raw .488, .576, .103, .579."""
    records = {record["id"]: record for record in read_records("dem_2025_dev.jsonl.gz")}
    record, reference = records[f"dem-{name}"], records[f"dem-{name}-estimation"]
    (expected,) = reference["ideal"]
    fixed = qc.mitigate(record["counts"], noise=qc.MeasuredNoise(reference["counts"], expected))
    assert qc.metrics.hellinger_fidelity(fixed.distribution, qc.Distribution.of(record["ideal"])) >= least


@pytest.mark.parametrize("n", [4, 6, 8, 10])
@pytest.mark.parametrize("kind", ["random", "product", "peak"])
def test_broad_outputs_are_not_taken_for_few_strings(kind, n):
    rng = np.random.default_rng(n)
    if kind == "random":
        p = rng.dirichlet(np.ones(2**n))
    elif kind == "product":
        p = np.ones(1)
        for one in rng.uniform(0.1, 0.5, n):
            p = np.kron([1 - one, one], p)
    else:
        p = 0.3 * rng.dirichlet(np.full(2**n, 0.3))
        p[rng.integers(2**n)] += 0.7
    ideal = qc.Distribution(index_bits(np.arange(2**n), n), p)
    counts, noise = measured(ideal, seed=n)
    fixed = qc.mitigate(counts, noise=noise)
    raw = qc.metrics.hellinger_fidelity(counts, ideal)
    found = qc.metrics.hellinger_fidelity(fixed.distribution, ideal)
    assert found > raw - 0.02
    if n <= 6:
        assert 1 - found < 0.3 * (1 - raw)  # beyond, shot noise is most of what is lost


@pytest.mark.parametrize("total", [1.5, 2.5, 3.5])
@pytest.mark.parametrize(("n", "kind"), [(6, "random"), (6, "product"), (6, "uneven"), (8, "product"), (8, "random")])
def test_no_broad_output_is_lost_under_heavy_noise(n, kind, total):
    """Under so many flips a dozen strings explain the counts as well as the broad output does."""
    rng = np.random.default_rng([n, 4])
    p = np.ones(1)
    if kind == "product":
        for one in rng.uniform(0.1, 0.5, n):
            p = np.kron([1 - one, one], p)
    else:
        p = rng.dirichlet(np.full(2**n, 1.0 if kind == "random" else 0.2))
    ideal = qc.Distribution(index_bits(np.arange(2**n), n), p)
    counts, noise = measured(ideal, total=total, seed=5)
    raw = qc.metrics.hellinger_fidelity(counts, ideal)
    for guard in (True, False):
        fixed = qc.mitigate(counts, noise, guard=guard)
        assert not len(fixed.weights)
        assert qc.metrics.hellinger_fidelity(fixed.distribution, ideal) > raw - 0.02


@pytest.mark.parametrize(
    ("kind", "n", "seed", "total"),
    [("product", 6, 7, 2.5), ("product", 8, 7, 1.5), ("tail", 6, 0, 2.5), ("tail", 7, 3, 1.5), ("tail", 8, 2, 1.5)],
)
def test_no_broad_output_is_lost_with_few_shots(kind, n, seed, total):
    """Neither a sharp product state nor two peaks on a flat background are as few strings as 1000 shots suggest."""
    rng = np.random.default_rng([n, seed])
    if kind == "product":
        p = np.ones(1)
        for one in rng.uniform(0.05, 0.5, n):
            p = np.kron([1 - one, one], p)
    else:
        p = np.full(2**n, 0.4 / 2**n)
        p[rng.choice(2**n, 2, replace=False)] += [0.4, 0.2]
    ideal = qc.Distribution(index_bits(np.arange(2**n), n), p)
    counts, noise = measured(ideal, shots=1000, total=total, seed=seed)
    fixed = qc.mitigate(counts, noise)
    assert not len(fixed.weights)
    raw = qc.metrics.hellinger_fidelity(counts, ideal)
    assert qc.metrics.hellinger_fidelity(fixed.distribution, ideal) > raw + 0.1


@pytest.mark.parametrize("seed", range(4))
def test_few_strings_come_back_under_heavy_noise(seed):
    rng = np.random.default_rng(seed)
    ideal = qc.Distribution(rng.permutation(index_bits(np.arange(64), 6))[: 1 + seed], np.ones(1 + seed))
    counts, noise = measured(ideal, total=2.5, seed=seed)
    fixed = qc.mitigate(counts, noise)
    assert sorted(map(tuple, fixed.centroids.tolist())) == sorted(map(tuple, ideal.bits.tolist()))


def test_strings_come_back_where_faults_flip_other_bits_than_in_the_reference():
    """Faults in the middle of a GHZ circuit flip all bits after them, which those of its reference do not."""
    n, shots, rng = 12, 50_000, np.random.default_rng(5)
    patterns, rates = masks(n, 0.5, rng)
    expected = rng.random(n) < 0.5
    reference = qc.Distribution(flips(shots, patterns, rates, rng) ^ expected, np.ones(shots))
    tails = np.tril(np.ones((n, n), dtype=bool))
    sent = np.repeat(rng.random((shots, 1)) < 0.5, n, axis=1)
    both = flips(shots, patterns, rates, rng) ^ flips(shots, tails, np.full(n, 0.02), rng)
    counts = qc.Distribution(sent ^ both, np.ones(shots))
    fixed = qc.mitigate(counts, noise=qc.MeasuredNoise(reference, expected))
    assert qc.metrics.hellinger_fidelity(fixed.distribution, ghz(n)) > 0.99
    said = "2 strings stand out; the rest, which the measured noise does not explain, is taken for noise; the reference"
    assert fixed.reason.startswith(said), "it said that the two strings explain the counts"


def test_one_heavy_string_of_many_is_not_taken_for_all_of_them():
    """Noise that is not quite the reference's is no reason to leave half of a broad output out."""
    n, shots, rng = 5, 20_000, np.random.default_rng(6)
    p = np.r_[0.4, np.full(2**n - 1, 0.6 / (2**n - 1))]
    ideal = qc.Distribution(index_bits(np.arange(2**n), n), p)
    patterns, rates = masks(n, 0.5, rng)
    sent = index_bits(rng.choice(2**n, shots, p=p), n)
    other = flips(shots, *masks(n, 0.15, rng), rng)
    counts = qc.Distribution(sent ^ flips(shots, patterns, rates, rng) ^ other, np.ones(shots))
    reference = qc.Distribution(flips(shots, patterns, rates, rng), np.ones(shots))
    fixed = qc.mitigate(counts, noise=qc.MeasuredNoise(reference, "0" * n))
    assert qc.metrics.hellinger_fidelity(fixed.distribution, ideal) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_a_string_that_explains_the_counts_only_with_lighter_ones_is_not_certain(seed):
    """Small rotations, under noise that the reference shows to be weaker: the faults of the circuit decide."""
    ideal = qc.Distribution(index_bits(np.arange(4), 2), np.kron([0.982, 0.018], [0.992, 0.008]))
    certain = []
    mitigate_measured(*measured(ideal, total=0.01, seed=seed), instead=certain.append)
    assert certain == [None]


def test_a_string_that_explains_the_counts_alone_is_certain():
    certain = []
    mitigate_measured(*measured(qc.Distribution.of({"010": 1}), total=0.1), instead=certain.append)
    assert len(certain[0].weights) == 1


def test_patterns_never_seen_get_the_probability_of_the_faults_that_make_them_up():
    _, noise = measured(ghz(12), shots=4000, seed=3)
    truth = np.random.default_rng(3)
    patterns, rates = masks(12, 0.7, truth)
    numbers = patterns @ (1 << np.arange(12))
    spectrum = walsh(np.bincount(numbers, rates, 2**12))
    exact = walsh(np.exp(spectrum - spectrum[0])) / 2**12
    smoothed = walsh(noise.kernel().spectrum) / 2**12
    seen = np.bincount((noise.patterns.bits @ (1 << np.arange(12))), noise.patterns.weights, 2**12) / 4000
    unseen = seen == 0
    assert np.abs(smoothed - exact).sum() < 0.6 * np.abs(seen - exact).sum()
    assert smoothed[unseen].sum() == pytest.approx(exact[unseen].sum(), rel=0.3)


def test_a_noiseless_reference_changes_nothing():
    fixed = qc.mitigate({"00": 700, "01": 200, "10": 100}, noise=qc.MeasuredNoise({"10": 1000}, "10"))
    assert qc.metrics.hellinger_fidelity(fixed.distribution, fixed.raw) > 0.999


@pytest.mark.parametrize("total", [1, 60])
def test_probabilities_are_no_counts(total):
    """As so few shots they would fit any broad output: the fidelity would fall."""
    weights = np.random.default_rng(2).exponential(size=64)
    counts, noise = measured(qc.Distribution(index_bits(np.arange(64), 6), weights))
    assert qc.mitigate(counts, noise=noise).applied
    fixed = qc.mitigate({string: total * share for string, share in counts.to_probs().items()}, noise=noise)
    assert not fixed.applied
    assert "only counts of shots can be mitigated" in fixed.reason


def test_relabelled_bits_relabel_the_answer():
    counts, noise = measured(w_state(6), seed=2)
    order = [3, 0, 5, 1, 4, 2]
    other = qc.MeasuredNoise(
        noise.reference_counts.marginal(order), "".join(noise.expected[5 - j] for j in order)[::-1]
    )
    plain = qc.mitigate(counts, noise=noise).distribution.marginal(order)
    assert qc.metrics.hellinger_fidelity(plain, qc.mitigate(counts.marginal(order), noise=other).distribution) > 0.9999


@pytest.mark.parametrize(("lightest", "clear"), [(0.3, True), (0.02, False)])
def test_unexplained_strings_are_the_output_where_none_lies_a_step_below_the_heaviest(lightest, clear):
    """Light strings under noise that is not quite the reference's may be what is left of it."""
    weights = np.array([1 - lightest, lightest])
    assert _clear(weights, 0.95) == clear
    assert not _clear(weights, 0.85)


@pytest.mark.parametrize(
    ("heights", "shots", "above"),
    [
        ((0.5, 0.3, 0.1, 0.001), 1000, 3),
        ((0.5, 0.01, 0.0001), 1000, 1),  # the ten shots of the second may be noise, of which three are allowed
        ((0.2, 0.02, 0.02), 1e6, 0),  # steps, but most of the answer lies below them
        ((0.4, 0.3, 0.2), 20, 0),
    ],
)
def test_strings_end_at_the_largest_step(heights, shots, above):
    assert _above_step(np.array(heights), shots, len(heights)) == above


def test_intervals_hold_the_truth():
    counts, noise = measured(ghz(6), seed=4)
    low, high = (lambda found: (found.low, found.high))(qc.mitigate(counts, noise=noise).interval("0" * 6))
    assert low < 0.5 < high
    assert high - low < 0.1


@pytest.mark.slow
def test_wide_registers_with_many_patterns_take_seconds():
    n, shots = 100, 200_000
    counts, noise = measured(ghz(n), shots=shots, total=2.0)
    assert noise.patterns.n_outcomes > 30_000
    fixed = qc.mitigate(counts, noise=noise)
    assert qc.metrics.hellinger_fidelity(fixed.distribution, ghz(n)) > 0.99


@pytest.mark.parametrize(
    ("reference", "expected", "error", "message"),
    [
        ({"00": 10}, "0", ValueError, "width of the reference's counts, 2 bits; got 1"),
        ({"00": 10}, "0x", ValueError, "a string of 0 and 1"),
        ({"00": 10}, "", ValueError, "a string of 0 and 1"),
        ({"00": 10}, 0, TypeError, "a string of 0 and 1"),
        ({"00": 10}, None, TypeError, "a string of 0 and 1"),
        (qc.Distribution(np.zeros((0, 2), dtype=bool), np.zeros(0)), "00", ValueError, "at least one shot"),
        (3, "00", TypeError, "counts must be"),
    ],
)
def test_a_bad_reference_is_refused(reference, expected, error, message):
    with pytest.raises(error, match=message):
        qc.MeasuredNoise(reference, expected)


def test_a_reference_of_another_width_is_refused():
    with pytest.raises(ValueError, match="one width; got 3 and 2 bits"):
        qc.mitigate({"000": 10}, noise=qc.MeasuredNoise({"00": 10}, "00"))


def test_a_reference_whose_expected_string_is_not_its_maximum_is_refused():
    noise = qc.MeasuredNoise({"001": 900, "100": 100}, "100")
    said = "'100' has 100 of 1000 shots, '001' has 900: is it written with classical bit 0"
    with pytest.raises(ValueError, match=said):
        qc.mitigate({"000": 10}, noise=noise)
    with pytest.raises(ValueError, match="'11' has 0 of 10 shots"):
        qc.mitigate({"00": 10}, noise=qc.MeasuredNoise({"00": 10}, "11"))


def test_doubtful_references_are_told():
    counts = {"00": 500, "01": 500}
    assert "the reference has only 20 shots" in qc.mitigate(counts, noise=qc.MeasuredNoise({"00": 20}, "00")).reason
    vague = qc.MeasuredNoise({"00": 510, "01": 490}, "00")
    assert "no clear maximum ('01' has 49.0%)" in vague.doubts[0]
    fixed = qc.mitigate(counts, noise=vague)
    assert (fixed.applied, "drowned in noise" in fixed.reason) == (False, True)


def test_doubts_about_a_reference_that_is_given_are_told_by_every_method():
    """DEM undid flips that no reference had measured, without a word."""
    counts = {"00": 600, "01": 100, "11": 300}
    wrong = qc.mitigate(counts, noise=qc.MeasuredNoise({"00": 100, "11": 900}, "00"), method="dem")
    assert "the expected string must be the reference's most frequent; '00' has 100 of 1000" in wrong.reason
    few = qc.mitigate(counts, noise=qc.MeasuredNoise({"00": 20}, "00"), method="dem")
    assert few.reason.endswith("; the reference has only 20 shots")
    good = qc.mitigate(counts, noise=qc.MeasuredNoise({"00": 900, "01": 100}, "00"), method="dem")
    assert good.reason == "all shots reweighed by dem, which has no guard"


def test_broad_outputs_are_decided_under_the_measured_flips_unless_the_guard_is_off():
    ideal = qc.Distribution(index_bits(np.arange(16), 4), np.random.default_rng(1).dirichlet(np.ones(16)))
    counts, noise = measured(ideal, total=1.0)
    fixed, bare = qc.mitigate(counts, noise), qc.mitigate(counts, noise, guard=False)
    decided = decide_circuit(counts, noise.faults())
    assert fixed.distribution == decided.distribution
    assert fixed.confidence == decided.confidence
    assert fixed.reason.startswith(
        "a log-linear model under the measured flips, at 0.85 times the measured noise; the ref"
    )
    assert fixed.reason.endswith("; the reference kept 41% of its shots")
    assert bare.reason == "deconvolution under the measured noise; the reference kept 41% of its shots"
    assert (fixed.method, bare.method, bare.confidence) == ("measured", "measured", None)
    np.testing.assert_array_equal(fixed.rates, noise.rates)
    assert qc.mitigate(counts, noise, method="measured") == fixed


@pytest.mark.parametrize("n", [8, 10])
@pytest.mark.parametrize("seed", range(4))
def test_references_of_few_shots_do_no_harm_to_broad_outputs(n, seed):
    """Without the rates below 0 that their noise has, those above 0 would be up to three times the measured noise."""
    rng = np.random.default_rng([n, seed, 4])
    p = np.ones(1)
    for one in rng.uniform(0.1, 0.5, n):
        p = np.kron([1 - one, one], p)
    ideal = qc.Distribution(index_bits(np.arange(2**n), n), p)
    rng = np.random.default_rng(seed)
    patterns, rates = masks(n, 1.0, rng)
    noise = qc.MeasuredNoise(qc.Distribution(flips(50, patterns, rates, rng), np.ones(50)), "0" * n)
    sent = ideal.bits[rng.choice(ideal.n_outcomes, 8192, p=p)]
    counts = qc.Distribution(sent ^ flips(8192, patterns, rates, rng), np.ones(8192))
    fixed = qc.mitigate(counts, noise, expect="dense")
    raw = qc.metrics.hellinger_fidelity(counts, ideal)
    assert qc.metrics.hellinger_fidelity(fixed.distribution, ideal) > raw


@pytest.mark.parametrize("total", [0.7, 2.5, 3.5])
@pytest.mark.parametrize("seed", range(3))
def test_faults_have_the_flip_patterns_of_the_measured_noise(total, seed):
    _, noise = measured(ghz(8), total=total, seed=seed)
    patterns = Kernel.of(noise.faults(), 8).patterns
    assert 0.5 * np.abs(patterns - noise.kernel().patterns).sum() < 0.1


@pytest.mark.parametrize("shots", [1, 1000, 10**15])
def test_a_reference_without_flips_has_next_to_no_faults(shots):
    noise = qc.MeasuredNoise({"000": shots}, "000")
    assert noise.faults().expected_faults < 1e-3
    counts = {"000": 600, "011": 300, "101": 100}
    assert qc.mitigate(counts, noise, expect="dense").distribution == qc.Distribution.of(counts)


def test_faults_of_more_bits_than_have_an_index_are_refused():
    with pytest.raises(ValueError, match="at most 20 bits; got 21"):
        qc.MeasuredNoise({"0" * 21: 1000}, "0" * 21).faults()


def test_what_the_user_expects_goes_before_few_strings_and_into_the_decision():
    counts, noise = measured(ghz(5))
    sparse, dense = (qc.mitigate(counts, noise, expect=word) for word in ("sparse", "dense"))
    assert sparse == qc.mitigate(counts, noise)
    assert dense == replace(
        decide_circuit(counts, noise.faults(), expect="dense", patterns="the measured flips"),
        method="measured",
        rates=noise.rates,
        reason=dense.reason,
    )
    counts, noise = measured(ghz(20))
    wide = qc.mitigate(counts, noise, expect="dense")
    assert wide.reason == "left as is: 20 bits are too many for a broad output; the reference kept 50% of its shots"
    assert qc.mitigate(counts, noise, expect="sparse").applied


def test_counts_sharper_than_the_reference_allows_are_doubted():
    rng = np.random.default_rng(0)
    noisy = qc.Distribution(rng.random((8000, 6)) < 0.15, np.ones(8000))
    counts = qc.Distribution(rng.random((8000, 6)) < 0.01, np.ones(8000))
    fixed = qc.mitigate(counts, noise=qc.MeasuredNoise(noisy, "000000"))
    assert "does it have the two-qubit gates of this circuit?" in fixed.reason


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"noise": {"00": 3}}, TypeError, r"noise must be flip rates .*, or the noise of a reference .*; got a dict"),
        ({"noise": 0.1, "method": "measured"}, ValueError, r"takes the noise of a reference .*; got flip rates"),
        ({"noise": None, "method": "measured"}, ValueError, r"such as noise=qc.MeasuredNoise\(.*, or a Run with a ref"),
        ({"method": "mixture"}, ValueError, r"takes flip rates as its noise; got the noise of a reference circuit"),
        ({"method": "paper"}, ValueError, r"takes flip rates as its noise; got the noise of a reference circuit"),
        ({"settings": qc.MixtureSettings()}, TypeError, "method='measured' must be None; got MixtureSettings"),
    ],
)
def test_what_cannot_be_used_with_measured_noise_is_an_error(given, error, message):
    with pytest.raises(error, match=message):
        qc.mitigate({"00": 100}, **({"noise": qc.MeasuredNoise({"00": 10}, "00")} | given))


def test_registers_without_end_are_left_in_words():
    counts, noise = measured(ghz(1100), shots=200)
    for fixed in (qc.mitigate(counts, noise), qc.mitigate(counts, noise, method="measured")):
        assert fixed.reason == "left as is: 1100 bits are more than the 896 that this method takes"


@dataclass
class Ran:
    """What `mitigate` asks of a run."""

    counts: qc.Distribution
    reference: SimpleNamespace | None = None
    faults: FaultMasks | None = None
    noiseless: bool = False


def ran(ideal: qc.Distribution) -> Ran:
    """A run with a reference, and faults of the same size that flip one bit each."""
    counts, noise = measured(ideal, total=0.4)
    n = ideal.n_bits
    single = (1 << np.arange(n)).astype(np.uint64)[:, None]
    faults = FaultMasks(n, single, np.full(n, 0.4 / n), np.zeros(n), np.zeros((n, 2)))
    return Ran(counts, SimpleNamespace(noise=noise), faults)


def broad() -> qc.Distribution:
    return qc.Distribution(index_bits(np.arange(16), 4), np.random.default_rng(1).dirichlet(np.full(16, 3.0)))


def test_a_run_answers_by_its_reference_or_by_its_faults():
    few, many = ran(ghz(5)), ran(broad())
    assert qc.mitigate(few).method == "measured"
    assert qc.mitigate(many).method == "circuit"
    assert qc.mitigate(replace(many, faults=None)).method == "measured"
    assert qc.mitigate(replace(few, reference=None)).method == "circuit"
    assert qc.mitigate(replace(few, noiseless=True)).method == "none"


def test_what_is_given_goes_before_the_reference_of_a_run():
    run = ran(ghz(5))
    for options, method in (
        ({"noise": run.faults}, "circuit"),
        ({"method": "circuit"}, "circuit"),
        ({"noise": 0.05, "guard": False}, "mixture"),
        ({"guard": False}, "circuit"),
        ({"expect": "sparse"}, "circuit"),
        ({"method": "dem"}, "dem"),
        ({"method": "measured", "noise": run.reference.noise}, "measured"),
    ):
        assert qc.mitigate(run, **options).method == method
    other = qc.MeasuredNoise({"00000": 1000, "00001": 20}, "00000")
    assert "the reference kept 98% of its shots" in qc.mitigate(run, other).reason
    many = ran(broad())
    assert qc.mitigate(many, many.reference.noise).method == "measured"  # alone: no faults are brought beside it
    assert qc.mitigate(many, method="measured").method == "measured"


def test_measured_patterns_are_not_fitted_where_they_do_not_decide(monkeypatch):
    """Wide fits take seconds."""
    run = ran(broad())
    wanted = [qc.mitigate(run, method="circuit", **option) for option in ({"guard": False}, {"expect": "dense"})]
    monkeypatch.setattr("qcluster.core.methods.measured.mitigate_measured", None)
    assert [qc.mitigate(run, **option) for option in ({"guard": False}, {"expect": "dense"})] == wanted


def test_a_reference_of_a_run_that_cannot_be_one_is_passed_over():
    wrong = SimpleNamespace(noise=qc.MeasuredNoise({"0001": 900, "1000": 100}, "1000"))
    run = replace(ran(broad()), reference=wrong)
    assert qc.mitigate(run).method == "circuit"
    fewer = Ran(qc.Distribution.of({"0000": 9}), wrong)
    assert qc.mitigate(fewer).method == "mixture"
    with pytest.raises(ValueError, match="must be the reference's most frequent"):
        qc.mitigate(run, method="measured")
    with pytest.raises(ValueError, match="must be the reference's most frequent"):
        qc.mitigate(run, wrong.noise)
