"""Worker processes on this machine, which end when the process that started them does."""

import os
import threading
import time
from typing import Any

_LOOK = 0.5
"""Seconds between looks at the parent."""


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
