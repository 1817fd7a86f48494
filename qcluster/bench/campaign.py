"""Run campaigns: skip finished tasks, save each task at once, and report progress."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qcluster.bench.machines import TOY, check_distinct, check_repeats, run_task
from qcluster.bench.methods import check_methods, gate_digests
from qcluster.bench.reports.about import About, keep_about
from qcluster.bench.sample import Sample, fingerprint, hash_outputs, pack_sample
from qcluster.bench.scores import score_methods
from qcluster.bench.store import Outcome, Store, find_as_run, load_sample, missing, read_tasks, shots_path
from qcluster.bench.tasks import Campaign, Task, as_stored, locate
from qcluster.errors import StorageError
from qcluster.workers import spread

Job = tuple[Callable[..., Outcome], tuple[Any, ...]]
"""Work and its arguments, for a process that may have begun in another folder."""


@dataclass(frozen=True)
class Progress:
    """Progress of a campaign."""

    done: int
    """Finished tasks, including those of earlier runs."""
    total: int
    """All tasks of the campaign."""
    label: str
    """The task that has just finished; empty at the start."""
    seconds_left: float
    """Estimated time left, from the tasks of this run; NaN before the first."""
    error: str = ""
    """Why the task failed; empty if it did not."""


def run(campaign: Campaign, folder: str | Path, *, workers: int = 1, dask: str | None = None) -> Iterator[Progress]:
    """Run unfinished tasks and compute missing scores.

    A task that fails is reported and left for the next run; the others continue. If the process is killed, at most one
    task per worker is lost.

    Args:
        campaign: what to run.
        folder: folder for shots and scores; created if it does not exist.
        workers: number of processes on this machine; -1 for one per core, 1 runs in this process.
        dask: address of a Dask scheduler whose workers have this package; replaces `workers`.

    Yields:
        A Progress at the start and after each task.

    Raises:
        ValueError: a method or case is unknown, some samples would be the same shots, or the number of workers is
            invalid. An unknown machine only makes its tasks fail.
        StorageError: the folder cannot be written to (everything before is saved), or a circuit from your files has
            scores in this folder for another ideal.
        QClusterError: the worker processes died.
    """
    check_methods(campaign.methods)
    check_distinct(campaign)
    planned = list(dict.fromkeys(campaign.tasks()))
    check_repeats(planned)
    with Store(folder) as store:
        done, scored = set(store.done()), store.scored()
        tasks = as_stored(planned, done)
        check_repeats(tasks, done)
        keep_about(store.folder, About(campaign.name, campaign.description, campaign.methods))
        store.note_prints(check_ideals(store, tasks, scored) | check_gates(store, campaign.methods, scored))
        unscored = missing((task for task in tasks if task in done), campaign.methods, scored)
        jobs: list[Job] = [(_rescore, (task, store.folder.absolute(), names)) for task, names in unscored.items()]
        jobs += [(_work, (task, case, campaign.methods)) for task, case in tasks.items() if task not in done]
        yield from _drive(store, jobs, len(tasks), workers, dask)


def rescore(
    folder: str | Path, methods: tuple[str, ...], *, workers: int = 1, dask: str | None = None, again: bool = False
) -> Iterator[Progress]:
    """Score stored shots by methods that have not scored them yet; no new shots are needed.

    Args:
        folder: folder of a campaign.
        methods: names of methods.
        workers, dask: as in `run`, also for what is yielded and raised.
        again: first delete the scores of these methods, because the methods have changed. The old table is kept as
            ``scores.csv.old``.

    Raises:
        StorageError: there are no shots in the folder, or scores for another ideal would remain.
    """
    check_methods(methods)
    if not read_tasks(folder):
        raise StorageError(
            f"{folder} must hold shots to score; found none: `qcluster bench run` measures them, `qcluster bench "
            "collect` fetches those of real machines, and recorded counts go with --records"
        )
    with Store(folder) as store:
        tasks = store.done()
        kept = {(task, method) for task, method in store.scored() if not (again and method in methods)}
        cases = {task: locate(task.case, store.folder) for task in tasks}
        prints = check_ideals(store, cases, kept) | check_gates(store, methods, kept)
        if again:
            store.forget_scores(methods, {task.identity for task in tasks})
        store.note_prints(prints)
        unscored = missing(tasks, methods, store.scored())
        jobs: list[Job] = [(_rescore, (task, store.folder.absolute(), names)) for task, names in unscored.items()]
        yield from _drive(store, jobs, len(tasks), workers, dask)


def score_samples(
    samples: Iterable[Sample],
    folder: str | Path,
    methods: tuple[str, ...],
    *,
    workers: int = 1,
    dask: str | None = None,
    again: bool = False,
    drawn: bool = True,
) -> Iterator[Progress]:
    """Score samples from elsewhere, such as recorded hardware counts, unless they are already scored.

    A method that was skipped for lack of data is tried again, since a calibration may have been added. Earlier scores
    of a sample get the names of circuit, family and machine that it has now.

    Args:
        samples: see `qcluster.bench.records`.
        folder: folder for the scores.
        methods: names of methods.
        workers, dask: as in `run`, also for what is yielded and raised.
        again: as in `rescore`.
        drawn: whether to store the most likely strings for the drawings in the report. They are part of the counts,
            which a licence may forbid to publish. With False, strings stored earlier are deleted.

    Raises:
        ValueError: two samples have the same identity, or a method is unknown.
        StorageError: a sample differs from the one that was scored in this folder under the same identity.
    """
    check_methods(methods)
    samples = list(samples)  # a file that cannot be read leaves no folder behind
    with Store(folder) as store:
        statuses, jobs, prints = store.statuses(), list[Job](), dict[str, str]()
        labels = dict[str, dict[str, str]]()
        known = {identity for identity, _ in statuses}
        for sample in samples:
            if sample.identity in prints:
                raise ValueError(f"each record must have an id of its own; {sample.identity!r} came twice")
            prints[sample.identity] = fingerprint(sample)
            labels[sample.identity] = {"case": sample.case, "family": sample.family, "machine": sample.machine}
            status_before = {name: "" if again else statuses.get((sample.identity, name), "") for name in methods}
            names = tuple(name for name, status in status_before.items() if status in ("", "skipped"))
            skipped_before = tuple(name for name in names if status_before[name])
            if names:
                jobs.append((_judge, (sample, names, drawn, skipped_before)))
        store.check_prints(
            prints,
            known,
            lambda identity: (
                f"record {identity!r} is not the one that {store.folder} has scores of: counts or ideal differ; take "
                "another folder"
            ),
        )
        kept = [pair for pair in statuses if not (again and pair[0] in prints and pair[1] in methods)]
        gates = check_gates(store, methods, kept)
        if again:
            store.forget_scores(methods, prints)
        store.note_prints(prints | gates)
        store.rename(labels)
        if not drawn:
            store.bars.keep(lambda row: row["task"] not in prints)
        yield from _drive(store, jobs, len(prints), workers, dask)


def check_ideals(store: Store, tasks: Mapping[Task, str], scored: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Refuse ideals in users' files that have changed since scoring, since the identity of a task does not cover them.

    Args:
        store: store of the campaign.
        tasks: tasks that are or will be scored, each with the name of its case that has the present place of the file.
        scored: pairs of task and method whose scores are kept.

    Returns:
        Fingerprints of the ideals by task, for `Store.note_prints`.

    Raises:
        StorageError: a task has scores for another ideal, or shots that were drawn from it.
    """
    prints, cases = dict[str, str](), dict[str, str]()
    kept = {identity for identity, _ in scored}
    for task, place in tasks.items():
        if not place.startswith("file:"):
            continue
        with suppress(StorageError, ValueError):  # a missing file or a changed circuit makes its own tasks fail
            case = find_as_run(place, task.circuit, task.identity)
            cases[task.identity] = case.name
            prints[task.identity] = hash_outputs("given", case.ideal) if case.given else "simulated"
            if task.machine.startswith(TOY) and shots_path(store.folder, task.identity).exists():
                kept.add(task.identity)
    store.check_prints(
        prints,
        kept,
        lambda identity: (
            f"the ideal of task {identity} ({cases[identity]}) is not the one that {store.folder} has scores of: "
            "put it back, score all methods again with --again, or, if the machine is flips:RATE, use another folder"
        ),
    )
    return prints


