"""Mitigation under noise that a reference circuit measured: a few strings where these show, else deconvolution.

Richardson-Lucy finds the most likely distribution under the measured kernel. If it explains the counts, the answer is a
few strings that explain them as well (a description length, then an F test), or else deconvolution by variational
Bayes. If it does not, the circuit's noise is not quite the reference's, since a fault in the middle of a circuit flips
other bits there: what lies far below the heaviest strings, beyond a visible step, is then as likely noise as output,
and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import attrs
import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.dense.richardson_lucy import richardson_lucy
from qcluster.core.dense.variational import Redrawn, variational
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.measured import MeasuredNoise, kernel_of
from qcluster.core.settings import within
from qcluster.core.sparse.under_kernel import Observed, noise_ratio, reweight
from qcluster.core.stats.goodness import deviance
from qcluster.core.stats.walsh import walsh
from qcluster.core.uncertainty.response import Weighed

_NEGLIGIBLE = 1e-9
"""Probability below which a string of a broad output is left out."""
_ALL_NOISE = 1e-3
"""Share of uniform noise where the measured noise explains the counts: it holds all noise there is."""
_SMALL = 12
"""Index bits up to which less noise than measured is tried."""
_NARROW = 16
"""Index bits up to which all draws are made; beyond, two."""
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
    kernel, seen = _located(counts, noise, settings)
    histogram = seen.histogram(kernel.size)
    found = _allowed(kernel, histogram, settings)
    if not noise.clear:
        return MeasuredFit(_left(counts, noise, found, "the reference is drowned in noise"), few=False)
    few, explained = _few(found, seen, histogram, noise, settings)
    if few is not None:
        held = float(found.ideal[seen.rows[few.rows]].sum())
        return MeasuredFit(_sparse(counts, noise, found, few), few=True, explained=explained, held=held)
    if kernel.index.exact and counts.n_bits <= settings.widest:
        return MeasuredFit(_dense(counts, noise, seen, found), few=False, explained=explained)
    many = (
        f"no few strings explain the counts under the measured noise, and {counts.n_bits} bits are too many for a "
        "broad output"
    )
    return MeasuredFit(_left(counts, noise, found, many), few=False)


def _located(counts: Distribution, noise: MeasuredNoise, settings: MeasuredSettings) -> tuple[Kernel, Observed]:
    """Number the strings, as narrowly as keeps most of them apart."""
    distinct = max(counts.n_outcomes, noise.patterns.n_outcomes)
    roomy = [width for width in settings.index_bits if 2.0**width >= settings.room * distinct]
    kernel = noise.kernel(roomy[0] if roomy else settings.index_bits[-1])
    return kernel, Observed(counts.words, kernel.locate(counts.words), counts.weights, counts.n_bits)


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


@dataclass(frozen=True, eq=False)
class _Few:
    """A few strings under the kernel."""

    rows: NDArray[np.int64]
    """(k,) rows of the observed strings, heaviest first."""
    weights: Floats
    """(k,) sum 1."""
    uniform: float
    """Share of uniform noise."""
    columns: Floats
    """(n_rows, k) probability of each observed string under each."""
    raw: float
    """Fidelity of the counts to the strings."""

    def ideal(self, seen: Observed, size: int) -> Floats:
        """Probability of each number, uniform share included, (2^m,)."""
        vector = np.full(size, self.uniform / size)
        np.add.at(vector, seen.rows[self.rows], (1 - self.uniform) * self.weights)
        return vector


def _few(
    found: _Explained, seen: Observed, histogram: Floats, noise: MeasuredNoise, settings: MeasuredSettings
) -> tuple[_Few | None, bool]:
    """Find the strings that replace Richardson-Lucy's answer, if any do, and whether the answer explains the counts."""
    shots = float(histogram.sum())
    order = _heaviest(found.ideal, seen, settings.most + 1)
    heights = found.ideal[seen.rows[order]]
    most = int(min(settings.most, max(4.0, 2.0**seen.n_bits / 4), len(order)))
    few, bootstrap = None, _Bootstrap.of(found.kernel, shots, noise, settings)
    unlike = found.deviance > bootstrap.usual(found.ideal, found.cells, settings, refit=True)
    if not unlike:
        few = _shortest(found.kernel, seen, order[:most], heights[:most])
        ideal = few.ideal(seen, found.kernel.size)
        beyond, cells = _judged(found.kernel, ideal, histogram)
        few = few if beyond <= bootstrap.usual(ideal, cells, settings, refit=False) else None
    k = _above_step(heights, shots, most, settings)
    tail = few is not None and 2 * k <= len(few.weights)  # as many light strings below a step: noise
    stepped = k > 0 and (unlike or tail or (few is None and not found.kernel.index.exact))
    if stepped:
        few = _fit(found.kernel, seen, order[:k], heights[:k])
    if few is not None and noise_ratio(few.raw, noise.survival) > settings.inflation:
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


