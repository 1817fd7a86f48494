"""Backward elimination: from many strings to every smaller number, the flip rates held."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats, Reals
from qcluster.core.lockstep import Stepwise
from qcluster.core.sparse.model import Model, Rows, log_likelihood
from qcluster.core.sparse.weights import fit_weights

_PAIRS = 100_000
"""Pairs of centroid and string, of all mixtures that are thinned at once."""


def reweigh(rows: Rows, model: Model, rounds: int) -> Model:
    """Raise the likelihood of a mixture by EM over weights and background alone: see `fit_weights`."""
    assert model.likelihoods is not None
    share = (model.weights * (1 - model.background)).astype(rows.kind)
    (share,), (background,), (total,) = fit_weights(
        model.likelihoods, rows.shares, share[None], np.array([model.background]), rounds
    )
    weights = share.astype(np.float64)
    return replace(
        model,
        weights=weights / weights.sum(),
        background=float(background),
        log_likelihood=float(log_likelihood(rows, total)),
        total=total,
    )


@dataclass(frozen=True, eq=False)
class Eliminating:
    """A backward elimination that a search asks for: see `backward_elimination`."""

    rows: Rows
    model: Model

    @property
    def key(self) -> Hashable:
        """The strings."""
        return self.rows.key

    def answers(self, alike: "Sequence[Eliminating]") -> list[list[Model]]:
        """Eliminate for several mixtures, the largest first, as many at once as stay in cache."""
        order = sorted(range(len(alike)), key=lambda place: -len(alike[place].model.weights))
        paths: dict[int, list[Model]] = {}
        while order:
            pairs = len(alike[order[0]].model.weights) * len(self.rows.weights)
            some, order = order[: max(1, _PAIRS // pairs)], order[max(1, _PAIRS // pairs) :]
            paths.update(zip(some, _eliminate([alike[place] for place in some]), strict=True))
        return [paths[place] for place in range(len(alike))]


def backward_elimination(rows: Rows, model: Model) -> Stepwise[list[Model]]:
    """Take centroids out, the least needed first, the channel kept, down to one: the best mixture of every size.

    Least needed is the one without which the log-likelihood loses least, nothing refitted.

    Returns:
        All mixtures on the way, that given first. Above ten centroids a fourth goes at a time.
    """
    path: list[Model] = yield Eliminating(rows, model)
    return path


def _eliminate(asked: Sequence[Eliminating]) -> list[list[Model]]:
    """Eliminate for mixtures on the same strings; the first axis of arrays is mixtures, the second their centroids.

    Mixtures of fewer centroids than the largest have some of weight 0 at the end, which stay so.
    """
    paths, every = [[one.model] for one in asked], [one.rows for one in asked]
    left = list(range(len(asked)))
    while left := [place for place in left if len(paths[place][-1].weights) > 1]:
        models = [paths[place][-1] for place in left]
        shares = np.stack([every[place].shares for place in left])[:, None]
        weights, columns = _padded(models, every[0].kind)
        background = np.array([model.background for model in models])[:, None]
        total = np.stack([model.total for model in models if model.total is not None])
        losses = deletion_losses(columns, (weights * (1 - background)).astype(columns.dtype), total, shares)
        for losing, model in zip(losses, models, strict=True):
            k = len(model.weights)
            losing[np.argsort(losing[:k], kind="stable")[: 1 if k <= 10 else k // 4]] = -np.inf
            losing[k:] = -np.inf
        stay = losses > -np.inf
        most = int(stay.sum(axis=1).max())
        order = np.argsort(~stay, axis=1, kind="stable")[:, :most]
        columns = np.take_along_axis(columns, order[:, :, None], axis=1)
        weights = np.take_along_axis(np.where(stay, weights, 0.0), order, axis=1)
        share = (weights / weights.sum(axis=1, keepdims=True) * (1 - background)).astype(columns.dtype)[:, None]
        share, uniform, total = (part[:, 0] for part in fit_weights(columns, shares, share, background, 2))
        for m, (place, model) in enumerate(zip(left, models, strict=True)):
            which, rows = order[m, : int(stay[m].sum())], every[place]
            found = share[m, : len(which)].astype(np.float64)
            paths[place].append(
                replace(
                    model,
                    centroids=model.centroids[which],
                    weights=found / found.sum(),
                    background=float(uniform[m]),
                    log_likelihood=float(log_likelihood(rows, total[m])),
                    likelihoods=columns[m, : len(which)],
                    total=total[m],
                )
            )
    return paths


def _padded(models: Sequence[Model], kind: Any) -> tuple[Floats, Reals]:
    """Put weights, ``(b, k)``, and P(y|c), ``(b, k, u)``, of mixtures under one another, zeros behind the shorter."""
    first = models[0].likelihoods
    assert first is not None
    if len(models) == 1:
        return models[0].weights[None], first[None]
    k = max(len(model.weights) for model in models)
    weights, columns = np.zeros((len(models), k)), np.zeros((len(models), k, first.shape[1]), kind)
    for m, model in enumerate(models):
        assert model.likelihoods is not None
        weights[m, : len(model.weights)], columns[m, : len(model.weights)] = model.weights, model.likelihoods
    return weights, columns


def deletion_losses(columns: Reals, weights: Reals, total: Reals, shares: Reals) -> Floats:
    """Give the log-likelihood lost, a shot, when one centroid is taken out and nothing refitted, ``(b, k)`` nats.

    Args:
        columns: ``(b, k, u)`` P(y|c) of b mixtures.
        weights: ``(b, k)`` share of the shots that each centroid sent.
        total: ``(b, u)`` P(y).
        shares: ``(b, 1, u)`` share of the shots.
    """
    rest = columns * weights[:, :, None]
    rest /= total[:, None]
    np.subtract(1, rest, out=rest)
    np.log(np.maximum(rest, 1e-6, out=rest), out=rest)
    return np.asarray(-(rest @ shares.swapaxes(1, 2))[:, :, 0], dtype=np.float64)
