"""Mitigation under noise that a reference circuit measured: a few strings where these show, else deconvolution.

Richardson-Lucy finds the most likely distribution under the measured kernel. If it explains the counts, the answer is a
few strings that explain them as well (a description length, then an F test), or else deconvolution by variational
Bayes. If it does not, the circuit's noise is not quite the reference's, since a fault in the middle of a circuit flips
other bits there: what lies far below the heaviest strings, beyond a visible step, is then as likely noise as output,
and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import attrs
import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.dense.richardson_lucy import richardson_lucy
from qcluster.core.dense.variational import Redrawn, variational
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.measured import MeasuredNoise, kernel_of
from qcluster.core.settings import within
from qcluster.core.sparse.under_kernel import Few, noise_ratio, prefix_costs, weigh_prefixes
from qcluster.core.stats.goodness import deviance
from qcluster.core.stats.walsh import walsh

_NEGLIGIBLE = 1e-9
"""Probability below which a string of a broad output is left out."""
_ALL_NOISE = 1e-3
"""Share of uniform noise where the measured noise explains the counts: it holds all noise there is."""
_SMALL = 12
"""Index bits up to which less noise than measured is tried."""
_NARROW = 16
"""Index bits up to which all draws are made; beyond, two."""
_WEIGHING = 60
"""Rounds of EM over the weights of strings."""
_TINY = 1e-15
"""Least probability of a string that was read."""
_SAME = 0.999
"""Fidelity between answer and counts from which the counts are left as they came."""


@attrs.frozen
class MeasuredSettings:
    """Constants of mitigation under measured noise; a value out of its range is a ValueError, another type a
    TypeError."""

    index_bits: tuple[int, ...] = within((16, 18, 20), 1, 24, whole=True, several=True)
    """Strings wider than this are hashed to so many bits (see `qcluster.core.stats.walsh`): the first width with
    `room`; each in [1, 24]."""
    room: float = within(6.0, 0, open_low=True)
    """Numbers that there must be for each distinct string; in (0, inf)."""
    rounds: int = within(30, 1, whole=True)
    """Of Richardson-Lucy, accelerated; in [1, inf)."""
    scales: tuple[float, ...] = within((1.0, 0.7, 0.5, 0.35, 0.25), 0, open_low=True, several=True)
    """Multiples of the measured noise that are tried, should the counts be sharper than it allows, in this order; each
    in (0, inf)."""
    misfit: float = within(0.3, 0)
    """Deviance per shot by which less noise must explain the counts better before it is preferred to what was measured;
    in [0, inf)."""
    widest: int = within(20, 0, 24, whole=True)
    """Most bits of a broad output; in [0, 24]."""
    most: int = within(64, 1, whole=True)
    """Strings at most; in [1, inf)."""
    draws: int = within(6, 2, whole=True)
    """References and counts drawn from what was fitted, to learn what deviance shot noise makes; in [2, inf)."""
    sigmas: float = within(4.0, 0)
    """Standard deviations of it beyond which something does not explain the counts; in [0, inf)."""
    seed: int = within(0, 0, whole=True)
    """Of these draws; in [0, inf)."""
    step: float = within(5.0, 1)
    """How many times heavier the lightest string that is kept must be than the next one, where the noise is not quite
    the reference's; in [1, inf)."""
    least: float = within(1 / 3, 0, 1)
    """Share of Richardson-Lucy's answer that strings above a step must hold; in [0, 1]."""
    inflation: float = within(1.5, 1)
    """How many times as much noise as the reference has (in -ln of the raw fidelity) a few strings may need; in
    [1, inf). The reference has the same gates: recorded outputs need 1.05 to 1.3 times as much."""


@dataclass(frozen=True, eq=False)
class MeasuredFit:
    """The outcome of `mitigate_measured`."""

    answer: Mitigation
    """With doubts about the reference in its reason; its rates are how often the reference had each bit flipped,
    whichever way."""
    few: bool
    """True where the answer is a few strings."""
    explained: bool = False
    """True where the answer explains the counts under the measured noise, but for shot noise."""
    held: float = 1.0
    """Share of Richardson-Lucy's answer that the few strings hold; 1 for others."""


