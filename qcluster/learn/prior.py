"""Fit the prior of flip rates (`qcluster.core.noise.prior`) to a table of rates with readout errors."""

from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.learn.features import NAMES
from qcluster.learn.table import RateTable

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SPREADS = np.linspace(0, 2, 81)
_DRAWS = 2000


@dataclass(frozen=True, eq=False)
class FittedPrior:
    """Quantiles at 5, 25, 50, 75 and 95 % over the rows of a table."""

    levels: Floats
    """``(5,)`` effective flip rates of circuits."""
    spreads: Floats
    """``(5,)`` standard deviations of ln(readout error) over the measured qubits."""


def fit_prior(table: RateTable, seed: int = 0) -> FittedPrior:
    """Fit the level and the scatter of flip rates to a table of rates.

    A row holds the mean and the largest readout error of its qubits. For log-normal errors of spread s on a given
    number of qubits, the expected value of ``ln(largest / mean)`` grows with s. The spread of a row is the s at which
    this expectation equals the value of the row.

    Args:
        table: rows with rates. Rows of one qubit or without readout errors are not used for the spread. Rows of drawn
            outputs are left out.
        seed: seed of the random draws by which the expectation is computed.

    Raises:
        ValueError: no row can be used for the spread, or a row has no rate.

    Example:
        >>> from qcluster.learn.table import read_table
        >>> fit_prior(read_table()).levels.round(2).tolist()
        [0.0, 0.02, 0.06, 0.15, 0.37]
    """
    table = table[table.facts["drawn"] == ""]
    if np.isnan(table.rates).any():
        raise ValueError("every row of a table must have a rate")
    column = {name: table.features[:, place] for place, name in enumerate(NAMES)}
    qubits, largest, mean = column["n_measured"], column["readout_worst"], column["readout_mean"]
    known = (qubits > 1) & (largest > 0) & (mean > 0)
    if not known.any():
        raise ValueError("a prior needs rows with readout errors of at least two qubits; got none")
    ratio, qubits = np.log(largest[known] / mean[known]), qubits[known].astype(int)
    rng, spreads = np.random.default_rng(seed), np.empty(len(qubits))
    for n in np.unique(qubits):
        errors = np.exp(_SPREADS[:, None, None] * rng.normal(size=(_DRAWS, n)))
        expected = np.log(errors.max(axis=2) / errors.mean(axis=2)).mean(axis=1)
        spreads[qubits == n] = np.interp(ratio[qubits == n], expected, _SPREADS)
    return FittedPrior(np.quantile(table.rates, _QUANTILES), np.quantile(spreads, _QUANTILES))
