"""Build the training table of the rate model by simulating benchmark circuits on recorded machines.

It lives here and not in `qcluster.learn`, because it needs circuits and the device room, which learn may not import.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from qcluster.bench.campaign import Progress, follow
from qcluster.bench.rate_plan import MACHINES, Job
from qcluster.bench.rate_runs import Simulated, drawn_of, redrawn, simulate_runs
from qcluster.bench.store import read_tasks
from qcluster.bench.table import Table, alone
from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy
from qcluster.errors import StorageError
from qcluster.learn.features import features
from qcluster.learn.label import effective_rate, saturated
from qcluster.learn.table import TABLE_COLUMNS, format_row, written
from qcluster.workers import spread


def build(jobs: Iterable[Job], folder: str | Path, *, workers: int = 1, dask: str | None = None) -> Iterator[Progress]:
    """Run the jobs that are not done, and append their rows to ``rates.csv`` in a folder.

    A job that fails is reported and left for the next run. What a kill interrupts is made again, and nothing else.

    Args:
        jobs: see `plan`.
        folder: where the table goes; a job is done when the table has as many rows of it as it asks for, and what is
            drawn from each. Of one that has fewer, because it was torn or asks for more now, the others are appended.
        workers: processes on this machine, by joblib; 1 runs in this process.
        dask: address of a Dask scheduler whose workers have this package.

    Yields:
        A Progress at the start and after each job.

    Raises:
        ValueError: two jobs are of one circuit, machine, layout and seed, or the table has such rows of other shots.
        StorageError: the folder cannot be written to.
        QClusterError: the worker processes died, or no scheduler answers.
    """
    folder, every = Path(folder), list(jobs)
    mark, times = max(Counter(job.mark for job in every).items(), key=lambda one: one[1], default=("", 0))
    if times > 1:
        raise ValueError(f"jobs must differ in circuit, machine, layout or seed; got {', '.join(mark)} {times} times")
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "rates.csv"):
        table = Table(folder / "rates.csv", TABLE_COLUMNS)
        left, there = _unfinished(every, table)

        def appended() -> Iterator[tuple[str, str]]:
            for job, rows, error in spread(_safely, left, workers=workers, dask=dask, lost=_failed):
                if not error:
                    table.append(rows[there[job.mark] :])  # a job makes the same rows in the same order
                yield str(job), error

        yield from follow(appended(), len(left), len(every))


Mark = tuple[str, str, str, str]
"""See `Job.mark`."""


def _unfinished(jobs: list[Job], table: Table) -> tuple[list[Job], Counter[Mark]]:
    """Give the jobs of which rows are missing in a table, and how many rows of each are there."""
    asked = {job.mark: job for job in jobs}
    there, simulated, whole = Counter[Mark](), Counter[Mark](), Counter[Mark]()
    for row in table.rows():
        mark = row["circuit"], row["machine"], row["layout"], row["seed"]
        there[mark] += 1
        if mark not in asked or row["drawn"]:
            continue
        if row["shots"] != written(asked[mark].shots):
            raise ValueError(
                f"rows of {asked[mark]} in {table.path} must be of {asked[mark].shots} shots; got {row['shots']}: "
                "name another folder"
            )
        simulated[mark] += 1
        whole[mark] += 1 + drawn_of(int(row["n_measured"]), known=row["kernel_flip"] != "")
    left = [job for job in jobs if simulated[job.mark] < job.rows or there[job.mark] < whole[job.mark]]
    return left, there


Outcome = tuple[Job, list[dict[str, object]], str]


def _safely(job: Job) -> Outcome:
    try:
        return job, simulate_job(job), ""
    except Exception as error:
        return _failed(job, f"{type(error).__name__}: {error}")


def _failed(job: Job, error: str) -> Outcome:
    return job, [], error


def simulate_job(job: Job) -> list[dict[str, object]]:
    """Make the rows of one job."""
    rows = []
    for number, run in enumerate(simulate_runs(job)):
        rows.append(_row(job, run, features(run.profile, run.calibration, run.counts, run.faults)))
        # counts and kernel only: outputs that do not go with their circuits must not serve runs of which less is known
        for kind, other in redrawn(run, (job.seed, number)):
            rows.append(_row(job, other, features(counts=other.counts, faults=other.faults, alone=False), kind))
    return rows


def _row(job: Job, run: Simulated, row: Floats, drawn: str = "") -> dict[str, object]:
    facts = {
        "circuit": run.case.name,
        "family": run.case.family,
        "machine": job.machine,
        "generation": next((name for name, machines in MACHINES.items() if job.machine in machines), ""),
        "snapshot": run.calibration.date[:10],
        "scale": run.scale,
        "drift": int(run.drift),
        "layout": job.layout,
        "seed": job.seed,
        "drawn": drawn,
    } | target(run.counts, run.case.ideal)
    return format_row(row, effective_rate(run.counts, run.case.ideal), facts)


def target(counts: Distribution, ideal: Distribution | None) -> dict[str, object]:
    """Give the facts of a row that only who knows the ideal output can tell; empty where it is not known."""
    if ideal is None:
        return {}
    return {
        "ideal_entropy": f"{entropy(ideal, normalised=True):.4g}",
        "saturated": int(saturated(counts, ideal)),
    }


def add_runs(folder: str | Path, path: str | Path) -> tuple[int, int, int]:
    """Append the runs of a campaign's folder, of which the ideal output is known, to a table of rates.

    Returns:
        How many rows were added, how many of these lack columns, for want of a circuit or a calibration, and how many
        runs were left out: there already, without counts or a measured bit, or with an ideal that is not known.

    Raises:
        StorageError: the folder holds no runs, the folder or the table cannot be read or written, or another process is
            writing to the table.
    """
    if not read_tasks(folder):  # before the table is begun
        raise StorageError(f"there are no runs in {folder}: name the folder of a campaign, see `qcluster bench run`")
    with alone(Path(path)):
        return _add_runs(folder, Path(path))


def _add_runs(folder: str | Path, path: Path) -> tuple[int, int, int]:
    from qcluster.bench.store import load_samples

    table = Table(path, TABLE_COLUMNS)
    there = {row["seed"] for row in table.rows()}
    rows, partly, skipped = [], 0, 0
    for sample in load_samples(folder):
        # the label is of the bits that are read, as the features are
        held = np.ones(sample.n_bits, dtype=bool) if sample.profile is None else sample.profile.measured >= 0
        if sample.identity in there or sample.ideal is None or not sample.counts.n_outcomes or not held.any():
            skipped += 1
            continue
        read = np.flatnonzero(held).tolist()
        counts, ideal = sample.counts.marginal(read), sample.ideal.marginal(read)
        facts = {
            "circuit": sample.case,
            "family": sample.family,
            "machine": sample.machine,
            "snapshot": "" if sample.calibration is None else sample.calibration.date[:10],
            "seed": sample.identity,
        } | target(counts, ideal)
        known = None if sample.calibration is None or sample.calibration.harmless else sample.calibration
        faults = None if sample.run is None else sample.run.faults
        row = features(sample.profile, known, sample.counts, faults)  # what `estimate_rates` goes by for such a run
        partly += bool(np.isnan(row).any())
        rows.append(format_row(row, effective_rate(counts, ideal), facts))
    if rows:
        table.append(rows)
    return len(rows), partly, skipped
