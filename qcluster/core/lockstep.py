"""Run many computations in lockstep, and answer their array requests in batches.

On small counts most of the time goes into calls to NumPy, not into arithmetic. A computation is therefore a generator,
written for a single set of counts: it yields a `Request` for each heavy step (EM, selection, deconvolution) and is sent
the answer. One computation and a thousand run the same code, and a thousand need few more calls than one.
"""

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Request:
    """Work that a computation hands over to be done in a batch."""

    work: Callable[[Sequence[Any]], Sequence[Any]]
    """Maps the inputs of several computations to their answers; an answer must not depend on the other inputs."""
    key: Hashable
    """Requests with the same `work` and `key` are answered in one call."""
    asked: Any
    """Input of this computation."""


Stepwise = Generator[Request, Any, T]
"""A computation that yields requests, is sent their answers, and returns its result."""


# OpenBLAS sometimes sets the "invalid" flag for unused lanes beyond short rows; the results are finite.
@np.errstate(invalid="ignore")
def run_all(computations: Sequence[Stepwise[T]]) -> list[T]:
    """Run computations in lockstep until all have ended, and return their results in order.

    The work and key with the most waiting computations come first, so that batches are large.

    Example:
        >>> def squares(numbers): return [x**2 for x in numbers]
        >>> def fourth(x): return (yield Request(squares, None, (yield Request(squares, None, x))))
        >>> run_all([fourth(2), fourth(3)])
        [16, 81]
    """
    results: dict[int, T] = {}
    waiting: dict[tuple[Callable[[Sequence[Any]], Sequence[Any]], Hashable], dict[int, Any]] = {}
    replies: dict[int, Any] = dict.fromkeys(range(len(computations)))
    while replies:
        for index, reply in replies.items():
            try:
                request = computations[index].send(reply)
                waiting.setdefault((request.work, request.key), {})[index] = request.asked
            except StopIteration as end:
                results[index] = end.value
        if not waiting:
            break
        work, key = max(waiting, key=lambda group: len(waiting[group]))
        batch = waiting.pop((work, key))
        replies = dict(zip(batch, work(list(batch.values())), strict=True))
    return [results[index] for index in range(len(computations))]


def run_one(computation: Stepwise[T]) -> T:
    """Run one computation."""
    (result,) = run_all([computation])
    return result
