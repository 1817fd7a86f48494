"""Backward elimination: from many strings to every smaller number, the flip rates held."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats, Reals
from qcluster.core.sparse.model import Model, Rows, log_likelihood
from qcluster.core.sparse.weights import fit_weights

_PAIRS = 100_000
"""Pairs of centroid and string up to which mixtures are thinned at once: more do not stay in cache."""


def reweigh(rows: Rows, model: Model, rounds: int) -> Model:
    """Raise the likelihood of a mixture by EM over weights and background alone: see `fit_weights`."""
    share = (model.weights * (1 - model.background)).astype(rows.dtype)
    (share,), (background,), (total,) = fit_weights(
        model.likelihoods, rows.shares, share[None], np.array([model.background]), rounds
    )
    return _reweighed(rows, model, share, float(background), total)


def _reweighed(rows: Rows, model: Model, share: Reals, background: float, total: Reals, **kept: Any) -> Model:
    """Give a mixture the weights, ``(k,)`` of any sum, and the P(y) that `fit_weights` found for it, or for a part."""
    weights, level = share.astype(np.float64, copy=False), log_likelihood(total, rows.weights, rows.shots, rows.unit)
    return replace(
        model, weights=weights / weights.sum(), background=background, log_likelihood=float(level), total=total, **kept
    )


def backward_elimination(rows: Rows, models: Sequence[Model]) -> list[Model]:
    """Take centroids out, the least needed first, the channel kept, down to one: the best mixtures of every size.

    Least needed is the one without which the log-likelihood loses least, nothing refitted.

    Returns:
        Of each of the mixtures all on the way, itself first. Above ten centroids a fourth goes at a time.
    """
    paths = [[model] for model in models]
    pairs = len(models) * max((len(model.weights) for model in models), default=0) * len(rows.weights)
    for some in [paths] if pairs <= _PAIRS else [[path] for path in paths]:
        _eliminate(rows, some)
    return [model for path in paths for model in path]


def _eliminate(rows: Rows, paths: Sequence[list[Model]]) -> None:
    """Continue paths; the first axis of arrays is mixtures, the second their centroids.

    Mixtures of fewer centroids than the largest have some of weight 0 at the end, which stay so.
    """
    shares = rows.shares[None, None]
    while unfinished := [path for path in paths if len(path[-1].weights) > 1]:
        models, each = [path[-1] for path in unfinished], np.arange(len(unfinished))[:, None]
        weights, columns = _padded(models, rows.dtype)
        background = np.array([[model.background] for model in models])
        total = np.array([model.total for model in models])
        losses = deletion_losses(columns, (weights * (1 - background)).astype(columns.dtype, copy=False), total, shares)
        stay = np.zeros(losses.shape, dtype=bool)
        for staying, losing, model in zip(stay, losses, models, strict=True):
            k = len(model.weights)
            staying[np.argsort(losing[:k], kind="stable")[1 if k <= 10 else k // 4 :]] = True
        sizes = stay.sum(axis=1)
        order = np.argsort(~stay, axis=1, kind="stable")[:, : int(sizes.max())]
        columns, weights = columns[each, order], np.where(stay, weights, 0.0)[each, order]
        share = weights / weights.sum(axis=1, keepdims=True) * (1 - background)
        share = share.astype(columns.dtype, copy=False)[:, None]
        share, uniform, total = (part[:, 0] for part in fit_weights(columns, shares, share, background, 2))
        for m, (path, k) in enumerate(zip(unfinished, sizes.tolist(), strict=True)):
            kept = {"centroids": models[m].centroids[order[m, :k]], "likelihoods": columns[m, :k]}
            path.append(_reweighed(rows, models[m], share[m, :k], float(uniform[m]), total[m], **kept))


def _padded(models: Sequence[Model], dtype: Any) -> tuple[Floats, Reals]:
    """Put weights, ``(b, k)``, and P(y|c), ``(b, k, u)``, of mixtures under one another, zeros behind the shorter."""
    if len(models) == 1:
        return models[0].weights[None], models[0].likelihoods[None]
    k, u = max(len(model.weights) for model in models), len(models[0].total)
    weights, columns = np.zeros((len(models), k)), np.zeros((len(models), k, u), dtype)
    for m, model in enumerate(models):
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
