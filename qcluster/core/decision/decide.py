"""The decision: blend candidates as the gate weighs them, or leave the counts as they came, and say why."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words, unpack, weight_of_ones
from qcluster.core.counts.distribution import Distribution, no_shots
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
    gather_steps,
)
from qcluster.core.decision.features import expectation, features
from qcluster.core.decision.gate import Gate, shipped
from qcluster.core.lockstep import Stepwise, run_one
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.sparse.fit import MixtureFit, MixtureSettings
from qcluster.core.stats.goodness import distance_from_uniform, sums_of_signs
from qcluster.core.words import plural

ONLY_SHOTS = "only counts of shots can be mitigated"
"""Why weights are left that cannot be shots."""
STRUCTURE = 4.0
"""Distance from uniform noise, in standard deviations, from which candidates are computed. Shot noise alone gets there
in about one set of counts in a thousand, or with one to five bits, where chi-square is far from normal, in a hundred;
the gate then judges the candidates."""
_FEWEST = 16.0
"""Shots below which errors cannot be told from the ideal."""
LEAST_SHARE = 0.1
"""Least share of the answer that must be mitigated; otherwise the counts are left as they came."""
LEAST_CONFIDENCE = 0.5
"""Probability of improvement below which the counts are left as they came."""
_MEASURED = 16.0
"""Expected flips of a bit from which no flip at all, four standard deviations (Poisson) too few, shows that the bit was
not measured."""
_NAMED = 0.25
"""Weight above which the reason names the second candidate as well."""
_FAINT = 1e-9
"""Probability below which a string is left out of the answer."""


@dataclass(frozen=True, eq=False)
class Decision:
    """The answer to a set of counts, and the fit behind it."""

    answer: Mitigation
    """The answer, or the counts as they came."""
    fit: MixtureFit | None
    """The sparse mixture; None if the counts were left before it was fitted."""
    blend: Blend | None
    """The response of `answer`: how it changes with the counts. None if the answer is the counts."""


def decide(d: Distribution) -> Decision:
    """Estimate the ideal distribution from the counts alone, or leave them as they are.

    Example:
        >>> decided = decide(Distribution.of({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450, "011": 20}))
        >>> decided.answer.applied, sorted(decided.answer.distribution.top(2))
        (True, ['000', '111'])
    """
    return run_one(decide_steps(d, None, None, None))


def decide_steps(
    d: Distribution,
    known: Floats | None,
    expect: str | None,
    settings: MixtureSettings | None,
    gate: Gate | None = None,
) -> Stepwise[Decision]:
    """Decide in steps, for `qcluster.core.lockstep`, with everything that may be known beside the counts.

    `known` are ``(n, 2)`` flip rates; `expect`, ``"sparse"``, ``"dense"`` or None, is what the user expects of the
    ideal; `settings` are those of the mixture; `gate` is by default the one that ships for this number of bits.
    """
    why, structure = screened(d)
    if why is not None:
        return Decision(left(d, "mixture", why, known), None, None)
    settings = settings or MixtureSettings()
    candidates = yield from gather_steps(d, known, settings)
    inputs = np.concatenate([expectation(expect), features(d, candidates, known, structure)])
    weigh = gate or shipped(wide=candidates.counts is None)
    weights, confidence = weigh(inputs, candidates.present, candidates.gram)
    if candidates.counts is None and _shows_no_string(d):
        weights[[RAW, STRING]] = weights[RAW] + weights[STRING], 0.0
    share = float(1 - weights[[*candidates.kept]].sum())
    fit = candidates.fit
    root = weights @ candidates.roots
    if share < LEAST_SHARE or confidence < LEAST_CONFIDENCE:
        why = "what looks like noise may just as well be the ideal output"
    elif unchanged(float(root @ candidates.roots[RAW]) / math.sqrt(root @ root), d.shots):
        why = "undoing what looks like noise changes nothing"
    remarks = _unmeasured(d, fit) + weighed_by(gate)
    if why is not None:
        as_read = left(d, "mixture", why + remarks, fit.rates, confidence)
        return Decision(replace(as_read, centroids=fit.centroids, weights=fit.weights), fit, None)
    blend = Blend(d, candidates.support, fit, candidates.hypotheses, weights, settings.prior_shots)
    answer = Mitigation(
        distribution=distributed(d, candidates.support.words, root * root),
        raw=d,
        method="mixture",
        applied=True,
        share=share,
        confidence=confidence,
        reason=name_heaviest(weights, DENSE, partial(_phrase, d, candidates, weights), candidates.kept) + remarks,
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=blend,
    )
    return Decision(answer, fit, blend)


def distributed(d: Distribution, words: Words, probabilities: Floats) -> Distribution:
    """Share the shots of counts among packed strings ``(m, n_words)`` by weights ``(m,)``; drop faint strings."""
    kept = np.flatnonzero(probabilities > _FAINT * probabilities.sum())
    shots = probabilities[kept] * (d.shots / probabilities[kept].sum())
    return Distribution.from_words(words[kept], shots, d.n_bits)


def unchanged(overlap: float, shots: float) -> bool:
    """Return whether an answer hardly differs from the counts, given their overlap, the root of their fidelity.

    The limit is the change that sampling alone makes to the probability of one string: for that, ``1 - overlap``, to
    leading order an eighth of the sum of ``(change of p)^2 / p``, is ``1 / (8 shots)`` on average.

    Example:
        >>> unchanged(0.9999, 1000), unchanged(0.9999, 100_000)
        (True, False)
    """
    return 1 - overlap < 1 / (8 * shots)


def screened(d: Distribution) -> tuple[str | None, float]:
    """Return why counts are left before any candidate is computed, or None if they are not; and how far they are from
    uniform noise (`distance_from_uniform`), 0 if that was not computed."""
    if not d.n_outcomes or not d.n_bits:
        return "there are no shots to mitigate", 0.0
    if wrong := no_shots(d):
        return f"{wrong}; {ONLY_SHOTS}", 0.0
    if d.shots < _FEWEST:
        return f"{plural(d.shots, 'shot')} {'is' if d.shots == 1 else 'are'} too few to tell errors from the ideal", 0.0
    structure = distance_from_uniform(d.bits, d.weights)
    return ("the counts cannot be told from uniform noise" if structure < STRUCTURE else None), structure


def _shows_no_string(d: Distribution) -> bool:
    """Return whether nothing in counts singles out a string: none is read more than twice, as also happens by chance
    to the strings of a broad output, no bit is 1 in more or fewer than half of the shots, up to shot noise, and no
    string and its complement explain most of the correlations of the bits.

    The gate cannot learn this: where hardly any string is read twice, the fidelity by which it is trained is near 0 for
    every answer.
    """
    if d.weights.max() > 2:
        return False
    excess = 2 * weight_of_ones(d.bits, d.weights) - d.shots
    if np.abs(excess).max() >= STRUCTURE * math.sqrt(d.shots):  # before the pairs, which take many times as long
        return False
    _, pairs = sums_of_signs(d.bits, d.weights)
    np.fill_diagonal(pairs, 0.0)
    noise = d.n_bits * (d.n_bits - 1) * d.shots  # of the sum of squares
    return bool(np.linalg.eigvalsh(pairs)[-1] ** 2 < ((pairs**2).sum() - noise) / 2)


def name_heaviest(weights: Floats, first_dense: int, phrase: Callable[[int], str], kept: tuple[int, ...]) -> str:
    """Name the heaviest candidate, and the second if it is heavy or the first is the counts.

    Deconvolutions, from `first_dense` on, count as one, under their first index; so do candidates that are the counts,
    `kept`, under the index of the heaviest.
    """
    parts = weights.copy()
    parts[first_dense], parts[first_dense + 1 :] = weights[first_dense:].sum(), 0.0
    counts = max(kept, key=lambda index: float(weights[index]))
    parts[[*kept]], parts[counts] = 0.0, weights[[*kept]].sum()
    first, second = np.argsort(-parts, kind="stable")[:2].tolist()
    two = first == counts or parts[second] > _NAMED
    return phrase(first) + (f", with {parts[second]:.0%} of another answer: {phrase(second)}" if two else "")


def weighed_by(gate: Gate | None) -> str:
    """Say, for the reason, which gate has weighed the candidates if it is one of the user."""
    return "" if gate is None else f"; weighed by gate {gate.digest}"


def _unmeasured(d: Distribution, fit: MixtureFit) -> str:
    """Warn of bits that never differ though the mixture finds that noise flips the others: if they were not measured,
    they look like bits without noise, and noise then looks like the ideal."""
    ones = weight_of_ones(d.bits, d.weights)
    constant = (ones == 0) | (ones == d.shots)
    if constant.all() or not constant.any():
        return ""
    flips = (1 - fit.background) * float(fit.rates[~constant].mean()) + fit.background / 2
    if flips * d.shots < _MEASURED:
        return ""
    number = int(constant.sum())
    advice = "1 bit never differs: leave it" if number == 1 else f"{number} bits never differ: leave them"
    return f"; {advice} out (Distribution.marginal) if not measured"


def in_words(fit: MixtureFit) -> str:
    """Describe a mixture: the share of the shots that strings explain, how many of them it takes, and the noise.

    That many of the heaviest strings explain the share as printed, in whole per cent; further ones do not change it.
    """
    explained = (1 - fit.background) * np.cumsum(fit.weights)
    percent = np.round(100 * explained)
    return (
        f"{strings_explain(1 + int(np.searchsorted(percent, percent[-1])))} {explained[-1]:.0%} of the shots, "
        f"with flips of {fit.rates.mean():.1%} per bit and uniform noise in {fit.background:.0%}"
    )


def strings_explain(n_strings: int, through: str = "") -> str:
    """Begin a sentence as "2 strings explain", with text such as " seen through the noise" after "strings"."""
    return f"{n_strings} strings{through} explain" if n_strings > 1 else f"{n_strings} string{through} explains"


def _phrase(d: Distribution, candidates: Candidates, weights: Floats, index: int) -> str:
    """Describe one candidate for the reason; deconvolutions, from `DENSE` on, are described together."""
    wide = candidates.counts is None
    if index == RAW or (wide and index in candidates.kept):
        return "the counts as they came"
    if wide and index == FIXED:
        return "the counts, with bits that hardly ever differ set to their usual value"
    if index == SMOOTH:
        return "the counts, their sampling noise smoothed"
    if index == MIXTURE:
        return in_words(candidates.fit)
    if index in (STRING, HEAVIEST):
        string = unpack(candidates.support.words[candidates.support.singles[[index - STRING]]], d.n_bits)[0]
        ones = weight_of_ones(d.bits, d.weights) / d.shots
        flips = np.where(string, 1 - ones, ones)
        return f"one string, each of its bits flipped in {flips.min():.1%} to {flips.max():.1%} of the shots"
    dense = weights[candidates.hypotheses.slots]
    dense = dense / dense.sum()
    undone = float(dense @ candidates.hypotheses.rates.mean(axis=(1, 2)))
    uniform = float(dense @ candidates.posterior.background)
    return f"deconvolution that assumes flips of {undone:.1%} per bit and uniform noise in {uniform:.0%} of the shots"
