"""Candidate answers to counts of a known circuit, as unit vectors of square roots; see `candidates`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words, unique_words
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.decide import Decision, decide
from qcluster.core.dense.log_linear import LogLinear, log_linear
from qcluster.core.dense.richardson_lucy import Deconvolved, allowed, deconvolve
from qcluster.core.dense.unknown_scale import UnknownScale, unknown_scale
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.read_off import few_strings
from qcluster.core.sparse.under_kernel import MOST_NOISE, FewStrings, noise_ratio
from qcluster.core.stats.walsh import most_frequent

SCALES = (3.0, 2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
"""Multiples of the calibrated noise that are undone."""
COARSE = (1, 3, 5, 7)
"""Indices into `SCALES` of the multiples that are undone if vectors are long."""
WIDEST = 16
"""Most bits for which every string has its own index; wider strings are hashed (see `qcluster.core.stats.walsh`)."""
_LONG = 1 << 14
"""Length of vectors from which only the `COARSE` scales are used."""
_ROOM, _LEAST, _MOST = 16.0, 12, 18
"""Least ratio of indices to observed strings of a wide register, and fewest and most bits of an index. One string in
17 to 33 then shares its index with another, and gets part of the probability of that index; more do if the most bits
give a smaller ratio."""

NAMES = (
    *("raw", "counts alone", "strings", "readout"),
    *("log-linear", "log-linear, scaled", "Bayesian", "Bayesian, wary"),
    *(f"{scale:g} x calibrated" for scale in SCALES),
)
"""The candidates, in the order of every array over them."""
RAW, ALONE, STRINGS, READOUT, LOG_LINEAR, LOG_LINEAR_SCALED, BAYESIAN, WARY, SCALED = range(9)
"""Indices of the first candidates; from `SCALED` on all are deconvolutions at multiples of the calibrated noise."""
BROAD = 12
"""Most bits for which log-linear models and Bayesian deconvolutions are computed."""
_WARINESS = 20.0
"""Temperature of the wary Bayesian deconvolution, which divides its log evidence: kernels are right to first order
only, and thousands of shots reveal the rest."""


@dataclass(frozen=True, eq=False)
class Support:
    """Strings that may be part of an answer: all up to `WIDEST` bits, beyond it observed and candidates' strings."""

    words: Words
    """``(m, n_words)``, sorted by value."""
    indices: Indices
    """``(m,)`` index of each string in the vectors of the kernel, see `LinearIndex`."""
    shares: Floats
    """``(m,)`` share that each string gets of the probability of its index; 1 if no other string has it."""
    exact: bool
    """True if every string has its own index, which is then its row here."""

    def spread(self, vectors: Floats) -> Floats:
        """Turn ``(..., 2^k)`` probabilities of indices into ``(..., m)`` unit vectors of roots over the strings."""
        roots = np.sqrt(vectors[..., self.indices] * self.shares)
        return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=-1, keepdims=True), 1e-150))

    def places(self, words: Words) -> Indices:
        """Return the rows of packed strings, ``(k,)``; all of them must be in the support."""
        if self.exact:
            return words[:, 0].astype(np.intp)
        _, rows = unique_words(np.vstack([self.words, words]))
        return np.asarray(rows[len(self.words) :])


@dataclass(frozen=True, eq=False)
class Models:
    """Models of the whole output, up to `BROAD` bits."""

    bayesian: UnknownScale
    """Bayesian deconvolution at each of `SCALES`."""
    calibrated: LogLinear
    """Log-linear model at the calibrated noise."""
    scale: float
    """Multiple of the calibrated noise that the wary Bayesian deconvolution estimates."""
    scaled: LogLinear
    """Log-linear model at that multiple."""

    def probability(self, candidate: int) -> Floats:
        """Return the probability of each hypothesis, for the candidate `BAYESIAN` or `WARY`."""
        return self.bayesian.probability(1.0 if candidate == BAYESIAN else _WARINESS)


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidate answers under a circuit's noise, and the fits behind them."""

    kernel: Kernel
    """Noise kernel of the calibration."""
    support: Support
    """Strings of the answers."""
    roots: Floats
    """``(c, m)`` unit vectors; zero for candidates that were not computed."""
    present: NDArray[np.bool_]
    """``(c,)`` False for candidates that were not computed, and for few strings that need too much noise."""
    counts: Floats
    """``(2^k,)`` shots of each index."""
    deconvolved: Deconvolved
    """Richardson-Lucy at the scales used, and last of the readout errors alone."""
    scales: tuple[int, ...]
    """Indices into `SCALES` of the scales used."""
    alone: Decision
    """The decision from counts alone, without the circuit."""
    models: Models | None
    """Models of the whole output; None beyond `BROAD` bits."""
    few: FewStrings
    """A few strings under the allowed noise that is nearest to the calibrated. (Under the largest allowed noise a
    product state would look like one string.)"""
    fits: int
    """Index into `SCALES` of that noise; see `allowed`."""

    @cached_property
    def gram(self) -> Floats:
        """``(c, c)`` overlaps of the candidates."""
        return np.asarray(self.roots @ self.roots.T)

    @property
    def slots(self) -> list[int]:
        """Indices of the candidates that the deconvolutions yield, in their order."""
        return [*(SCALED + index for index in self.scales), READOUT]

    @property
    def kept(self) -> tuple[int, ...]:
        """Candidates that equal the counts: `RAW`, and the answer from counts alone if that left them as they came."""
        return (RAW,) if self.alone.answer.applied else (RAW, ALONE)

    @property
    def strings(self) -> Indices:
        """``(k,)`` rows of `few` in the support; a shared index counts as its most frequent string."""
        rows = most_frequent(self.support.indices, self.support.shares)
        return np.asarray(rows[np.searchsorted(self.support.indices[rows], self.few.strings)])


