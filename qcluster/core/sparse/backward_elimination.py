"""Backward elimination: from a mixture of many strings to one of every smaller size, with the flip rates fixed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Reals, T
from qcluster.core.sparse.model import Model, Rows, log_likelihood
from qcluster.core.sparse.weights import fit_weights

_MAX_PAIRS = 100_000
"""Pairs of centroid and string up to which all mixtures are reduced together: more do not fit in the cache."""


def reweigh(rows: Rows, model: Model, rounds: int) -> Model:
    """Refit the weights and the background of a mixture by EM, with everything else fixed: see `fit_weights`."""
    share = (model.weights * (1 - model.background)).astype(rows.dtype)
    (share,), (background,), (total,) = fit_weights(
        model.likelihoods, rows.shares, share[None], np.array([model.background]), rounds
    )
    return _reweighed(rows, model, share, float(background), total)


def _reweighed(rows: Rows, model: Model, share: Reals, background: float, total: Reals, **kept: Any) -> Model:
    """Update a mixture with results of `fit_weights`, ``(k,)`` shares of any sum among them, and with `kept` fields."""
    weights, level = np.asarray(share, np.float64), log_likelihood(total, rows.weights, rows.shots, rows.log_unit)
    return replace(
        model, weights=weights / weights.sum(), background=background, log_likelihood=float(level), total=total, **kept
    )


def backward_elimination(rows: Rows, models: Sequence[Model]) -> list[Model]:
    """Remove centroids, the least needed first, until one is left; only weights and background are refitted.

    The least needed centroid is the one whose removal lowers the log-likelihood least before any refit. From mixtures
    of more than ten centroids, a fourth are removed at a time. The list holds for each mixture in turn the mixture
    itself and every smaller one on its way down.
    """
    paths = [[model] for model in models]
    pairs = len(models) * max((len(model.weights) for model in models), default=0) * len(rows.weights)
    for batch in [paths] if pairs <= _MAX_PAIRS else [[path] for path in paths]:
        _eliminate(rows, batch)
    return [model for path in paths for model in path]


def _eliminate(rows: Rows, paths: Sequence[list[Model]]) -> None:
    """Extend paths down to one centroid. The first axis of each array is mixtures, the second is their centroids.

    Mixtures with fewer centroids than the largest one are padded with centroids of weight 0, which stay at 0.
    """
    shares = rows.shares[None, None]
    while unfinished := [path for path in paths if len(path[-1].weights) > 1]:
        models, mixture = [path[-1] for path in unfinished], np.arange(len(unfinished))[:, None]
        weights, likelihood = _stacked([x.weights for x in models]), _stacked([x.likelihoods for x in models])
        background = np.array([[model.background] for model in models])
        total = np.array([model.total for model in models])
        losses = deletion_losses(likelihood, (weights * (1 - background)).astype(rows.dtype, copy=False), total, shares)
        stay = np.zeros(losses.shape, dtype=bool)
        for staying, losing, model in zip(stay, losses, models, strict=True):
            k = len(model.weights)
            staying[np.argsort(losing[:k], kind="stable")[1 if k <= 10 else k // 4 :]] = True
        sizes = stay.sum(axis=1)
        order = np.argsort(~stay, axis=1, kind="stable")[:, : int(sizes.max())]
        likelihood, weights = likelihood[mixture, order], np.where(stay, weights, 0.0)[mixture, order]
        share = weights / weights.sum(axis=1, keepdims=True) * (1 - background)
        share = share.astype(likelihood.dtype, copy=False)[:, None]
        share, uniform, total = (part[:, 0] for part in fit_weights(likelihood, shares, share, background, 2))
        for m, (path, k) in enumerate(zip(unfinished, sizes.tolist(), strict=True)):
            kept = {"centroids": models[m].centroids[order[m, :k]], "likelihoods": likelihood[m, :k]}
            path.append(_reweighed(rows, models[m], share[m, :k], float(uniform[m]), total[m], **kept))


def _stacked(parts: Sequence[NDArray[T]]) -> NDArray[T]:
    """Stack arrays ``(k, ...)`` to one ``(b, k, ...)``; those of fewer centroids are padded with zeros."""
    stacked = np.zeros((len(parts), max(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    for row, part in zip(stacked, parts, strict=True):
        row[: len(part)] = part
    return stacked


def deletion_losses(likelihood: Reals, weights: Reals, total: Reals, shares: Reals) -> Floats:
    """Return the log-likelihood per shot that removing each centroid loses, nothing refitted, ``(b, k)`` nats.

    From ``(b, k, u)`` P(y|c) of b mixtures, ``(b, k)`` shares of the shots that each centroid sent, ``(b, u)`` P(y),
    and ``(b, 1, u)`` shares of the shots of each observed string.
    """
    rest = likelihood * weights[:, :, None]
    rest /= total[:, None]
    np.subtract(1, rest, out=rest)
    np.log(np.maximum(rest, 1e-6, out=rest), out=rest)
    return np.asarray(-(rest @ shares.swapaxes(1, 2))[:, :, 0], dtype=np.float64)
