"""Accuracy of predicted effective flip rates, on the published table and on ours, and their effect on mitigation.

Run from the repository; all parts in this order, or some by name:

    python -m benchmarks.rates published    # model family on 145 real rows, with all splits (minutes)
    python -m benchmarks.rates own          # machines, families, circuits of our simulated table left out (minutes)
    python -m benchmarks.rates importance   # importance of the columns on circuits left out
    python -m benchmarks.rates transfer     # trained on our table only, tested on the 145 real rows
    python -m benchmarks.rates brussels     # six real records: predicted and published rates
    python -m benchmarks.rates fidelity     # method="paper" with estimated, true and wrong rates (minutes)
    python -m benchmarks.rates saturated    # labels of saturated counts left out, used unchanged, or used as bounds
    python -m benchmarks.rates clusters     # the best rate for the published method (first run simulates half an hour)
    python -m benchmarks.rates fresh        # circuits and machines outside the table, with baselines (minutes)
    python -m benchmarks.rates use          # the same runs: effect of the rates on `paper` and on the default method
    python -m benchmarks.rates speed        # fit from CSV, and one prediction

Each writes benchmarks/results/rates_NAME.csv.
"""

import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import brussels, write_rows
from benchmarks.rates_clusters import clusters
from benchmarks.rates_fresh import fresh, use
from benchmarks.rates_real import brussels_rates, described, published, transfer
from benchmarks.rates_simulated import importance, own, saturated, unseen
from qcluster.device.noise.rates import estimate_rates
from qcluster.learn.rates import rate_model
from qcluster.learn.table import read_table


def fidelity() -> list[dict[str, Any]]:
    """Score method="paper" with each rate, on the six records and on simulated machines that the model did not see."""
    real, simulated = [], []
    for record in brussels():
        rates = estimate_rates(*described(record), record["counts"])
        real.append(judged(record["id"], record["counts"], record["ideal"], record["effective_rate"], rates))
    for run in unseen():
        simulated.append(judged(*run))
    return [*averages("ibm_brussels", real), *averages("simulated", simulated), *real, *simulated]


RATES: dict[str, Callable[[float, Any], Any]] = {
    "true": lambda truth, rates: truth,
    "estimated": lambda truth, rates: max(rates.value, 0.001),
    "estimated_per_bit": lambda truth, rates: np.maximum(rates.per_bit, 0.001),
    "half": lambda truth, rates: truth / 2,
    "half_more": lambda truth, rates: min(1.5 * truth, 0.49),
}
"""Rates for `method="paper"`, as functions of the true rate and the estimate."""


def judged(name: str, counts: Any, ideal: Any, truth: float, rates: Any) -> dict[str, Any]:
    """Return the Hellinger fidelities of raw counts and of the published method with each rate."""
    truth = float(np.clip(truth, 0.001, 0.49))
    row = {"run": name, "true_rate": round(truth, 4), "estimated_rate": round(rates.value, 4)}
    row["raw"] = round(qc.metrics.hellinger_fidelity(counts, ideal), 4)
    for label, rate in RATES.items():
        fixed = qc.mitigate(counts, rate(truth, rates), method="paper")
        row[label] = round(qc.metrics.hellinger_fidelity(fixed.distribution, ideal), 4)
    print(row, flush=True)
    return row


def averages(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the median and mean of each column, and the share of runs that are worse than raw."""
    labels = ("raw", *RATES)
    table = np.array([[row[label] for label in labels] for row in rows])
    lines = {"median": np.median(table, axis=0), "mean": table.mean(axis=0)}
    lines["share below raw"] = (table < table[:, :1]).mean(axis=0)
    return [
        {"run": f"{line} of {len(rows)} {name} runs"} | dict(zip(labels, values.round(4).tolist(), strict=True))
        for line, values in lines.items()
    ]


def speed() -> list[dict[str, Any]]:
    """Measure processor time of one thread, and wall time, which other processes on the machine may increase."""
    rate_model(read_table()[:50])  # do the imports before anything is timed
    record = brussels()[2]
    profile, calibration = described(record)
    rows = []
    models: list[Any] = []

    def measure(what: str, run: Callable[[], Any], times: int) -> None:
        spent = np.empty((times, 2))
        for row in spent:
            start = process_time(), perf_counter()
            run()
            row[:] = process_time() - start[0], perf_counter() - start[1]
        cpu, wall = (1e3 * np.median(spent, axis=0)).tolist()
        rows.append({"what": what, "repeats": times, "cpu_ms": round(cpu, 1), "wall_ms": round(wall, 1)})
        print(rows[-1], flush=True)

    measure(f"fit from CSV, {len(read_table())} rows", lambda: models.append(rate_model(read_table(), seed=1)), 5)
    for name, known in {
        "counts, circuit, calibration": (profile, calibration, record["counts"]),
        "counts only": (None, None, record["counts"]),
    }.items():
        measure(f"first estimate_rates: {name}", lambda k=known: estimate_rates(*k, model=models[-1]), 1)  # type: ignore[misc]
        measure(f"estimate_rates: {name}", lambda k=known: estimate_rates(*k, model=models[-1]), 20)  # type: ignore[misc]
    return rows


RUNS = {"published": published, "own": own, "importance": importance, "transfer": transfer, "brussels": brussels_rates,
        "fidelity": fidelity, "saturated": saturated, "clusters": clusters, "fresh": fresh, "use": use,
        "speed": speed}  # fmt: skip


def main(names: list[str]) -> None:
    for name in names or list(RUNS):
        write_rows(f"rates_{name}.csv", RUNS[name]())


if __name__ == "__main__":
    main(sys.argv[1:])
