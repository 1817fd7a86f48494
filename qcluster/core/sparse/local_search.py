"""Moves that forward selection from frequent strings cannot make: exchanges, bits that decay, and rings."""

from dataclasses import replace
from math import log

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, distinct, hamming, pack
from qcluster.core.lockstep import Stepwise
from qcluster.core.noise.prior import LOGIT_MEANS, LOGIT_SPREADS, REGIMES, TILTS
from qcluster.core.sparse.description_length import description_length
from qcluster.core.sparse.em import fit, fit_all, statistics
from qcluster.core.sparse.forward_selection import SHORTLIST, best_share
from qcluster.core.sparse.model import Layout, Model, Prior, Rows, distances, likelihoods, parameters
from qcluster.core.sparse.thinning import on_all_strings
from qcluster.core.sparse.weights import FAINT

_DECAYED = 0.7
"""Most of a 1 that may have decayed and still be recognised."""
_MARGIN = 2.0
"""Log Bayes factor, in nats, that turning bits needs over the majority."""
_TRIES = 3
"""Moves made one after another, at most."""
_SCREENING = 4
"""EM rounds of the screening pass, after which moves are compared."""
_PRUNED = 40.0
"""Nats of log-likelihood below the present mixture from which a move is pruned."""
_NEARLY = 10.0
"""Nats of description length within which the best move is refitted."""
_LIGHTEST = 6
"""Centroids of least weight that may be exchanged."""
_SLACK = 20.0
"""Nats that turned bits may cost: correlated errors make the likelihood unsure by as much."""


def relocate(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model]:
    """Move centroids to where their shots say, as long as the description length falls.

    Given who sent what, the best value of each bit of each centroid has a closed form: the EM step for centroids.
    """
    for _ in range(_TRIES):
        expected, logs = statistics(rows, model), np.log(model.odds)
        normaliser = np.log1p(model.odds * TILTS[:, None, None])
        as_zero = expected.ones * logs[:, 0] - expected.regimes @ normaliser[:, :, 0]
        as_one = (expected.mass[:, None] - expected.ones) * logs[:, 1] - expected.regimes @ normaliser[:, :, 1]
        moved = np.where(as_one == as_zero, model.centroids, as_one > as_zero)
        if (moved == model.centroids).all():
            break
        centroids, which = distinct(moved)
        weights = np.bincount(which, model.weights).astype(np.float64, copy=False)
        trial = yield from fit(rows, replace(model, centroids=centroids, weights=weights), prior, rounds)
        if description_length(rows, trial) >= description_length(rows, model):
            break
        model = trial
    return model


def local_search(rows: Rows, model: Model, prior: Prior, most: int) -> Stepwise[Model]:
    """Exchange or add one centroid at a time, the best move first, as long as the description length falls.

    A move puts the candidate that serves best with all the others kept in the place of a centroid, or beside
    them all. Its gain is computed under the present channel; moves that are not pruned are refitted, all at once.

    Args:
        rows: the strings.
        model: where to start.
        prior: of the flip rates.
        most: most centroids.
    """
    shortest = description_length(rows, model)
    for _ in range(_TRIES):
        screened = yield from fit_all(rows, _moves(rows, model, most), prior, _SCREENING)
        if not screened:
            break
        best = min(screened, key=lambda one: description_length(rows, one))
        if description_length(rows, best) > shortest + _NEARLY:
            break
        best = yield from fit(rows, best, prior, _SCREENING)
        if (length := description_length(rows, best)) >= shortest - 1e-6 * abs(shortest):
            break
        shortest, model = length, best
    return model


