"""Candidate answers to counts whose circuit is known, as unit vectors of square roots; see `candidates`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words, numbered
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.decide import Decided, decide
from qcluster.core.dense.log_linear import LogLinear, log_linear
from qcluster.core.dense.richardson_lucy import Deconvolved, allowed, deconvolve
from qcluster.core.dense.unknown_scale import UnknownScale, unknown_scale
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.sparse.read_off import read_off
from qcluster.core.sparse.under_kernel import Few
from qcluster.core.stats.walsh import most_frequent

SCALES = (3.0, 2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
"""Multiples of the calibrated noise that are undone."""
COARSE = (1, 3, 5, 7)
"""Places of those that are undone where vectors are long."""
ROUNDS = 20
"""Of Richardson-Lucy, accelerated."""
MISFIT = 0.01
"""Deviance per shot that the kernel of a circuit leaves by itself, beyond shot noise."""
WIDEST = 16
"""Most bits for which every string has a number of its own; wider ones are hashed (see `qcluster.core.stats.walsh`)."""
_LONG = 1 << 14
"""Length of vectors beyond which `COARSE` scales do."""
_ROOM, _LEAST, _MOST = 16.0, 12, 18
"""Numbers that there are, or more, for each observed string of a wide register, and fewest and most bits of a number:
one string in 17 to 33 shares its number with another one, and takes part of what this number gets."""

NAMES = (
    *("raw", "counts alone", "strings", "readout"),
    *("log-linear", "log-linear, scaled", "Bayesian", "Bayesian, wary"),
    *(f"{scale:g} x calibrated" for scale in SCALES),
)
"""The candidates, in the order of every array over them."""
RAW, ALONE, STRINGS, READOUT, LOG_LINEAR, LOG_LINEAR_SCALED, BAYESIAN, WARY, SCALED = range(9)
"""Places of the first candidates; multiples of the calibrated noise begin at the last."""
BROAD = 12
"""Most bits for which log-linear models and Bayesian deconvolutions are looked for."""
_WARINESS = 20.0
"""By which the evidence of a wary one is divided: kernels are right to first order, and thousands of shots see more."""


@dataclass(frozen=True, eq=False)
class Support:
    """Strings that may be part of an answer: all up to `WIDEST` bits, else those observed and those found."""

    words: Words
    """``(m, n_words)``, sorted by value."""
    numbers: Indices
    """``(m,)`` of the strings, see `LinearIndex`."""
    shares: Floats
    """``(m,)`` of what a number gets, 1 where no other string has it."""
    exact: bool
    """True where every string has a number of its own, which is its place here."""

    def spread(self, vectors: Floats) -> Floats:
        """Bring ``(..., 2^k)`` probabilities of numbers to ``(..., m)`` unit vectors of roots over the strings."""
        roots = np.sqrt(vectors[..., self.numbers] * self.shares)
        return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=-1, keepdims=True), 1e-150))

    def places(self, words: Words) -> Indices:
        """Find packed strings, all of which must be there, ``(k,)``."""
        if self.exact:
            return words[:, 0].astype(np.intp)
        _, place = numbered(np.vstack([self.words, words]))
        return np.asarray(place[len(self.words) :])


@dataclass(frozen=True, eq=False)
class Models:
    """Models of the whole output, up to `BROAD` bits."""

    bayesian: UnknownScale
    """At every one of `SCALES`."""
    calibrated: LogLinear
    """At the calibrated noise."""
    scale: float
    """What the wary Bayesian deconvolution takes the noise for, in multiples of it."""
    scaled: LogLinear
    """At that noise."""

    def probability(self, place: int) -> Floats:
        """Give the probability of each hypothesis of one of the two Bayesian deconvolutions."""
        return self.bayesian.probability(1.0 if place == BAYESIAN else _WARINESS)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Everything that may be part of an answer under a circuit's noise, and what was found on the way."""

    kernel: Kernel
    """Of the calibration."""
    support: Support
    """Strings of the answers."""
    roots: Floats
    """``(c, m)`` unit vectors; zero where a candidate is absent."""
    present: NDArray[np.bool_]
    """``(c,)`` False for a candidate that was not looked for."""
    counts: Floats
    """``(2^k,)`` shots of each number."""
    deconvolved: Deconvolved
    """At the scales that were looked at, and last the readout errors alone."""
    scales: tuple[int, ...]
    """Places in `SCALES` of those looked at."""
    alone: Decided
    """What is answered without knowing the circuit."""
    models: Models | None
    """Of the whole output, where the register is not too wide."""
    few: Few
    """Strings under the noise nearest to the calibrated that the counts allow. Under the largest that they allow, a
    product state passes for one string."""
    fits: int
    """Place in `SCALES` of the noise nearest to the calibrated under which counts are no surprise; see `allowed`."""

    @cached_property
    def gram(self) -> Floats:
        """``(c, c)`` overlaps of the candidates."""
        return np.asarray(self.roots @ self.roots.T)

    @property
    def slots(self) -> list[int]:
        """Candidates that the deconvolutions make, in their order."""
        return [*(SCALED + place for place in self.scales), READOUT]

    @property
    def kept(self) -> tuple[int, ...]:
        """Candidates that keep the counts as they came; what counts alone leave as it is, is the counts."""
        return (RAW,) if self.alone.answer.applied else (RAW, ALONE)

    @property
    def strings(self) -> Indices:
        """``(k,)`` places of `few` in the support: of one number the most frequent string is meant."""
        rows = most_frequent(self.support.numbers, self.support.shares)
        return np.asarray(rows[np.searchsorted(self.support.numbers[rows], self.few.strings)])


