"""The kernel against flipping mask by mask, and the learning of its rates."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.noise.faults import CROSSTALK, FaultMasks, merge_masks
from qcluster.core.noise.kernel import Kernel, learn_rates, prior_cost
from tests.core.noise.oracle_circuit import noisy_distribution, random_faults


def test_faults_introduce_themselves_in_one_line():
    masks = np.arange(1, 128, dtype=np.uint64)[:, None]
    faults = FaultMasks(7, masks, np.full(127, 0.01), np.zeros(127, np.uint8), np.zeros((7, 2)))
    assert repr(faults) == "FaultMasks(127 masks of 7 bits, 1.27 faults per shot)"


@given(n=st.integers(1, 7), seed=st.integers(0, 99))
def test_forward_is_flipping_with_each_mask_in_turn(n, seed):
    rng = np.random.default_rng(seed)
    faults = random_faults(n, rng)
    ideal = rng.dirichlet(np.ones(2**n))
    kernel = Kernel.of(faults)
    np.testing.assert_allclose(kernel.forward(ideal), noisy_distribution(ideal, faults), atol=1e-12)
    other = rng.random(2**n)
    assert other @ kernel.forward(ideal) == pytest.approx(ideal @ kernel.adjoint(other))


@given(n=st.integers(1, 7), seed=st.integers(0, 99))
def test_flips_of_bits_are_those_of_all_patterns_together(n, seed):
    rng = np.random.default_rng(seed)
    faults = random_faults(n, rng).symmetrised()
    noisy = Kernel.of(faults).forward(np.eye(1 << n)[0])
    for narrower in (None, max(1, n - 2)):  # hashed strings have the same bits
        flips = Kernel.of(faults, narrower).flips(faults)
        for bit in range(n):
            assert flips[bit] == pytest.approx(noisy.reshape(-1, 2, 1 << bit)[:, 1].sum(), abs=1e-12)


def test_a_hashed_kernel_is_the_exact_one_seen_through_the_hash():
    rng = np.random.default_rng(4)
    faults = random_faults(8, rng).symmetrised()
    exact, hashed = Kernel.of(faults), Kernel.of(faults, 5)
    ideal = rng.dirichlet(np.ones(2**8))
    place = hashed.index.of(np.arange(2**8, dtype=np.uint64)[:, None])
    folded = np.bincount(place, ideal, hashed.size)
    expected = np.bincount(place, exact.forward(ideal), hashed.size)
    np.testing.assert_allclose(hashed.forward(folded), expected, atol=1e-12)


@pytest.mark.parametrize("symmetric", [True, False])
def test_columns_are_what_single_strings_are_read_as(symmetric):
    faults = random_faults(5, np.random.default_rng(3), rate=0.05, readout=0.05)
    faults = faults.symmetrised() if symmetric else faults
    sent, rows = np.array([3, 17, 30]), np.array([0, 3, 9, 31])
    seen = Kernel.of(faults).columns(sent, rows)
    for place, string in enumerate(sent):
        np.testing.assert_allclose(seen[:, place], noisy_distribution(np.eye(32)[string], faults)[rows], atol=1e-12)


def test_learning_finds_the_rates_that_made_the_counts():
    rng = np.random.default_rng(3)
    faults = random_faults(6, rng, rate=0.2)
    truth = Kernel.of(faults)
    prior = Kernel.of(replace(faults, rates=faults.rates * rng.lognormal(0, 0.7, len(faults.rates))))
    ideal = np.zeros(64)
    ideal[[0, 45]] = 0.6, 0.4
    goal = truth.forward(ideal)
    counts = rng.multinomial(200_000, goal).astype(float)
    learned = learn_rates(prior, prior, counts, ideal, strength=1.0, steps=200)
    before, after = (np.abs(kernel.forward(ideal) - goal).sum() / 2 for kernel in (prior, learned))
    assert after < 0.01
    assert after < before / 3
    assert prior_cost(prior, prior, 1.0) == pytest.approx(0.0)
    assert prior_cost(learned, prior, 1.0) > 0


def test_a_strong_prior_keeps_the_calibration():
    rng = np.random.default_rng(5)
    prior = Kernel.of(random_faults(5, rng))
    counts = rng.multinomial(5000, np.full(32, 1 / 32)).astype(float)
    ideal = np.eye(32)[0]
    kept = learn_rates(prior, prior, counts, ideal, strength=1e9, steps=3)
    np.testing.assert_allclose(kept.rates, prior.rates, rtol=1e-3)
    np.testing.assert_allclose(kept.decays, prior.decays, rtol=1e-3)


@pytest.mark.parametrize(("readout", "sent"), [((0.0, 0.1), 1), ((0.1, 0.0), 0)])
def test_decay_is_learned_from_one_bit(readout, sent):
    """Of 1000 shots, 300 left the value that was sent."""
    prior = Kernel.of(FaultMasks(1, np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0), np.array([readout])))
    counts = np.where(np.arange(2) == sent, 700.0, 300.0)
    learned = learn_rates(prior, prior, counts, np.eye(2)[sent], strength=1e-9, steps=60)
    assert abs(learned.decays[0]) == pytest.approx(0.3, abs=1e-3)
    assert np.sign(learned.decays[0]) == (1 if sent else -1)


def test_rates_beside_the_calibration_cost_a_twentieth():
    """A gamma prior, of which patterns that the calibration lacks have a smaller weight."""
    masks, kind = np.array([[1], [2]], dtype=np.uint64), np.array([0, CROSSTALK])
    prior = Kernel.of(FaultMasks(2, masks, np.full(2, 0.1), kind, np.zeros((2, 2))))
    doubled = replace(prior, rates=prior.rates * np.array([2.0, 2.0, 1.0, 1.0]))
    nothing = np.log(1e-12)  # readout without errors: the least ratio
    wanted = 3.0 * (1 - np.log(2)) * (1 + 1 / 20) + 2 * 3.0 * (1e-12 - 1 - nothing)
    assert prior_cost(doubled, prior, 3.0) == pytest.approx(wanted)


def test_scaled_decays_stay_probabilities():
    readout = np.array([[0.0, 0.2], [0.0, 0.7], [0.7, 0.0], [0.0, 0.95]])
    kernel = Kernel.of(FaultMasks(4, np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0), readout))
    np.testing.assert_allclose(kernel.scaled(3.0).decays, [0.3, 0.9, -0.9, 0.95])
    np.testing.assert_allclose(kernel.scaled(0.5).decays, [0.1, 0.35, -0.35, 0.475])


def test_equal_masks_of_a_kind_are_merged():
    masks = np.array([[3], [0], [3], [1], [3]], dtype=np.uint64)
    kind = np.array([0, 0, 0, 0, CROSSTALK], dtype=np.uint8)
    merged, rates, kinds = merge_masks(masks, np.array([0.1, 0.2, 0.3, 0.4, 0.5]), kind)
    assert merged[:, 0].tolist() == [1, 3, 3]
    np.testing.assert_allclose(rates, [0.4, 0.4, 0.5])
    assert kinds.tolist() == [0, 0, CROSSTALK]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rates": np.array([-0.1])}, "rates must be finite and not negative; got -0.1"),
        ({"masks": [[1]] * 2, "kind": [0] * 2, "rates": [0.1, np.inf]}, "rates must be finite .*; got inf"),
        ({"masks": np.zeros((1, 2), dtype=np.uint64)}, "masks must be"),
        ({"masks": np.array([[2]], dtype=np.uint64)}, r"masks must flip bits below 1; got \[2\]"),
        ({"kind": np.array([4])}, "kind must be an index into .*; got 4"),
        ({"kind": np.array([-1])}, "kind must be an index into .*; got -1"),
        ({"kind": [-1]}, "kind must be an index into .*; got -1"),
        ({"kind": [300]}, "kind must be an index into .*; got 300"),
        ({"masks": [[-1]]}, r"masks must be whole numbers from 0 to 2\*\*64 - 1; got \[\[-1\]\]"),
        ({"masks": [[2**70]]}, "masks must be whole numbers .*; got .*1180591620717411303424"),
        ({"masks": [[1.5]]}, r"masks must be whole numbers .*; got \[\[1.5\]\]"),
        ({"n_bits": 1.0}, "n_bits must be a whole number of at least 0; got 1.0"),
        ({"readout": np.array([[0.7, 0.4]])}, "sum to less than 1"),
        ({"readout": np.array([[0.1], [0.2]])}, r"readout must be \(n_bits, 2\), here \(1, 2\); got \(2, 1\)"),
        ({"readout": np.array([0.1])}, r"readout must be \(n_bits, 2\), here \(1, 2\); got \(1,\)"),
        ({"rotations": -0.1}, "rotations must be a finite number and not negative"),
        ({"rotations": float("nan")}, "rotations must be a finite number and not negative"),
        ({"last_rotations": [0.1, 0.2]}, r"last_rotations must be 1 finite numbers .*; got \[0.1, 0.2\]"),
        ({"last_rotations": [-0.1]}, r"last_rotations must be 1 finite numbers .*; got \[-0.1\]"),
        ({"last_rotations": [np.nan]}, r"last_rotations must be 1 finite numbers .*; got \[nan\]"),
        ({"last_rotations": 0.1}, "last_rotations must be 1 finite numbers .*; got 0.1"),
    ],
)
def test_fault_masks_say_what_is_wrong(change, words):
    good = {"n_bits": 1, "masks": np.ones((1, 1), dtype=np.uint64), "rates": np.array([0.1])}
    good |= {"kind": np.zeros(1, dtype=np.uint8), "readout": np.zeros((1, 2))}
    with pytest.raises(ValueError, match=words):
        FaultMasks(**(good | change))


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "2", None, True])
def test_what_is_no_factor_of_noise_is_named(wrong):
    faults = FaultMasks(1, np.ones((1, 1), dtype=np.uint64), np.array([0.1]), np.zeros(1), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="factor must be a finite number of at least 0; got"):
        faults.scaled(wrong)


def test_a_width_of_a_short_kind_of_number_does_not_overflow():
    faults = FaultMasks(np.uint8(200), np.zeros((0, 4), np.uint64), np.zeros(0), np.zeros(0), np.zeros((200, 2)))
    assert (faults.n_bits, type(faults.n_bits)) == (200, int)


@pytest.mark.parametrize("wrong", [["0.1"], np.array([0.1 + 1j]), [True], [None]])
@pytest.mark.parametrize("name", ["rates", "readout"])
def test_rates_of_faults_are_numbers(name, wrong):
    good = {"n_bits": 1, "masks": np.ones((1, 1), dtype=np.uint64), "rates": np.array([0.1])}
    good |= {"kind": np.zeros(1, dtype=np.uint8), "readout": np.zeros((1, 2))}
    with pytest.raises(TypeError, match=f"{name} must be numbers; got "):
        FaultMasks(**(good | {name: np.repeat([wrong], 2, axis=1) if name == "readout" else wrong}))


def test_shots_that_single_precision_calls_impossible_teach_no_nonsense():
    """Few strings, little noise, and shots where nothing should be: some probabilities come out below zero."""
    rng = np.random.default_rng(0)
    prior = Kernel.of(random_faults(16, rng, rate=1e-4).symmetrised())
    ideal = np.full(prior.size, 1e-12)
    ideal[[0, -1]] = 0.5
    counts = np.zeros(prior.size)
    counts[[0, -1]] = 480
    counts[rng.integers(0, prior.size, 40)] += 1
    with np.errstate(all="raise", under="ignore"):
        learned = learn_rates(prior, prior, counts, ideal, strength=1.0, steps=2)
    assert (learned.rates > 0).all()
    assert learned.rates.sum() < 1, "forty shots of a thousand are no reason to expect a fault in each"
