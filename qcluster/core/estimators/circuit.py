"""Mitigation under the noise kernel of the compiled circuit: Richardson-Lucy, or a few strings where they are certain.

Richardson-Lucy under the circuit's own kernel is the answer; a few strings seen through the same kernel replace it
where they explain the counts as well as any distribution does. Wide registers know only strings; where these do not
explain the counts, `CircuitFit.believed` says that methods without a calibration may know better.
"""

from __future__ import annotations

from dataclasses import dataclass

import attrs
import numpy as np
from numpy.typing import NDArray

from qcluster.core.counts.bits import Bits, index_bits, unpack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.dense.richardson_lucy import Resharpened, Scaled, allowed
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.core.settings import Kind, within
from qcluster.core.sparse.under_kernel import Observed, SparseFit, SparseSettings, likelihoods, sparse_mixture
from qcluster.core.stats.goodness import misfit
from qcluster.core.stats.special import perplexity
from qcluster.core.uncertainty.response import Response, Weighed

Floats = NDArray[np.float64]

_NEGLIGIBLE = 1e-9
"""Probability below which a string of a broad output is left out."""
_SAME = 0.999
"""Fidelity between answer and counts from which the counts are left as they came."""
_HARDLY_ANY = 0.01
"""Share of shots without a fault below which agreement with the calibration is no news."""


@attrs.frozen
class CircuitSettings:
    """Constants of circuit-aware mitigation; a value out of its range is a ValueError, another type a TypeError."""

    index_bits: tuple[int, ...] = within((16, 18, 20), 1, 24, whole=True, several=True)
    """Strings wider than this are hashed to so many bits (see `qcluster.core.stats.walsh`): the first width with
    `room`; each in [1, 24]."""
    room: float = within(6.0, 0, open_low=True)
    """Numbers that there must be for each distinct string; in (0, inf)."""
    sparse: SparseSettings = attrs.field(factory=SparseSettings, validator=Kind(SparseSettings))
    """Of the sparse mixture."""
    distrust: float = within(0.1, 0, 1, open_low=True)
    """What is left of the calibration's weight when it is asked again, because few strings under it did not do; in
    (0, 1]."""
    sigmas: float = within(1.5, 0)
    """Deviance beyond shot noise up to which a few strings explain the counts; in [0, inf)."""
    near: float = within(0.003, 0)
    """What 2^n / 8 strings may leave unexplained beyond shot noise, as a share of what they explain; fewer strings may
    leave more, up to three times. With many shots even small faults that are no Pauli errors show; in [0, inf)."""
    left: float = within(0.03, 0)
    """What very few strings (one of 256 at most) may leave unexplained, as a share of what they explain; and what one
    standard deviation of it may be, for any; in [0, inf)."""
    least_said: float = within(0.4, 0)
    """Nats per shot that a few strings must explain, over uniform noise; in [0, inf)."""
    inflation: float = within(2.5, 0, open_low=True)
    """How many times as much noise as calibrated (in -ln of the raw fidelity) a few strings may need. A smooth output
    of few shots passes for four strings and three times the noise; in (0, inf)."""
    more: float = within(1.2, 0, open_low=True)
    """The same where there is a broad answer. Right strings need up to 1.17 times the noise of a calibration that is
    right, and small tails of an ideal that are taken for flips 1.25 times and more (benchmarks/outside.py); in
    (0, inf)."""
    alike: float = within(0.75, 0, 1)
    """Least fidelity of a few strings to the broad answer; in [0, 1]."""
    widest: int = within(16, 0, 24, whole=True)
    """Most bits of a broad output; in [0, 24]."""
    scales: tuple[float, ...] = within((2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.0), 0, several=True)
    """Multiples of the calibrated noise that are tried. Where counts allow none but 0, they refute the calibration;
    each in [0, inf)."""
    misfit: float = within(0.01, 0)
    """Deviance per shot that the kernel leaves by itself, beyond shot noise, and Richardson-Lucy does not make good; in
    [0, inf)."""
    rounds: int = within(20, 1, whole=True)
    """Of Richardson-Lucy, accelerated; in [1, inf)."""
    seed: int = within(0, 0, whole=True)
    """Of the pseudo-counts; in [0, inf)."""


