"""Time a call. This module imports nothing from the package, because other versions of it are timed as well."""

from collections.abc import Callable
from time import process_time
from typing import TypeVar

T = TypeVar("T")


def timed(work: Callable[[], T], clock: Callable[[], float] = process_time) -> tuple[T, float]:
    """Return the result of a call and its time in seconds; processor time depends least on other processes."""
    start = clock()
    answer = work()
    return answer, clock() - start