def mitigate_measured(
    counts: Distribution, noise: MeasuredNoise, *, settings: MeasuredSettings | None = None
) -> MeasuredFit:
    """Estimate the ideal distribution from counts and the noise that a reference circuit measured.

    Args:
        counts: measured, twirls undone.
        noise: of the reference; with it, the counts need no knowledge of the circuit.
        settings: constants.

    Returns:
        MeasuredFit. Cost: some hundred Walsh transforms of 2^n_bits numbers up to 16 bits, of at most 2^20 above:
        milliseconds for 10 bits, some 10 s for wide counts of 100,000 distinct strings; memory some 300 MB.

    Raises:
        ValueError: the widths differ, there are no counts, or another string than the expected one is the reference's
            most frequent.

    Example:
        >>> noise = MeasuredNoise({"01": 820, "00": 90, "11": 82, "10": 8}, "01")
        >>> fit = mitigate_measured(Distribution.of({"00": 410, "11": 405, "01": 90, "10": 95}), noise)
        >>> fit.few, sorted(fit.answer.distribution.to_probs())
        (True, ['00', '11'])
    """
    settings = settings or MeasuredSettings()
    if counts.n_bits != noise.n_bits:
        raise ValueError(
            f"counts and reference must have one width; got {counts.n_bits} and {noise.n_bits} bits: measure the same "
            "qubits in both"
        )
    if not counts.n_outcomes or not counts.shots:
        raise ValueError("counts must hold at least one shot; got none")
    if noise.refusal:
        raise ValueError(noise.refusal)
    kernel = _kernel(counts, noise, settings)
    seen = _Seen(counts, kernel.locate(counts.words), kernel.size)
    found = _allowed(kernel, seen.histogram, settings)
    if not noise.clear:
        return MeasuredFit(_left(counts, noise, found, "the reference is drowned in noise"), few=False)
    few, explained = _few(found, seen, noise, settings)
    if few is not None:
        held = float(found.ideal[few.strings].sum())
        return MeasuredFit(_sparse(seen, noise, found, few), few=True, explained=explained, held=held)
    if kernel.index.exact and counts.n_bits <= settings.widest:
        return MeasuredFit(_dense(seen, noise, found), few=False, explained=explained)
    many = (
        f"no few strings explain the counts under the measured noise, and {counts.n_bits} bits are too many for a "
        "broad output"
    )
    return MeasuredFit(_left(counts, noise, found, many), few=False)


def _kernel(counts: Distribution, noise: MeasuredNoise, settings: MeasuredSettings) -> Kernel:
    """Number the strings, as narrowly as keeps most of them apart."""
    distinct = max(counts.n_outcomes, noise.patterns.n_outcomes)
    roomy = [width for width in settings.index_bits if 2.0**width >= settings.room * distinct]
    return noise.kernel(roomy[0] if roomy else settings.index_bits[-1])


@dataclass(frozen=True, eq=False)
class _Seen:
    """Counts, and the numbers of their strings."""

    counts: Distribution
    """The counts."""
    rows: Indices
    """(n_outcomes,) numbers."""
    size: int
    """How many numbers there are."""

    @cached_property
    def histogram(self) -> Floats:
        """Shots of each number, (size,)."""
        return np.bincount(self.rows, self.counts.weights, self.size).astype(np.float64)

    @cached_property
    def frequent(self) -> Indices:
        """Places in the counts, one a number, most frequent first: of hashed strings the most frequent is meant."""
        order = np.argsort(-self.counts.weights, kind="stable")
        return order[np.sort(np.unique(self.rows[order], return_index=True)[1])]

    def places(self, numbers: Indices) -> Indices:
        """Give the places of numbers in the counts."""
        of = np.zeros(self.size, dtype=np.intp)
        of[self.rows[self.frequent]] = self.frequent
        return of[numbers]


@dataclass(frozen=True, eq=False)
class _Explained:
    """The most likely distribution under a kernel."""

    ideal: Floats
    """(2^m,) the distribution."""
    scale: float
    """Multiple of the measured noise."""
    kernel: Kernel
    """At that scale."""
    deviance: float
    """Of the counts."""
    cells: float
    """Strings that are expected to be read, each counted up to one."""


