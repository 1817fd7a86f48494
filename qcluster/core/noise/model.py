"""`NoiseModel`: the interface that deconvolution needs of a noise model."""

from typing import Protocol

from qcluster.core.arrays import Floats


class NoiseModel(Protocol):
    """P(read | sent) as a linear map, and its transpose. Leading axes are hypotheses, scales or resamples.

    `qcluster.core.noise.bitflips.IndependentFlips` acts on all 2^n strings, `ObservedFlips` on the strings that were
    read, and `qcluster.core.noise.kernel.Kernel` is the noise of a compiled circuit.
    """

    def forward(self, ideal: Floats) -> Floats:
        """Return the noisy distributions ``(..., n_read)`` of ideal ones ``(..., n_sent)``."""

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose: ``(..., n_read)`` to ``(..., n_sent)``."""
