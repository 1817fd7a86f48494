"""The prior of a bit's flip rate on an IBM machine: all constants about flip rates that were chosen from data.

The prior is hierarchical, from the circuit to the shot. A compiled circuit on a machine has a noise level. The rates of
its bits scatter about this level log-normally. Ones flip more often than zeros, since qubits decay. In each shot the
odds of all flips are multiplied by a common factor, since errors come in bursts (over-dispersion).

``python -m benchmarks.flip_rate_prior`` fits level and scatter to the rate table in the package, and scatter and
asymmetry to calibrations, and prints the fits beside these constants. The features of the trained decision depend on
the constants, so it must be retrained if they change.
"""

import numpy as np

from qcluster.core.arrays import Floats

LEVEL_RANGE = (0.003, 0.5)
"""Smallest and largest noise level; the prior is uniform in its logarithm."""
SPREADS: Floats = np.array([0.03, 0.1, 0.25, 0.5, 0.8])
"""Standard deviations of ln(rate) from bit to bit, equally probable."""
LOGIT_MEANS = (-2.5, -1.5)
"""Means over machines of the logits of P(read 1|0) and of P(read 0|1), which decay adds to; they scatter by 1."""
LOGIT_SPREADS = (0.5, 1.0)
"""Standard deviations of the logit from bit to bit, equally probable, where ones and zeros have different rates."""
ASYMMETRY = 1.0
"""Standard deviation of ln(P(read 0|1) / P(read 1|0)), both averaged over the register: on one machine the two stay
within a factor of about ten of each other, and no machine has a rate of one half beside one of zero."""
LARGEST_DECAY_RATE = 0.6
"""Largest P(read 0|1): a bit may decay in more than half of the shots."""
PRIOR_SHOTS = 30.0
"""Weight of the mean over the bits in the estimate of one bit's rate, in shots."""
TILTS: Floats = np.array([0.12, 0.4, 1.0, 2.2])
"""Error regimes: factors on the odds of all flips in a shot, from shots with few errors to shots with many."""
REGIMES: Floats = np.array([0.1, 0.3, 0.5, 0.1])
"""Prior shares of the error regimes."""
INDEPENDENT_REGIMES: Floats = np.array([0.01, 0.04, 0.93, 0.02])
"""Prior shares of the error regimes for independent flips."""
