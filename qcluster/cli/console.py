"""The one console of all commands: text is shown as it is, and whole where a program reads it."""

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

_WIDE = 1_000_000
"""Characters in a line that no terminal breaks."""


def open_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """Open a progress bar on a console: its description as it is, the bar, and what else is to be shown."""
    return Progress(TextColumn("{task.description}", markup=False), BarColumn(), *columns, console=console)


def open_console(*, stderr: bool = False) -> Console:
    """Open standard output, or standard error.

    Names of files, machines and jobs, and the words of a service, may hold anything: brackets and colons in them are
    no markup here and no emoji. On a terminal lines are broken and tables fitted to its width; into a pipe or a file
    nothing is broken, whatever COLUMNS says.
    """
    stream = sys.stderr if stderr else sys.stdout
    width, height = (None, None) if stream.isatty() else (_WIDE, 100)  # given both, Rich asks no environment
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width, height=height)
