"""Candidate answers to counts, as unit vectors of square roots over one support.

The answer of the decision is ``p ~ (sum_i w_i sqrt(p_i))^2`` over the candidates i: of all distributions it has the
largest weighted mean of the overlaps with them, ``sum_y sqrt(p p_i)``, the roots of the Hellinger fidelities. Its
fidelity to an ideal q depends on the candidates only through their Gram matrix G and their overlaps g with sqrt(q):
``F = (w.g)^2 / (w' G w)``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words, most_frequent_row, pack, unique_words
from qcluster.core.counts.distribution import Distribution, histogram
from qcluster.core.dense.bitflips import Posterior, deconvolve_steps, smooth
from qcluster.core.dense.observed import deconvolve_observed
from qcluster.core.lockstep import Stepwise, run_one
from qcluster.core.sparse.fit import MixtureFit, MixtureSettings, fit_mixture_steps
from qcluster.core.sparse.product import fix_bits, single_string

GRID = ((0.03, 0.0), (0.08, 0.0), (0.16, 0.0), (0.28, 0.0), (0.03, 0.3), (0.16, 0.3), (0.28, 1.0))
"""Hypotheses of the deconvolutions: a flip rate for all bits, and the Dirichlet mass of each string. Mass 0 means a
total mass of 1 (few strings); 1 is Porter-Thomas. More pairs were tried, and were not needed."""
KNOWN = (0.0, 0.3)
"""Dirichlet masses used with known flip rates; the rates that the mixture learned are used with the first."""
OBSERVED, STRINGS = (0, 1, 2, 3), 5.0
"""Beyond `WIDEST` bits, where only observed strings are candidates: indices into `GRID`, and the Dirichlet mass of the
whole ideal, about the number of strings that matter. Ten times that mass hardly changes the answers."""
WIDEST = 12
"""Most bits for which the full vector is deconvolved."""
STEPS, STEPS_OBSERVED = 24, 16
"""Evaluations of the channel in a deconvolution; these few are enough to compare candidates. Redrawn counts need the
same number, or their answers would differ for that reason alone."""
_LARGEST = 0.6
"""Largest flip rate of a deconvolution; above 1/2, since a 1 may decay in more than half of the shots."""

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
"""Indices of the first candidates; from `DENSE` on all are deconvolutions."""
FIXED = SMOOTH
"""Beyond `WIDEST` bits this index holds the counts with fixed bits set (`fix_bits`) in place of the smoothed counts; a
separate gate weighs them."""


@dataclass(frozen=True, eq=False)
class Support:
    """Strings that may be part of an answer: all up to `WIDEST` bits, beyond it observed and candidates' strings."""

    words: Words
    """``(m, n_words)``, packed."""
    seen: Indices
    """``(n_outcomes,)`` rows of the observed strings in `words`."""
    centroids: Indices
    """``(k,)`` rows of the mixture's strings."""
    singles: Indices
    """``(2,)`` rows of `Candidates.string` and of the most frequent string."""
    fixed: Indices
    """``(n_outcomes,)`` rows of the observed strings with fixed bits set; empty up to `WIDEST` bits."""


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Hypotheses under which counts are deconvolved."""

    slots: Indices
    """``(n_hypotheses,)`` index of the candidate that each one yields."""
    rates: Floats
    """``(n_hypotheses, n, 2)`` flip rates."""
    concentration: Floats
    """``(n_hypotheses,)`` Dirichlet mass of every string."""
    rows: Indices | None
    """Rows of the counts that the ideal may consist of; None: all 2^n strings."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidate answers to a set of counts, and the fits behind them."""

    support: Support
    """Strings of the answers."""
    roots: Floats
    """``(c, m)`` unit vectors; zero for absent candidates."""
    present: NDArray[np.bool_]
    """``(c,)`` False for candidates that were not computed."""
    fit: MixtureFit
    """The sparse mixture."""
    string: NDArray[np.bool_]
    """``(n,)`` the string from which the bits' biases would come, if they came from one string with flips."""
    odds: float
    """Log odds that they do."""
    counts: Floats | None
    """``(2^n,)`` shots of every string up to `WIDEST` bits; None beyond."""
    hypotheses: Hypotheses
    """Hypotheses of the deconvolutions."""
    posterior: Posterior
    """Posterior under each hypothesis."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Candidates that are the counts up to sampling noise; `FIXED` only if setting fixed bits changes no string."""
        fixed, seen = self.support.fixed, self.support.seen
        return (RAW,) if len(fixed) and (fixed != seen).any() else (RAW, SMOOTH)

    @cached_property
    def gram(self) -> Floats:
        """``(c, c)`` overlaps of the candidates."""
        return np.asarray(self.roots @ self.roots.T)


