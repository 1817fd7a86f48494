"""Many computations in lockstep: what they ask for is worked out for all of them at once.

On small counts the time goes into calls, not arithmetic. A computation is written for one set of counts, as a
generator: it yields a `Request` where arrays are at work (EM, selection, deconvolution), and is sent the answer. One
computation or a thousand run through the same lines, and a thousand take few more calls than one.
"""

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Request:
    """What a computation asks for."""

    work: Callable[[Sequence[Any]], Sequence[Any]]
    """Answers what several computations ask; an answer must not depend on the others."""
    key: Hashable
    """Requests for the same work under one key are answered at once."""
    asked: Any
    """What this computation asks."""


Stepwise = Generator[Request, Any, T]
"""A computation that yields requests, is sent their answers, and returns its result."""


# OpenBLAS raises the flag, now and then, for lanes beyond short rows: the results are finite.
@np.errstate(invalid="ignore")
def together(computations: Sequence[Stepwise[T]]) -> list[T]:
    """Carry out computations in lockstep, until all have ended; give what they return.

    The key for which most wait is answered first: meanwhile others come to wait for the same.

    Example:
        >>> def squares(numbers): return [x**2 for x in numbers]
        >>> def fourth(x): return (yield Request(squares, None, (yield Request(squares, None, x))))
        >>> together([fourth(2), fourth(3)])
        [16, 81]
    """
    ended: dict[int, T] = {}
    waiting: dict[tuple[Callable[[Sequence[Any]], Sequence[Any]], Hashable], dict[int, Any]] = {}
    replies: dict[int, Any] = dict.fromkeys(range(len(computations)))
    while replies:
        for place, reply in replies.items():
            try:
                request = computations[place].send(reply)
                waiting.setdefault((request.work, request.key), {})[place] = request.asked
            except StopIteration as end:
                ended[place] = end.value
        if not waiting:
            break
        work, key = max(waiting, key=lambda one: len(waiting[one]))
        alike = waiting.pop((work, key))
        replies = dict(zip(alike, work(list(alike.values())), strict=True))
    return [ended[place] for place in range(len(computations))]


def alone(computation: Stepwise[T]) -> T:
    """Carry out one computation."""
    (found,) = together([computation])
    return found
