"""What happens where numbers become too small or too large: NumPy's own defaults, whatever the caller has set.

Likelihoods of improbable strings are meant to vanish. A caller who has asked NumPy to raise there, for computations of
their own, must not get another answer from here, nor none.
"""

import numpy as np

own_errstate = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
"""Decorates what is public and computes; what that calls is covered too, in any thread."""
