"""Saved jobs: submit, look, collect, in any process, after any crash.

The rule is to write first and act then. A request is on disk before anything is sent; each job is announced in the log,
carries a tag of its own at the service, and is logged the moment it has an id. A process that finds an announced job
without an id asks the service for the tag before it sends anything again.

Example:
    >>> import tempfile
    >>> from qiskit import QuantumCircuit
    >>> from qcluster.device.machines.machine import find_machine
    >>> from qcluster.device.prepare import Options, prepare
    >>> circuit, machine = QuantumCircuit(2), find_machine("aer")
    >>> _ = circuit.x(0), circuit.measure_all()
    >>> with tempfile.TemporaryDirectory() as place:
    ...     directory = submit(prepare([circuit], machine, Options(shots=100), seed=7), machine, f"{place}/run")
    ...     print([part.status for part in status(directory)])
    ...     (run,) = collect(directory)
    ['DONE']
    >>> run.counts.to_counts()
    {'01': 100}
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.checks import check_whole
from qcluster.core.counts.distribution import Distribution
from qcluster.device.jobs.folder import RunFolder
from qcluster.device.jobs.parts import FAILED as FAILED
from qcluster.device.jobs.parts import (
    OWN_TAG,
    advance,
    bring_in,
    complain,
    find_announced,
    last_attempts,
    look,
    read_part,
)
from qcluster.device.jobs.parts import Part as Part
from qcluster.device.jobs.runtime import RuntimeService, Service
from qcluster.device.machines.machine import check_machine
from qcluster.device.request import Options, Request, divide, what_is_asked
from qcluster.device.run import Run, read_runs
from qcluster.errors import AccountError, JobError, QClusterError, StorageError
from qcluster.files import typed

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.machines.machine import Machine
    from qcluster.device.noise.measured import MeasuredReference


def submit(
    request: Request,
    machine: Machine | None = None,
    directory: str | Path | None = None,
    *,
    service: Any = None,
) -> Path:
    """Write a request down and send its jobs; a request for a local machine is simulated on the spot.

    Args:
        request: from `qcluster.device.prepare.prepare`.
        machine: where it runs; found by name where it is not given.
        directory: where it is kept; by default ./qcluster-jobs/ and the request's id.
        service: a `QiskitRuntimeService`, or a `Service` in its place; by default that of the machine, else the saved
            account's.

    Returns:
        The directory. If this fails or is killed, `collect` on the directory goes on where it stopped.

    Raises:
        TypeError: what is no request, or no machine.
        ValueError: a machine for which the request was not made.
        StorageError: the directory holds another request or cannot be written.
        AccountError, JobError: the service refuses; what was submitted before is safe in the directory.
    """
    if not isinstance(request, Request):
        given = f"request must be a Request, from qcluster.device.prepare.prepare; got {type(request).__name__}"
        raise TypeError(given + ": circuits run by qcluster.execute")
    if machine is not None:
        check_machine(machine)
        if machine.name != request.backend:
            made_for = f"the one that the request was made for, {request.backend}"
            raise ValueError(f"machine must be {made_for}; got {machine.name}")
    folder = RunFolder(Path(directory) if directory is not None else Path("qcluster-jobs") / request.id)
    with folder.lock():
        folder.write_request(request)
        advance(folder, machine, open_jobs(service, machine))
    return folder.path


def saved_request(
    circuits: Sequence[QuantumCircuit],
    machine: Machine,
    options: Options,
    seed: int | np.random.Generator | None,
    directory: str | Path | None,
    *,
    reused: MeasuredReference | None = None,
) -> Request | None:
    """Find the request of a directory where just the same is asked of `prepare` again; None where it holds none.

    A machine is known by its name, and what is simulated here by its published noise as well: two simulators of one
    name may differ in that.

    Raises:
        StorageError: the directory holds a request for something else, which the message tells apart, or is damaged.
    """
    if directory is None or not (folder := RunFolder(Path(directory))).has_request():
        return None
    request = folder.request
    made_with = request.versions.get("qiskit", "")
    simulated = "hardware" not in (request.kind, machine.kind)
    other_noise = simulated and request.calibration.identity != machine.calibration.identity
    if not isinstance(seed, np.random.Generator) and not other_noise:
        given = None if seed is None else check_whole("seed", seed, 0)
        if request.asked == what_is_asked(circuits, machine.name, options, given, reused, made_with):
            return request
    asked = {"backend": machine.name, **vars(options)}
    there = {"backend": request.backend, **request.options}
    other = [f"{name} {there.get(name)!r:.40}" for name, value in asked.items() if there.get(name) != value]
    other += ["another noise of the simulation"] if other_noise else []
    if not other:
        same = f", or the same as Qiskit {made_with} writes them" if made_with not in ("", version("qiskit")) else ""
        other = [f"other circuits or another seed{same}"]
    raise StorageError(
        f"{directory} holds another request already, with {', '.join(other)}: ask for the same to go on with "
        "it, collect it, or choose another directory"
    )


def collect(
    directory: str | Path,
    *,
    wait: bool = False,
    resubmit: bool = False,
    service: Any = None,
    poll: float = 5.0,
) -> list[Run]:
    """Bring in the results of a directory, from any process; submit what a killed process had left unsubmitted.

    Each job is brought in by itself: one that failed, or that the service no longer has, keeps no other back. What
    comes in is checked against the request, and kept with its hash.

    Args:
        directory: what `submit` returned.
        wait: whether to wait for jobs that are not done.
        resubmit: whether to send jobs once more that failed, were cancelled or are lost; the others stay.
        service: the `QiskitRuntimeService` of the account that submitted, or a `Service` in its place; by default the
            saved account's.
        poll: seconds between looks while waiting.

    Returns:
        One `Run` per circuit, in the order of the request.

    Raises:
        JobError: jobs are not done, failed, were cancelled or are lost; the message says which, why, and what to do.
            Results that came in are kept.
        AccountError: there is no account, or the service refuses it.
        StorageError: there is no request in the directory, it or a result is not what was stored, or another process is
            at work there.
    """
    folder = RunFolder(Path(directory))
    service = open_jobs(service)
    with folder.lock(existing=True):
        failed = [part.number for part in bring_in(folder, service) if part.status in FAILED] if resubmit else []
        refusal: QClusterError | None = None
        try:
            advance(folder, None, service, failed)
        except (JobError, AccountError) as error:  # a job is not taken now: those that were are brought in all the same
            refusal = error
        parts = bring_in(folder, service)
        while wait and any(part.status not in {"DONE", "UNKNOWN", "NOT SUBMITTED", *FAILED} for part in parts):
            time.sleep(poll)
            parts = bring_in(folder, service)
    if refusal is not None:
        raise refusal
    complain(folder, parts)
    return read(directory)


def status(directory: str | Path, *, service: Any = None) -> list[Part]:
    """Tell the state of each job of a directory; changes nothing there. Arguments and errors as of `collect`."""
    return list(look(RunFolder(Path(directory)), open_jobs(service)))


def read(directory: str | Path) -> list[Run]:
    """Read the runs of a directory whose results are all there; asks no service and changes nothing.

    Returns:
        One `Run` per circuit, in the order of the request.

    Raises:
        JobError: results are still to be collected.
        StorageError: there is no request in the directory, or it or a result is not what was stored.
    """
    folder = RunFolder(Path(directory))
    request = folder.request
    parts = divide(request)
    missing = [part for part in range(len(parts)) if not folder.result_path(part).exists()]
    if missing:
        raise JobError(
            f"{len(missing)} of {len(parts)} results are not in {folder.path} yet: qcluster jobs collect "
            f"{typed(folder.path)}"
        )
    ids = {part: str(known.get("job_id", "")) for part, known in last_attempts(folder).items()}
    counts: list[list[Distribution]] = [[] for _ in request.prepared]
    job_ids: list[list[str]] = [[] for _ in request.prepared]
    calibrations: list[Calibration | None] = [None for _ in request.prepared]
    for part, places in enumerate(parts):
        calibration = folder.read_calibration(part)
        result, job_id = read_part(folder, part, places), ids.get(part, "")
        for (i, _), pub in zip(places, result, strict=True):
            counts[i].append(Distribution.of(pub))
            calibrations[i] = calibration if calibrations[i] is None else calibrations[i]
            if job_id and job_id not in job_ids[i]:
                job_ids[i].append(job_id)
    return read_runs(request, counts, job_ids, calibrations)


def fetch(job_id: str, *, as_read: bool = False, service: Any = None) -> Any:
    """Fetch the result of any Sampler job by its id alone.

    Args:
        job_id: as the runtime tells it.
        as_read: whether to give also what belongs to a run of ours, with the flips of its twirls not undone.
        service: as in `collect`.

    Returns:
        The `PrimitiveResult`.

    Raises:
        AccountError, JobError: there is no account or no such job, or it is not done, or it is a part of a run, whose
            flips are known to its directory only; the message says what to do.
    """
    service = open_jobs(service)
    state = service.state(job_id)
    if not state.final:
        raise JobError(f"job {job_id} is {state.status}: try again when it is done")
    if state.status != "DONE":
        raise JobError(f"job {job_id} ended as {state.status}{': ' + state.reason if state.reason else ''}")
    ours = next((tag for tag in service.tags(job_id) if OWN_TAG.fullmatch(tag)), None)
    if ours is not None and not as_read:
        raise JobError(
            f"job {job_id} is a part of the run {ours.split('.')[0]}, and which bits its twirls flipped is known to "
            "the directory of that run alone: qcluster jobs collect DIRECTORY. Where that is lost, as_read=True "
            "(--as-read) gives the bits as they were read"
        )
    return service.result(job_id)


def job_ids(directory: str | Path) -> tuple[str, ...]:
    """Give the ids at the service of the last job of each part that was sent, in the order of the parts."""
    folder = RunFolder(Path(directory))
    _ = folder.request
    return tuple(str(known["job_id"]) for _, known in sorted(last_attempts(folder).items()) if "job_id" in known)


def cancel(directory: str | Path, *, service: Any = None) -> list[str]:
    """Cancel the jobs of a directory that are not done. Results that came in, or are done at the service, stay.

    A job that a process had sent when it was killed, before it could note the id, is found by its tag.

    Returns:
        Ids of the jobs that were cancelled. `collect` reports them, and sends them again when asked to.

    Raises:
        JobError: the service does not answer, or does not cancel a job; the message says which.
        AccountError, StorageError: as `status`.
    """
    service = open_jobs(service)
    folder = RunFolder(Path(directory))
    running = [part for part in look(folder, service) if part.status not in {"DONE", *FAILED}]
    found = [part.job_id or find_announced(folder.request, part, service) for part in running]
    ids = [job_id for job_id in found if job_id]
    for job_id in ids:
        service.cancel(job_id)
    return ids


def usage(directory: str | Path, *, service: Any = None) -> dict[str, float]:
    """Tell what the jobs of a directory were charged with, as the service counts it.

    Returns:
        Seconds of the machine by job id; 0 of a job that is not done. `estimate_usage` says what was to be expected.

    Raises:
        JobError, AccountError, StorageError: as `status`.
    """
    service = open_jobs(service)
    return {job_id: service.usage(job_id) for job_id in job_ids(directory)}


def open_jobs(service: Any = None, machine: Machine | None = None) -> Service:
    """Find the service that jobs go to and come from: a `Service` as it is, else by the account of the
    `QiskitRuntimeService` or of the machine that is given, else the saved one."""
    if service is None:
        if machine is None or machine.kind != "hardware":
            return RuntimeService()
        return RuntimeService(machine.backend, session=machine.session)
    given: Service = RuntimeService(service=service) if hasattr(service, "active_account") else service
    return given
