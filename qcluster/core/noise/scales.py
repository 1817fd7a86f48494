"""A circuit's noise kernel at several multiples of its calibration, applied side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.walsh import walsh

_RADIX = 5
"""Bits that decay by one matrix product."""


@dataclass(frozen=True, eq=False)
class ScaledKernels:
    """One kernel at s scales: vectors are ``(s, 2^m)``, row i goes through the kernel at scale i."""

    scales: Floats
    """``(s,)`` multiples of the rates."""
    spectra: Floats
    """``(s, 2^m)``, see `Kernel.spectrum`."""
    decays: tuple[tuple[int, Floats], ...]
    """First bit, and ``(s, 2^k, 2^k)`` what decay makes of the next k; none where nothing decays."""

    @classmethod
    def of(cls, kernel: Kernel, scales: Sequence[float]) -> ScaledKernels:
        """Take a kernel at every scale, see `Kernel.scaled`.

        Example:
            >>> from qcluster.core.noise.faults import FaultMasks
            >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
            >>> kernel = Kernel.of(FaultMasks(1, *none, np.array([[0.1, 0.1]])))
            >>> kernels = ScaledKernels.of(kernel, (0.0, 1.0))
            >>> kernels.forward(np.array([[1.0, 0.0], [1.0, 0.0]])).round(3).tolist()
            [[1.0, 0.0], [0.9, 0.1]]
        """
        parity = walsh(np.bincount(kernel.shifts, kernel.rates, kernel.size).astype(np.float64))
        many = np.asarray(scales, dtype=np.float64)
        spectra = np.exp(many[:, None] * (parity - parity[0]))
        rates = np.stack([kernel.scaled(scale).decays for scale in scales])
        return cls(many, spectra, tuple(_blocks(rates)) if kernel.index.exact and rates.any() else ())

    def take(self, rows: slice | NDArray[np.intp]) -> ScaledKernels:
        """Keep some of the scales."""
        return ScaledKernels(self.scales[rows], self.spectra[rows], tuple((at, one[rows]) for at, one in self.decays))

    def forward(self, ideal: Floats) -> Floats:
        """Give the noisy distributions ``(s, 2^m)`` of ideal ones."""
        spread = walsh(walsh(ideal) * self.spectra) / ideal.shape[-1]
        return np.maximum(self.decayed(spread), 0.0)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose of `forward`."""
        return np.asarray(walsh(walsh(self.decayed(vector, transposed=True)) * self.spectra) / vector.shape[-1])

    def decayed(self, vector: Floats, *, transposed: bool = False) -> Floats:
        """Let bits decay, or apply the transpose of that."""
        for at, block in self.decays:
            size = block.shape[1]
            cube = vector.reshape(len(vector), -1, size, 1 << at)
            turned = block.transpose(0, 2, 1) if transposed else block
            vector = (turned[:, None] @ cube).reshape(vector.shape)
        return vector


def _blocks(rates: Floats) -> list[tuple[int, Floats]]:
    """Join the 2 x 2 matrices of several bits into one for each scale; see `qcluster.core.stats.walsh.decay`."""
    falls, rises = np.maximum(rates, 0.0), np.maximum(-rates, 0.0)
    single = np.stack([np.stack([1 - rises, falls], -1), np.stack([rises, 1 - falls], -1)], -2)
    found = []
    for at in range(0, rates.shape[1], _RADIX):
        block = np.ones((len(rates), 1, 1))
        for bit in range(at, min(at + _RADIX, rates.shape[1])):
            size = 2 * block.shape[1]
            block = np.einsum("sij,skl->sikjl", single[:, bit], block).reshape(len(rates), size, size)
        found.append((at, block))
    return found
