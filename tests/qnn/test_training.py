"""History, stopping, warnings, weights of classes, and going on."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from qcluster.qnn import ContractedReadout, QNNClassifier, load_digits_4x4, parity_angles, plot_loss
from qcluster.qnn.training.losses import LOSSES, squared

digits = load_digits_4x4(3, 6)


@pytest.mark.parametrize("solver", ["lbfgs", "cobyla", "sgd", "paper", "adam", "spsa"])
def test_every_round_of_every_solver_is_in_the_curve(solver):
    model = QNNClassifier(
        solver=solver, max_iter=200 if solver in ("lbfgs", "cobyla") else 20, n_init=1, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        seen = list(model.iter_fit(digits.X, digits.y))
    assert len(model.loss_curve_) == len(seen) == model.n_iter_ > 3
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert (model.theta_ == seen[-1].step.theta).all()


def test_the_curve_of_exact_training_is_the_loss_at_theta():
    model = QNNClassifier(random_state=0).fit(digits.X, digits.y)
    signs = np.where(digits.y == model.classes_[1], 1, -1)
    assert model.loss_curve_[-1] == pytest.approx(np.mean((signs - model.decision_function(digits.X)) ** 2))
    assert (np.diff(model.loss_curve_) <= 0).all()


def test_leaving_the_iterator_leaves_a_model():
    model = QNNClassifier(solver="adam", n_init=1, random_state=0, max_iter=30)
    for progress in model.iter_fit(digits.X, digits.y):
        if progress.step.done == 12:
            break
    assert (model.theta_ == progress.step.theta).all()
    assert model.n_iter_ == 12
    assert model.score(digits.X, digits.y) > 0.9


class Failing(ContractedReadout):
    """A machine whose jobs fail after some."""

    left = 0

    def measure(self, *args, **options):
        Failing.left -= 1
        if Failing.left < 0:
            raise OSError("the line is dead")
        return super().measure(*args, **options)


def test_a_job_that_fails_leaves_what_was_trained():
    model = QNNClassifier(backend=Failing(1.0), train_on="backend", random_state=0)
    Failing.left = 5
    with pytest.raises(OSError, match="the line is dead"):
        model.fit(digits.X, digits.y)
    assert model.n_iter_ == 5
    assert model.n_circuits_ == 5 * 3 * 66


def test_a_warm_start_whose_first_job_fails_leaves_the_model_as_it_was():
    """Its angles stayed, but with the labels and cuts of the fit that had failed."""
    X = np.array([[0.1, 0.6], [0.9, 0.2], [0.3, 0.3]])
    model = QNNClassifier("zx-xx", random_state=0, n_init=1, warm_start=True).fit(X, ["a", "b", "b"])
    cuts, answers, angles = model.threshold_, model.predict(X), model.theta_
    model.set_params(backend=Failing(1.0), train_on="backend")
    Failing.left = 0
    with pytest.raises(OSError, match="the line is dead"):
        model.fit(X + 5, ["c", "d", "d"])
    assert (model.theta_ == angles).all()
    assert model.threshold_.tolist() == cuts.tolist()
    assert model.set_params(backend=None).predict(X).tolist() == answers.tolist()


def test_evaluations_of_cobyla_before_a_job_failed_are_not_lost():
    """scipy owns the loop: its exception took with it what all jobs before had found."""
    seen = []
    model = QNNClassifier(backend=Failing(1.0), train_on="backend", solver="cobyla", random_state=0,
                          callback=seen.append)  # fmt: skip
    Failing.left = 40
    with pytest.raises(OSError, match="the line is dead"):
        model.fit(digits.X, digits.y)
    assert (model.n_iter_, model.n_circuits_) == (40, 40 * 66)
    assert model.loss_curve_[-1] == model.loss_curve_.min()
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert (model.theta_ == seen[-1].step.theta).all()
    Failing.left = 0
    with pytest.raises(OSError, match="the line is dead"):
        model.fit(digits.X, digits.y)
    assert not hasattr(model, "theta_"), "nothing was measured"


def test_iterations_before_an_interrupt_are_not_lost(monkeypatch):
    calls = []

    def interrupted(margin):
        calls.append(margin)
        if len(calls) > 8:
            raise KeyboardInterrupt
        return squared(margin)

    monkeypatch.setitem(LOSSES, "squared", interrupted)
    model = QNNClassifier(random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(digits.X, digits.y)
    assert model.n_iter_ >= 2
    assert (np.diff(model.loss_curve_) < 0).all()


def test_a_callback_sees_every_round_and_may_stop():
    seen = []

    def callback(progress):
        seen.append(progress)
        return progress.start == 1 and progress.step.done == 2

    model = QNNClassifier(solver="adam", max_iter=4, n_init=3, random_state=0, callback=callback)
    model.fit(digits.X, digits.y)
    assert [(p.start, p.step.done) for p in seen] == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2)]
    assert model.n_iter_ == 4, "the finished start is the model"
    model.set_params(callback=lambda progress: progress.step.done == 3, solver="lbfgs").fit(digits.X, digits.y)
    assert model.n_iter_ == 3, "stopped on purpose: no ConvergenceWarning"


@pytest.mark.parametrize("solver", ["lbfgs", "sgd"])
def test_early_stopping_keeps_the_lowest_validation_loss(solver):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 2, (60, 16)), rng.integers(0, 2, 60)
    held = []
    model = QNNClassifier(
        solver=solver, early_stopping=True, validation_fraction=0.3, n_iter_no_change=3, n_init=1, random_state=0,
        max_iter=100, learning_rate=None if solver == "lbfgs" else 0.01,
        callback=lambda p: held.append((p.validation_loss, p.step.theta)) and False,
    ).fit(X, y)  # fmt: skip
    losses = [loss for loss, _ in held]
    assert model.validation_curve_.tolist() == losses
    assert len(losses) < 100, "labels at random: validation cannot go on improving"
    assert (model.theta_ == held[int(np.argmin(losses))][1]).all()
    with pytest.raises(ValueError, match="at least 2 rows of each class"):
        model.fit(X[:3], [0, 1, 1])


def test_running_out_of_iterations_is_told():
    with pytest.warns(ConvergenceWarning, match="lbfgs stopped at max_iter before it converged, after 2 rounds"):
        QNNClassifier(max_iter=2, n_init=1, random_state=0).fit(digits.X, digits.y)


def test_class_weights_are_sample_weights():
    X, y = digits.X[:80], digits.y[:80]
    weighted = QNNClassifier(class_weight={3: 5.0}, random_state=0).fit(X, y)
    assert weighted.theta_ == pytest.approx(QNNClassifier(random_state=0).fit(X, y, np.where(y == 3, 5.0, 1.0)).theta_)
    balanced = QNNClassifier(class_weight="balanced", random_state=0).fit(X, y)
    factors = np.where(y == 3, 80 / (2 * (y == 3).sum()), 80 / (2 * (y == 6).sum()))
    assert balanced.theta_ == pytest.approx(QNNClassifier(random_state=0).fit(X, y, factors).theta_)
    for bad, message in (({7: 1.0}, "labels among"), ({3: -1.0}, "positive factors")):
        with pytest.raises(ValueError, match=message):
            QNNClassifier(class_weight=bad).fit(X, y)


def test_balanced_classes_count_the_weights_of_their_rows():
    """A row of weight 3 counted once, so classes were balanced by rows and not by weights, unlike repeated rows."""
    X, y = digits.X[:60], digits.y[:60]
    times = np.where(y == 3, 3, 1)
    weighted = QNNClassifier(class_weight="balanced", random_state=0).fit(X, y, times)
    repeated = QNNClassifier(class_weight="balanced", random_state=0).fit(np.repeat(X, times, 0), np.repeat(y, times))
    assert weighted.theta_ == pytest.approx(repeated.theta_)


def test_partial_fits_go_on():
    model, order = QNNClassifier(random_state=0), np.random.default_rng(1).permutation(len(digits.y))
    for at in range(0, 364, 14):
        rows = order[at : at + 14]
        model.partial_fit(digits.X[rows], digits.y[rows], classes=[3, 6])
    assert model.n_iter_ == len(model.loss_curve_) == 26
    assert model.score(digits.X, digits.y) > 0.95
    model.partial_fit(digits.X[:1], digits.y[:1])
    assert model.classes_.tolist() == [3, 6]
    with pytest.raises(ValueError, match=r"labels must be among \[3, 6\]"):
        model.partial_fit(digits.X[:1], [5])
    with pytest.raises(ValueError, match="got one class, 3: pass all labels as classes="):
        QNNClassifier().partial_fit(digits.X[:1], [3])
    with pytest.raises(ValueError, match=r"classes must be those of the first call, \[3, 6\]; got \[3, 6, 8\]"):
        model.partial_fit(digits.X[:1], digits.y[:1], classes=[3, 6, 8])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"solver": "lbfgs"}, "needs a solver of passes .* got 'lbfgs'"),
        ({"early_stopping": True}, "early_stopping must be False; got True"),
        ({"class_weight": "balanced"}, "class_weight must be {label: factor} or None; got 'balanced'"),
    ],
)
def test_what_needs_all_rows_at_once_is_refused_by_partial_fits(knobs, message):
    """Early stopping did nothing, and classes were balanced by the rows of each call: a single row has no balance."""
    with pytest.raises(ValueError, match=message):
        QNNClassifier(**knobs).partial_fit(digits.X, digits.y)


def test_partial_fits_take_the_rate_of_their_solver():
    """It was refused as one of lbfgs, which "auto" means in fit alone."""
    steps = [QNNClassifier(learning_rate=rate, batch_size=364, init_scale=0, random_state=0) for rate in (1e-3, 2e-3)]
    short, long = (model.partial_fit(digits.X, digits.y).theta_ for model in steps)
    assert long == pytest.approx(2 * short)


@pytest.mark.parametrize("weights", [{"sample_weight": [5.0]}, {"class_weight": {"b": 5.0}}])
def test_a_row_of_a_partial_fit_has_its_weight(weights):
    """Over the mean of its call the weight of a single row was always 1."""

    def step(sample_weight=None, **knobs):
        model = QNNClassifier(learning_rate=1e-3, init_scale=0, **knobs)
        return model.partial_fit([[0, 1]], ["b"], classes=["a", "b"], sample_weight=sample_weight).theta_

    assert step(**weights) == pytest.approx(5 * step())


def test_partial_fits_draw_anew_in_every_call():
    """With one seed for all calls spsa went along one line for ever."""
    model, ends = QNNClassifier(solver="spsa", random_state=0), []
    for _ in range(12):
        ends.append(model.partial_fit(digits.X, digits.y).theta_)
    assert np.linalg.matrix_rank(np.diff(ends, axis=0)) == 11


def test_partial_fits_add_up_what_they_spent():
    model = QNNClassifier(backend=ContractedReadout(1.0), solver="adam", train_on="backend", shots=10, random_state=0)
    for calls in (1, 2):
        model.partial_fit([[0, 1], [1, 0]], [0, 1])
        assert (model.n_iter_, model.n_circuits_, model.n_shots_) == (calls, calls * 6, calls * 60)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"backend": "fake_nowhere"}, "fake_nowhere"),
        ({"backend": "aer", "execution": {"twirls": 0}}, "twirls must be"),
        ({"backend": "aer", "execution": {"mitigation": "m3"}}, "mitigation must be"),
        (
            {"backend": "aer", "execution": {"reference": True}},
            "got reference; for a reference .* mitigation=",
        ),
    ],
)
def test_backends_are_checked_before_training(knobs, message):
    rounds = []
    model = QNNClassifier(callback=rounds.append, **knobs)
    for train in (model.fit, model.partial_fit):
        with pytest.raises(Exception, match=message):
            train(digits.X, digits.y)
    assert not rounds
    assert not hasattr(model, "theta_")


def test_the_loss_is_drawn():
    X, y = np.array([[0, 1], [1, 0]] * 20), np.array([0, 1] * 20)
    model = QNNClassifier(solver="adam", max_iter=5, early_stopping=True, n_init=1, random_state=0).fit(X, y)
    drawn = {line.get_label(): line.get_ydata() for line in plot_loss(model).axes[0].lines}
    assert drawn["training"] == pytest.approx(model.loss_curve_)
    assert drawn["validation"] == pytest.approx(model.validation_curve_)
    left = Figure().subfigures(1, 2)[0].subplots()
    short = QNNClassifier(solver="adam", max_iter=2, n_init=1, random_state=0).fit(X, y)
    assert plot_loss(short, ax=left) is left.figure.figure
    assert all(tick == round(tick) for tick in left.get_xticks())  # a round is a whole number
    with pytest.raises(ValueError, match="made from angles"):
        plot_loss(QNNClassifier.from_angles(*parity_angles([1])))


def test_a_fit_that_fails_leaves_no_mixture_of_two():
    """Labels of the second fit with angles of the first would be answers, and wrong ones."""
    model = QNNClassifier(random_state=0).fit([[0, 1], [1, 0]] * 2, ["a", "b"] * 2)
    model.set_params(early_stopping=True)
    with pytest.raises(ValueError, match="at least 2 rows of each class"):
        model.fit([[0, 1], [1, 0]], ["c", "d"])
    with pytest.raises(NotFittedError):
        model.predict([[0, 1]])
    X, y = np.array([[0, 0], [0, 1], [1, 0]]), np.array(["a", "b", "c"])
    model = QNNClassifier(random_state=0, warm_start=True, n_init=1).fit(X, y)
    with pytest.raises(ValueError, match="warm_start needs 3 parameters; the last fit left 9"):
        model.fit(X[:2], ["d", "e"])
    with pytest.raises(NotFittedError):
        model.predict(X)
    model = QNNClassifier(encoding="state", random_state=0, n_init=1).fit(np.eye(4), ["a", "b"] * 2)
    with pytest.raises(ValueError, match="norm 1; got 2"):
        model.fit(2 * np.eye(4), ["c", "d"] * 2)
    assert set(model.predict(np.eye(4))) <= {"a", "b"}
