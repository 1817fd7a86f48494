"""Fault rates of a run, learned from its reference circuit: how far off the calibration is, place by place.

The reference has the gates of the circuit at the same places, and hence its faults, though these flip other bits there.
What its counts tell about a place (a pair of qubits with a gate, a qubit that waits, a bit that is read) is a factor on
the calibrated rates, and the same factor holds in the circuit.
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
from qcluster.device.noise.faults import Located, RunLike, as_twirled, facts_of, located_faults

if TYPE_CHECKING:
    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

_INDEX_BITS = 16
"""Patterns wider than this are hashed."""
_ROUNDS = 100
"""Of expectation maximisation."""
_WIDTHS = {"pair": 0.7, "idle": 0.7, "gate": 0.2, "readout": 0.3}
"""Width of the Cauchy prior of the logarithm of a factor: what is calibrated daily and directly is off by less."""
_UNKNOWN = 1e-4
"""Expected rate of crosstalk between two neighbours, of which no calibration knows."""
_UNSURE = 3.0
"""Width of its prior."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What a reference tells about a calibration."""

    places: tuple[tuple[Any, ...], ...]
    """As in `Located`, and behind them ("readout", bit) for each bit."""
    factors: Floats
    """(n_places,) how many times as often as calibrated faults happen there; in units of 1e-4 a shot for crosstalk."""
    faults: Floats
    """(n_places,) faults seen there, by expectation: what each factor rests on."""
    expected: Floats
    """(n_places,) faults that the calibration expects in as many shots."""
    survival: float
    """Share of shots that the calibration expects to read the expected string."""
    flips: Floats
    """(n_bits,) how often the calibration expects each bit flipped."""


def learn(
    references: Sequence[tuple[Profile, str, Distribution, Floats]], calibration: Calibration, *, idle: bool
) -> Learned:
    """Learn a factor for each place from references' counts, by expectation maximisation held by the calibration.

    The number of faults of each pattern is Poisson, and its posterior mean a correlation in the Walsh domain (see
    `qcluster.core.noise.kernel.learn_rates`); places share it out by their rates. The logarithm of a
    factor has a Cauchy prior: one place that is far off is likelier than several that are off by less.

    Args:
        references: circuit, expected string and counts of references of one circuit, and the share of twirls
            ``(n_bits,)`` in which each bit was flipped before it was read.
        calibration: what the machine published.
        idle: whether waiting counts, as in `qcluster.device.noise.faults.fault_masks`.

    Returns:
        Learned. Cost: some 400 transforms of 2^n numbers, n at most 16: 0.1 s for 10 bits, 3 s from 16.

    Raises:
        ValueError, CalibrationError: as `qcluster.device.noise.faults.fault_masks` does.
    """
    parts = [_part(*each, calibration, idle=idle) for each in references]
    places = tuple(dict.fromkeys(place for part in parts for place in part.places))
    number = {place: k for k, place in enumerate(places)}
    at = [np.array([number[place] for place in part.places], dtype=np.int64)[part.place] for part in parts]
    width = np.array([_WIDTHS.get(name, _UNSURE) for name, *_ in places])
    exposure = np.sum(
        [np.bincount(k, part.rates, len(places)) * part.seen.sum() for part, k in zip(parts, at, strict=True)], axis=0
    )
    factors, faults = _maximise(parts, at, width, exposure)
    share = np.array([part.seen.sum() for part in parts])
    share /= share.sum()
    alone = np.array([part.kernel(part.rates).patterns[0] for part in parts])
    flips = np.asarray(share @ np.array([part.flips for part in parts]))
    return Learned(places, factors, faults, exposure, float(share @ alone), flips)


@dataclass(frozen=True, eq=False)
class _Part:
    """One reference circuit's faults by the calibration, and the patterns that it read."""

    index: LinearIndex
    """Numbers of the patterns."""
    places: tuple[tuple[Any, ...], ...]
    """As in `Learned`."""
    place: npt.NDArray[np.int64]
    """(n_masks,) place of each fault, among its own."""
    shifts: npt.NDArray[np.int64]
    """(n_masks,) number of its pattern."""
    rates: Floats
    """(n_masks,) expected number per shot."""
    seen: Floats
    """(2^m,) shots of each number."""
    flips: Floats
    """(n_bits,) how often each bit is expected flipped."""

    def kernel(self, rates: Floats) -> Kernel:
        """Of these faults at such rates."""
        return Kernel.of_patterns(self.index, self.shifts, rates)


