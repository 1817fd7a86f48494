"""How an answer deconvolved under a circuit's kernel moves when the shots are drawn anew."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.circuit_dense import DenseFit, posterior
from qcluster.core.circuit_kernel import Kernel
from qcluster.core.response import Observables, believed

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Redeconvolved:
    """Every resample is deconvolved under one hypothesis of noise strength and density, drawn by belief.

    The kernel and the belief are held. What the insurance costs counts as an error: it has no part in the redraws.
    """

    kernel: Kernel
    """The calibration's."""
    rows: NDArray[np.int64]
    """``(n_outcomes,)`` numbers of the observed strings, which are exact."""
    found: DenseFit
    """What was deconvolved."""
    steps: int
    """Rounds of each hypothesis."""

    @property
    def width(self) -> int:
        """Full vectors: the answer's and what it takes to find it."""
        return 8 * self.kernel.size

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `qcluster.core.response.Response`."""
        histograms = np.zeros((len(draws), self.kernel.size))
        histograms[:, self.rows] = draws
        scale, density = np.divmod(believed(self.found.belief.ravel(), levels), len(self.found.densities))
        values = observables(np.arange(self.kernel.size, dtype=np.uint64)[:, None])
        redone = np.zeros((len(draws), values.shape[1]))
        for one in np.unique(scale):
            mine = np.flatnonzero(scale == one)
            prior = self.found.densities[density[mine]][:, None]
            roots, _ = posterior(self.kernel.scaled(self.found.scales[one]), histograms[mine], prior, self.steps)
            answers = roots * roots
            redone[mine] = answers @ values / answers.sum(axis=1, keepdims=True)
        return redone
