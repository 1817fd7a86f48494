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
    """Read the published table. Its shots are not in it: those of the six published records, by width, stand in."""
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
    """Leave a table the columns that the published one has, and the shots."""
    told = np.where(np.isin(NAMES, (*EIGHT, "shots")), table.features, np.nan)
    return RateTable(told, table.rates, table.facts)


def twins(circuits: np.ndarray) -> np.ndarray:
    """Name two published circuits alike that are the same circuit."""
    return np.where(np.isin(circuits, ["wstate_n8", "wstate_n14"]), "wstate_n8+n14", circuits)


def r2(truth: np.ndarray, said: np.ndarray) -> float:
    return float(1 - ((truth - said) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def mae(truth: np.ndarray, said: np.ndarray) -> float:
    return float(np.abs(truth - said).mean())


def bootstrap(figure: Callable[[np.ndarray], float], groups: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """95 % interval of a figure of some rows, over groups drawn with replacement."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    values = [
        figure(np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]))
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def figures(y: np.ndarray, said: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Mean over seeds (first axis) of R2 and MAE, with bootstrap intervals over groups."""

    def mean(figure: Callable[..., float]) -> Callable[[np.ndarray], float]:
        return lambda rows: float(np.mean([figure(y[rows], one[rows]) for one in said]))

    every = np.arange(len(y))
    result: dict[str, Any] = {"rows": len(y), "seeds": len(said)}
    for name, figure in (("r2", mean(r2)), ("mae", mean(mae))):
        low, high = bootstrap(figure, groups)
        result |= {name: round(figure(every), 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    return result | {"r2_seeds": " ".join(f"{r2(y, one):.3f}" for one in said)}


def left_out(groups: np.ndarray) -> Iterator[np.ndarray]:
    for name in np.unique(groups):
        yield groups == name


def dealt(groups: np.ndarray, folds: int = 10) -> np.ndarray:
    """Deal groups into folds."""
    places = np.unique(groups, return_inverse=True)[1]
    return np.random.default_rng(0).permutation(places.max() + 1)[places] % folds


def others(table: RateTable, out: np.ndarray) -> np.ndarray:
    """Tell which rows are left to train on, ``(n_rows,) bool``: outputs that were drawn of the kinds of the families
    that are left out go with them."""
    return np.asarray(~out & ~np.isin(table.facts["drawn"], np.unique(table.facts["family"][out])))


def five_folds(n: int, seed: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    for part in np.array_split(order, 5):
        yield np.isin(np.arange(n), part)
