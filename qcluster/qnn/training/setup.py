"""Set up the training of a classifier: its problem, validation rows, solver and starting points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.words import short_repr
from qcluster.qnn import samples
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.simulation.exact import Form
from qcluster.qnn.training.losses import LOSSES, cross_entropy, one_vs_rest, softmax
from qcluster.qnn.training.problem import Problem
from qcluster.qnn.training.solvers import SOLVERS, Settings, Solver
from qcluster.qnn.training.train import Patience


def count_angles(model: samples.Classifier) -> int:
    """Return the number of angles of all readouts."""
    return model.ansatz_.n_parameters * (len(model.classes_) if len(model.classes_) > 2 else 1)


def make_problem(
    model: samples.Classifier,
    form: Form,
    inputs: Inputs,
    rows: samples.Indices,
    targets: samples.Indices,
    weights: Floats,
    *,
    unit: float | None = None,
) -> Problem:
    """Return the training problem for the loss of the model; `unit` is that of `Problem`."""
    count = len(model.classes_)
    name = model.loss if model.loss != "auto" else "squared" if count == 2 else "softmax"
    if name == "softmax" and count > 2:
        loss = cross_entropy(model.sharpness)
    else:
        loss = one_vs_rest(softmax(model.sharpness) if name == "softmax" else LOSSES[name])
    return Problem(form, inputs, rows, targets, weights, count, loss, unit)


def set_aside(model: samples.Classifier, problem: Problem, rng: np.random.Generator) -> tuple[Problem, Patience | None]:
    """Split off the validation rows for early stopping: a share of each class, at least one row."""
    if not model.early_stopping:
        return problem, None
    validation = np.zeros(len(problem.rows), dtype=bool)
    for target, label in enumerate(model.classes_):
        members = np.flatnonzero(problem.targets == target)
        count = max(1, round(model.validation_fraction * len(members)))
        if count >= len(members):
            raise ValueError(
                f"early_stopping needs at least 2 rows of each class, and some left to train on; got {len(members)} "
                f"of {short_repr(label)} with validation_fraction={model.validation_fraction}"
            )
        validation[rng.permutation(members)[:count]] = True
    patience = Patience(problem.only(validation), model.n_iter_no_change, model.tol)
    return problem.only(~validation), patience


def choose_solver(model: samples.Classifier, *, partial: bool = False) -> tuple[Solver, Settings]:
    """Return the solver of the model and its settings; `partial_fit` makes one pass."""
    name = samples.chosen_solver(model, partial=partial)
    requested = {key: getattr(model, key) for key in ("max_iter", "learning_rate", "batch_size")}
    if partial:
        requested["max_iter"] = 1
    solver, defaults = SOLVERS[name]
    if name == "lbfgs" and len(model.classes_) > 2:
        defaults = replace(defaults, max_iter=2000)  # ten digits take about 1000
    return solver, replace(defaults, **{key: value for key, value in requested.items() if value is not None})


def draw_starts(model: samples.Classifier, rng: np.random.Generator) -> list[Floats]:
    """Draw the starting points: `n_init` for exact training, one for training on a backend."""
    size = count_angles(model)
    count = 1 if model.train_on == "backend" else model.n_init
    starts = [rng.normal(0, model.init_scale, size) for _ in range(count)]
    if model.warm_start and hasattr(model, "theta_"):
        if model.theta_.size != size:
            raise ValueError(f"warm_start needs {size} parameters; the last fit left {model.theta_.size}")
        starts[0] = model.theta_.ravel()
    return starts
