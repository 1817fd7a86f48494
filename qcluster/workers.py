"""Parallel work: in processes on this machine, which end with the process that started them, or on a Dask cluster."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from numbers import Integral
from typing import Any, TypeVar

from qcluster.errors import QClusterError, requiring_extra

T = TypeVar("T")
R = TypeVar("R")
DASK_SECONDS = 20
"""Seconds to wait for a Dask scheduler to answer."""
_POLL_SECONDS = 0.5
"""Seconds between two checks whether the parent process is alive."""


def check_workers(workers: Any) -> int:
    """Check a number of worker processes and return it as an int; ValueError if it is not one.

    Joblib would silently use one process for some invalid numbers.

    Example:
        >>> check_workers(-1)
        -1
    """
    if not isinstance(workers, Integral) or isinstance(workers, bool) or (int(workers) < 1 and workers != -1):
        raise ValueError(f"workers must be 1 or more, or -1 for one per core; got {workers!r}")
    return int(workers)


def parallel(workers: int, tasks: int, **options: Any) -> Any:
    """Make a `joblib.Parallel` whose worker processes end with this process and work in its current folder.

    Joblib's workers otherwise live on for minutes after their parent is killed by SIGKILL or SIGTERM, and keep its
    standard output open, so that a program reading it has to wait. Other backends that ``joblib.parallel_config`` has
    chosen, such as threads or Dask, are not changed.

    Args:
        workers: number of processes; -1 uses one per core, and 1 works in this process.
        tasks: number of tasks; joblib would also start workers that have nothing to do.
        options: options of `joblib.Parallel`.
    """
    from joblib import Parallel, effective_n_jobs
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if type(backend).__name__ == "LokyBackend":
        # Joblib reuses workers as long as these arguments stay the same, so a change of folder starts new ones.
        options |= {"initializer": _begin_worker, "initargs": (os.getpid(), os.getcwd())}
    processes = effective_n_jobs(workers) if workers == -1 else workers
    return Parallel(n_jobs=min(processes, max(1, tasks)), **options)


def spread(
    work: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int = 1,
    dask: str | None = None,
    lost: Callable[[T, str], R] | None = None,
) -> Iterator[R]:
    """Apply a function to items in parallel, and yield each result as soon as it is ready, in any order.

    Args:
        work: the function.
        items: its arguments.
        workers: number of processes on this machine; -1 uses one per core, and 1 works in this process.
        dask: address of a Dask scheduler whose workers have this package installed; replaces `workers`.
        lost: makes the result of an item whose Dask workers died repeatedly, from the item and the reason; by default
            that raises an error.

    Raises:
        ValueError: invalid number of workers.
        QClusterError: a worker died, or the scheduler does not answer, or no longer does.
    """
    if dask is not None:
        yield from _on_dask(work, items, dask, lost)
    elif check_workers(workers) != 1 and len(items) > 1:
        yield from _in_processes(work, items, workers)
    else:
        yield from map(work, items)


def _in_processes(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    from joblib import delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    pool = parallel(workers, len(items), return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)
    try:
        yield from pool(delayed(work)(item) for item in items)
    except TerminatedWorkerError as error:
        raise QClusterError(
            "a worker process died, perhaps for lack of memory; finished work is saved: run again with fewer workers"
        ) from error


def _on_dask(
    work: Callable[[T], R], items: Sequence[T], address: str, lost: Callable[[T, str], R] | None
) -> Iterator[R]:
    with requiring_extra("bench"):
        from distributed import Client, KilledWorker, as_completed

    try:
        client = Client(address, timeout=DASK_SECONDS)
    except (OSError, ValueError) as error:
        raise QClusterError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        futures = {client.submit(work, item, pure=False): item for item in items}
        try:
            for future in as_completed(list(futures)):
                failure = future.exception()  # the workers died repeatedly: Dask tries an item elsewhere first
                yield future.result() if failure is None or lost is None else lost(futures[future], str(failure))
                future.release()
        except KilledWorker as error:
            raise QClusterError(f"Dask workers died; finished work is saved: run again. {error}") from error
        except CancelledError as error:
            raise QClusterError(
                f"the Dask scheduler at {address} no longer answers; finished work is saved: run again"
            ) from error


def _begin_worker(parent: int, folder: str) -> None:
    """Initialise a worker process: change to a folder, where the user's modules are found, and end with the parent."""
    os.chdir(folder)
    _end_with(parent)


def _end_with(parent: int) -> None:
    """End this process as soon as `parent` has died, which is when this process has another parent."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)