def _moves(rows: Rows, model: Model, most: int) -> list[Model]:
    pool, lookup = rows.candidates
    share = (model.weights * (1 - model.background)).astype(rows.dtype)
    k, light = len(share), np.argsort(share, kind="stable")[:_LIGHTEST]
    out = np.append(light, k) if k < most else light
    kept = np.vstack([np.tile(share, (len(light), 1)), share[None, :k]])[: len(out)]
    kept[np.arange(len(light)), light] = 0
    total = kept @ model.likelihoods
    total += 1 - kept.sum(axis=1)[:, None]
    before = (np.log(total) @ rows.shares).astype(np.float64) * rows.shots + rows.shots * -rows.unit
    columns = likelihoods(rows, Layout(pool, np.array([len(pool)]), lookup), parameters([model]))[0]
    slope = columns @ (rows.shares / total).T
    slope[(hamming(pack(pool), pack(model.centroids)) == 0).any(axis=1)] = 0
    short = np.argsort(-slope, axis=0, kind="stable")[:SHORTLIST].T
    new_share, gain = best_share(columns[short], total, rows.shares, 0.05)
    gain *= rows.shots
    best = gain.argmax(axis=1)
    moves = []
    for row, gone in enumerate(out.tolist()):
        after = before[row] + gain[row, best[row]]
        if after < model.log_likelihood - (_PRUNED if gone < k else 0):
            continue
        joining, e = pool[short[row, best[row]]], float(new_share[row, best[row]])
        weights = np.append(kept[row].astype(np.float64) * (1 - e), e)
        centroids = np.vstack([model.centroids, joining])
        if gone < k:
            weights, centroids = np.delete(weights, gone), np.delete(centroids, gone, axis=0)
        sent = float(weights.sum())
        moves.append(replace(model, centroids=centroids, weights=weights / sent, background=max(1 - sent, FAINT)))
    return moves


def split_bits(ones: Floats, precision: Floats) -> Bits:
    """Decide which bits of a single string are 1, when decay may have flipped most of the shots of some.

    The logits of the flip rates of the 0 bits scatter around one mean and those of the 1 bits around another, usually
    higher, since qubits decay towards 0. No 0 is read as 1 more often than not. By symmetry of bits the answer is a
    threshold on the share of ones; the one with the highest evidence (means integrated out, spreads averaged) is taken.

    Args:
        ones: ``(n,)`` share of the string's shots in which the bit is read as 1.
        precision: ``(n,)`` shots behind it.

    Returns:
        ``(n,) bool``.

    Example:
        >>> read_as_one = np.array([0.03, 0.04, 0.05, 0.03, 0.04, 0.05, 0.04, 0.47, 0.95, 0.6, 0.55])
        >>> split_bits(read_as_one, np.full(11, 1000.0)).astype(int)
        array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    """
    logit, noise = _logits(ones, precision)
    answer = ones > 0.5
    best = _log_evidence(logit, noise, answer) + _MARGIN
    for threshold in np.unique(logit[(ones > 1 - _DECAYED) & ~answer]):
        level = _log_evidence(logit, noise, logit >= threshold)
        if level > best:
            best, answer = level, logit >= threshold
    return np.asarray(answer)


