"""Lower the loss: scipy's L-BFGS-B and COBYLA, and four short methods that bear noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.qnn.training.problem import Problem


@dataclass(frozen=True, eq=False)
class Step:
    """Report one round of training."""

    theta: Floats
    """The parameters after the round."""
    loss: float
    """Mean loss: over the round for sampled methods, at theta for the others."""
    done: int
    """Rounds so far."""
    total: int
    """Rounds planned."""
    converged: bool = True
    """False in the rounds of a solver with a test of convergence, unless it was met; sampled methods have none."""


@dataclass(frozen=True)
class Settings:
    """Hold a solver's knobs."""

    max_iter: int
    """Rounds: iterations, or passes over the samples where batch_size is set."""
    learning_rate: float
    """Step size; not used by lbfgs and cobyla."""
    batch_size: int | None
    """Samples per step; None takes all distinct inputs at once."""

    def __post_init__(self) -> None:
        check_whole("max_iter", self.max_iter, 1)
        check_real("learning_rate", self.learning_rate, 0)
        if self.batch_size is not None:
            check_whole("batch_size", self.batch_size, 1)


Solver = Callable[[Problem, Floats, Settings, np.random.Generator], Iterator[Step]]


def lbfgs(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run L-BFGS-B on exact gradients; scipy owns the loop, so the iterations are yielded when it has ended."""
    from scipy.optimize import OptimizeResult, minimize

    seen: list[tuple[Floats, float]] = []

    def note(intermediate_result: OptimizeResult) -> None:
        seen.append((intermediate_result.x.copy(), float(intermediate_result.fun)))

    options = {"maxiter": settings.max_iter}

    def run() -> bool:
        found = minimize(problem.gradient, theta, jac=True, method="L-BFGS-B", callback=note, options=options)
        if not seen:
            seen.append((found.x, float(found.fun)))
        # Status 1 is the limit of iterations; an abnormal line search (2) is as good as it gets.
        return bool(found.status != 1)

    yield from _replay(run, seen, settings.max_iter)


def cobyla(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Run COBYLA, which needs no gradient; its evaluations are yielded when it has ended, the answer last."""
    from scipy.optimize import minimize

    least = len(theta) + 2
    if settings.max_iter < least:
        raise ValueError(
            f"max_iter of cobyla must be at least the number of angles + 2, {least}; got {settings.max_iter}"
        )
    seen: list[tuple[Floats, float]] = []

    def value(at: Floats) -> float:
        loss = problem.value(at)
        seen.append((at.copy(), loss))
        return loss

    # Angles repeat after pi: scipy's first step of 1 radian would leave the valley.
    options = {"maxiter": settings.max_iter, "rhobeg": 0.2}

    def run() -> bool:
        found = minimize(value, theta, method="COBYLA", options=options)
        seen[-1] = found.x, float(found.fun)
        return bool(found.success)

    yield from _replay(run, seen, settings.max_iter)


def _replay(run: Callable[[], bool], seen: list[tuple[Floats, float]], total: int) -> Iterator[Step]:
    """Yield what a loop of scipy's has seen, once it has ended, by converging or not.

    One that breaks off, since a job failed or the user interrupted it, has its rounds too: they were paid for. The last
    of them is the best.
    """

    def steps(converged: bool) -> Iterator[Step]:
        for done, (theta, loss) in enumerate(seen, 1):
            yield Step(theta, loss, done, total, converged and done == len(seen))

    try:
        converged = run()
    except BaseException:
        if seen:
            seen[-1] = min(seen, key=lambda one: one[1])
            yield from steps(False)
        raise
    yield from steps(converged)


def sgd(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Step against the gradient of a few samples: theta - rate g."""
    return _descend(problem, theta, settings, rng, lambda loss, g: -settings.learning_rate * g)


def paper(problem: Problem, theta: Floats, settings: Settings, rng: np.random.Generator) -> Iterator[Step]:
    """Step by theta - rate (loss / |g|**2) g: as far as a linear loss would need to vanish, times the rate."""

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
    """Step along a random direction by two losses (Spall 1998: exponents 0.602 and 0.101, shift 0.1)."""
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
"""The solvers by name, each with the settings that suit it."""
