"""What the user names on the command line to be mitigated or estimated: counts, or a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qcluster.errors import StorageError

if TYPE_CHECKING:
    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.run import Run


def read_given(place: str, pub: int | None) -> Distribution | Run:
    """Read counts from a file or standard input, or a run from its folder, with its circuit and calibration.

    Args:
        place: a file or ``-``, see `qcluster.files.read_counts`; or a directory.
        pub: which of several, from 0.

    Raises:
        StorageError: it cannot be read, or is the directory of no saved run.
        ValueError, TypeError: as `read_counts` does; or the directory holds several runs and none was chosen.
    """
    from qcluster.core.words import many
    from qcluster.files import choose_one, read_counts

    folder = Path(place)
    if not folder.is_dir():
        return read_counts(place, pub)
    from qcluster.device import jobs

    if not (folder / "request.json").exists():
        inner = sorted(str(near.parent) for near in folder.glob("*/request.json"))
        hint = f"; name one of those in it, such as {inner[0]}" if inner else ""
        raise StorageError(f"cannot read {place}: it is a directory, and that of no saved run{hint}")
    runs = jobs.read(place)
    return choose_one(runs, pub, f"{place} holds the runs of {many(len(runs), 'circuit')}")
