"""Run a solver from several starts and keep the best, up to where the caller or the validation rows stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.qnn.training.problem import Problem
from qcluster.qnn.training.solvers import Settings, Solver, Step


@dataclass(frozen=True)
class Progress:
    """Report where training stands."""

    start: int
    """Number of this start, from 0."""
    n_starts: int
    """Starts planned."""
    step: Step
    """The solver's last round."""
    validation_loss: float | None = None
    """Mean loss on the rows set aside; None without early stopping."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Hold what one start found."""

    theta: Floats
    """The parameters: after the last round, or of the lowest validation loss."""
    losses: Floats
    """(rounds reported,) the losses on the way."""
    validation: Floats
    """(rounds reported,) losses on the rows set aside; empty without early stopping."""
    n_iter: int
    """Rounds it took."""
    converged: bool
    """False where the solver has a test of convergence and ran out of rounds before it was met."""


@dataclass(eq=False)
class _Rounds:
    """Gather one start as it goes on; the arrays of an `Outcome` are made once, when somebody asks."""

    theta: Floats
    losses: list[float]
    validation: list[float]
    done: int = 1
    converged: bool = True

    def outcome(self) -> Outcome:
        return Outcome(self.theta, np.array(self.losses), np.array(self.validation), max(1, self.done), self.converged)


@dataclass(frozen=True)
class Patience:
    """Say when to stop early."""

    problem: Problem
    """The rows set aside."""
    rounds: int
    """Rounds without improvement after which a start ends."""
    tolerance: float
    """Least improvement of the validation loss that counts."""


class Training:
    """Iterate over the rounds of all starts; `outcome` is the best so far at any time, so a break loses nothing.

    A single start is taken as it ends: the final loss costs an evaluation of all inputs and is needed to compare only.
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
        """The best finished start; before the first has finished, that one as far as it came; None before a round."""
        if self._best:
            return self._best[1]
        return self._current.outcome() if self._current else None

    def __iter__(self) -> Iterator[Progress]:
        """Yield after every round; a callback that returns true ends all starts."""
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
        best, waited = np.inf, 0
        for step in self._solver(self._problem, self._starts[number], self._settings, self._rng):
            rounds.losses.append(step.loss)
            rounds.done, rounds.converged, held = step.done, step.converged, None
            if self._patience is not None:
                held = self._patience.problem.value(step.theta)
                rounds.validation.append(held)
                waited = 0 if held < best - self._patience.tolerance else waited + 1
            if held is None or held < best:
                rounds.theta, best = step.theta, best if held is None else held
            self._current = rounds
            yield Progress(number, len(self._starts), step, held)
            if self._patience is not None and waited >= self._patience.rounds:
                rounds.converged = True  # stopped on purpose: that is no failure to converge
                return

    def _keep(self, found: Outcome) -> None:
        problem = self._patience.problem if self._patience else self._problem
        final = problem.value(found.theta) if len(self._starts) > 1 else 0.0
        if self._best is None or final < self._best[0]:
            self._best = (final, found)
