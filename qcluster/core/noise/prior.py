"""The prior of a bit's flip rate on an IBM machine: every constant about flip rates that was chosen by looking at data.

Hierarchical, from the circuit to the shot: a compiled circuit on a machine has a level of noise; the rates of its bits
scatter about it, log-normally; ones flip more often than zeros, since qubits decay; and in each shot the odds of all
flips are multiplied by a common factor, since errors come in bursts (over-dispersion).

``python -m benchmarks.flip_rate_prior`` fits level and scatter to the table of rates that ships, and scatter and
asymmetry to calibrations, and prints them beside these constants. The features of the trained decision depend on the
values: with other ones it must be trained again.
"""

import numpy as np

from qcluster.core.arrays import Floats

LEVELS = (0.003, 0.5)
"""Smallest and largest level; as probable in every octave."""
SPREADS: Floats = np.array([0.03, 0.1, 0.25, 0.5, 0.8])
"""Standard deviations of ln(rate) from bit to bit, equally probable."""
LOGIT_MEANS = (-2.5, -1.5)
"""Of P(read 1|0), and of P(read 0|1), which decay adds to: means of the logit over machines; they scatter by 1."""
LOGIT_SPREADS = (0.5, 1.0)
"""Standard deviations of the logit from bit to bit, equally probable, where ones and zeros are told apart."""
ASYMMETRY = 1.0
"""Standard deviation of ln(P(read 0|1) / P(read 1|0)), both averaged over the register: readout and decay of one
machine stay within a factor of some ten of each other, and a rate of one half beside one of zero is no machine's."""
LARGEST = 0.6
"""Largest P(read 0|1): a bit may decay in more than half of the shots."""
SHOTS = 30.0
"""Weight of the mean over the bits in the estimate of one bit's rate, in shots."""
TILTS: Floats = np.array([0.12, 0.4, 1.0, 2.2])
"""Factors on the odds of all flips of a shot, its error regime: shots with few errors, and shots with many."""
REGIMES: Floats = np.array([0.1, 0.3, 0.5, 0.1])
"""Shares of the regimes before the shots are seen."""
INDEPENDENT: Floats = np.array([0.01, 0.04, 0.93, 0.02])
"""The same where flips are independent."""
