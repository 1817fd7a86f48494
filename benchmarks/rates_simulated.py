"""Effective rates on simulated machines, circuits and families that the model was not fitted to."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.rates_scores import dealt, figures, left_out, mae, r2
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
TOLD = {
    "before the run": CIRCUIT + MACHINE,
    "circuit and counts": CIRCUIT + COUNTS,
    "counts only": COUNTS,
}
"""Columns that are known, by case."""


def own() -> list[dict[str, Any]]:
    """Leave out machines, families and circuits; errors and coverage by group and by rate."""
    return [row for split in ("machine", "family", "circuit") for row in without(split)] + partly()


def without(split: str) -> list[dict[str, Any]]:
    """Predict each machine, family or fold of circuits from all others; drawn outputs leave with their circuits."""
    table = read_table()
    y, groups, real = table.rates, table.facts[split], table.facts["drawn"] == ""
    said = np.empty((len(COVERAGES), 3, len(y)))
    for out in left_out(dealt(groups) if split == "circuit" else groups):
        model = rate_model(table[~out])
        columns = model[:-1].transform(table.features[out])
        for place, coverage in enumerate(COVERAGES):
            said[place][:, out] = model[-1].predict_interval(columns, coverage)
    value, held, width = said[0, 0], (y >= said[:, 1]) & (y <= said[:, 2]), said[1, 2] - said[1, 1]

    def line(name: str, part: np.ndarray) -> dict[str, Any]:
        row = {"left out": split, "name": name, "width_of_80": round(float(np.median(width[part])), 4)}
        for coverage, hits in zip(COVERAGES, held, strict=True):
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
    """Circuits left out, with less known than everything; and the closed form."""
    table = read_table()
    table = table[table.facts["drawn"] == ""]
    y, parts, rows = table.rates, dealt(table.groups), []
    said = {name: np.empty(len(y)) for name in TOLD}
    for out in left_out(parts):
        model = rate_model(table[~out])
        for name, columns in TOLD.items():
            told = np.where(np.isin(NAMES, columns), table.features[out], np.nan)
            said[name][out] = model.predict(told)
    esp, bits = (table.features[:, NAMES.index(name)] for name in ("esp", "n_measured"))
    said["closed form 1-esp^(1/m)"] = 1 - esp ** (1 / bits)
    for name, rates in said.items():
        scores = {k: v for k, v in figures(y, rates[None], table.groups).items() if k != "r2_seeds"}
        rows.append({"left out": "circuit", "name": name} | scores)
        print(rows[-1], flush=True)
    return rows


def importance() -> list[dict[str, Any]]:
    """Loss of R2 on circuits left out when one physical column is shuffled."""
    from qcluster.learn.physics import COLUMNS, SPARES

    table = read_table()
    table = table[table.facts["drawn"] == ""]
    rng, parts = np.random.default_rng(0), dealt(table.groups, 5)
    shown = [name for name in COLUMNS if name not in dict(SPARES)]
    said = {name: np.empty(len(table)) for name in ("nothing", *shown)}
    for out in left_out(parts):
        model = rate_model(table[~out])
        columns = model[:-1].transform(table.features[out])
        said["nothing"][out] = model[-1].predict(columns)
        for name in shown:
            shuffled, place = columns.copy(), COLUMNS.index(name)
            shuffled[:, place] = columns[rng.permutation(len(columns)), place]
            said[name][out] = model[-1].predict(shuffled)
    rows: list[dict[str, Any]] = [
        {"shuffled": name, "r2": round(r2(table.rates, rates), 4)} for name, rates in said.items()
    ]
    for row in rows:
        row["loss"] = round(rows[0]["r2"] - row["r2"], 4)
        print(row, flush=True)
    return rows


def saturated() -> list[dict[str, Any]]:
    """Learn saturated labels in three ways; score runs with a kernel, their families left out in sixths."""
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
        said = np.empty(len(table))
        for out in left_out(dealt(table.groups, 6)):
            said[out] = rate_model(learned(table[~out])).predict(table.features[out])
        for part, chosen in scored.items():
            rows.append({"saturated labels": way, "part": part, "runs": int(chosen.sum())})
            rows[-1] |= {"r2": round(r2(table.rates[chosen], said[chosen]), 3)}
            rows[-1] |= {"mae": round(mae(table.rates[chosen], said[chosen]), 4)}
            print(rows[-1], flush=True)
    return rows


def at_least(table: RateTable, rounds: int = 4) -> RateTable:
    """Put in place of saturated labels what is expected of a rate that is at least so much.

    Tobin's model (1958), by expectation maximisation: the root of a rate is normal about what trees say that have not
    seen its row, as wide as their error on the rows that are not saturated.
    """
    least = table.facts["saturated"] == "1"
    columns = PhysicalColumns().fit_transform(table.features)
    start, filled = root(columns[:, COLUMNS.index(BASE)]), root(table.rates)
    columns = columns[:, [COLUMNS.index(name) for name in RICH]]
    bound = filled[least].copy()
    for turn in range(rounds):
        forest = ExtraTreesRegressor(
            60, min_samples_leaf=5, max_features=0.5, bootstrap=True, oob_score=True, random_state=turn
        )
        said = start + forest.fit(columns, filled - start).oob_prediction_
        width = float(np.sqrt(np.mean((filled - said)[~least] ** 2)))
        above = (bound - said[least]) / width
        filled[least] = said[least] + width * np.exp(norm.logpdf(above) - norm.logsf(above))
    return replace(table, rates=rate(filled))


def unseen() -> Iterator[tuple[str, Any, Any, float, Rates]]:
    """Yield name, counts, ideal, true rate and rates estimated without the machine; seeds that no table uses."""
    table = read_table()
    for number, machine in enumerate(MACHINES):
        model = rate_model(table[table.facts["machine"] != machine])
        for place, case in enumerate(CASES):
            for run in simulate_runs(Job(case, machine, 0, 2, 4096, 900_000 + 100 * number + place)):
                rates = estimate_rates(run.profile, run.calibration, run.counts, model=model)
                truth = effective_rate(run.counts, run.case.ideal)
                yield f"{case} {machine} x{run.scale:g}", run.counts, run.case.ideal, truth, rates
