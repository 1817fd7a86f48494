"""Run a solver from several starts and keep the best, until the caller or early stopping ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.qnn.training.problem import Problem
from qcluster.qnn.training.solvers import Settings, Solver, Step


@dataclass(frozen=True)
class Progress:
    """The progress of training after a round."""

    start: int
    """Index of this start, from 0."""
    n_starts: int
    """Starts planned."""
    step: Step
    """The last round of the solver."""
    validation_loss: float | None = None
    """Mean loss on the validation rows; None without early stopping."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of one start."""

    theta: Floats
    """The angles after the last round, or those with the lowest validation loss."""
    losses: Floats
    """(rounds,) mean loss of every reported round."""
    validation: Floats
    """(rounds,) mean loss on the validation rows; empty without early stopping."""
    n_iter: int
    """Number of rounds."""
    converged: bool
    """False if the solver has a convergence test and reached the limit of rounds before the test was met."""


@dataclass(eq=False)
class _Rounds:
    """The rounds of the current start, kept in lists; `outcome` makes the arrays when needed."""

    theta: Floats
    losses: list[float]
    validation: list[float]
    done: int = 1
    converged: bool = True

    def outcome(self) -> Outcome:
        return Outcome(self.theta, np.array(self.losses), np.array(self.validation), max(1, self.done), self.converged)


@dataclass(frozen=True)
class Patience:
    """The criterion of early stopping."""

    problem: Problem
    """The training problem restricted to the validation rows."""
    rounds: int
    """Rounds without improvement after which a start ends."""
    tolerance: float
    """Smallest decrease of the validation loss that counts as an improvement."""


class Training:
    """Iterator over the rounds of all starts; `outcome` is available at any time, also after an interruption.

    Starts are compared by their final loss. A single start is not evaluated, which saves one pass over all inputs.
    """

    def __init__(
        self,
        problem: Problem,
        starts: Sequence[Floats],
        solver: Solver,
        settings: Settings,
        rng: np.random.Generator,
        *,
        patience: Patience | None = None,
        callback: Callable[[Progress], object] | None = None,
    ) -> None:
        if not starts:
            raise ValueError("training needs at least one start")
        self._problem, self._starts, self._rng = problem, starts, rng
        self._solver, self._settings, self._patience, self._callback = solver, settings, patience, callback
        self._best: tuple[float, Outcome] | None = None
        self._current: _Rounds | None = None
        self.stopped = False

    @property
    def outcome(self) -> Outcome | None:
        """The best finished start, or the first start while it is still running; None before its first round."""
        if self._best:
            return self._best[1]
        return self._current.outcome() if self._current else None

    def __iter__(self) -> Iterator[Progress]:
        """Yield after every round; training ends if the callback returns a true value."""
        for number in range(len(self._starts)):
            for progress in self._rounds(number):
                self.stopped = bool(self._callback(progress)) if self._callback else False
                yield progress
                if self.stopped:
                    break
            if self._current is not None and not (self.stopped and self._best):
                self._keep(self._current.outcome())
            if self.stopped:
                return

    def _rounds(self, number: int) -> Iterator[Progress]:
        rounds = _Rounds(self._starts[number], [], [])
        lowest, waited = np.inf, 0
        for step in self._solver(self._problem, self._starts[number], self._settings, self._rng):
            rounds.losses.append(step.loss)
            rounds.done, rounds.converged, validation_loss = step.done, step.converged, None
            if self._patience is not None:
                validation_loss = self._patience.problem.value(step.theta)
                rounds.validation.append(validation_loss)
                waited = 0 if validation_loss < lowest - self._patience.tolerance else waited + 1
            if validation_loss is None or validation_loss < lowest:
                rounds.theta, lowest = step.theta, lowest if validation_loss is None else validation_loss
            self._current = rounds
            yield Progress(number, len(self._starts), step, validation_loss)
            if self._patience is not None and waited >= self._patience.rounds:
                rounds.converged = True  # stopped on purpose, which is not a failure to converge
                return

    def _keep(self, outcome: Outcome) -> None:
        """Keep a finished start if its final loss is the lowest."""
        problem = self._patience.problem if self._patience else self._problem
        final = problem.value(outcome.theta) if len(self._starts) > 1 else 0.0
        if self._best is None or final < self._best[0]:
            self._best = (final, outcome)
