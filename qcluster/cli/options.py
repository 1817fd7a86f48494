"""Options that were given and would have no effect are errors, not ignored."""

from collections.abc import Collection

import typer


def refuse(context: typer.Context, names: Collection[str], why: str) -> None:
    """Raise ValueError where one of some parameters was given; `why` tells when it has an effect."""
    found = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]
    if found:
        raise ValueError(f"{' and '.join(found)} would have no effect: {why}")
