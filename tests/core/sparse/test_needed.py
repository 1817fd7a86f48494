"""Every step of the search is needed: some outputs are found with it and lost without it."""

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.lockstep import Stepwise
from qcluster.core.sparse import model_selection
from qcluster.core.sparse.fit import fit_mixture
from qcluster.core.sparse.model import Model, Prior, Rows
from tests.core.sparse.test_fit import flipped

Drawn = tuple[Distribution, Distribution]


def decayed(seed: int) -> Drawn:
    """One string, three of whose ones decay in more than half of the shots: the most frequent string is another."""
    rng, n = np.random.default_rng(seed), 18
    sent = rng.random((1, n)) < 0.6
    down = rng.uniform(0.1, 0.5, n)
    down[rng.choice(np.flatnonzero(sent[0]), 3, replace=False)] = 0.6
    return Distribution(sent, np.ones(1)), flipped(sent, np.ones(1), 4096, 0.04, down, seed)


def never_read(seed: int) -> Drawn:
    """Two strings of 60 bits, one bit in ten flipped: next to no shot is free of errors."""
    sent = np.random.default_rng(seed).random((2, 60)) < 0.5
    return Distribution(sent, np.ones(2)), flipped(sent, np.full(2, 0.5), 600, 0.1, 0.1, seed)


def halving(seed: int) -> Drawn:
    """Four strings, each half as heavy as the one before, and flips of zeros and ones that differ."""
    weights = np.array([8, 4, 2, 1]) / 15
    sent = index_bits(np.random.default_rng(seed).choice(64, 4, replace=False), 6)
    return Distribution(sent, weights), flipped(sent, weights, 4000, 0.1, 0.25, seed)


def unmoved(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model]:
    """A step that does nothing."""
    yield from ()
    return model


@pytest.mark.parametrize(
    ("step", "inert", "draw", "least"),
    [
        ("undo_decay", unmoved, decayed, 0.5),
        ("relocate", unmoved, never_read, 0.5),
        ("_poisson_cdf", lambda count, mean: 1.0, halving, 0.02),  # as probable as any number of superfluous strings
    ],
)
def test_without_a_step_outputs_are_lost(step, inert, draw, least, monkeypatch):
    def fidelities() -> np.ndarray:
        fits = [fit_mixture(read.bits, read.weights) for _, read in cases]
        return np.array(
            [
                hellinger_fidelity(Distribution(fit.centroids, fit.weights), ideal)
                for fit, (ideal, _) in zip(fits, cases, strict=True)
            ]
        )

    cases = [draw(seed) for seed in range(6)]
    with_it = fidelities()
    monkeypatch.setattr(model_selection, step, inert)
    assert with_it.mean() > 0.8
    assert with_it.mean() > fidelities().mean() + least
