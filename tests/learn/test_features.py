from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qcluster.core.noise.faults import FaultMasks
from qcluster.learn.features import FEATURES, NAMES, as_measured, features, local_flips
from tests.strategies import counts


class Machine:
    """A calibration of three qubits in a row with one figure for each kind of error."""

    t1 = np.full(3, 100e-6)
    t2 = np.full(3, 80e-6)
    readout = np.array([[0.02, 0.04], [0.01, 0.01], [0.1, 0.1]])
    couplings = np.array([[0, 1], [1, 2]])

    def error(self, gate, qubits):
        return {"sx": 0.001, "cz": 0.02 if qubits == (0, 1) else 1.0, "rz": 0.0}.get(gate, float("nan"))

    def duration(self, gate, qubits):
        return {"sx": 40e-9, "cz": 100e-9, "rz": 0.0}.get(gate, float("nan"))


def profile(**changes):
    facts = {
        "measured": np.array([0, 1]),
        "gates": {("sx", (0,)): 3, ("cz", (0, 1)): 2, ("rz", (1,)): 5},
        "active": np.array([0, 1]),
        "idle": np.array([0.0, 1e-6, 0.0]),
        "two_qubit_depth": 2,
    }
    return SimpleNamespace(**facts | changes)


def named(row):
    return dict(zip(NAMES, row, strict=True))


def test_the_published_features_follow_their_formula():
    row = named(features(profile(), Machine(), {"00": 3, "11": 1}))
    gates = 0.999**3 * 0.98**2
    decay = np.exp(-(3 * 40e-9 + 2 * 2 * 100e-9) / 100e-6)
    assert row["esp"] == pytest.approx(gates * decay * 0.97 * 0.99)
    assert (row["n_qubits"], row["n_measured"], row["sx"], row["rz"], row["x"], row["two_qubit"]) == (2, 2, 3, 5, 0, 2)
    assert row["entropy"] == pytest.approx((0.75 * np.log2(4 / 3) + 0.5) / 2)
    assert row["idle_loss"] == pytest.approx(1e-6 * (1 / 400e-6 + 1 / 160e-6))
    assert row["readout_worst"] == pytest.approx(0.03)


def test_dead_gates_count_as_scrambling_and_unknown_ones_with_the_median_of_their_kind():
    class Gap(Machine):
        def error(self, gate, qubits):
            return float("nan") if qubits == (1, 2) else super().error(gate, qubits)

    alive = named(features(profile(gates={("cz", (0, 1)): 1}), Machine()))
    unknown = named(features(profile(gates={("cz", (1, 2)): 1}), Gap()))
    dead = named(features(profile(gates={("cz", (1, 2)): 1}), Machine()))
    assert unknown["loss_2q"] == pytest.approx(alive["loss_2q"])
    assert dead["loss_2q"] == pytest.approx(np.log(4))
    assert np.isnan(named(features(profile(gates={("swap", (0, 1)): 1}), Machine()))["esp"])


def test_rates_of_single_bits_are_known_whatever_the_machine_publishes():
    class Silent(Machine):
        t1 = t2 = np.zeros(3)
        readout = np.array([[1.0, 1.0], [np.nan, np.nan], [0.1, 0.1]])

        def error(self, gate, qubits):
            return float("nan")

    flips = local_flips(profile(), Silent())
    assert flips[0] == pytest.approx(0.5, abs=1e-9), "a readout that always fails is a coin"
    assert 0.1 < flips[1] < 0.4
    Silent.readout = np.full((3, 2), np.nan)
    assert np.isfinite(local_flips(profile(), Silent())).all()


def test_a_readout_of_which_half_is_unknown_keeps_the_other_half():
    class Half(Machine):
        readout = np.array([[0.02, np.nan], [0.01, 0.03], [1.0, 1.0]])

    row = named(features(profile(measured=np.array([0, 1, 2])), Half()))
    assert row["readout_mean"] == pytest.approx((0.025 + 0.02 + 0.5) / 3), "the median is of readouts that work"
    assert named(features(calibration=Half()))["readout_mean"] == pytest.approx(0.025)
    Half.readout = np.array([[0.02, np.nan], [np.nan, np.nan], [0.04, np.nan]])
    assert named(features(profile(), Half()))["readout_mean"] == pytest.approx((0.02 + 0.03) / 2)


def test_a_profile_that_measures_nothing_is_refused():
    for measured in np.zeros(0, dtype=int), np.array([-1, -1]):
        with pytest.raises(ValueError, match=f"none of its classical bits, {len(measured)}, holds a measurement"):
            features(profile(measured=measured), Machine())


def test_faults_without_the_bits_that_are_not_measured_are_known_as_well_as_before():
    masks, readout = np.array([[0b001], [0b010], [0b110]], dtype=np.uint64), np.array([[0.1, 0.2], [0, 0], [0.3, 0.4]])
    faults = FaultMasks(
        3, masks, np.array([0.1, 0.2, 0.3]), np.zeros(3), readout, 2.5, measured=True, last_rotations=[1, 2, 3]
    )
    _, read = as_measured(SimpleNamespace(measured=np.array([4, -1, 5])), None, faults)
    assert read is not None
    assert (read.n_bits, read.masks.tolist(), read.rates.tolist()) == (2, [[0b01], [0b10]], [0.1, 0.3])
    assert (read.readout.tolist(), read.rotations, read.measured) == ([[0.1, 0.2], [0.3, 0.4]], 2.5, True)
    assert read.last_rotations.tolist() == [1, 3]


def test_statistics_of_counts():
    row = named(features(counts={"000": 60, "001": 20, "110": 20}))
    assert (row["top_weight"], row["near_weight"], row["shots"]) == (0.6, 0.2, 100)
    assert row["mean_distance"] == pytest.approx((0.2 * 1 + 0.2 * 2) / 3)
    assert row["collision"] == pytest.approx((60 * 59 + 2 * 20 * 19) / (100 * 99))


def test_what_is_unknown_is_nan_and_nothing_else():
    missing = {name for name, value in named(features(counts={"00": 1, "11": 1})).items() if np.isnan(value)}
    assert {"esp", "rz", "n_qubits", "idle_loss"} <= missing
    assert not missing & {"entropy", "n_measured", "top_weight"}
    assert np.isnan(named(features(profile(), None, {"00": 4}))["esp"])
    assert np.isnan(features()).all()
    assert len(features()) == len(FEATURES)


def test_bits_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="2; got 3"):
        features(profile(), None, {"000": 4})
    with pytest.raises(ValueError, match="5 qubits; it has 3"):
        features(profile(idle=np.zeros(5)), Machine())


def test_the_noisier_qubit_flips_more():
    machine = Machine()
    flips = local_flips(profile(measured=np.array([1, 2, -1, 0])), machine)
    assert flips.shape == (3,)
    assert flips[1] == flips.max()


@given(counts(max_bits=8), st.randoms())
@example({"001101": 238, "000011": 44, "111101": 11, "011101": 387}, Random(1))
@example({"00000000": 386, "00000001": 204, "00001001": 3}, Random(58))
def test_renaming_bits_changes_no_statistic(table, random):
    order = list(range(len(next(iter(table)))))
    random.shuffle(order)
    renamed = {"".join(text[i] for i in order): count for text, count in table.items()}
    ties = sorted(table.values())
    if len(ties) < 2 or ties[-1] != ties[-2]:
        assert np.allclose(features(counts=table), features(counts=renamed), equal_nan=True)
