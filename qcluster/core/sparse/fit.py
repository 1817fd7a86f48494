"""The sparse mixture: a few strings, flipped by a noisy channel, explain the counts."""

from dataclasses import dataclass, replace
from math import log

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.bits import Bits, by_contents, distinct_rows, pack_columns, unpack
from qcluster.core.lockstep import Stepwise, alone
from qcluster.core.noise.prior import REGIMES, SHOTS
from qcluster.core.sparse.backward_elimination import backward_elimination, reweigh
from qcluster.core.sparse.description_length import description_length
from qcluster.core.sparse.em import refit
from qcluster.core.sparse.forward_selection import Selection, forward_selection
from qcluster.core.sparse.local_search import local_search
from qcluster.core.sparse.model import Model, Prior, Rows, lay_out, likelihoods_of, rates_by_regime
from qcluster.core.sparse.model_selection import HEAVY, Chosen, Path, average, by_gap, by_marginal_likelihood, is_heavy
from qcluster.core.sparse.thinning import on_all_strings, thinned
from qcluster.core.stats.goodness import collisions
from qcluster.core.stats.special import perplexity

_OBVIOUS = 10.0
"""Drop in likelihood gain, as a factor, from which no exchange would change the number of strings."""
_OF_SIZE = 2
"""Mixtures of each number of strings that are refitted with free rates."""
_REFIT = 8
"""EM rounds of the first refit with free rates."""

MOST_BITS = 896
"""Widest register: beyond, probabilities against uniform noise leave double precision."""
_SEARCHED = 1 << 15
"""Distinct strings on which strings are searched: of more, a sample of the shots."""
_WEIGHED = 5
"""EM rounds over weights on all shots, where a sample was searched."""


@dataclass(frozen=True)
class MixtureSettings:
    """The knobs of the sparse mixture; a ValueError says what must hold of a value that does not fit."""

    max_clusters: int = 32
    """Most strings that may explain the counts; from 1 to 4096."""
    prior_shots: float = SHOTS
    """Weight of the prior of a bit's flip rate, in shots: rates scatter over a device, or about those that are given;
    from 1e-6 to 1e9."""
    rounds: int = 30
    """Most EM rounds of a final fit; at least 1."""

    def __post_init__(self) -> None:
        vars(self).update(  # as ints and floats: arrays of other numbers, such as fractions, are slow or fail
            max_clusters=check_whole("max_clusters", self.max_clusters, 1, 4096),
            prior_shots=check_real("prior_shots", self.prior_shots, 1e-6, 1e9),
            rounds=check_whole("rounds", self.rounds, 1),
        )


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """The sparse mixture fitted to counts, and what a guard needs to judge it."""

    centroids: Bits
    """``(k, n) bool``, heaviest first."""
    weights: Floats
    """``(k,)`` summing to 1: the mitigated distribution over the centroids, averaged over the plausible numbers."""
    rates: Floats
    """``(n, 2)`` P(read 1|0) and P(read 0|1), averaged over the error regimes."""
    regimes: Floats
    """``(s,)`` share of the shots in each error regime; the odds of a flip are multiplied by
    `qcluster.core.noise.prior.TILTS`."""
    background: float
    """Share of uniform noise."""
    log_likelihood: float
    """Of all shots, under the most plausible number of clusters."""
    agreement: float
    """Cosine between counts and model, the uniform part taken from both: near 1 where the model explains the counts."""
    excess: float
    """How many standard deviations the collisions between shots exceed those of uniform noise."""
    gap: float
    """How clear the number of strings is: the drop in likelihood gain behind it, or the odds of the evidence for it, as
    a factor. Near 1, the number is a guess."""
    flip_rate: float
    """Flips per bit of an average shot, counting uniform noise as one half."""
    perplexity: float
    """Effective number of distinct strings in the counts."""
    simple: bool
    """True where independent flips at one rate for all bits explain the counts: then evidence, not gaps, decides."""
    ring: bool
    """True where the answer is a ring of strings around a centre."""
    converged: bool = True
    """False where the last round of EM still changed the log-likelihood by more than one more weight would cost,
    0.5 ln N nats of N shots (Schwarz, 1978): it needs more rounds, or goes in circles. Less decides nothing."""


