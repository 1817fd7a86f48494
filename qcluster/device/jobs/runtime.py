"""The service that runs jobs: the interface that saved jobs need (`Service`), and the IBM runtime behind it."""

from __future__ import annotations

import datetime
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from qcluster.device.machines.account import open_backend, open_service
from qcluster.device.machines.calibration import Calibration, read_calibration
from qcluster.device.runtime_options import sampler_options
from qcluster.errors import JobError, QClusterError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.request import Request


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobState:
    """The state of a job, as the service reports it."""

    status: str
    """"QUEUED", "RUNNING", "DONE", "ERROR", "CANCELLED", ... as the service names it."""
    reason: str = ""
    """Why it failed, in the service's words."""

    @property
    def final(self) -> bool:
        """True when nothing more will happen."""
        return self.status in {"DONE", "ERROR", "CANCELLED"}


class LostJobError(JobError):
    """The service no longer has a job, or its result."""


class UnreadableResultError(JobError):
    """The answer of the service has arrived, but its client cannot decode the result in it."""

    def __init__(self, job_id: str, reason: str, answer: str) -> None:
        super().__init__(job_id, reason, answer)
        self.reason = reason
        self.answer = answer

    def __str__(self) -> str:
        return f"job {self.args[0]} gave a result that cannot be decoded: {self.reason}"


class Service(Protocol):
    """The interface that saved jobs need from a service: `RuntimeService`, or a recorded service in tests."""

    def submit(self, request: Request, circuits: Sequence[QuantumCircuit], shots: int, tag: str) -> str:
        """Send circuits as one job with a tag; returns the id of the job."""

    def find(self, tag: str) -> str | None:
        """Find the job with a tag; None if there is none."""

    def state(self, job_id: str) -> JobState:
        """Return the state of a job; `LostJobError` if there is no such job."""

    def result(self, job_id: str) -> Any:
        """Fetch the `PrimitiveResult` of a job that is done.

        Raises:
            LostJobError: it is no longer kept.
            UnreadableResultError: it has arrived, but cannot be decoded.
        """

    def calibration(self, job_id: str) -> Calibration | None:
        """Fetch the machine's calibration at the time a job began to run; None if the service does not provide it."""

    def cancel(self, job_id: str) -> None:
        """Cancel a job."""

    def tags(self, job_id: str) -> list[str]:
        """Return the tags of a job; `LostJobError` if there is no such job."""

    def usage(self, job_id: str) -> float:
        """Machine time charged for a job, in seconds; 0 while it is not known."""


_GONE = {404, 410}
"""HTTP status codes of things that no longer exist."""
_REFUSED = {401, 403}
"""HTTP status codes of things that the account may not use."""


