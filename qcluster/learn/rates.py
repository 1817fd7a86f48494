"""Effective flip rates of a run, from what is known about it: circuit, machine, counts, or any part of these."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arithmetic import own_errstate
from qcluster.core.counts.distribution import Distribution
from qcluster.learn.features import CalibrationLike, ProfileLike, features, local_flips
from qcluster.learn.table import RateTable, read_table

Floats = NDArray[np.float64]

HIGHEST = 0.49
"""Rates given to mitigation stay below one half."""


@dataclass(frozen=True, eq=False)
class Rates:
    """Hold an estimated effective flip rate. `mitigate` takes it as it is, and then uses `per_bit`."""

    value: float
    """The effective flip rate of a bit, between 0 and 0.49."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    per_bit: Floats
    """``(n_bits,)`` rates: the value, divided in the way readout and gate errors of each measured qubit suggest."""
    in_range: bool
    """Whether the model was trained on runs like this one; if not, trust it less than the interval says."""
    coverage: float = 0.8
    """Share of runs of unseen circuits whose rate such an interval is to hold."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        """Give `per_bit`, so that rates can be handed on as an array."""
        return np.array(self.per_bit, dtype=dtype)


@own_errstate
def rate_model(table: RateTable | None = None, *, seed: int = 0) -> Any:
    """Give a fitted model: a scikit-learn Pipeline of `PhysicalColumns` and `RateForest`.

    Args:
        table: rows to fit; the shipped ones by default, and then the fitted model is kept in memory. Rows from
            `read_table` add up: ``read_table() + read_table("mine.csv")``.
        seed: same seed, same model.

    Returns:
        A Pipeline whose ``predict`` takes rows of `features`. Fitting 3,000 rows takes about 0.6 s.

    Raises:
        ValueError: the table has too few rows or groups.
        StorageError: the shipped table cannot be read.
    """
    return _shipped(seed) if table is None else new_model(seed).fit(*training(table), forest__groups=table.groups)


def new_model(seed: int = 0, **forest: Any) -> Any:
    """Give the unfitted Pipeline of `rate_model`; its fit takes ``forest__groups``, one name a row.

    Args:
        seed: of the trees.
        forest: other arguments of `RateForest`.
    """
    from sklearn.pipeline import Pipeline

    from qcluster.learn.forest import RateForest
    from qcluster.learn.physics import COLUMNS, RISING, SPARES, PhysicalColumns

    rising = tuple(COLUMNS.index(name) for name in RISING)
    spares = tuple((COLUMNS.index(name), COLUMNS.index(better)) for name, better in SPARES)
    return Pipeline([("physics", PhysicalColumns()), ("forest", RateForest(rising, spares, seed=seed, **forest))])


def training(table: RateTable) -> tuple[Floats, Floats]:
    """Give X and y of the rows whose rate is known."""
    if np.isnan(table.rates).any():
        raise ValueError("every row of a training table must have a rate")
    return table.features, table.rates


@lru_cache(maxsize=4)
def _shipped(seed: int) -> Any:
    return rate_model(read_table(), seed=seed)


@own_errstate
def estimate_rates(
    profile: ProfileLike | None = None,
    calibration: CalibrationLike | None = None,
    counts: Any = None,
    *,
    model: Any = None,
    coverage: float = 0.8,
) -> Rates:
    """Estimate the effective flip rates of a run.

    Args:
        profile: the compiled circuit (`Run.profile`), or None.
        calibration: the machine (`Run.calibration`), or None.
        counts: what was read; anything that `Distribution.of` takes, or None before the run.
        model: from `rate_model`; by default the one fitted on the shipped table, which takes about a second once.
        coverage: of the interval.

    Returns:
        Rates. The more is known the narrower the interval. Some milliseconds; the first call with another part
        missing takes longer, since the model grows trees for what is there.

    Raises:
        ValueError: neither a profile nor counts, or the two have different numbers of bits.

    Example:
        >>> rates = estimate_rates(counts={"00000": 800, "00001": 90, "01000": 60, "10000": 50})
        >>> rates.low < rates.value < rates.high, rates.per_bit.shape
        (True, (5,))
    """
    if profile is None and counts is None:
        raise ValueError("estimate_rates needs a profile or counts; got neither")
    row = features(profile, calibration, counts)
    model = rate_model() if model is None else model
    columns = model[:-1].transform(row[None, :])
    value, low, high = (
        float(np.clip(answer[0], 0.0, HIGHEST)) for answer in model[-1].predict_interval(columns, coverage)
    )
    n_bits = len(profile.measured) if profile is not None else Distribution.of(counts).n_bits
    return Rates(
        value=value,
        low=low,
        high=high,
        per_bit=_divide(value, n_bits, profile, calibration),
        in_range=bool(model[-1].in_range(columns)[0]),
        coverage=coverage,
    )


def _divide(value: float, n_bits: int, profile: ProfileLike | None, calibration: CalibrationLike | None) -> Floats:
    """Divide a rate over bits: 1 - p_j = (1 - w_j)^s, where s makes the mean of log(1 - p_j) that of the rate.

    w_j is half the error of the qubit itself, half the mean, because gates carry errors from qubit to qubit.
    """
    rates = np.full(n_bits, value)
    if profile is None or calibration is None:
        return rates
    read = profile.measured >= 0
    local = local_flips(profile, calibration)
    shares = -np.log1p(-np.clip((local + local.mean()) / 2, 1e-9, HIGHEST))
    rates[read] = -np.expm1(np.log1p(-value) * shares / shares.mean())
    rates[~read] = 0.0
    clipped: Floats = np.clip(rates, 0.0, HIGHEST)
    return clipped
