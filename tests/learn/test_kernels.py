from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.learn.decision.cases import of_vector
from qcluster.learn.features import NAMES, features
from qcluster.learn.kernels import kernel_features, lost
from qcluster.learn.label import effective_rate


def faults(bits, rate=0.03, pairs=0.02):
    """Readout on each bit, and faults that flip neighbours together."""
    masks = np.array([[3 << place] for place in range(bits - 1)], np.uint64)
    return FaultMasks(bits, masks, np.full(bits - 1, pairs), np.zeros(bits - 1, np.uint8), np.full((bits, 2), rate))


def read(ideal, noise, shots=20000, seed=1):
    """Counts of an ideal vector under the kernel of faults."""
    bits = noise.n_bits
    noisy = Kernel.of(noise).forward(ideal)
    return of_vector(np.random.default_rng(seed).multinomial(shots, noisy / noisy.sum()), bits)


def certain(bits, string):
    ideal = np.zeros(1 << bits)
    ideal[string] = 1.0
    return ideal


def test_one_string_loses_what_the_kernel_says():
    known, ideal = faults(5), certain(5, 19)
    counts = read(ideal, known)
    found, truth = kernel_features(counts, known), effective_rate(counts, of_vector(ideal, 5))
    assert found["kernel_flip"] == pytest.approx(truth, abs=0.004)
    assert found["few_loss"] == pytest.approx(found["kernel_flip"], abs=1e-9)
    assert found["few_rate"] == found["few_rate_2"] == pytest.approx(truth)
    assert found["few_strings"] == 0


def test_the_flips_of_one_string_count_both_readout_errors():
    """Whether measurements are twirled or not: the mean over all strings of the probability that no bit is flipped."""
    uneven = replace(faults(4), readout=np.array([[0.01, 0.09], [0.02, 0.04], [0.05, 0.01], [0.03, 0.03]]))
    found = kernel_features(read(certain(4, 9), uneven), uneven)
    unflipped = np.trace(Kernel.of(uneven).forward(np.eye(16))) / 16
    assert found["kernel_flip"] == pytest.approx(1 - unflipped ** (1 / 4), rel=1e-9)


def test_twice_the_noise_undoes_what_a_drifted_machine_scatters():
    """At the calibrated noise it is left beside the string, and the string loses less than it did."""
    known, ideal = faults(6), certain(6, 40)
    counts = read(ideal, known.scaled(2.2))
    found, truth = kernel_features(counts, known), effective_rate(counts, of_vector(ideal, 6))
    assert found["few_rate_2"] == pytest.approx(truth)
    assert found["few_loss"] < 0.6 * truth
    assert found["kernel_rate"] < found["kernel_rate_2"] - 0.01
    assert found["kernel_rate_2"] == pytest.approx(truth, abs=0.02)
    assert found["kernel_entropy"] > found["kernel_entropy_2"] + 0.1


def test_a_flat_output_loses_nothing():
    counts = read(np.full(32, 1 / 32), faults(5))
    found = kernel_features(counts, faults(5))
    assert found["kernel_entropy"] > 0.97
    assert abs(found["kernel_loss"]) < 0.02


def test_wide_registers_and_no_shots_are_understood():
    sent = np.random.default_rng(4).random((2, 40)) < 0.5
    rows = sent[np.random.default_rng(5).integers(2, size=3000)] ^ (np.random.default_rng(6).random((3000, 40)) < 0.03)
    found = kernel_features(Distribution(rows, np.ones(3000)), faults(40, pairs=0.0))
    assert found["few_rate"] == pytest.approx(0.03, abs=0.006)
    assert all(np.isfinite(value) for value in found.values())
    assert kernel_features(Distribution(rows[:0], np.ones(0)), faults(40)) == {}


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_the_rate_of_vectors_is_that_of_distributions(bits, seed):
    rng = np.random.default_rng(seed)
    ideal = rng.exponential(size=1 << bits) * (rng.random(1 << bits) < 0.7) + 1e-6
    counts = rng.multinomial(500, ideal[::-1] / ideal.sum())
    expected = effective_rate(of_vector(counts, bits), of_vector(ideal, bits))
    assert lost(counts / 500, ideal / ideal.sum(), bits, 500) == pytest.approx(expected)


def test_features_take_them_where_the_faults_are_known():
    known = faults(4)
    counts = read(certain(4, 5), known)
    row = dict(zip(NAMES, features(counts=counts, faults=known), strict=True))
    assert {name: row[name] for name in row if name.startswith(("kernel_", "few_"))}.items() <= (
        kernel_features(counts, known).items()
    )
    alone = dict(zip(NAMES, features(counts=counts), strict=True))
    assert all(np.isnan(alone[name]) for name in NAMES if name.startswith(("kernel_", "few_")))
    bare = dict(zip(NAMES, features(counts=counts, faults=known, alone=False), strict=True))
    assert np.isnan(bare["answer_rate"])
    assert bare["few_rate"] == row["few_rate"]
    assert bare["fault_rate"] == row["fault_rate"] == pytest.approx(bare["few_rate"], abs=0.01)