@dataclass(frozen=True, eq=False)
class CircuitFit:
    """The outcome of `mitigate_circuit`, with what was predicted and what was seen."""

    distribution: Distribution
    """The estimate, with as many shots as the input; the input itself where nothing was applied."""
    applied: bool
    """False when the counts are returned as they came."""
    believed: bool
    """False when the circuit's faults do not explain the counts."""
    kind: str
    """``"sparse"``, ``"dense"``, or ``"none"``."""
    share: float
    """How much of the answer is mitigated, 0 or 1."""
    reason: str
    """What was done and why, in one sentence."""
    predicted_raw: float
    """Fidelity that the calibration expects of raw counts, if the estimate is right; shot noise included."""
    observed_raw: float
    """Fidelity of the counts to the estimate."""
    centroids: Bits
    """(k, n_bits) strings of a sparse estimate, heaviest first; none for a dense one."""
    weights: Floats
    """(k,) their shares."""
    rates: Floats
    """(n_bits, 2) P(read 1|0) and P(read 0|1) of each bit by itself, as used."""
    response: Response | None = None
    """How the answer moves when the shots are drawn anew; None where it is the counts themselves."""


def mitigate_circuit(
    counts: Distribution, faults: FaultMasks, *, settings: CircuitSettings | None = None
) -> CircuitFit:
    """Estimate the ideal distribution from counts and the fault patterns of the compiled circuit.

    Args:
        counts: measured, twirls undone.
        faults: from `qcluster.device.fault_masks`; `FaultMasks.symmetrised` if measurements were twirled.
        settings: constants.

    Returns:
        CircuitFit. Cost: transforms of 2^min(n_bits, 16) numbers, up to 2^20 where wide counts are mostly noise: half
        a second for 12 bits, some 10 s for 16 and above, whatever the width; memory some 200 MB.

    Raises:
        ValueError: the widths differ, or there are no counts.

    Example:
        >>> masks = np.array([[1], [2], [3]], dtype=np.uint64)
        >>> faults = FaultMasks(2, masks, np.full(3, 0.05), np.zeros(3, dtype=np.uint8), np.full((2, 2), 0.02))
        >>> fit = mitigate_circuit(Distribution.of({"00": 450, "11": 440, "01": 55, "10": 55}), faults)
        >>> fit.applied, sorted(fit.distribution.top(2))
        (True, ['00', '11'])
    """
    settings = settings or CircuitSettings()
    if counts.n_bits != faults.n_bits:
        raise ValueError(f"counts and faults must have one width; got {counts.n_bits} and {faults.n_bits} bits")
    if not counts.n_outcomes:
        raise ValueError("counts must hold at least one shot; got none")
    kernel, seen = _located(counts, faults, settings)
    whole = float(np.exp(-faults.expected_faults))
    rng = np.random.default_rng(settings.seed)
    wide = counts.n_bits > settings.widest or not kernel.index.exact
    histogram = seen.histogram(kernel.size)
    found = None if wide else allowed(kernel, histogram, settings.scales, settings.rounds, settings.misfit)
    few = _few(kernel, seen, found, settings, rng)
    if few is not None:
        return _sparse(counts, seen, few, faults)
    if found is None:
        return _left(
            counts,
            kernel,
            faults,
            "no few strings explain the counts under the circuit's faults, and there are too few shots for many",
        )
    unmoved = fidelity(histogram / counts.shots, found.ideal) > _SAME
    if whole < _HARDLY_ANY and (unmoved or not found.scale):
        return _left(
            counts,
            kernel,
            faults,
            f"by the calibration {whole:.1%} of the shots come through without a fault, so that the counts say next to "
            "nothing about the circuit",
            believed=True,
        )
    if not found.scale:
        return _left(
            counts, kernel, faults, "the counts are sharper than the calibration's noise allows, however it is scaled"
        )
    return _dense(counts, kernel, seen, found, faults, settings, rng)