def _explain(kernel: Kernel, histogram: Floats, rounds: int, scale: float = 1.0) -> _Explained:
    shots = float(histogram.sum())
    ideal = richardson_lucy(kernel.forward, kernel.adjoint, histogram / shots, rounds)
    return _Explained(ideal, scale, kernel, *_judged(kernel, ideal, histogram))


def _judged(kernel: Kernel, ideal: Floats, histogram: Floats) -> tuple[float, float]:
    """Give the deviance of counts from an ideal seen through a kernel, and how many strings this expects to be read."""
    expected = float(histogram.sum()) * np.maximum(kernel.forward(ideal), _TINY)
    return float(deviance(histogram, expected)), float(np.minimum(expected, 1.0).sum())


def _allowed(kernel: Kernel, histogram: Floats, settings: MeasuredSettings) -> _Explained:
    """Explain the counts by the measured noise, or by less where that explains them far better."""
    scales = settings.scales if kernel.index.n_index <= _SMALL else settings.scales[:1]
    slack, tried = settings.misfit * float(histogram.sum()), []
    for scale in scales:
        found = _explain(kernel if scale == 1 else kernel.scaled(scale), histogram, settings.rounds, scale)
        if found.deviance <= slack:
            return found
        tried.append(found)
    least = min(found.deviance for found in tried)
    return next(found for found in tried if found.deviance <= least + slack + 3 * np.sqrt(2 * max(found.cells, 4.0)))


def _few(found: _Explained, seen: _Seen, noise: MeasuredNoise, settings: MeasuredSettings) -> tuple[Few | None, bool]:
    """Find the strings that replace Richardson-Lucy's answer, if any do, and whether the answer explains the counts."""
    strings = seen.rows[seen.frequent]
    strings = strings[np.argsort(-found.ideal[strings], kind="stable")][: settings.most + 1]
    heights, shots = found.ideal[strings], seen.counts.shots
    most = int(min(settings.most, max(4.0, 2.0**seen.counts.n_bits / 4), len(strings)))
    few, bootstrap = None, _Bootstrap.of(found.kernel, shots, noise, settings)
    unlike = found.deviance > bootstrap.usual(found.ideal, found.cells, settings, refit=True)
    if not unlike:
        few = _weighed(found, seen, strings[:most], None, _ALL_NOISE)
        beyond, cells = _judged(found.kernel, few.ideal, seen.histogram)
        few = few if beyond <= bootstrap.usual(few.ideal, cells, settings, refit=False) else None
    k = _above_step(heights, shots, most, settings)
    tail = few is not None and 2 * k <= len(few.weights)  # as many light strings below a step: noise
    stepped = k > 0 and (unlike or tail or (few is None and not found.kernel.index.exact))
    if stepped:
        few = _weighed(found, seen, strings[:k], np.array([k]), None)
    if few is not None and noise_ratio(few.fidelity(seen.histogram), noise.survival) > settings.inflation:
        few = None
    return few, not (unlike or (stepped and few is not None))


@dataclass(frozen=True, eq=False)
class _Bootstrap:
    """Reference and counts drawn again (parametric bootstrap): what deviance shot noise makes."""

    kernel: Kernel
    """The measured one, at the scale in use."""
    others: tuple[Kernel, ...]
    """What other references would have measured, had this one measured the truth."""
    shots: int
    """Of the counts."""
    rng: np.random.Generator
    """Of the draws."""

    @classmethod
    def of(cls, kernel: Kernel, shots: float, noise: MeasuredNoise, settings: MeasuredSettings) -> _Bootstrap:
        """Draw references."""
        rng = np.random.default_rng(settings.seed)
        error = np.maximum(walsh(kernel.spectrum), 0.0)
        many = settings.draws if kernel.index.n_index <= _NARROW else 2
        patterns = rng.multinomial(max(1, round(noise.shots)), error / error.sum(), size=many).astype(np.float64)
        return cls(kernel, tuple(kernel_of(kernel.index, drawn) for drawn in patterns), max(1, round(shots)), rng)

    def usual(self, ideal: Floats, cells: float, settings: MeasuredSettings, *, refit: bool) -> float:
        """Give the largest deviance that shot noise accounts for, if the output is `ideal`, or is fitted anew."""
        noisy = np.maximum(self.kernel.forward(ideal), 0.0)
        found = []
        for other in self.others:
            drawn = self.rng.multinomial(self.shots, noisy / noisy.sum()).astype(np.float64)
            found.append(_explain(other, drawn, settings.rounds).deviance if refit else _judged(other, ideal, drawn)[0])
        spread = max(float(np.std(found, ddof=1)), 0.5 * float(np.sqrt(2 * cells)))
        return float(np.mean(found)) + settings.sigmas * spread


