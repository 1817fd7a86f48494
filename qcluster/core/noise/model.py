"""`NoiseModel`: what deconvolution needs to know of the noise."""

from typing import Protocol

from qcluster.core.arrays import Floats


class NoiseModel(Protocol):
    """P(read | sent) as a linear map, and its transpose; leading axes are hypotheses, scales or resamples.

    `qcluster.core.noise.bitflips.IndependentFlips` is one on all 2^n strings, `ObservedFlips` one on those that were
    read, and `qcluster.core.noise.kernel.Kernel` that of a compiled circuit.
    """

    def forward(self, ideal: Floats) -> Floats:
        """Give the distributions ``(..., n_read)`` that are read where ``(..., n_sent)`` are sent."""

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose: ``(..., n_read)`` to ``(..., n_sent)``."""