def _located(counts: Distribution, faults: FaultMasks, settings: CircuitSettings) -> tuple[Kernel, Observed]:
    """Number the strings, as narrowly as keeps most of them apart."""
    roomy = [width for width in settings.index_bits if 2.0**width >= settings.room * counts.n_outcomes]
    kernel = Kernel.of(faults, roomy[0] if roomy else settings.index_bits[-1])
    return kernel, Observed(counts.words, kernel.locate(counts.words), counts.weights, counts.n_bits)


@dataclass(frozen=True, eq=False)
class _Few:
    """A sparse fit that stands."""

    fit: SparseFit
    excess: float
    sigmas: float
    predicted: float
    observed: float


def _few(
    kernel: Kernel, seen: Observed, broad: Scaled | None, settings: CircuitSettings, rng: np.random.Generator
) -> _Few | None:
    """Look for a few strings that explain the counts, first near the calibration, then, if very few do, further off.

    Too few shots cannot refute a wrong answer: one standard deviation of the deviance must be small, too. What only
    nearly explains the counts near the calibration is the last resort. Where there is a broad answer, strings must
    explain the counts as well as it does.
    """
    nearly: _Few | None = None
    histogram = seen.histogram(kernel.size)
    shots, strings = float(histogram.sum()), 2.0**seen.n_bits
    most = max(4.0, strings / 8)
    if broad is not None and perplexity(broad.ideal) > 2 * most:
        return None
    for trust in (1.0, settings.distrust):
        few = settings.sparse
        if trust < 1:
            few = attrs.evolve(few, strength=few.strength * trust, slack=2 * few.slack)
        fit = sparse_mixture(kernel, seen, few)
        noisy_fit = fit.kernel.forward(fit.ideal(seen.rows))
        excess, sigmas = misfit(noisy_fit, histogram)
        ideal = np.zeros(kernel.size)
        np.add.at(ideal, seen.rows[fit.centroids], fit.weights)
        noisy = _noisy(kernel, ideal)
        predicted = _raw_fidelity(noisy, ideal, shots, rng)
        observed = fidelity(histogram / shots, ideal)
        k = len(fit.weights)
        said = fit.log_likelihood / shots + np.log(kernel.size)
        if said < settings.least_said or abs(excess) > settings.left * said * abs(sigmas):
            return nearly
        expected = noisy if broad is None else _noisy(kernel, ideal)
        noise = np.log(observed) / np.log(min(fidelity(expected, ideal), 0.97))
        safe = noise <= settings.inflation if broad is None else _safe(broad, ideal, float(noise), settings)
        explained = k <= most and k < few.most and sigmas <= settings.sigmas
        if trust < 1:
            explained = k <= strings / 256 and (sigmas <= settings.sigmas or excess <= settings.left * said)
        if explained and safe:
            return _Few(fit, excess, sigmas, predicted, observed)
        near = excess <= settings.near * said * min(3.0, np.sqrt(most / k))
        if trust == 1 and near and safe and k <= most and k < few.most:
            nearly = _Few(fit, excess, sigmas, predicted, observed)
        if k > max(4.0, strings / 64):
            break
    return nearly


def _safe(broad: Scaled, ideal: Floats, noise: float, settings: CircuitSettings) -> bool:
    """Tell whether a few strings may replace Richardson-Lucy's answer: no more noise than calibrated, and no stranger.

    Rates of their own let one string and more flips explain what is a tail of the ideal, so that the noise they need is
    judged by the calibration alone.
    """
    return noise <= settings.more and fidelity(broad.ideal, ideal) >= settings.alike


def fidelity(p: Floats, q: Floats) -> float:
    """Give the Hellinger fidelity of two vectors of probabilities."""
    return float(min(1.0, np.sqrt(np.maximum(p * q, 0.0)).sum() ** 2))


def _raw_fidelity(noisy: Floats, ideal: Floats, shots: float, rng: np.random.Generator) -> float:
    drawn = rng.multinomial(max(1, round(shots)), noisy)
    return fidelity(drawn / drawn.sum(), ideal)


def _noisy(kernel: Kernel, ideal: Floats) -> Floats:
    noisy = kernel.forward(ideal)
    return np.asarray(noisy / noisy.sum())


