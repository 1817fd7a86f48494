"""Campaigns on real machines: submit now, collect days later, in any process."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qcluster.bench.campaign import Progress, check_ideals, follow, outcome_of
from qcluster.bench.machines import TOY, check_distinct, check_repeats, machine_name, sample_of_run
from qcluster.bench.reports.about import About, keep_about
from qcluster.bench.store import Store, find_as_run
from qcluster.bench.tasks import Campaign, Task, find_case
from qcluster.errors import JobError, StorageError

if TYPE_CHECKING:
    from qcluster.device.jobs.runtime import Service
    from qcluster.device.machines.machine import Machine

NOT_DONE = "not done yet"
"""How the note begins for a task whose jobs are queued or running."""


def submit(campaign: Campaign, folder: str | Path, *, service: "Service | None" = None) -> Iterator[Progress]:
    """Send every task that has neither shots nor jobs yet, and write each down before it is sent.

    A task goes to the machine as `qcluster.device.jobs` does it, into ``FOLDER/jobs/ID``: submitting again after a kill
    sends what is missing and nothing twice.

    Args:
        campaign: on real machines (recorded ones are simulated on the spot).
        folder: where the jobs are kept, and later the shots and scores.
        service: in place of the runtime service, for tests.

    Yields:
        A Progress at the start and after each task; `error` where the service refused it, or it cannot run on its
        machine, or what was kept of it is damaged.

    Raises:
        ValueError: a case or a machine is unknown, or has no compiler (``flips:RATE``), or some samples would count
            several times, as in `qcluster.bench.campaign.run`.
        AccountError: there is no account, or no such machine.
        StorageError: the folder cannot be written to.
    """
    from qcluster.device import jobs
    from qcluster.device.machines.machine import find_machine

    toys = [name for name in campaign.machines if name.startswith(TOY)]
    if toys:
        raise ValueError(f"{toys[0]} is no machine to submit to: run the campaign instead")
    check_distinct(campaign)
    tasks = list(dict.fromkeys(campaign.tasks()))
    check_repeats(tasks)
    machines = {name: find_machine(machine_name(name)) for name in campaign.machines}
    services = {name: jobs.open_jobs(service, machine) for name, machine in machines.items()}  # once for all tasks
    with Store(folder) as store:
        done = set(store.done())
        listed = set(store.submitted())
        check_repeats(tasks, done | listed)
        keep_about(store.folder, About(campaign.name, campaign.description, campaign.methods))
        start = time.monotonic()
        yield Progress(0, len(tasks), "", float("nan"))
        for count, task in enumerate(tasks, 1):
            error = ""
            if task not in done:
                error = _submit(task, store, task not in listed, machines[task.machine], services[task.machine])
            left = (time.monotonic() - start) / count * (len(tasks) - count)
            yield Progress(count, len(tasks), str(task), left, error)


def collect(
    folder: str | Path, methods: tuple[str, ...] = ("identity",), *, service: "Service | None" = None
) -> Iterator[Progress]:
    """Bring in the results that are there, keep their shots, and score them.

    Args:
        folder: that was submitted from.
        methods: that score at once; others can later, at no cost.
        service: in place of the runtime service, for tests.

    Yields:
        A Progress at the start and after each task; `error` says which jobs are not done yet, or why they failed.

    Raises:
        StorageError: nothing was submitted from the folder, or it cannot be written to, or a task has scores of another
            ideal.
        AccountError: there is no account.
    """
    from qcluster.device import jobs

    service = jobs.open_jobs(service)
    with Store(folder) as store:
        submitted, done = store.submitted(), set(store.done())
        if not submitted:
            raise StorageError(f"nothing was submitted from {store.folder}")
        store.note_prints(check_ideals(store, submitted, store.scored()))
        open_ = [task for task in submitted if task not in done]
        fetched = ((str(task), _fetch(task, store, methods, service)) for task in open_)
        yield from follow(fetched, len(open_), len(submitted))


def _fetch(task: Task, store: Store, methods: tuple[str, ...], service: "Service") -> str:
    """Bring in one task and score it; give why it is not there, or nothing."""
    from qcluster.device import jobs

    try:
        (run,) = jobs.collect(_place(store.folder, task), service=service)
        case = find_as_run(task.case, task.circuit, task.identity)
    except JobError as failure:
        states = {part.status for part in jobs.status(_place(store.folder, task), service=service)}
        waiting = not states <= {"DONE", *jobs.FAILED}
        return f"{NOT_DONE}: {failure}" if waiting else str(failure)
    except (StorageError, ValueError) as failure:  # of this task's directory or case, and of no other's
        return str(failure)
    store.add(outcome_of(task, sample_of_run(task, case, run), methods))
    return ""


def _submit(task: Task, store: Store, new: bool, machine: "Machine", service: "Service") -> str:
    """Send one task, or what a killed process left unsent of it; give why not, or nothing.

    What is new is written down when it is known to fit its machine: what was never sent is never waited for.
    """
    from qcluster.device import jobs
    from qcluster.device.prepare import Options, prepare

    place, request = _place(store.folder, task), None
    try:
        jobs.status(place, service=service)
    except StorageError:
        try:
            options = Options(shots=task.shots, twirls=task.twirls, dd=task.dd or None, reference=task.reference)
            request = prepare([find_case(task.case).circuit], machine, options, task.seed)
        except ValueError as failure:
            return str(failure)
    if new:  # also what was sent and is not listed, as after a power cut: `collect` would never ask for it
        store.note_submission(task)
    try:
        if request is None:
            jobs.collect(place, service=service)
        else:
            jobs.submit(request, machine, place, service=service)
    except StorageError as failure:  # of this task's directory, and of no other's
        return str(failure)
    except JobError as failure:
        unsent = [part for part in jobs.status(place, service=service) if part.status == "NOT SUBMITTED"]
        return str(failure) if unsent else ""
    return ""


def _place(folder: Path, task: Task) -> Path:
    place = folder / "jobs" / task.identity
    if place.is_symlink():
        raise StorageError(f"cannot write {place}: it is a link, and links are not followed here")
    return place
