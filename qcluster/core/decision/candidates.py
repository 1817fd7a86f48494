"""Candidate answers to counts, as unit vectors of square roots over one support.

The answer that the decision gives is ``p ~ (sum_i w_i sqrt(p_i))^2`` over the candidates i: under Hellinger fidelity
the best compromise between distributions is taken between their square roots. Its fidelity to an ideal q depends on
the candidates only through their Gram matrix G and their overlaps g with sqrt(q): ``F = (w.g)^2 / (w' G w)``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words, heaviest, numbered, pack
from qcluster.core.counts.distribution import Distribution, histogram
from qcluster.core.dense.bitflips import Posterior, deconvolving, smooth
from qcluster.core.dense.observed import deconvolve_observed
from qcluster.core.lockstep import Stepwise, alone
from qcluster.core.sparse.fit import MixtureFit, MixtureSettings, fitting
from qcluster.core.sparse.product import fix_bits, single_string

GRID = ((0.03, 0.0), (0.08, 0.0), (0.16, 0.0), (0.28, 0.0), (0.03, 0.3), (0.16, 0.3), (0.28, 1.0))
"""Flip rates of all bits at which counts are deconvolved, and Dirichlet masses of every string: 0 means one for all
strings together (few strings), 1 is Porter-Thomas. Others were tried, and the answers did without them."""
KNOWN = (0.0, 0.3)
"""Dirichlet masses for flip rates that are known; those that the mixture learned go with the first."""
OBSERVED, STRINGS = (0, 1, 2, 3), 5.0
"""Where only observed strings are candidates: places in `GRID`, and the Dirichlet mass of the whole ideal, about the
number of strings that matter. With ten times as many the answers are hardly others."""
WIDEST = 12
"""Most bits for which the full vector is deconvolved."""
STEPS, STEPS_OBSERVED = 24, 16
"""Evaluations of the channel in a deconvolution: the candidates are compared, none is the answer by itself. Counts that
are drawn again take as many, or their answers would be others."""
_LARGEST = 0.6
"""Largest flip rate of a deconvolution: a 1 may decay in more than half of the shots."""

NAMES = (
    "raw",
    "smooth",
    "mixture",
    "string",
    "heaviest",
    *(f"flips {flips:g}, density {density:g}" for flips, density in GRID),
    "learned rates",
    *(f"known rates, density {density:g}" for density in KNOWN),
)
"""The candidates, in the order of every array over them."""
RAW, SMOOTH, MIXTURE, STRING, HEAVIEST, DENSE = range(6)
"""Places of the first candidates; deconvolutions begin at the last."""
FIXED = SMOOTH
"""What stands at the place of the smoothed counts beyond `WIDEST` bits, where a gate of its own weighs: the counts with
fixed bits set (`fix_bits`)."""


@dataclass(frozen=True, eq=False)
class Support:
    """Strings that may be part of an answer: all up to `WIDEST` bits, else those observed and the candidates'."""

    words: Words
    """``(m, n_words)``, packed."""
    seen: Indices
    """``(n_outcomes,)`` places of the observed strings."""
    centroids: Indices
    """``(k,)`` places of the mixture's strings."""
    singles: Indices
    """``(2,)`` places of `string`, and of the most frequent string."""
    fixed: Indices
    """``(n_outcomes,)`` places of the observed strings with fixed bits set; empty up to `WIDEST` bits."""


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """What counts were deconvolved under."""

    slots: Indices
    """``(n_hypotheses,)`` the candidate that each makes."""
    rates: Floats
    """``(n_hypotheses, n, 2)`` flip rates."""
    concentration: Floats
    """``(n_hypotheses,)`` Dirichlet mass of every string."""
    places: Indices | None
    """Rows of the counts among which the ideal was sought; None: among all strings."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Everything that may be part of an answer, and what was found on the way."""

    support: Support
    """Strings of the answers."""
    roots: Floats
    """``(c, m)`` unit vectors; zero where a candidate is absent."""
    present: NDArray[np.bool_]
    """``(c,)`` False for a candidate that was not looked for."""
    fit: MixtureFit
    """The sparse mixture."""
    string: NDArray[np.bool_]
    """``(n,)`` what a product of biased bits would be, if it were one string with flips."""
    odds: float
    """Log odds that it is."""
    counts: Floats | None
    """``(2^n,)`` shots of every string, up to `WIDEST` bits; None of more."""
    hypotheses: Hypotheses
    """Of the deconvolutions."""
    posterior: Posterior
    """Under each of them."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Candidates that are the counts, but for their sampling noise: fixed bits may all be set as they were read."""
        fixed, seen = self.support.fixed, self.support.seen
        return (RAW,) if len(fixed) and (fixed != seen).any() else (RAW, SMOOTH)

    @cached_property
    def gram(self) -> Floats:
        """``(c, c)`` overlaps of the candidates."""
        return np.asarray(self.roots @ self.roots.T)


