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

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.counts.distribution import Distribution
from qcluster.device.folder import RunFolder
from qcluster.device.local import simulate_request
from qcluster.device.noise.simulate import as_result
from qcluster.device.request import what_is_asked
from qcluster.device.results import Places, encode_result, find_mismatch, marked
from qcluster.device.run import Run, read_runs
from qcluster.device.runtime import JobState, LostJobError, RuntimeService, Service
from qcluster.errors import JobError, StorageError
from qcluster.files import decode_saved

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.machines.machine import Machine
    from qcluster.device.noise.reference import MeasuredReference
    from qcluster.device.request import Options, Request


FAILED = frozenset({"ERROR", "CANCELLED", "LOST", "REFUSED"})
"""States of jobs that will give no result."""


@dataclass(frozen=True)
class Part:
    """Hold the state of one job of a request."""

    number: int
    """Which part, from 0."""
    circuits: int
    """How many circuits it runs, twirls counted."""
    status: str
    """"NOT SUBMITTED", "DONE", or what the service says; "LOST" where it no longer has the job or its result, "REFUSED"
    where the result is not one of these circuits, "UNKNOWN" where the service does not answer."""
    job_id: str = ""
    """Id of its last job."""
    attempt: int = 0
    """How often it was submitted."""
    reason: str = ""
    """Why it failed."""


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
        StorageError: the directory holds another request or cannot be written.
        AccountError, JobError: the service refuses; what was submitted before is safe in the directory.
    """
    folder = RunFolder(Path(directory) if directory is not None else Path("qcluster-jobs") / request.id)
    with folder.lock():
        folder.write_request(request)
        _advance(folder, machine, open_jobs(service, machine))
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
    """Find the request of a directory where just the same is asked for again; None where it holds none.

    Args:
        circuits, machine, options, seed, reused: as `qcluster.device.prepare.prepare` takes them.
        directory: where it may be kept.

    Raises:
        StorageError: the directory holds a request for something else, which the message tells apart, or is damaged.
    """
    if directory is None or not (folder := RunFolder(Path(directory))).has_request():
        return None
    request = folder.request
    if not isinstance(seed, np.random.Generator):
        given = None if seed is None else int(seed)
        if request.asked == what_is_asked(circuits, machine.name, options, given, reused):
            return request
    asked = {"backend": machine.name, **vars(options)}
    there = {"backend": request.backend, **request.options}
    other = [f"{name} {there.get(name)!r:.40}" for name, value in asked.items() if there.get(name) != value]
    raise StorageError(
        f"{directory} holds another request already, with {', '.join(other) or 'other circuits or another seed'}: ask "
        "for the same to go on with it, collect it, or choose another directory"
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
        failed = [part.number for part in _bring_in(folder, service) if part.status in FAILED] if resubmit else []
        refusal = None
        try:
            _advance(folder, None, service, failed)
        except JobError as error:  # of a job that is not taken now; those that were are brought in all the same
            refusal = error
        parts = _bring_in(folder, service)
        while wait and any(part.status not in {"DONE", "UNKNOWN", "NOT SUBMITTED", *FAILED} for part in parts):
            time.sleep(poll)
            parts = _bring_in(folder, service)
    if refusal is not None:
        raise refusal
    _complain(folder, parts)
    return read(directory)


def status(directory: str | Path, *, service: Any = None) -> list[Part]:
    """Tell the state of each job of a directory; changes nothing there.

    Args:
        directory: what `submit` returned.
        service: as in `collect`.

    Raises:
        StorageError: there is no request in the directory, or it is damaged.
        AccountError: there is no account, or the service refuses it.
    """
    return list(_look(RunFolder(Path(directory)), open_jobs(service)))


def read(directory: str | Path) -> list[Run]:
    """Read the runs of a directory whose results are all there; asks no service and changes nothing.

    Args:
        directory: what `submit` returned.

    Returns:
        One `Run` per circuit, in the order of the request.

    Raises:
        JobError: results are still to be collected.
        StorageError: there is no request in the directory, or it or a result is not what was stored.
    """
    folder = RunFolder(Path(directory))
    request = folder.request
    parts = _parts(request)
    missing = [part for part in range(len(parts)) if not folder.result_path(part).exists()]
    if missing:
        raise JobError(
            f"{len(missing)} of {len(parts)} results are not in {folder.path} yet: qcluster jobs collect {folder.path}"
        )
    ids = {part: str(known.get("job_id", "")) for part, known in _last(folder).items()}
    counts: list[list[Distribution]] = [[] for _ in request.prepared]
    job_ids: list[list[str]] = [[] for _ in request.prepared]
    calibrations: list[Calibration | None] = [None for _ in request.prepared]
    for part, places in enumerate(parts):
        calibration = folder.read_calibration(part)
        result, job_id = _read_part(folder, part, places), ids.get(part, "")
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
    ours = next((tag for tag in service.tags(job_id) if _OWN_TAG.fullmatch(tag)), None)
    if ours is not None and not as_read:
        raise JobError(
            f"job {job_id} is a part of the run {ours.split('.')[0]}, and which bits its twirls flipped is known to "
            "the directory of that run alone: qcluster jobs collect DIRECTORY. Where that is lost, as_read=True "
            "(--as-read) gives the bits as they were read"
        )
    return service.result(job_id)


def job_ids(directory: str | Path) -> tuple[str, ...]:
    """Give the ids at the service of the last job of each part that was sent, in the order of the parts.

    Raises:
        StorageError: there is no request in the directory, or it is damaged.
    """
    folder = RunFolder(Path(directory))
    _ = folder.request
    return tuple(str(known["job_id"]) for _, known in sorted(_last(folder).items()) if "job_id" in known)


def cancel(directory: str | Path, *, service: Any = None) -> list[str]:
    """Cancel the jobs of a directory that are not done. Results that came in, or are done at the service, stay.

    Args:
        directory: what `submit` returned.
        service: as in `collect`.

    Returns:
        Ids of the jobs that were cancelled. `collect` reports them, and sends them again when asked to.

    Raises:
        JobError: the service does not answer, or does not cancel a job; the message says which.
        AccountError, StorageError: as `status`.
    """
    service = open_jobs(service)
    running = [part for part in _look(RunFolder(Path(directory)), service) if part.status not in {"DONE", *FAILED}]
    ids = [part.job_id for part in running if part.job_id]
    for job_id in ids:
        service.cancel(job_id)
    return ids


def usage(directory: str | Path, *, service: Any = None) -> dict[str, float]:
    """Tell what the jobs of a directory were charged with, as the service counts it.

    Args:
        directory: what `submit` returned.
        service: as in `collect`.

    Returns:
        Seconds of the machine by job id; 0 of a job that is not done. `estimate_usage` says what was to be expected.

    Raises:
        JobError, AccountError, StorageError: as `status`.
    """
    service = open_jobs(service)
    return {job_id: service.usage(job_id) for job_id in job_ids(directory)}


def open_jobs(service: Any = None, machine: Machine | None = None) -> Service:
    """Find the service that jobs go to and come from.

    Args:
        service: a `QiskitRuntimeService`, or a `Service`, which is given back as it is.
        machine: that jobs are sent to: its account is used where no service is given.
    """
    if service is None:
        if machine is None or machine.kind != "hardware":
            return RuntimeService()
        return RuntimeService(machine.backend, session=machine.session)
    given: Service = RuntimeService(service=service) if hasattr(service, "active_account") else service
    return given


def _parts(request: Request) -> list[list[tuple[int, int]]]:
    """Divide a request over jobs: lists of (circuit, twirl), at most max_circuits in each; a simulation is one."""
    places = [(i, k) for i, prepared in enumerate(request.prepared) for k in range(len(prepared.shots))]
    size = request.options["max_circuits"] if request.kind == "hardware" else max(1, len(places))
    return [places[start : start + size] for start in range(0, len(places), size)]


_OWN_TAG = re.compile(r"qcluster-\d{8}-\d{6}-[0-9a-f]{8}\.\d+\.\d+")
"""What `_tag` makes."""


def _tag(request: Request, part: int, attempt: int) -> str:
    return f"{request.id}.{part}.{attempt}"


def _last(folder: RunFolder) -> dict[int, dict[str, Any]]:
    """The last attempt at each part, as its events tell: attempt, and job_id, reason, status where known."""
    last: dict[int, dict[str, Any]] = {}
    for event in folder.events():
        part = event.get("part", -1)
        if event["event"] == "submitting":
            last[part] = {"attempt": event["attempt"]}
        elif event["event"] == "submitted":
            last.setdefault(part, {"attempt": 1})["job_id"] = event["job_id"]
        elif event["event"] == "failed":
            last.setdefault(part, {"attempt": 1}).update(status=event["status"], reason=event["reason"])
    return last


def _advance(folder: RunFolder, machine: Machine | None, service: Service, again: Sequence[int] = ()) -> None:
    """Submit every part that has no job yet, and once more those whose numbers are given."""
    request = folder.request
    folder.seal()
    last = _last(folder)
    try:
        for part, places in enumerate(_parts(request)):
            if folder.result_path(part).exists():
                continue
            before = last.get(part)
            if before is not None and "job_id" in before and part not in again:
                continue
            if request.kind != "hardware":
                _simulate(folder, part, machine)
                continue
            attempt = 1 if before is None else before["attempt"]
            job_id = None
            if before is not None and "job_id" in before:
                attempt += 1
            elif before is not None:
                job_id = service.find(_tag(request, part, attempt))
            if before is None or before["attempt"] != attempt:
                folder.append("submitting", part=part, attempt=attempt)
            if job_id is None:
                circuits = [request.prepared[i].circuits[k] for i, k in places]
                shots = request.prepared[places[0][0]].shots[places[0][1]]
                job_id = service.submit(request, circuits, shots, _tag(request, part, attempt))
            folder.append("submitted", part=part, attempt=attempt, job_id=job_id)
    finally:
        if isinstance(service, RuntimeService):
            service.close()


def _simulate(folder: RunFolder, part: int, machine: Machine | None) -> None:
    request = folder.request
    if machine is None and any(prepared.method in {"aer", "backend"} for prepared in request.prepared):
        raise JobError(
            f"the simulation in {folder.path} did not finish, and its simulator is gone: execute the circuits again "
            f"with seed={request.seed}"
        )
    folder.append("submitting", part=part, attempt=1)
    counts = simulate_request(request, machine)
    result = as_result([read for twirls in counts for read in twirls])
    folder.write_result(part, encode_result(result, request, part))
    folder.note_done(part, attempt=1)


def _look(folder: RunFolder, service: Service) -> Iterator[Part]:
    last = _last(folder)
    for number, places in enumerate(_parts(folder.request)):
        known = last.get(number, {})
        facts = {"job_id": known.get("job_id", ""), "attempt": known.get("attempt", 0)}
        if folder.result_path(number).exists():
            yield Part(number, len(places), "DONE", **facts)
        elif "status" in known:
            yield Part(number, len(places), known["status"], reason=known["reason"], **facts)
        elif "job_id" not in known:
            yield Part(number, len(places), "NOT SUBMITTED", **facts)
        else:
            try:
                state = service.state(known["job_id"])
            except JobError as error:
                state = JobState(_silent(error), str(error))
            yield Part(number, len(places), state.status, reason=state.reason, **facts)


def _silent(error: JobError) -> str:
    """Name the state of a job of which the service says nothing."""
    return "LOST" if isinstance(error, LostJobError) else "UNKNOWN"


def _bring_in(folder: RunFolder, service: Service) -> list[Part]:
    """Look at all parts, keep results that have come and note failures."""
    known = _last(folder)
    parts = []
    for part in _look(folder, service):
        if part.status == "DONE":
            part = _keep(folder, service, part)
        if part.status in {"ERROR", "CANCELLED", "REFUSED"} and "status" not in known.get(part.number, {}):
            folder.append(
                "failed",
                part=part.number,
                attempt=part.attempt,
                job_id=part.job_id,
                status=part.status,
                reason=part.reason,
            )
        parts.append(part)
    return parts


def _keep(folder: RunFolder, service: Service, part: Part) -> Part:
    """Bring the result of a part into the folder, unless it is there; give the part, with why that failed."""
    facts = {"attempt": part.attempt} | ({"job_id": part.job_id} if part.job_id else {})
    places = _parts(folder.request)[part.number]
    if folder.result_path(part.number).exists():
        if not folder.has_hash(part.number):
            _read_part(folder, part.number, places)
            folder.note_done(part.number, **facts)
        return part
    try:
        result = service.result(part.job_id)
    except JobError as error:
        return replace(part, status=_silent(error), reason=str(error))
    text = encode_result(result, folder.request, part.number)
    wrong = find_mismatch(result, folder.request, places)
    if wrong:
        path = folder.write_refused(part.number, part.attempt, text)
        return replace(part, status="REFUSED", reason=f"{wrong} (what came is kept in {path})")
    folder.write_result(part.number, text)
    folder.note_done(part.number, **facts)
    calibration = service.calibration(part.job_id)
    if calibration is not None:
        folder.write_calibration(part.number, calibration)
    return part


_ENDS = {"LOST": "is lost", "REFUSED": "gave a result that is not of these circuits"}


def _complain(folder: RunFolder, parts: Sequence[Part]) -> None:
    lost = [part for part in parts if part.status in FAILED]
    if lost:
        first = lost[0]
        why = f": {first.reason}" if first.reason else ""
        raise JobError(
            f"{len(lost)} of {len(parts)} jobs in {folder.path} did not succeed; job {first.job_id} "
            f"{_ENDS.get(first.status, f'ended as {first.status}')}{why}. Results that came are kept. To send only "
            f"these again: qcluster jobs collect {folder.path} --resubmit"
        )
    silent = [part for part in parts if part.status == "UNKNOWN"]
    if silent:
        raise JobError(
            f"{len(silent)} of {len(parts)} jobs in {folder.path} could not be looked at: {silent[0].reason}"
        )
    open_ = [part for part in parts if part.status != "DONE"]
    if open_:
        raise JobError(
            f"{len(open_)} of {len(parts)} jobs in {folder.path} are not done (job {open_[0].job_id} is "
            f"{open_[0].status}): collect again later, or wait with --wait"
        )


def _read_part(folder: RunFolder, part: int, places: Places) -> Any:
    """Read the result of a part; StorageError where it is not the one that was stored, or not of these circuits."""
    path, text = folder.result_path(part), folder.read_result(part)
    result = decode_saved(text, str(path))
    wrong = find_mismatch(result, folder.request, places)
    if wrong:
        raise StorageError(f"{path} {wrong}")
    mark = marked(result)
    if mark and (mark.get("request"), mark.get("part")) != (folder.request.id, part):
        raise StorageError(f"{path} must be part {part} of {folder.request.id}; it is another one")
    folder.verify_result(part, text)
    return result
