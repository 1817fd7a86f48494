"""Campaigns on real machines: submit now, and collect the results days later, in any process."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qcluster.bench.campaign import Progress, check_gates, check_ideals, follow, outcome_of
from qcluster.bench.machines import TOY, check_distinct, check_repeats, machine_name, sample_of_run
from qcluster.bench.reports.about import About, keep_about
from qcluster.bench.store import Store, find_as_run
from qcluster.bench.tasks import Campaign, Task, as_stored, find_case, locate
from qcluster.errors import JobError, StorageError

if TYPE_CHECKING:
    from qcluster.device.jobs.runtime import Service
    from qcluster.device.machines.machine import Machine

NOT_DONE = "not done yet"
"""Start of the note on a task whose jobs are queued or running."""


def submit(campaign: Campaign, folder: str | Path, *, service: "Service | None" = None) -> Iterator[Progress]:
    """Send every task that has neither shots nor jobs yet, and record each one before it is sent.

    `qcluster.device.jobs` sends each task and keeps its files in ``FOLDER/jobs/ID``. If the process is killed, submit
    again: only what is missing is sent, and nothing twice.

    Args:
        campaign: campaign on real machines; recorded ones are simulated on the spot.
        folder: folder for the jobs, and later for shots and scores.
        service: replaces the runtime service in tests.

    Yields:
        A Progress at the start and after each task; `error` if the service refused the task, the task cannot run on its
        machine, or its files are damaged.

    Raises:
        ValueError: a case or a machine is unknown, a machine cannot be submitted to (``flips:RATE``), or some samples
            would count several times, as in `qcluster.bench.campaign.run`.
        AccountError: there is no account, or no such machine.
        StorageError: the folder cannot be written to.
    """
    from qcluster.device import jobs
    from qcluster.device.machines.machine import find_machine

    toys = [name for name in campaign.machines if name.startswith(TOY)]
    if toys:
        raise ValueError(f"{toys[0]} is no machine to submit to: use `qcluster bench run` instead")
    check_distinct(campaign)
    planned = list(dict.fromkeys(campaign.tasks()))
    check_repeats(planned)
    machines = {name: find_machine(machine_name(name)) for name in campaign.machines}
    services = {name: jobs.open_jobs(service, machine) for name, machine in machines.items()}  # once for all tasks
    with Store(folder) as store:
        done = set(store.done())
        listed = set(store.submitted())
        tasks = as_stored(planned, done | listed)
        check_repeats(tasks, done | listed)
        keep_about(store.folder, About(campaign.name, campaign.description, campaign.methods))
        start = time.monotonic()
        yield Progress(0, len(tasks), "", float("nan"))
        for count, (task, case) in enumerate(tasks.items(), 1):
            error = ""
            if task not in done:
                error = _submit(task, case, store, task not in listed, machines[task.machine], services[task.machine])
            left = (time.monotonic() - start) / count * (len(tasks) - count)
            yield Progress(count, len(tasks), str(task), left, error)


def collect(
    folder: str | Path, methods: tuple[str, ...] = ("identity",), *, service: "Service | None" = None
) -> Iterator[Progress]:
    """Fetch the results that are available, store their shots, and score them.

    Args:
        folder: folder of a submitted campaign.
        methods: methods that score at once; others can score later without new shots.
        service: replaces the runtime service in tests.

    Yields:
        A Progress at the start and after each task; `error` says which jobs are not done yet, or why they failed.

    Raises:
        StorageError: nothing was submitted from the folder, the folder cannot be written to, or a task has scores for
            another ideal.
        AccountError: there is no account.
    """
    from qcluster.device import jobs

    service = jobs.open_jobs(service)
    with Store(folder) as store:
        submitted, done = store.submitted(), set(store.done())
        if not submitted:
            raise StorageError(
                f"{store.folder} must hold tasks that were submitted, by `qcluster bench submit`; found none"
            )
        scored = store.scored()
        cases = {task: locate(task.case, store.folder) for task in submitted}
        store.note_prints(check_ideals(store, cases, scored) | check_gates(store, methods, scored))
        unfinished = [task for task in submitted if task not in done]
        fetched = ((str(task), _fetch(task, store, methods, service)) for task in unfinished)
        yield from follow(fetched, len(unfinished), len(submitted))


def _fetch(task: Task, store: Store, methods: tuple[str, ...], service: "Service") -> str:
    """Fetch and score one task; return why it is not available, or an empty text."""
    from qcluster.device import jobs

    try:
        (run,) = jobs.collect(_directory(store.folder, task), service=service)
        case = find_as_run(locate(task.case, store.folder), task.circuit, task.identity)
    except JobError as failure:
        states = {part.status for part in jobs.status(_directory(store.folder, task), service=service)}
        waiting = not states <= {"DONE", *jobs.FAILED}
        return f"{NOT_DONE}: {failure}" if waiting else str(failure)
    except (StorageError, ValueError) as failure:  # concerns only the directory or case of this task
        return str(failure)
    store.add(outcome_of(task, sample_of_run(task, case, run), methods))
    return ""


def _submit(task: Task, case: str, store: Store, new: bool, machine: "Machine", service: "Service") -> str:
    """Send one task, or the part of it that a killed process left unsent; return why not, or an empty text.

    A new task is recorded only after it is known to fit its machine, so that `collect` never waits for an unsent task.
    """
    from qcluster.device import jobs
    from qcluster.device.prepare import Options, prepare

    directory, request = _directory(store.folder, task), None
    try:
        jobs.status(directory, service=service)
    except StorageError:
        try:
            options = Options(shots=task.shots, twirls=task.twirls, dd=task.dd or None, reference=task.reference)
            request = prepare([find_case(case).circuit], machine, options, task.seed)
        except (StorageError, ValueError) as failure:
            return str(failure)
    if new:  # also a task that was sent but is not listed, as after a power cut: `collect` would never ask for it
        store.note_submission(task)
    try:
        if request is None:
            jobs.collect(directory, service=service)
        else:
            jobs.submit(request, machine, directory, service=service)
    except StorageError as failure:  # concerns only the directory of this task
        return str(failure)
    except JobError as failure:
        unsent = [part for part in jobs.status(directory, service=service) if part.status == "NOT SUBMITTED"]
        return str(failure) if unsent else ""
    return ""


def _directory(folder: Path, task: Task) -> Path:
    directory = folder / "jobs" / task.identity
    if directory.is_symlink():
        raise StorageError(f"cannot write {directory}: it is a link, and links are not followed here")
    return directory
