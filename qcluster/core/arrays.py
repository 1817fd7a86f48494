"""Names of array types, and read-only arrays. `Bits` and `Words` of bitstrings are in `qcluster.core.counts.bits`."""

from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""Half the memory traffic: where products of large matrices set the time, and 1e-7 is exact enough."""
Reals = NDArray[np.floating[Any]]
"""Of either precision."""
Indices = NDArray[np.intp]

T = TypeVar("T", bound=np.generic)


def read_only(array: NDArray[T]) -> NDArray[T]:
    """Forbid changes to an array, and give it back."""
    array.flags.writeable = False
    return array


@lru_cache(maxsize=64)
def upper_triangle(n: int) -> NDArray[np.bool_]:
    """Mark the entries above the diagonal of an ``(n, n)`` matrix: each pair of n things once. Kept, and read-only.

    Example:
        >>> upper_triangle(3).astype(int).tolist()
        [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    """
    return read_only(~np.tri(n, dtype=bool))
