"""Factors on the fault rates of places, learned from the flip patterns that reference circuits show.

A place is whatever has one rate: a pair of qubits with gates, a qubit that is idle, a bit that is read. Its faults flip
other bits in a reference than in a circuit with the same gates, but they are equally frequent in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.walsh import LinearIndex, convolve

_ROUNDS = 100
"""Number of rounds of expectation maximisation."""

PRIOR_WIDTHS = {"pair": 0.7, "idle": 0.7, "gate": 0.2, "readout": 0.3}
"""Width of the Cauchy prior on the logarithm of a factor, by kind of place: smaller for what is calibrated daily and
directly."""


@dataclass(frozen=True, eq=False)
class ReferencePatterns:
    """One reference: the faults that the calibration predicts, and the flip patterns in its counts."""

    index: LinearIndex
    """Maps patterns to indices."""
    place: Indices
    """``(n_masks,)`` index of each fault's place."""
    shifts: Indices
    """``(n_masks,)`` index of each fault's pattern."""
    rates: Floats
    """``(n_masks,)`` expected number of each fault per shot."""
    seen: Floats
    """``(2^m,)`` number of shots with each pattern."""

    def kernel(self, rates: Floats) -> Kernel:
        """Return the noise kernel of these faults at the given rates."""
        return Kernel.of_patterns(self.index, self.shifts, rates)

    def likelihood(self, kernel: Kernel) -> Floats:
        """Return the probability ``(2^m,)`` of each pattern under a kernel, but none that is too small to divide by."""
        return np.asarray(np.maximum(kernel.patterns, 1e-3 / (self.seen.sum() * kernel.size)))

    def expected(self, n_places: int) -> Floats:
        """Return the ``(n_places,)`` numbers of faults that the calibration predicts for as many shots."""
        return np.asarray(np.bincount(self.place, self.rates, n_places) * self.seen.sum())


def learn_factors(references: Sequence[ReferencePatterns], width: Floats) -> tuple[Floats, Floats]:
    """Find the most probable factors by expectation maximisation, over all references together.

    The number of faults of each pattern is Poisson-distributed, and its posterior mean is a correlation, computed in
    the Walsh domain (see `qcluster.core.noise.kernel.learn_rates`). It is divided among places in proportion to their
    rates.

    The references have the same indices for the same places. `width`, ``(n_places,)``, is that of the Cauchy prior on
    the logarithm of each factor: one place with a large deviation is likelier than several with smaller ones.

    Returns:
        ``(n_places,)`` factors, and the ``(n_places,)`` expected numbers of faults. Cost: some 400 transforms of 2^m
        numbers for each reference.
    """
    n_places = len(width)
    exposure = np.sum([reference.expected(n_places) for reference in references], axis=0)
    factors = np.ones(n_places)
    for _ in range(_ROUNDS):
        faults = np.zeros(n_places)
        for reference in references:
            scaled = reference.rates * factors[reference.place]
            kernel = reference.kernel(scaled)
            correlation = convolve(reference.seen / reference.likelihood(kernel), kernel.spectrum)
            share = scaled * np.maximum(correlation[reference.shifts], 0.0)
            faults += np.bincount(reference.place, share, n_places)
        factors = _most_probable(faults, exposure, factors, width)
    return factors, faults


def prior_precision(log: Floats, width: Floats) -> Floats:
    """Return the precision of the normal priors that have the slope of the Cauchy priors at these logarithms."""
    return np.asarray(2 / (width**2 + log**2))


def _most_probable(faults: Floats, exposure: Floats, factors: Floats, width: Floats) -> Floats:
    """Maximise ``faults ln f - exposure f - ln(1 + (ln f / width)^2)`` over each factor f (Newton's method in ln f)."""
    log = np.log(np.maximum(factors, 1e-6))
    for _ in range(4):
        precision = prior_precision(log, width)
        slope = faults - exposure * np.exp(log) - precision * log
        log = np.clip(log + np.clip(slope / (exposure * np.exp(log) + precision), -1.0, 1.0), -9.0, 9.0)
    return np.asarray(np.exp(log))