def _part(
    profile: Profile, expected: str, counts: Distribution, flipped: Floats, calibration: Calibration, *, idle: bool
) -> _Part:
    known = located_faults(profile.circuit, calibration, idle=idle, dt=profile.dt)
    n_bits = known.n_bits
    index = LinearIndex(n_bits, _INDEX_BITS)
    sent = parse_bitstrings([expected])[0]
    as_sent, as_other = (known.readout[np.arange(n_bits), value.astype(int)] for value in (sent, ~sent))
    readout = (1 - flipped) * as_sent + flipped * as_other
    singles = -0.5 * np.log1p(-2 * np.minimum(readout, 0.49))
    return _Part(
        index=index,
        places=(*known.places, *(("readout", bit) for bit in range(n_bits))),
        place=np.r_[known.place, len(known.places) + np.arange(n_bits)],
        shifts=index.of(np.vstack([known.masks, pack(np.eye(n_bits, dtype=bool))])),
        rates=np.r_[_with_crosstalk(known), np.maximum(singles, 1e-7)],
        seen=index.vector(pack(counts.bits ^ sent), counts.weights),
        flips=-0.5 * np.expm1(-2 * (known.rates @ unpack(known.masks, n_bits) + singles)),
    )


def _with_crosstalk(known: Located) -> Floats:
    unknown = np.array([name == "crosstalk" for name, *_ in known.places], dtype=bool)
    return np.where(unknown[known.place], _UNKNOWN, known.rates)


def _maximise(
    parts: Sequence[_Part], at: Sequence[npt.NDArray[np.int64]], width: Floats, exposure: Floats
) -> tuple[Floats, Floats]:
    """Factors that are most probable, and the faults expected at each place, in all parts together."""
    many = len(width)
    factors, faults = np.ones(many), np.zeros(many)
    for _ in range(_ROUNDS):
        faults = np.zeros(many)
        for part, where in zip(parts, at, strict=True):
            scaled = part.rates * factors[where]
            kernel = part.kernel(scaled)
            noisy = np.maximum(kernel.patterns, 1e-3 / (part.seen.sum() * kernel.size))
            chance = convolve(part.seen / noisy, kernel.spectrum)
            faults += np.bincount(where, scaled * np.maximum(chance[part.shifts], 0.0), many)
        factors = _most_probable(faults, exposure, factors, width)
    return factors, faults


def _most_probable(faults: Floats, exposure: Floats, factors: Floats, width: Floats) -> Floats:
    """Maximise ``faults ln f - exposure f - ln(1 + (ln f / width)^2)`` over each factor f: Newton's method in ln f."""
    log = np.log(np.maximum(factors, 1e-6))
    for _ in range(4):
        heavy = 2 / (width**2 + log**2)  # the Cauchy prior as a normal one of changing width
        slope = faults - exposure * np.exp(log) - heavy * log
        log = np.clip(log + np.clip(slope / (exposure * np.exp(log) + heavy), -1.0, 1.0), -9.0, 9.0)
    return np.asarray(np.exp(log))


def learned_faults(run: RunLike, learned: Learned, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
    """Find the fault masks of a run, with the rates that a reference of the same gates at the same places measured.

    Arguments and errors as of `qcluster.device.noise.faults.run_faults`.
    """
    factor = dict(zip(learned.places, learned.factors.tolist(), strict=True))
    known = located_faults(**facts_of(run, dt, draws))
    at = np.array([factor.get(place, 1.0) for place in known.places])[known.place]
    kinds = [{"crosstalk": CROSSTALK, "idle": IDLE, "readout": READOUT}.get(name, GATE) for name, *_ in known.places]
    kind = np.array(kinds, dtype=np.uint8)[known.place]
    masks, rates, kind = merge_masks(known.masks, _with_crosstalk(known) * at, kind)
    read = np.array([factor[("readout", bit)] for bit in range(known.n_bits)])
    readout = scaled_readout(known.readout, read[:, None])
    faults = FaultMasks(known.n_bits, masks, rates, kind, readout, known.rotations)
    return as_twirled(faults, run)
