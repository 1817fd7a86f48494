"""Saved jobs: submit, look, collect, in any process, after any crash.

The rule is to write first and act then. A request is on disk before anything is sent; each job is announced in the log,
carries a tag of its own at the service, and is logged the moment it has an id. A process that finds an announced job
without an id asks the service for the tag before it sends anything again.

Example:
    >>> import tempfile
    >>> from qiskit import QuantumCircuit
    >>> from qcluster.device.machine import find_machine
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

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcluster.core.distribution import Distribution
from qcluster.device.execute import simulate_request
from qcluster.device.folder import RunFolder
from qcluster.device.run import Run, read_runs
from qcluster.device.runtime import RuntimeService, Service
from qcluster.device.simulate import as_result
from qcluster.errors import JobError, StorageError
from qcluster.files import read_saved

if TYPE_CHECKING:
    from qcluster.device.machine import Machine
    from qcluster.device.request import Request


@dataclass(frozen=True)
class Part:
    """Hold the state of one job of a request."""

    number: int
    """Which part, from 0."""
    circuits: int
    """How many circuits it runs, twirls counted."""
    status: str
    """"NOT SUBMITTED", "DONE", or what the service says."""
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
    service: Service | None = None,
) -> Path:
    """Write a request down and send its jobs; a request for a local machine is simulated on the spot.

    Args:
        request: from `qcluster.device.prepare.prepare`.
        machine: where it runs; found by name where it is not given.
        directory: where it is kept; by default ./qcluster-jobs/ and the request's id.
        service: in place of the runtime service, for tests.

    Returns:
        The directory. If this fails or is killed, `collect` on the directory goes on where it stopped.

    Raises:
        StorageError: the directory holds another request or cannot be written.
        AccountError, JobError: the service refuses; what was submitted before is safe in the directory.
    """
    folder = RunFolder(Path(directory) if directory is not None else Path("qcluster-jobs") / request.id)
    with folder.lock():
        folder.write_request(request)
        _advance(folder, machine, service or _service(request, machine), resubmit=False)
    return folder.path


def collect(
    directory: str | Path,
    *,
    wait: bool = False,
    resubmit: bool = False,
    service: Service | None = None,
    poll: float = 5.0,
) -> list[Run]:
    """Bring in the results of a directory, from any process; submit what a killed process had left unsubmitted.

    Args:
        directory: what `submit` returned.
        wait: whether to wait for jobs that are not done.
        resubmit: whether to send jobs that failed or were cancelled once more; the others stay.
        service: in place of the runtime service, for tests.
        poll: seconds between looks while waiting.

    Returns:
        One `Run` per circuit, in the order of the request.

    Raises:
        JobError: jobs are not done, failed or were cancelled; the message says which, why, and what to do. Results that
            came in are kept.
        StorageError: there is no request in the directory, or another process is at work there.
    """
    folder = RunFolder(Path(directory))
    request = folder.request
    with folder.lock():
        service = service or _service(request, None)
        _advance(folder, None, service, resubmit=resubmit)
        parts = _bring_in(folder, service)
        while wait and any(part.status not in {"DONE", "ERROR", "CANCELLED"} for part in parts):
            time.sleep(poll)
            parts = _bring_in(folder, service)
    _complain(folder, parts)
    return _read(folder)


def status(directory: str | Path, *, service: Service | None = None) -> list[Part]:
    """Tell the state of each job of a directory; changes nothing there.

    Raises:
        StorageError: there is no request in the directory, or it is damaged.
        AccountError, JobError: the service refuses, or does not know a job.
    """
    folder = RunFolder(Path(directory))
    service = service or _service(folder.request, None)
    return list(_look(folder, service))


def fetch(job_id: str, *, service: Service | None = None) -> Any:
    """Fetch the result of any Sampler job by its id alone.

    Args:
        job_id: as the runtime tells it.
        service: in place of the runtime service, for tests.

    Returns:
        The `PrimitiveResult`. Flips of twirled measurements are known to the run directory only, so they are not undone
        here: use `collect` where there is one.

    Raises:
        AccountError, JobError: there is no account or no such job, or it is not done; the message says what to do.
    """
    service = service or RuntimeService()
    state = service.state(job_id)
    if not state.final:
        raise JobError(f"job {job_id} is {state.status}: try again when it is done")
    if state.status != "DONE":
        raise JobError(f"job {job_id} ended as {state.status}{': ' + state.reason if state.reason else ''}")
    return service.result(job_id)


def _service(request: Request, machine: Machine | None) -> Service:
    return RuntimeService(machine.backend if machine is not None and machine.kind == "hardware" else None)


def _parts(request: Request) -> list[list[tuple[int, int]]]:
    """Divide a request over jobs: lists of (circuit, twirl), at most max_circuits in each; a simulation is one."""
    places = [(i, k) for i, prepared in enumerate(request.prepared) for k in range(len(prepared.shots))]
    size = request.options["max_circuits"] if request.kind == "hardware" else max(1, len(places))
    return [places[start : start + size] for start in range(0, len(places), size)]


def _tag(request: Request, part: int, attempt: int) -> str:
    return f"{request.id}.{part}.{attempt}"


def _last(folder: RunFolder) -> dict[int, dict[str, Any]]:
    """The last attempt at each part, as its events tell: attempt, and job_id, reason, status where known."""
    last: dict[int, dict[str, Any]] = {}
    for event in folder.events():
        part = event["part"]
        if event["event"] == "submitting":
            last[part] = {"attempt": event["attempt"]}
        elif event["event"] == "submitted":
            last.setdefault(part, {"attempt": 1})["job_id"] = event["job_id"]
        elif event["event"] == "failed":
            last.setdefault(part, {"attempt": 1}).update(status=event["status"], reason=event["reason"])
    return last


def _advance(folder: RunFolder, machine: Machine | None, service: Service, *, resubmit: bool) -> None:
    """Submit every part that has no job yet and, if asked, those whose job failed."""
    request = folder.request
    last = _last(folder)
    try:
        for part, places in enumerate(_parts(request)):
            if folder.result_path(part).exists():
                continue
            before = last.get(part)
            if before is not None and "job_id" in before and not (resubmit and "status" in before):
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
    if machine is None and any(prepared.method == "aer" for prepared in request.prepared):
        raise JobError(
            f"the simulation in {folder.path} did not finish, and its simulator is gone: execute the circuits again "
            f"with seed={request.seed}"
        )
    folder.append("submitting", part=part, attempt=1)
    counts = simulate_request(request, machine)
    folder.write_result(part, _encode(as_result([read for twirls in counts for read in twirls])))
    folder.append("done", part=part, attempt=1)


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
            state = service.state(known["job_id"])
            yield Part(number, len(places), state.status, reason=state.reason, **facts)


def _bring_in(folder: RunFolder, service: Service) -> list[Part]:
    """Look at all parts, keep results that have come and note failures."""
    failed = {number for number, known in _last(folder).items() if "status" in known}
    parts = list(_look(folder, service))
    for part in parts:
        if part.status == "DONE" and not folder.result_path(part.number).exists():
            folder.write_result(part.number, _encode(service.result(part.job_id)))
            folder.append("done", part=part.number, attempt=part.attempt, job_id=part.job_id)
        elif part.status in {"ERROR", "CANCELLED"} and part.number not in failed:
            folder.append(
                "failed",
                part=part.number,
                attempt=part.attempt,
                job_id=part.job_id,
                status=part.status,
                reason=part.reason,
            )
    return parts


def _complain(folder: RunFolder, parts: Sequence[Part]) -> None:
    lost = [part for part in parts if part.status in {"ERROR", "CANCELLED"}]
    if lost:
        first = lost[0]
        why = f": {first.reason}" if first.reason else ""
        raise JobError(
            f"{len(lost)} of {len(parts)} jobs in {folder.path} did not succeed; job {first.job_id} ended as "
            f"{first.status}{why}. To send only these again: qcluster jobs collect {folder.path} --resubmit"
        )
    open_ = [part for part in parts if part.status != "DONE"]
    if open_:
        raise JobError(
            f"{len(open_)} of {len(parts)} jobs in {folder.path} are not done (job {open_[0].job_id} is "
            f"{open_[0].status}): collect again later, or wait with --wait"
        )


def _encode(result: Any) -> str:
    from qiskit_ibm_runtime import RuntimeEncoder

    return json.dumps(result, cls=RuntimeEncoder)


def _read(folder: RunFolder) -> list[Run]:
    request = folder.request
    ids = {part: str(known.get("job_id", "")) for part, known in _last(folder).items()}
    counts: list[list[Distribution]] = [[] for _ in request.prepared]
    job_ids: list[list[str]] = [[] for _ in request.prepared]
    for part, places in enumerate(_parts(request)):
        result, job_id = read_saved(str(folder.result_path(part))), ids.get(part, "")
        if not hasattr(result, "metadata") or len(result) != len(places):
            raise StorageError(
                f"{folder.result_path(part)} must hold the results of {len(places)} circuits of job {job_id!r}"
            )
        for (i, _), pub in zip(places, result, strict=True):
            counts[i].append(Distribution.of(pub))
            if job_id and job_id not in job_ids[i]:
                job_ids[i].append(job_id)
    return read_runs(request, counts, job_ids)
