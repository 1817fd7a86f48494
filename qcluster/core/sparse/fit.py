"""Fit the sparse mixture: explain counts by a few strings that were sent through a noisy channel.

Candidates are the frequent strings. Forward selection and backward elimination choose among them at fixed flip rates,
EM refits the mixtures with free rates, local search improves the best one, and model selection chooses the number of
strings. docs/mixture.md describes each step.
"""

from dataclasses import dataclass, replace
from math import log

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.bits import Bits, order_by_data
from qcluster.core.lockstep import Stepwise, run_one
from qcluster.core.noise.prior import PRIOR_SHOTS, REGIMES
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

_OBVIOUS_GAP = 10.0
"""Drop in likelihood gain, as a factor, from which local search is skipped: it would not change how many strings."""
_KEPT_PER_SIZE = 2
"""Mixtures of each number of strings that are refitted with free rates."""
_REFIT_ROUNDS = 8
"""EM rounds of that first fit with free rates."""

MOST_BITS = 896
"""Widest register: beyond it, probabilities relative to uniform noise leave the range of double precision."""
_MAX_SEARCHED = 1 << 15
"""Distinct strings beyond which the search uses a sample of the shots."""
_WEIGHT_ROUNDS = 5
"""EM rounds over weights alone: on all shots after a search on a sample, and in dense counts."""


@dataclass(frozen=True)
class MixtureSettings:
    """Settings of the sparse mixture. A value out of range raises a ValueError that states the range."""

    max_clusters: int = 32
    """Largest number of strings that may explain the counts; from 1 to 4096."""
    prior_shots: float = PRIOR_SHOTS
    """Weight of the prior of a bit's flip rate, in shots; from 1e-6 to 1e9. The prior expects the known rates if any
    are given, else the mean over the bits."""
    rounds: int = 30
    """Largest number of EM rounds in a final fit; at least 1."""

    def __post_init__(self) -> None:
        vars(self).update(  # as int and float: arrays of other number types, such as fractions, are slow or fail
            max_clusters=check_whole("max_clusters", self.max_clusters, 1, 4096),
            prior_shots=check_real("prior_shots", self.prior_shots, 1e-6, 1e9),
            rounds=check_whole("rounds", self.rounds, 1),
        )


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """The sparse mixture fitted to counts, with the statistics by which the guard judges it."""

    centroids: Bits
    """``(k, n) bool``, heaviest first."""
    weights: Floats
    """``(k,)`` summing to 1: the mitigated distribution, averaged over the plausible numbers of strings."""
    rates: Floats
    """``(n, 2)`` P(read 1|0) and P(read 0|1), averaged over the error regimes."""
    regimes: Floats
    """``(s,)`` share of the shots in each error regime, in which the odds of all flips are multiplied by
    `qcluster.core.noise.prior.TILTS`."""
    background: float
    """Share of uniform noise."""
    log_likelihood: float
    """Of all shots, in nats, under the mixture of the most plausible number of strings."""
    agreement: float
    """Cosine between counts and model, both less their uniform part: near 1 if the model explains the counts."""
    excess: float
    """Standard deviations by which the collisions between shots exceed those of uniform noise."""
    gap: float
    """How clear the number of strings is, as a factor: the drop in likelihood gain behind it, or its posterior odds if
    the noise is `simple`. Near 1, the number is a guess."""
    flip_rate: float
    """Flips per bit in an average shot, with uniform noise counted as one half."""
    perplexity: float
    """Effective number of distinct strings in the counts."""
    simple: bool
    """True if independent flips at one rate for all bits explain the counts. The number of strings then follows from
    the evidence, not from gaps."""
    ring: bool
    """True if the answer is a ring of strings around a centre."""
    converged: bool = True
    """False if the last EM round still changed the log-likelihood by more than one further weight costs, 0.5 ln N nats
    for N shots (Schwarz, 1978): EM needs more rounds, or cycles. Smaller changes affect no decision."""


