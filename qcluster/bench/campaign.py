"""Run campaigns: skip what is done, save each task as it comes, tell how it goes."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qcluster.bench.machines import TOY, check_distinct, check_repeats, run_task
from qcluster.bench.methods import check_methods
from qcluster.bench.reports.about import About, keep_about
from qcluster.bench.sample import Sample, fingerprint, hash_outputs, pack_sample
from qcluster.bench.scores import judge
from qcluster.bench.store import Outcome, Store, find_as_run, load_sample, missing, read_tasks, shots_path
from qcluster.bench.tasks import Campaign, Task
from qcluster.errors import StorageError
from qcluster.workers import spread

Job = tuple[Callable[..., Outcome], tuple[Any, ...]]


@dataclass(frozen=True)
class Progress:
    """How far a campaign is."""

    done: int
    """Tasks finished, those of earlier runs included."""
    total: int
    """Tasks of the campaign."""
    label: str
    """What has just finished; empty at the start."""
    seconds_left: float
    """Estimate from the tasks finished in this run; NaN before the first."""
    error: str = ""
    """Why the task failed; empty when it did not."""


def run(campaign: Campaign, folder: str | Path, *, workers: int = 1, dask: str | None = None) -> Iterator[Progress]:
    """Run what is not done yet and score what is not scored yet.

    A task that fails is reported and left for the next run; the others go on. What a kill interrupts is lost, and
    nothing else: at most one task per worker.

    Args:
        campaign: what to run.
        folder: where shots and scores go; made if it is not there.
        workers: processes on this machine; -1 for one a core, 1 runs in this process.
        dask: address of a Dask scheduler whose workers have this package; replaces `workers`.

    Yields:
        A Progress at the start and after each task.

    Raises:
        ValueError: a method or case is unknown, or some samples would be the same shots, or no number of workers; an
            unknown machine is the failure of its tasks.
        StorageError: the folder cannot be written to, and everything before is saved; or a circuit of yours has scores
            here of another ideal.
        QClusterError: the worker processes died.
    """
    check_methods(campaign.methods)
    check_distinct(campaign)
    tasks = list(dict.fromkeys(campaign.tasks()))
    check_repeats(tasks)
    with Store(folder) as store:
        done, scored = set(store.done()), store.scored()
        check_repeats(tasks, done)
        keep_about(store.folder, About(campaign.name, campaign.description, campaign.methods))
        store.note_prints(check_ideals(store, tasks, scored))
        unscored = missing((task for task in tasks if task in done), campaign.methods, scored)
        jobs: list[Job] = [(_rescore, (task, str(store.folder), names)) for task, names in unscored.items()]
        jobs += [(_work, (task, campaign.methods)) for task in tasks if task not in done]
        yield from _drive(store, jobs, len(tasks), workers, dask)


def rescore(
    folder: str | Path, methods: tuple[str, ...], *, workers: int = 1, dask: str | None = None, again: bool = False
) -> Iterator[Progress]:
    """Score stored shots by methods that have not scored them yet: a new method never costs new shots.

    Args:
        folder: of a campaign.
        methods: names.
        workers, dask: as in `run`, as is what it yields and raises.
        again: forget the scores of these methods first, because the methods themselves have changed; the old table is
            kept beside, as ``scores.csv.old``.

    Raises:
        StorageError: there are no shots in the folder, or scores of another ideal that are not all forgotten.
    """
    check_methods(methods)
    if not read_tasks(folder):
        raise StorageError(
            f"{folder} must hold shots to score; found none: `qcluster bench run` measures them, `qcluster bench "
            "collect` fetches those of real machines, and recorded counts go with --records"
        )
    with Store(folder) as store:
        tasks = store.done()
        stay = {(task, method) for task, method in store.scored() if not (again and method in methods)}
        prints = check_ideals(store, tasks, stay)
        if again:
            store.forget_scores(methods, {task.identity for task in tasks})
        store.note_prints(prints)
        unscored = missing(tasks, methods, store.scored())
        jobs: list[Job] = [(_rescore, (task, str(store.folder), names)) for task, names in unscored.items()]
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
    """Score samples that come from elsewhere, such as recorded hardware counts, skipping what is scored.

    A method that lacked what it needs is asked again: a calibration may have come since.

    Args:
        samples: see `qcluster.bench.records`.
        folder: where the scores go.
        methods: names.
        workers, dask: as in `run`, as is what it yields and raises.
        again: as in `rescore`.
        drawn: whether the likeliest strings are kept for the report's drawings; they are part of the counts, which a
            licence may forbid to pass on. Those that were kept before go then.

    Raises:
        ValueError: two samples have one identity, or a method is unknown.
        StorageError: a sample is not the one that was scored here by the same identity.
    """
    check_methods(methods)
    with Store(folder) as store:
        statuses, jobs, prints = store.statuses(), list[Job](), dict[str, str]()
        known = {identity for identity, _ in statuses}
        for sample in samples:
            if sample.identity in prints:
                raise ValueError(f"each record must have an id of its own; {sample.identity!r} came twice")
            prints[sample.identity] = fingerprint(sample)
            before = {name: "" if again else statuses.get((sample.identity, name), "") for name in methods}
            names = tuple(name for name, status in before.items() if status in ("", "skipped"))
            lacking = tuple(name for name in names if before[name])
            if names:
                jobs.append((_judge, (sample, names, drawn, lacking)))
        store.check_prints(
            prints,
            known,
            lambda identity: (
                f"record {identity!r} is not the one that {store.folder} has scores of: counts or ideal differ; take "
                "another folder"
            ),
        )
        if again:
            store.forget_scores(methods, prints)
        store.note_prints(prints)
        if not drawn:
            store.bars.keep(lambda row: row["task"] not in prints)
        yield from _drive(store, jobs, len(prints), workers, dask)


def check_ideals(store: Store, tasks: Iterable[Task], scored: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Refuse ideals that have changed in a user's file, beside the circuit, of which no task tells.

    Args:
        store: of the campaign.
        tasks: that are scored, now or before.
        scored: pairs of task and method whose scores stay.

    Returns:
        Fingerprints of the ideals by task, for `Store.note_prints`.

    Raises:
        StorageError: a task has scores of another ideal, or shots that were drawn from it.
    """
    prints, cases = dict[str, str](), dict[str, str]()
    stay = {identity for identity, _ in scored}
    for task in tasks:
        if not task.case.startswith("file:"):
            continue
        with suppress(StorageError, ValueError):  # a file that is gone, or another circuit: its own tasks fail by it
            case = find_as_run(task.case, task.circuit, task.identity)
            cases[task.identity] = case.name
            prints[task.identity] = hash_outputs("given", case.ideal) if case.given else "simulated"
            if task.machine.startswith(TOY) and shots_path(store.folder, task.identity).exists():
                stay.add(task.identity)
    store.check_prints(
        prints,
        stay,
        lambda identity: (
            f"the ideal of task {identity} ({cases[identity]}) is another than {store.folder} has scores of: put it "
            "back, score all methods anew by --again, or, where the machine is flips:RATE, take another folder"
        ),
    )
    return prints


