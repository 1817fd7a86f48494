"""The noise kernel of a circuit at several multiples of its calibrated rates, applied together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.noise.decay import Decays, decay, decays_of
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.walsh import convolve


@dataclass(frozen=True, eq=False)
class ScaledKernels:
    """One kernel at s scales. Vectors are ``(s, 2^m)``; row i goes through the kernel at scale i."""

    scales: Floats
    """``(s,)`` multiples of the rates."""
    spectrum: Floats
    """``(s, 2^m)``, see `Kernel.spectrum`."""
    decays: Decays
    """Decays of the bits at each scale; empty if none decays."""

    @classmethod
    def of(cls, kernel: Kernel, scales: Sequence[float] | Floats, *, readout: bool = False) -> "ScaledKernels":
        """Scale a kernel by each factor, see `Kernel.scaled`; with `readout`, add a last row of readout errors only.

        Example:
            >>> from qcluster.core.noise.faults import FaultMasks
            >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
            >>> kernel = Kernel.of(FaultMasks(1, *none, np.array([[0.1, 0.1]])))
            >>> kernels = ScaledKernels.of(kernel, (0.0, 1.0))
            >>> kernels.forward(np.array([[1.0, 0.0], [1.0, 0.0]])).round(3).tolist()
            [[1.0, 0.0], [0.9, 0.1]]
        """
        factors = np.asarray(scales, dtype=np.float64)
        spectrum = np.exp(factors[:, None] * kernel.log_spectrum())
        decays = np.stack([kernel.scaled(scale).decays for scale in scales])
        if readout:
            factors, decays = np.append(factors, 0.0), np.vstack([decays, kernel.decays])
            spectrum = np.vstack([spectrum, np.exp(kernel.log_spectrum(-kernel.index.n_bits))])
        return cls(factors, spectrum, decays_of(decays) if kernel.index.exact else ())

    def take(self, rows: slice | NDArray[np.intp]) -> "ScaledKernels":
        """Select some of the scales."""
        decays = tuple((first, block[rows]) for first, block in self.decays)
        return ScaledKernels(self.scales[rows], self.spectrum[rows], decays)

    def forward(self, ideal: Floats) -> Floats:
        """Return the noisy distributions ``(s, 2^m)`` of ideal ones."""
        return np.maximum(decay(convolve(ideal, self.spectrum), self.decays), 0.0)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose of `forward`."""
        return convolve(decay(vector, self.decays, transposed=True), self.spectrum)