def fit_mixture(
    bits: Bits, weights: Floats, *, rates: Floats | None = None, settings: MixtureSettings | None = None
) -> MixtureFit:
    """Explain counts by a few strings and a noisy channel.

    ``P(y) = b 2^-n + (1 - b) sum_k w_k sum_s r_s prod_i P_s(y_i | c_ki)``. All parameters are learned from the counts:
    the strings c_k and their weights w_k, two flip rates per bit, the shares r_s of error regimes (some shots have many
    errors), and the share b of uniform noise.

    Args:
        bits: ``(u, n) bool`` distinct observed strings.
        weights: ``(u,)`` their shots.
        rates: ``(n, 2)`` expected P(read 1|0) and P(read 0|1), which the counts may overrule. None: learned.
        settings: of the fit; None takes the defaults.

    Returns:
        The fit, which is deterministic. Cost: some hundred products of ``(k, n)`` and ``(n, u)`` matrices; beyond
        32,768 strings these products are taken on a thinned sample, followed by one on all strings.

    Raises:
        ValueError: no shots, more than 896 bits, or arrays whose shapes do not match.

    Example:
        >>> bits = np.array(np.meshgrid(*[[False, True]] * 3)).reshape(3, -1).T
        >>> fit = fit_mixture(bits, np.array([430.0, 20, 18, 21, 22, 17, 22, 450]))
        >>> sorted(fit.centroids.astype(int).tolist())
        [[0, 0, 0], [1, 1, 1]]
    """
    return run_one(fit_mixture_steps(bits, weights, rates, settings or MixtureSettings()))


def fit_mixture_steps(
    bits: Bits, weights: Floats, rates: Floats | None, settings: MixtureSettings
) -> Stepwise[MixtureFit]:
    """Fit a mixture as a computation for `qcluster.core.lockstep`, so that many sets of counts share array work."""
    weights = np.asarray(weights, dtype=np.float64)
    if bits.ndim != 2 or weights.shape != bits.shape[:1]:
        raise ValueError(f"bits must be (u, n) and weights (u,); got {bits.shape} and {weights.shape}")
    if bits.shape[1] > MOST_BITS:
        raise ValueError(f"a mixture takes at most {MOST_BITS} bits; got {bits.shape[1]}")
    if not weights.sum() > 0 or not bits.shape[1]:
        raise ValueError("a mixture needs shots on at least one bit; got none")
    # Rounding depends on the order of sums: relabelling must not change it.
    columns, order = order_by_data(bits, weights)
    ordered_rates = None if rates is None else np.asarray(rates)[columns]
    fit = yield from _fit(bits[order][:, columns], weights[order], ordered_rates, settings)
    inverse = np.argsort(columns)
    return replace(fit, centroids=fit.centroids[:, inverse], rates=fit.rates[inverse])


def _fit(bits: Bits, weights: Floats, rates: Floats | None, settings: MixtureSettings) -> Stepwise[MixtureFit]:
    """Fit a mixture to bits and strings in an order that depends on the counts alone; see `fit_mixture`."""
    rows = lay_out(*thinned(bits, weights, _MAX_SEARCHED))
    prior = Prior(settings.prior_shots, rates)
    most = min(settings.max_clusters, max(4, 1 << min(rows.n_bits, 30) >> 2))
    selected = yield from forward_selection(rows, most)
    if selected.dense:
        chosen = Chosen([_weigh_frequent(rows, selected, settings)], np.ones(1), 1.0)
    else:
        chosen = yield from _search(rows, selected, prior, settings)
    if rows.shots < weights.sum():
        rows, rounds = Rows(bits, weights), 0 if chosen.ring else _WEIGHT_ROUNDS
        chosen = replace(chosen, models=[on_all_strings(bits, weights, model, rounds) for model in chosen.models])
    return _report(rows, weights, chosen)


