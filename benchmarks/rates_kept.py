"""Stored runs of the rate model's training table, mitigated again whenever the gates change.

    python -m benchmarks.rates_kept

recomputes the columns ``fault_*`` and ``answer_*`` of the shipped table with the current `mitigate`. The first run
simulates all runs of the table that have fault patterns (half an hour on one core) and stores them; later runs take
minutes.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import append_json_lines, read_json_lines
from benchmarks.rates_fresh import CACHE, plain, read_faults
from qcluster.bench.circuits import make_case
from qcluster.bench.rate_plan import Job, plan
from qcluster.bench.rate_runs import Simulated, redrawn, simulate_runs
from qcluster.core.counts.metrics import entropy
from qcluster.core.noise.faults import FaultMasks
from qcluster.files import write_whole
from qcluster.learn import table as shipped
from qcluster.learn.features import NAMES
from qcluster.learn.label import effective_rate, plug_in_label
from qcluster.learn.table import RateTable, format_number, read_table

PATH = CACHE / "table.jsonl"
OF_RUN = ("fault_rate", "fault_entropy", "fault_top")
"""Columns from the decision about runs."""
OF_COUNTS = ("answer_rate", "answer_entropy", "answer_top")
"""Columns from the decision about counts alone; empty for rows of drawn outputs."""


@dataclass(frozen=True)
class Tabled:
    """The counts, ideal output and faults of a row of the table."""

    counts: qc.Distribution
    ideal: qc.Distribution
    faults: FaultMasks
    """Flip patterns of the circuit's faults, from the published calibration."""
    drawn: str
    """Kind of output that was drawn and sent through the noise of the circuit; empty for the output of the circuit."""


def simulate_table(table: RateTable) -> Iterator[str]:
    """Simulate the runs of the table that the file lacks, store one line per job, and yield the names of the jobs.

    Raises:
        ValueError: The labels of the simulated shots differ from those of the table.
    """
    done = {tuple(record["job"]) for record in read_json_lines(PATH)}
    rows = by_job(table)
    for job in plan():
        if job.mark in rows and job.mark not in done:
            records = list(_shots(job))
            labels = {format_number(effective_rate(one["counts"], one["ideal"])) for one in records}
            if not set(map(format_number, table.rates[rows[job.mark]])) <= labels:
                raise ValueError(f"{job}: the table must be built by this version; the labels differ")
            append_json_lines(PATH, [{"job": job.mark, "rows": records}])
            yield str(job)


def by_job(table: RateTable) -> dict[tuple[str, ...], list[int]]:
    """Return the rows of each job that have a noise kernel, including drawn outputs."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for row in np.flatnonzero(~np.isnan(table.features[:, NAMES.index("kernel_rate")])).tolist():
        mark = tuple(str(table.facts[name][row]) for name in ("circuit", "machine", "layout", "seed"))
        rows.setdefault(mark, []).append(row)
    return rows


def _shots(job: Job) -> Iterator[dict[str, Any]]:
    for number, run in enumerate(simulate_runs(job, make_case(job.case))):
        yield _record(run)
        for kind, other in redrawn(run, (job.seed, number)):
            yield _record(other, kind)


def _record(run: Simulated, drawn: str = "") -> dict[str, Any]:
    assert run.case.ideal is not None
    assert run.faults is not None
    texts = {"counts": run.counts.to_counts(), "ideal": run.case.ideal.to_probs()}
    return texts | {"faults": plain(run.faults), "drawn": drawn}


def read_tabled(table: RateTable) -> dict[int, Tabled]:
    """Read the runs that `simulate_table` stored, keyed by row of the table.

    Rows of a job are identified by the kind of drawn output, the label, the shots and the entropy of the counts, not by
    their order, because outputs were drawn for many jobs after their runs were in the table.
    """
    rows, found = by_job(table), {}
    shots, spread = (table.features[:, NAMES.index(name)] for name in ("shots", "entropy"))
    for record in read_json_lines(PATH):
        kept = {}
        for one in record["rows"]:
            counts, ideal = (qc.Distribution.of(one[name]) for name in ("counts", "ideal"))
            tabled = Tabled(counts, ideal, read_faults(one["faults"]), one.get("drawn", ""))
            figures = effective_rate(counts, ideal), float(counts.shots), entropy(counts, normalised=True)
            kept[tabled.drawn, *map(format_number, figures)] = tabled
        for row in rows.get(tuple(record["job"]), ()):
            figures = table.rates[row], shots[row], spread[row]
            mark = str(table.facts["drawn"][row]), *map(format_number, figures)
            if mark in kept:
                found[row] = kept[mark]
    return found


def recompute(one: Tabled, row: Mapping[str, str]) -> dict[str, str]:
    """Return the recomputed columns of a row."""
    answers = [(OF_RUN, one.faults), (OF_COUNTS, None)] if row["answer_rate"] else [(OF_RUN, one.faults)]
    return {
        name: format_number(figure)
        for names, noise in answers
        for name, figure in zip(names, plug_in_label(one.counts, noise), strict=True)
    }


def main() -> None:
    """Mitigate all stored runs, and write the columns of the shipped table."""
    table = read_table()
    for name in simulate_table(table):
        print(name, flush=True)
    path = Path(shipped.__file__).with_name("rates.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    kept = read_tabled(table)
    if missing := {number for number, row in enumerate(rows) if row["fault_rate"]} - set(kept):
        raise SystemExit(f"{PATH} must hold every row with a fault rate; {len(missing)} are missing: remove it")
    for done, (number, one) in enumerate(kept.items(), 1):
        rows[number] |= recompute(one, rows[number])
        if done % 500 == 0:
            print(f"{done} of {len(kept)}", flush=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, shipped.TABLE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


if __name__ == "__main__":
    main()
