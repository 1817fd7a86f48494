"""Solvers that minimise the loss: SciPy's L-BFGS-B and COBYLA, and four short methods that tolerate noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.qnn.training.problem import Problem


@dataclass(frozen=True, eq=False)
class Step:
    """One round of training."""

    theta: Floats
    """The angles after the round."""
    loss: float
    """Mean loss: averaged over the round for sampled methods, at theta for the others."""
    done: int
    """Rounds completed."""
    total: int
    """Rounds planned."""
    converged: bool = True
    """Whether the convergence test of the solver was met; always True for sampled methods, which have no such test."""


@dataclass(frozen=True)
class Settings:
    """Settings of a solver."""

    max_iter: int
    """Most rounds: iterations, or passes over the samples if batch_size is set."""
    learning_rate: float
    """Step size; not used by lbfgs and cobyla."""
    batch_size: int | None
    """Samples per step; None uses all distinct inputs in every step."""

    def __post_init__(self) -> None:
        check_whole("max_iter", self.max_iter, 1)
        check_real("learning_rate", self.learning_rate, 0)
        if self.batch_size is not None:
            check_whole("batch_size", self.batch_size, 1)


Solver = Callable[[Problem, Floats, Settings, np.random.Generator], Iterator[Step]]


def lbfgs(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run L-BFGS-B on exact gradients; the iterations are yielded after SciPy's loop has ended."""
    from scipy.optimize import OptimizeResult, minimize

    history: list[tuple[Floats, float]] = []

    def record(intermediate_result: OptimizeResult) -> None:
        history.append((intermediate_result.x.copy(), float(intermediate_result.fun)))

    options = {"maxiter": settings.max_iter}

    def run() -> bool:
        result = minimize(problem.gradient, theta, jac=True, method="L-BFGS-B", callback=record, options=options)
        if not history:
            history.append((result.x, float(result.fun)))
        # Status 1 is the iteration limit. Status 2, a failed line search, counts as converged: it finds no lower loss.
        return bool(result.status != 1)

    yield from _replay(run, history, settings.max_iter)


def cobyla(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run COBYLA, which needs no gradient; the evaluations are yielded after it has ended, the solution last."""
    from scipy.optimize import minimize

    least = len(theta) + 2
    if settings.max_iter < least:
        raise ValueError(
            f"max_iter of cobyla must be at least the number of angles + 2, {least}; got {settings.max_iter}"
        )
    history: list[tuple[Floats, float]] = []

    def value(angles: Floats) -> float:
        loss = problem.value(angles)
        history.append((angles.copy(), loss))
        return loss

    # The loss is periodic in the angles with period pi, so SciPy's default initial step of 1 radian is too large.
    options = {"maxiter": settings.max_iter, "rhobeg": 0.2}

    def run() -> bool:
        result = minimize(value, theta, method="COBYLA", options=options)
        history[-1] = result.x, float(result.fun)
        return bool(result.success)

    yield from _replay(run, history, settings.max_iter)


def _replay(run: Callable[[], bool], history: list[tuple[Floats, float]], total: int) -> Iterator[Step]:
    """Run a loop of SciPy's, then yield the rounds that it recorded in `history`.

    If the loop ends in an exception, because a job failed or the user interrupted it, its rounds are yielded as well,
    with the best one last, before the exception is raised again.
    """

    def steps(converged: bool) -> Iterator[Step]:
        for done, (theta, loss) in enumerate(history, 1):
            yield Step(theta, loss, done, total, converged and done == len(history))

    try:
        converged = run()
    except BaseException:
        if history:
            history[-1] = min(history, key=lambda entry: entry[1])
            yield from steps(False)
        raise
    yield from steps(converged)


def sgd(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run stochastic gradient descent: theta - rate g, with the gradient g of one batch."""
    return _descend(problem, theta, settings, rng, lambda loss, g: -settings.learning_rate * g)


def paper(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run the update of the paper, theta - rate (loss / |g|**2) g; at rate 1 a loss linear in theta would vanish."""

    def step(loss: float, g: Floats) -> Floats:
        norm = float(g @ g)
        return -settings.learning_rate * loss / norm * g if norm > 1e-24 else np.zeros_like(g)

    return _descend(problem, theta, settings, rng, step)


def adam(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run Adam (arXiv:1412.6980) with its usual decay rates 0.9 and 0.999."""
    mean, square, count = np.zeros_like(theta), np.zeros_like(theta), 0

    def step(loss: float, g: Floats) -> Floats:
        nonlocal mean, square, count
        count += 1
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        return np.asarray(
            -settings.learning_rate * (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
        )

    return _descend(problem, theta, settings, rng, step)


def spsa(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run SPSA (Spall 1998): two losses along a random direction per step, exponents 0.602 and 0.101, shift 0.1."""
    for k in range(settings.max_iter):
        width = 0.1 / (k + 1) ** 0.101
        rate = settings.learning_rate / (k + 1 + 0.1 * settings.max_iter) ** 0.602
        direction = rng.choice([-1.0, 1.0], size=len(theta))
        up, down = problem.value(theta + width * direction), problem.value(theta - width * direction)
        theta = theta - rate * (up - down) / (2 * width) * direction
        yield Step(theta, (up + down) / 2, k + 1, settings.max_iter)


def _descend(
    problem: Problem,
    theta: Floats,
    settings: Settings,
    rng: np.random.Generator,
    step: Callable[[float, Floats], Floats],
) -> Iterator[Step]:
    n, size = len(problem.rows), settings.batch_size
    for done in range(1, settings.max_iter + 1):
        losses = []
        order = rng.permutation(n) if size else np.arange(0)
        for at in range(0, n, size) if size else range(1):
            if size:
                loss, g = problem.sampled_gradient(theta, order[at : at + size])
            else:
                loss, g = problem.gradient(theta)
            theta = theta + step(loss, g)
            losses.append(loss)
        yield Step(theta, float(np.mean(losses)), done, settings.max_iter)


SOLVERS: dict[str, tuple[Solver, Settings]] = {
    "lbfgs": (lbfgs, Settings(200, 0.0, None)),
    "cobyla": (cobyla, Settings(2000, 0.0, None)),
    "sgd": (sgd, Settings(10, 0.003, 1)),
    "paper": (paper, Settings(10, 0.05, 1)),
    "adam": (adam, Settings(30, 0.03, None)),
    "spsa": (spsa, Settings(200, 0.5, None)),
}
"""Solvers by name, each with its default settings."""
