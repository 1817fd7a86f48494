"""Mitigation under the noise that a reference circuit measured: a few strings if they stand out, else what a trained
gate makes of deconvolutions.

Richardson-Lucy finds the most likely distribution under the measured kernel. If it explains the counts, the answer is a
few strings that explain them too (chosen by description length, tested by a parametric bootstrap of the deviance). If
it does not, the noise of the circuit differs somewhat from that of the reference, since a fault in the middle of a
circuit flips other bits there. Strings far below the heaviest ones, beyond a visible step in weight, may then be noise
as well as output, and are left out. Without a few strings, a trained gate weighs candidates under the measured flips
(up to 12 bits), or the answer is deconvolution by variational Bayes (beyond, if no strings are hashed).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import unpack
from qcluster.core.counts.distribution import Distribution, no_shots
from qcluster.core.decision.candidates import WIDEST
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.decision.decide import ONLY_SHOTS, distributed, strings_explain, unchanged
from qcluster.core.dense.richardson_lucy import richardson_lucy
from qcluster.core.dense.variational import CONCENTRATIONS, Redrawn, posterior, variational
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.measured import MeasuredNoise, kernel_of
from qcluster.core.sparse.under_kernel import LENGTHS, MOST_NOISE, FewStrings, noise_ratio, weigh_prefixes
from qcluster.core.stats.goodness import deviance
from qcluster.core.stats.walsh import most_frequent
from qcluster.core.uncertainty.response import Response

_WIDTHS, _ROOM = (16, 18, 20), 6.0
"""Widths in bits to which wider strings are hashed (see `qcluster.core.stats.walsh`). The first width is taken that has
`_ROOM` indices per distinct string, so that one string in six or seven shares its index, else the last. Broad outputs
are estimated only if no strings are hashed."""
_ROUNDS = 30
"""Rounds of accelerated Richardson-Lucy."""
_SCALES, _SMALL = (1.0, 0.7, 0.5, 0.35, 0.25), 12
"""Multiples of the measured noise, tried in this order if counts are sharper than it allows; and most index bits for
which more than the first is tried, since each costs as much."""
_MISFIT = 0.3
"""Deviance per shot by which less noise must explain the counts better to be preferred to the measured noise: ten times
that of shot noise for 8192 shots on 256 strings, since the reference has the gates of the circuit."""
_MOST = 64
"""Most strings of a sparse answer."""
_WEIGHING = 60
"""Rounds of EM for their weights."""
_DRAWS, _DRAWS_WIDE, _NARROW = 6, 2, 16
"""Bootstrap draws of reference and counts, to learn the deviance of shot noise; fewer draws beyond `_NARROW` index
bits, since each costs as much as the fit."""
_SEED = 0
"""Seed of these draws, so that the same counts give the same answer."""
_SIGMAS = 4.0
"""Standard deviations of that deviance beyond which a fit does not explain the counts."""
_STEP, _LEAST = 5.0, 1 / 3
"""Where the noise differs from that of the reference: least ratio of the lightest string kept to the next one, and
least share of Richardson-Lucy's answer that the strings above this step must have."""
_MOSTLY = 0.9
"""Share of Richardson-Lucy's answer from which strings count as certain though they do not quite explain the counts."""
_ALL_NOISE = 1e-3
"""Share of uniform noise if the measured noise explains the counts, since it contains nearly all noise."""
_TINY = 1e-15
"""Least probability of a string that was read."""


