"""Other mitigation methods, for comparison. Each maps counts to a `Distribution` with the same number of shots.

==============  =========================================================================
identity        the counts unchanged
dem             inversion of the noise that a reference circuit measured (arXiv:2501.01953)
plurality       all shots on the most frequent string
m3              inversion of readout errors, by the mthree library itself
hammer          neighbourhood scores (ASPLOS'22)
qbeep           Poisson flow towards heavier neighbours (ISCA'23)
hammr_l         Richardson-Lucy on the Hamming graph (arXiv:2603.28821)
em_uniform      bit flips and a uniform background by expectation maximisation (arXiv:2506.00683)
==============  =========================================================================
"""

from qcluster.baselines.dem import dem
from qcluster.baselines.em_uniform import em_uniform
from qcluster.baselines.hammer import hammer
from qcluster.baselines.hammr_l import hammr_l
from qcluster.baselines.m3 import m3, measure_readout
from qcluster.baselines.qbeep import qbeep
from qcluster.baselines.simple import identity, plurality

__all__ = ["dem", "em_uniform", "hammer", "hammr_l", "identity", "m3", "measure_readout", "plurality", "qbeep"]
