"""Build the training table of the rate model by simulating benchmark circuits on recorded machines.

It is in this package and not in `qcluster.learn`, which may not import circuits and `qcluster.device`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from qcluster.bench.campaign import Progress, follow
from qcluster.bench.circuits.case import USER
from qcluster.bench.rate_plan import MACHINES, Job
from qcluster.bench.rate_runs import Simulated, n_drawn, redrawn, simulate_runs
from qcluster.bench.store import read_tasks
from qcluster.bench.table import Table, exclusive_access
from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy
from qcluster.errors import StorageError
from qcluster.folders import folder_path
from qcluster.learn.features import features
from qcluster.learn.label import effective_rate, saturated
from qcluster.learn.table import TABLE_COLUMNS, format_number, format_row
from qcluster.workers import spread


def build(jobs: Iterable[Job], folder: str | Path, *, workers: int = 1, dask: str | None = None) -> Iterator[Progress]:
    """Run unfinished jobs, and append their rows to ``rates.csv`` in a folder.

    A job that fails is reported and left for the next run. An interrupted job is repeated; nothing else is lost.

    Args:
        jobs: see `plan`.
        folder: folder of the table. A job is finished when the table has all its rows, and all rows drawn from them.
            If some are missing, because the run was interrupted or the job now asks for more, these are appended.
        workers: number of processes on this machine, by joblib; 1 runs in this process.
        dask: address of a Dask scheduler whose workers have this package.

    Yields:
        A Progress at the start and after each job.

    Raises:
        ValueError: two jobs have the same circuit, machine, layout and seed, or the table has such rows with another
            number of shots.
        StorageError: the folder cannot be written to.
        QClusterError: the worker processes died, or no scheduler answers.
    """
    folder, all_jobs = folder_path(folder), list(jobs)
    mark, times = max(Counter(job.mark for job in all_jobs).items(), key=lambda one: one[1], default=("", 0))
    if times > 1:
        raise ValueError(f"jobs must differ in circuit, machine, layout or seed; got {', '.join(mark)} {times} times")
    with exclusive_access(folder / "rates.csv"):
        table = Table(folder / "rates.csv", TABLE_COLUMNS)
        unfinished, n_present = _unfinished(all_jobs, table)

        def appended() -> Iterator[tuple[str, str]]:
            for job, rows, error in spread(_safely, unfinished, workers=workers, dask=dask, lost=_failed):
                if not error:
                    table.append(rows[n_present[job.mark] :])  # a job makes the same rows in the same order
                yield str(job), error

        yield from follow(appended(), len(unfinished), len(all_jobs))


Mark = tuple[str, str, str, str]
"""See `Job.mark`."""


def _unfinished(jobs: list[Job], table: Table) -> tuple[list[Job], Counter[Mark]]:
    """Return the unfinished jobs, and the number of rows in the table for each mark."""
    jobs_by_mark = {job.mark: job for job in jobs}
    n_present, n_simulated, n_expected = Counter[Mark](), Counter[Mark](), Counter[Mark]()
    for row in table.rows():
        mark = row["circuit"], row["machine"], row["layout"], row["seed"]
        n_present[mark] += 1
        if mark not in jobs_by_mark or row["drawn"]:
            continue
        if row["shots"] != format_number(jobs_by_mark[mark].shots):
            raise ValueError(
                f"rows of {jobs_by_mark[mark]} in {table.path} must be of {jobs_by_mark[mark].shots} shots; "
                f"got {row['shots']}: name another folder"
            )
        n_simulated[mark] += 1
        n_expected[mark] += 1 + n_drawn(int(row["n_measured"]), known=row["kernel_flip"] != "")
    unfinished = [job for job in jobs if n_simulated[job.mark] < job.rows or n_present[job.mark] < n_expected[job.mark]]
    return unfinished, n_present


Outcome = tuple[Job, list[dict[str, object]], str]


def _safely(job: Job) -> Outcome:
    try:
        return job, simulate_job(job), ""
    except Exception as error:
        return _failed(job, f"{type(error).__name__}: {error}")


def _failed(job: Job, error: str) -> Outcome:
    return job, [], error


def simulate_job(job: Job) -> list[dict[str, object]]:
    """Compute the rows of one job."""
    rows = []
    for number, run in enumerate(simulate_runs(job)):
        rows.append(_row(job, run, features(run.profile, run.calibration, run.counts, run.faults)))
        # counts and kernel only: outputs drawn independently of the circuit must not serve runs of which less is known
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
    """Return the facts of a row that follow from the ideal output; none if it is unknown."""
    if ideal is None:
        return {}
    return {
        "ideal_entropy": f"{entropy(ideal, normalised=True):.4g}",
        "saturated": int(saturated(counts, ideal)),
    }


def add_runs(folder: str | Path, path: str | Path) -> tuple[int, int, int]:
    """Append the runs of a campaign's folder that have a known ideal output to a table of rates.

    Returns:
        The number of rows added; the number of these that lack columns, because the circuit or the calibration is
        unknown; and the number of runs left out: already in the table, without counts or a measured bit, or without a
        known ideal. If a machine has run the same task again, in another folder, that is another run.

    Raises:
        StorageError: the folder holds no runs, the folder or the table cannot be read or written, or another process is
            writing to the table.
    """
    if not read_tasks(folder):  # before the table is created
        raise StorageError(f"there are no runs in {folder}: name the folder of a campaign, see `qcluster bench run`")
    with exclusive_access(Path(path)):
        return _add_runs(folder, Path(path))


def _add_runs(folder: str | Path, path: Path) -> tuple[int, int, int]:
    from qcluster.bench.store import load_samples

    table = Table(path, TABLE_COLUMNS)
    present = {(row["seed"], row["entropy"]) for row in table.rows()}  # tasks, and their counts
    rows, incomplete, skipped = [], 0, 0
    for sample in load_samples(folder):
        # the label uses only the measured bits, as the features do
        measured = np.ones(sample.n_bits, dtype=bool) if sample.profile is None else sample.profile.measured >= 0
        if sample.ideal is None or not sample.counts.n_outcomes or not measured.any():
            skipped += 1
            continue
        read = np.flatnonzero(measured).tolist()
        counts, ideal = sample.counts.marginal(read), sample.ideal.marginal(read)
        if (sample.identity, format_number(entropy(counts, normalised=True))) in present:
            skipped += 1
            continue
        facts = {
            "circuit": sample.case,
            "family": "" if sample.family == USER else sample.family,
            "machine": sample.machine,
            "snapshot": "" if sample.calibration is None else sample.calibration.date[:10],
            "seed": sample.identity,
        } | target(counts, ideal)
        known = None if sample.calibration is None or sample.calibration.harmless else sample.calibration
        faults = None if sample.run is None else sample.run.faults
        row = features(sample.profile, known, sample.counts, faults)  # the features that `estimate_rates` uses
        incomplete += bool(np.isnan(row).any())
        rows.append(format_row(row, effective_rate(counts, ideal), facts))
    if rows:
        table.append(rows)
    return len(rows), incomplete, skipped