def mitigate_measured(
    counts: Distribution,
    noise: MeasuredNoise,
    guard: bool = True,
    expect: str | None = None,
    instead: Callable[[FewStrings | None], Mitigation | None] = lambda certain: None,
) -> Mitigation:
    """Estimate the ideal distribution from counts and the noise that a reference circuit measured.

    Args:
        counts: the counts, twirls undone.
        noise: noise of the reference, of the same width; nothing else needs to be known about the circuit.
        guard, expect: as in `qcluster.mitigate`; without a guard, broad outputs are deconvolved without a decision.
        instead: returns another answer, or None. It gets the few strings that certainly are the output, by the measured
            noise alone (see `_few_strings`); None if there are none.

    Returns:
        The answer, with doubts about the reference in its reason. Its rates are the share of the reference's shots in
        which each bit is flipped, either way. Cost: some hundred Walsh transforms of 2^n_bits numbers up to 16 bits, of
        at most 2^20 above: 0.2 s for 10 bits, 1.5 s for 16, some 10 s and 300 MB for wide counts of 100,000 distinct
        strings.

    Raises:
        ValueError: there are no counts, or the most frequent string of the reference is not the expected one.

    Example:
        >>> noise = MeasuredNoise({"01": 820, "00": 90, "11": 82, "10": 8}, "01")
        >>> fixed = mitigate_measured(Distribution.of({"00": 410, "11": 405, "01": 90, "10": 95}), noise)
        >>> sorted(fixed.distribution.to_probs())
        ['00', '11']
    """
    if not counts.n_outcomes:
        raise ValueError("counts must hold at least one shot; got none")
    if noise.refusal:
        raise ValueError(noise.refusal)
    if wrong := no_shots(counts):
        return left(counts, "measured", f"{wrong}; {ONLY_SHOTS}", noise.rates)
    seen = _Seen(counts, noise)
    fit = _fit_allowed(seen)
    few, cut, certain = _few_strings(fit, seen) if noise.clear else (None, False, False)
    if (other := instead(few if certain else None)) is not None:
        return other
    remarks = _remarks(noise, fit)
    if few is not None and expect != "dense":
        return _sparse_answer(seen, few, cut, remarks)
    if not noise.clear:
        why = "the reference is drowned in noise"
    elif guard and counts.n_bits <= WIDEST:
        fixed = decide_circuit(counts, noise.faults(), expect=expect, patterns="the measured flips")
        return replace(fixed, method="measured", rates=noise.rates, reason=f"{fixed.reason}; {remarks}")
    elif not seen.kernel.index.exact:
        why = f"{counts.n_bits} bits are too many for a broad output"
        why = why if few is not None else f"a few strings do not explain the counts, and {why}"
    else:
        ideal, concentrations = variational(fit.kernel, seen.histogram)
        overlap = float(np.sqrt(ideal[seen.rows] * counts.weights / counts.shots).sum())
        if not unchanged(overlap, counts.shots):
            answer = distributed(counts, np.arange(len(ideal), dtype=np.uint64)[:, None], ideal)
            redrawn = Redrawn(fit.kernel, seen.rows, concentrations)
            return _answer(seen, answer, f"deconvolution under the measured noise; {remarks}", redrawn)
        why = "undoing the measured noise changes nothing"
    return left(counts, "measured", f"{why}; {remarks}", noise.rates)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Measured counts and noise, and the indices of their strings."""

    counts: Distribution
    """The counts."""
    noise: MeasuredNoise
    """Noise of the reference."""

    @cached_property
    def kernel(self) -> Kernel:
        """Kernel of the noise as measured; indices of strings are as narrow as keeps most strings apart."""
        distinct = max(self.counts.n_outcomes, self.noise.patterns.n_outcomes)
        roomy = [width for width in _WIDTHS if 2.0**width >= _ROOM * distinct]
        return self.noise.kernel(roomy[0] if roomy else _WIDTHS[-1])

    @cached_property
    def rows(self) -> Indices:
        """``(n_outcomes,)`` indices of the strings that were read."""
        return self.kernel.index.of(self.counts.words)

    @cached_property
    def histogram(self) -> Floats:
        """``(2^m,)`` shots of each index."""
        return np.bincount(self.rows, self.counts.weights, self.kernel.size).astype(np.float64)

    def by_probability(self, ideal: Floats) -> Indices:
        """Return rows of the counts, the most frequent string of each index, in order of falling probability of these
        indices, ``(2^m,)``."""
        frequent = np.sort(most_frequent(self.rows, self.counts.weights))
        return np.asarray(frequent[np.lexsort((-self.counts.weights[frequent], -ideal[self.rows[frequent]]))])


@dataclass(frozen=True, eq=False)
class _Fit:
    """The most likely distribution under a kernel."""

    ideal: Floats
    """``(2^m,)`` the distribution."""
    scale: float
    """Multiple of the measured noise."""
    kernel: Kernel
    """Kernel at that scale."""
    deviance: float
    """Deviance of the counts."""
    cells: float
    """Expected number of distinct strings that are read: the sum of expected shots, each at most 1."""


def _fit(kernel: Kernel, histogram: Floats, scale: float = 1.0) -> _Fit:
    ideal = richardson_lucy(kernel, histogram / float(histogram.sum()), _ROUNDS)
    return _Fit(ideal, scale, kernel, *_deviance_and_cells(kernel, ideal, histogram))


def _deviance_and_cells(kernel: Kernel, ideal: Floats, histogram: Floats) -> tuple[float, float]:
    """Return `_Fit.deviance` and `_Fit.cells` of counts, for an ideal distribution seen through a kernel."""
    expected = float(histogram.sum()) * np.maximum(kernel.forward(ideal), _TINY)
    return float(deviance(histogram, expected)), float(np.minimum(expected, 1.0).sum())


def _fit_allowed(seen: _Seen) -> _Fit:
    """Fit the counts under the measured noise, or under less if that explains them much better."""
    kernel, slack, fits = seen.kernel, _MISFIT * float(seen.histogram.sum()), []
    for scale in _SCALES if kernel.index.n_index <= _SMALL else _SCALES[:1]:
        fits.append(_fit(kernel if scale == 1 else kernel.scaled(scale), seen.histogram, scale))
        if fits[-1].deviance <= slack:
            return fits[-1]
    least = min(fit.deviance for fit in fits)
    return next(fit for fit in fits if fit.deviance <= least + slack + 3 * np.sqrt(2 * max(fit.cells, 4.0)))


def _few_strings(fit: _Fit, seen: _Seen) -> tuple[FewStrings | None, bool, bool]:
    """Return the few strings that replace Richardson-Lucy's answer, or None; whether they were cut off from others at a
    step in weight, so that they do not explain the counts; and whether they certainly are the output.

    They are certain if they were not cut off, or are clear without the others: see `_clear`. Up to 12 bits they are not
    if the others, which may be output or noise, are needed to explain the counts.
    """
    order = seen.by_probability(fit.ideal)[: _MOST + 1]
    heights, bootstrap = fit.ideal[seen.rows[order]], _Bootstrap(fit.kernel, seen)
    most = int(min(_MOST, max(4.0, 2.0**seen.counts.n_bits / 4), len(order)))
    few = None
    unexplained = fit.deviance > bootstrap.usual(fit.ideal, fit.cells, refit=True)
    if not unexplained:
        few = max(_weighed(fit, seen, order[:most], _ALL_NOISE), key=attrgetter("net_log_likelihood"))
        if not bootstrap.explains(few) or _broader_output_is_likelier(few, seen):
            few = None
    k = _above_step(heights, seen.counts.shots, most)
    tail = few is not None and 2 * k <= len(few.weights)  # at least as many strings below the step as above
    cut = k > 0 and (unexplained or tail or (few is None and not fit.kernel.index.exact))
    if cut:
        (few,) = _weighed(fit, seen, order[:k], None, lengths=())
    if few is None or noise_ratio(few.fidelity(seen.histogram), seen.noise.survival) > MOST_NOISE:
        return None, False, False
    if cut and tail and seen.counts.n_bits <= WIDEST and not bootstrap.explains(few):
        return few, True, False
    return few, cut, not cut or _clear(few.weights, float(fit.ideal[few.strings].sum()))


def _broader_output_is_likelier(few: FewStrings, seen: _Seen) -> bool:
    """Return whether a broader output explains the counts better than these few strings: under much noise many outputs
    explain them, and few strings have the shortest description only because hardly anything is left to describe.

    Broader are the same strings on a flat background, whose share costs 0.5 ln N for N shots (Schwarz, 1978), and
    outputs of which nothing is known but a Dirichlet concentration. The concentrations whose expected purity is less
    than that of as many equal strings count as equally likely. Evidence and description lengths are compared.
    """
    if not few.kernel.index.exact:
        return False
    shots, size = seen.counts.shots, few.kernel.size
    inputs = few.kernel, few.strings, few.words, seen.rows, seen.counts.weights, few.weights, None, _WEIGHING
    (on_background,) = weigh_prefixes(*inputs, lengths=())
    gain = shots * (on_background.net_log_likelihood - few.net_log_likelihood)
    if on_background.uniform > few.uniform and gain > 0.5 * np.log(shots):
        return True
    purity = (CONCENTRATIONS[:, 0] + 1) / (CONCENTRATIONS[:, 0] * size + 1)
    broader = CONCENTRATIONS[purity * len(few.weights) < 1]
    if not len(broader):
        return False
    _, evidence = posterior(few.kernel, seen.histogram, broader)
    unknown = float(np.logaddexp.reduce(evidence)) - np.log(len(broader))
    return bool(unknown > shots * (few.net_log_likelihood - np.log(size)))


def _clear(weights: Floats, share: float) -> bool:
    """Return whether strings that do not quite explain the counts certainly are the output all the same: they have
    nearly all of Richardson-Lucy's answer, and none lies a step below the heaviest, as leftover noise does."""
    return bool(share > _MOSTLY and weights.min() * _STEP >= weights.max())


