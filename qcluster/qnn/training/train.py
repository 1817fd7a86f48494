"""Run a solver from several starts and keep the best."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qcluster.qnn.training.problem import Problem
from qcluster.qnn.training.solvers import Settings, Solver, Step

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Progress:
    """Report where training stands."""

    start: int
    """Number of this start, from 0."""
    n_starts: int
    """Starts planned."""
    step: Step
    """The solver's last round."""


@dataclass(frozen=True)
class Outcome:
    """Hold what the best start found."""

    theta: Vector
    """The parameters."""
    losses: Vector
    """(rounds reported,) the losses on the way."""
    n_iter: int
    """Rounds it took."""


def train(
    problem: Problem, starts: Sequence[Vector], solver: Solver, settings: Settings, rng: np.random.Generator
) -> Generator[Progress, None, Outcome]:
    """Solve from each start, yielding after every round; returns the outcome of lowest final loss.

    A single start is taken as it ends: the final loss costs an evaluation of all inputs and is needed to compare only.
    """
    best: tuple[float, Outcome] | None = None
    for number, theta in enumerate(starts):
        losses, done = [], 1
        for step in solver(problem, theta, settings, rng):
            theta, done = step.theta, step.done
            losses.append(step.loss)
            yield Progress(number, len(starts), step)
        final = problem.value(theta) if len(starts) > 1 else 0.0
        if best is None or final < best[0]:
            best = (final, Outcome(theta, np.array(losses), max(1, done)))
    if best is None:
        raise ValueError("training needs at least one start")
    return best[1]