class RuntimeService:
    """IBM Quantum as a `Service`, through the account of a backend or service, or else the saved account.

    The saved account is opened only when it is needed.

    Args:
        backend: the machine; if not given, it is opened by the name in the request.
        service: an open `QiskitRuntimeService`.
        session: an open Session or Batch to send jobs to; its owner closes it.
    """

    def __init__(self, backend: Any = None, service: Any = None, session: Any = None) -> None:
        self._backend = backend
        self._given_service = service
        self._session = session
        self._modes: dict[str, Any] = {}

    @cached_property
    def _service(self) -> Any:
        return self._given_service or getattr(self._backend, "service", None) or open_service()

    def submit(self, request: Request, circuits: Sequence[QuantumCircuit], shots: int, tag: str) -> str:
        backend = self._backend or self._open_again(request)
        with _as_job_errors(f"{request.backend} did not take the job", ""):
            job = sampler_job(self._mode(request, backend), request, circuits, shots, (request.id, tag))
            return str(job.job_id())

    def _open_again(self, request: Request) -> Any:
        """Open the machine of a request through the instance that it had, with fractional gates if it had them."""
        account = getattr(self._service, "active_account", lambda: None)() or {}
        instance = None if request.instance in ("", account.get("instance")) else request.instance
        gates = {*request.calibration.gates_1q, *request.calibration.gates_2q}
        fractional = not gates.isdisjoint(("rx", "rzz"))
        return open_backend(request.backend, self._service, instance=instance, fractional=fractional)

    def _mode(self, request: Request, backend: Any) -> Any:
        """Execution mode of the Sampler: the given session, the backend, or one batch or session per request."""
        if self._session is not None:
            return self._session
        from qiskit_ibm_runtime import Batch, Session

        kinds = {"batch": Batch, "session": Session}
        kind = kinds.get(request.options["mode"])
        if kind is None:
            return backend
        if request.id not in self._modes:
            self._modes[request.id] = kind(backend=backend)
        return self._modes[request.id]

    def close(self) -> None:
        """Close batches and sessions to new jobs. Jobs already sent still run; a session left open times out."""
        while self._modes:
            name, mode = self._modes.popitem()
            try:
                mode.close()
            except Exception as error:
                logger.warning("the batch or session of %s was not closed: %s", name, _message(error))

    def find(self, tag: str) -> str | None:
        with _as_job_errors("the service did not list its jobs"):
            jobs = self._service.jobs(job_tags=[tag], limit=1)
            jobs = jobs or next(filter(None, self._in_other_instances(job_tags=[tag])), None)
        return str(jobs[0].job_id()) if jobs else None

    def _in_other_instances(self, **which: Any) -> Iterator[Any]:
        """List a job in each other instance of the account; by itself, the service looks only in those that it used.

        Instances that the account may not use are left out: it cannot have sent a job there.
        """
        here = getattr(self._service, "active_instance", lambda: None)()
        for instance in getattr(self._service, "instances", list)():
            try:
                if instance["crn"] != here:
                    yield self._service.jobs(limit=1, instance=instance["crn"], **which)
            except Exception as error:
                if getattr(error, "status_code", None) not in _REFUSED:
                    raise

    def state(self, job_id: str) -> JobState:
        job = self._job(job_id)
        with _as_job_errors(f"the state of job {job_id} cannot be read"):
            try:
                status = job.status()
            except Exception:  # for a failed job it also reads the result, which may not exist
                status = job.status()  # known by now, unless the job itself could not be read
            status = str(getattr(status, "name", status)).split(" - ")[0]  # "CANCELLED - RAN TOO LONG"
            return JobState(status, _reason_of(job, status))

    def result(self, job_id: str) -> Any:
        job, arrival = self._job(job_id), _Arrival()
        decoders = getattr(job, "_result_decoders", None)
        with _as_job_errors(f"the result of job {job_id} cannot be fetched"):
            try:
                result = job.result() if decoders is None else job.result(decoder=[arrival, *decoders])
            except Exception as error:
                if getattr(error, "status_code", None) in _GONE:
                    raise LostJobError(f"the service no longer keeps the result of job {job_id}") from error
                if arrival.answer is not None:
                    reason = f"{_message(error)}: upgrade qiskit-ibm-runtime and fetch it again"
                    raise UnreadableResultError(job_id, reason, arrival.answer) from error
                raise
        if result is None:
            raise LostJobError(f"the service keeps no result of job {job_id}")
        return result

    def calibration(self, job_id: str) -> Calibration | None:
        try:
            job = self._job(job_id)
            began = ((job.metrics() or {}).get("timestamps") or {}).get("running")
            if not began:
                return None
            backend = job.backend()
            if getattr(self._backend, "name", None) == backend.name:
                backend = self._backend  # has its fractional gates, if it was opened with them
            return read_calibration(backend, datetime.datetime.fromisoformat(began))
        except Exception as error:
            logger.info("no calibration of the time of job %s: %s", job_id, _message(error))
            return None

    def cancel(self, job_id: str) -> None:
        """Cancel a job, unless it has ended in the meantime."""
        job = self._job(job_id)
        with _as_job_errors(f"job {job_id} was not cancelled", ""):
            try:
                job.cancel()
            except Exception:
                if not self.state(job_id).final:
                    raise

    def tags(self, job_id: str) -> list[str]:
        return [str(tag) for tag in self._job(job_id).tags or ()]

    def usage(self, job_id: str) -> float:
        job = self._job(job_id)
        with _as_job_errors(f"the usage of job {job_id} cannot be read"):
            return float(job.usage() or 0.0)

    def _job(self, job_id: str) -> Any:
        from qiskit_ibm_runtime.exceptions import RuntimeJobNotFound

        with _as_job_errors(f"job {job_id} cannot be reached"):
            try:
                return self._service.job(job_id)
            except RuntimeJobNotFound:
                for _ in self._in_other_instances():
                    pass
            try:
                return self._service.job(job_id)
            except RuntimeJobNotFound as error:
                raise LostJobError(
                    f"this account has no job {job_id!r}: check the id and the account; it may also have been deleted"
                ) from error