def outdone(few: FewStrings, others: FewStrings, counts: Distribution, noise: MeasuredNoise) -> bool:
    """Return whether others than these few strings explain the counts better, under the faults of the circuit.

    A reference that keeps few shots tells flips apart only roughly: under the measured noise, it may take many strings
    to explain what is one. Others of a longer description prove nothing, since further strings also explain errors of
    the fault patterns. Likelihoods are compared in the index of the others.
    """
    if others.length > few.length or {*map(bytes, few.words)} == {*map(bytes, others.words)}:
        return False
    index, net = others.kernel.index, few.net_log_likelihood
    if index.n_index != few.kernel.index.n_index:  # likelihoods of hashed strings depend on their index
        few = replace(few, strings=index.of(few.words), kernel=noise.kernel(index.n_index))
        ratio = np.maximum(few.kernel.forward(few.ideal), _TINY) * index.size
        net = (float(index.vector(counts.words, counts.weights) @ np.log(ratio)) - few.length) / counts.shots
    return others.net_log_likelihood > net


def _weighed(
    fit: _Fit, seen: _Seen, chosen: Indices, uniform: float | None, lengths: Sequence[int] = LENGTHS
) -> list[FewStrings]:
    """Weigh strings, given by their rows in the counts, and shorter lists of them; see `weigh_prefixes`."""
    strings, words = seen.rows[chosen], seen.counts.words[chosen]
    inputs = fit.kernel, strings, words, seen.rows, seen.counts.weights, fit.ideal[strings], uniform, _WEIGHING
    return weigh_prefixes(*inputs, lengths=lengths)


