"""Fault rates learned from a reference circuit: how far off the calibration is, place by place.

A reference has the same gates at the same places as its circuit, and hence the same faults, although these flip other
bits. From its counts, a factor on the calibrated rates is learned for each place (a pair of qubits with gates, a qubit
that is idle, a bit that is read). The same factors apply to the circuit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import pack, parse_bitstrings, unpack
from qcluster.core.noise.faults import CROSSTALK, GATE, IDLE, READOUT, FaultMasks, merge_masks, scaled_readout
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.walsh import LinearIndex, convolve
from qcluster.device.noise.faults import Located, RunLike, as_twirled, fault_arguments, located_faults

if TYPE_CHECKING:
    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

_INDEX_BITS = 16
"""Wider patterns are hashed to this number of bits."""
_ROUNDS = 100
"""Number of rounds of expectation maximisation."""
_PRIOR_WIDTHS = {"pair": 0.7, "idle": 0.7, "gate": 0.2, "readout": 0.3}
"""Width of the Cauchy prior on the logarithm of a factor, by kind of place: smaller for what is calibrated daily and
directly."""
_CROSSTALK_RATE = 1e-4
"""Prior rate per shot of crosstalk between two neighbours, which no calibration lists."""
_CROSSTALK_WIDTH = 3.0
"""Width of the prior on the logarithm of its factor."""


@dataclass(frozen=True, eq=False)
class Learned:
    """Factors on a calibration's fault rates that were learned from a reference."""

    places: tuple[tuple[Any, ...], ...]
    """As in `Located`, followed by ("readout", bit) for each bit."""
    factors: Floats
    """(n_places,) fault rate divided by the calibrated one; for crosstalk the rate in units of 1e-4 per shot."""
    faults: Floats
    """(n_places,) estimated number of faults in the reference's counts, on which each factor is based."""
    expected: Floats
    """(n_places,) number of faults that the calibration predicts for as many shots."""
    survival: float
    """Share of shots that read the expected string, as predicted by the calibration."""
    flips: Floats
    """(n_bits,) probability that each bit is flipped, as predicted by the calibration."""


def learn(
    references: Sequence[tuple[Profile, str, Distribution, Floats]], calibration: Calibration, *, idle: bool
) -> Learned:
    """Learn a factor on the calibrated fault rate of each place from the counts of references.

    The factors are found by expectation maximisation, with the calibration as prior. The number of faults of each
    pattern is Poisson-distributed, and its posterior mean is a correlation, computed in the Walsh domain (see
    `qcluster.core.noise.kernel.learn_rates`). It is divided among places in proportion to their rates. The logarithm of
    a factor has a Cauchy prior: one place with a large deviation is likelier than several with smaller ones.

    Args:
        references: references of one circuit, each as its profile, expected string, counts, and the share of twirls
            (n_bits,) in which each bit was flipped before it was read.
        calibration: calibration that the machine published.
        idle: whether idle times count, as in `qcluster.device.noise.faults.fault_masks`.

    Returns:
        Learned. Cost: some 400 transforms of 2^n numbers, n at most 16: 0.1 s for 10 bits, 3 s from 16.

    Raises:
        ValueError, CalibrationError: as in `qcluster.device.noise.faults.fault_masks`.
    """
    parts = [_part(*each, calibration, idle=idle) for each in references]
    places = tuple(dict.fromkeys(place for part in parts for place in part.places))
    index = {place: k for k, place in enumerate(places)}
    at = [np.array([index[place] for place in part.places], dtype=np.int64)[part.place] for part in parts]
    exposure = np.sum(
        [np.bincount(k, part.rates, len(places)) * part.seen.sum() for part, k in zip(parts, at, strict=True)], axis=0
    )
    factors, faults = _maximise(parts, at, _prior_widths(places), exposure)
    share = np.array([part.seen.sum() for part in parts])
    share /= share.sum()
    survival = np.array([part.kernel(part.rates).patterns[0] for part in parts])
    flips = np.asarray(share @ np.array([part.flips for part in parts]))
    return Learned(places, factors, faults, exposure, float(share @ survival), flips)


