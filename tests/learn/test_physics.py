import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy
from qcluster.learn.features import NAMES, features
from qcluster.learn.physics import COLUMNS, LIKELY, PhysicalColumns, closed_form, entropy_flip, speckle_form


def flipped(rng, bits, rate, shots):
    return Distribution(rng.random((shots, bits)) < rate, np.ones(shots))


@pytest.mark.parametrize(("bits", "shots"), [(3, 500), (8, 4096), (16, 2000)])
@pytest.mark.parametrize("rate", [0.01, 0.06, 0.15])
def test_flips_of_one_string_are_read_back_from_its_statistics(bits, shots, rate):
    rng = np.random.default_rng(5)
    rows = np.stack([features(counts=flipped(rng, bits, rate, shots)) for _ in range(12)])
    found = dict(zip(COLUMNS, PhysicalColumns().fit_transform(rows).mean(axis=0), strict=True))
    noise = 4 * np.sqrt(rate / (bits * shots * 12))
    for name in ("entropy_flip", "top_flip", "neighbour_flip", "collision_flip", "mean_distance"):
        assert found[name] == pytest.approx(rate, abs=noise + 0.05 * rate), name


def test_the_expected_entropy_knows_the_number_of_shots():
    """The plug-in entropy of few shots is far below that of the distribution; the inversion makes up for it."""
    rng = np.random.default_rng(1)
    for shots in (200, 20000):
        seen = np.array([entropy(flipped(rng, 20, 0.1, shots), normalised=True) for _ in range(8)])
        rates = entropy_flip(seen, np.full(8, 20.0), np.full(8, float(shots)))
        assert rates.mean() == pytest.approx(0.1, abs=0.012 if shots == 200 else 0.004)


@given(st.floats(0.01, 1), st.integers(1, 30))
def test_the_closed_form_lies_between_its_ends(success, bits):
    rate = float(closed_form(success, bits))
    assert -1e-9 <= rate <= 0.5
    assert rate <= 1 - success ** (1 / bits) + 1e-9
    assert closed_form(success * 0.9, bits) >= rate


def test_idling_comes_from_the_schedule_or_from_a_constant():
    row = np.full(len(NAMES), np.nan)
    for name, value in {"n_measured": 4, "n_qubits": 4, "two_qubit": 10, "esp": 0.8}.items():
        row[NAMES.index(name)] = value
    guessed, none = PhysicalColumns().fit_transform(row[None]), PhysicalColumns(0.0).fit_transform(row[None])
    row[NAMES.index("idle_loss")] = 0.16
    known = PhysicalColumns(0.0).fit_transform(row[None])
    assert guessed[0, 0] == pytest.approx(known[0, 0])
    assert guessed[0, 0] > none[0, 0]
    assert np.isnan(guessed[0, 1])


def test_a_speckle_loses_less_to_uniform_noise_than_a_peak():
    """Draws of exponential probabilities, mixed with uniform noise, lose what the form says."""
    rng, m, kept = np.random.default_rng(6), 8, 0.3
    lost = []
    for _ in range(200):
        ideal = rng.exponential(size=2**m)
        ideal /= ideal.sum()
        top = ideal.max()
        lost.append((kept * top + (1 - kept) * 2.0**-m) / top)
    assert 1 - np.mean(lost) ** (1 / m) == pytest.approx(float(speckle_form(kept, m)), abs=0.01)
    assert speckle_form(kept, m) < closed_form(kept, m)


def test_the_answer_under_faults_counts_where_it_is_sharper_and_likely():
    facts = {"n_measured": 5, "entropy": 0.6, "kernel_flip": 0.06}
    facts |= {"fault_entropy": 0.1, "fault_top": 0.9, "fault_rate": 0.09}

    def best(**changes):
        row = np.full((1, len(NAMES)), np.nan)
        for name, value in (facts | changes).items():
            row[0, NAMES.index(name)] = value
        return dict(zip(COLUMNS, PhysicalColumns().fit_transform(row)[0], strict=True))

    assert best()["kernel_best"] == pytest.approx(0.09)
    left = best(fault_entropy=0.6, fault_rate=0.0)
    assert left["kernel_best"] == pytest.approx(left["kernel_flat"])
    assert best(fault_entropy=0.9, entropy=0.9)["kernel_flat"] == pytest.approx(best()["kernel_speckle"])
    assert best(fault_rate=0.4)["kernel_best"] == pytest.approx(LIKELY * closed_form(0.94**5, 5))
    assert np.isnan(best(kernel_flip=np.nan)["kernel_best"])


def test_wrong_width_is_named():
    with pytest.raises(ValueError, match=f"{len(NAMES)}.*got shape"):
        PhysicalColumns().fit(np.zeros((3, 2)))


def test_gate_counts_alone_tell_a_hard_circuit_from_an_easy_one():
    """Without a calibration the closed form is unknown; typical errors still order circuits by their gates."""
    rows = np.full((3, len(NAMES)), np.nan)
    for name, values in {"n_qubits": 5, "n_measured": 5, "rz": 9, "sx": 9, "x": 0, "two_qubit": (0, 10, 200)}.items():
        rows[:, NAMES.index(name)] = values
    made = dict(zip(COLUMNS, PhysicalColumns().fit_transform(rows).T, strict=True))
    assert np.isnan(made["closed_form"]).all()
    assert made["typical_form"][0] == pytest.approx(0.02, abs=0.002)
    assert np.all(np.diff(made["typical_form"]) > 0)
    assert made["typical_form"][2] > 0.3
