"""Slow and obvious versions of what the circuit kernel computes."""

import numpy as np

from qcluster.core.noise.faults import FaultMasks


def noisy_distribution(ideal: np.ndarray, faults: FaultMasks) -> np.ndarray:
    """Flip with each mask in turn, then read each bit wrongly."""
    probs = ideal.copy()
    everywhere = np.arange(len(probs))
    for (mask,), rate in zip(faults.masks.astype(int), faults.rates, strict=True):
        flip = (1 - np.exp(-2 * rate)) / 2
        probs = (1 - flip) * probs + flip * probs[everywhere ^ mask]
    return read_wrongly(probs, faults.readout)


def read_wrongly(probs: np.ndarray, readout: np.ndarray) -> np.ndarray:
    """Apply P(read 1|0), P(read 0|1) of each bit."""
    for bit, (zero, one) in enumerate(readout):
        cube = probs.reshape(-1, 2, 1 << bit)
        matrix = np.array([[1 - zero, one], [zero, 1 - one]])
        probs = np.einsum("ij,ajb->aib", matrix, cube).reshape(-1)
    return probs


def random_faults(n: int, rng: np.random.Generator, rate: float = 0.05, readout: float = 0.05) -> FaultMasks:
    """A handful of masks and asymmetric readout."""
    masks = rng.choice(np.arange(1, 2**n), size=min(2 * n, 2**n - 1), replace=False).astype(np.uint64)[:, None]
    rates = rate * rng.random(len(masks))
    return FaultMasks(n, masks, rates, np.zeros(len(masks), dtype=np.uint8), readout * rng.random((n, 2)))
