"""The noise kernel of a compiled circuit: what it makes of an ideal distribution, and its rates learned from counts.

``P = D (E * (b u + (1 - b) w))``: the ideal distribution w, a share b lost to uniform noise u, XOR-convolution with the
distribution E of flip patterns (diagonal in the Walsh domain, see `qcluster.core.noise.faults`), and a one-sided
decay D of each bit, the part of readout that tells 0 from 1. Vectors run over the indices of
`qcluster.core.stats.walsh.LinearIndex`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import pack, unpack
from qcluster.core.noise.decay import Decays, decay, decays_of
from qcluster.core.noise.faults import CROSSTALK, FaultMasks
from qcluster.core.stats.walsh import LinearIndex, convolve, walsh

_LEAST = 1e-9
"""Least probability of a string, as a multiple of the uniform one. Transforms in single precision know no smaller
ones, and a shot divided by what their rounding leaves would overflow them."""
_MOST_AGED = 1.5
"""Largest multiple of the calibrated readout decay: readout is measured every day, and ages less than gates do."""
_MOST_DECAYED = 0.9
"""Largest decay of a multiple, unless the calibration itself has a larger one: beyond 1 it is no probability."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """Hold a circuit's flip patterns in the form that the transforms need.

    Example:
        >>> faults = FaultMasks(1, np.array([[1]], dtype=np.uint64), np.array([0.05]), np.array([0]), np.zeros((1, 2)))
        >>> kernel = Kernel.of(faults)
        >>> kernel.forward(np.array([1.0, 0.0])).round(3).tolist()
        [0.952, 0.048]
    """

    index: LinearIndex
    """Numbers of the strings."""
    shifts: Indices
    """(n_masks,) number of each pattern."""
    rates: Floats
    """(n_masks,) expected events per shot."""
    crosstalk: NDArray[np.bool_]
    """(n_masks,) True for patterns that the calibration does not know of."""
    decays: Floats
    """(n_bits,) probability that a 1 falls to 0 (> 0) or a 0 rises to 1 (< 0) at the very end."""

    @classmethod
    def of(cls, faults: FaultMasks, n_index: int | None = None) -> "Kernel":
        """Split readout into symmetric flips, which join the patterns, and one-sided decays.

        With flips q before a decay d, P(read 1|0) = q (1 - d) and P(read 1|1) = (1 - q)(1 - d). Where strings are
        hashed (more than `n_index` bits), a decay would not stay a product over index bits; readout is then
        symmetrised.
        """
        index = LinearIndex(faults.n_bits, n_index)
        readout = (faults if index.exact else faults.symmetrised()).readout
        decays = readout[:, 1] - readout[:, 0]
        flips = readout.min(axis=1) / (1 - np.abs(decays))
        singles = pack(np.eye(faults.n_bits, dtype=bool))
        return cls(
            index=index,
            shifts=index.of(np.vstack([faults.masks, singles])),
            rates=np.concatenate([faults.rates, -0.5 * np.log1p(-2 * flips)]),
            crosstalk=np.concatenate([faults.kind == CROSSTALK, np.zeros(faults.n_bits, dtype=bool)]),
            decays=decays,
        )

    @classmethod
    def of_patterns(cls, index: LinearIndex, shifts: Indices, rates: Floats) -> "Kernel":
        """Take patterns ``(n_masks,)``, by number, and their rates; none is crosstalk, and no bit decays."""
        return cls(index, shifts, rates, np.zeros(len(shifts), dtype=bool), np.zeros(index.n_bits))

    @property
    def size(self) -> int:
        """Length 2^m of the vectors."""
        return self.index.size

    @cached_property
    def spectrum(self) -> Floats:
        """(2^m,) ``E^(k) = exp(-2 sum_m rates[m] (k.m mod 2))``."""
        return np.asarray(np.exp(self.log_spectrum()))

    def log_spectrum(self, first: int = 0) -> Floats:
        """Give ``ln E^`` of the patterns from `first` on, of which readout has the last; one transform."""
        parity = walsh(np.bincount(self.shifts[first:], self.rates[first:], self.size).astype(np.float64))
        return np.asarray(parity - parity[0])

    @cached_property
    def _decays(self) -> Decays:
        return decays_of(self.decays[None])

    def flips(self, faults: FaultMasks) -> Floats:
        """Give the probability that the faults flip each bit, before any decay, ``(n_bits,)``.

        Args:
            faults: whose patterns these are; their rates may have been learned since.
        """
        patterns = np.vstack([unpack(faults.masks, faults.n_bits), np.eye(faults.n_bits, dtype=bool)])
        return np.asarray(-0.5 * np.expm1(-2 * (self.rates @ patterns)))

    @property
    def patterns(self) -> Floats:
        """(2^m,) E, the probability of each pattern of flips; one transform."""
        return np.maximum(walsh(self.spectrum) / self.size, 0.0)

    def forward(self, ideal: Floats) -> Floats:
        """Give the noisy distribution (..., 2^m) of an ideal one."""
        return np.maximum(decay(convolve(ideal, self.spectrum), self._decays), 0.0)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose of `forward`."""
        return convolve(decay(vector, self._decays, transposed=True), self.spectrum)

    def columns(self, sent: Indices, rows: Indices) -> Floats:
        """Give ``P(y | c)`` for strings y that were read and strings c that were sent, ``(n_rows, n_sent)``.

        Args:
            sent: ``(n_sent,)`` numbers.
            rows: ``(n_rows,)`` numbers. Cost: one vector of 2^m for each sent string where bits decay; else look-ups.
        """
        error = self.patterns
        if not self.decays.any():
            return np.asarray(error[rows[:, None] ^ sent[None, :]])
        return decay(error[np.arange(self.size)[None, :] ^ sent[:, None]], self._decays)[:, rows].T

    def scaled(self, factor: float) -> "Kernel":
        """Multiply all rates, and decays by no more than readout ages."""
        most = np.maximum(np.abs(self.decays), _MOST_DECAYED)
        return replace(
            self,
            rates=self.rates * factor,
            decays=np.clip(self.decays * min(factor, _MOST_AGED), -most, most),
        )