def gather(d: Distribution, faults: FaultMasks, alone: Decided | None = None) -> Candidates:
    """Look for every candidate answer.

    Args:
        d: the counts, at least one shot on at least one bit.
        faults: of the circuit.
        alone: what is answered without knowing it, where that is known; see `decide`.

    Returns:
        The candidates. Cost: as much again as the decision without a circuit, and up to 12 bits some 3,000 Walsh
        transforms, 200 beyond.
    """
    kernel = kernel_of(d, faults)
    counts = kernel.index.vector(d.words, d.weights)
    scales = tuple(range(len(SCALES))) if kernel.size < _LONG else COARSE
    observed = None if kernel.index.exact else counts > 0
    kernels = ScaledKernels.of(kernel, [SCALES[place] for place in scales], readout=True)
    deconvolved = deconvolve(kernels, counts, ROUNDS, observed)
    fits = allowed(deconvolved.take(slice(0, len(scales))), d.shots, MISFIT)
    few = read_off(kernel, deconvolved.ideals[fits], SCALES[scales[fits]], counts, words_of(d, kernel))
    alone = decide(d) if alone is None else alone
    support = _support(d, kernel, alone)
    models = _models(kernel, kernels, counts) if d.n_bits <= BROAD else None
    roots, present = np.zeros((len(NAMES), len(support.words))), np.zeros(len(NAMES), dtype=bool)
    if models is not None:
        roots[LOG_LINEAR], roots[LOG_LINEAR_SCALED] = np.sqrt([models.calibrated.ideal, models.scaled.ideal])
        for place in (BAYESIAN, WARY):
            roots[place] = models.bayesian.mean(models.probability(place))
        present[[LOG_LINEAR, LOG_LINEAR_SCALED, BAYESIAN, WARY]] = True
    roots[RAW, support.places(d.words)] = np.sqrt(d.weights / d.shots)
    roots[ALONE, support.places(alone.answer.distribution.words)] = np.sqrt(alone.answer.distribution.probabilities)
    made = Candidates(kernel, support, roots, present, counts, deconvolved, scales, alone, models, few, scales[fits])
    roots[STRINGS, made.strings] = np.sqrt(few.weights)
    roots[made.slots] = support.spread(deconvolved.ideals)
    present[[RAW, ALONE, STRINGS, *made.slots]] = True
    return made


def _models(kernel: Kernel, kernels: ScaledKernels, counts: Floats) -> Models:
    """Look for the models of the whole output; of the kernels, the last is of readout errors alone."""
    bayesian = unknown_scale(kernels.take(slice(0, len(SCALES))), counts)
    scale = float(np.exp(bayesian.log_scale(bayesian.probability(_WARINESS))))
    return Models(bayesian, log_linear(kernel, counts), scale, log_linear(kernel.scaled(scale), counts))


def kernel_of(d: Distribution, faults: FaultMasks) -> Kernel:
    """Give the kernel of a circuit; strings beyond `WIDEST` bits are hashed, as many numbers as the counts need."""
    if d.n_bits <= WIDEST:
        return Kernel.of(faults)
    width = int(np.clip(np.ceil(np.log2(_ROOM * d.n_outcomes)), _LEAST, _MOST))
    return Kernel.of(faults, width)


def words_of(d: Distribution, kernel: Kernel) -> Words | None:
    """Give the most frequent string of each number, ``(2^k, n_words)``; None where a number is its string."""
    if kernel.index.exact:
        return None
    words, numbers = np.zeros((kernel.size, d.words.shape[1]), dtype=np.uint64), kernel.index.of(d.words)
    rows = most_frequent(numbers, d.weights)
    words[numbers[rows]] = d.words[rows]
    return words


def _support(d: Distribution, kernel: Kernel, alone: Decided) -> Support:
    if kernel.index.exact:
        numbers = np.arange(kernel.size)
        return Support(numbers.astype(np.uint64)[:, None], numbers, np.ones(kernel.size), True)
    more = [] if alone.blend is None else [alone.blend.support.words]
    words, place = numbered(np.vstack([d.words, *more]))
    seen = np.zeros(len(words))
    seen[place[: d.n_outcomes]] = d.weights
    numbers = kernel.index.of(words)
    whole = np.bincount(numbers, seen, kernel.size)[numbers]
    return Support(words, numbers, np.divide(seen, whole, out=np.ones(len(words)), where=whole > 0), False)
