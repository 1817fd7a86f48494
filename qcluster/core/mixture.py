"""The sparse mixture: a few strings, flipped by a noisy channel, explain the counts."""

from dataclasses import dataclass, replace

import numpy as np

from qcluster.core.bits import Bits
from qcluster.core.choose import Path, average, by_evidence, by_gap
from qcluster.core.description import score
from qcluster.core.em import fit, fit_all
from qcluster.core.goodness import collisions
from qcluster.core.growth import REGIMES, candidates, grow, ranked, seeds, settle, shrink
from qcluster.core.likelihood import TILTS, Floats, Indices, Model, Prior, Rows, lay_out
from qcluster.core.moves import improve
from qcluster.core.soft import soft_search
from qcluster.core.special import perplexity
from qcluster.core.thin import everywhere, thinned

_FIRST = 6
"""Strings grown at every rate, before the two best rates go on."""
_HEAVIEST = 0.4
"""Largest rate of the soft search: towards one half, nothing tells strings apart."""
_POOL = 256
"""Most frequent strings that growth may pick."""

MOST_BITS = 896
"""Widest register: beyond, probabilities against uniform noise leave double precision."""
_SEARCHED = 1 << 15
"""Distinct strings on which strings are searched: of more, a sample of the shots."""
_WEIGHED = 5
"""EM rounds over weights on all shots, where a sample was searched."""


@dataclass(frozen=True)
class MixtureSettings:
    """The knobs of the sparse mixture."""

    max_clusters: int = 32
    """Most strings that may explain the counts."""
    rates_tried: tuple[float, ...] = (0.02, 0.06, 0.15, 0.28, 0.4)
    """Flip rates at which growth starts, from a good device to one near its end."""
    prior_shots: float = 30.0
    """How many shots the belief about a bit's flip rate is worth: rates scatter over a device."""
    sharpness: float = 2.0
    """How fast the probability of a number of strings rises with the gap behind it: a power."""
    misfit: float = 2.5
    """Standard deviations up to which the noise counts as simple: independent flips at one rate."""
    heavy: float = 0.22
    """Flips per bit from which the frequent strings are no guide, and soft strings are searched too."""
    rounds: int = 30
    """Most EM rounds of a final fit."""

    def __post_init__(self) -> None:
        if self.max_clusters < 1:
            raise ValueError(f"max_clusters must be at least 1; got {self.max_clusters}")
        if not self.rates_tried or not all(0 < rate < 0.5 for rate in self.rates_tried):
            raise ValueError(f"rates_tried must be rates in (0, 0.5), at least one; got {self.rates_tried}")
        if not self.prior_shots > 0:
            raise ValueError(f"prior_shots must be positive; got {self.prior_shots}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1; got {self.rounds}")


@dataclass(frozen=True)
class MixtureFit:
    """The sparse mixture fitted to counts, and what a guard needs to judge it."""

    centroids: Bits
    """``(k, n) bool``, heaviest first."""
    weights: Floats
    """``(k,)`` summing to 1: the mitigated distribution over the centroids, averaged over the plausible numbers."""
    rates: Floats
    """``(n, 2)`` P(read 1|0) and P(read 0|1), averaged over the error regimes."""
    regimes: Floats
    """``(s,)`` share of the shots in each error regime; the odds of a flip are multiplied by `likelihood.TILTS`."""
    background: float
    """Share of uniform noise."""
    log_likelihood: float
    """Of all shots, under the most plausible number of clusters."""
    model: Floats
    """``(u,)`` probability of each string given to `fit_mixture`, in its order."""
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
    sizes: tuple[int, ...]
    """Plausible numbers of strings, the most probable first."""
    plausibility: Floats
    """``(len(sizes),)`` their probabilities."""
    simple: bool
    """True where independent flips at one rate for all bits explain the counts: then evidence, not gaps, decides."""
    ring: bool
    """True where the answer is a ring of strings around a centre."""


# OpenBLAS raises the flag, now and then, for lanes beyond short rows: the results are finite.
@np.errstate(invalid="ignore")
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
    settings = settings or MixtureSettings()
    weights = np.asarray(weights, dtype=np.float64)
    if bits.ndim != 2 or weights.shape != bits.shape[:1]:
        raise ValueError(f"bits must be (u, n) and weights (u,); got {bits.shape} and {weights.shape}")
    if bits.shape[1] > MOST_BITS:
        raise ValueError(f"a mixture takes at most {MOST_BITS} bits; got {bits.shape[1]}")
    if not weights.sum() > 0 or not bits.shape[1]:
        raise ValueError("a mixture needs shots on at least one bit; got none")
    rows = lay_out(*thinned(bits, weights, _SEARCHED))
    prior = Prior(settings.prior_shots, rates)
    pool, place = candidates(rows, _POOL)
    path = _path(rows, pool, place, prior, settings)
    met = [model for model in path if model is not None]
    best = min(met, key=lambda model: score(rows, model))
    best = improve(rows, fit(rows, best, prior, 10), pool, place, prior, settings.max_clusters)
    flips = best.background / 2 + (1 - best.background) * float(best.rates().mean())
    found = soft_search(rows, min(flips, _HEAVIEST), replace(prior, common=True)) if flips > settings.heavy else []
    found = [model for model in found if len(model.weights) <= settings.max_clusters]
    for model in fit_all(rows, found, prior, 10):
        if _meet(path, rows, model) < score(rows, best):
            best = model
    weighed = by_evidence(rows, [best, *met, *found], prior, settings.rounds, settings.misfit)
    simple, is_ring = weighed is not None, False
    if weighed is not None:
        answers, belief = weighed
        gap = float(belief[0] / max(1 - belief[0], 1e-3))
    else:
        complete = ranked(best)
        answers, belief, gaps, is_ring = by_gap(rows, path, complete, prior, settings.rounds, settings.sharpness)
        gap = float(gaps[0])
    if rows.shots < weights.sum():
        rows = Rows(bits, weights)
        answers = [everywhere(bits, weights, model, 0 if is_ring else _WEIGHED) for model in answers]
    return _report(rows, weights, answers, belief, gap, simple, is_ring)


