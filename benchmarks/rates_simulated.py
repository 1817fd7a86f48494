"""Effective rates on simulated machines, circuits and families that were left out of the fit of the model."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.rates_scores import assign_folds, figures, left_out, mae, r2, remaining_rows
from qcluster.bench.rate_plan import Job
from qcluster.bench.rate_runs import simulate_runs
from qcluster.device.noise.rates import estimate_rates
from qcluster.learn.features import NAMES
from qcluster.learn.forest import rate, root
from qcluster.learn.label import effective_rate
from qcluster.learn.physics import BASE, COLUMNS, RICH, PhysicalColumns
from qcluster.learn.rates import Rates, rate_model
from qcluster.learn.table import RateTable, read_table

CASES = ("ghz:5", "ghz:16", "bv:5", "bv:13", "cat:14", "hidden_shift:4", "mirror:10:depth=6", "w_state:3", "full_adder")
MACHINES = ("fake_brisbane", "fake_torino", "fake_mumbai")

COVERAGES = (0.5, 0.8, 0.95)
BANDS = ("<.02", ".02-.05", ".05-.1", ".1-.2", ".2-.3", ">.3")
CIRCUIT = ("n_qubits", "n_measured", "rz", "sx", "x", "two_qubit", "two_qubit_depth")
COUNTS = (
    *("n_measured", "shots", "entropy", "top_weight", "near_weight", "mean_distance", "collision"),
    *("answer_rate", "answer_entropy", "answer_top"),
)
MACHINE = tuple(name for name in NAMES if name not in (*CIRCUIT, *COUNTS))
KNOWN = {
    "before the run": CIRCUIT + MACHINE,
    "circuit and counts": CIRCUIT + COUNTS,
    "counts only": COUNTS,
}
"""Columns that are known, for each amount of knowledge."""


def own() -> list[dict[str, Any]]:
    """Score the model with machines, families and circuits left out: errors and coverage by group and by rate."""
    return [row for split in ("machine", "family", "circuit") for row in without(split)] + partly()


def without(split: str) -> list[dict[str, Any]]:
    """Predict each machine, family or fold of circuits from the others; drawn outputs are left out with their circuit,
    and with the family that they resemble."""
    table = read_table()
    y, groups, real = table.rates, table.facts[split], table.facts["drawn"] == ""
    predicted = np.empty((len(COVERAGES), 3, len(y)))
    for out in left_out(assign_folds(groups) if split == "circuit" else groups):
        model = rate_model(table[remaining_rows(table, out) if split == "family" else ~out])
        columns = model[:-1].transform(table.features[out])
        for k, coverage in enumerate(COVERAGES):
            predicted[k][:, out] = model[-1].predict_interval(columns, coverage)
    value, low, high = predicted[0, 0], predicted[:, 1], predicted[:, 2]
    covered, width = (y >= low) & (y <= high), high[1] - low[1]

    def line(name: str, part: np.ndarray) -> dict[str, Any]:
        row = {"left out": split, "name": name, "width_of_80": round(float(np.median(width[part])), 4)}
        for coverage, hits in zip(COVERAGES, covered, strict=True):
            row[f"coverage_of_{100 * coverage:.0f}"] = round(float(hits[part].mean()), 3)
        return row

    scores = {k: v for k, v in figures(y[real], value[None, real], groups[real]).items() if k != "r2_seeds"}
    rows = [line("all", real) | scores]
    print(rows[-1], flush=True)
    bands = np.array(BANDS)[np.digitize(y, [0.02, 0.05, 0.1, 0.2, 0.3])]
    parts = {str(name): groups == name for name in np.unique(groups)} | {f"rate {b}": bands == b for b in BANDS}
    full = ~np.isnan(table.features[:, NAMES.index("kernel_rate")])
    spread = np.array([float(value or "nan") for value in table.facts["ideal_entropy"].tolist()])
    parts |= {"kernel known": full, "peaked": full & (spread <= 0.6), "spread": full & (spread > 0.6)}
    for name, part in ((name, part & real) for name, part in parts.items()):
        rows.append(line(name, part) | {"rows": int(part.sum()), "mae": round(mae(y[part], value[part]), 4)})
        rows[-1]["r2"] = round(r2(y[part], value[part]), 4)
        rows[-1]["bias"] = round(float((value - y)[part].mean()), 4)
    return rows


def partly() -> list[dict[str, Any]]:
    """Score the model with circuits left out and only some columns known, and the closed form."""
    table = read_table()
    table = table[table.facts["drawn"] == ""]
    y, parts, rows = table.rates, assign_folds(table.groups), []
    predicted = {name: np.empty(len(y)) for name in KNOWN}
    for out in left_out(parts):
        model = rate_model(table[~out])
        for name, columns in KNOWN.items():
            features = np.where(np.isin(NAMES, columns), table.features[out], np.nan)
            predicted[name][out] = model.predict(features)
    esp, bits = (table.features[:, NAMES.index(name)] for name in ("esp", "n_measured"))
    predicted["closed form 1-esp^(1/m)"] = 1 - esp ** (1 / bits)
    for name, rates in predicted.items():
        scores = {k: v for k, v in figures(y, rates[None], table.groups).items() if k != "r2_seeds"}
        rows.append({"left out": "circuit", "name": name} | scores)
        print(rows[-1], flush=True)
    return rows


def importance() -> list[dict[str, Any]]:
    """Measure the loss of R2 on circuits left out when one physical column is shuffled."""
    from qcluster.learn.physics import COLUMNS, SPARES

    table = read_table()
    table = table[table.facts["drawn"] == ""]
    rng, parts = np.random.default_rng(0), assign_folds(table.groups, 5)
    names = [name for name in COLUMNS if name not in dict(SPARES)]
    predicted = {name: np.empty(len(table)) for name in ("nothing", *names)}
    for out in left_out(parts):
        model = rate_model(table[~out])
        columns = model[:-1].transform(table.features[out])
        predicted["nothing"][out] = model[-1].predict(columns)
        for name in names:
            shuffled, k = columns.copy(), COLUMNS.index(name)
            shuffled[:, k] = columns[rng.permutation(len(columns)), k]
            predicted[name][out] = model[-1].predict(shuffled)
    rows: list[dict[str, Any]] = [
        {"shuffled": name, "r2": round(r2(table.rates, rates), 4)} for name, rates in predicted.items()
    ]
    for row in rows:
        row["loss"] = round(rows[0]["r2"] - row["r2"], 4)
        print(row, flush=True)
    return rows


def saturated() -> list[dict[str, Any]]:
    """Compare three treatments of saturated labels, scored on runs with a kernel, in six folds of families; drawn
    outputs are left out with the family that they resemble."""
    table = read_table()
    table = table[~np.isnan(table.features[:, NAMES.index("kernel_rate")])]
    mixed, run = table.facts["saturated"] == "1", table.facts["drawn"] == ""
    spread = np.array([float(value) > 0.6 for value in table.facts["ideal_entropy"]])
    scored = {"all": run, "peaked": run & ~spread, "spread": run & spread, "not saturated": run & ~mixed}
    ways: dict[str, Callable[[RateTable], RateTable]] = {
        "left out": lambda rows: rows[rows.facts["saturated"] != "1"],
        "as they are": lambda rows: rows,
        "at least so much (Tobit)": at_least,
    }
    rows = []
    for way, learned in ways.items():
        predicted = np.empty(len(table))
        for out in left_out(assign_folds(table.groups, 6)):
            predicted[out] = rate_model(learned(table[remaining_rows(table, out)])).predict(table.features[out])
        for part, members in scored.items():
            rows.append({"saturated labels": way, "part": part, "runs": int(members.sum())})
            rows[-1]["r2"] = round(r2(table.rates[members], predicted[members]), 3)
            rows[-1]["mae"] = round(mae(table.rates[members], predicted[members]), 4)
            print(rows[-1], flush=True)
    return rows


def at_least(table: RateTable, rounds: int = 4) -> RateTable:
    """Replace saturated labels by their expected values, given that the true rates are at least as large.

    This is Tobin's model (1958) by expectation maximisation: the root of a rate is normally distributed about the
    out-of-bag prediction of the trees, with the standard deviation of their errors on the rows that are not saturated.
    """
    saturated = table.facts["saturated"] == "1"
    columns = PhysicalColumns().fit_transform(table.features)
    start, filled = root(columns[:, COLUMNS.index(BASE)]), root(table.rates)
    columns = columns[:, [COLUMNS.index(name) for name in RICH]]
    bound = filled[saturated].copy()
    for turn in range(rounds):
        forest = ExtraTreesRegressor(
            60, min_samples_leaf=5, max_features=0.5, bootstrap=True, oob_score=True, random_state=turn
        )
        predicted = start + forest.fit(columns, filled - start).oob_prediction_
        sigma = float(np.sqrt(np.mean((filled - predicted)[~saturated] ** 2)))
        z = (bound - predicted[saturated]) / sigma
        filled[saturated] = predicted[saturated] + sigma * np.exp(norm.logpdf(z) - norm.logsf(z))
    return replace(table, rates=rate(filled))


def unseen() -> Iterator[tuple[str, Any, Any, float, Rates]]:
    """Yield name, counts, ideal output, true rate and rates estimated without the machine, for seeds not in the
    table."""
    table = read_table()
    for number, machine in enumerate(MACHINES):
        model = rate_model(table[table.facts["machine"] != machine])
        for k, case in enumerate(CASES):
            for run in simulate_runs(Job(case, machine, 0, 2, 4096, 900_000 + 100 * number + k)):
                rates = estimate_rates(run.profile, run.calibration, run.counts, model=model)
                truth = effective_rate(run.counts, run.case.ideal)
                yield f"{case} {machine} x{run.scale:g}", run.counts, run.case.ideal, truth, rates
