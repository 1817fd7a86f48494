"""Work in several processes: on this machine, where they end with the one that started them, or on a Dask cluster."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any, TypeVar

from qcluster.errors import QClusterError, of_extra

T = TypeVar("T")
R = TypeVar("R")
DASK_SECONDS = 20
"""How long a Dask scheduler may take to answer."""
_LOOK = 0.5
"""Seconds between looks at the parent."""


def check_workers(workers: Any) -> int:
    """Give a number of worker processes; ValueError for what is none, which would work in one without a word.

    Example:
        >>> check_workers(-1)
        -1
    """
    if not isinstance(workers, Integral) or isinstance(workers, bool) or (int(workers) < 1 and workers != -1):
        raise ValueError(f"workers must be 1 or more, or -1 for one a core; got {workers!r}")
    return int(workers)


def parallel(workers: int, **options: Any) -> Any:
    """Make a `joblib.Parallel` whose worker processes do not outlive this one, and work in its folder.

    Joblib's own stay for minutes where the parent is killed, by SIGKILL or SIGTERM, and hold its standard output:
    whoever reads that waits for them. Threads, Dask and whatever else ``joblib.parallel_config`` has chosen are left
    as they are.

    Args:
        workers: processes; -1 for one a core, 1 for none but this one.
        options: of `joblib.Parallel`.
    """
    from joblib import Parallel
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if type(backend).__name__ == "LokyBackend":
        options |= {"initializer": begin, "initargs": (os.getpid(), os.getcwd())}  # others start where these change
    return Parallel(n_jobs=workers, **options)


def spread(
    work: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int = 1,
    dask: str | None = None,
    lost: Callable[[T, str], R] | None = None,
) -> Iterator[R]:
    """Work on items, and yield what comes of each as soon as it is there.

    Args:
        work: what is done.
        items: with what.
        workers: processes on this machine; -1 for one a core, 1 works in this process.
        dask: address of a Dask scheduler whose workers have this package; replaces `workers`.
        lost: what is yielded for an item whose Dask worker died again and again, of it and why; by default that is an
            error.

    Raises:
        ValueError: no number of workers.
        QClusterError: a process of this machine died, or no scheduler answers.
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

    pool = parallel(workers, return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)
    try:
        yield from pool(delayed(work)(item) for item in items)
    except TerminatedWorkerError as error:
        raise QClusterError(
            "a worker process died, perhaps for lack of memory; what is done is saved: run again, with fewer workers"
        ) from error


def _on_dask(
    work: Callable[[T], R], items: Sequence[T], address: str, lost: Callable[[T, str], R] | None
) -> Iterator[R]:
    with of_extra("bench"):
        from distributed import Client, as_completed

    try:
        client = Client(address, timeout=DASK_SECONDS)
    except (OSError, ValueError) as error:
        raise QClusterError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        futures = {client.submit(work, item, pure=False): item for item in items}
        for future in as_completed(list(futures)):
            failure = future.exception()  # a worker that died again and again; what it ran is tried elsewhere first
            yield future.result() if failure is None or lost is None else lost(futures[future], str(failure))
            future.release()


def begin(parent: int, folder: str) -> None:
    """Work in a folder, where modules of the user's are looked for, and end with the parent."""
    os.chdir(folder)
    end_with(parent)


def end_with(parent: int) -> None:
    """End this process as soon as its parent is another one than `parent`, which then has died."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)
