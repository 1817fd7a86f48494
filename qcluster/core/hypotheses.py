"""Hypotheses about the full vector: how many flips and by whom, how many strings, and what they say together."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.blurred import blurred_roots, left_over
from qcluster.core.deconvolve import IndependentFlips, Posterior, deconvolve
from qcluster.core.distribution import Distribution
from qcluster.core.evidence import (
    Evidence,
    effective_strings,
    is_sparse,
    log_belief,
    log_exact,
    log_noise,
    log_smooth,
    ramp,
)
from qcluster.core.goodness import collisions
from qcluster.core.special import softmax
from qcluster.core.verdict import GuardSettings, Sparse

Floats = NDArray[np.float64]

_MANY_BITS, _GLANCE = 8, 16
"""From so many bits, hypotheses that are hopeless after so many steps are not followed further."""
_HOPELESS = 12.0
"""Log odds against a hypothesis from which its flips are not shared out between machine and ideal."""
_UNLIKE = 0.5
"""Spread of ln(rate) from bit to bit of one machine."""
_MANY_FLIPS = 0.115
"""Flips per bit that are rare on machines of today: above the upper quartile less the background."""


class Average(NamedTuple):
    """The hypotheses, each with a share of the flips that is the machine's, and what they say together."""

    belief: Floats
    """``(m,)``, sum 1."""
    roots: Floats
    """``(m, 2**n)``: mean square root of the ideal, unit length."""
    rates: Floats
    """``(m, n, 2)``: all flips that are seen."""
    concentration: Floats
    """``(m,)``."""
    blur: Floats
    """``(m,)``: flips that the ideal itself has in place of the machine."""
    dense: Floats
    """``(2**n,)``: mean square root of the ideal, unit length."""
    sharp: Floats
    """The same, if the machine made all flips."""
    undone: float
    """Flips per bit of the machine."""
    lost: float
    """Share of shots that tell nothing."""
    few: float
    """Probability that a few strings matter, and not more, were the machine's flips undone or all."""
    sparse: float
    """The same, and that the machine made all flips."""
    product: float
    """Log evidence of a product of biased bits, the best there is."""
    explained: float
    """Best log evidence of an ideal under equal flips."""


def average(
    vector: Floats, d: Distribution, fit: Sparse, seen: Evidence, known: float | None, settings: GuardSettings
) -> Average:
    """Deconvolve under every hypothesis, share out its flips between machine and ideal, and average by belief.

    Args:
        vector: ``(2**n,)``, the shots of `d`.
        d: the counts.
        fit: the mixture, whose rates are tried as well where it is credible.
        seen: what the counts say of structure.
        known: flips per bit known beforehand.
        settings: constants.

    Cost: that of `deconvolve`, and a tenth more.
    """
    rates, concentration = _hypotheses(fit, seen.credible > 0.5, settings)
    found = _posterior(vector * seen.tempering, rates, concentration, settings)
    equal = np.arange(len(rates)) < len(settings.flips) * (len(settings.strings) + len(settings.densities))
    log = log_belief(found, seen.doubt, settings) + _odds(found, ~equal, d, fit, seen)
    strings, few = np.where(equal, found.strings(), effective_strings(fit)), is_sparse(found)
    plain, smooth = log_smooth(strings, settings.mostly_blurred, settings)
    exactly = np.flatnonzero(equal & few)
    gap = _gap(vector, d.shots, found, rates, exactly)
    plain[exactly] += np.maximum(log_exact(gap, strings[exactly], d, fit), 0)  # real flips are not quite equal
    of, made = _shared_out(found.flips, equal & (log > log.max() - _HOPELESS), settings)
    own, lost = np.arange(len(of)) < len(rates), found.background[of]
    weight = log[of] + np.where(own, plain[of], smooth[of]) + log_noise(made, lost, known, d.n_bits, settings)
    blur = np.where(own, 0.0, left_over(found.flips[of], made))
    belief = softmax(weight)
    roots = np.vstack([found.roots, blurred_roots(found.shapes[of[~own]], blur[~own])])
    dense, sharp = belief @ roots, belief[own] @ found.roots
    hopeless = found.background > 0.9
    return Average(
        belief,
        roots,
        rates[of],
        concentration[of],
        blur,
        dense / np.sqrt(dense @ dense),
        sharp / np.sqrt(sharp @ sharp),
        undone=float(belief @ made),
        lost=float(belief @ lost),
        few=float(belief @ few[of]),
        sparse=float(belief[own] @ few),
        product=max(seen.product, float(found.evidence[equal & hopeless].max(initial=-np.inf))),
        explained=float(found.evidence[equal & ~hopeless].max(initial=-np.inf)),
    )


