"""Real rows, splits and scores for the benchmarks of effective rates."""

import csv
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.data import DATA
from qcluster.learn.features import NAMES
from qcluster.learn.table import RateTable

EIGHT = ("n_qubits", "n_measured", "rz", "sx", "x", "two_qubit", "entropy", "esp")
"""Columns of the published table."""

SEEDS = range(4)


def real_rows() -> RateTable:
    """Read the published table, with assumed shots: those of the six published records, by width."""
    with (DATA / "effective_rates_2025.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = np.full((len(rows), len(NAMES)), np.nan)
    for name in EIGHT:
        table[:, NAMES.index(name)] = [float(row[name]) for row in rows]
    bits = table[:, NAMES.index("n_measured")]
    table[:, NAMES.index("shots")] = np.where(bits <= 12, 4096, np.where(bits <= 16, 8192, 16384))
    circuits = np.array([row["circuit"] for row in rows])
    facts = {
        "circuit": circuits,
        "family": np.array([name.rsplit("_", 1)[0] for name in circuits.tolist()]),
        "machine": np.array([row["machine"] for row in rows]),
        "ideal_entropy": np.array([row["ideal_entropy"] for row in rows]),
    }
    return RateTable(table, np.array([float(row["target"]) for row in rows]), facts)


def blind(table: RateTable) -> RateTable:
    """Return a table with only the columns of the published one and the shots; the others are NaN."""
    features = np.where(np.isin(NAMES, (*EIGHT, "shots")), table.features, np.nan)
    return RateTable(features, table.rates, table.facts)


def twins(circuits: np.ndarray) -> np.ndarray:
    """Give a common name to two published circuits that are the same circuit."""
    return np.where(np.isin(circuits, ["wstate_n8", "wstate_n14"]), "wstate_n8+n14", circuits)


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the coefficient of determination."""
    return float(1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def mae(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean absolute error."""
    return float(np.abs(truth - predicted).mean())


def bootstrap(figure: Callable[[np.ndarray], float], groups: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a figure of selected rows, over groups drawn with replacement."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    values = [
        figure(np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]))
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def figures(y: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Return R2 and MAE, averaged over seeds (the first axis), with bootstrap intervals over groups."""

    def mean(figure: Callable[..., float]) -> Callable[[np.ndarray], float]:
        return lambda rows: float(np.mean([figure(y[rows], one[rows]) for one in predicted]))

    every = np.arange(len(y))
    result: dict[str, Any] = {"rows": len(y), "seeds": len(predicted)}
    for name, figure in (("r2", mean(r2)), ("mae", mean(mae))):
        low, high = bootstrap(figure, groups)
        result |= {name: round(figure(every), 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    return result | {"r2_seeds": " ".join(f"{r2(y, one):.3f}" for one in predicted)}


def left_out(groups: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each group which rows belong to it, ``(n_rows,) bool``."""
    for name in np.unique(groups):
        yield groups == name


def assign_folds(groups: np.ndarray, folds: int = 10) -> np.ndarray:
    """Return the fold of each row, with groups assigned to folds at random."""
    index = np.unique(groups, return_inverse=True)[1]
    return np.random.default_rng(0).permutation(index.max() + 1)[index] % folds


def remaining_rows(table: RateTable, out: np.ndarray) -> np.ndarray:
    """Return which rows remain for training, ``(n_rows,) bool``, without drawn outputs of the kinds of the families
    that are left out."""
    return np.asarray(~out & ~np.isin(table.facts["drawn"], np.unique(table.facts["family"][out])))


def five_folds(n: int, seed: int) -> Iterator[np.ndarray]:
    """Yield for each of five random folds which rows belong to it, ``(n,) bool``."""
    order = np.random.default_rng(seed).permutation(n)
    for part in np.array_split(order, 5):
        yield np.isin(np.arange(n), part)
