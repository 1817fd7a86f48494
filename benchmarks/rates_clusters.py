"""Fidelity of Q-Cluster as published with different rates, on the runs from which the training table was made."""

from collections.abc import Callable
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.rates_fresh import HARM, PARTS, SPREAD
from benchmarks.rates_kept import Tabled, read_tabled, simulate_table
from benchmarks.rates_scores import assign_folds, left_out, remaining_rows
from benchmarks.rates_simulated import COUNTS
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.learn.features import NAMES
from qcluster.learn.rates import HIGHEST, clustering_rate, rate_model
from qcluster.learn.table import read_table


def clusters() -> list[dict[str, Any]]:
    """Score the published method with the true rate, constants, rates estimated with families left out, and the rates
    at which its answer is nearest to a mitigated answer or to the ideal output."""
    table = read_table()
    for name in simulate_table(table):
        print(name, flush=True)
    kept = {row: one for row, one in read_tabled(table).items() if not one.drawn}
    order = np.array(sorted(kept))
    counts_only = np.where(np.isin(NAMES, COUNTS), table.features, np.nan)
    estimated, from_counts = np.full((2, len(table)), np.nan)
    for out in left_out(assign_folds(table.groups, 6)):
        model = rate_model(table[remaining_rows(table, out)])
        some = order[out[order]]
        estimated[some], from_counts[some] = model.predict(table.features[some]), model.predict(counts_only[some])
    ways = {"true": table.rates[order], "constant": np.full(len(order), table.rates.mean())}
    ways |= {
        "constant .12": np.full(len(order), 0.12),
        "estimated": estimated[order],
        "estimated, counts alone": from_counts[order],
    }
    noise: dict[str, Callable[[int], Any]] = {
        "nearest to the answer under its faults": lambda row: kept[row].faults,
        "nearest to the answer from the counts alone": lambda row: float(np.clip(from_counts[row], 0.001, HIGHEST)),
    }
    for way, known in noise.items():
        ways[way] = np.array([
            _nearest(kept[row], qc.mitigate(kept[row].counts, known(row)).distribution) for row in order
        ])  # fmt: skip
    ways["nearest to the ideal output"] = np.array([_nearest(kept[row], kept[row].ideal) for row in order])
    parts = np.array(PARTS)[(table.facts["ideal_entropy"][order].astype(float) > SPREAD).astype(int)]
    raw = np.array([hellinger_fidelity(kept[row].counts, kept[row].ideal) for row in order])
    lines = []
    for way, rates in {"raw": None, **ways}.items():
        fidelity = raw if rates is None else np.array([
            _fidelity(kept[row], rate) for row, rate in zip(order, np.clip(rates, 0.0, HIGHEST), strict=True)
        ])  # fmt: skip
        for part in np.unique(parts):
            some = parts == part
            lines.append({"rate": way, "part": str(part), "rows": int(some.sum())})
            lines[-1] |= {"fidelity": round(float(fidelity[some].mean()), 4)}
            lines[-1] |= {"harmed": round(float((fidelity < raw - HARM)[some].mean()), 3)}
            print(lines[-1], flush=True)
    return lines


def _fidelity(one: Tabled, rate: float) -> float:
    return hellinger_fidelity(qc.mitigate(one.counts, rate, method="paper").distribution, one.ideal)


def _nearest(one: Tabled, answer: qc.Distribution) -> float:
    return clustering_rate(one.counts, answer, np.ones(answer.n_bits, dtype=bool))
