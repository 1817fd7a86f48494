"""Mitigation under noise that a reference circuit measured: a few strings where these show, else deconvolution.

Richardson-Lucy finds the most likely distribution under the measured kernel. If it explains the counts, the answer is a
few strings that explain them as well (a description length, then a parametric bootstrap of the deviance), or else
deconvolution by variational Bayes. If it does not, the circuit's noise is not quite the reference's, since a fault in
the middle of a circuit flips other bits there: what lies far below the heaviest strings, beyond a visible step, is then
as likely noise as output, and is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Bits, unpack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.decide import distributed, strings_explain, unchanged
from qcluster.core.dense.richardson_lucy import richardson_lucy
from qcluster.core.dense.variational import Redrawn, variational
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.measured import MeasuredNoise, kernel_of
from qcluster.core.sparse.under_kernel import LENGTHS, Few, noise_ratio, weigh_prefixes
from qcluster.core.stats.goodness import deviance
from qcluster.core.stats.walsh import most_frequent
from qcluster.core.uncertainty.response import Response

_WIDTHS, _ROOM = (16, 18, 20), 6.0
"""Strings wider than this are hashed to so many bits (see `qcluster.core.stats.walsh`): the first width with so many
numbers for each distinct string, at which one string in six or seven shares its number; or the last. Broad outputs are
looked for where no strings are hashed."""
_ROUNDS = 30
"""Of Richardson-Lucy, accelerated."""
_SCALES, _SMALL = (1.0, 0.7, 0.5, 0.35, 0.25), 12
"""Multiples of the measured noise that are tried, in this order, should the counts be sharper than it allows; and index
bits up to which they are, since each costs as much as the first."""
_MISFIT = 0.3
"""Deviance per shot by which less noise must explain the counts better before it is preferred to what was measured: ten
times what shot noise makes of 8192 shots on 256 strings, since the reference has the gates of the circuit."""
_MOST = 64
"""Strings at most."""
_WEIGHING = 60
"""Rounds of EM over their weights."""
_DRAWS, _DRAWS_WIDE, _NARROW = 6, 2, 16
"""References and counts drawn from what was fitted, to learn what deviance shot noise makes: two beyond so many index
bits, since each costs what the fit does."""
_SEED = 0
"""Of these draws: the same counts have the same answer."""
_SIGMAS = 4.0
"""Standard deviations of it beyond which something does not explain the counts."""
_STEP, _LEAST = 5.0, 1 / 3
"""How many times heavier the lightest string that is kept must be than the next one, where the noise is not quite the
reference's; and the share of Richardson-Lucy's answer that strings above such a step must hold."""
MOST_NOISE = 1.5
"""How many times as much noise as the reference has (in -ln of the raw fidelity) a few strings may need. The reference
has the same gates: recorded outputs need 1.05 to 1.3 times as much."""
_MOSTLY = 0.9
"""Share of Richardson-Lucy's answer that strings must hold to be certain where they do not quite explain the counts."""
_ALL_NOISE = 1e-3
"""Share of uniform noise where the measured noise explains the counts: it holds all noise there is."""
_TINY = 1e-15
"""Least probability of a string that was read."""


