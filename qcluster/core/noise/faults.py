"""The faults of a compiled circuit, as patterns of flips of the measured bits, each with a rate."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, read_only
from qcluster.core.checks import check_flag, check_real, check_whole, real_array
from qcluster.core.counts.bits import Words, pack, unique_words, weight_of_ones
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen
from qcluster.core.noise.bitflips import as_rates
from qcluster.core.words import plural

KINDS = ("gate", "idle", "readout", "crosstalk")
"""Sources of flip patterns; `FaultMasks.kind` holds indices into this tuple."""

GATE, IDLE, READOUT, CROSSTALK = range(4)
_SURE = 4.0
"""Standard errors beyond which counts refute a readout error."""


@dataclass(frozen=True, eq=False)
class FaultMasks(Frozen):
    """The flip patterns ("masks") of one compiled circuit, how often each occurs, and the readout errors.

    Under Pauli noise every fault flips a fixed pattern of measured bits. Faults occur independently: the number of
    occurrences of mask m is Poisson-distributed with mean ``rates[m]``, so that its bits are flipped with probability
    ``(1 - exp(-2 rates[m])) / 2``. Convolution with the distribution E of the total pattern is diagonal in the Walsh
    domain: ``E^(k) = exp(-2 sum_m rates[m] (k.m mod 2))``. Readout, which may treat 0 and 1 differently, acts last.

    Example:
        >>> faults = FaultMasks(2, np.array([[3]], dtype=np.uint64), np.array([0.1]), np.array([0]), np.zeros((2, 2)))
        >>> faults.expected_faults, faults.scaled(2).rates.tolist()
        (0.1, [0.2])
    """

    n_bits: int
    """Number of classical bits."""
    masks: Words
    """``(n_masks, n_words) uint64``: the bits that each fault flips, packed as in `qcluster.core.counts.bits`. The
    rates of equal masks add up. `fault_masks` gives masks that are distinct within each kind, none of them empty."""
    rates: Floats
    """``(n_masks,)``, expected number of such faults per shot, from the calibration."""
    kind: NDArray[np.uint8]
    """``(n_masks,)``, index into `KINDS`."""
    readout: Floats
    """``(n_bits, 2)``: P(read 1|0), P(read 0|1), including the decay between the last gate and the measurement."""
    rotations: float | None = None
    """Sum of ``sin^2(angle / 2)`` over the rotations of the circuit that affect a measured bit, where ``angle`` is the
    distance to the nearest Clifford gate. It is 0 for a Clifford circuit, whose outputs have equal weights; small
    angles add outputs of about this total weight. None if the circuit is unknown."""
    measured: bool = False
    """Whether the rates were learned from a reference circuit, and not only published."""
    last_rotations: Floats | None = None
    """``(n_bits,)``: the part of `rotations` that nothing follows but the measurement of a bit, up to gates that
    commute, and that flips this bit alone. It adds strings that differ in this bit, roughly as a flip with this
    probability would. None if unknown."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_bits", check_whole("n_bits", self.n_bits, 0))
        words, rates, kind = _as_words(self.masks), real_array("rates", self.rates), np.asarray(self.kind)
        n_words = max(1, (self.n_bits + 63) // 64)
        if words.ndim != 2 or words.shape[1] != n_words or rates.shape != words.shape[:1] or kind.shape != rates.shape:
            raise ValueError(
                f"masks must be (n_masks, {n_words}) and rates and kind (n_masks,) for {self.n_bits} bits; "
                f"got {words.shape}, {rates.shape} and {kind.shape}"
            )
        beyond = np.flatnonzero((words & ~pack(np.ones((1, self.n_bits), dtype=bool))).any(axis=1))
        if len(beyond):
            raise ValueError(f"masks must flip bits below {self.n_bits}; got {words[beyond[0]].tolist()}")
        unknown = ~np.isin(kind, range(len(KINDS)))
        if unknown.any():
            raise ValueError(f"kind must be an index into {KINDS}; got {kind[unknown][0]}")
        if (wrong := ~(np.isfinite(rates) & (rates >= 0))).any():
            raise ValueError(f"rates must be finite and not negative; got {rates[wrong][0]}")
        if self.rotations is not None and not 0 <= self.rotations < np.inf:
            raise ValueError(f"rotations must be a finite number and not negative, or None; got {self.rotations}")
        object.__setattr__(self, "measured", check_flag("measured", self.measured))
        readout = real_array("readout", self.readout)
        if readout.shape != (self.n_bits, 2) and (self.n_bits or readout.size):
            raise ValueError(f"readout must be (n_bits, 2), here ({self.n_bits}, 2); got {readout.shape}")
        readout = as_rates(readout.reshape(self.n_bits, 2), self.n_bits)
        if self.last_rotations is not None:
            last = real_array("last_rotations", self.last_rotations)
            if last.shape != (self.n_bits,) or not (np.isfinite(last) & (last >= 0)).all():
                raise ValueError(
                    f"last_rotations must be {self.n_bits} finite numbers that are not negative, one for each bit, or "
                    f"None; got {last.tolist()!r:.60}"
                )
            object.__setattr__(self, "last_rotations", read_only(last))
        for name, array in (("masks", words), ("rates", rates), ("kind", kind.astype(np.uint8)), ("readout", readout)):
            object.__setattr__(self, name, read_only(array))

    def __repr__(self) -> str:
        size = f"{plural(len(self.masks), 'mask')} of {plural(self.n_bits, 'bit')}"
        return f"FaultMasks({size}, {self.expected_faults:.3g} faults per shot)"

    @property
    def expected_faults(self) -> float:
        """Mean number of faults per shot that flip a measured bit, readout not counted."""
        return float(self.rates.sum())

    def scaled(self, factor: float) -> "FaultMasks":
        """Return a copy with all rates multiplied by a factor; readout errors are bounded, see `scaled_readout`."""
        factor = check_real("factor", factor, 0)
        return replace(self, rates=self.rates * factor, readout=scaled_readout(self.readout, factor))

    def allowed_by(self, d: Distribution) -> "FaultMasks":
        """Return a copy whose readout errors are not larger than counts allow; measured ones are left as they are.

        Whatever the output of the circuit, a bit reads 1 in a share of at least P(1|0), and 0 in a share of at least
        P(0|1): errors above these shares, by more than four standard errors, are reduced to that limit.

        Example:
            >>> masks = FaultMasks(1, np.array([[1]]), np.array([0.01]), np.array([0]), np.array([[0.4, 0.4]]))
            >>> masks.allowed_by(Distribution.of({"0": 9900, "1": 100})).readout.round(3).tolist()
            [[0.014, 0.4]]
        """
        if self.measured:
            return self
        ones = weight_of_ones(d.bits, d.weights) / d.shots
        most = np.stack([ones, 1 - ones], axis=1)
        most += _SURE * np.sqrt(np.maximum(ones * (1 - ones), 1 / d.shots) / d.shots)[:, None]
        return replace(self, readout=np.minimum(self.readout, most)) if (self.readout > most).any() else self

    def symmetrised(self) -> "FaultMasks":
        """Return a copy in which both readout errors of a bit have their mean, as under twirled measurements."""
        return replace(self, readout=np.repeat(self.readout.mean(axis=1, keepdims=True), 2, axis=1))


def _as_words(masks: Any) -> Words:
    """Convert packed masks to uint64; ValueError if that changes a value (fractions, numbers beyond 64 bits)."""
    array = np.asarray(masks)
    try:
        words = array.astype(np.uint64)
        fits = bool((words == array).all())
    except OverflowError:
        fits = False
    if not fits:
        raise ValueError(f"masks must be whole numbers from 0 to 2**64 - 1; got {array.tolist()!r:.60}")
    return words


def scaled_readout(readout: Floats, factor: float | Floats) -> Floats:
    """Multiply readout errors ``(n_bits, 2)`` by a factor, one for all bits or ``(n_bits, 1)``. Each stays below one
    half, or at its value if that is larger, and the two errors of a bit sum to less than 1.

    Example:
        >>> scaled_readout(np.array([[0.1, 0.2], [0.1, 0.6]]), 3).round(2).tolist()
        [[0.3, 0.49], [0.3, 0.6]]
    """
    other = np.maximum(readout[:, ::-1], 0.49)
    return np.asarray(np.minimum(readout * factor, np.maximum(readout, np.minimum(0.49, 0.98 - other))))


def non_clifford_weight(angles: Floats) -> Floats:
    """Return ``sin^2(x / 2)``, where x is the distance of each angle to the nearest quarter turn, a Clifford gate."""
    quarter = np.pi / 2
    return np.asarray(np.sin((angles - quarter * np.round(angles / quarter)) / 2) ** 2)


def merge_masks(masks: Words, rates: Floats, kind: NDArray[np.uint8]) -> tuple[Words, Floats, NDArray[np.uint8]]:
    """Add up the rates of equal masks of the same kind, and drop masks that flip nothing; arrays as in `FaultMasks`.

    The result is sorted by kind, then by value.
    """
    keep = masks.any(axis=1)
    words, index = unique_words(np.column_stack([masks, kind])[keep])
    total = np.bincount(index, rates[keep], len(words)).astype(np.float64)
    return words[:, :-1], total, words[:, -1].astype(np.uint8)
