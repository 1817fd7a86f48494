"""Options that were given and would have no effect are errors, not ignored."""

from collections.abc import Iterable

import typer


def given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """List those of some parameters that were on the command line, as they are written there."""
    wanted = set(names)
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in wanted
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]


def refuse(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Raise ValueError where one of some parameters was given; `why` tells when it has an effect."""
    found = given(context, names)
    if found:
        raise ValueError(f"{' and '.join(found)} would have no effect: {why}")
