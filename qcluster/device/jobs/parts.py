"""The parts of a request, one job each: their states, sending them, and fetching their results.

Every step is written to the folder before or immediately after it is taken, so that another process can continue from
any of them; see `qcluster.device.jobs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qcluster.device.jobs.folder import RunFolder
from qcluster.device.jobs.results import Places, encode_result, find_mismatch, mark_of
from qcluster.device.jobs.runtime import JobState, LostJobError, RuntimeService, Service, UnreadableResultError
from qcluster.device.local import simulate_request
from qcluster.device.noise.simulate import as_result
from qcluster.device.request import divide
from qcluster.errors import JobError, StorageError
from qcluster.files import decode_saved, quote_for_shell

if TYPE_CHECKING:
    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.machines.machine import Machine
    from qcluster.device.request import Request

FAILED = frozenset({"ERROR", "CANCELLED", "LOST", "REFUSED", "UNREADABLE"})
"""States of jobs that give no result."""


@dataclass(frozen=True)
class Part:
    """The state of one part of a request, which is one job at the service."""

    number: int
    """Index of the part, from 0."""
    circuits: int
    """Number of circuits it runs, twirled copies counted."""
    status: str
    """"NOT SUBMITTED", "DONE", or the service's state; "LOST" if the service no longer has the job or its result,
    "REFUSED" if the result does not belong to these circuits, "UNREADABLE" if it cannot be decoded, "UNKNOWN" if the
    service does not answer."""
    job_id: str = ""
    """Id of its last job."""
    attempt: int = 0
    """Number of times it was submitted."""
    reason: str = ""
    """Why it failed."""


OWN_TAG = re.compile(r"qcluster-\d{8}-\d{6}-[0-9a-f]{8}\.\d+\.\d+")
"""Pattern of the tags that `_tag` makes."""


def _tag(request: Request, part: int, attempt: int) -> str:
    """Unique tag of a job at the service."""
    return f"{request.id}.{part}.{attempt}"


def find_announced(request: Request, part: Part, service: Service) -> str | None:
    """Find, by its tag, the job of a part that was announced but has no id in the log; None if no job was sent."""
    return service.find(_tag(request, part.number, part.attempt)) if part.attempt else None


def last_attempts(folder: RunFolder) -> dict[int, dict[str, Any]]:
    """The last attempt at each part, from the log: its number (attempt); job_id, status and reason if known; and
    unreadable if its result was found to be so."""
    last: dict[int, dict[str, Any]] = {}
    for event in folder.events():
        part = event.get("part", -1)
        if event["event"] == "submitting":
            last[part] = {"attempt": event["attempt"]}
        elif event["event"] == "submitted":
            last.setdefault(part, {"attempt": 1})["job_id"] = event["job_id"]
        elif event["event"] == "failed":
            first = {"attempt": event.get("attempt", 1)}
            last.setdefault(part, first).update(status=event["status"], reason=event["reason"])
        elif event["event"] == "unreadable":
            last.setdefault(part, {"attempt": 1})["unreadable"] = True
    return last


def withdraw(folder: RunFolder, parts: Sequence[Part]) -> None:
    """Log that parts which were never sent are cancelled, so that `advance` sends them only if asked to.

    Raises:
        StorageError: another process has sent one of them in the meantime.
    """
    last = last_attempts(folder)
    if any(last.get(part.number, {}) != ({"attempt": part.attempt} if part.attempt else {}) for part in parts):
        raise StorageError(f"another process has sent jobs of {folder.path} in the meantime: cancel again")
    for part in parts:
        facts = {"attempt": part.attempt, "status": "CANCELLED", "reason": "cancelled before it was sent"}
        folder.append("failed", part=part.number, **facts)


def advance(folder: RunFolder, machine: Machine | None, service: Service, again: Sequence[int] = ()) -> None:
    """Submit every part that has no job yet, and resubmit the parts listed in `again`."""
    request = folder.request
    folder.seal()
    last = last_attempts(folder)
    try:
        for part, places in enumerate(divide(request)):
            if folder.has_result(part):
                continue
            previous = last.get(part)
            settled = previous is not None and not previous.keys().isdisjoint(("job_id", "status"))
            if settled and part not in again:
                continue
            if request.kind != "hardware":
                _simulate(folder, part, machine)
                continue
            attempt = 1 if previous is None else previous["attempt"]
            job_id = None
            if settled:
                attempt += 1
            elif previous is not None:
                job_id = service.find(_tag(request, part, attempt))
            if previous is None or previous["attempt"] != attempt:
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
    """Simulate a request, which is a single part, and store its result."""
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


def part_states(folder: RunFolder, service: Service) -> Iterator[Part]:
    """Yield the state of each part, from the folder if recorded there, else from the service; changes nothing."""
    last = last_attempts(folder)
    for number, places in enumerate(divide(folder.request)):
        attempt = last.get(number, {})
        facts = {"job_id": attempt.get("job_id", ""), "attempt": attempt.get("attempt", 0)}
        if folder.has_result(number):
            yield Part(number, len(places), "DONE", **facts)
        elif "status" in attempt:
            yield Part(number, len(places), attempt["status"], reason=attempt["reason"], **facts)
        elif "job_id" not in attempt:
            yield Part(number, len(places), "NOT SUBMITTED", **facts)
        else:
            try:
                state = service.state(attempt["job_id"])
            except JobError as error:
                state = JobState(_status_of(error), str(error))
            yield Part(number, len(places), state.status, reason=state.reason, **facts)


def _status_of(error: JobError) -> str:
    """Status of a part whose job or result the service did not return."""
    return "LOST" if isinstance(error, LostJobError) else "UNKNOWN"


def fetch_results(folder: RunFolder, service: Service) -> list[Part]:
    """Look at all parts, store results that have arrived, and log failures."""
    last = last_attempts(folder)
    parts = []
    for part in part_states(folder, service):
        if part.status == "DONE":
            part = _store_result(folder, service, part)
        facts, noted = {"attempt": part.attempt, "job_id": part.job_id}, last.get(part.number, {})
        if part.status in {"ERROR", "CANCELLED", "REFUSED"} and "status" not in noted:
            folder.append("failed", part=part.number, **facts, status=part.status, reason=part.reason)
        elif part.status == "UNREADABLE" and "unreadable" not in noted:  # a later client may decode it: no failure yet
            folder.append("unreadable", part=part.number, **facts)
        parts.append(part)
    return parts


def fetch_failed(folder: RunFolder, service: Service) -> list[int]:
    """Look at all parts as `fetch_results` does, and return the numbers of those to send again.

    These are the parts that failed. A result that cannot be decoded counts only if an earlier call has reported it,
    since its shots are paid for, and may be read by a later version of the client.
    """
    before = last_attempts(folder)
    failed = [part for part in fetch_results(folder, service) if part.status in FAILED]
    return [part.number for part in failed if part.status != "UNREADABLE" or "unreadable" in before[part.number]]


def _store_result(folder: RunFolder, service: Service, part: Part) -> Part:
    """Fetch the result of a part into the folder, unless it is there; return the part, with the reason if it fails."""
    facts = {"attempt": part.attempt} | ({"job_id": part.job_id} if part.job_id else {})
    places = divide(folder.request)[part.number]
    if not folder.has_result(part.number):
        try:
            result = service.result(part.job_id)
        except UnreadableResultError as error:
            path = folder.write_refused(part.number, part.attempt, error.answer)
            return replace(part, status="UNREADABLE", reason=f"{error.reason} (the answer is kept in {path})")
        except JobError as error:
            return replace(part, status=_status_of(error), reason=str(error))
        text = encode_result(result, folder.request, part.number)
        mismatch = find_mismatch(result, folder.request, places)
        if mismatch:
            path = folder.write_refused(part.number, part.attempt, text)
            return replace(part, status="REFUSED", reason=f"{mismatch} (the result is kept in {path})")
        folder.write_result(part.number, text)
    elif folder.has_hash(part.number):
        return part
    else:  # another process was killed before it had logged the result
        read_part(folder, part.number, places)
    calibration = service.calibration(part.job_id) if part.job_id else None
    if calibration is not None and _has_gates_of(calibration, folder.request.calibration):
        folder.write_calibration(part.number, calibration)
    folder.note_done(part.number, **facts)
    return part


def _has_gates_of(later: Calibration, earlier: Calibration) -> bool:
    """True if a machine still publishes all qubits and gates that it had when the circuits were compiled for it."""
    before, now = ({*calibration.gates_1q, *calibration.gates_2q} for calibration in (earlier, later))
    return later.n_qubits == earlier.n_qubits and before <= now


_ENDS = {
    "LOST": "is lost",
    "REFUSED": "gave a result that does not belong to these circuits",
    "UNREADABLE": "gave a result that cannot be decoded",
}


def raise_unless_done(folder: RunFolder, parts: Sequence[Part]) -> None:
    """Raise JobError unless all parts are done; the message says which are not, why, and what to do."""
    failed = [part for part in parts if part.status in FAILED]
    if failed:
        first = min(failed, key=lambda part: part.status != "UNREADABLE")  # no shots need be taken again
        why = f": {first.reason.rstrip('.')}" if first.reason else ""
        if first.status == "LOST" and folder.request.instance:
            why += f". It was sent through {folder.request.instance}: an account without this instance cannot see it"
        raise JobError(
            f"{len(failed)} of {len(parts)} jobs in {folder.path} did not succeed; {_name_of(first)} "
            f"{_ENDS.get(first.status, f'ended as {first.status}')}{why}. Results that arrived are kept. To send only "
            f"these again: resubmit=True, or qcluster jobs collect {quote_for_shell(folder.path)} --resubmit; to read "
            "the others without them: partial=True, or --partial of mitigate and rates"
        )
    unknown = [part for part in parts if part.status == "UNKNOWN"]
    if unknown:
        raise JobError(
            f"{len(unknown)} of {len(parts)} jobs in {folder.path} could not be looked at: {unknown[0].reason}"
        )
    unfinished = [part for part in parts if part.status != "DONE"]
    if unfinished:
        raise JobError(
            f"{len(unfinished)} of {len(parts)} jobs in {folder.path} are not done ({_name_of(unfinished[0])} is "
            f"{unfinished[0].status}): collect again later, or wait with wait=True (--wait)"
        )


def _name_of(part: Part) -> str:
    """Name of a part in messages: its job, if it has one."""
    return f"job {part.job_id}" if part.job_id else f"part {part.number}"


def read_part(folder: RunFolder, part: int, places: Places) -> Any:
    """Read the result of a part; StorageError if it was changed since it was stored, or is not of these circuits."""
    path, text = folder.result_path(part), folder.read_result(part)
    result = decode_saved(text, str(path))
    mismatch = find_mismatch(result, folder.request, places)
    if mismatch:
        raise StorageError(f"{path} {mismatch}")
    mark = mark_of(result)
    if mark and (mark.get("request"), mark.get("part")) != (folder.request.id, part):
        raise StorageError(f"{path} must be part {part} of {folder.request.id}; it is another one")
    folder.verify_result(part, text)
    return result
