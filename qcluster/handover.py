"""Distributions handed over to Qiskit, as types of its own."""

from typing import Any

import numpy as np

from qcluster.core.counts.distribution import Distribution, whole_shots


def to_bit_array(distribution: Distribution) -> Any:
    """Write whole shots out as a BitArray; behind `Distribution.to_bit_array`."""
    from qiskit.primitives import BitArray

    counts = whole_shots(distribution.weights, round(distribution.shots))
    if not counts.any():
        raise ValueError(f"a BitArray needs at least one whole shot; got {distribution.shots:.12g} shots")
    return BitArray.from_bool_array(np.repeat(distribution.bits, counts, axis=0), order="little")


def to_quasi(distribution: Distribution) -> Any:
    """Give a QuasiDistribution that knows its shots; behind `Distribution.to_quasi`."""
    from qiskit.result import QuasiDistribution

    shares = {int(key or "0", 2): share for key, share in distribution.to_probs().items()}  # no bits are the number 0
    return QuasiDistribution(shares, shots=distribution.shots)
