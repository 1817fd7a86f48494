"""Names of array types. Those of bitstrings, `Bits` and `Words`, are in `qcluster.core.counts.bits`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
"""Half the memory traffic: where products of large matrices set the time, and 1e-7 is exact enough."""
Reals = NDArray[np.floating[Any]]
"""Of either precision."""
Indices = NDArray[np.intp]
