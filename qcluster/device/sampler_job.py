"""The job that `MitigatedSampler.run` returns: its state, its ids at the service, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from threading import Thread
from typing import Any

from qiskit.primitives import PrimitiveJob
from qiskit.providers import JobStatus

from qcluster.device import jobs
from qcluster.device.execute import Sent

_STATES = {"QUEUED": JobStatus.QUEUED, "INITIALIZING": JobStatus.INITIALIZING, "RUNNING": JobStatus.RUNNING}


class SamplerJob(PrimitiveJob):  # type: ignore[misc]
    """A job of `MitigatedSampler`: a Qiskit primitive job, linked to the service's jobs behind it.

    Attributes:
        job_ids: ids of all its jobs at the service; empty for a simulation. A request of many circuits needs several.
    """

    def __init__(self, finish: Callable[[], Any], sent: Sequence[Sent]) -> None:
        super().__init__(finish)
        self.job_ids: tuple[str, ...] = tuple(job_id for one in sent for job_id in one.ids)
        self._places = tuple((one.directory, one.service) for one in sent if one.directory and one.service)
        self._submit()

    def _submit(self) -> None:
        """Begin in the background; a process may end while its job waits at the service, perhaps for hours.

        Qiskit's jobs run in a pool, with which a process ends only when its threads have, and take a job that its
        thread has not begun yet for a failed one.
        """
        self._future: Future[Any] = Future()
        self._future.set_running_or_notify_cancel()
        Thread(target=self._finish, daemon=bool(self._places)).start()

    def _finish(self) -> None:
        try:
            self._future.set_result(self._function())
        except BaseException as error:
            self._future.set_exception(error)

    def job_id(self) -> str:
        """The id of the first job at the service, by which `service.job` finds it; a UUID for a simulation."""
        return self.job_ids[0] if self.job_ids else str(super().job_id())

    def cancel(self) -> bool:
        """Cancel the jobs at the service that are not done; results that have arrived are kept.

        Returns:
            True if a cancellation was requested.

        Raises:
            JobError: the service does not answer, or refuses to cancel a job; the others are cancelled.
        """
        with ExitStack() as stack:  # goes on after an error, and raises it at the end
            for place, service in reversed(self._places):
                stack.callback(jobs.cancel, place, service=service)
        return bool(super().cancel()) or bool(self.job_ids)

    def status(self) -> Any:
        """The state of the whole job, with the service's state for jobs that wait or run there."""
        local = super().status()
        if local in (JobStatus.DONE, JobStatus.CANCELLED) or not self.job_ids:
            return local
        parts = [part for place, service in self._places for part in jobs.status(place, service=service)]
        if local == JobStatus.ERROR:
            return JobStatus.CANCELLED if any(part.status == "CANCELLED" for part in parts) else local
        states = [_STATES[part.status] for part in parts if part.status in _STATES]
        return max(states, key=list(_STATES.values()).index, default=local)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return state | {"_function": None, "_places": ()}

    def usage(self) -> float:
        """Machine time charged for its jobs so far, in seconds; 0 for a simulation, NaN if a job was deleted."""
        charged = [jobs.usage(place, service=service) for place, service in self._places]
        return sum(seconds for each in charged for seconds in each.values())