def log_spreads(
    references: Sequence[tuple[Profile, str, Distribution, Floats]],
    twirl_counts: Sequence[Sequence[Distribution]],
    calibration: Calibration,
    learned: Learned,
    *,
    idle: bool,
) -> Floats:
    """Find the standard deviation of the logarithm of each learned factor.

    The covariance at the most probable factors is the inverse of the information in the counts and the prior (Laplace's
    approximation). So places whose faults flip the same bits, and cannot be told apart, are uncertain. The number of
    faults at a place also differs from twirl to twirl, because a qubit decays from 1 only, and coherent errors depend
    on the Paulis. The variance between twirls beyond that of shot noise is added (the sandwich estimator of clustered
    data).

    Args:
        references, calibration, idle: as `learn` got them.
        twirl_counts: counts of each reference, twirl by twirl; empty, or one, where nothing is known of their scatter.
        learned: what `learn` returned.

    Returns:
        (n_places,) floats. Cost: two transforms of 2^n numbers for each place, n at most 16.
    """
    index = {place: k for k, place in enumerate(learned.places)}
    precision = np.diag(_prior_precision(np.log(learned.factors), _prior_widths(learned.places)))
    shot_noise, scores = np.zeros_like(precision), [np.zeros((1, len(index)))]
    for reference, counts in zip(references, twirl_counts, strict=True):
        part = _part(*reference, calibration, idle=idle)
        at = np.array([index[place] for place in part.places], dtype=np.int64)[part.place]
        score, read = _scores(part, at, learned.factors), np.flatnonzero(part.seen)
        information = (score * part.seen[read]) @ score.T
        precision += information
        if len(counts) > 1:
            shot_noise += information
            of_twirls = [score @ _patterns(part.index, reference[1], twirl)[read] for twirl in counts]
            scores.append(np.sqrt(len(counts) / (len(counts) - 1)) * np.array(of_twirls))
    covariance = np.linalg.inv(precision)
    between = ((np.vstack(scores) @ covariance) ** 2).sum(axis=0)
    excess = np.maximum(between - np.diag(covariance @ shot_noise @ covariance), 0.0)
    return np.asarray(np.sqrt(np.diag(covariance) + excess))


def _scores(part: _Part, at: npt.NDArray[np.int64], factors: Floats) -> Floats:
    """Return the score of each place's log factor in a shot, (n_places, n_read), for each pattern number that was read:
    the expected number of faults there, given the pattern, less its mean over the shots."""
    scaled = part.rates * factors[at]
    kernel, read = part.kernel(scaled), np.flatnonzero(part.seen)
    noisy = _likelihood(part, kernel)[read]
    faults = np.zeros((len(factors), len(read)))
    for place in np.unique(at):
        mine = at == place
        patterns = np.bincount(part.shifts[mine], scaled[mine], kernel.size).astype(np.float64)
        faults[place] = convolve(patterns, kernel.spectrum)[read] / noisy
    weights = part.seen[read]
    return np.asarray(faults - (faults @ weights / weights.sum())[:, None])


@dataclass(frozen=True, eq=False)
class _Part:
    """One reference: the faults that the calibration predicts, and the flip patterns in its counts."""

    index: LinearIndex
    """Maps patterns to numbers."""
    places: tuple[tuple[Any, ...], ...]
    """As in `Learned`, for this reference alone."""
    place: npt.NDArray[np.int64]
    """(n_masks,) index into `places`."""
    shifts: npt.NDArray[np.int64]
    """(n_masks,) number of each fault's pattern."""
    rates: Floats
    """(n_masks,) expected number of each fault per shot."""
    seen: Floats
    """(2^m,) number of shots with each pattern."""
    flips: Floats
    """(n_bits,) predicted probability that each bit is flipped."""

    def kernel(self, rates: Floats) -> Kernel:
        """Return the noise kernel of these faults at the given rates."""
        return Kernel.of_patterns(self.index, self.shifts, rates)


def _part(
    profile: Profile, expected: str, counts: Distribution, flipped: Floats, calibration: Calibration, *, idle: bool
) -> _Part:
    """Prepare one reference: predict its faults, and count the flip patterns that it read."""
    located = located_faults(profile.circuit, calibration, idle=idle, dt=profile.dt)
    n_bits = located.n_bits
    index = LinearIndex(n_bits, _INDEX_BITS)
    sent = parse_bitstrings([expected])[0]
    as_sent, as_flipped = (located.readout[np.arange(n_bits), value.astype(int)] for value in (sent, ~sent))
    readout = (1 - flipped) * as_sent + flipped * as_flipped
    readout_rates = -0.5 * np.log1p(-2 * np.minimum(readout, 0.49))
    return _Part(
        index=index,
        places=(*located.places, *(("readout", bit) for bit in range(n_bits))),
        place=np.r_[located.place, len(located.places) + np.arange(n_bits)],
        shifts=index.of(np.vstack([located.masks, pack(np.eye(n_bits, dtype=bool))])),
        rates=np.r_[_with_crosstalk(located), np.maximum(readout_rates, 1e-7)],
        seen=_patterns(index, expected, counts),
        flips=-0.5 * np.expm1(-2 * (located.rates @ unpack(located.masks, n_bits) + readout_rates)),
    )


