"""Inputs of commands: counts from a file, a saved run, or the reference of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qcluster.cli.console import echo
from qcluster.cli.options import refuse
from qcluster.errors import StorageError

if TYPE_CHECKING:
    from qcluster.core.counts.distribution import Distribution
    from qcluster.core.noise.measured import MeasuredNoise
    from qcluster.device.noise.measured import MeasuredReference
    from qcluster.device.run import Run


def read_counts_or_run(
    context: typer.Context,
    place: str,
    pub: int | None,
    bits: int | None,
    point: str | None = None,
    *,
    partial: bool = False,
    has_noise: bool = False,
    any_pub: bool = False,
) -> Distribution | Run:
    """Read counts from a file or standard input, or a saved run with its circuit and calibration.

    Notes on standard error say if the file also holds a reference, which is not used, and what the counts do not show.

    Args:
        context: context of the command, which has options ``--bits``, ``--point`` and ``--partial``.
        place: a file or ``-``, with counts (see `qcluster.files.read_counts`) or the JSON of a `Run`; or a directory.
        pub: index of the set of counts or the run, from 0; required if there are several.
        bits: number of bits, for keys that do not show it.
        point: index of one parameter set of a sweep, such as "3" or "1,2"; None pools all of them.
        partial: whether to read what has arrived in the directory, even if other results are missing.
        has_noise: whether the user has given the noise, so that a reference in the file needs no note.
        any_pub: whether `pub` has chosen a reference among several; a single set of counts is then taken for any `pub`.

    Raises:
        StorageError: the file cannot be read, or the directory is not that of a saved run.
        JobError: some results of the saved run have not been collected yet, and `partial` is False.
        ValueError, TypeError: as `read_counts` does; or the directory holds several runs and `pub` is not given; or
            there is no such point.
    """
    from qcluster.core.words import plural
    from qcluster.device.run import Run
    from qcluster.device.storage import of_file
    from qcluster.files import EXAMPLE, choose_one, decode_saved, read_text

    if not place:
        raise ValueError(
            "counts must come from a file, a folder or '-'; got an empty name, perhaps of a variable that is not set"
        )
    is_folder = Path(place).is_dir()
    if not is_folder:
        refuse(context, ["partial"], f"{place} is a file, and not the directory of a saved run")
        text = read_text(place)
        content = decode_saved(text, place, example=EXAMPLE)
        if not _is_run(content):
            return _read_counts(context, content, place, pub, bits, point, has_noise=has_noise, any_pub=any_pub)
    refuse(context, ["bits"], f"{place} is a saved run, whose number of bits is known")
    refuse(context, ["point"], f"{place} is a saved run, whose parameters are bound")
    runs: Sequence[Run | None]
    if is_folder:
        from qcluster.device import jobs

        _check_folder(place)
        runs = jobs.read_arrived(place) if partial else jobs.read(place)
    else:
        with of_file(place):
            runs = [Run.from_json(text)]
    pub = None if any_pub and len(runs) == 1 else pub
    return choose_one(runs, pub, f"{place} holds the runs of {plural(len(runs), 'circuit')}", "--")


def _read_counts(
    context: typer.Context,
    content: Any,
    place: str,
    pub: int | None,
    bits: int | None,
    point: str | None,
    *,
    has_noise: bool,
    any_pub: bool,
) -> Distribution:
    """Read the counts in the content of a file; the arguments are those of `read_counts_or_run`."""
    from qcluster.core.counts.distribution import Distribution
    from qcluster.core.counts.read import notes_on, read_point, shape_of_sets
    from qcluster.files import choose_set, holds_reference

    chosen = choose_set(content, place, pub, any_pub=any_pub, dashes="--")
    if holds_reference(chosen) and not has_noise:
        option = "a file by --reference" if place == "-" else f"--reference {place}"
        echo(f"note: {place} holds a reference as well, which is not used; mitigate takes {option}", err=True)
    shape = shape_of_sets(chosen)
    if not shape:
        refuse(context, ["point"], f"{place} holds the counts of one circuit, and no sweep")
    if point is None:
        counts = Distribution.of(chosen, num_bits=bits)
    else:
        counts = Distribution.from_words(*read_point(chosen, _parse_point(point, shape), bits))
    for note in notes_on(chosen, pooled=point is None):
        echo(f"note: {note} ({place})", err=True)
    if point is None and prod(shape) > 1:
        last = ",".join(str(size - 1) for size in shape)
        first = ",".join("0" for _ in shape)
        echo(f"note: the sweep has the shape {shape}: choose one parameter set by --point, {first} to {last}", err=True)
    return counts


def _parse_point(text: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Parse the option ``--point``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"--point must be indices from 0, such as 3 or 1,2, in the shape {shape}; got {text!r:.60}")
    return tuple(map(int, parts))


def _check_folder(place: str) -> None:
    """Raise StorageError if a directory is not that of a saved run."""
    folder = Path(place)
    if not (folder / "request.json").exists():
        inner = sorted(str(request.parent) for request in folder.glob("*/request.json"))
        hint = f"; name one of those in it, such as {inner[0]}" if inner else ""
        raise StorageError(f"cannot read {place}: it is a directory, and not that of a saved run{hint}")


def _is_run(content: Any) -> bool:
    """True if the content of a file is the JSON of a `Run`."""
    from qcluster.device.run import FORMAT

    return isinstance(content, Mapping) and content.get("format") == FORMAT


def read_reference_noise(place: str, expected: str | None, pub: int | None) -> tuple[MeasuredNoise, bool]:
    """Read the noise that a reference circuit measured, from a file or from the directory of a saved run.

    Args:
        place: a file as `qcluster.files.read_reference` takes it; or the directory of circuits that ran with a
            reference, or of a reference circuit made by hand.
        expected: the noiseless output of the reference; needed for one made by hand, and if the file does not hold it.
        pub: index of the circuit whose reference is meant; ignored if one reference serves all.

    Returns:
        The noise, and whether `pub` chose it among several references.

    Raises:
        StorageError, ValueError, TypeError: as `qcluster.files.read_reference` and `MeasuredNoise` do.
        JobError: some results of the saved run have not been collected yet.
    """
    from qcluster.core.noise.measured import MeasuredNoise
    from qcluster.core.words import plural
    from qcluster.device import jobs
    from qcluster.files import choose_one, choose_reference, read_saved, references_of

    if not place or not Path(place).is_dir():
        sets = references_of(read_saved(place), place)
        return choose_reference(sets, place, expected, pub, "--"), len(sets) > 1
    _check_folder(place)
    runs = jobs.read(place)
    skeletons = {run.reference and run.reference.skeleton for run in runs}
    choices = runs[:1] if len(skeletons) == 1 and None not in skeletons else runs
    holder = f"{place} holds the runs of {plural(len(runs), 'circuit')}"
    several = len(choices) > 1
    run = choose_one(choices, pub if several else None, holder, "--")
    if run.reference is not None:
        noise = run.reference.noise
        return noise if expected is None else MeasuredNoise(noise.reference_counts, expected), several
    if expected is None:
        raise ValueError(
            f"{place} has no reference, since its circuits ran without one; if they are references themselves, give "
            "their noiseless output by --expected"
        )
    return MeasuredNoise(run.counts, expected), several


def read_earlier_references(place: str) -> list[MeasuredReference]:
    """Read references that were measured earlier, one per skeleton, for circuits that run later.

    Args:
        place: the directory of a saved run; or a file, or ``-``, with the JSON of a `Run` or of its reference.

    Raises:
        StorageError: the file cannot be read, or the directory is not that of a saved run.
        JobError: some results of the saved run have not been collected yet.
        ValueError: the name is empty, or there is no reference in it.
    """
    from qcluster.device import jobs
    from qcluster.device.noise.measured import FORMAT, MeasuredReference
    from qcluster.device.run import Run
    from qcluster.device.storage import of_file
    from qcluster.files import decode_saved, read_text

    if not place:
        raise ValueError("--reference-from must name a folder or a file; got an empty name")
    if Path(place).is_dir():
        _check_folder(place)
        runs = jobs.read(place)
    elif _is_run(content := decode_saved(text := read_text(place), place)):
        with of_file(place):
            runs = [Run.from_json(text)]
    elif isinstance(content, Mapping) and content.get("format") == FORMAT:
        with of_file(place):
            return [MeasuredReference.from_json(text)]
    else:
        raise ValueError(
            "--reference-from must be the folder of a saved run, or the JSON of a Run or of its reference, which has "
            f"the places that it was measured on; {place} is none of these"
        )
    references = {run.reference.skeleton: run.reference for run in runs if run.reference is not None}
    if not references:
        raise ValueError(f"{place} has no reference, since its circuits ran without one: measure one with --reference")
    return list(references.values())
