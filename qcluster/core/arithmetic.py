"""Floating-point error handling that does not depend on the caller's ``np.seterr``.

Likelihoods of improbable strings are meant to underflow to zero. A caller who has told NumPy to raise on underflow must
get the same answer as any other.
"""

import numpy as np

default_errstate = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
"""Decorator that applies NumPy's defaults inside a public function and everything that it calls, in any thread."""