def _above_step(heights: Floats, shots: float, most: int, settings: MeasuredSettings) -> int:
    """How many strings lie above the largest step, three shots of noise allowed for; 0 where there is none."""
    below = np.append(heights, 0.0)[1 : most + 1]
    ratio = heights[:most] * shots / (below * shots + 3)
    enough = (ratio >= settings.step) & (np.cumsum(heights[:most]) >= settings.least)
    return int(np.argmax(np.where(enough, ratio, 0.0))) + 1 if enough.any() else 0


def _weighed(found: _Explained, seen: _Seen, strings: Indices, lengths: Indices | None, uniform: float | None) -> Few:
    """Weigh the first strings, for some lengths of the list; give those that describe the counts in the fewest nats."""
    counts, heights = seen.counts, found.ideal[strings]
    tried = weigh_prefixes(found.kernel, strings, seen.rows, counts.weights, heights, uniform, _WEIGHING, lengths)
    costs = prefix_costs(counts.words[seen.places(strings)], counts.n_bits, counts.shots)[tried.lengths - 1]
    net = (tried.explained - costs) / counts.shots
    best = int(np.argmax(net))
    k = tried.lengths[best]
    weights, share = tried.weights[best, :k], float(tried.uniform[best])
    return Few.of(strings[:k], weights, share, found.kernel, found.scale, float(net[best]))


def _remarks(noise: MeasuredNoise, found: _Explained) -> str:
    """Write what the end of every reason says of the reference."""
    words = [f"the reference kept {noise.survival:.0%} of its shots"]
    if found.scale != 1:
        words.append(
            f"the counts allow only {found.scale:g} times its noise: has it the two-qubit gates of this circuit?"
        )
    return "; ".join([*words, *noise.doubts])


def _left(counts: Distribution, noise: MeasuredNoise, found: _Explained, why: str) -> Mitigation:
    return left(counts, "measured", f"{why}; {_remarks(noise, found)}", noise.rates)


def _sparse(seen: _Seen, noise: MeasuredNoise, found: _Explained, few: Few) -> Mitigation:
    k, counts = len(few.weights), seen.counts
    places = seen.places(few.strings)
    return Mitigation(
        distribution=Distribution(counts.bits[places], few.weights * counts.shots),
        raw=counts,
        method="measured",
        applied=True,
        share=1.0,
        confidence=None,
        reason=f"{k} string{'s' if k > 1 else ''} seen through the measured noise explain{'' if k > 1 else 's'} the "
        f"counts; {_remarks(noise, found)}",
        centroids=counts.bits[places],
        weights=few.weights,
        rates=noise.rates,
        response=few.response(seen.rows, counts.weights, counts.words[places]),
    )


def _dense(seen: _Seen, noise: MeasuredNoise, found: _Explained) -> Mitigation:
    counts = seen.counts
    broad = variational(found.kernel, seen.histogram)
    if float(np.sqrt(broad.ideal[seen.rows] * counts.weights / counts.shots).sum()) ** 2 >= _SAME:
        return _left(counts, noise, found, "undoing the measured noise changes nothing")
    rows = np.flatnonzero(broad.ideal > _NEGLIGIBLE)
    kept = broad.ideal[rows] / broad.ideal[rows].sum()
    return Mitigation(
        distribution=Distribution(index_bits(rows, counts.n_bits), kept * counts.shots),
        raw=counts,
        method="measured",
        applied=True,
        share=1.0,
        confidence=None,
        reason=f"deconvolution under the measured noise; {_remarks(noise, found)}",
        centroids=np.zeros((0, counts.n_bits), dtype=bool),
        weights=np.zeros(0),
        rates=noise.rates,
        response=Redrawn(found.kernel, seen.rows, broad),
    )
