"""Effective rates on real machines: the published table, transfer from simulations to it, and six published records."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.data import brussels
from benchmarks.rates_scores import EIGHT, SEEDS, blind, figures, five_folds, left_out, mae, r2, real_rows, twins
from qcluster.device.noise.rates import estimate_rates
from qcluster.learn.features import NAMES
from qcluster.learn.physics import closed_form
from qcluster.learn.rates import new_model
from qcluster.learn.table import read_table

WORST = 3
"""Number of circuits with the largest squared errors, without which the transfer is scored again; one has two names."""


def published() -> list[dict[str, Any]]:
    """Score the model family on the 145 real rows, with all splits."""
    from sklearn.ensemble import ExtraTreesRegressor

    table = real_rows()
    y, circuits = table.rates, table.facts["circuit"]
    eight = table.features[:, [NAMES.index(name) for name in EIGHT]]
    splits = {
        "grouped leave-one-circuit-out": twins(circuits),
        "leave-one-circuit-out": circuits,
        "leave-one-family-out": table.facts["family"],
        "leave-one-machine-out": table.facts["machine"],
        "random 5-fold": None,
    }
    makers: dict[str, Callable[[int, np.ndarray, np.ndarray], np.ndarray]] = {
        "ours": lambda seed, train, test: (
            new_model(seed).fit(table.features[train], y[train]).predict(table.features[test])
        ),
        "plain ExtraTrees, eight columns": lambda seed, train, test: (
            ExtraTreesRegressor(100, random_state=seed).fit(eight[train], y[train]).predict(eight[test])
        ),
        "closed form 1-esp^(1/m)": lambda seed, train, test: 1 - eight[test, 7] ** (1 / eight[test, 1]),
    }
    rows = []
    for split, groups in splits.items():
        for model, make in makers.items():
            seeds = SEEDS if "closed" not in model else range(1)
            predicted = np.empty((len(seeds), len(y)))
            for seed in seeds:
                for out in left_out(groups) if groups is not None else five_folds(len(y), seed):
                    predicted[seed, out] = make(seed, ~out, out)
            rows.append({"split": split, "model": model} | figures(y, predicted, twins(circuits)))
            print(rows[-1], flush=True)
    return rows


def transfer() -> list[dict[str, Any]]:
    """Train on simulations only, and score on the real rows; rates_transfer_first.csv is the first result, see the
    docs."""
    simulated, real = blind(read_table()), real_rows()
    y, circuits = real.rates, twins(real.facts["circuit"])
    models = [
        new_model(seed).fit(simulated.features, simulated.rates, forest__groups=simulated.groups) for seed in SEEDS
    ]
    predicted = np.stack([model.predict(real.features) for model in models])
    low, high = models[0][-1].predict_interval(models[0][:-1].transform(real.features), 0.8)[1:]
    covered = (y >= low) & (y <= high)
    esp, bits = (real.features[:, NAMES.index(name)] for name in ("esp", "n_measured"))
    idle = 0.004 * real.features[:, NAMES.index("n_qubits")] * real.features[:, NAMES.index("two_qubit")]
    rows = []
    for model, rates in (
        ("ours, trained on simulations only", predicted),
        ("closed form 1-esp^(1/m)", (1 - esp ** (1 / bits))[None]),
        ("closed form with idling and uniform part", closed_form(esp * np.exp(-idle), bits)[None]),
    ):
        rows.append({"model": model, "part": "all"} | figures(y, rates, circuits))
        rows[-1]["bias"] = round(float((rates.mean(axis=0) - y).mean()), 4)
        if rates is predicted:
            rows[-1]["coverage_of_80"] = round(float(covered.mean()), 3)
        print(rows[-1], flush=True)
    mean = predicted.mean(axis=0)
    names, index = np.unique(circuits, return_inverse=True)
    worst = np.argsort(-np.bincount(index, (mean - y) ** 2))[:WORST]
    parts = {"ideal entropy at most .6, the paper's cut": real.facts["ideal_entropy"].astype(float) <= 0.6}
    parts |= {f"all but {', '.join(names[worst])}": ~np.isin(index, worst)}
    parts |= {name: groups == name for groups in (real.facts["machine"], circuits) for name in np.unique(groups)}
    for number, (name, part) in enumerate(parts.items()):
        rows.append({"model": rows[0]["model"], "part": name, "rows": int(part.sum())})
        if number < 2:
            rows[-1]["r2"] = round(r2(y[part], mean[part]), 4)
        rows[-1] |= {"mae": round(mae(y[part], mean[part]), 4), "bias": round(float((mean - y)[part].mean()), 4)}
        rows[-1]["coverage_of_80"] = round(float(covered[part].mean()), 3)
    return rows


def described(record: dict[str, Any]) -> tuple[Any, Any]:
    """Return the profile of a record's compiled circuit, scheduled on FakeBrussels, and its calibration of another
    day."""
    from qiskit import qasm3

    from qcluster.device.machines.machine import find_machine
    from qcluster.device.noise.rates import compiled_profile

    return compiled_profile(qasm3.loads(record["transpiled_openqasm3"]), find_machine("fake_brussels"))


def brussels_rates() -> list[dict[str, Any]]:
    """Compare predicted and published rates of six records, for different inputs of the model."""
    rows = []
    for record in brussels():
        profile, calibration = described(record)
        row = {"record": record["id"], "published": round(record["effective_rate"], 4)}
        for name, known in {
            "all": (profile, calibration, record["counts"]),
            "circuit_and_counts": (profile, None, record["counts"]),
            "before_the_run": (profile, calibration, None),
            "counts_only": (None, None, record["counts"]),
        }.items():
            rates = estimate_rates(*known)
            row[name] = round(rates.value, 4)
            row[f"{name}_interval"] = f"{rates.low:.3f}-{rates.high:.3f}"
            if name == "all":
                row["in_range"] = rates.in_range
        rows.append(row)
        print(row, flush=True)
    return rows