def mitigate_measured(
    counts: Distribution, noise: MeasuredNoise, instead: Callable[[], Mitigation | None] = lambda: None
) -> Mitigation:
    """Estimate the ideal distribution from counts and the noise that a reference circuit measured.

    Args:
        counts: measured, twirls undone.
        noise: of the reference, of the width of the counts, which then need no knowledge of the circuit.
        instead: gives another answer, or None, and is asked where no few strings certainly are the output: see `_few`.

    Returns:
        The answer, with doubts about the reference in its reason; its rates are how often the reference had each bit
        flipped, whichever way. Cost: some hundred Walsh transforms of 2^n_bits numbers up to 16 bits, of at most 2^20
        above: milliseconds for 10 bits, some 10 s for wide counts of 100,000 distinct strings; memory some 300 MB.

    Raises:
        ValueError: there are no counts, or another string than the expected one is the reference's most frequent.

    Example:
        >>> noise = MeasuredNoise({"01": 820, "00": 90, "11": 82, "10": 8}, "01")
        >>> fixed = mitigate_measured(Distribution.of({"00": 410, "11": 405, "01": 90, "10": 95}), noise)
        >>> sorted(fixed.distribution.to_probs())
        ['00', '11']
    """
    if not counts.n_outcomes or not counts.shots:
        raise ValueError("counts must hold at least one shot; got none")
    if noise.refusal:
        raise ValueError(noise.refusal)
    seen = _Seen(counts, noise)
    found = _allowed(seen)
    few, certain = _few(found, seen) if noise.clear else (None, False)
    if not certain and (other := instead()) is not None:
        return other
    remarks = _remarks(noise, found)
    if few is not None:
        return _strings(seen, few, remarks)
    if not noise.clear:
        why = "the reference is drowned in noise"
    elif not seen.kernel.index.exact:
        why = (
            f"no few strings explain the counts under the measured noise, and {counts.n_bits} bits are too many for a "
            "broad output"
        )
    else:
        broad = variational(found.kernel, seen.histogram)
        overlap = float(np.sqrt(broad.ideal[seen.rows] * counts.weights / counts.shots).sum())
        if not unchanged(overlap, counts.shots):
            return _broad(seen, Redrawn(found.kernel, seen.rows, broad), remarks)
        why = "undoing the measured noise changes nothing"
    return left(counts, "measured", f"{why}; {remarks}", noise.rates)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was measured: counts, noise, and the numbers of their strings."""

    counts: Distribution
    """The counts."""
    noise: MeasuredNoise
    """Of the reference."""

    @cached_property
    def kernel(self) -> Kernel:
        """The same, as it was measured; strings have numbers as narrow as keeps most of them apart."""
        distinct = max(self.counts.n_outcomes, self.noise.patterns.n_outcomes)
        roomy = [width for width in _WIDTHS if 2.0**width >= _ROOM * distinct]
        return self.noise.kernel(roomy[0] if roomy else _WIDTHS[-1])

    @cached_property
    def rows(self) -> Indices:
        """``(n_outcomes,)`` numbers of the strings that were read."""
        return self.kernel.index.of(self.counts.words)

    @cached_property
    def histogram(self) -> Floats:
        """``(2^m,)`` shots of each number."""
        return np.bincount(self.rows, self.counts.weights, self.kernel.size).astype(np.float64)

    def by_probability(self, ideal: Floats) -> Indices:
        """Give places in the counts, one a number, most probable first: of hashed strings the most frequent is meant.

        Args:
            ideal: ``(2^m,)`` probability of each number.
        """
        frequent = np.sort(most_frequent(self.rows, self.counts.weights))
        return np.asarray(frequent[np.lexsort((-self.counts.weights[frequent], -ideal[self.rows[frequent]]))])


@dataclass(frozen=True, eq=False)
class _Explained:
    """The most likely distribution under a kernel."""

    ideal: Floats
    """``(2^m,)`` the distribution."""
    scale: float
    """Multiple of the measured noise."""
    kernel: Kernel
    """At that scale."""
    deviance: float
    """Of the counts."""
    cells: float
    """Strings that are expected to be read, each counted up to one."""


def _explain(kernel: Kernel, histogram: Floats, scale: float = 1.0) -> _Explained:
    ideal = richardson_lucy(kernel, histogram / float(histogram.sum()), _ROUNDS)
    return _Explained(ideal, scale, kernel, *_judged(kernel, ideal, histogram))


def _judged(kernel: Kernel, ideal: Floats, histogram: Floats) -> tuple[float, float]:
    """Give the deviance of counts from an ideal seen through a kernel, and how many strings this expects to be read."""
    expected = float(histogram.sum()) * np.maximum(kernel.forward(ideal), _TINY)
    return float(deviance(histogram, expected)), float(np.minimum(expected, 1.0).sum())


def _allowed(seen: _Seen) -> _Explained:
    """Explain the counts by the measured noise, or by less where that explains them far better."""
    kernel, slack, tried = seen.kernel, _MISFIT * float(seen.histogram.sum()), []
    for scale in _SCALES if kernel.index.n_index <= _SMALL else _SCALES[:1]:
        found = _explain(kernel if scale == 1 else kernel.scaled(scale), seen.histogram, scale)
        if found.deviance <= slack:
            return found
        tried.append(found)
    least = min(found.deviance for found in tried)
    return next(found for found in tried if found.deviance <= least + slack + 3 * np.sqrt(2 * max(found.cells, 4.0)))


def _few(found: _Explained, seen: _Seen) -> tuple[Few | None, bool]:
    """Find the strings that replace Richardson-Lucy's answer, if any do.

    They are certain to be the output where they explain the counts under the measured noise, or are clear without: see
    `_clear`.
    """
    places = seen.by_probability(found.ideal)[: _MOST + 1]
    heights, bootstrap = found.ideal[seen.rows[places]], _Bootstrap(found.kernel, seen)
    most = int(min(_MOST, max(4.0, 2.0**seen.counts.n_bits / 4), len(places)))
    few = None
    unlike = found.deviance > bootstrap.usual(found.ideal, found.cells, refit=True)
    if not unlike:
        tried = _weighed(found, seen, places[:most], _ALL_NOISE)
        few = max(tried, key=lambda one: one.explained)
        beyond, cells = _judged(found.kernel, few.ideal, seen.histogram)
        few = few if beyond <= bootstrap.usual(few.ideal, cells, refit=False) else None
    k = _above_step(heights, seen.counts.shots, most)
    tail = few is not None and 2 * k <= len(few.weights)  # as many light strings below a step: noise
    stepped = k > 0 and (unlike or tail or (few is None and not found.kernel.index.exact))
    if stepped:
        (few,) = _weighed(found, seen, places[:k], None, lengths=())
    if few is not None and noise_ratio(few.fidelity(seen.histogram), seen.noise.survival) > MOST_NOISE:
        few = None
    if few is None:
        return None, False
    return few, not (unlike or stepped) or _clear(few.weights, float(found.ideal[few.strings].sum()))


def _clear(weights: Floats, held: float) -> bool:
    """Tell whether strings that do not quite explain the counts are the output all the same: they hold nearly all of
    Richardson-Lucy's answer, and none lies a step below the heaviest, as what is left of the noise does."""
    return bool(held > _MOSTLY and weights.min() * _STEP >= weights.max())


