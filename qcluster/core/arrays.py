"""Aliases of array types, and read-only arrays. Those of bitstrings are in `qcluster.core.counts.bits`."""

from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""Single precision, for large matrix products: half the memory traffic, where a relative error of 1e-7 does no harm."""
Reals = NDArray[np.floating[Any]]
"""Single or double precision."""
Indices = NDArray[np.intp]

T = TypeVar("T", bound=np.generic)


def read_only(array: NDArray[T]) -> NDArray[T]:
    """Make an array read-only, in place, and return it."""
    array.flags.writeable = False
    return array


@lru_cache(maxsize=64)
def upper_triangle(n: int) -> NDArray[np.bool_]:
    """Return a mask of the entries above the diagonal of an ``(n, n)`` matrix. It is cached, and read-only."""
    return read_only(~np.tri(n, dtype=bool))
