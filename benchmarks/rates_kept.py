"""The runs behind the training table of the rate model: simulated once, kept, and answered anew when gates change.

    python -m benchmarks.rates_kept

writes the columns ``fault_*`` and ``answer_*`` of the table that ships as `mitigate` answers now; the first time, it
simulates every run with fault patterns that the table holds (half an hour of one core), later it takes minutes.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import keep_lines, kept_lines
from benchmarks.rates_fresh import CACHE, plain, read_faults
from qcluster.bench.circuits import make_case
from qcluster.bench.rate_plan import Job, plan
from qcluster.bench.rate_runs import Simulated, redrawn, simulate_runs
from qcluster.core.counts.metrics import entropy
from qcluster.core.noise.faults import FaultMasks
from qcluster.files import write_whole
from qcluster.learn import table as shipped
from qcluster.learn.features import NAMES
from qcluster.learn.label import answered, effective_rate
from qcluster.learn.table import RateTable, read_table, written

PATH = CACHE / "table.jsonl"
OF_RUN = ("fault_rate", "fault_entropy", "fault_top")
"""What the decision about runs tells."""
OF_COUNTS = ("answer_rate", "answer_entropy", "answer_top")
"""What the decision about counts alone tells; rows of outputs that were drawn have none of it."""


@dataclass(frozen=True)
class Tabled:
    """What was read in a row of the table, and what should have been."""

    counts: qc.Distribution
    ideal: qc.Distribution
    faults: FaultMasks
    """Flip patterns of the circuit's faults, as published."""
    drawn: str
    """Kind of an output that was drawn through the noise of the circuit; empty where it is the circuit's own run."""


def simulate_table(table: RateTable) -> Iterator[str]:
    """Simulate what the file does not hold yet of the runs behind the table, a line a job; yields the jobs' names.

    The figures of the table are of these very shots: the labels are compared.
    """
    done = {tuple(record["job"]) for record in kept_lines(PATH)}
    rows = by_job(table)
    for job in plan():
        if job.mark in rows and job.mark not in done:
            every = list(_shots(job))
            labels = {written(effective_rate(one["counts"], one["ideal"])) for one in every}
            if not set(map(written, table.rates[rows[job.mark]])) <= labels:
                raise ValueError(f"{job}: the table must be built by this version; the labels differ")
            keep_lines(PATH, [{"job": job.mark, "rows": every}])
            yield str(job)


def by_job(table: RateTable) -> dict[tuple[str, ...], list[int]]:
    """Give the rows of each job whose noise kernel is known, drawn outputs among them."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row in np.flatnonzero(~np.isnan(table.features[:, NAMES.index("kernel_rate")])).tolist():
        mark = tuple(str(table.facts[name][row]) for name in ("circuit", "machine", "layout", "seed"))
        found.setdefault(mark, []).append(row)
    return found


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
    """Read what `simulate_table` wrote, by row of the table.

    Rows of one job are told apart by what was drawn, the label, the shots and the entropy of the counts: outputs were
    drawn for many jobs after their runs were in the table.
    """
    rows, found = by_job(table), {}
    shots, spread = (table.features[:, NAMES.index(name)] for name in ("shots", "entropy"))
    for record in kept_lines(PATH):
        kept = {}
        for one in record["rows"]:
            counts, ideal = (qc.Distribution.of(one[name]) for name in ("counts", "ideal"))
            tabled = Tabled(counts, ideal, read_faults(one["faults"]), one.get("drawn", ""))
            figures = effective_rate(counts, ideal), float(counts.shots), entropy(counts, normalised=True)
            kept[tabled.drawn, *map(written, figures)] = tabled
        for row in rows.get(tuple(record["job"]), ()):
            figures = table.rates[row], shots[row], spread[row]
            mark = str(table.facts["drawn"][row]), *map(written, figures)
            if mark in kept:
                found[row] = kept[mark]
    return found


def told(one: Tabled, row: Mapping[str, str]) -> dict[str, str]:
    """Give the columns of a row, those that it has."""
    answers = [(OF_RUN, one.faults), (OF_COUNTS, None)] if row["answer_rate"] else [(OF_RUN, one.faults)]
    return {
        name: written(figure)
        for names, noise in answers
        for name, figure in zip(names, answered(one.counts, noise), strict=True)
    }


def main() -> None:
    """Answer every kept run, and write the columns of the table that ships."""
    table = read_table()
    for name in simulate_table(table):
        print(name, flush=True)
    path = Path(shipped.__file__).with_name("rates.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    kept = read_tabled(table)
    if missing := {number for number, row in enumerate(rows) if row["fault_rate"]} - set(kept):
        raise SystemExit(f"{PATH} must hold every row with a fault rate; {len(missing)} are missing: remove it")
    for done, (number, one) in enumerate(kept.items(), 1):
        rows[number] |= told(one, rows[number])
        if done % 500 == 0:
            print(f"{done} of {len(kept)}", flush=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, shipped.TABLE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


if __name__ == "__main__":
    main()
