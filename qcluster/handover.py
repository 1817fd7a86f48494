"""Conversion of distributions to Qiskit's types."""

from typing import Any

import numpy as np

from qcluster.core.counts.distribution import Distribution, whole_shots
from qcluster.core.words import plural

MOST_BYTES = 1 << 32
"""Largest size of a BitArray, in bytes."""


def to_bit_array(distribution: Distribution) -> Any:
    """Write a distribution as a BitArray of whole shots; implements `Distribution.to_bit_array`."""
    from qiskit.primitives import BitArray

    counts = whole_shots(distribution.weights, round(distribution.shots))
    if not counts.any():
        raise ValueError(f"a BitArray needs at least one whole shot; got {distribution.shots:.12g} shots")
    packed = BitArray.from_bool_array(distribution.bits, order="little").array
    size = int(counts.sum()) * packed.shape[1]
    if size > MOST_BYTES:
        raise ValueError(
            f"a BitArray holds every shot, and must take {MOST_BYTES:,} bytes at most; {distribution.shots:.12g} shots "
            f"of {plural(distribution.n_bits, 'bit')} take {size:,}: to_counts() gives them by string"
        )
    return BitArray(np.repeat(packed, counts, axis=0), distribution.n_bits)


def to_quasi(distribution: Distribution) -> Any:
    """Convert a distribution to a QuasiDistribution with its number of shots; implements `Distribution.to_quasi`."""
    from qiskit.result import QuasiDistribution

    probs = distribution.to_probs()  # QuasiDistribution turns bitstrings into integers, and keeps their length
    return QuasiDistribution({0: 1.0} if "" in probs else probs, shots=distribution.shots)