def gather(d: Distribution, faults: FaultMasks, alone: Decision | None = None) -> Candidates:
    """Compute every candidate answer to counts of at least one shot on at least one bit.

    `alone` is the decision from counts alone if it is there already; see `decide`. Cost: that decision if it is not,
    and some 4,000 Walsh transforms up to 12 bits, 500 to 900 beyond.
    """
    kernel = kernel_of(d, faults)
    counts = kernel.index.vector(d.words, d.weights)
    scales = tuple(range(len(SCALES))) if kernel.size < _LONG else COARSE
    observed = None if kernel.index.exact else counts > 0
    kernels = ScaledKernels.of(kernel, [SCALES[index] for index in scales], readout=True)
    deconvolved = deconvolve(kernels, counts, observed)
    fits = allowed(deconvolved.take(slice(0, len(scales))), d.shots)
    few = few_strings(kernel.scaled(SCALES[scales[fits]]), deconvolved.ideals[fits], counts, words_of(d, kernel))
    alone = decide(d) if alone is None else alone
    support = _support(d, kernel, alone)
    models = _models(kernel, kernels, counts) if d.n_bits <= BROAD else None
    roots, present = np.zeros((len(NAMES), len(support.words))), np.zeros(len(NAMES), dtype=bool)
    if models is not None:
        roots[LOG_LINEAR], roots[LOG_LINEAR_SCALED] = np.sqrt([models.calibrated.ideal, models.scaled.ideal])
        for candidate in (BAYESIAN, WARY):
            roots[candidate] = models.bayesian.mean(models.probability(candidate))
        present[[LOG_LINEAR, LOG_LINEAR_SCALED, BAYESIAN, WARY]] = True
    roots[RAW, support.places(d.words)] = np.sqrt(d.weights / d.shots)
    roots[ALONE, support.places(alone.answer.distribution.words)] = np.sqrt(alone.answer.distribution.probabilities)
    result = Candidates(kernel, support, roots, present, counts, deconvolved, scales, alone, models, few, scales[fits])
    roots[STRINGS, result.strings] = np.sqrt(few.weights)
    roots[result.slots] = support.spread(deconvolved.ideals)
    present[[RAW, ALONE, *result.slots]] = True
    present[STRINGS] = not (faults.measured and _too_noisy(result))
    return result


def _too_noisy(candidates: Candidates) -> bool:
    """Return whether the few strings need more than `MOST_NOISE` times the noise of the faults."""
    few = candidates.few
    predicted = few.fidelity(candidates.kernel.forward(few.noiseless))
    return noise_ratio(few.fidelity(candidates.counts), predicted) > MOST_NOISE


def _models(kernel: Kernel, kernels: ScaledKernels, counts: Floats) -> Models:
    """Fit the models of the whole output; the last of the kernels, readout errors alone, is not used."""
    bayesian = unknown_scale(kernels.take(slice(0, len(SCALES))), counts)
    scale = float(np.exp(bayesian.log_scale(bayesian.probability(_WARINESS))))
    calibrated, scaled = log_linear(kernel, (1.0, scale), counts)
    return Models(bayesian, calibrated, scale, scaled)


def kernel_of(d: Distribution, faults: FaultMasks) -> Kernel:
    """Return the kernel of a circuit; beyond `WIDEST` bits strings are hashed, to as many indices as counts need."""
    if d.n_bits <= WIDEST:
        return Kernel.of(faults)
    width = int(np.clip(np.ceil(np.log2(_ROOM * d.n_outcomes)), _LEAST, _MOST))
    return Kernel.of(faults, width)


def words_of(d: Distribution, kernel: Kernel) -> Words | None:
    """Return the most frequent string of each index, ``(2^k, n_words)``; None if every index is its string."""
    if kernel.index.exact:
        return None
    words, indices = np.zeros((kernel.size, d.words.shape[1]), dtype=np.uint64), kernel.index.of(d.words)
    rows = most_frequent(indices, d.weights)
    words[indices[rows]] = d.words[rows]
    return words


def _support(d: Distribution, kernel: Kernel, alone: Decision) -> Support:
    """List the strings that answers may contain, and share each index among its strings by their counts."""
    if kernel.index.exact:
        indices = np.arange(kernel.size)
        return Support(indices.astype(np.uint64)[:, None], indices, np.ones(kernel.size), True)
    more = [] if alone.blend is None else [alone.blend.support.words]
    words, rows = unique_words(np.vstack([d.words, *more]))
    shots = np.zeros(len(words))
    shots[rows[: d.n_outcomes]] = d.weights
    indices = kernel.index.of(words)
    total = np.bincount(indices, shots, kernel.size)[indices]
    return Support(words, indices, np.divide(shots, total, out=np.ones(len(words)), where=total > 0), False)
