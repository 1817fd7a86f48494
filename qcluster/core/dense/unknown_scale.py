"""Bayesian deconvolution at an unknown multiple of the calibrated noise, which is estimated from the counts.

Each hypothesis is a multiple of the calibrated noise and a Dirichlet concentration of the ideal. If the multiple is too
large, counts are sharper than the kernel lets through. If it is too small, the ideal itself must be blurred just as
noise would blur it, which few ideals are. The evidence accounts for both, a likelihood only for the first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.dense.variational import posterior
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.stats.special import softmax

CONCENTRATIONS = (0.03, 1.0)
"""Dirichlet mass of every string, for few strings and for a random state (Porter-Thomas)."""
ROUNDS = 24
"""Rounds of coordinate ascent."""
_WIDTH = 0.5
"""Prior standard deviation of ln(scale); it is 0.6 in the calibrations that the decision is trained on."""


@dataclass(frozen=True, eq=False)
class UnknownScale:
    """Deconvolved distributions under h hypotheses, and the evidence for each."""

    kernels: ScaledKernels
    """``(h,)`` kernels that were undone: all scales for the first concentration, then all for the second."""
    prior: Floats
    """``(h, 1)`` concentrations."""
    roots: Floats
    """``(h, 2^m)`` posterior mean of the square root of the ideal."""
    evidence: Floats
    """``(h,)`` log evidence, in nats."""

    def probability(self, temperature: float) -> Floats:
        """Return the posterior probability of each hypothesis, ``(h,)``, at a temperature that divides the log
        evidence: 1 trusts the kernel fully, larger values trust it less."""
        return softmax(self.evidence / temperature - 0.5 * (np.log(self.kernels.scales) / _WIDTH) ** 2)

    def log_scale(self, probability: Floats) -> float:
        """Return the mean of ln(scale) over hypotheses with these probabilities."""
        return float(probability @ np.log(self.kernels.scales))

    def mean(self, probability: Floats) -> Floats:
        """Return the posterior mean of the square root of the ideal, ``(2^m,)``, as a unit vector."""
        root = probability @ self.roots
        return np.asarray(root / np.linalg.norm(root))

    def evidence_of_scales(self) -> Floats:
        """Return the log evidence of each scale, ``(s,)``, up to a constant; concentrations are equally probable."""
        each = self.evidence.reshape(len(CONCENTRATIONS), -1)
        return np.asarray(np.logaddexp.reduce(each, axis=0))


def unknown_scale(kernels: ScaledKernels, counts: Floats, hypotheses: NDArray[np.intp] | None = None) -> UnknownScale:
    """Deconvolve counts at every multiple of the noise by variational Bayes.

    Args:
        kernels: the kernel of the calibration at s scales.
        counts: ``(2^m,)`` shots, at least one; or ``(h, 2^m)``, separate counts for each hypothesis.
        hypotheses: ``(h,)`` indices of hypotheses, in the order of `UnknownScale.kernels`; all of them by default.

    Cost: some 200 Walsh transforms per scale: 3 ms for 9 scales of 5 bits, 0.1 s of 12.

    Example:
        >>> from qcluster.core.noise.faults import FaultMasks
        >>> from qcluster.core.noise.kernel import Kernel
        >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
        >>> kernel = Kernel.of(FaultMasks(3, *none, np.full((3, 2), 0.1)))
        >>> fit = unknown_scale(ScaledKernels.of(kernel, (1.0, 0.3)), np.array([900.0, 30, 30, 0, 40, 0, 0, 0]))
        >>> bool(np.diff(fit.evidence_of_scales())[0] > 0)
        True
    """
    hypotheses = np.arange(len(CONCENTRATIONS) * len(kernels.scales)) if hypotheses is None else hypotheses
    concentration, scale = np.divmod(hypotheses, len(kernels.scales))
    chosen, prior = kernels.take(scale), np.array(CONCENTRATIONS)[concentration, None]
    return UnknownScale(chosen, prior, *posterior(chosen, counts, prior, ROUNDS))


def redeconvolved(kernels: ScaledKernels, counts: Floats, hypotheses: NDArray[np.intp]) -> Floats:
    """Deconvolve redrawn counts ``(n_draws, 2^m)``, each under one hypothesis, to ``(n_draws, 2^m)`` unit roots."""
    roots = unknown_scale(kernels, counts, hypotheses).roots
    return np.asarray(roots / np.linalg.norm(roots, axis=1, keepdims=True))
