"""Moves that forward selection from frequent strings cannot make: exchanges of strings, decayed bits, and rings."""

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
from qcluster.core.sparse.weights import LEAST_BACKGROUND

_MOST_DECAYED = 0.7
"""Largest share of the shots in which a 1 may decay and still be recognised as a 1."""
_MARGIN = 2.0
"""Log Bayes factor, in nats, by which other bits must beat the majority of each bit."""
_MAX_MOVES = 3
"""Most moves made one after another."""
_SCREENING = 4
"""EM rounds after which moves are compared."""
_PRUNED = 40.0
"""Nats of log-likelihood that an exchange may lose before any refit; one that loses more is pruned."""
_NEAR = 10.0
"""Nats of description length that the best move may lose after screening and still be refitted."""
_LIGHTEST = 6
"""Centroids that may be exchanged: those of least weight."""
_MAX_RADIUS = 4
"""Largest number of bits for `radius_levels`."""
_GRID, _STEPS = np.arange(-4.0, 5.0), (0.8, 0.25, 0.08, 0.025, 0.008)
"""Points of a grid, and the steps between them: of the logarithms of rates, and eight times those of shares."""
_LEAST_SHARE = 1e-12
"""Least share of the shots at a distance: rounding errors of a Fourier transform are smaller."""
_SLACK = 20.0
"""Nats that turned bits may cost, and that a ring may lie behind strings at another distance: correlated errors leave
the likelihood uncertain by that much."""


def relocate(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model]:
    """Set each bit of each centroid to its likelier value and refit, as long as the description length falls.

    Given the responsibilities, the best value of a bit has a closed form: this is the M step for centroids, except that
    a flip in any error regime weighs as much as in that of tilt 1. Centroids that become equal are merged.
    """
    for _ in range(_MAX_MOVES):
        expected, logs = statistics(rows, model), np.log(model.odds)
        log_norms = np.log1p(model.odds * TILTS[:, None, None])
        as_zero = expected.ones * logs[:, 0] - expected.regimes @ log_norms[:, :, 0]
        as_one = (expected.mass[:, None] - expected.ones) * logs[:, 1] - expected.regimes @ log_norms[:, :, 1]
        moved = np.where(as_one == as_zero, model.centroids, as_one > as_zero)
        if (moved == model.centroids).all():
            break
        centroids, index = distinct(moved)
        weights = np.bincount(index, model.weights).astype(np.float64, copy=False)
        trial = yield from fit(rows, replace(model, centroids=centroids, weights=weights), prior, rounds)
        if description_length(rows, trial) >= description_length(rows, model):
            break
        model = trial
    return model


def local_search(rows: Rows, model: Model, prior: Prior, most: int) -> Stepwise[Model]:
    """Exchange or add one centroid at a time by the best move, as long as the description length falls.

    A move replaces a centroid by the candidate that fits best with the others unchanged, or adds a candidate to them
    all, up to `most` centroids. Its gain is estimated under the present channel; moves that are not pruned are then
    refitted, all at once.
    """
    shortest = description_length(rows, model)
    for _ in range(_MAX_MOVES):
        screened = yield from fit_all(rows, _moves(rows, model, most), prior, _SCREENING)
        if not screened:
            break
        best = min(screened, key=lambda move: description_length(rows, move))
        if description_length(rows, best) > shortest + _NEAR:
            break
        best = yield from fit(rows, best, prior, _SCREENING)
        if (length := description_length(rows, best)) >= shortest - 1e-6 * abs(shortest):
            break
        shortest, model = length, best
    return model


def _moves(rows: Rows, model: Model, most: int) -> list[Model]:
    """Return the mixtures, not yet refitted, to which one move leads: see `local_search`."""
    candidates, lookup = rows.candidates
    share = (model.weights * (1 - model.background)).astype(rows.dtype)
    k, light = len(share), np.argsort(share, kind="stable")[:_LIGHTEST]
    leaving = np.append(light, k) if k < most else light  # k: none leaves
    kept = np.tile(share, (len(leaving), 1))
    kept[np.arange(len(light)), light] = 0
    total = kept @ model.likelihoods
    total += 1 - kept.sum(axis=1)[:, None]
    before = (np.log(total) @ rows.shares).astype(np.float64) * rows.shots + rows.shots * -rows.log_unit
    likelihood = likelihoods(rows, Layout(candidates, np.array([len(candidates)]), lookup), parameters([model]))[0]
    slope = likelihood @ (rows.shares / total).T
    slope[(hamming(pack(candidates), pack(model.centroids)) == 0).any(axis=1)] = 0
    short = np.argsort(-slope, axis=0, kind="stable")[:SHORTLIST].T
    new_share, gain = best_share(likelihood[short], total, rows.shares, 0.05)
    gain *= rows.shots
    best = gain.argmax(axis=1)
    moves = []
    for row, left in enumerate(leaving.tolist()):
        after = before[row] + gain[row, best[row]]
        if after < model.log_likelihood - (_PRUNED if left < k else 0):
            continue
        joining, e = candidates[short[row, best[row]]], float(new_share[row, best[row]])
        weights = np.append(kept[row].astype(np.float64) * (1 - e), e)
        centroids = np.vstack([model.centroids, joining])
        if left < k:
            weights, centroids = np.delete(weights, left), np.delete(centroids, left, axis=0)
        sent = float(weights.sum())
        background = max(1 - sent, LEAST_BACKGROUND)
        moves.append(replace(model, centroids=centroids, weights=weights / sent, background=background))
    return moves