def learn_rates(
    kernel: Kernel, prior: Kernel, counts: Floats, ideal: Floats, *, strength: float, steps: int = 1
) -> Kernel:
    """Improve rates and decays by expectation maximisation, held by the calibration.

    The number of faults with mask m is Poisson; its posterior mean, for all masks at once, is a correlation
    ``rates[m] C[m]``, ``C = (E w) (*) D^T(counts / P)``, one more transform. A gamma prior with mean at the calibration
    and a weight of ``strength`` faults gives ``rate = (faults seen + strength) / (shots + strength / prior rate)``.

    Args:
        kernel: where to start.
        prior: rates of the calibration.
        counts: (2^m,) shots of each index.
        ideal: (2^m,) the current estimate, uniform share included.
        strength: of the prior, in faults.
        steps: rounds.
    """
    shots = counts.sum()
    mean, weight = _gamma(prior, strength)
    rates = np.where(kernel.crosstalk, np.maximum(kernel.rates, 1e-4), kernel.rates)
    decays = kernel.decays
    pure = walsh(ideal)
    least = max(float(ideal.min()), _LEAST / kernel.size)  # no convolution goes below the least of what it convolves
    for _ in range(steps):
        kernel = replace(kernel, rates=rates, decays=decays)
        spread = pure * kernel.spectrum
        before = np.maximum(walsh(spread) / kernel.size, least)
        noisy = decay(before, kernel._decays)
        ratio = np.divide(counts, noisy, out=np.zeros_like(counts), where=counts > 0)
        seen = walsh(spread * walsh(decay(ratio, kernel._decays, transposed=True))) / kernel.size
        rates = (rates * np.maximum(seen[kernel.shifts], 0.0) + weight) / (shots + weight / mean)
        decays = _learn_decays(kernel, prior, counts, noisy, ratio, strength)
    return replace(kernel, rates=rates, decays=decays)


def _gamma(prior: Kernel, strength: float) -> tuple[Floats, Floats]:
    """Mean and weight of the prior of each rate; patterns unknown to the calibration are expected to be rare."""
    mean = np.where(prior.crosstalk, np.maximum(prior.rates, 1e-4), np.maximum(prior.rates, 1e-7))
    return mean, np.where(prior.crosstalk, strength / 20, strength)


def prior_cost(kernel: Kernel, prior: Kernel, strength: float) -> float:
    """Give the nats by which learned rates are less likely than the calibration's under the prior of `learn_rates`."""
    mean, weight = _gamma(prior, strength)
    ratio = np.maximum(kernel.rates / mean, 1e-12)
    return float((weight * (ratio - 1 - np.log(ratio))).sum())


def _learn_decays(
    kernel: Kernel, prior: Kernel, counts: Floats, noisy: Floats, ratio: Floats, strength: float
) -> Floats:
    """Expected decays over expected chances of each bit, held by the calibration; a decay keeps its direction."""
    decays = kernel.decays.copy()
    for bit in np.flatnonzero(decays):
        source, goal = (1, 0) if decays[bit] > 0 else (0, 1)
        rate = abs(decays[bit])
        observed, ratios = (v.reshape(-1, 2, 1 << bit) for v in (noisy, ratio))
        fell = rate / (1 - rate) * float((ratios[:, goal] * observed[:, source]).sum())
        stayed = float(counts.reshape(-1, 2, 1 << bit)[:, source].sum())
        expected = max(abs(prior.decays[bit]), 1e-7)
        decays[bit] = np.sign(decays[bit]) * min(0.9, (fell + strength) / (fell + stayed + strength / expected))
    return decays
