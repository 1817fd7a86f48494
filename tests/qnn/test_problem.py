"""Losses, problems and solvers."""

import numpy as np
import pytest

from qcluster.qnn import encoding
from qcluster.qnn.ansatz import build
from qcluster.qnn.simulation.exact import exact_form
from qcluster.qnn.training.losses import LOSSES, one_vs_rest, softmax
from qcluster.qnn.training.problem import Problem
from qcluster.qnn.training.solvers import SOLVERS
from qcluster.qnn.training.train import Training


def xor(loss="squared", weights=(1.0, 2.0, 1.0, 1.0, 0.5)):
    """Parity of two bits, one string twice."""
    bits = encoding.basis([[0, 0], [0, 1], [1, 0], [1, 1]])
    rows, targets = np.array([0, 1, 2, 3, 3]), np.array([0, 1, 1, 0, 0])
    form = exact_form(build("zx", 2), "basis")
    return Problem(form, bits, rows, targets, np.array(weights), 2, one_vs_rest(LOSSES[loss]))


@pytest.mark.parametrize("loss", [*LOSSES.values(), softmax(3.0)])
def test_slopes_are_differences(loss):
    margins = np.array([-0.9, -0.2, 0.0, 0.5, 0.99])
    up, down = loss(margins + 1e-6)[0], loss(margins - 1e-6)[0]
    assert (up - down) / 2e-6 == pytest.approx(loss(margins)[1], rel=1e-5)


def test_the_softmax_of_two_classes_is_finite_at_any_sharpness():
    losses, slopes = softmax(1e4)(np.array([-1.0, 1.0]))
    assert losses == pytest.approx([2e4, 0])
    assert slopes == pytest.approx([-2e4, 0])


def test_losses_beyond_the_margin_stay_finite():
    assert LOSSES["hinge"](np.array([1.2])) == (0, 0)
    assert np.isfinite(LOSSES["log"](np.array([-1.1]))[0]).all()


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_lower_the_loss(name):
    problem, rng = xor(), np.random.default_rng(2)
    solver, settings = SOLVERS[name]
    theta = np.array([0.3, 0.4, 0.2])
    steps = list(solver(problem, theta, settings, rng))
    assert problem.value(steps[-1].theta) < problem.value(theta) - 0.05
    assert all(step.total == settings.max_iter for step in steps)
    if name == "lbfgs":
        assert problem.value(steps[-1].theta) < 1e-6, "the parity of two bits has an exact solution"


def test_the_best_start_wins():
    problem, rng = xor(), np.random.default_rng(0)
    starts = [np.zeros(3), np.array([0.6, 0.7, 0.7])]
    training = Training(problem, starts, *SOLVERS["lbfgs"], rng)
    seen = list(training)
    assert sorted({p.start for p in seen}) == [0, 1]
    assert problem.value(training.outcome.theta) == min(problem.value(p.step.theta) for p in seen)
    with pytest.raises(ValueError, match="at least one start"):
        Training(problem, [], *SOLVERS["lbfgs"], rng)


def test_a_step_without_gradient_stays():
    """The rule loss / |g|**2 must not divide by zero where the gradient vanishes."""
    problem = xor("hinge")
    theta = np.array([np.pi / 4, np.pi / 4, np.pi / 4])
    solver, settings = SOLVERS["paper"]
    assert np.isfinite(list(solver(problem, theta, settings, np.random.default_rng(0)))[-1].theta).all()