def gather(d: Distribution, known: Floats | None = None) -> Candidates:
    """Look for every candidate answer.

    Args:
        d: the counts, at least one shot on at least one bit.
        known: ``(n, 2)`` flip rates known beforehand.

    Returns:
        The candidates. Cost: one mixture and one batch of deconvolutions.
    """
    return alone(gathering(d, known))


def gathering(d: Distribution, known: Floats | None, settings: MixtureSettings | None = None) -> Stepwise[Candidates]:
    """Do so step by step, so that many sets of counts share the work; `settings` are of the mixture."""
    fit = yield from fitting(d.bits, d.weights, known, settings or MixtureSettings())
    string, odds = single_string(d.bits, d.weights)
    counts = histogram(d) if d.n_bits <= WIDEST else None
    posterior, hypotheses = _on_observed(d) if counts is None else (yield from _on_all(counts, fit, known))
    support = _support(d, fit, string)
    slots, places = hypotheses.slots, hypotheses.places
    roots, present = np.zeros((len(NAMES), len(support.words))), np.zeros(len(NAMES), dtype=bool)
    roots[RAW, support.seen] = np.sqrt(d.weights / d.shots)
    roots[MIXTURE, support.centroids] = np.sqrt(fit.weights)
    roots[[STRING, HEAVIEST], support.singles] = 1.0
    if counts is not None:
        roots[SMOOTH] = smooth(counts)
        roots[slots] = posterior.roots
    else:
        roots[FIXED] = np.sqrt(np.bincount(support.fixed, d.weights / d.shots, len(support.words)))
        roots[slots[:, None], support.seen[places][None]] = posterior.roots
    present[[*range(DENSE), *slots.tolist()]] = True
    return Candidates(support, roots, present, fit, string, odds, counts, hypotheses, posterior)


def _support(d: Distribution, fit: MixtureFit, string: NDArray[np.bool_]) -> Support:
    sets = d.words, pack(fit.centroids), pack(string[None])
    if d.n_bits <= WIDEST:
        words = np.arange(1 << d.n_bits, dtype=np.uint64)[:, None]
        seen, centroids, one = (part[:, 0].astype(np.intp) for part in sets)
        fixed = seen[:0]
    else:
        words, place = numbered(np.vstack([*sets, pack(fix_bits(d.bits, d.weights))]))
        seen, centroids, one, fixed = np.split(place, np.cumsum([len(part) for part in sets]))
    return Support(words, seen, centroids, np.append(one, seen[heaviest(d.bits, d.weights)]), fixed)


def _on_all(counts: Floats, fit: MixtureFit, known: Floats | None) -> Stepwise[tuple[Posterior, Hypotheses]]:
    """Deconvolve the full vector at every flip rate tried, at the mixture's rates, and at those known."""
    n = len(fit.rates)
    pairs = [(np.full((n, 2), flips), density) for flips, density in GRID]
    pairs.append((np.clip(fit.rates, 0, _LARGEST), KNOWN[0]))
    if known is not None:
        pairs += [(np.clip(known, 0, _LARGEST), density) for density in KNOWN]
    rates = np.stack([one for one, _ in pairs])
    concentration = np.array([density or 0.5**n for _, density in pairs])
    posterior = yield from deconvolving(counts, rates, concentration, STEPS)
    return posterior, Hypotheses(DENSE + np.arange(len(pairs)), rates, concentration, None)


def _on_observed(d: Distribution) -> tuple[Posterior, Hypotheses]:
    """Deconvolve on the most frequent strings, at each flip rate of `OBSERVED`."""
    rates = np.array([GRID[place][0] for place in OBSERVED])
    posterior, places = deconvolve_observed(d.bits, d.weights, rates, np.array([STRINGS]), steps=STEPS_OBSERVED)
    of_bits = np.broadcast_to(rates[:, None, None], (len(rates), d.n_bits, 2))
    concentration = np.full(len(rates), STRINGS / len(places))
    return posterior, Hypotheses(DENSE + np.array(OBSERVED), of_bits, concentration, places)