def fit_mixture(
    bits: Bits, weights: Floats, *, rates: Floats | None = None, settings: MixtureSettings | None = None
) -> MixtureFit:
    """Explain counts by a few strings and a noisy channel.

    ``P(y) = b 2^-n + (1 - b) sum_k w_k sum_s r_s prod_i P_s(y_i | c_ki)``, all parameters learned from the counts: the
    strings c_k and their weights, two flip rates a bit, shared error regimes (some shots have many errors) and a
    uniform share. docs/mixture.md tells how.

    Args:
        bits: ``(u, n) bool`` distinct observed strings.
        weights: ``(u,)`` their shots.
        rates: ``(n, 2)`` P(read 1|0) and P(read 0|1) expected; the counts may overrule them. None: learned.
        settings: the knobs.

    Returns:
        The fit. Deterministic. Cost: some hundred products of ``(k, n)`` and ``(n, u)`` matrices; beyond 32,768
        strings these on a thinned sample, and one on all.

    Raises:
        ValueError: no shots, more than 896 bits, or arrays that do not go together.

    Example:
        >>> bits = np.array(np.meshgrid(*[[False, True]] * 3)).reshape(3, -1).T
        >>> found = fit_mixture(bits, np.array([430.0, 20, 18, 21, 22, 17, 22, 450]))
        >>> sorted(found.centroids.astype(int).tolist())
        [[0, 0, 0], [1, 1, 1]]
    """
    return alone(fitting(bits, weights, rates, settings or MixtureSettings()))


def fitting(bits: Bits, weights: Floats, rates: Floats | None, settings: MixtureSettings) -> Stepwise[MixtureFit]:
    """Do so step by step, so that many sets of counts share the work."""
    weights = np.asarray(weights, dtype=np.float64)
    if bits.ndim != 2 or weights.shape != bits.shape[:1]:
        raise ValueError(f"bits must be (u, n) and weights (u,); got {bits.shape} and {weights.shape}")
    if bits.shape[1] > MOST_BITS:
        raise ValueError(f"a mixture takes at most {MOST_BITS} bits; got {bits.shape[1]}")
    if not weights.sum() > 0 or not bits.shape[1]:
        raise ValueError("a mixture needs shots on at least one bit; got none")
    columns = by_contents(bits, weights)  # sums depend on their order, if little: answers must not
    words = pack_columns(bits, columns)
    order, _ = distinct_rows(words)
    own = None if rates is None else np.asarray(rates)[columns]
    found = yield from _fit(unpack(words[order], len(columns)), weights[order], own, settings)
    back = np.argsort(columns)
    return replace(found, centroids=found.centroids[:, back], rates=found.rates[back])


def _fit(bits: Bits, weights: Floats, rates: Floats | None, settings: MixtureSettings) -> Stepwise[MixtureFit]:
    """Fit a mixture to strings in an order that does not depend on the names of bits; see `fit_mixture`."""
    rows = lay_out(*thinned(bits, weights, _SEARCHED))
    prior = Prior(settings.prior_shots, rates)
    most = min(settings.max_clusters, max(4, 1 << min(rows.n_bits, 30) >> 2))
    selected = yield from forward_selection(rows, most)
    if selected.dense:
        found = Chosen([_deconvolved(rows, selected, settings)], np.ones(1), 1.0)
    else:
        found = yield from _few(rows, selected, prior, settings)
    if rows.shots < weights.sum():
        rows, rounds = Rows(bits, weights), 0 if found.ring else _WEIGHED
        found = replace(found, models=[on_all_strings(bits, weights, model, rounds) for model in found.models])
    return _report(rows, weights, found)


