"""The noise kernel of a compiled circuit, which maps ideal to noisy distributions; its rates are learned from counts.

``P = D (E * (b u + (1 - b) w))``: the ideal distribution w, a share b lost to uniform noise u, XOR-convolution with the
distribution E of flip patterns (diagonal in the Walsh domain, see `qcluster.core.noise.faults`), and a one-sided
decay D of each bit, the part of readout that treats 0 and 1 differently. Vectors run over the indices of
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
"""Least probability of a string, as a multiple of the uniform one. Transforms in single precision cannot resolve
smaller ones, and shots divided by their rounding errors would overflow."""
_LARGEST_READOUT_FACTOR = 1.5
"""Largest multiple of the calibrated readout decay: readout is calibrated every day and changes less than gates do."""
_LARGEST_DECAY = 0.9
"""Largest decay of a learned kernel, and of a scaled one unless the calibration has a larger one."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """The flip patterns of a circuit, in the form that the transforms need.

    Example:
        >>> faults = FaultMasks(1, np.array([[1]], dtype=np.uint64), np.array([0.05]), np.array([0]), np.zeros((1, 2)))
        >>> kernel = Kernel.of(faults)
        >>> kernel.forward(np.array([1.0, 0.0])).round(3).tolist()
        [0.952, 0.048]
    """

    index: LinearIndex
    """Maps strings to positions in vectors."""
    shifts: Indices
    """``(n_masks,)``, index of each pattern."""
    rates: Floats
    """``(n_masks,)``, expected occurrences per shot."""
    crosstalk: NDArray[np.bool_]
    """``(n_masks,)``, True for patterns that the calibration does not contain."""
    decays: Floats
    """``(n_bits,)``, decay of each bit after all flips: a positive value is the probability that a 1 falls to 0, a
    negative one minus the probability that a 0 rises to 1."""

    @classmethod
    def of(cls, faults: FaultMasks, n_index: int | None = None) -> "Kernel":
        """Make the kernel of a circuit: readout is split into symmetric flips, which join the patterns, and decays.

        With flips q before a decay d, P(read 1|0) = q (1 - d) and P(read 1|1) = (1 - q)(1 - d). If strings are hashed
        (more than `n_index` bits), decay would no longer be a product over index bits, so readout is symmetrised.
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
        """Make a kernel of patterns, given by index ``(n_masks,)``, and their rates, without crosstalk or decay."""
        return cls(index, shifts, rates, np.zeros(len(shifts), dtype=bool), np.zeros(index.n_bits))

    @property
    def size(self) -> int:
        """Length of the vectors, 2^m."""
        return self.index.size

    @cached_property
    def spectrum(self) -> Floats:
        """``(2^m,)``: ``E^(k) = exp(-2 sum_m rates[m] (k.m mod 2))``."""
        return np.asarray(np.exp(self.log_spectrum()))

    def log_spectrum(self, first: int = 0) -> Floats:
        """Return ``ln E^`` of the patterns from `first` on; those of readout come last. Cost: one transform."""
        parity = walsh(np.bincount(self.shifts[first:], self.rates[first:], self.size).astype(np.float64))
        return np.asarray(parity - parity[0])

    @cached_property
    def _decays(self) -> Decays:
        return decays_of(self.decays[None])

    def flips(self, faults: FaultMasks) -> Floats:
        """Return the probability that faults flip each bit, before decay, ``(n_bits,)``, at the rates of this kernel;
        of `faults`, from which it was made, only the patterns are used."""
        patterns = np.vstack([unpack(faults.masks, faults.n_bits), np.eye(faults.n_bits, dtype=bool)])
        return np.asarray(-0.5 * np.expm1(-2 * (self.rates @ patterns)))

    @property
    def patterns(self) -> Floats:
        """``(2^m,)``: E, the probability of each total pattern of flips. Cost: one transform."""
        return np.maximum(walsh(self.spectrum) / self.size, 0.0)

    def forward(self, ideal: Floats) -> Floats:
        """Return the noisy distribution ``(..., 2^m)`` of an ideal one."""
        return np.maximum(decay(convolve(ideal, self.spectrum), self._decays), 0.0)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose of `forward`."""
        return convolve(decay(vector, self._decays, transposed=True), self.spectrum)

    def columns(self, sent: Indices, rows: Indices) -> Floats:
        """Return ``P(y | c)`` for strings y that are read and strings c that are sent, both given by their indices, as
        ``(n_rows, n_sent)``. Cost: look-ups; if bits decay, a vector of 2^m for each c."""
        patterns = self.patterns
        if not self.decays.any():
            return np.asarray(patterns[rows[:, None] ^ sent[None, :]])
        return decay(patterns[np.arange(self.size)[None, :] ^ sent[:, None]], self._decays)[:, rows].T

    def scaled(self, factor: float) -> "Kernel":
        """Return a copy with rates times a factor, and decays times that factor or 1.5, whichever is less."""
        largest = np.maximum(np.abs(self.decays), _LARGEST_DECAY)
        decays = np.clip(self.decays * min(factor, _LARGEST_READOUT_FACTOR), -largest, largest)
        return replace(self, rates=self.rates * factor, decays=decays)


def learn_rates(
    kernel: Kernel, prior: Kernel, counts: Floats, ideal: Floats, *, strength: float, steps: int = 1
) -> Kernel:
    """Update rates and decays by expectation maximisation, with the calibration as prior.

    The number of faults with mask m is Poisson-distributed. Its posterior mean is ``rates[m] C[m]``, where the
    correlation ``C = (E w) (*) D^T(counts / P)`` takes one more transform for all masks together. A gamma prior with
    its mean at the calibrated rate, that of `prior`, and a weight of `strength` faults gives the update
    ``rate = (expected faults + strength) / (shots + strength / prior rate)``. The ideal, which includes the uniform
    share, stays fixed; it and the counts are ``(2^m,)``.
    """
    shots = counts.sum()
    mean, weight = _gamma(prior, strength)
    kernel = replace(kernel, rates=np.where(kernel.crosstalk, np.maximum(kernel.rates, 1e-4), kernel.rates))
    ideal_spectrum = walsh(ideal)
    least = max(float(ideal.min()), _LEAST / kernel.size)  # a convolution never falls below the minimum of its input
    for _ in range(steps):
        flipped_spectrum = ideal_spectrum * kernel.spectrum
        undecayed = np.maximum(walsh(flipped_spectrum) / kernel.size, least)
        noisy = decay(undecayed, kernel._decays)
        ratio = np.divide(counts, noisy, out=np.zeros_like(counts), where=counts > 0)
        correlation = walsh(flipped_spectrum * walsh(decay(ratio, kernel._decays, transposed=True))) / kernel.size
        rates = (kernel.rates * np.maximum(correlation[kernel.shifts], 0.0) + weight) / (shots + weight / mean)
        kernel = replace(kernel, rates=rates, decays=_learn_decays(kernel, prior, counts, noisy, ratio, strength))
    return kernel


def _gamma(prior: Kernel, strength: float) -> tuple[Floats, Floats]:
    """Return the mean and weight of the prior of each rate; patterns not in the calibration have a small weight."""
    mean = np.maximum(prior.rates, np.where(prior.crosstalk, 1e-4, 1e-7))
    return mean, np.where(prior.crosstalk, strength / 20, strength)


def prior_cost(kernel: Kernel, prior: Kernel, strength: float) -> float:
    """Return by how many nats learned rates are less probable than calibrated ones, by the prior of `learn_rates`."""
    mean, weight = _gamma(prior, strength)
    ratio = np.maximum(kernel.rates / mean, 1e-12)
    return float((weight * (ratio - 1 - np.log(ratio))).sum())


def _learn_decays(
    kernel: Kernel, prior: Kernel, counts: Floats, noisy: Floats, ratio: Floats, strength: float
) -> Floats:
    """Return the decay of each bit: expected decays over the shots in which it could decay, under the calibrated prior.

    A decay keeps its direction.
    """
    decays = kernel.decays.copy()
    for bit in np.flatnonzero(decays):
        source, target = (1, 0) if decays[bit] > 0 else (0, 1)
        rate = abs(decays[bit])
        by_bit, ratios = (v.reshape(-1, 2, 1 << bit) for v in (noisy, ratio))
        fell = rate / (1 - rate) * float((ratios[:, target] * by_bit[:, source]).sum())
        stayed = float(counts.reshape(-1, 2, 1 << bit)[:, source].sum())
        expected = max(abs(prior.decays[bit]), 1e-7)
        learned = (fell + strength) / (fell + stayed + strength / expected)
        decays[bit] = np.sign(decays[bit]) * min(_LARGEST_DECAY, learned)
    return decays
