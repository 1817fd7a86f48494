"""Options of several commands. Those that were given and would have no effect are errors, not ignored."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from qcluster.files import check_place

Workers = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]
Bits = Annotated[int | None, typer.Option(min=1, help="Width of the strings, where hexadecimal keys do not show it.")]
Dask = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")]


def to_write(path: Path | None) -> Path | None:
    """Take an option that names a file to write, if it can be: the work before would be lost."""
    if path is not None:
        check_place(path)
    return path


def to_write_or_print(path: Path | None) -> Path | None:
    """Take an option that names a file to write, or ``-`` for standard output."""
    return path if path == Path("-") else to_write(path)


def to_draw(path: Path | None) -> Path | None:
    """Take an option that names the file of a figure, of an ending that is known."""
    if path is not None:
        from qcluster.plot import check_figure

        check_figure(path)
    return path


def keep_apart(written: Mapping[str, Path | None], read: Mapping[str, str | Path | None]) -> None:
    """Refuse to write over a file that is read, such as counts that no machine gives again, or one result over another.

    Args:
        written: what is written where, by the option that names it.
        read: what is read from where.
    """
    taken = {Path(place).resolve(): name for name, place in read.items() if place is not None}
    for name, path in written.items():
        if path is None or path == Path("-"):
            continue
        place = path.resolve()
        if place in taken and (place.is_file() or not place.exists()):  # of a pipe nothing is lost
            raise ValueError(f"{name} must name a file of its own; got {path}, which is that of {taken[place]}")
        taken[place] = name


def one_place(context: typer.Context, dask: str | None) -> None:
    """Refuse workers here where the work is done elsewhere."""
    if dask is not None:
        refuse(context, ["workers"], "with --dask the work is done by the cluster's workers")


def refuse(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise ValueError where one of some parameters was given; `why` tells when it has an effect."""
    found = [
        (parameter.secondary_opts if context.params[parameter.name] is False else parameter.opts)[0]
        for parameter in context.command.params
        if parameter.name in names
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]
    if found:
        raise ValueError(f"{' and '.join(found)} would have no effect: {why}")
