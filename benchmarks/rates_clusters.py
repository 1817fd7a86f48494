"""What rate Q-Cluster as published should be handed: its fidelity on the rows of the training table."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.rates_fresh import CACHE, HARM, PARTS, SPREAD
from benchmarks.rates_scores import dealt, left_out, others
from qcluster.bench.circuits import make_case
from qcluster.bench.rate_plan import Job, plan
from qcluster.bench.rate_runs import redrawn, simulate_runs
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.learn.features import NAMES
from qcluster.learn.label import effective_rate
from qcluster.learn.rates import FADES, HIGHEST, REACH, rate_model
from qcluster.learn.table import RateTable, read_table

TRIED = (
    *((reach, FADES) for reach in (1.0, 1.5, 2.0, 2.5, REACH, 4.0)),
    *((REACH, ends) for ends in ((0.5, 0.7), (0.5, 0.9), (0.6, 0.9))),
)
"""Multiples of the estimate, and between which entropies of the answer they fade to nothing."""
PATH = CACHE / "table.jsonl"


@dataclass(frozen=True)
class Tabled:
    """What was read in a row of the table, and what should have been."""

    counts: qc.Distribution
    ideal: qc.Distribution


def simulate_table(table: RateTable) -> Iterator[str]:
    """Simulate what the file does not hold yet of the rows that have counts, a line a job; yields the jobs' names.

    The figures of the table are of these very shots: the labels are compared.
    """
    PATH.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(json.loads(line)["job"]) for line in PATH.open()} if PATH.exists() else set()
    rows = by_job(table)
    for job in plan():
        if job.mark in rows and job.mark not in done:
            every = list(_shots(job, bool((table.facts["drawn"][rows[job.mark]] != "").any())))
            labels = [effective_rate(one["counts"], one["ideal"]) for one in every]
            if not np.allclose(labels, table.rates[rows[job.mark]], atol=1e-6):
                raise ValueError(f"{job}: the table must be built by this version; the labels differ")
            with PATH.open("a") as file:
                file.write(json.dumps({"job": job.mark, "rows": every}) + "\n")
            yield str(job)


def by_job(table: RateTable) -> dict[tuple[str, ...], list[int]]:
    """Give the rows of each job, simulated and drawn, in the order in which they were made."""
    known = ~np.isnan(table.features[:, NAMES.index("kernel_rate")])
    found: dict[tuple[str, ...], list[int]] = {}
    for row in sorted(np.flatnonzero(known).tolist(), key=lambda row: table.facts["drawn"][row] != ""):
        mark = tuple(str(table.facts[name][row]) for name in ("circuit", "machine", "layout", "seed"))
        found.setdefault(mark, []).append(row)
    return found


def _shots(job: Job, drawn: bool) -> Iterator[dict[str, Any]]:
    runs = list(simulate_runs(job, make_case(job.case)))
    others = [other for number, run in enumerate(runs) for _, other in redrawn(run, (job.seed, number))]
    for one in (*runs, *(others if drawn else ())):
        assert one.case.ideal is not None
        yield {"counts": one.counts.to_counts(), "ideal": one.case.ideal.to_probs()}


def read_tabled(table: RateTable) -> dict[int, Tabled]:
    """Read what `simulate_table` wrote, by row of the table."""
    rows, found = by_job(table), {}
    for line in PATH.open():
        record = json.loads(line)
        for row, one in zip(rows.get(tuple(record["job"]), ()), record["rows"], strict=False):
            found[row] = Tabled(qc.Distribution.of(one["counts"]), qc.Distribution.of(one["ideal"]))
    return found


def clusters() -> list[dict[str, Any]]:
    """Fidelity of the published method with the true rate, constants, and multiples of rates by families left out."""
    table = read_table()
    for name in simulate_table(table):
        print(name, flush=True)
    kept = read_tabled(table)
    order = np.array(sorted(kept))
    said = np.full(len(table), np.nan)
    rows = np.isin(np.arange(len(table)), order)
    for out in left_out(dealt(table.groups, 6)):
        some = np.flatnonzero(out & rows)
        if len(some):
            said[some] = rate_model(table[others(table, out)]).predict(table.features[some])
    shape = table.features[order, NAMES.index("fault_entropy")]
    ways = {"true": table.rates[order], "constant": np.full(len(order), table.rates.mean())}
    ways |= {"constant .12": np.full(len(order), 0.12), "estimated": said[order]}
    for reach, (low, high) in TRIED:
        few = np.clip((high - shape) / (high - low), 0, 1)
        ways[f"{reach:g} x estimated, fading from {low:g} to {high:g}"] = reach * few * said[order]
    drawn = np.where(table.facts["drawn"][order] == "", "", "drawn, ")
    spread = table.facts["ideal_entropy"][order].astype(float) > SPREAD
    parts = np.char.add(drawn, np.array(PARTS)[spread.astype(int)])
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
