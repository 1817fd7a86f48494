"""One slope from rows whose exact values are known: what it mends, what it costs, and when it is refused."""

import numpy as np
import pytest
from scipy.stats import binomtest

from qcluster.qnn import ContractedReadout, QNNClassifier, encoding, load_digits_4x4, load_model, save_model
from qcluster.qnn.ansatz import build
from qcluster.qnn.measured import Readouts
from qcluster.qnn.rescale import calibration_rows, fit_slope, rescale

digits = load_digits_4x4(3, 6)


def draw(exact, slope, shots, rng):
    values = 2 * rng.binomial(shots, (1 + slope * exact) / 2) / shots - 1
    return values, np.sqrt(1 - values**2) / np.sqrt(shots)


def test_the_interval_of_the_slope_covers_it():
    """95 % intervals over 400 draws: the count must not be one that 93 % coverage would hardly give."""
    rng, exact = np.random.default_rng(1), np.array([0.9, 0.95, 0.8, -0.9, -0.7, -0.99])
    inside = fitting = 0
    for _ in range(400):
        slope = fit_slope(exact, *draw(exact, 0.5, 2048, rng), 2048)
        inside += slope.interval[0] <= 0.5 <= slope.interval[1]
        fitting += slope.fits
    assert binomtest(inside, 400, 0.95, "less").pvalue > 1e-3
    assert binomtest(fitting, 400, 0.99, "less").pvalue > 1e-3


def test_rows_that_scatter_widen_the_interval_and_do_not_fit():
    exact = np.array([0.9, 0.95, 0.8, -0.9, -0.7, -0.99])
    tight = fit_slope(exact, 0.5 * exact, np.full(6, 0.02), 2048)
    loose = fit_slope(exact, 0.5 * exact + 0.1 * np.array([1, -1, 1, 1, -1, 1]), np.full(6, 0.02), 2048)
    assert tight.fits
    assert not loose.fits
    assert loose.standard_error > 3 * tight.standard_error
    assert np.ptp(loose.interval) > 3 * np.ptp(tight.interval)
    with pytest.raises(ValueError, match="not zero"):
        fit_slope(np.zeros(3), np.zeros(3), np.full(3, 0.02), 2048)


def test_calibration_rows_are_large_distinct_and_of_both_signs():
    rng = np.random.default_rng(0)
    exact = np.append(rng.uniform(0.1, 1, 20), -rng.uniform(0.1, 1, 20))
    inputs = encoding.basis((np.arange(40)[:, None] >> np.arange(6)) & 1)
    rows = np.asarray(calibration_rows(inputs, exact, rng).array) @ (1 << np.arange(6))
    assert len(set(rows.tolist())) == 6
    assert (exact[rows] > 0).sum() == 3
    assert abs(exact[rows]).min() >= np.sort(abs(exact[:20]))[10:].min() * 0.5
    one_sided = calibration_rows(inputs.take(np.arange(20)), exact[:20], rng)
    assert len(one_sided) == 6
    assert len(calibration_rows(inputs.take(np.arange(2)), exact[:2], rng)) == 2


def test_a_contracted_machine_is_mended():
    """Error at least five times smaller, signs as they were, standard errors honest, cost as stated."""
    model = QNNClassifier(random_state=0, shots=4096).fit(digits.X[:200], digits.y[:200])
    X = np.unique(digits.X[200:], axis=0)
    exact = model.decision_function(X)
    raw = model.set_params(backend=ContractedReadout(0.4)).measure(X)
    found = model.set_params(backend=ContractedReadout(0.4, "rescale")).measure(X)
    rms = [np.sqrt(np.mean((values - exact) ** 2)) for values in (raw.values, found.values)]
    assert rms[1] < rms[0] / 5
    assert found.slope.interval[0] <= 0.4 <= found.slope.interval[1]
    assert found.slope.n_circuits == 6
    assert (found.n_circuits, found.n_shots) == (len(X) + 6, (len(X) + 6) * 4096)
    assert ((found.values > 0) == (found.raw > 0)).all()
    assert found.raw == pytest.approx(found.values * found.slope.value)
    assert np.mean(abs(found.values - exact) / found.standard_errors < 2) > 0.8


def test_a_slope_that_reaches_zero_is_not_divided_by():
    exact = np.array([0.9, -0.9])
    found = Readouts(np.array([0.01, 0.02, 0.3, -0.3]), np.full(4, 0.02), 4, 400)
    with pytest.warns(RuntimeWarning, match="clear of zero; got"):
        kept = rescale(found, exact, 100)
    assert kept.values.tolist() == [0.3, -0.3]
    assert kept.raw is None
    assert not kept.slope.fits


@pytest.mark.parametrize("kind", ["basis", "angle", "state"])
def test_every_encoding_keeps_its_rows_on_disk(kind, tmp_path):
    if kind == "state":
        rng = np.random.default_rng(1)
        X = rng.normal(size=(30, 8)) + 1j * rng.normal(size=(30, 8))
        X, y = X / np.linalg.norm(X, axis=1, keepdims=True), np.arange(30) % 2
    else:
        X, y = load_digits_4x4(3, 6, threshold=None).X[:60, 4:8], digits.y[:60]
    model = QNNClassifier(encoding=kind, n_init=1, random_state=0, backend=ContractedReadout(0.5, "rescale")).fit(X, y)
    save_model(model, tmp_path / "model.json")
    again = load_model(tmp_path / "model.json").set_params(backend=model.backend, random_state=0)
    assert (again.measure(X).values == model.measure(X).values).all()
    assert again.measure(X).slope == model.measure(X).slope


def test_batches_of_different_kinds_do_not_mix():
    with pytest.raises(ValueError, match="must be alike"):
        encoding.basis([[0, 1]]).concat(encoding.angles([[0.1, 0.2]]))


def test_a_slope_that_cannot_be_had_costs_no_shots():
    """All circuits ran, and were lost by the error."""

    class Counted(ContractedReadout):
        calls = 0

        def measure(self, *given, **options):
            Counted.calls += 1
            return super().measure(*given, **options)

    model = QNNClassifier.from_angles(build("zx", 2), np.zeros(3), backend=Counted(0.5, mitigation="rescale"))
    with pytest.raises(ValueError, match="decision value is not zero; got none: take mitigation='readout'"):
        model.measure([[0, 1]])
    assert not Counted.calls


@pytest.mark.parametrize("kind", ["basis", "angle", "state"])
def test_partial_fits_keep_rows_of_earlier_calls_for_the_slope(kind):
    """Those of the last call were all: a single row, where rows come one by one."""
    X = np.eye(8) if kind == "state" else digits.X[:40]
    y = np.arange(8) % 2 if kind == "state" else digits.y[:40]
    model = QNNClassifier(encoding=kind, random_state=0)
    for _ in range(2):
        for row, label in zip(X, y, strict=True):
            model.partial_fit([row], [label], classes=np.unique(y))
    kept = model.calibration_.array.reshape(len(model.calibration_), -1)
    assert len(kept) == len(np.unique(kept, axis=0)) == 6
    model.set_params(backend=ContractedReadout(0.5, mitigation="rescale"))
    assert model.measure(X).slope.n_circuits == 6