def _patterns(index: LinearIndex, expected: str, counts: Distribution) -> Floats:
    """Return the number of shots (2^m,) with each flip pattern."""
    return index.vector(pack(counts.bits ^ parse_bitstrings([expected])[0]), counts.weights)


def _likelihood(part: _Part, kernel: Kernel) -> Floats:
    """Return the probability (2^m,) of each pattern under a kernel, but none that is too small to divide by."""
    return np.asarray(np.maximum(kernel.patterns, 1e-3 / (part.seen.sum() * kernel.size)))


def _with_crosstalk(located: Located) -> Floats:
    """Return the rates (n_masks,) of located faults, with the prior rate for crosstalk."""
    crosstalk = np.array([name == "crosstalk" for name, *_ in located.places], dtype=bool)
    return np.where(crosstalk[located.place], _CROSSTALK_RATE, located.rates)


def _maximise(
    parts: Sequence[_Part], at: Sequence[npt.NDArray[np.int64]], width: Floats, exposure: Floats
) -> tuple[Floats, Floats]:
    """Find the most probable factors by expectation maximisation, over all references together.

    Args:
        parts: the references.
        at: for each of them, the (n_masks,) indices of its faults' places among all places.
        width: (n_places,) prior width of the logarithm of each factor.
        exposure: (n_places,) number of faults that the calibration predicts.

    Returns:
        (n_places,) factors, and the (n_places,) expected numbers of faults.
    """
    n_places = len(width)
    factors, faults = np.ones(n_places), np.zeros(n_places)
    for _ in range(_ROUNDS):
        faults = np.zeros(n_places)
        for part, place in zip(parts, at, strict=True):
            scaled = part.rates * factors[place]
            kernel = part.kernel(scaled)
            correlation = convolve(part.seen / _likelihood(part, kernel), kernel.spectrum)
            faults += np.bincount(place, scaled * np.maximum(correlation[part.shifts], 0.0), n_places)
        factors = _most_probable(faults, exposure, factors, width)
    return factors, faults


def _prior_widths(places: Sequence[tuple[Any, ...]]) -> Floats:
    """Return the width of the prior on the logarithm of each place's factor."""
    return np.array([_PRIOR_WIDTHS.get(name, _CROSSTALK_WIDTH) for name, *_ in places])


def _prior_precision(log: Floats, width: Floats) -> Floats:
    """Return the precision of the normal priors that have the slope of the Cauchy priors at these logarithms."""
    return np.asarray(2 / (width**2 + log**2))


def _most_probable(faults: Floats, exposure: Floats, factors: Floats, width: Floats) -> Floats:
    """Maximise ``faults ln f - exposure f - ln(1 + (ln f / width)^2)`` over each factor f (Newton's method in ln f)."""
    log = np.log(np.maximum(factors, 1e-6))
    for _ in range(4):
        precision = _prior_precision(log, width)
        slope = faults - exposure * np.exp(log) - precision * log
        log = np.clip(log + np.clip(slope / (exposure * np.exp(log) + precision), -1.0, 1.0), -9.0, 9.0)
    return np.asarray(np.exp(log))


def learned_faults(run: RunLike, learned: Learned, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
    """Find the fault masks of a run at the calibrated rates times the learned factors.

    Arguments and errors are as in `qcluster.device.noise.faults.run_faults`.
    """
    factor = dict(zip(learned.places, learned.factors.tolist(), strict=True))
    located = located_faults(**fault_arguments(run, dt, draws))
    scale = np.array([factor.get(place, 1.0) for place in located.places])[located.place]
    kinds = [{"crosstalk": CROSSTALK, "idle": IDLE, "readout": READOUT}.get(name, GATE) for name, *_ in located.places]
    kind = np.array(kinds, dtype=np.uint8)[located.place]
    masks, rates, kind = merge_masks(located.masks, _with_crosstalk(located) * scale, kind)
    readout_scale = np.array([factor[("readout", bit)] for bit in range(located.n_bits)])
    readout = scaled_readout(located.readout, readout_scale[:, None])
    faults = FaultMasks(located.n_bits, masks, rates, kind, readout, located.rotations)
    return as_twirled(faults, run)