def split_bits(ones: Floats, precision: Floats) -> Bits:
    """Decide which bits of a single string are 1, where some of them may decay in most shots.

    The logits of the flip rates of the 0 bits scatter around one mean and those of the 1 bits around another, usually
    higher, since qubits decay towards 0. It is assumed that no 0 is read as 1 in most shots. The prior is the same for
    all bits, so that the answer is a threshold on the share of ones. The threshold of highest evidence is taken, with
    the means integrated out and the spreads averaged.

    Args:
        ones: ``(n,)`` share of the string's shots in which the bit is read as 1.
        precision: ``(n,)`` number of these shots.

    Example:
        >>> read_as_one = np.array([0.03, 0.04, 0.05, 0.03, 0.04, 0.05, 0.04, 0.47, 0.95, 0.6, 0.55])
        >>> split_bits(read_as_one, np.full(11, 1000.0)).astype(int)
        array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    """
    logit, noise = _logits(ones, precision)
    answer = ones > 0.5
    best = _log_evidence(logit, noise, answer) + _MARGIN
    for threshold in np.unique(logit[(ones > 1 - _MOST_DECAYED) & ~answer]):
        evidence = _log_evidence(logit, noise, logit >= threshold)
        if evidence > best:
            best, answer = evidence, logit >= threshold
    return np.asarray(answer)


def _logits(ones: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Return the logit of each share of ones, and its sampling variance."""
    clipped = np.clip(ones, 1e-4, 1 - 1e-4)
    return np.log(clipped / (1 - clipped)), 1 / np.maximum(precision * clipped * (1 - clipped), 1.0)


def _log_evidence(logit: Floats, noise: Floats, sent: Bits) -> float:
    """Return the log density of logits of shares of ones, which have the sampling variances `noise`, if the bits in
    `sent` were sent as 1, up to a constant."""
    logs = [
        _log_density(logit[~sent] - LOGIT_MEANS[0], noise[~sent], spread)
        + _log_density(-logit[sent] - LOGIT_MEANS[1], noise[sent], spread)
        for spread in LOGIT_SPREADS
    ]
    return float(np.logaddexp.reduce(logs))


def _log_density(centred: Floats, noise: Floats, spread: float) -> float:
    """Return the log density of logits that scatter by `spread` around a common mean, itself drawn from N(0, 1)."""
    precision = 1 / (spread**2 + noise)
    total = 1 + float(precision.sum())
    quadratic = float(precision @ centred**2) - float(precision @ centred) ** 2 / total
    return 0.5 * (float(np.log(precision).sum()) - log(total) - quadratic - len(centred) * log(2 * np.pi))


def undo_decay(rows: Rows, model: Model, prior: Prior, rounds: int) -> Stepwise[Model]:
    """Turn the bits of a single centroid that decayed in most shots, and refit, if the posterior odds favour it.

    The log odds are the gain in log-likelihood, plus the gain in the log evidence of `split_bits`, which favours flip
    rates that scatter little. On wide registers the most frequent string is a decayed one: of six recorded outputs of
    ibm_brussels, two (19 and 27 bits) are lost without this step.
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
    """Fit a ring in place of a single string: the n strings at distance 1 from a centre, with equal weights.

    A W state reads as a cloud around a centre that is never sent. The centre is the single string or one of its
    neighbours. Equal weights keep the description of the ring as short as that of one string, plus the choice of the
    centre. Returns None if the single string describes the shots better, or if the ring is far behind after a third of
    the rounds; or if the distances from the centre suggest that more than one bit was sent as 1, as in a Dicke state.
    """
    n = rows.n_bits
    if n < 3:
        return None
    flips = np.eye(n, dtype=bool)
    centres = model.centroids[0] ^ np.vstack([np.zeros((1, n), dtype=bool), flips])
    around = distances(rows, centres) == 1
    best = int(np.argmax(around @ np.sqrt(rows.weights)))
    centre = centres[best]
    if rows.weights[distances(rows, centre[None])[0] == 0].sum() > rows.weights[around[best]].sum():
        return None
    odds = min(max(1 - model.background, 0.1), 0.9) * 0.15
    start = Model(centre ^ flips, np.full(n, 1 / n), np.full((n, 2), odds), REGIMES, model.background)
    # If all members flipped back, the ring would be its centre: the odds of a flip are at most 1.
    ring_prior, screening = replace(prior, largest_odds=1.0, hold_weights=True), rounds // 3
    fitted = yield from fit(rows, start, ring_prior, screening)
    if ring_gain(rows, model, fitted, centre) < -2 * _PRUNED:
        return None
    fitted = yield from fit(rows, fitted, ring_prior, rounds - screening)
    if fitted.log_likelihood < model.log_likelihood - 2 * _PRUNED or ring_gain(rows, model, fitted, centre) <= 0:
        return None
    one, *more = radius_levels(rows, centre)
    return fitted if one > max(more) - _SLACK else None


def radius_levels(rows: Rows, centre: Bits) -> Floats:
    """Return the log-likelihood that what was sent differs from a centre in 1, 2, ... `_MAX_RADIUS` bits, ``(4,)``.

    The shots are taken by their distance alone, the sum of two binomial numbers: each of the r bits falls back at one
    rate, each of the others rises at another, and some shots are uniform noise. Rates and share of noise are the
    likeliest, found on grids that become finer.
    """
    n = rows.n_bits
    seen = np.bincount(distances(rows, centre[None])[0], rows.weights, n + 1)
    wave = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * n))[:, None] - 1  # a bit that flips at rate p has 1 + p wave
    uniform = np.fft.irfft((1 + 0.5 * wave) ** n, axis=0)[: n + 1, :, None, None]
    levels = []
    for radius in range(1, min(n, _MAX_RADIUS) + 1):
        best, level = np.array([0.02, 0.02, 0.45]), -np.inf
        for step in _STEPS:
            falls, rises = (np.minimum(rate * np.exp(step * _GRID), 0.5) for rate in best[:2])
            shares = np.clip(best[2] + step / 8 * _GRID, 0.0, 0.99)
            both = ((1 + (1 - falls) * wave) ** radius)[:, :, None] * ((1 + rises * wave) ** (n - radius))[:, None]
            p = np.maximum(np.fft.irfft(both, axis=0)[: n + 1, :, :, None], 0.0)
            tried = np.tensordot(seen, np.log((1 - shares) * p + shares * uniform + _LEAST_SHARE), 1)
            i, j, k = np.unravel_index(int(tried.argmax()), tried.shape)
            best, level = np.array([falls[i], rises[j], shares[k]]), float(tried[i, j, k])
        levels.append(level)
    return np.array(levels)


