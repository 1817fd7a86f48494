"""The parts of a request, one job each: what is known of them, sending them, and bringing in what came.

Every step is written to the folder before or the moment after it is taken, so that another process can go on from any
of them; see `qcluster.device.jobs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qcluster.device.jobs.folder import RunFolder
from qcluster.device.jobs.results import Places, encode_result, find_mismatch, marked
from qcluster.device.jobs.runtime import JobState, LostJobError, RuntimeService, Service
from qcluster.device.local import simulate_request
from qcluster.device.noise.simulate import as_result
from qcluster.device.request import divide
from qcluster.errors import JobError, StorageError
from qcluster.files import decode_saved, typed

if TYPE_CHECKING:
    from qcluster.device.machines.machine import Machine
    from qcluster.device.request import Request

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


OWN_TAG = re.compile(r"qcluster-\d{8}-\d{6}-[0-9a-f]{8}\.\d+\.\d+")
"""What `_tag` makes."""


def _tag(request: Request, part: int, attempt: int) -> str:
    return f"{request.id}.{part}.{attempt}"


def find_announced(request: Request, part: Part, service: Service) -> str | None:
    """Find the job of a part that was announced and has no id here; None where none was sent, or it has ended."""
    if request.kind != "hardware" or not part.attempt:
        return None
    job_id = service.find(_tag(request, part.number, part.attempt))
    return None if job_id is None or service.state(job_id).final else job_id


def last_attempts(folder: RunFolder) -> dict[int, dict[str, Any]]:
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


def advance(folder: RunFolder, machine: Machine | None, service: Service, again: Sequence[int] = ()) -> None:
    """Submit every part that has no job yet, and once more those whose numbers are given."""
    request = folder.request
    folder.seal()
    last = last_attempts(folder)
    try:
        for part, places in enumerate(divide(request)):
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


def look(folder: RunFolder, service: Service) -> Iterator[Part]:
    """Tell the state of each part: of the folder where it knows, else of the service; changes nothing."""
    last = last_attempts(folder)
    for number, places in enumerate(divide(folder.request)):
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


def bring_in(folder: RunFolder, service: Service) -> list[Part]:
    """Look at all parts, keep results that have come and note failures."""
    known = last_attempts(folder)
    parts = []
    for part in look(folder, service):
        if part.status == "DONE":
            part = _keep(folder, service, part)
        if part.status in {"ERROR", "CANCELLED", "REFUSED"} and "status" not in known.get(part.number, {}):
            facts = {"attempt": part.attempt, "job_id": part.job_id, "status": part.status, "reason": part.reason}
            folder.append("failed", part=part.number, **facts)
        parts.append(part)
    return parts


def _keep(folder: RunFolder, service: Service, part: Part) -> Part:
    """Bring the result of a part into the folder, unless it is there; give the part, with why that failed."""
    facts = {"attempt": part.attempt} | ({"job_id": part.job_id} if part.job_id else {})
    places = divide(folder.request)[part.number]
    if folder.result_path(part.number).exists():
        if not folder.has_hash(part.number):
            read_part(folder, part.number, places)
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


def complain(folder: RunFolder, parts: Sequence[Part]) -> None:
    lost = [part for part in parts if part.status in FAILED]
    if lost:
        first = lost[0]
        why = f": {first.reason}" if first.reason else ""
        raise JobError(
            f"{len(lost)} of {len(parts)} jobs in {folder.path} did not succeed; job {first.job_id} "
            f"{_ENDS.get(first.status, f'ended as {first.status}')}{why}. Results that came are kept. To send only "
            f"these again: qcluster jobs collect {typed(folder.path)} --resubmit"
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


def read_part(folder: RunFolder, part: int, places: Places) -> Any:
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
