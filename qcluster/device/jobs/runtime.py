"""The IBM runtime service behind four verbs: submit, find, look, and fetch."""

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


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobState:
    """Hold what the service says of a job."""

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


class Service(Protocol):
    """What jobs need of a service; the runtime below, or a recording of it in tests."""

    def submit(self, request: Request, circuits: Sequence[QuantumCircuit], shots: int, tag: str) -> str:
        """Send circuits as one job that carries a tag; returns its id."""

    def find(self, tag: str) -> str | None:
        """Find the job that carries a tag; None where there is none."""

    def state(self, job_id: str) -> JobState:
        """Look at a job; `LostJobError` where there is none."""

    def result(self, job_id: str) -> Any:
        """Fetch the `PrimitiveResult` of a job that is done; `LostJobError` where it is no longer kept."""

    def calibration(self, job_id: str) -> Calibration | None:
        """Fetch what the machine had published when a job began to run; None where the service does not tell."""

    def cancel(self, job_id: str) -> None:
        """Cancel a job."""

    def tags(self, job_id: str) -> list[str]:
        """Tags that a job carries; `LostJobError` where there is none."""

    def usage(self, job_id: str) -> float:
        """Seconds of the machine that a job was charged with; 0 while that is not known."""


_GONE = {404, 410}
"""What HTTP says of things that are no longer there."""


class RuntimeService:
    """Speak to IBM Quantum, as a `Service`, by the account of a backend or service; else the saved one, when needed.

    Args:
        backend: the machine, where it is at hand; else it is opened by the name that the request gives.
        service: a `QiskitRuntimeService`, where one is open.
        session: an open Session or Batch that jobs go to. Who opened it closes it.
    """

    def __init__(self, backend: Any = None, service: Any = None, session: Any = None) -> None:
        self._backend = backend
        self._given = service
        self._session = session
        self._modes: dict[str, Any] = {}

    @cached_property
    def _service(self) -> Any:
        return self._given or getattr(self._backend, "service", None) or open_service()

    def submit(self, request: Request, circuits: Sequence[QuantumCircuit], shots: int, tag: str) -> str:
        backend = self._backend or open_backend(request.backend, self._service)
        with _asking(f"{request.backend} did not take the job", ""):
            job = sampler_job(self._mode(request, backend), request, circuits, shots, (request.id, tag))
            return str(job.job_id())

    def _mode(self, request: Request, backend: Any) -> Any:
        """The open session that was given, the backend itself, or one batch or session for all jobs of a request."""
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
        """Close batches and sessions to new jobs; those they have run on. One that cannot be closed ends by itself."""
        while self._modes:
            name, mode = self._modes.popitem()
            try:
                mode.close()
            except _failures() as error:
                _log.warning("the batch or session of %s was not closed: %s", name, _words(error))

    def find(self, tag: str) -> str | None:
        with _asking("the service did not list its jobs"):
            jobs = self._service.jobs(job_tags=[tag], limit=1)
        return str(jobs[0].job_id()) if jobs else None

    def state(self, job_id: str) -> JobState:
        job = self._job(job_id)
        with _asking(f"the state of job {job_id} cannot be had"):
            status = job.status()
            status = str(getattr(status, "name", status)).split(" - ")[0]  # "CANCELLED - RAN TOO LONG"
            return JobState(status, str(job.error_message() or "") if status == "ERROR" else "")

    def result(self, job_id: str) -> Any:
        job = self._job(job_id)
        with _asking(f"the result of job {job_id} cannot be had"):
            try:
                result = job.result()
            except _failures() as error:
                if getattr(error, "status_code", None) in _GONE:
                    raise LostJobError(f"the service no longer keeps the result of job {job_id}") from error
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
            return read_calibration(job.backend(), datetime.datetime.fromisoformat(began))
        except (QClusterError, NotImplementedError, *_failures()) as error:  # type: ignore[misc]
            _log.info("no calibration of the time of job %s: %s", job_id, _words(error))
            return None

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended in the meantime is left as it is."""
        job = self._job(job_id)
        with _asking(f"job {job_id} was not cancelled", ""):
            try:
                job.cancel()
            except _failures():
                if not self.state(job_id).final:
                    raise

    def tags(self, job_id: str) -> list[str]:
        return [str(tag) for tag in self._job(job_id).tags or ()]

    def usage(self, job_id: str) -> float:
        job = self._job(job_id)
        with _asking(f"the usage of job {job_id} cannot be had"):
            return float(job.usage() or 0.0)

    def _job(self, job_id: str) -> Any:
        from qiskit_ibm_runtime.exceptions import RuntimeJobNotFound

        with _asking(f"job {job_id} cannot be reached"):
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

    Circuits that we have twirled are not twirled again; "server" twirling leaves it all to the Sampler.
    """
    from qiskit_ibm_runtime.executor_sampler import Sampler

    sampler = Sampler(mode=mode, options=sampler_options(request.options, list(tags)))
    return sampler.run([(circuit,) for circuit in circuits], shots=shots)


_LATER = "try again later"


@contextmanager
def _asking(refusal: str, otherwise: str = _LATER) -> Iterator[None]:
    """Turn what the service's client raises into JobError: what was refused, its words, and what to do about it."""
    try:
        yield
    except _failures() as error:
        raise JobError(f"{refusal}: {_words(error, otherwise)}") from error


def _failures() -> tuple[type[Exception], ...]:
    from qiskit.exceptions import QiskitError
    from requests.exceptions import RequestException

    return QiskitError, RequestException, OSError, ValueError


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
"""What to do about failures, by what the service says of them; the first that fits."""


_CREDENTIALS = re.compile(r"(?i)(?<=bearer )[^\s'\"]+|(?<=apikey )[^\s'\"]+|(?<=://)[^\s/@]+(?=@)")
"""What requests quotes of a header that it refuses, or of the address of a proxy."""


def _words(error: Exception, otherwise: str = "") -> str:
    """First line of an error, without the credentials that may be quoted in it; and what to do."""
    text = _CREDENTIALS.sub("***", str(getattr(error, "message", "") or error).strip().strip("'\""))
    line = (text.splitlines() or [""])[0][:300] or type(error).__name__
    kind = f"{type(error).__name__} {getattr(error, 'status_code', '')} {line}"
    advice = next((cure for pattern, cure in _ADVICE if re.search(pattern, kind, re.IGNORECASE)), otherwise)
    return f"{line}: {advice}" if advice else line