def check_gates(store: Store, methods: Iterable[str], scored: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Refuse gates in users' files that have changed since scoring, since the name of a method does not cover them.

    Args:
        store: store of the campaign.
        methods: names of methods that will score.
        scored: pairs of task and method whose scores are kept.

    Returns:
        Digests of the gates by method, for `Store.note_prints`.

    Raises:
        StorageError: a method has scores by other gates.
    """
    digests = gate_digests(methods)
    store.check_prints(
        digests,
        {method for _, method in scored},
        lambda name: (
            f"the gate of method {name} is not the one that {store.folder} has scores of: put it back, give its file "
            "another name, or score all samples again with --again"
        ),
    )
    return digests


def _drive(store: Store, jobs: list[Job], total: int, workers: int, dask: str | None) -> Iterator[Progress]:
    """Run jobs anywhere, and save their results in this process."""

    def saved() -> Iterator[tuple[str, str]]:
        for outcome in spread(_safely, jobs, workers=workers, dask=dask, lost=_failed):
            if not outcome.error:
                store.add(outcome)
            yield outcome.label, outcome.error

    yield from follow(saved(), len(jobs), total)


def follow(outcomes: Iterable[tuple[str, str]], n_jobs: int, total: int) -> Iterator[Progress]:
    """Report progress as jobs return.

    Args:
        outcomes: label of each job, and why it failed; empty if it did not.
        n_jobs: number of jobs of this run.
        total: number of jobs of the campaign; the others are finished.
    """
    done, start = total - n_jobs, time.monotonic()
    yield Progress(done, total, "", float("nan"))
    for count, (label, error) in enumerate(outcomes, 1):
        done += not error
        left = (time.monotonic() - start) / count * (n_jobs - count)
        yield Progress(done, total, label, left, error)


def _safely(job: Job) -> Outcome:
    """Return an error of one task as text, so that the others continue."""
    work, arguments = job
    try:
        return work(*arguments)
    except Exception as error:
        return _failed(job, f"{type(error).__name__}: {error}")


def _failed(job: Job, error: str) -> Outcome:
    _, (subject, *_) = job
    return Outcome(str(subject), error=error)


def _work(task: Task, case: str, methods: tuple[str, ...]) -> Outcome:
    sample = run_task(task, find_as_run(case, task.circuit, task.identity))
    return outcome_of(task, sample, methods)


def outcome_of(task: Task, sample: Sample, methods: tuple[str, ...]) -> Outcome:
    """Pack a sample and score it."""
    calibration = sample.calibration
    rows, bars = score_methods(sample, methods)
    return Outcome(
        str(task),
        task,
        shots=pack_sample(sample),
        calibration=None if calibration is None else (calibration.identity, calibration.to_json().encode()),
        scores=rows,
        bars=bars,
        n_bits=sample.n_bits,
        n_outcomes=sample.counts.n_outcomes,
        seconds=sample.seconds,
    )


def _rescore(task: Task, folder: Path, methods: tuple[str, ...]) -> Outcome:
    return _judge(load_sample(folder, task.identity), methods)


def _judge(
    sample: Sample, methods: tuple[str, ...], drawn: bool = True, skipped_before: tuple[str, ...] = ()
) -> Outcome:
    """Score a sample. Methods that were skipped before and are skipped again get no new row."""
    rows, bars = score_methods(sample, methods, drawn=drawn)
    new = tuple(row for row in rows if row["status"] != "skipped" or row["method"] not in skipped_before)
    return Outcome(str(sample), scores=new, bars=bars)