def _shared_out(whole: Floats, which: NDArray[np.bool_], settings: GuardSettings) -> tuple[NDArray[np.intp], Floats]:
    """Pair hypotheses with flips that the machine makes: all that are seen, then for those of `which` every fewer."""
    of, made = [np.arange(len(whole))], [whole]
    for rate in settings.flips:
        more = np.flatnonzero(which & (whole > rate))
        of.append(more)
        made.append(np.full(len(more), rate))
    return np.concatenate(of), np.concatenate(made)


def _gap(vector: Floats, shots: float, found: Posterior, rates: Floats, which: NDArray[np.intp]) -> Floats:
    """Give how much the cosine between counts and their explanation lacks of 1, the uniform part taken from both."""
    uniform = 1 / len(vector)
    sent = found.shapes[which] / found.shapes[which].sum(axis=1, keepdims=True)
    lost = found.background[which, None]
    read = (1 - lost) * (IndependentFlips(rates[which], sent.dtype)(sent) - uniform)
    beyond = collisions(vector) - uniform
    cosine = read @ (vector / shots - uniform) / np.sqrt(np.maximum(beyond * (read * read).sum(axis=1), 1e-300))
    return np.asarray(1 - cosine if beyond > 0 else np.ones(len(which)))


def _odds(posterior: Posterior, learned: NDArray[np.bool_], d: Distribution, fit: Sparse, seen: Evidence) -> Floats:
    """Give the log prior odds of hypotheses, from what the mixture found.

    Learned rates cost their number (in evidence, doubt counted in), and rates of one machine resemble each other. Few
    strings are believed as far as the mixture explains the counts; many flips, where shots hardly outnumber the
    strings, only if it explains them wholly.
    """
    rates = np.log(np.clip(fit.rates.mean(axis=1), 0.003, 1.0))
    cost = 0.5 * d.n_bits * np.log(max(d.shots * seen.tempering, 1.0)) / seen.doubt
    cost += 0.5 * float(((rates - rates.mean()) ** 2).sum()) / _UNLIKE**2
    if effective_strings(fit) == 1:
        cost -= np.log(max(seen.single, 1e-3))
    explained, wholly = max(ramp(fit.agreement, 0.8, 0.95), 0.2), max(ramp(fit.agreement, 0.98, 1.0), 0.2)
    crowded = 1 - ramp(d.shots / posterior.roots.shape[1], 2, 8)
    few = np.log(explained) + np.where(posterior.flips > _MANY_FLIPS, crowded * np.log(wholly), 0.0)
    odds: Floats = np.where(is_sparse(posterior), few, 0.0) - np.where(learned, cost, 0.0)
    return odds


def _hypotheses(fit: Sparse, trusted: bool, settings: GuardSettings) -> tuple[Floats, Floats]:
    """Pair equal flips, and the uneven ones of a mixture that can be trusted, with every concentration."""
    n_bits = len(fit.rates)
    channels = np.broadcast_to(np.array(settings.flips)[:, None, None], (len(settings.flips), n_bits, 2))
    if trusted:
        channels = np.concatenate([channels, np.clip(fit.rates, 0, 0.6)[None]])
    concentration = np.r_[np.array(settings.strings) / (1 << n_bits), settings.densities]
    return np.repeat(channels, len(concentration), axis=0), np.tile(concentration, len(channels))


def _posterior(vector: Floats, rates: Floats, concentration: Floats, settings: GuardSettings) -> Posterior:
    """Deconvolve under all hypotheses."""
    if rates.shape[1] < _MANY_BITS:
        return deconvolve(vector, rates, concentration)
    glance = deconvolve(vector, rates, concentration, steps=_GLANCE)
    alive = np.flatnonzero(glance.evidence > glance.evidence.max() - 20 * settings.doubt)
    closely = deconvolve(vector, rates[alive], concentration[alive])
    for part in ("roots", "evidence", "background", "shapes"):
        getattr(glance, part)[alive] = getattr(closely, part)
    return glance