def _logits(ones: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Give the logit of each share of ones, and its sampling variance."""
    clipped = np.clip(ones, 1e-4, 1 - 1e-4)
    return np.log(clipped / (1 - clipped)), 1 / np.maximum(precision * clipped * (1 - clipped), 1.0)


def _log_evidence(logit: Floats, noise: Floats, sent: Bits) -> float:
    """Give the log density of the logits of the share of ones, when these bits were sent as 1."""
    levels = [
        _scatter(logit[~sent] - LOGIT_MEANS[0], noise[~sent], spread)
        + _scatter(-logit[sent] - LOGIT_MEANS[1], noise[sent], spread)
        for spread in LOGIT_SPREADS
    ]
    return float(np.logaddexp.reduce(levels))


def _scatter(centred: Floats, noise: Floats, spread: float) -> float:
    """Give the log density of logits that scatter around a common mean, which itself scatters by 1 around 0."""
    precision = 1 / (spread**2 + noise)
    total = 1 + float(precision.sum())
    quadratic = float(precision @ centred**2) - float(precision @ centred) ** 2 / total
    return 0.5 * (float(np.log(precision).sum()) - log(total) - quadratic - len(centred) * log(2 * np.pi))


def undo_decay(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model]:
    """Turn bits of a single centroid whose shots mostly decayed, and refit, where posterior odds favour it.

    The log odds: what the log-likelihood gains or loses, and the log evidence of `split_bits` for rates that scatter
    less. On wide registers the most frequent string is a decayed one: of six recorded outputs of ibm_brussels, two (19
    and 27 bits) are lost without this step.
    """
    expected = statistics(rows, model)
    ones, precision = expected.ones[0] / expected.mass[0], np.full(rows.n_bits, expected.mass[0] * rows.shots)
    sent = split_bits(ones, precision)
    turned = sent ^ model.centroids[0]
    if not turned.any():
        return model
    odds = np.where(turned[:, None], np.minimum(1 / model.odds[:, ::-1], 2.0), model.odds)
    trial = yield from fit(rows, replace(model, centroids=sent[None], odds=odds), prior, rounds)
    logit, noise = _logits(ones, precision)
    gain = _log_evidence(logit, noise, sent) - _log_evidence(logit, noise, model.centroids[0])
    return trial if trial.log_likelihood + gain > model.log_likelihood - _SLACK else model


def ring(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model | None]:
    """Fit the alternative to a single centre: all strings at distance 1 from it or from a neighbour of it, equally.

    A W state reads as a cloud around a string that is never sent. One weight for all members, so that the
    ring's description is no longer than that of one string and of which of its neighbours is the centre. None where
    the centre describes the shots better, or where a third of the rounds leave the ring far behind.
    """
    n = rows.n_bits
    if n < 3:
        return None
    single = np.eye(n, dtype=bool)
    centres = model.centroids[0] ^ np.vstack([np.zeros((1, n), dtype=bool), single])
    around = np.abs(distances(rows, centres) - 1) < 0.5
    at = int(np.argmax(around @ np.sqrt(rows.weights)))
    centre = centres[at]
    if rows.weights[distances(rows, centre[None])[0] < 0.5].sum() > rows.weights[around[at]].sum():
        return None
    rate = min(max(1 - model.background, 0.1), 0.9) * 0.15
    start = Model(centre ^ single, np.full(n, 1 / n), np.full((n, 2), rate), REGIMES, model.background)
    # A ring whose members all decay is its centre: more than half of them must survive.
    surviving, screening = replace(prior, largest_odds=1.0, hold_weights=True), rounds // 3
    circle = yield from fit(rows, start, surviving, screening)
    if ring_gain(rows, model, circle, centre) < -2 * _PRUNED:
        return None
    circle = yield from fit(rows, circle, surviving, rounds - screening)
    if circle.log_likelihood < model.log_likelihood - 2 * _PRUNED:
        return None
    return circle if ring_gain(rows, model, circle, centre) > 0 else None


def ring_gain(rows: Rows, model: Model, circle: Model, centre: Bits) -> float:
    """Give the log Bayes factor of a ring against a single string on the shots near its centre, in nats.

    Both models are compared on the strings within distance 2 of the centre, given that a shot is one of these:
    bursts of errors lead further away, and what they make of the likelihood says nothing about the centre.
    """
    near = distances(rows, centre[None])[0] < 2.5
    if not near.any():
        return -np.inf
    shots, ball = float(rows.weights[near].sum()), within_two(centre)
    gain = level_within(rows, circle, near) - level_within(rows, model, near)
    for sign, one in () if rows.whole else ((-1, circle), (1, model)):  # most of these strings are never read
        gain += sign * shots * log(_mass(one, ball) / _mass(one, rows.bits[near]))
    return gain - log(rows.n_bits + 1) - 0.5 * log(max(shots, 1.0))


def within_two(centre: Bits) -> Bits:
    """Give all strings that differ from `centre`, ``(n,)``, in at most two bits.

    Example:
        >>> within_two(np.array([False, True])).astype(int).tolist()
        [[0, 1], [1, 1], [0, 0], [1, 0]]
    """
    n = len(centre)
    first, second = np.triu_indices(n, 1)
    flips = np.zeros((1 + n + len(first), n), dtype=bool)
    flips[1 : n + 1] = np.eye(n, dtype=bool)
    pairs = np.arange(n + 1, len(flips))
    flips[pairs, first] = flips[pairs, second] = True
    return centre ^ flips


def _mass(model: Model, strings: Bits) -> float:
    return float(on_all_strings(strings, np.ones(len(strings)), model, 0).total.sum(dtype=np.float64))


def level_within(rows: Rows, model: Model, within: Bits) -> float:
    """Give the log-likelihood of the shots on some strings, given that a shot is on one of these."""
    total = model.total[within].astype(np.float64)
    return float(rows.weights[within] @ np.log(total / total.sum()))
