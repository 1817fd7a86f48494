"""Effective rates on simulated machines, circuits and families that the model was not fitted to."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.rates_scores import dealt, figures, left_out, mae, r2
from qcluster.bench.rate_plan import Job
from qcluster.bench.rate_table import simulate_runs
from qcluster.device.noise.rates import estimate_rates
from qcluster.learn.features import NAMES
from qcluster.learn.label import effective_rate
from qcluster.learn.rates import Rates, rate_model
from qcluster.learn.table import read_table

CASES = ("ghz:5", "ghz:16", "bv:5", "bv:13", "cat:14", "hidden_shift:4", "mirror:10:depth=6", "w_state:3", "full_adder")
MACHINES = ("fake_brisbane", "fake_torino", "fake_mumbai")

COVERAGES = (0.5, 0.8, 0.95)
BANDS = ("<.02", ".02-.05", ".05-.1", ".1-.2", ".2-.3", ">.3")
CIRCUIT = ("n_qubits", "n_measured", "rz", "sx", "x", "two_qubit", "two_qubit_depth")
COUNTS = ("n_measured", "shots", "entropy", "top_weight", "near_weight", "mean_distance", "collision")
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
    """Predict each machine, family or fold of circuits from all others."""
    table = read_table()
    y, groups = table.rates, table.facts[split]
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

    every = np.ones(len(y), dtype=bool)
    scores = {k: v for k, v in figures(y, value[None], groups).items() if k != "r2_seeds"}
    rows = [line("all", every) | scores]
    print(rows[-1], flush=True)
    bands = np.array(BANDS)[np.digitize(y, [0.02, 0.05, 0.1, 0.2, 0.3])]
    parts = {str(name): groups == name for name in np.unique(groups)} | {f"rate {b}": bands == b for b in BANDS}
    for name, part in parts.items():
        rows.append(line(name, part) | {"rows": int(part.sum()), "mae": round(mae(y[part], value[part]), 4)})
        rows[-1]["bias"] = round(float((value - y)[part].mean()), 4)
    return rows


def partly() -> list[dict[str, Any]]:
    """Circuits left out, with less known than everything; and the closed form."""
    table = read_table()
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
