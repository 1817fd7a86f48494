"""Output of all commands: text is shown without markup, and without line breaks in a pipe or file."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters that a terminal would obey, except tab and line feed; and marks that reverse text."""
_UNLIMITED_WIDTH = 1_000_000
"""Width of a line, in characters, that is never broken."""


def visible(text: str) -> str:
    r"""Escape control characters as in a Python string, so that they cannot control the terminal.

    Example:
        >>> print(visible("bell\x1b[2J [red]"))
        bell\x1b[2J [red]
    """
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on standard output, or standard error, with control characters escaped."""
    typer.echo(visible(text), err=err)


def show_run(run: Any, *, err: bool = False) -> None:
    """Print a summary of a run, and its notes, such as options that were not used or the age of a reference."""
    echo(repr(run), err=err)
    for note in run.notes:
        echo(f"  note: {note}", err=err)


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor visible, since a process that is killed could not bring it back."""
        return False

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


class _Description(TextColumn):
    def render(self, task: Task) -> Text:
        return Text(visible(task.description))


def show_table(table: Table) -> None:
    """Print a table. On a narrow terminal its cells are folded, so that no number loses its end."""
    for column in table.columns:
        column.overflow = "fold"
    open_console().print(table)


@contextmanager
def open_bar(console: Console, *columns: ProgressColumn, saved: bool = False) -> Iterator[Progress]:
    """Open a progress bar on a console: its description without markup, the bar, and further columns.

    If an error ends the work before any of it is done, the empty bar is removed. If the user interrupts work that is
    `saved` step by step, a line says so.
    """
    bar = Progress(_Description(""), BarColumn(), *columns, console=console)
    bar.start()
    try:
        yield bar
    except BaseException as error:
        bar.live.transient = not any(task.completed for task in bar.tasks)
        if saved and isinstance(error, KeyboardInterrupt):
            bar.console.print("interrupted: what is done is saved")
        raise
    finally:
        # Progress.stop ends the bar's line in a pipe or file, where a bar that is removed has none.
        (bar.live if bar.live.transient else bar).stop()


def open_console(*, stderr: bool = False) -> Console:
    """Make a console for standard output, or standard error.

    Names of files, machines and jobs, and messages of a service, may contain any characters. Brackets and colons in
    them are therefore not read as markup or emoji, and control characters are escaped. On a terminal, lines and tables
    are fitted to its width; in a pipe or file lines are never broken, whatever COLUMNS says.
    """
    stream = sys.stderr if stderr else sys.stdout
    # Given both width and height, Rich ignores the environment.
    width, height = (None, None) if stream.isatty() else (_UNLIMITED_WIDTH, 100)
    return _Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width, height=height)
