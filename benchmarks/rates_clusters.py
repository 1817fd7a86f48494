"""What rate Q-Cluster as published should be given: its fidelity on the runs behind the training table."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.rates_fresh import CACHE, HARM, PARTS, SPREAD, plain, read_faults
from benchmarks.rates_scores import dealt, left_out, others
from benchmarks.rates_simulated import COUNTS
from qcluster.bench.circuits import make_case
from qcluster.bench.rate_plan import Job, plan
from qcluster.bench.rate_runs import simulate_runs
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.noise.faults import FaultMasks
from qcluster.learn.features import NAMES
from qcluster.learn.label import effective_rate
from qcluster.learn.rates import HIGHEST, clustering_rate, rate_model
from qcluster.learn.table import RateTable, read_table

PATH = CACHE / "table.jsonl"


@dataclass(frozen=True)
class Tabled:
    """What was read in a row of the table, and what should have been."""

    counts: qc.Distribution
    ideal: qc.Distribution
    faults: FaultMasks
    """Flip patterns of the circuit's faults, as published."""


def simulate_table(table: RateTable) -> Iterator[str]:
    """Simulate what the file does not hold yet of the runs behind the table, a line a job; yields the jobs' names.

    The figures of the table are of these very shots: the labels are compared.
    """
    PATH.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(json.loads(line)["job"]) for line in PATH.open()} if PATH.exists() else set()
    rows = by_job(table)
    for job in plan():
        if job.mark in rows and job.mark not in done:
            every = list(_shots(job))
            labels = [effective_rate(one["counts"], one["ideal"]) for one in every]
            if not np.allclose(labels, table.rates[rows[job.mark]], atol=1e-6):
                raise ValueError(f"{job}: the table must be built by this version; the labels differ")
            with PATH.open("a") as file:
                file.write(json.dumps({"job": job.mark, "rows": every}) + "\n")
            yield str(job)


def by_job(table: RateTable) -> dict[tuple[str, ...], list[int]]:
    """Give the rows of each job's runs, in the order in which they were made; drawn outputs are left out."""
    known = ~np.isnan(table.features[:, NAMES.index("kernel_rate")]) & (table.facts["drawn"] == "")
    found: dict[tuple[str, ...], list[int]] = {}
    for row in np.flatnonzero(known).tolist():
        mark = tuple(str(table.facts[name][row]) for name in ("circuit", "machine", "layout", "seed"))
        found.setdefault(mark, []).append(row)
    return found


def _shots(job: Job) -> Iterator[dict[str, Any]]:
    for run in simulate_runs(job, make_case(job.case)):
        assert run.case.ideal is not None
        assert run.faults is not None
        yield {"counts": run.counts.to_counts(), "ideal": run.case.ideal.to_probs(), "faults": plain(run.faults)}


def read_tabled(table: RateTable) -> dict[int, Tabled]:
    """Read what `simulate_table` wrote, by row of the table."""
    rows, found = by_job(table), {}
    for line in PATH.open():
        record = json.loads(line)
        for row, one in zip(rows.get(tuple(record["job"]), ()), record["rows"], strict=False):
            counts, ideal = (qc.Distribution.of(one[name]) for name in ("counts", "ideal"))
            found[row] = Tabled(counts, ideal, read_faults(one["faults"]))
    return found


def clusters() -> list[dict[str, Any]]:
    """Fidelity of the published method with the true rate, constants, rates estimated with families left out, and the
    rates at which it comes nearest to a mitigated answer, or to the ideal output itself."""
    table = read_table()
    for name in simulate_table(table):
        print(name, flush=True)
    kept = read_tabled(table)
    order = np.array(sorted(kept))
    alone = np.where(np.isin(NAMES, COUNTS), table.features, np.nan)
    said, blind = np.full((2, len(table)), np.nan)
    for out in left_out(dealt(table.groups, 6)):
        model = rate_model(table[others(table, out)])
        some = order[out[order]]
        said[some], blind[some] = model.predict(table.features[some]), model.predict(alone[some])
    ways = {"true": table.rates[order], "constant": np.full(len(order), table.rates.mean())}
    ways |= {
        "constant .12": np.full(len(order), 0.12),
        "estimated": said[order],
        "estimated, counts alone": blind[order],
    }
    noise: dict[str, Callable[[int], Any]] = {
        "nearest to the answer under its faults": lambda row: kept[row].faults,
        "nearest to the answer from the counts alone": lambda row: float(np.clip(blind[row], 0.001, HIGHEST)),
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
