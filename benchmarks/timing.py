"""Time a call; nothing here imports of the package, since other versions of it are timed as well."""

from collections.abc import Callable
from time import process_time
from typing import TypeVar

T = TypeVar("T")


def timed(work: Callable[[], T], clock: Callable[[], float] = process_time) -> tuple[T, float]:
    """Give what a call returns, and its seconds; processor time is what a busy machine stretches least."""
    start = clock()
    answer = work()
    return answer, clock() - start
