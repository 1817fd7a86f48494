"""Bayesian deconvolution where the calibration may be off as a whole: the counts tell how much noise there was.

Each hypothesis is a multiple of the calibrated noise and a Dirichlet concentration of the ideal. Under too much noise
counts are sharper than the kernel lets through; under too little the ideal must be as blurred as the noise left it,
which few ideals are: the evidence weighs both, where a likelihood sees only the first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.dense.variational import posterior
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.stats.special import softmax

CONCENTRATIONS = (0.03, 1.0)
"""Dirichlet mass of every string: of few strings, and of a random state (Porter-Thomas)."""
ROUNDS = 24
"""Of coordinate ascent."""
_WIDTH = 0.5
"""Standard deviation of ln(scale) before the counts; calibrations that the decision is trained on have 0.6."""


@dataclass(frozen=True, eq=False)
class UnknownScale:
    """Deconvolved distributions under hypotheses, and how probable the counts are under each."""

    kernels: ScaledKernels
    """``(h,)`` what was undone, the scales of one concentration after those of another."""
    prior: Floats
    """``(h, 1)`` concentrations."""
    roots: Floats
    """``(h, 2^m)`` posterior mean of the square root of the ideal."""
    evidence: Floats
    """``(h,)`` a logarithm."""

    def probability(self, temperature: float) -> Floats:
        """Give the probability of each hypothesis, ``(h,)``: 1 takes the kernel at its word, more is warier of it."""
        return softmax(self.evidence / temperature - 0.5 * (np.log(self.kernels.scales) / _WIDTH) ** 2)

    def log_scale(self, probability: Floats) -> float:
        """Give the mean of ln(scale) over hypotheses of these probabilities."""
        return float(probability @ np.log(self.kernels.scales))

    def mean(self, probability: Floats) -> Floats:
        """Give the posterior mean of the square root of the ideal, ``(2^m,)``, as a unit vector."""
        root = probability @ self.roots
        return np.asarray(root / np.linalg.norm(root))

    def of_scales(self) -> Floats:
        """Give the evidence of each scale, ``(s,)``, the concentrations being equally probable."""
        each = self.evidence.reshape(len(CONCENTRATIONS), -1)
        return np.asarray(np.logaddexp.reduce(each, axis=0))


def unknown_scale(kernels: ScaledKernels, counts: Floats, which: NDArray[np.intp] | None = None) -> UnknownScale:
    """Deconvolve counts at every multiple of the noise by variational Bayes.

    Args:
        kernels: the calibration's, at s scales.
        counts: ``(2^m,)`` shots, at least one; or ``(h, 2^m)``, of its own for each hypothesis.
        which: ``(h,)`` places of hypotheses: all scales of one concentration, then of the next; every one by default.

    Returns:
        UnknownScale. Cost: for each scale some 200 Walsh transforms: 3 ms for 9 scales of 5 bits, 0.1 s of 12.

    Example:
        >>> from qcluster.core.noise.faults import FaultMasks
        >>> from qcluster.core.noise.kernel import Kernel
        >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
        >>> kernel = Kernel.of(FaultMasks(3, *none, np.full((3, 2), 0.1)))
        >>> found = unknown_scale(ScaledKernels.of(kernel, (1.0, 0.3)), np.array([900.0, 30, 30, 0, 40, 0, 0, 0]))
        >>> bool(np.diff(found.of_scales())[0] > 0)
        True
    """
    which = np.arange(len(CONCENTRATIONS) * len(kernels.scales)) if which is None else which
    concentration, scale = np.divmod(which, len(kernels.scales))
    chosen, prior = kernels.take(scale), np.array(CONCENTRATIONS)[concentration, None]
    return UnknownScale(chosen, prior, *posterior(chosen, counts, prior, ROUNDS))


def redeconvolved(kernels: ScaledKernels, counts: Floats, which: NDArray[np.intp]) -> Floats:
    """Deconvolve counts drawn anew, ``(n_draws, 2^m)`` shots, each under one hypothesis; to as many unit roots."""
    roots = unknown_scale(kernels, counts, which).roots
    return np.asarray(roots / np.linalg.norm(roots, axis=1, keepdims=True))