def _heaviest(ideal: Floats, seen: Observed, many: int) -> NDArray[np.int64]:
    """Rows by falling weight in the answer; of hashed strings with one number, the most frequent."""
    frequent = np.argsort(-seen.shots, kind="stable")
    _, first = np.unique(seen.rows[frequent], return_index=True)
    frequent = frequent[np.sort(first)]
    return frequent[np.argsort(-ideal[seen.rows[frequent]], kind="stable")][:many]


def _above_step(heights: Floats, shots: float, most: int, settings: MeasuredSettings) -> int:
    """How many strings lie above the largest step, three shots of noise allowed for; 0 where there is none."""
    below = np.append(heights, 0.0)[1 : most + 1]
    ratio = heights[:most] * shots / (below * shots + 3)
    enough = (ratio >= settings.step) & (np.cumsum(heights[:most]) >= settings.least)
    return int(np.argmax(np.where(enough, ratio, 0.0))) + 1 if enough.any() else 0


def _shortest(kernel: Kernel, seen: Observed, order: NDArray[np.int64], heights: Floats) -> _Few:
    """Choose how many of the heaviest strings describe the counts in the fewest nats."""
    costs, columns = seen.costs(order), seen.columns(kernel, order)
    best, shortest = None, np.inf
    many = np.unique(np.r_[np.arange(1, min(len(order), 12) + 1), np.geomspace(12, max(len(order), 12), 9).astype(int)])
    for k in many[many <= len(order)]:
        weights, likelihood = _weigh(columns[:, :k], seen, kernel.size, heights[:k], _ALL_NOISE)
        length = costs[k - 1] - likelihood
        if length < shortest:
            best, shortest = (k, weights), length
    assert best is not None
    return _by_weight(seen, order[: best[0]], columns[:, : best[0]], best[1])


def _fit(kernel: Kernel, seen: Observed, rows: NDArray[np.int64], heights: Floats) -> _Few:
    columns = seen.columns(kernel, rows)
    return _by_weight(seen, rows, columns, _weigh(columns, seen, kernel.size, heights, None)[0])


def _weigh(columns: Floats, seen: Observed, size: int, heights: Floats, uniform: float | None) -> tuple[Floats, float]:
    """Shares of uniform noise (held where it is given) and of each string, and their log-likelihood."""
    share = 0.05 if uniform is None else uniform
    flat = np.full((len(columns), 1), 1.0 / size)
    shares = heights / heights.sum()
    if uniform is None:
        return reweight(np.hstack([flat, columns]), seen.shots, np.r_[share, (1 - share) * shares], 60)
    shares, likelihood = reweight((1 - share) * columns + share * flat, seen.shots, shares, 60)
    return np.r_[share, (1 - share) * shares], likelihood


def _by_weight(seen: Observed, rows: NDArray[np.int64], columns: Floats, weights: Floats) -> _Few:
    shares = weights[1:] / weights[1:].sum()
    order = np.argsort(-shares, kind="stable")
    rows, shares = rows[order], shares[order]
    raw = float(np.sqrt(shares * seen.shots[rows] / seen.shots.sum()).sum() ** 2)
    return _Few(rows, shares, float(weights[0]), columns[:, order], raw)


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


def _sparse(counts: Distribution, noise: MeasuredNoise, found: _Explained, few: _Few) -> Mitigation:
    k = len(few.weights)
    shares = np.r_[(1 - few.uniform) * few.weights, few.uniform]
    columns = np.hstack([few.columns, np.full((len(few.columns), 1), 1.0 / found.kernel.size)])
    centroids = counts.bits[few.rows]
    return Mitigation(
        distribution=Distribution(centroids, few.weights * counts.shots),
        raw=counts,
        method="measured",
        applied=True,
        share=1.0,
        confidence=None,
        reason=f"{k} string{'s' if k > 1 else ''} seen through the measured noise explain{'' if k > 1 else 's'} the "
        f"counts; {_remarks(noise, found)}",
        centroids=centroids,
        weights=few.weights,
        rates=noise.rates,
        response=Weighed(counts.weights, columns, shares, counts.words[few.rows]),
    )


def _dense(counts: Distribution, noise: MeasuredNoise, seen: Observed, found: _Explained) -> Mitigation:
    broad = variational(found.kernel, seen.histogram(found.kernel.size))
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
