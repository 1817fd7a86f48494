"""The prior of flip rates is fitted back from tables drawn with it."""

import numpy as np
import pytest

from qcluster.learn.features import NAMES
from qcluster.learn.prior import fit_prior
from qcluster.learn.table import FACTS, RateTable


def drawn(spread: float, level: float, rows: int, seed: int) -> RateTable:
    """A table whose circuits have 3 to 24 qubits with readout errors of one spread."""
    rng = np.random.default_rng(seed)
    features = np.full((rows, len(NAMES)), np.nan)
    for row in features:
        errors = 0.02 * np.exp(rng.normal(0, spread, rng.integers(3, 25)))
        row[NAMES.index("n_measured")] = len(errors)
        row[NAMES.index("readout_worst")], row[NAMES.index("readout_mean")] = errors.max(), errors.mean()
    return RateTable(features, level * np.exp(rng.normal(0, 0.5, rows)), {name: np.full(rows, "") for name in FACTS})


@pytest.mark.parametrize("spread", [0.2, 0.5, 0.9])
def test_level_and_spread_are_fitted_back(spread: float) -> None:
    found = fit_prior(drawn(spread, 0.06, 600, 3))
    assert found.levels[2] == pytest.approx(0.06, rel=0.1)
    assert found.spreads[2] == pytest.approx(spread, rel=0.1)


def test_a_table_without_rates_is_refused() -> None:
    table = drawn(0.5, 0.06, 3, 1)
    table.rates[1] = np.nan
    with pytest.raises(ValueError, match="every row of a table must have a rate"):
        fit_prior(table)


def test_a_table_without_readout_errors_is_refused() -> None:
    table = drawn(0.5, 0.06, 3, 1)
    table.features[:] = np.nan
    with pytest.raises(ValueError, match="at least two qubits"):
        fit_prior(table)