def _weighed(
    found: _Explained, seen: _Seen, places: Indices, uniform: float | None, lengths: Sequence[int] = LENGTHS
) -> list[Few]:
    """Weigh strings, given by their places in the counts, and shorter lists of them; see `weigh_prefixes`."""
    strings, words = seen.rows[places], seen.counts.words[places]
    given = found.kernel, strings, words, seen.rows, seen.counts.weights, found.ideal[strings], uniform, _WEIGHING
    return weigh_prefixes(*given, lengths=lengths)


class _Bootstrap:
    """Reference and counts drawn again (parametric bootstrap): what deviance shot noise makes.

    Args:
        kernel: the measured one, at the scale in use.
        seen: what was measured.
    """

    def __init__(self, kernel: Kernel, seen: _Seen) -> None:
        self.kernel, self.shots = kernel, max(1, round(seen.counts.shots))
        self.rng = np.random.default_rng(_SEED)
        error = kernel.patterns
        many = _DRAWS if kernel.index.n_index <= _NARROW else _DRAWS_WIDE
        patterns = self.rng.multinomial(max(1, round(seen.noise.shots)), error / error.sum(), size=many)
        # What other references would have measured, had this one measured the truth.
        self.others = [kernel_of(kernel.index, drawn) for drawn in patterns.astype(np.float64)]

    def usual(self, ideal: Floats, cells: float, *, refit: bool) -> float:
        """Give the largest deviance that shot noise accounts for, if the output is `ideal`, or is fitted anew."""
        noisy = np.maximum(self.kernel.forward(ideal), 0.0)
        found = []
        for other in self.others:
            drawn = self.rng.multinomial(self.shots, noisy / noisy.sum()).astype(np.float64)
            found.append(_explain(other, drawn).deviance if refit else _judged(other, ideal, drawn)[0])
        spread = max(float(np.std(found, ddof=1)), 0.5 * float(np.sqrt(2 * cells)))
        return float(np.mean(found)) + _SIGMAS * spread


def _above_step(heights: Floats, shots: float, most: int) -> int:
    """How many strings lie above the largest step, three shots of noise allowed for; 0 where there is none."""
    below = np.append(heights, 0.0)[1 : most + 1]
    ratio = heights[:most] * shots / (below * shots + 3)
    enough = (ratio >= _STEP) & (np.cumsum(heights[:most]) >= _LEAST)
    return int(np.argmax(np.where(enough, ratio, 0.0))) + 1 if enough.any() else 0


def _remarks(noise: MeasuredNoise, found: _Explained) -> str:
    """Write what the end of every reason says of the reference."""
    words = [f"the reference kept {noise.survival:.0%} of its shots"]
    if found.scale != 1:
        words.append(
            f"the counts allow only {found.scale:g} times its noise: has it the two-qubit gates of this circuit?"
        )
    return "; ".join([*words, *noise.doubts])


def _strings(seen: _Seen, few: Few, remarks: str) -> Mitigation:
    bits = unpack(few.words, seen.counts.n_bits)
    reason = f"{strings_explain(len(few.weights), ' seen through the measured noise')} the counts; {remarks}"
    answer = Distribution(bits, few.weights * seen.counts.shots)
    return _answer(seen, answer, reason, few.response(seen.rows, seen.counts.weights), bits, few.weights)


def _broad(seen: _Seen, redrawn: Redrawn, remarks: str) -> Mitigation:
    ideal, none = redrawn.found.ideal, seen.counts.bits[:0]
    answer = distributed(seen.counts, np.arange(len(ideal), dtype=np.uint64)[:, None], ideal)
    return _answer(seen, answer, f"deconvolution under the measured noise; {remarks}", redrawn, none, np.zeros(0))


def _answer(
    seen: _Seen, answer: Distribution, reason: str, response: Response, centroids: Bits, weights: Floats
) -> Mitigation:
    return Mitigation(
        distribution=answer,
        raw=seen.counts,
        method="measured",
        applied=True,
        share=1.0,
        confidence=None,
        reason=reason,
        centroids=centroids,
        weights=weights,
        rates=seen.noise.rates,
        response=response,
    )
