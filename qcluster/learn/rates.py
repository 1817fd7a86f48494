"""Effective flip rates of a run, predicted from its circuit, machine and counts, or from any of these."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole
from qcluster.core.counts.distribution import Distribution, check_shots
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.decision.decide import STRUCTURE
from qcluster.core.estimators.q_cluster import q_cluster
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.mitigate import mitigate
from qcluster.core.noise.bitflips import as_rates
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.stats.goodness import distance_from_uniform
from qcluster.learn.features import CalibrationLike, ProfileLike, as_measured, fault_flips, features, local_flips
from qcluster.learn.table import RateTable, read_table

HIGHEST = 0.49
"""Largest rate that is passed to mitigation, below one half."""

TRIED = np.arange(0.0, HIGHEST, 0.02)
"""Rates at which the published Q-Cluster is tried."""


@dataclass(frozen=True, eq=False)
class Rates(Frozen):
    """An estimated effective flip rate.

    Pass it to `mitigate` as ``noise=``: the default method uses `per_bit`, ``method="paper"`` uses `clustering`.
    """

    value: float
    """The effective flip rate of a bit, between 0 and 0.49."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    per_bit: Floats
    """``(n_bits,)`` rates: `value` divided over the bits by the readout and gate errors of their qubits."""
    in_range: bool
    """Whether the training data hold similar runs; if not, trust the estimate less than the interval suggests."""
    coverage: float = 0.8
    """Share of runs of unseen circuits whose rate the interval should contain."""
    saturated: bool = False
    """Whether the counts are indistinguishable from uniform noise. Either the ideal output is flat or noise has mixed
    it completely, and counts alone cannot decide which. `value` is then a compromise between the two, `high` is 0.49
    (nothing bounds the rate from above), and `in_range` is False."""
    used: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool), repr=False)
    """``(n_training_rows,)``, in the order of the model's table: which training rows were used, namely those for which
    everything is known that is known of this run."""
    clustering: Floats = field(kw_only=True)
    """``(n_bits,)``: the single rate at which the published Q-Cluster comes nearest to the mitigated answer, see
    `clustering_rate`. Equal to `value` without counts; 0 for bits that are not measured."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def rows(self) -> int:
        """Number of training rows used."""
        return int(self.used.sum())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        """Return `per_bit`, so that rates can be passed on as an array."""
        return np.array(self.per_bit, dtype=dtype, copy=True if copy is None else copy)


@default_errstate
def rate_model(table: RateTable | None = None, *, seed: int = 0) -> Any:
    """Return a fitted rate model: a scikit-learn Pipeline of `PhysicalColumns` and `RateForest`.

    Args:
        table: training rows. By default the shipped table; that model is fitted once and kept in memory. Tables can be
            added: ``read_table() + read_table("mine.csv")``.
        seed: the same seed gives the same model.

    Returns:
        A Pipeline whose ``predict`` takes rows of `features`. The first prediction with a combination of known features
        grows the trees for it, about a second for 5,000 rows.

    Raises:
        ValueError: the table has too few rows or groups, a row without a rate, or a negative seed.
        TypeError: the argument is not a table, for example the name of a file.
        StorageError: the shipped table cannot be read.
    """
    seed = check_whole("seed", seed, 0)
    if table is None:
        return _shipped(seed)
    if not isinstance(table, RateTable):
        raise TypeError(f"table must be a RateTable, as read_table(path) gives; got {type(table).__name__}")
    if np.isnan(table.rates).any():
        raise ValueError("every row of a training table must have a rate")
    drawn = table.facts["drawn"]
    return new_model(seed).fit(
        table.features, table.rates, forest__groups=table.groups, forest__judged=drawn == "", forest__kinds=drawn
    )


def new_model(seed: int = 0, **forest: Any) -> Any:
    """Return the unfitted Pipeline of `rate_model`; its ``fit`` takes ``forest__groups``, one name for each row.

    Args:
        seed: seed of the trees.
        forest: further arguments of `RateForest`.
    """
    from sklearn.pipeline import Pipeline

    from qcluster.learn.forest import RateForest
    from qcluster.learn.physics import BASE, COLUMNS, RISING, SPARES, STRATA, PhysicalColumns

    place = COLUMNS.index
    rising = tuple(place(name) for name in RISING)
    spares = tuple((place(name), place(better)) for name, better in SPARES)
    strata = place(STRATA[0]), STRATA[1]
    trees = RateForest(rising, spares, strata, place(BASE), seed=seed, **forest)
    return Pipeline([("physics", PhysicalColumns()), ("forest", trees)])


@lru_cache(maxsize=4)
def _shipped(seed: int) -> Any:
    return rate_model(read_table(), seed=seed)


def predict_rates(
    profile: ProfileLike | None,
    calibration: CalibrationLike | None,
    counts: Any,
    faults: FaultMasks | None = None,
    *,
    model: Any = None,
    coverage: float = 0.8,
) -> Rates:
    """Predict rates from the parts of a run, None where unknown; `qcluster.estimate_rates` collects these parts.

    Args:
        profile: the compiled circuit.
        calibration: the machine.
        counts: what was read, as anything that `Distribution.of` accepts.
        faults: flip patterns of the circuit's faults.
        model: from `rate_model`; by default the one fitted on the shipped table.
        coverage: coverage of the interval.

    Raises:
        ValueError: the parts differ in width, there is neither a profile nor counts, the counts are probabilities, or
            no training row of the model has everything that is known of this run.
    """
    read = None if counts is None else Distribution.of(counts)
    if read is not None:
        check_shots(read, "counts")
    row = features(profile, calibration, read, faults, alone=faults is None)
    if profile is not None:
        measured = profile.measured >= 0
    elif read is not None:
        measured = np.ones(read.n_bits, dtype=bool)
    else:
        raise ValueError("rates need a profile or counts; got neither")
    shares = flip_shares(len(measured), profile, calibration, faults)
    if profile is not None:
        read, faults = as_measured(profile, read, faults)
    model = rate_model() if model is None else model
    columns = model[:-1].transform(row[None, :])
    value, low, high = (
        float(np.clip(answer[0], 0.0, HIGHEST)) for answer in model[-1].predict_interval(columns, coverage)
    )
    mixed = read is not None and looks_uniform(read)
    per_bit, clustering = divide(value, shares), value
    if read is not None and read.shots:
        answer = mitigate(read, per_bit[measured] if faults is None else faults).distribution
        clustering = clustering_rate(read, answer, shares[measured] > 0)
    return Rates(
        value=value,
        low=low,
        high=HIGHEST if mixed else high,
        per_bit=per_bit,
        clustering=np.where(shares > 0, clustering, 0.0),
        in_range=bool(model[-1].in_range(columns)[0]) and not mixed,
        saturated=mixed,
        coverage=coverage,
        used=model[-1].complete(columns),
    )


def clustering_rate(counts: Distribution, answer: Distribution, measured: NDArray[np.bool_]) -> float:
    """Find the rate at which the published Q-Cluster comes nearest to an answer, in Hellinger fidelity.

    This rate differs from the effective rate for three reasons. The effective rate counts shots without any flip, but
    one fault often flips several bits of a shot, so the mean bit is flipped more often. The published radius is twice
    the variance of the number of flips; at low rates it is too small to include any neighbour, and few clusters form.
    And where the output is spread, every string has other true strings nearby, whose shots its cluster takes away. The
    rate is therefore fitted to the mitigated answer, which replaces the unknown ideal output.

    Args:
        counts: what was read.
        answer: the best available estimate of the ideal output.
        measured: ``(n_bits,) bool``; the other bits get rate 0.

    Returns:
        The best of `TRIED`; the smallest of them if several are equally good.

    Example:
        >>> counts = Distribution.of({"00000": 700, "00001": 100, "00010": 100, "00100": 100})
        >>> clustering_rate(counts, Distribution.of({"00000": 1000}), np.ones(5, dtype=bool))
        0.2
    """
    answers = [q_cluster(counts, as_rates(rate * measured, counts.n_bits))[0] for rate in TRIED]
    return float(TRIED[np.argmax([hellinger_fidelity(mitigated, answer) for mitigated in answers])])


def looks_uniform(counts: Distribution) -> bool:
    """Return whether counts cannot be told from uniform noise, by the test that `mitigate` applies.

    Example:
        >>> looks_uniform(Distribution.of({"0": 51, "1": 49})), looks_uniform(Distribution.of({"0": 90, "1": 10}))
        (True, False)
    """
    return distance_from_uniform(counts.bits, counts.weights) < STRUCTURE


def flip_shares(
    n_bits: int,
    profile: ProfileLike | None = None,
    calibration: CalibrationLike | None = None,
    faults: FaultMasks | None = None,
) -> Floats:
    """Return the published flip rate of each bit, ``(n_bits,)``; only the ratios between bits are used.

    The rates come from the circuit's fault patterns, which include errors that spread from other qubits. Without fault
    patterns, each is the average of the local rate of its qubit and the mean local rate. They are equal where nothing
    is known or no error is published. Bits that are not measured get 0.
    """
    read = np.ones(n_bits, dtype=bool) if profile is None else profile.measured >= 0
    rates = np.ones(n_bits)
    if faults is not None:
        rates = fault_flips(faults)
    elif profile is not None and calibration is not None:
        local = local_flips(profile, calibration)
        rates[read] = (local + local.mean()) / 2
    return np.where(read, rates if rates[read].any() else 1.0, 0.0)


def divide(value: float, shares: Floats) -> Floats:
    """Divide a rate over bits: 1 - p_j = (1 - w_j)^s, with s such that the mean of log(1 - p_j) is log(1 - value).

    Args:
        value: the rate.
        shares: ``(n_bits,)`` from `flip_shares`; bits with share 0 get rate 0.
    """
    read = shares > 0
    rates = np.zeros(len(shares))
    logs = -np.log1p(-np.clip(shares[read], 1e-9, HIGHEST))
    rates[read] = -np.expm1(np.log1p(-value) * logs / logs.mean())
    clipped: Floats = np.clip(rates, 0.0, HIGHEST)
    return clipped