def _flip_rates(kernel: Kernel, faults: FaultMasks) -> Floats:
    """Give P(read 1|0), P(read 0|1), (n_bits, 2): an odd number of faults, then a one-sided decay; see `Kernel.of`."""
    patterns = np.vstack([unpack(faults.masks, faults.n_bits), np.eye(faults.n_bits, dtype=bool)])
    flips = -0.5 * np.expm1(-2 * (kernel.rates @ patterns))
    rises, falls = np.maximum(-kernel.decays, 0.0), np.maximum(kernel.decays, 0.0)
    return np.stack([flips * (1 - falls) + (1 - flips) * rises, flips * (1 - rises) + (1 - flips) * falls], axis=1)


def _agreement(predicted: float, observed: float) -> str:
    verdict = "counts agree" if abs(predicted - observed) <= 0.05 else f"counts show {observed:.0%}"
    return f"calibration predicts {predicted:.0%} raw fidelity, {verdict}"


def _sparse(counts: Distribution, seen: Observed, few: _Few, faults: FaultMasks) -> CircuitFit:
    found = few.fit
    centroids, k = counts.bits[found.centroids], len(found.weights)
    return CircuitFit(
        distribution=Distribution(centroids, found.weights * counts.shots),
        applied=True,
        believed=True,
        kind="sparse",
        share=1.0,
        reason=f"{k} string{'s' if k > 1 else ''} seen through the circuit's faults explain the counts; "
        + _agreement(few.predicted, few.observed),
        predicted_raw=few.predicted,
        observed_raw=few.observed,
        centroids=centroids,
        weights=found.weights,
        rates=_flip_rates(found.kernel, faults),
        response=_weighed(counts, seen, found),
    )


def _weighed(counts: Distribution, seen: Observed, found: SparseFit) -> Weighed:
    """Hold strings and kernel, so that the strings can be weighed anew for redrawn shots."""
    flat = np.full((counts.n_outcomes, 1), 1.0 / found.kernel.size)
    columns = np.hstack([likelihoods(found.kernel, seen, found.centroids), flat])
    shares = np.r_[(1 - found.uniform) * found.weights, found.uniform]
    return Weighed(counts.weights, columns, shares, counts.words[found.centroids])


def _left(
    counts: Distribution, kernel: Kernel, faults: FaultMasks, reason: str, *, believed: bool = False
) -> CircuitFit:
    return CircuitFit(
        distribution=counts,
        applied=False,
        believed=believed,
        kind="none",
        share=0.0,
        reason=f"left as is: {reason}",
        predicted_raw=np.nan,
        observed_raw=np.nan,
        centroids=np.zeros((0, counts.n_bits), dtype=bool),
        weights=np.zeros(0),
        rates=_flip_rates(kernel, faults),
    )


def _dense(
    counts: Distribution, kernel: Kernel, seen: Observed, found: Scaled, faults: FaultMasks,
    settings: CircuitSettings, rng: np.random.Generator,
) -> CircuitFit:  # fmt: skip
    frequencies = seen.histogram(found.kernel.size) / counts.shots
    predicted = _raw_fidelity(_noisy(kernel, found.ideal), found.ideal, counts.shots, rng)
    observed = fidelity(frequencies, found.ideal)
    said = _agreement(predicted, observed)
    applied = observed < _SAME
    if applied:
        rows = np.flatnonzero(found.ideal > _NEGLIGIBLE)
        kept = found.ideal[rows] / found.ideal[rows].sum()
        distribution = Distribution(index_bits(rows, counts.n_bits), kept * counts.shots)
        noise = "the calibrated noise" if found.scale == 1 else f"{found.scale:g} times the calibrated noise"
        reason = f"Richardson-Lucy deconvolution under the circuit's faults, at {noise}; {said}"
    else:
        distribution = counts
        reason = f"left as is: undoing the circuit's faults changes nothing; {said}"
    return CircuitFit(
        distribution=distribution,
        applied=applied,
        believed=True,
        kind="dense" if applied else "none",
        share=float(applied),
        reason=reason,
        predicted_raw=predicted,
        observed_raw=observed,
        centroids=np.zeros((0, counts.n_bits), dtype=bool),
        weights=np.zeros(0),
        rates=_flip_rates(found.kernel, faults),
        response=Resharpened(found, seen.rows, settings.rounds) if applied else None,
    )
