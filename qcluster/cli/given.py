"""What the user names on the command line to be mitigated or estimated: counts, or a saved run."""

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


def read_given(
    context: typer.Context, place: str, pub: int | None, bits: int | None, *, told: bool = False
) -> Distribution | Run:
    """Read counts from a file or standard input, or a run from its folder, with its circuit and calibration.

    Notes on standard error say where the file holds a reference beside the counts, which is not read, and what does not
    show in the counts.

    Args:
        context: of the command, which has an option ``--bits``.
        place: a file or ``-``, see `qcluster.files.read_counts`; or a directory.
        pub: which of several, from 0.
        bits: width of strings that do not show it.
        told: whether the user has said what the noise is, so that a reference in the file needs no word.

    Raises:
        StorageError: it cannot be read, or is the directory of no saved run.
        ValueError, TypeError: as `read_counts` does; or the directory holds several runs and none was chosen.
    """
    from qcluster.core.counts.distribution import Distribution
    from qcluster.core.counts.read import notes_on
    from qcluster.core.words import many
    from qcluster.files import choose_one, holds_reference, read_set

    if not place:
        raise ValueError(
            "counts must come from a file, a folder or '-'; got an empty name, as of a variable that is not set"
        )
    folder = Path(place)
    if not folder.is_dir():
        found = read_set(place, pub)
        if holds_reference(found) and not told:
            where = "a file by --reference" if place == "-" else f"--reference {place}"
            echo(f"note: {place} holds a reference as well, which is not used; mitigate takes {where}", err=True)
        counts = Distribution.of(found, num_bits=bits)
        for note in notes_on(found):
            echo(f"note: {note} ({place})", err=True)
        return counts
    refuse(context, ["bits"], f"{place} is a saved run, which knows how many there are")
    from qcluster.device import jobs

    if not (folder / "request.json").exists():
        inner = sorted(str(near.parent) for near in folder.glob("*/request.json"))
        hint = f"; name one of those in it, such as {inner[0]}" if inner else ""
        raise StorageError(f"cannot read {place}: it is a directory, and that of no saved run{hint}")
    runs = jobs.read(place)
    return choose_one(runs, pub, f"{place} holds the runs of {many(len(runs), 'circuit')}")