def ring_gain(rows: Rows, model: Model, fitted: Model, centre: Bits) -> float:
    """Return the log Bayes factor of a fitted ring against a single string (`model`), in nats.

    Only shots within distance 2 of the centre count, and their probabilities are conditional on that: bursts of errors
    lead further away, and their likelihood is no evidence about the centre.
    """
    near = distances(rows, centre[None])[0] <= 2
    if not near.any():
        return -np.inf
    weights, ratio = rows.weights[near], fitted.total[near].astype(np.float64) / model.total[near]
    shots, within = float(weights.sum()), [within_two(one, centre, rows.log_unit) for one in (fitted, model)]
    gain = float(weights @ np.log(ratio)) - shots * log(within[0] / within[1])
    return gain - log(rows.n_bits + 1) - 0.5 * log(max(shots, 1.0))


def within_two(model: Model, centre: Bits, log_unit: float) -> float:
    """Return the probability that a shot differs from `centre`, ``(n,)``, in at most two bits, in the unit of the rows.

    If the odds that bit i differs are o_i, at most two bits do with probability ``(1 + e1 + e2) / prod (1 + o_i)``,
    where e1 and e2 are the sums of the odds and of their products over pairs.

    Example:
        >>> noiseless = Model(np.array([[True, False, False]]), np.ones(1), np.full((3, 2), 1e-9), REGIMES, 0.0)
        >>> [round(within_two(noiseless, np.array(centre, dtype=bool), 0.0)) for centre in ([1, 1, 1], [0, 1, 1])]
        [1, 0]
    """
    n, b = len(centre), model.background
    odds = np.where(model.centroids, model.odds[:, 1], model.odds[:, 0])[:, None] * TILTS[:, None]
    odds = np.where((model.centroids ^ centre)[:, None], 1 / odds, odds)
    singles = odds.sum(axis=2)
    pairs = (singles**2 - (odds**2).sum(axis=2)) / 2
    logs = np.log1p(singles + pairs) - np.log1p(odds).sum(axis=2) + log_unit
    return float((1 - b) * model.weights @ np.exp(logs) @ model.regimes + b * (1 + n + n * (n - 1) / 2))


def conditional_log_likelihood(rows: Rows, model: Model, within: Bits) -> float:
    """Return the log-likelihood of the shots on some strings, ``(u,) bool``, given that these shots are on them."""
    total = model.total[within].astype(np.float64)
    return float(rows.weights[within] @ np.log(total / total.sum()))
