"""The decision: the answer that the gate makes of the candidates, or the counts as they came, and why."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words, unpack, weight_of_ones
from qcluster.core.counts.distribution import Distribution, are_probabilities
from qcluster.core.decision.blend import Blend
from qcluster.core.decision.candidates import (
    DENSE,
    FIXED,
    HEAVIEST,
    MIXTURE,
    RAW,
    SMOOTH,
    STRING,
    Candidates,
    gathering,
)
from qcluster.core.decision.features import expectation, features
from qcluster.core.decision.gate import Gate, shipped
from qcluster.core.lockstep import Stepwise, alone
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.sparse.fit import MixtureFit, MixtureSettings
from qcluster.core.stats.goodness import beyond_uniform
from qcluster.core.stats.special import perplexity
from qcluster.core.words import many

_STRUCTURE = 4.0
"""Standard deviations beyond uniform noise from which counts have a structure that can be looked for. Shot noise alone
goes there once in some thousand counts, and of one to five bits, where chi-square is far from normal, in some hundred:
what is then looked for, the gate judges."""
_FEWEST = 16.0
"""Shots below which no error can be told from the ideal."""
LEAST_SHARE = 0.1
"""Part of the answer that must be mitigated; with less, the counts are left as they came."""
LEAST_CONFIDENCE = 0.5
"""Probability of improvement below which the counts are left as they came."""
_MEASURED = 16.0
"""Expected flips of a bit from which none at all, four standard deviations (Poisson) too few, tells that it was not
measured."""
_NAMED = 0.25
"""Weight from which the second candidate is named in the reason."""
_FAINT = 1e-9
"""Probability of a string below which it is left out of the answer."""


@dataclass(frozen=True, eq=False)
class Decided:
    """The answer to counts, and the mixture that is part of it."""

    answer: Mitigation
    """The answer, or the counts as they came."""
    fit: MixtureFit | None
    """The sparse mixture; None where none was looked for."""
    blend: Blend | None
    """What `answer` holds as its response: how it moves with the counts; None where it is the counts."""


def decide(d: Distribution) -> Decided:
    """Answer counts, or leave them as they are, where nothing else is known.

    Example:
        >>> found = decide(Distribution.of({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450, "011": 20}))
        >>> found.answer.applied, sorted(found.answer.distribution.top(2))
        (True, ['000', '111'])
    """
    return alone(deciding(d, None, None, None))


def deciding(
    d: Distribution,
    known: Floats | None,
    expect: str | None,
    settings: MixtureSettings | None,
    gate: Gate | None = None,
) -> Stepwise[Decided]:
    """Do so step by step, so that many sets of counts share the work.

    Args:
        d: the counts.
        known: ``(n, 2)`` flip rates known beforehand.
        expect: ``"sparse"``, ``"dense"``, or None: what the user expects of the ideal.
        settings: of the mixture.
        gate: that weighs the candidates; the one that ships for so many bits by default.
    """
    why, structure = screened(d)
    if why is not None:
        return Decided(left(d, "mixture", why, known), None, None)
    found = yield from gathering(d, known, settings)
    described = np.concatenate([expectation(expect), features(d, found, known, structure)])
    weights, confidence = (gate or shipped(wide=found.counts is None))(described, found.present, found.gram)
    share = float(1 - weights[[*found.kept]].sum())
    fit = found.fit
    root = weights @ found.roots
    if share < LEAST_SHARE or confidence < LEAST_CONFIDENCE:
        why = "what looks like noise is as likely the ideal"
    elif unchanged(float(root @ found.roots[RAW]) / math.sqrt(root @ root), d.shots):
        why = "undoing what looks like noise changes nothing"
    hint = _unmeasured(d, fit)
    if why is not None:
        as_read = left(d, "mixture", why + hint, fit.rates, confidence)
        return Decided(replace(as_read, centroids=fit.centroids, weights=fit.weights), fit, None)
    settings = settings or MixtureSettings()
    blend = Blend(d, found.support, fit, found.hypotheses, weights, settings.prior_shots)
    answer = Mitigation(
        distribution=distributed(d, found.support.words, root * root),
        raw=d,
        method="mixture",
        applied=True,
        share=share,
        confidence=confidence,
        reason=name_heaviest(weights, DENSE, lambda place: _sentence(d, found, weights, place), found.kept) + hint,
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=blend,
    )
    return Decided(answer, fit, blend)


def distributed(d: Distribution, words: Words, probabilities: Floats) -> Distribution:
    """Give the shots of counts to packed strings ``(m, n_words)``, by weights ``(m,)`` of any sum; faint ones go."""
    kept = np.flatnonzero(probabilities > _FAINT * probabilities.sum())
    shots = probabilities[kept] * (d.shots / probabilities[kept].sum())
    return Distribution.from_words(words[kept], shots, d.n_bits)


def unchanged(overlap: float, shots: float) -> bool:
    """Tell from the overlap between an answer and the counts, the root of their fidelity, whether it is the counts.

    It is where it differs by less than sampling alone moves the share of one string: 1 less the overlap, to leading
    order an eighth of the sum of ``(change of p)^2 / p``, is then ``1 / (8 shots)`` on average.

    Example:
        >>> unchanged(0.9999, 1000), unchanged(0.9999, 100_000)
        (True, False)
    """
    return 1 - overlap < 1 / (8 * shots)


def screened(d: Distribution) -> tuple[str | None, float]:
    """Give the reason why counts are left before any candidate is looked for, None where they are not; and by how much
    they differ from uniform noise, 0 where this was not looked at."""
    if not d.n_outcomes or not d.n_bits:
        return "there are no shots to mitigate", 0.0
    if are_probabilities(d):
        return "weights that sum to 1 are probabilities; what can be mitigated are counts of shots", 0.0
    if d.shots < _FEWEST:
        return f"{many(d.shots, 'shot')} {'is' if d.shots == 1 else 'are'} too few to tell errors from the ideal", 0.0
    structure = beyond_uniform(d.bits, d.weights)
    return ("the counts cannot be told from uniform noise" if structure < _STRUCTURE else None), structure


def name_heaviest(
    weights: Floats, first_dense: int, sentence: Callable[[int], str], kept: tuple[int, ...] = (RAW,)
) -> str:
    """Name the one or two candidates of most weight; deconvolutions, the last ones, count as one, their first.

    So do candidates that keep the counts as they are, `kept`; beside them what was changed is named in any case.
    """
    parts = weights.copy()
    parts[first_dense], parts[first_dense + 1 :] = weights[first_dense:].sum(), 0.0
    counts = max(kept, key=lambda place: float(weights[place]))
    parts[[*kept]], parts[counts] = 0.0, weights[[*kept]].sum()
    first, second = np.argsort(-parts, kind="stable")[:2].tolist()
    two = first == counts or parts[second] > _NAMED
    return sentence(first) + (f", with {parts[second]:.0%} of {sentence(second)}" if two else "")


def _unmeasured(d: Distribution, fit: MixtureFit) -> str:
    """Point at bits that never differ, where the mixture says that noise flips the others: they pass for bits without
    noise, and what is noise for the ideal."""
    ones = weight_of_ones(d.bits, d.weights)
    steady = (ones == 0) | (ones == d.shots)
    if steady.all() or not steady.any():
        return ""
    flips = (1 - fit.background) * float(fit.rates[~steady].mean()) + fit.background / 2
    if flips * d.shots < _MEASURED:
        return ""
    number = int(steady.sum())
    which = "1 bit never differs: leave it" if number == 1 else f"{number} bits never differ: leave them"
    return f"; {which} out (Distribution.marginal) if not measured"


def in_words(fit: MixtureFit) -> str:
    """Say what a mixture explains, and by which noise."""
    strings = strings_explain(max(1, round(float(perplexity(fit.weights)))))
    return (
        f"{strings} {1 - fit.background:.0%} of the shots, {fit.rates.mean():.1%} flips per bit, "
        f"{fit.background:.0%} uniform"
    )


def strings_explain(many: int, through: str = "") -> str:
    """Begin a sentence about strings, and say what they are seen through."""
    return f"{many} strings{through} explain" if many > 1 else f"{many} string{through} explains"


def _sentence(d: Distribution, found: Candidates, weights: Floats, place: int) -> str:
    fit = found.fit
    wide = found.counts is None
    if place == RAW or (wide and place in found.kept):
        return "the counts as they came"
    if wide and place == FIXED:
        return "the counts, with bits that hardly ever differ set to their usual value"
    if place == SMOOTH:
        return "the counts, their sampling noise smoothed"
    if place == MIXTURE:
        return in_words(fit)
    if place in (STRING, HEAVIEST):
        string = unpack(found.support.words[found.support.singles[[place - STRING]]], d.n_bits)[0]
        ones = weight_of_ones(d.bits, d.weights) / d.shots
        flips = np.where(string, 1 - ones, ones)
        return f"one string, its bits flipped in {flips.min():.1%} to {flips.max():.1%} of the shots"
    dense = weights[found.hypotheses.slots]
    dense = dense / dense.sum()
    undone = float(dense @ found.hypotheses.rates.mean(axis=(1, 2)))
    uniform = float(dense @ found.posterior.background)
    return f"deconvolution of {undone:.1%} flips per bit, {uniform:.0%} of the shots uniform"
