"""DEM undoes a convolution exactly where there is no shot noise, and is refused what it cannot take."""

from fractions import Fraction

import numpy as np
import pytest

from qcluster.baselines import dem
from qcluster.core.counts.bits import index_bits, pack, parse_bitstrings
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity, total_variation
from qcluster.core.stats.walsh import LinearIndex
from tests.conftest import read_records
from tests.core.estimators.test_measured import ghz, measured


@pytest.mark.parametrize("n", [1, 3, 6])
def test_an_exact_convolution_is_undone_exactly(n):
    rng = np.random.default_rng(n)
    ideal, noise = rng.dirichlet(np.full(2**n, 0.5)), rng.dirichlet(np.ones(2**n))
    noise = 0.3 * noise + 0.7 * (np.arange(2**n) == 0)
    every = np.arange(2**n)
    noisy = np.array([ideal[every ^ y] @ noise for y in every])
    expected = int(rng.integers(2**n))
    strings = index_bits(every, n)
    fixed = dem(
        Distribution(strings, 1e9 * noisy), Distribution(strings, 1e9 * noise[every ^ expected]), strings[expected]
    )
    assert total_variation(fixed, Distribution(strings, ideal)) < 1e-6
    assert fixed.shots == pytest.approx(1e9)


def by_definition(counts, reference, expected):
    """DEM in fractions, which do not round, up to the square root of the reference's shots."""
    n, shots, measured_shots = len(expected), sum(counts.values()), sum(reference.values())
    strings = range(2**n)
    read = [Fraction(counts.get(f"{y:0{n}b}", 0), shots) for y in strings]
    flips = [Fraction(reference.get(f"{y ^ int(expected, 2):0{n}b}", 0), measured_shots) for y in strings]
    signs = [[(-1) ** (k & y).bit_count() for y in strings] for k in strings]
    least, spectrum = measured_shots**-0.5, []
    for row in signs:
        noisy, flipped = (sum(s * p for s, p in zip(row, part, strict=True)) for part in (read, flips))
        divisor = flipped if abs(flipped) >= least else -least if flipped < 0 else least
        spectrum.append(float(noisy) / float(divisor))
    ideal = [sum(s * p for s, p in zip(row, spectrum, strict=True)) / 2**n for row in signs]
    kept = {f"{y:0{n}b}": p for y, p in enumerate(ideal) if p > 1e-12}
    return {string: p / sum(kept.values()) for string, p in kept.items()}


@pytest.mark.parametrize("seed", range(20))
def test_noise_that_takes_a_parity_away_has_no_sign_by_rounding(seed):
    """A reference of 2, 1, 4 and 3 shots has e^ of 0, which came out as -3e-17 and was taken for negative."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    counts, reference = (
        {f"{y:0{n}b}": int(shots) for y, shots in enumerate(rng.integers(1, 5, 2**n))} for _ in range(2)
    )
    expected = f"{rng.integers(2**n):0{n}b}"
    assert dem(counts, reference, expected).to_probs() == pytest.approx(by_definition(counts, reference, expected))
    counts, smallest = {"00": 9, "11": 1}, {"00": 2, "01": 1, "10": 4, "11": 3}
    assert dem(counts, smallest, "00").to_probs() == pytest.approx(by_definition(counts, smallest, "00"))


@pytest.mark.parametrize("n", [16, 18, 24])
def test_an_exact_convolution_of_few_strings_leaves_these_alone(n):
    """Rounding in single precision put a hundred thousand strings beside two."""
    rng = np.random.default_rng(n)
    sent, flips = rng.random((2, n)) < 0.5, np.vstack([np.zeros((1, n), dtype=bool), rng.random((5, n)) < 0.3])
    chances = np.array([0.7, 0.1, 0.05, 0.05, 0.05, 0.05])
    read = Distribution((sent[:, None] ^ flips).reshape(-1, n), 8000 * np.outer([0.6, 0.4], chances).ravel())
    fixed = dem(read, Distribution(flips, 8000 * chances), np.zeros(n, dtype=bool))
    assert fixed.n_outcomes == 2
    assert total_variation(fixed, Distribution(sent, np.array([0.6, 0.4]))) < 1e-9


def test_wide_strings_are_inverted_through_a_hash():
    counts, noise = measured(ghz(40))
    fixed = dem(counts, noise.reference_counts, noise.expected, truncation=0.02)
    assert hellinger_fidelity(fixed, ghz(40)) > 0.9


def test_wide_strings_that_are_hashed_alike_divide_their_probability():
    """A stray shot does not get the probability of the string that shares its number."""
    right, flipped, stray = "0" * 22, "0" * 21 + "1", "0100111011010001001000"
    numbers = LinearIndex(22, 20).of(pack(parse_bitstrings([right, stray])))
    assert numbers[0] == numbers[1]
    fixed = dem({right: 899, stray: 1, flipped: 100}, {right: 900, flipped: 100}, right).to_probs()
    assert fixed == pytest.approx({right: 899 / 900, stray: 1 / 900})


def test_wide_counts_of_which_the_inversion_leaves_nothing_come_back():
    counts = Distribution.of({"1" * 30: 5})
    assert dem(counts, {"0" * 29 + "1": 9}, "0" * 30) == counts


@pytest.mark.parametrize(
    ("name", "least"), [("ghz20", 0.6), ("dicke10", 0.8), ("grover5", 0.35), ("phase_estimation6", 0.8)]
)
def test_recorded_outputs_improve_as_far_as_an_inversion_can(name, least):
    records = {record["id"]: record for record in read_records("dem_2025_dev.jsonl.gz")}
    record, reference = records[f"dem-{name}"], records[f"dem-{name}-estimation"]
    (expected,) = reference["ideal"]
    fixed = dem(record["counts"], reference["counts"], expected)
    assert hellinger_fidelity(fixed, Distribution.of(record["ideal"])) > least


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"000": 9}, {"00": 9}, "00"), "one width; got 3 and 2 bits"),
        (({"00": 9}, {"00": 9}, "0"), "width of the reference"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        dem(*arguments)


def test_a_truncation_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing is above"):
        dem({"00": 5, "11": 5}, {"00": 10}, "00", truncation=0.9)
    with pytest.raises(ValueError, match=r"\[0, 1\); got -1"):
        dem({"00": 5, "11": 5}, {"00": 10}, "00", truncation=-1)
