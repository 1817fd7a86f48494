"""A row of the table of robustness tests."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One test."""

    name: str
    """Short description of the test, which identifies the row."""
    must: str
    """Condition that must hold."""
    work: Callable[[], str]
    """Runs the test; returns a description of what happened, or raises if the condition does not hold."""