class _Bootstrap:
    """Parametric bootstrap of the reference and the counts, to find the deviance that shot noise causes; the kernel is
    the measured one, at the scale in use."""

    def __init__(self, kernel: Kernel, seen: _Seen) -> None:
        self.kernel, self.histogram, self.shots = kernel, seen.histogram, max(1, round(seen.counts.shots))
        self.rng = np.random.default_rng(_SEED)
        error = kernel.patterns
        n_draws = _DRAWS if kernel.index.n_index <= _NARROW else _DRAWS_WIDE
        patterns = self.rng.multinomial(max(1, round(seen.noise.shots)), error / error.sum(), size=n_draws)
        # Kernels that other references would measure if the measured kernel were the truth.
        self.others = [kernel_of(kernel.index, drawn) for drawn in patterns.astype(np.float64)]

    def explains(self, few: FewStrings) -> bool:
        """Return whether shot noise accounts for the deviance of the counts from these strings."""
        beyond, cells = _deviance_and_cells(self.kernel, few.ideal, self.histogram)
        return beyond <= self.usual(few.ideal, cells, refit=False)

    def usual(self, ideal: Floats, cells: float, *, refit: bool) -> float:
        """Return the largest deviance that shot noise accounts for if the output is `ideal`; `refit` fits each draw."""
        noisy = np.maximum(self.kernel.forward(ideal), 0.0)
        deviances = []
        for other in self.others:
            drawn = self.rng.multinomial(self.shots, noisy / noisy.sum()).astype(np.float64)
            deviances.append(_fit(other, drawn).deviance if refit else _deviance_and_cells(other, ideal, drawn)[0])
        spread = max(float(np.std(deviances, ddof=1)), 0.5 * float(np.sqrt(2 * cells)))
        return float(np.mean(deviances)) + _SIGMAS * spread


def _above_step(heights: Floats, shots: float, most: int) -> int:
    """Return the number of strings above the largest step, allowing for three shots of noise; 0 if there is none."""
    below = np.append(heights, 0.0)[1 : most + 1]
    ratio = heights[:most] * shots / (below * shots + 3)
    enough = (ratio >= _STEP) & (np.cumsum(heights[:most]) >= _LEAST)
    return int(np.argmax(np.where(enough, ratio, 0.0))) + 1 if enough.any() else 0


def _remarks(noise: MeasuredNoise, fit: _Fit) -> str:
    """Describe the reference, for the end of every reason."""
    words = [f"the reference kept {noise.survival:.0%} of its shots"]
    if fit.scale != 1:
        words.append(
            f"the counts allow only {fit.scale:g} times its noise: does it have the two-qubit gates of this circuit?"
        )
    return "; ".join([*words, *noise.doubts])


def _sparse_answer(seen: _Seen, few: FewStrings, cut: bool, remarks: str) -> Mitigation:
    if cut:
        strings = "1 string stands" if len(few.weights) == 1 else f"{len(few.weights)} strings stand"
        words = f"{strings} out; the rest, which the measured noise does not explain, is taken for noise"
    else:
        words = f"{strings_explain(len(few.weights), ' seen through the measured noise')} the counts"
    answer = Distribution.from_words(few.words, few.weights * seen.counts.shots, seen.counts.n_bits)
    return _answer(seen, answer, f"{words}; {remarks}", few.response(seen.rows, seen.counts.weights), few)


def _answer(
    seen: _Seen, answer: Distribution, reason: str, response: Response, few: FewStrings | None = None
) -> Mitigation:
    """Make the answer; `few` are its strings if they are all of it."""
    return Mitigation(
        distribution=answer,
        raw=seen.counts,
        method="measured",
        applied=True,
        share=1.0,
        confidence=None,
        reason=reason,
        centroids=seen.counts.bits[:0] if few is None else unpack(few.words, seen.counts.n_bits),
        weights=np.zeros(0) if few is None else few.weights,
        rates=seen.noise.rates,
        response=response,
    )
