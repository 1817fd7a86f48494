"""The decision: the answer that the gate makes of the candidates, or the counts as they came, and why."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.counts.bits import weight_of_ones
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.blend import Blend
from qcluster.core.decision.candidates import (
    DENSE,
    HEAVIEST,
    MIXTURE,
    NAMES,
    RAW,
    SMOOTH,
    STRING,
    Candidates,
    gather,
)
from qcluster.core.decision.features import features, told
from qcluster.core.decision.gate import Gate, shipped
from qcluster.core.sparse.fit import MixtureFit, MixtureSettings
from qcluster.core.stats.goodness import beyond_uniform
from qcluster.core.stats.special import perplexity
from qcluster.core.uncertainty.response import Strings

Floats = NDArray[np.float64]

_STRUCTURE = 4.0
"""Standard deviations beyond uniform noise from which counts have a structure that can be looked for: shot noise alone
goes there once in some ten thousand counts."""
_FEWEST = 16.0
"""Shots below which no error can be told from the ideal."""
_PROBABILITIES = 1.0 + 1e-6
"""Sum of the weights up to which they are probabilities."""
LEAST_SHARE = 0.1
"""Part of the answer that must be mitigated; with less, the counts are left as they came."""
LEAST_CONFIDENCE = 0.5
"""Probability of improvement below which the counts are left as they came."""
_FAINT = 1e-9
"""Probability of a string below which it is left out of the answer."""


@dataclass(frozen=True, eq=False)
class Decided:
    """The answer to counts."""

    distribution: Distribution
    """With as many shots as the counts; the counts themselves where nothing was applied."""
    applied: bool
    """False: the counts as they came."""
    share: float
    """How much of the answer is mitigated, 0 to 1."""
    confidence: float | None
    """Probability that the answer is nearer to the ideal than the counts are; None where nothing was weighed."""
    reason: str
    """One sentence."""
    fit: MixtureFit | None
    """The sparse mixture; None where none was looked for."""
    response: Blend | None
    """How the answer moves with the counts; None where it is the counts."""


def decide(
    d: Distribution,
    known: Floats | None = None,
    expect: str | None = None,
    settings: MixtureSettings | None = None,
    gate: Gate | None = None,
) -> Decided:
    """Answer counts, or leave them as they are.

    Args:
        d: the counts.
        known: ``(n, 2)`` flip rates known beforehand.
        expect: ``"sparse"``, ``"dense"``, or None: what the user expects of the ideal.
        settings: of the mixture.
        gate: that weighs the candidates; the one that ships by default.

    Example:
        >>> found = decide(Distribution.of({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450, "011": 20}))
        >>> found.applied, sorted(found.distribution.top(2))
        (True, ['000', '111'])
    """
    if (why := hopeless(d)) is not None:
        return Decided(d, False, 0.0, None, f"{why}: left as is", None, None)
    found = gather(d, known, settings)
    said = np.concatenate([told(expect), features(d, found, known)])
    weights, confidence = (gate or shipped())(said, found.present, found.gram)
    share = float(1 - weights[RAW] - weights[SMOOTH])
    if share < LEAST_SHARE or confidence < LEAST_CONFIDENCE:
        reason = "left as is: what looks like noise is as likely the ideal"
        return Decided(d, False, 0.0, confidence, reason, found.fit, None)
    root = weights @ found.roots
    probabilities = root * root
    held = np.flatnonzero(probabilities > _FAINT * probabilities.sum())
    answer = Distribution.from_words(
        found.words[held], probabilities[held] * (d.shots / probabilities[held].sum()), d.n_bits
    )
    return Decided(answer, True, share, confidence, _reason(d, found, weights), found.fit, _blend(d, found, weights))


def hopeless(d: Distribution) -> str | None:
    """Tell why nothing is worth looking for, if so."""
    if not d.n_outcomes or not d.n_bits:
        return "there are no shots to mitigate"
    if d.shots <= _PROBABILITIES and d.n_outcomes > 1:
        return "weights that sum to 1 are probabilities; what can be mitigated are counts of shots"
    if d.shots < _FEWEST:
        return f"{d.shots:g} shots are too few to tell errors from the ideal"
    if beyond_uniform(d.bits, d.weights) < _STRUCTURE:
        return "the counts cannot be told from uniform noise"
    return None


def _blend(d: Distribution, found: Candidates, weights: Floats) -> Blend:
    fit, deep = found.fit, weights[found.slots]
    lone = np.stack([found.string, d.bits[int(np.argmax(d.weights))]])
    return Blend(
        mixture=Strings(d, fit.centroids, fit.weights, fit.background, fit.rates),
        parts=(float(weights[MIXTURE]), float(deep.sum()), float(weights[RAW] + weights[SMOOTH])),
        lone=lone,
        lone_parts=weights[[STRING, HEAVIEST]],
        shares=deep / deep.sum() if deep.sum() > 0 else deep,
        rates=found.rates,
        concentration=found.posterior.concentration,
        places=found.places,
    )


def _reason(d: Distribution, found: Candidates, weights: Floats) -> str:
    """Name the one or two candidates of most weight, with their numbers."""
    dense = np.zeros(len(NAMES))
    dense[DENSE] = float(weights[DENSE:].sum())  # deconvolutions speak with one voice, that of the heaviest
    voices = np.where(np.arange(len(NAMES)) < DENSE, weights, dense)
    first, second = np.argsort(-voices, kind="stable")[:2].tolist()
    said = _sentence(d, found, weights, first)
    if voices[second] > 0.25:
        said += f", with {voices[second]:.0%} of {_sentence(d, found, weights, second)}"
    return said


def in_words(fit: MixtureFit) -> str:
    """Say what a mixture explains, and by which noise."""
    many = max(1, round(float(perplexity(fit.weights))))
    strings = f"{many} string{'s explain' if many > 1 else ' explains'}"
    return (
        f"{strings} {1 - fit.background:.0%} of the shots, {fit.rates.mean():.1%} flips per bit, "
        f"{fit.background:.0%} uniform"
    )


def _sentence(d: Distribution, found: Candidates, weights: Floats, voice: int) -> str:
    fit = found.fit
    if voice == RAW:
        return "the counts as they came"
    if voice == SMOOTH:
        return "the counts, their sampling noise smoothed"
    if voice == MIXTURE:
        return in_words(fit)
    if voice in (STRING, HEAVIEST):
        string = found.string if voice == STRING else d.bits[int(np.argmax(d.weights))]
        ones = weight_of_ones(d.bits, d.weights) / d.shots
        flips = np.where(string, 1 - ones, ones)
        return f"one string, its bits flipped in {flips.min():.1%} to {flips.max():.1%} of the shots"
    deep = weights[found.slots]
    undone = float(deep @ found.posterior.flips / deep.sum())
    lost = float(deep @ found.posterior.background / deep.sum())
    return f"deconvolution of {undone:.1%} flips per bit, {lost:.0%} of the shots uniform"
