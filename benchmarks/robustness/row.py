"""One thing that is tried, and what must hold of it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    name: str
    """What is tried, in a few words; names the row."""
    must: str
    """What must hold."""
    work: Callable[[], str]
    """Tries it in a process of its own; returns what happened in words, and raises where it does not hold."""
