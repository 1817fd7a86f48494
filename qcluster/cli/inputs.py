"""Inputs of the commands that mitigate or estimate: counts from a file, or a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qcluster.cli.console import echo
from qcluster.cli.options import refuse
from qcluster.errors import StorageError

if TYPE_CHECKING:
    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.run import Run


def read_counts_or_run(
    context: typer.Context, place: str, pub: int | None, bits: int | None, *, has_noise: bool = False
) -> Distribution | Run:
    """Read counts from a file or standard input, or a run, with its circuit and calibration, from its directory.

    Notes on standard error say if the file also holds a reference, which is not used, and what the counts do not show.

    Args:
        context: context of the command, which has an option ``--bits``.
        place: a file or ``-``, see `qcluster.files.read_counts`; or a directory.
        pub: index of the set of counts or the run, from 0; required if there are several.
        bits: number of bits, for keys that do not show it.
        has_noise: whether the user has given the noise, so that a reference in the file needs no note.

    Raises:
        StorageError: the file cannot be read, or the directory is not that of a saved run.
        ValueError, TypeError: as `read_counts` does; or the directory holds several runs and `pub` is not given.
    """
    from qcluster.core.counts.distribution import Distribution
    from qcluster.core.counts.read import notes_on
    from qcluster.core.words import plural
    from qcluster.files import choose_one, holds_reference, read_set

    if not place:
        raise ValueError(
            "counts must come from a file, a folder or '-'; got an empty name, perhaps of a variable that is not set"
        )
    folder = Path(place)
    if not folder.is_dir():
        content = read_set(place, pub)
        if holds_reference(content) and not has_noise:
            option = "a file by --reference" if place == "-" else f"--reference {place}"
            echo(f"note: {place} holds a reference as well, which is not used; mitigate takes {option}", err=True)
        counts = Distribution.of(content, num_bits=bits)
        for note in notes_on(content):
            echo(f"note: {note} ({place})", err=True)
        return counts
    refuse(context, ["bits"], f"{place} is a saved run, whose number of bits is known")
    from qcluster.device import jobs

    if not (folder / "request.json").exists():
        inner = sorted(str(request.parent) for request in folder.glob("*/request.json"))
        hint = f"; name one of those in it, such as {inner[0]}" if inner else ""
        raise StorageError(f"cannot read {place}: it is a directory, and not that of a saved run{hint}")
    runs = jobs.read(place)
    return choose_one(runs, pub, f"{place} holds the runs of {plural(len(runs), 'circuit')}")