def gather(d: Distribution, known: Floats | None = None) -> Candidates:
    """Compute every candidate answer to counts of at least one shot on at least one bit.

    `known` are ``(n, 2)`` flip rates known beforehand, if any. Cost: one mixture and one batch of deconvolutions.
    """
    return run_one(gather_steps(d, known, MixtureSettings()))


def gather_steps(d: Distribution, known: Floats | None, settings: MixtureSettings) -> Stepwise[Candidates]:
    """Run `gather` as a computation in steps, for `qcluster.core.lockstep`; `settings` are those of the mixture."""
    fit = yield from fit_mixture_steps(d.bits, d.weights, known, settings)
    string, odds = single_string(d.bits, d.weights)
    counts = histogram(d) if d.n_bits <= WIDEST else None
    posterior, hypotheses = _on_observed(d) if counts is None else (yield from _on_all(counts, fit, known))
    support = _support(d, fit, string)
    slots, rows = hypotheses.slots, hypotheses.rows
    roots, present = np.zeros((len(NAMES), len(support.words))), np.zeros(len(NAMES), dtype=bool)
    roots[RAW, support.seen] = np.sqrt(d.weights / d.shots)
    roots[MIXTURE, support.centroids] = np.sqrt(fit.weights)
    roots[[STRING, HEAVIEST], support.singles] = 1.0
    if counts is not None:
        roots[SMOOTH] = smooth(counts)
        roots[slots] = posterior.roots
    else:
        roots[FIXED] = np.sqrt(np.bincount(support.fixed, d.weights / d.shots, len(support.words)))
        roots[slots[:, None], support.seen[rows][None]] = posterior.roots
    present[[*range(DENSE), *slots.tolist()]] = True
    return Candidates(support, roots, present, fit, string, odds, counts, hypotheses, posterior)


def _support(d: Distribution, fit: MixtureFit, string: NDArray[np.bool_]) -> Support:
    """Number all strings that answers may contain."""
    sets = d.words, pack(fit.centroids), pack(string[None])
    if d.n_bits <= WIDEST:
        words = np.arange(1 << d.n_bits, dtype=np.uint64)[:, None]
        seen, centroids, single = (part[:, 0].astype(np.intp) for part in sets)
        fixed = seen[:0]
    else:
        words, rows = unique_words(np.vstack([*sets, pack(fix_bits(d.bits, d.weights))]))
        seen, centroids, single, fixed = np.split(rows, np.cumsum([len(part) for part in sets]))
    return Support(words, seen, centroids, np.append(single, seen[most_frequent_row(d.bits, d.weights)]), fixed)


def _on_all(counts: Floats, fit: MixtureFit, known: Floats | None) -> Stepwise[tuple[Posterior, Hypotheses]]:
    """Deconvolve the full vector under every pair of `GRID`, at the rates of the mixture, and at known rates."""
    n = len(fit.rates)
    pairs = [(np.full((n, 2), flips), density) for flips, density in GRID]
    pairs.append((np.clip(fit.rates, 0, _LARGEST), KNOWN[0]))
    if known is not None:
        pairs += [(np.clip(known, 0, _LARGEST), density) for density in KNOWN]
    rates = np.stack([flips for flips, _ in pairs])
    concentration = np.array([density or 0.5**n for _, density in pairs])
    posterior = yield from deconvolve_steps(counts, rates, concentration, STEPS)
    return posterior, Hypotheses(DENSE + np.arange(len(pairs)), rates, concentration, None)


def _on_observed(d: Distribution) -> tuple[Posterior, Hypotheses]:
    """Deconvolve over the most frequent strings, at each flip rate of `OBSERVED`."""
    rates = np.array([GRID[index][0] for index in OBSERVED])
    posterior, rows = deconvolve_observed(d.bits, d.weights, rates, STRINGS, steps=STEPS_OBSERVED)
    rates_of_bits = np.broadcast_to(rates[:, None, None], (len(rates), d.n_bits, 2))
    concentration = np.full(len(rates), STRINGS / len(rows))
    return posterior, Hypotheses(DENSE + np.array(OBSERVED), rates_of_bits, concentration, rows)
