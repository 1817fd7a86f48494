"""Options that several commands share, and their checks. An option that would have no effect is an error."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from qcluster.files import check_place

Workers = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]
Bits = Annotated[int | None, typer.Option(min=1, help="Number of bits, if hexadecimal keys do not show it.")]
Point = Annotated[
    str | None,
    typer.Option(help="Index of one parameter set of a sweep, from 0, such as 3 or 1,2; default: all together."),
]
Partial = Annotated[bool, typer.Option(help="Read what has arrived of a saved run, even if other results are missing.")]
Dask = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786.")]


def to_write(path: Path | None) -> Path | None:
    """Check a file that is to be written, before the work whose result it takes; returns its path."""
    if path is not None:
        check_place(path)
    return path


def to_write_or_print(path: Path | None) -> Path | None:
    """Check a file that is to be written, or accept ``-`` for standard output; returns the path."""
    return path if path == Path("-") else to_write(path)


def to_draw(path: Path | None) -> Path | None:
    """Check the file and format of a figure that is to be written; returns the path."""
    if path is not None:
        from qcluster.plot import check_figure

        check_figure(path)
    return path


def keep_apart(written: Mapping[str, Path | None], read: Mapping[str, str | Path | None]) -> None:
    """Refuse to overwrite an input, such as counts that cannot be measured again, or one result by another.

    Args:
        written: the files to write, by the option that names them.
        read: the inputs, by what they are.
    """
    users = {os.path.realpath(place): name for name, place in read.items() if place is not None}
    for name, path in written.items():
        if path is None or path == Path("-"):
            continue
        place = os.path.realpath(path)  # as Path.resolve, but links in a circle are no error
        if place in users and (path.is_file() or not path.exists()):  # a pipe cannot be overwritten
            raise ValueError(f"{name} must name a file of its own; got {path}, which is that of {users[place]}")
        users[place] = name


def refuse_workers_with_dask(context: typer.Context, dask: str | None) -> None:
    """Refuse ``--workers`` together with ``--dask``."""
    if dask is not None:
        refuse(context, ["workers"], "with --dask the work is done by the cluster's workers")


def refuse(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise ValueError if any of these parameters was given, since it would have no effect.

    Args:
        context: context of the command.
        names: names of the parameters.
        why: the reason, for the message.
    """
    used = [
        (parameter.secondary_opts if context.params[parameter.name] is False else parameter.opts)[0]
        for parameter in context.command.params
        if parameter.name in names
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]
    if used:
        raise ValueError(f"{' and '.join(used)} would have no effect: {why}")