def sampler_job(
    mode: Any, request: Request, circuits: Sequence[QuantumCircuit], shots: int, tags: Sequence[str]
) -> Any:
    """Send circuits through the runtime's client-side Sampler.

    The Sampler twirls them only with twirling="server"; circuits twirled by this package are not twirled again.
    """
    from qiskit_ibm_runtime import Session
    from qiskit_ibm_runtime.executor_sampler import Sampler

    options = sampler_options(request.options, list(tags))
    sampler = Sampler(mode=mode, options=options)
    if sampler.mode is None:
        # Given a backend, the runtime opens the machine again by its name, through the account's default instance.
        # A session that is not created gives it the backend itself, and the job is one like any other.
        sampler = Sampler(mode=Session(sampler.backend(), create_new=False), options=options)
    return sampler.run([(circuit,) for circuit in circuits], shots=shots)


def _reason_of(job: Any, status: str) -> str:
    """Why a job failed or was cancelled, in the service's words, on one line; empty if it did not say."""
    message = getattr(job, "_reason", None) if status == "CANCELLED" else job.error_message()
    if not message and status == "ERROR":
        try:
            job.result()
        except Exception as error:  # the service's reason, where the job left no result
            message = getattr(error, "message", "") or error
    return " ".join(str(message or "").split())


_LATER = "try again later"


@contextmanager
def _as_job_errors(refusal: str, default_advice: str = _LATER) -> Iterator[None]:
    """Turn any error of the service's client into JobError, with what failed, the service's words and advice.

    The client's errors have no common base class: its decoders raise whatever an unexpected answer leads to.
    """
    try:
        yield
    except QClusterError:
        raise
    except Exception as error:
        raise JobError(f"{refusal}: {_message(error, default_advice)}") from error


class _Arrival:
    """A decoder of the runtime that changes nothing, and keeps the answer that it is given.

    The result of a private job can be read only once, so that an answer that cannot be decoded may be the only one.
    """

    answer: str | None = None

    def is_applicable(self, data: Any) -> bool:
        return True

    def decode(self, data: str) -> str:
        self.answer = data
        return data


_ADVICE = (
    (r"\b5\d\d\b.*(error|gateway|unavailable)|maintenance", _LATER),
    (
        r"(connection|network|max retries|timed? ?out|unreachable|resolve|proxy|no route)",
        "check the network, then try again",
    ),
    (
        r"\b413\b|too large|(circuits|pubs|payload|size)\b.*\b(limit|exceed|maximum|too many)",
        "send fewer circuits in each job, by a smaller max_circuits",
    ),
    (
        r"\b(usage|time|seconds|minutes)\b.*\b(limit|left|reached|exhausted|exceed|out)|\bremaining\b",
        "see what is left of the plan's time, by QiskitRuntimeService().usage()",
    ),
    (
        r"\b(429|rate.?limit|too many|quota|limit|exceed|maximum)",
        "wait until running jobs are done, or see the limits of the plan",
    ),
    (r"\bsession\b.*\b(closed|ended|expired)", "open a new Session or Batch"),
    (r"\b(401|unauthori[sz]ed|invalid.*(token|key|credentials))", "check the API key of the account"),
    (r"\b(403|forbidden|not authori[sz]ed|not entitled)", "check that the plan of the instance allows this"),
)
"""Advice for the user, by patterns of the service's messages; the first pattern that matches counts."""


_QUOTED = re.compile(r"""(['"])(.*)\1""", re.DOTALL)
"""Text that is quoted as a whole, as the client's errors are."""
_CREDENTIALS = re.compile(r"(?i)(?<=bearer )[^\s'\"]+|(?<=apikey )[^\s'\"]+|(?<=://)[^\s/@]+(?=@)")
"""Credentials that requests quotes from a header that it refuses, or from the address of a proxy."""


def _message(error: Exception, default_advice: str = "") -> str:
    """First line of an error, with any quoted credentials removed, followed by advice."""
    from qiskit.exceptions import QiskitError

    text = str(getattr(error, "message", "") or error).strip()
    quoted = _QUOTED.fullmatch(text)
    text = _CREDENTIALS.sub("***", quoted[2] if quoted else text)
    line = (text.splitlines() or [""])[0][:300] or type(error).__name__
    foreseen = (QiskitError, OSError, ValueError)  # of the client and the network
    if not isinstance(error, foreseen):
        line = f"the answer is not as expected ({type(error).__name__}: {line})"
    kind = f"{type(error).__name__} {getattr(error, 'status_code', '')} {line}"
    advice = next((cure for pattern, cure in _ADVICE if re.search(pattern, kind, re.IGNORECASE)), default_advice)
    return f"{line.rstrip('.')}: {advice}" if advice else line
