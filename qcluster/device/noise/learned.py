"""Fault rates learned from a reference circuit: how far off the calibration is, place by place.

A reference has the same gates at the same places as its circuit, and hence the same faults, although these flip other
bits. From its counts, a factor on the calibrated rates is learned for each place (a pair of qubits with gates, a qubit
that is idle, a bit that is read). The same factors apply to the circuit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import pack, parse_bitstrings, unpack
from qcluster.core.noise.faults import CROSSTALK, GATE, IDLE, READOUT, FaultMasks, merge_masks, scaled_readout
from qcluster.core.noise.places import PRIOR_WIDTHS, ReferencePatterns, learn_factors, prior_precision
from qcluster.core.stats.walsh import LinearIndex, convolve
from qcluster.device.noise.faults import Located, RunLike, as_twirled, fault_arguments, located_faults

if TYPE_CHECKING:
    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

_INDEX_BITS = 16
"""Wider patterns are hashed to this number of bits."""
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

    The factors are found by expectation maximisation, with the calibration as prior; see
    `qcluster.core.noise.places.learn_factors`.

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
    patterns = [part.numbered(index) for part in parts]
    factors, faults = learn_factors(patterns, _prior_widths(places))
    exposure = np.sum([each.expected(len(places)) for each in patterns], axis=0)
    share = np.array([each.seen.sum() for each in patterns])
    share /= share.sum()
    survival = np.array([each.kernel(each.rates).patterns[0] for each in patterns])
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
    precision = np.diag(prior_precision(np.log(learned.factors), _prior_widths(learned.places)))
    shot_noise, scores = np.zeros_like(precision), [np.zeros((1, len(index)))]
    for reference, counts in zip(references, twirl_counts, strict=True):
        patterns = _part(*reference, calibration, idle=idle).numbered(index)
        score, read = _scores(patterns, learned.factors), np.flatnonzero(patterns.seen)
        information = (score * patterns.seen[read]) @ score.T
        precision += information
        if len(counts) > 1:
            shot_noise += information
            of_twirls = [score @ _patterns(patterns.index, reference[1], twirl)[read] for twirl in counts]
            scores.append(np.sqrt(len(counts) / (len(counts) - 1)) * np.array(of_twirls))
    covariance = np.linalg.inv(precision)
    between = ((np.vstack(scores) @ covariance) ** 2).sum(axis=0)
    excess = np.maximum(between - np.diag(covariance @ shot_noise @ covariance), 0.0)
    return np.asarray(np.sqrt(np.diag(covariance) + excess))


def _scores(reference: ReferencePatterns, factors: Floats) -> Floats:
    """Return the score of each place's log factor in a shot, (n_places, n_read), for each pattern number that was read:
    the expected number of faults there, given the pattern, less its mean over the shots."""
    scaled = reference.rates * factors[reference.place]
    kernel, read = reference.kernel(scaled), np.flatnonzero(reference.seen)
    noisy = reference.likelihood(kernel)[read]
    faults = np.zeros((len(factors), len(read)))
    for place in np.unique(reference.place):
        mine = reference.place == place
        patterns = np.bincount(reference.shifts[mine], scaled[mine], kernel.size).astype(np.float64)
        faults[place] = convolve(patterns, kernel.spectrum)[read] / noisy
    weights = reference.seen[read]
    return np.asarray(faults - (faults @ weights / weights.sum())[:, None])


@dataclass(frozen=True, eq=False)
class _Part:
    """One reference."""

    places: tuple[tuple[Any, ...], ...]
    """As in `Learned`, for this reference alone."""
    patterns: ReferencePatterns
    """The predicted faults and the patterns that were read; numbers of places are indices into `places`."""
    flips: Floats
    """(n_bits,) predicted probability that each bit is flipped."""

    def numbered(self, index: Mapping[tuple[Any, ...], int]) -> ReferencePatterns:
        """Return the patterns with other numbers of places, by their names."""
        return replace(self.patterns, place=np.array([index[place] for place in self.places])[self.patterns.place])


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
    patterns = ReferencePatterns(
        index=index,
        place=np.r_[located.place, len(located.places) + np.arange(n_bits)],
        shifts=index.of(np.vstack([located.masks, pack(np.eye(n_bits, dtype=bool))])),
        rates=np.r_[_with_crosstalk(located), np.maximum(readout_rates, 1e-7)],
        seen=_patterns(index, expected, counts),
    )
    return _Part(
        places=(*located.places, *(("readout", bit) for bit in range(n_bits))),
        patterns=patterns,
        flips=-0.5 * np.expm1(-2 * (located.rates @ unpack(located.masks, n_bits) + readout_rates)),
    )


def _patterns(index: LinearIndex, expected: str, counts: Distribution) -> Floats:
    """Return the number of shots (2^m,) with each flip pattern."""
    return index.vector(pack(counts.bits ^ parse_bitstrings([expected])[0]), counts.weights)


def _with_crosstalk(located: Located) -> Floats:
    """Return the rates (n_masks,) of located faults, with the prior rate for crosstalk."""
    crosstalk = np.array([name == "crosstalk" for name, *_ in located.places], dtype=bool)
    return np.where(crosstalk[located.place], _CROSSTALK_RATE, located.rates)


def _prior_widths(places: Sequence[tuple[Any, ...]]) -> Floats:
    """Return the width of the prior on the logarithm of each place's factor."""
    return np.array([PRIOR_WIDTHS.get(name, _CROSSTALK_WIDTH) for name, *_ in places])


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
    n_bits, rotations, last = located.n_bits, located.rotations, located.last_rotations
    faults = FaultMasks(n_bits, masks, rates, kind, readout, rotations, measured=True, last_rotations=last)
    return as_twirled(faults, run)