def _report(
    rows: Rows, weights: Floats, answers: list[Model], belief: Floats, gap: float, simple: bool, is_ring: bool
) -> MixtureFit:
    best = answers[0]
    assert best.total is not None
    centroids, averaged = average(answers, belief)
    agreement, excess = _agreement(rows, best)
    total = best.total * np.exp(-rows.unit)
    if rows.weights is not weights:
        total[np.argsort(-weights, kind="stable")] = total.copy()
    rates, ones = best.rates(), best.weights @ best.centroids
    flips = float((rates[:, 0] * (1 - ones) + rates[:, 1] * ones).mean())
    return MixtureFit(
        centroids=centroids,
        weights=averaged,
        rates=rates,
        regimes=best.regimes,
        background=best.background,
        log_likelihood=best.log_likelihood,
        model=total,
        agreement=agreement,
        excess=excess,
        gap=gap,
        flip_rate=best.background / 2 + (1 - best.background) * flips,
        perplexity=float(perplexity(weights / rows.shots)),
        sizes=tuple(len(model.weights) for model in answers),
        plausibility=belief,
        simple=simple,
        ring=is_ring,
    )


def _meet(path: Path, rows: Rows, model: Model) -> float:
    """Keep a mixture if it is the best of its size, and give its description length."""
    k, level = len(model.weights) - 1, score(rows, model)
    known = path[k]
    if known is None or level < score(rows, known):
        path[k] = model
    return level


def _path(rows: Rows, pool: Bits, place: Indices, prior: Prior, settings: MixtureSettings) -> Path:
    """Give the best mixture found for each number of strings.

    A few strings are grown at every rate tried; from the two rates that then describe the shots best, growth goes on
    to the end, and strings are taken out again one by one.
    """
    apart = place - np.arange(len(pool))[:, None] * (rows.n_bits + 1)
    path: Path = [None] * settings.max_clusters
    few = min(_FIRST, settings.max_clusters)
    trials = [model for model in grow(rows, pool, apart, seeds(rows, settings.rates_tried), few) if len(model.weights)]
    levels = [_meet(path, rows, model) for model in settle(rows, trials, prior, 4)]
    best = [trials[place] for place in np.argsort(levels, kind="stable")[:2]]
    done = [model for model in best if len(model.weights) < few]
    if len(done) < len(best):
        done += grow(rows, pool, apart, [model for model in best if len(model.weights) == few], settings.max_clusters)
    for model in shrink(rows, settle(rows, done, prior, 5), prior, 5):
        _meet(path, rows, model)
    if not trials:
        odds = np.full((rows.n_bits, 2), 0.1)
        _meet(path, rows, fit(rows, Model(pool[:1], np.ones(1), odds, REGIMES, 0.99), prior, settings.rounds))
    return path


def _agreement(rows: Rows, model: Model) -> tuple[float, float]:
    """Give the cosine between counts and model without the uniform part, and the z-score of the excess collisions."""
    assert model.total is not None
    shots, uniform = rows.shots, float(np.exp(-rows.unit))
    beyond = collisions(rows.weights) - uniform
    excess = beyond * shots / np.sqrt(2 * uniform)
    used = np.flatnonzero(model.regimes > 1e-4)
    tilted = model.odds[None] * TILTS[used, None, None]
    flip = tilted / (1 + tilted)
    reads_one = np.where(model.centroids[:, None], 1 - flip[None, :, :, 1], flip[None, :, :, 0])
    reads_one = reads_one.reshape(-1, rows.n_bits)
    share = (np.outer(model.weights, model.regimes[used]) * (1 - model.background)).ravel()
    overlap = np.exp(sum(np.log(np.outer(one, one) + np.outer(1 - one, 1 - one)) for one in reads_one.T))
    b = model.background
    own = float(share @ overlap @ share) + (2 * b * (1 - b) + b * b - 1) * uniform
    cross = float(rows.weights @ model.total) * np.exp(-rows.unit) / shots - uniform
    cosine = cross / np.sqrt(max(beyond, 1e-300) * max(own, 1e-300)) if beyond > 0 else 0.0
    return float(cosine), float(excess)
