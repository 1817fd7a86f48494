"""What a classifier trains on and with: its problem, the rows it sets aside, its solver and where it starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.words import shown
from qcluster.qnn import samples
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.simulation.exact import Form
from qcluster.qnn.training.losses import LOSSES, cross_entropy, one_vs_rest, softmax
from qcluster.qnn.training.problem import Problem
from qcluster.qnn.training.solvers import SOLVERS, Settings, Solver
from qcluster.qnn.training.train import Patience


def count_angles(model: samples.Classifier) -> int:
    """Count the angles of all readouts."""
    return model.ansatz_.n_parameters * (len(model.classes_) if len(model.classes_) > 2 else 1)


def make_problem(
    model: samples.Classifier,
    form: Form,
    inputs: Inputs,
    rows: samples.Places,
    targets: samples.Places,
    weights: Floats,
    *,
    unit: float | None = None,
) -> Problem:
    """Bind the loss to the data: one readout for two classes, one each for more; `unit` as in `Problem`."""
    count = len(model.classes_)
    name = model.loss if model.loss != "auto" else "squared" if count == 2 else "softmax"
    if name == "softmax" and count > 2:
        loss = cross_entropy(model.sharpness)
    else:
        loss = one_vs_rest(softmax(model.sharpness) if name == "softmax" else LOSSES[name])
    return Problem(form, inputs, rows, targets, weights, count, loss, unit)


def set_aside(model: samples.Classifier, problem: Problem, rng: np.random.Generator) -> tuple[Problem, Patience | None]:
    """Split off the validation rows of early stopping: the share of each label, at least one row of each."""
    if not model.early_stopping:
        return problem, None
    held = np.zeros(len(problem.rows), dtype=bool)
    for target, label in enumerate(model.classes_):
        places = np.flatnonzero(problem.targets == target)
        count = max(1, round(model.validation_fraction * len(places)))
        if count >= len(places):
            raise ValueError(
                f"early_stopping needs at least 2 rows of each class, and some left to train on; got {len(places)} "
                f"of {shown(label)} with validation_fraction={model.validation_fraction}"
            )
        held[rng.permutation(places)[:count]] = True
    patience = Patience(problem.only(held), model.n_iter_no_change, model.tol)
    return problem.only(~held), patience


def choose_solver(model: samples.Classifier, *, partial: bool = False) -> tuple[Solver, Settings]:
    """Return the solver that the parameters ask for, with its settings; `partial_fit` makes one pass."""
    name = samples.chosen_solver(model, partial=partial)
    chosen = {key: getattr(model, key) for key in ("max_iter", "learning_rate", "batch_size")}
    if partial:
        chosen["max_iter"] = 1
    solver, usual = SOLVERS[name]
    if name == "lbfgs" and len(model.classes_) > 2:
        usual = replace(usual, max_iter=2000)  # ten digits take about 1000
    return solver, replace(usual, **{key: value for key, value in chosen.items() if value is not None})


def draw_starts(model: samples.Classifier, rng: np.random.Generator) -> list[Floats]:
    """Draw the starting points; training on a backend starts once."""
    size = count_angles(model)
    count = 1 if model.train_on == "backend" else model.n_init
    starts = [rng.normal(0, model.init_scale, size) for _ in range(count)]
    if model.warm_start and hasattr(model, "theta_"):
        if model.theta_.size != size:
            raise ValueError(f"warm_start needs {size} parameters; the last fit left {model.theta_.size}")
        starts[0] = model.theta_.ravel()
    return starts