def _search(rows: Rows, selected: Selection, prior: Prior, settings: MixtureSettings) -> Stepwise[Chosen]:
    """Refit the selected mixtures and the smaller ones, improve the best, and choose the number of strings."""
    models = _likeliest(selected.prefixes + backward_elimination(rows, selected.models))
    if not models:
        models = [Model(rows.bits[rows.seen[:1]], np.ones(1), np.full((rows.n_bits, 2), 0.1), REGIMES, 0.99)]
    most = settings.max_clusters
    if selected.models:
        chosen = yield from by_marginal_likelihood(rows, models, prior, most)
        if chosen is not None:
            return chosen
    path: Path = [None] * most
    for model in (yield from refit(rows, models, prior, _REFIT_ROUNDS)):
        known = path[len(model.weights) - 1]
        if known is None or description_length(rows, model) < description_length(rows, known):
            path[len(model.weights) - 1] = model
    refitted = [model for model in path if model is not None]
    best = min(refitted, key=lambda model: description_length(rows, model))
    if selected.gap < _OBVIOUS_GAP or best.rates().mean() > HEAVY:
        best = yield from local_search(rows, best, prior, most)
    if is_heavy(rows, best):
        chosen = yield from by_marginal_likelihood(rows, [best, *refitted], prior, most)
        if chosen is not None:
            return chosen
    return (yield from by_gap(rows, path, best.take(best.by_weight), prior, settings.rounds))


def _likeliest(models: list[Model]) -> list[Model]:
    """Keep the `_KEPT_PER_SIZE` likeliest mixtures of each number of strings, counting equal sets of strings once."""
    kept: dict[int, dict[frozenset[bytes], Model]] = {}
    for model in sorted(models, key=lambda model: -model.log_likelihood):
        same_size = kept.setdefault(len(model.weights), {})
        if len(same_size) < _KEPT_PER_SIZE:
            same_size.setdefault(model.strings, model)
    return [model for same_size in kept.values() for model in same_size.values()]


def _weigh_frequent(rows: Rows, selected: Selection, settings: MixtureSettings) -> Model:
    """Weigh the most frequent strings under the selected channel, for dense counts that few strings do not explain."""
    sent = rows.candidates[0][: settings.max_clusters]
    odds = selected.models[0].odds if selected.models else np.full((rows.n_bits, 2), 0.1)
    start = Model(sent, np.full(len(sent), 1 / len(sent)), odds, REGIMES, 0.1)
    return reweigh(rows, replace(start, likelihoods=likelihoods_of(rows, start)), _WEIGHT_ROUNDS)


def _report(rows: Rows, weights: Floats, chosen: Chosen) -> MixtureFit:
    """Average the plausible mixtures and compute the statistics of the most probable one."""
    best = chosen.models[0]
    centroids, averaged = average(chosen.models, chosen.posterior)
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
        gap=chosen.gap,
        flip_rate=best.background / 2 + (1 - best.background) * flips,
        perplexity=float(perplexity(weights / rows.shots)),
        simple=chosen.simple,
        ring=chosen.ring,
        converged=abs(best.last_gain) <= 0.5 * log(max(rows.shots, 2.0)),
    )


def _agreement(rows: Rows, model: Model) -> tuple[float, float]:
    """Return `MixtureFit.agreement` and `MixtureFit.excess`.

    Agreement is the cosine of ``p - 2^-n`` between counts and model. The squared norm of the counts is estimated from
    collisions, without bias; that of the model is a sum over pairs of a centroid and a regime, each a product of bits.
    """
    shots, uniform = rows.shots, float(np.exp(-rows.log_unit))
    counts_norm = collisions(rows.weights) - uniform
    excess = counts_norm * shots / np.sqrt(2 * uniform)
    used = np.flatnonzero(model.regimes > 1e-4)
    rises, falls = rates_by_regime(model.odds.T)[:, used]
    reads_one = np.where(model.centroids[:, None], 1 - falls, rises)
    signs = 1 - 2 * reads_one.reshape(-1, rows.n_bits)
    share = (np.outer(model.weights, model.regimes[used]) * (1 - model.background)).ravel()
    overlap = np.full((len(share), len(share)), 0.5**rows.n_bits)
    for sign in signs.T:  # two shots read a bit alike with probability (1 + product of their mean signs) / 2
        overlap *= 1 + sign[:, None] * sign
    b = model.background
    model_norm = float(share @ overlap @ share) + (2 * b * (1 - b) + b * b - 1) * uniform
    cross = float(rows.weights @ model.total) * np.exp(-rows.log_unit) / shots - uniform
    cosine = cross / np.sqrt(max(counts_norm, 1e-300) * max(model_norm, 1e-300)) if counts_norm > 0 else 0.0
    return float(cosine), float(excess)
