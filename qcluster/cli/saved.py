"""Saved runs on the command line."""

from pathlib import Path
from typing import Any

from qcluster.errors import StorageError


def read_run(directory: str, pub: int | None) -> Any:
    """Read a run of a saved directory, with its circuit and calibration; of several the one that was chosen."""
    from qcluster.device import jobs
    from qcluster.files import choose_one

    place = Path(directory)
    if not (place / "request.json").exists():
        inner = sorted(str(near.parent) for near in place.glob("*/request.json"))
        hint = f"; name one of those in it, such as {inner[0]}" if inner else ""
        raise StorageError(f"cannot read {directory}: it is a directory, and that of no saved run{hint}")
    runs = jobs.read(directory)
    return choose_one(runs, pub, f"{directory} holds the runs of {len(runs)} circuit{'s' if len(runs) != 1 else ''}")
