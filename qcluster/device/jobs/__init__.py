"""Saved jobs: submit them, look at them and collect them from any process, also after a crash.

Every step is written to disk before it is taken. A request is saved before anything is sent. Each job is announced in
the log, has a unique tag at the service, and is logged again as soon as it has an id. A process that finds an announced
job without an id asks the service for the tag before it sends anything again.

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

import math
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.distribution import Distribution
from qcluster.device.jobs.folder import RunFolder
from qcluster.device.jobs.parts import FAILED as FAILED
from qcluster.device.jobs.parts import (
    OWN_TAG,
    advance,
    fetch_failed,
    fetch_results,
    find_announced,
    last_attempts,
    part_states,
    raise_unless_done,
    read_part,
    withdraw,
)
from qcluster.device.jobs.parts import Part as Part
from qcluster.device.jobs.results import began, read_pub
from qcluster.device.jobs.runtime import LostJobError, RuntimeService, Service
from qcluster.device.machines.machine import check_machine
from qcluster.device.request import Options, Request, divide, narrow, request_digest
from qcluster.device.run import Run, read_runs
from qcluster.errors import AccountError, JobError, QClusterError, StorageError
from qcluster.files import quote_for_shell
from qcluster.folders import folder_path

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
    """Save a request and send its jobs; a request for a local machine is simulated at once.

    Args:
        request: the request, from `qcluster.device.prepare.prepare`.
        machine: the machine to run it on; found by its name if not given.
        directory: where the request is kept; by default ./qcluster-jobs/ and its id.
        service: a `QiskitRuntimeService`, or a `Service`; by default that of the machine, or else the one of the saved
            account.

    Returns:
        The directory. If this call fails or is killed, `collect` with that directory continues where it stopped.

    Raises:
        TypeError: request is not a `Request`, or machine is not a `Machine`.
        ValueError: the request was made for another machine.
        StorageError: the directory holds another request or cannot be written.
        AccountError, JobError: the service refuses; jobs submitted before are safe in the directory.
    """
    if not isinstance(request, Request):
        expected = f"request must be a Request, from qcluster.device.prepare.prepare; got {type(request).__name__}"
        raise TypeError(expected + ": circuits run by qcluster.execute")
    if machine is not None:
        check_machine(machine)
        if machine.name != request.backend:
            made_for = f"the one that the request was made for, {request.backend}"
            raise ValueError(f"machine must be {made_for}; got {machine.name}")
    folder = RunFolder(folder_path(directory) if directory is not None else Path("qcluster-jobs") / request.id)
    with folder.lock():
        folder.write_request(request)
        try:
            advance(folder, machine, open_jobs(service, machine))
        except (JobError, AccountError) as error:
            if folder.path.name != request.id:  # the caller chose the folder
                raise
            kept = f"the request and the jobs sent before are kept in {folder.path}"
            command = f"qcluster jobs collect {quote_for_shell(folder.path)}"
            raise type(error)(f"{str(error).rstrip('.')}; {kept}. To continue: {command}") from error
    return folder.path


def saved_backend(backend: Any, directory: str | Path | None) -> Any:
    """Return the real machine of a saved request in place of "least_busy", and any other backend unchanged."""
    if directory is None or not (isinstance(backend, str) and backend == "least_busy"):
        return backend
    folder = RunFolder(folder_path(directory))
    return folder.request.backend if folder.has_request() and folder.request.kind == "hardware" else backend


def saved_request(
    circuits: Sequence[QuantumCircuit],
    machine: Machine,
    options: Options,
    seed: int | np.random.Generator | None,
    directory: str | Path | None,
    *,
    reused: Sequence[MeasuredReference] = (),
) -> Request | None:
    """Load the request of a directory if it is the one that `prepare` would make again; None if there is none.

    Machines are compared by name. For a simulation the published noise must be the same too, since two simulators of
    one name may differ in it.

    Raises:
        StorageError: the directory is damaged, or holds another request; the message names the differences.
    """
    if directory is None or not (folder := RunFolder(folder_path(directory))).has_request():
        return None
    request = folder.request
    qiskit_version = request.versions.get("qiskit", "")
    simulated = "hardware" not in (request.kind, machine.kind)
    other_noise = simulated and request.calibration.identity != machine.calibration.identity
    if not isinstance(seed, np.random.Generator) and not other_noise:
        fixed_seed = None if seed is None else check_whole("seed", seed, 0)
        if request.asked == request_digest(circuits, machine.name, options, fixed_seed, reused, qiskit_version):
            return request
    wanted = {"backend": machine.name, **vars(options)}
    saved = {"backend": request.backend, **request.options}
    differences = [f"{name} {saved.get(name)!r:.40}" for name, value in wanted.items() if saved.get(name) != value]
    differences += ["another noise of the simulation"] if other_noise else []
    if not differences:
        other_qiskit = qiskit_version not in ("", version("qiskit"))
        same = f", or the same circuits, written differently by Qiskit {qiskit_version}" if other_qiskit else ""
        differences = [f"other circuits or another seed{same}"]
    raise StorageError(
        f"{directory} holds another request already, with {', '.join(differences)}: repeat the same call to continue "
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
    """Fetch the results of a directory, from any process; submit jobs that a killed process had not submitted yet.

    Each job is fetched separately, so a job that failed or that the service no longer has does not hold up the others.
    Results are checked against the request, and stored with their hash.

    Args:
        directory: the directory that `submit` returned.
        wait: whether to wait for jobs that are not done.
        resubmit: whether to send jobs again that failed, were cancelled or are lost, or whose result cannot be decoded
            and was reported so by an earlier call; results that arrived are kept.
        service: the `QiskitRuntimeService` of the account that submitted the jobs, or a `Service`; by default that of
            the saved account.
        poll: seconds between two looks at the jobs while waiting, at least 0.

    Returns:
        One `Run` per circuit, in the order of the request.

    Raises:
        ValueError: poll is not such a number.
        JobError: jobs are not done, failed, were cancelled or are lost; the message says which, why, and what to do.
            Results that have arrived are kept.
        AccountError: there is no account, or the service refuses it.
        StorageError: the directory holds no request, the request or a result was changed since it was stored, or
            another process is working there.
    """
    folder = RunFolder(folder_path(directory))
    poll = check_real("poll", poll, 0)
    service = open_jobs(service)
    with folder.lock(existing=True):
        failed = fetch_failed(folder, service) if resubmit else []
        refusal: QClusterError | None = None
        try:
            advance(folder, None, service, failed)
        except (JobError, AccountError) as error:  # raised below, once the jobs that were accepted have been fetched
            refusal = error
        parts = fetch_results(folder, service)
        while wait and any(part.status not in {"DONE", "UNKNOWN", "NOT SUBMITTED", *FAILED} for part in parts):
            time.sleep(poll)
            parts = fetch_results(folder, service)
    if refusal is not None:
        raise refusal
    raise_unless_done(folder, parts)
    return _read(folder)


def status(directory: str | Path, *, service: Any = None) -> list[Part]:
    """Return the state of each job of a directory, and change nothing there. Arguments and errors as in `collect`."""
    return list(part_states(RunFolder(folder_path(directory)), open_jobs(service)))


def read(directory: str | Path, *, partial: bool = False) -> list[Run]:
    """Read the runs of a directory whose results have all arrived; asks no service and changes nothing.

    Args:
        directory: the directory that `submit` returned.
        partial: whether to read what has arrived even if other results are missing, such as those of a job that failed
            on a machine that is gone. Circuits of which nothing has arrived are left out (`read_arrived` says which),
            and a run that lacks twirls or a reference has a note.

    Returns:
        One `Run` per circuit, in the order of the request.

    Raises:
        JobError: some results have not been collected yet.
        StorageError: the directory holds no request, or the request or a result was changed since it was stored.
    """
    return _read(RunFolder(folder_path(directory)), partial)


def _read(folder: RunFolder, partial: bool = False) -> list[Run]:
    parts = divide(folder.request)
    missing = sum(not folder.has_result(part) for part in range(len(parts)))
    if missing and not partial:
        raise JobError(
            f"{missing} of {len(parts)} results are not in {folder.path} yet: qcluster jobs collect "
            f"{quote_for_shell(folder.path)}; to read the others without them: partial=True, or --partial of mitigate "
            "and rates"
        )
    return [run for run in _read_arrived(folder) if run is not None]


def read_arrived(directory: str | Path) -> list[Run | None]:
    """Read what has arrived in a directory, as `read` with ``partial``, and return which circuit each run is of.

    Returns:
        For each circuit of the request, its `Run`, or None if nothing of it has arrived.

    Raises:
        StorageError: as `read`.
    """
    return _read_arrived(RunFolder(folder_path(directory)))


def _read_arrived(folder: RunFolder) -> list[Run | None]:
    request = folder.request
    parts = divide(request)
    arrived = {part: places for part, places in enumerate(parts) if folder.has_result(part)}
    ids = {part: str(attempt.get("job_id", "")) for part, attempt in last_attempts(folder).items()}
    counts: list[list[Distribution]] = [[] for _ in request.prepared]
    job_ids: list[list[str]] = [[] for _ in request.prepared]
    calibrations: list[Calibration | None] = [None for _ in request.prepared]
    measured_at: list[str] = ["" for _ in request.prepared]
    for part, places in arrived.items():
        calibration = folder.read_calibration(part)
        result, job_id = read_part(folder, part, places), ids.get(part, "")
        for (i, _), pub in zip(places, result, strict=True):
            counts[i].append(read_pub(pub, request.prepared[i]))
            calibrations[i] = calibration if calibrations[i] is None else calibrations[i]
            measured_at[i] = min(filter(None, (measured_at[i], began(result))), default="")
            if job_id and job_id not in job_ids[i]:
                job_ids[i].append(job_id)
    reduced, kept = narrow(request, (place for places in arrived.values() for place in places))
    runs = read_runs(
        reduced,
        [counts[i] for i in kept],
        [job_ids[i] for i in kept],
        [calibrations[i] for i in kept],
        [measured_at[i] for i in kept],
    )
    by_circuit = dict(zip(kept, runs, strict=False))  # references, which follow the circuits, make no runs
    return [by_circuit.get(i) for i, prepared in enumerate(request.prepared) if not prepared.serves]


def fetch(job_id: str, *, as_read: bool = False, service: Any = None) -> Any:
    """Fetch the result of any Sampler job by its id.

    Args:
        job_id: the id that the runtime gave the job.
        as_read: whether to return also the result of a job of a saved run, with the flips of its twirls not undone.
        service: as in `collect`.

    Returns:
        The `PrimitiveResult`.

    Raises:
        AccountError, JobError: there is no account or no such job, the job is not done, or it belongs to a saved run,
            whose directory alone records the flips; the message says what to do.
    """
    service = open_jobs(service)
    state = service.state(job_id)
    if not state.final:
        raise JobError(f"job {job_id} is {state.status}: try again when it is done")
    if state.status != "DONE":
        raise JobError(f"job {job_id} ended as {state.status}{': ' + state.reason if state.reason else ''}")
    tag = next((tag for tag in service.tags(job_id) if OWN_TAG.fullmatch(tag)), None)
    if tag is not None and not as_read:
        raise JobError(
            f"job {job_id} is a part of the run {tag.split('.')[0]}, and only the directory of that run records which "
            "bits its twirls flipped: qcluster jobs collect DIRECTORY. If the directory is lost, as_read=True "
            "(--as-read) gives the bits as they were read"
        )
    return service.result(job_id)


def job_ids(directory: str | Path) -> tuple[str, ...]:
    """Ids at the service of the last job of each part that was sent, in the order of the parts."""
    folder = RunFolder(folder_path(directory))
    _ = folder.request
    attempts = (attempt for _, attempt in sorted(last_attempts(folder).items()))
    return tuple(str(attempt["job_id"]) for attempt in attempts if "job_id" in attempt)


def cancel(directory: str | Path, *, service: Any = None) -> list[str]:
    """Cancel the jobs of a directory that are not done. Results that have arrived, or are done at the service, stay.

    A job whose process was killed before it could write down the id is found by its tag. Parts that were never sent are
    logged as cancelled, so that `collect` does not send them.

    Returns:
        Ids of the jobs that were cancelled. `collect` reports them, and sends them again with ``resubmit``.

    Raises:
        JobError: the service does not answer, or does not cancel a job; the message says which. All other jobs are
            cancelled.
        AccountError: as `status`.
        StorageError: as `status`; or another process is sending jobs of this directory, or has sent some in the
            meantime.
    """
    service = open_jobs(service)
    folder = RunFolder(folder_path(directory))
    ids, unsent, refusals = [], [], []
    for part in part_states(folder, service):
        if part.status in {"DONE", *FAILED} or folder.request.kind != "hardware":
            continue
        try:
            job_id = part.job_id or find_announced(folder.request, part, service)
            if job_id is None:
                unsent.append(part)
            elif part.job_id or not service.state(job_id).final:
                service.cancel(job_id)
                ids.append(job_id)
        except JobError as error:
            refusals.append(error)
    if unsent:
        with folder.lock(existing=True):
            withdraw(folder, unsent)
    if refusals:
        raise refusals[0]
    return ids


def usage(directory: str | Path, *, service: Any = None) -> dict[str, float]:
    """Return the machine time charged for the jobs of a directory, as the service counts it.

    Returns:
        Seconds by job id, for all jobs that were sent, including those that failed and were sent again; 0 for a job
        that is not done, NaN for one that the service no longer has. `estimate_usage` estimates the time beforehand.

    Raises:
        JobError: the service does not answer.
        AccountError, StorageError: as `status`.
    """
    service, folder = open_jobs(service), RunFolder(folder_path(directory))
    _ = folder.request
    return {
        event["job_id"]: _usage(service, event["job_id"]) for event in folder.events() if event["event"] == "submitted"
    }


def _usage(service: Service, job_id: str) -> float:
    try:
        return service.usage(job_id)
    except LostJobError:
        return math.nan


def open_jobs(service: Any = None, machine: Machine | None = None) -> Service:
    """Return the `Service` for jobs.

    Args:
        service: a `Service`, which is returned unchanged, or a `QiskitRuntimeService`, whose account is used.
        machine: a real machine whose account is used if no service is given; without either, the saved account is.
    """
    if service is None:
        if machine is None or machine.kind != "hardware":
            return RuntimeService()
        return RuntimeService(machine.backend, session=machine.session)
    opened: Service = RuntimeService(service=service) if hasattr(service, "active_account") else service
    return opened