def _few(rows: Rows, selected: Selection, prior: Prior, settings: MixtureSettings) -> Stepwise[Chosen]:
    """Refit what forward selection found, and choose how many strings."""
    tried = _likeliest(selected.prefixes + backward_elimination(rows, selected.models))
    if not tried:
        tried = [Model(rows.bits[rows.seen[:1]], np.ones(1), np.full((rows.n_bits, 2), 0.1), REGIMES, 0.99)]
    most = settings.max_clusters
    if selected.models:
        simple = yield from by_marginal_likelihood(rows, tried, prior, most)
        if simple is not None:
            return simple
    path: Path = [None] * most
    for model in (yield from refit(rows, tried, prior, _REFIT)):
        known = path[len(model.weights) - 1]
        if known is None or description_length(rows, model) < description_length(rows, known):
            path[len(model.weights) - 1] = model
    found = [model for model in path if model is not None]
    best = min(found, key=lambda model: description_length(rows, model))
    if selected.gap < _OBVIOUS or best.rates().mean() > HEAVY:
        best = yield from local_search(rows, best, prior, most)
    if is_heavy(rows, best):
        simple = yield from by_marginal_likelihood(rows, [best, *found], prior, most)
        if simple is not None:
            return simple
    return (yield from by_gap(rows, path, best.take(best.falling), prior, settings.rounds))


def _likeliest(models: list[Model]) -> list[Model]:
    """Keep, of each number of strings, the `_OF_SIZE` likeliest models that differ in their centroids."""
    kept: dict[int, dict[frozenset[bytes], Model]] = {}
    for model in sorted(models, key=lambda model: -model.log_likelihood):
        of_size = kept.setdefault(len(model.weights), {})
        if len(of_size) < _OF_SIZE:
            of_size.setdefault(model.strings, model)
    return [model for of_size in kept.values() for model in of_size.values()]


def _deconvolved(rows: Rows, selected: Selection, settings: MixtureSettings) -> Model:
    """Weigh the most frequent strings under the selected channel, where few of them do not explain the counts."""
    sent = rows.candidates[0][: settings.max_clusters]
    odds = selected.models[0].odds if selected.models else np.full((rows.n_bits, 2), 0.1)
    start = Model(sent, np.full(len(sent), 1 / len(sent)), odds, REGIMES, 0.1)
    return reweigh(rows, replace(start, likelihoods=likelihoods_of(rows, start)), _WEIGHED)


def _report(rows: Rows, weights: Floats, found: Chosen) -> MixtureFit:
    best = found.models[0]
    centroids, averaged = average(found.models, found.posterior)
    agreement, excess = _agreement(rows, best)
    rates, ones = best.rates(), best.weights @ best.centroids
    flips = float((rates[:, 0] * (1 - ones) + rates[:, 1] * ones).mean())
    return MixtureFit(
        centroids=centroids,
        weights=averaged,
        rates=rates,
        regimes=best.regimes,
        background=best.background,
        log_likelihood=best.log_likelihood,
        agreement=agreement,
        excess=excess,
        gap=found.gap,
        flip_rate=best.background / 2 + (1 - best.background) * flips,
        perplexity=float(perplexity(weights / rows.shots)),
        simple=found.simple,
        ring=found.ring,
        converged=abs(best.last_gain) <= 0.5 * log(max(rows.shots, 2.0)),
    )


def _agreement(rows: Rows, model: Model) -> tuple[float, float]:
    """Give the cosine between counts and model without the uniform part, and the z-score of the excess collisions."""
    shots, uniform = rows.shots, float(np.exp(-rows.unit))
    beyond = collisions(rows.weights) - uniform
    excess = beyond * shots / np.sqrt(2 * uniform)
    used = np.flatnonzero(model.regimes > 1e-4)
    rises, falls = rates_by_regime(model.odds.T)[:, used]
    reads_one = np.where(model.centroids[:, None], 1 - falls, rises)
    signs = 1 - 2 * reads_one.reshape(-1, rows.n_bits)
    share = (np.outer(model.weights, model.regimes[used]) * (1 - model.background)).ravel()
    overlap = np.full((len(share), len(share)), 0.5**rows.n_bits)
    for sign in signs.T:  # both read a bit alike with probability (1 + product of their signs) / 2
        overlap *= 1 + sign[:, None] * sign
    b = model.background
    own = float(share @ overlap @ share) + (2 * b * (1 - b) + b * b - 1) * uniform
    cross = float(rows.weights @ model.total) * np.exp(-rows.unit) / shots - uniform
    cosine = cross / np.sqrt(max(beyond, 1e-300) * max(own, 1e-300)) if beyond > 0 else 0.0
    return float(cosine), float(excess)
