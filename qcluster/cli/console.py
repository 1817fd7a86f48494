"""The one console of all commands: text is shown as it is, and whole where a program reads it."""

import re
import sys
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters other than tab and line feed, by which a terminal is steered; and marks that reverse text."""
_WIDE = 1_000_000
"""Characters in a line that no terminal breaks."""


def visible(text: str) -> str:
    r"""Write what would steer a terminal as Python writes it in a string; all else as it is.

    Example:
        >>> print(visible("bell\x1b[2J [red]"))
        bell\x1b[2J [red]
    """
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on standard output, or standard error, that may hold names from files and words of a service."""
    typer.echo(visible(text), err=err)


def show_run(run: Any) -> None:
    """Print what a run is, and what it notes: options that were not used, the age of a reference, and the like."""
    echo(repr(run))
    for note in run.notes:
        echo(f"  note: {note}")


class _Console(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


class _Description(TextColumn):
    def render(self, task: Task) -> Text:
        return Text(visible(task.description))


def open_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """Open a progress bar on a console: its description as it is, the bar, and what else is to be shown."""
    return Progress(_Description(""), BarColumn(), *columns, console=console)


def open_console(*, stderr: bool = False) -> Console:
    """Open standard output, or standard error.

    Names of files, machines and jobs, and the words of a service, may hold anything: brackets and colons in them are
    no markup here and no emoji, and what would steer a terminal is written out. On a terminal lines are broken and
    tables fitted to its width; into a pipe or a file nothing is broken, whatever COLUMNS says.
    """
    stream = sys.stderr if stderr else sys.stdout
    width, height = (None, None) if stream.isatty() else (_WIDE, 100)  # given both, Rich asks no environment
    return _Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width, height=height)
