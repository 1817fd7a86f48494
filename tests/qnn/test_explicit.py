"""Angles that need no training, and states that need no strings."""

import numpy as np
import pytest

from qcluster.qnn import (
    Ansatz,
    ContractedReadout,
    QNNClassifier,
    load_model,
    majority_angles,
    parity_angles,
    reed_muller_angles,
    save_model,
)
from qcluster.qnn.ansatz import Term, layers

STRINGS = (np.arange(64)[:, None] >> np.arange(6)) & 1


@pytest.mark.parametrize("subset", [[1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
def test_parity_is_exact_and_majority_has_the_right_sign(subset):
    chosen = np.array(subset, dtype=bool)
    ones = STRINGS[:, chosen].sum(axis=1)
    parity = QNNClassifier.from_angles(*parity_angles(subset))
    assert parity.decision_function(STRINGS) == pytest.approx(2.0 * (ones % 2) - 1)
    majority = QNNClassifier.from_angles(*majority_angles(subset), classes=["few", "many"])
    f = majority.decision_function(STRINGS)
    assert np.sign(f.round(12)) == pytest.approx(np.sign(2 * ones - chosen.sum()))
    assert abs(f[2 * ones != chosen.sum()]).min() == pytest.approx(
        np.sin(np.pi / 2 / chosen.sum() * (2 - chosen.sum() % 2))
    )
    assert set(majority.predict(STRINGS)) == {"few", "many"}


def test_a_model_of_given_angles_does_what_a_trained_one_does(tmp_path):
    truth = np.random.default_rng(0).random(64) < 0.5
    model = QNNClassifier.from_angles(*reed_muller_angles(truth), random_state=0)
    assert (model.predict(STRINGS) == truth).all()
    save_model(model, tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert again.ansatz_ == model.ansatz_
    assert (again.predict(STRINGS) == truth).all()
    measured = model.set_params(backend=ContractedReadout(0.5, mitigation="rescale")).measure(STRINGS)
    assert measured.slope.value == pytest.approx(0.5, abs=0.05)
    assert measured.values == pytest.approx(2.0 * truth - 1, abs=0.2)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_function_of_a_few_bits_is_exact(n):
    for number in range(1 << (1 << n)):
        truth = (number >> np.arange(1 << n)) & 1
        model = QNNClassifier.from_angles(*reed_muller_angles(truth))
        assert model.decision_function(STRINGS[: 1 << n, :n]) == pytest.approx(2.0 * truth - 1)


def test_wrong_angles_are_named():
    ansatz, theta = parity_angles([1, 1])
    with pytest.raises(ValueError, match=r"theta must be finite, shape \(3,\)"):
        QNNClassifier.from_angles(ansatz, theta[:2])
    with pytest.raises(ValueError, match=r"ansatz must be an Ansatz, .* got 'zx'"):
        QNNClassifier.from_angles("zx", theta)
    with pytest.raises(ValueError, match="two labels in ascending order"):
        QNNClassifier.from_angles(ansatz, theta, classes=[1, 0])
    with pytest.raises(ValueError, match="at least one 1"):
        parity_angles([0, 0])
    with pytest.raises(ValueError, match="zeros and ones"):
        majority_angles([2, 0])
    with pytest.raises(ValueError, match=r"truth must hold zeros and ones; got \[0, 2, 5, 0\]"):
        reed_muller_angles([0, 2, 5, 0])
    with pytest.raises(ValueError, match=r"2\*\*n entries, n >= 1; got shape \(0,\)"):
        reed_muller_angles([])
    with pytest.raises(ValueError, match="the 3 data qubits of the rows; got 2"):
        QNNClassifier(ansatz).fit([[0, 0, 1], [1, 1, 1]], [0, 1])


def test_angles_trained_on_two_superpositions_classify_strings():
    """Diagonal gates read the mean of f over the strings: two states carry the parity of all 64."""
    odd = STRINGS[:, [0, 2, 3]].sum(axis=1) % 2 == 1
    states = np.array([~odd, odd]) / np.sqrt(32)
    model = QNNClassifier(encoding="state", init_scale=1.5, n_init=20, random_state=0).fit(states, [0, 1])
    model.set_params(encoding="basis")
    assert (model.predict(STRINGS) == odd).all()
    assert (model.compressed().predict(STRINGS) == odd).all()
    with pytest.raises(ValueError, match="6 features per row; got 64"):
        model.predict(states)
    model.set_params(backend=ContractedReadout(0.5, mitigation="rescale"))
    assert model.measure(STRINGS).slope.value == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="64 amplitudes per row; got 6"):
        model.set_params(encoding="state", backend=None).predict(STRINGS)


def test_angles_trained_on_strings_read_superpositions():
    model = QNNClassifier.from_angles(*parity_angles([1, 1, 0, 0, 0, 0]), encoding="state")
    even = np.isin(np.arange(64) & 3, (0, 3))
    assert model.decision_function([even / np.sqrt(32)]) == pytest.approx([-1])


def test_calibration_rows_of_every_encoding():
    for encoding, kind in (("basis", "basis"), ("angle", "product"), ("state", "state")):
        model = QNNClassifier.from_angles(layers(3, [("Z", "X")]), [0.1, 0.2, 0.3, 0.1], encoding=encoding)
        assert (model.calibration_.kind, model.calibration_.n_data) == (kind, 3)
    dense = Ansatz(2, (Term((0, 1), "XY", "X"), Term((), "", "X")))
    assert len(QNNClassifier.from_angles(dense, [0.3, 0.4]).calibration_) > 0