def _drive(store: Store, jobs: list[Job], total: int, workers: int, dask: str | None) -> Iterator[Progress]:
    """Run jobs anywhere, write here."""

    def written() -> Iterator[tuple[str, str]]:
        for outcome in spread(_safely, jobs, workers=workers, dask=dask, lost=_failed):
            if not outcome.error:
                store.add(outcome)
            yield outcome.label, outcome.error

    yield from follow(written(), len(jobs), total)


def follow(outcomes: Iterable[tuple[str, str]], ahead: int, total: int) -> Iterator[Progress]:
    """Tell how far a campaign is as its jobs come back.

    Args:
        outcomes: what each job was, and why it failed; empty where it did not.
        ahead: jobs of this run.
        total: jobs of the campaign, of which the others are done.
    """
    done, start = total - ahead, time.monotonic()
    yield Progress(done, total, "", float("nan"))
    for count, (label, error) in enumerate(outcomes, 1):
        done += not error
        left = (time.monotonic() - start) / count * (ahead - count)
        yield Progress(done, total, label, left, error)


def _safely(job: Job) -> Outcome:
    """Turn what goes wrong in one task into words, so that the others go on."""
    work, arguments = job
    try:
        return work(*arguments)
    except Exception as error:
        return _failed(job, f"{type(error).__name__}: {error}")


def _failed(job: Job, error: str) -> Outcome:
    _, (subject, *_) = job
    return Outcome(str(subject), error=error)


def _work(task: Task, methods: tuple[str, ...]) -> Outcome:
    sample = run_task(task)
    return outcome_of(task, sample, methods)


def outcome_of(task: Task, sample: Sample, methods: tuple[str, ...]) -> Outcome:
    """Pack a sample and score it."""
    calibration = sample.calibration
    rows, bars = judge(sample, methods)
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


def _rescore(task: Task, folder: str, methods: tuple[str, ...]) -> Outcome:
    return _judge(load_sample(Path(folder), task.identity), methods)


def _judge(sample: Sample, methods: tuple[str, ...], drawn: bool = True, lacking: tuple[str, ...] = ()) -> Outcome:
    """Score a sample; of methods that lacked what they need there is no other row while they do."""
    rows, bars = judge(sample, methods, drawn=drawn)
    new = tuple(row for row in rows if row["status"] != "skipped" or row["method"] not in lacking)
    return Outcome(str(sample), scores=new, bars=bars)
