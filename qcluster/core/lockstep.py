"""Many computations in lockstep: what they ask for is worked out for all of them at once.

On small counts the time goes into calls, not arithmetic. A computation is written for one set of counts, as a
generator: it yields a `Request` where arrays are at work (EM, selection, deconvolution), and is sent the answer. One
computation or a thousand run through the same lines, and a thousand take few more calls than one.
"""

from collections.abc import Generator, Hashable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Request(Protocol):
    """What a computation asks for."""

    @property
    def key(self) -> Hashable:
        """Requests of one key are answered at once."""

    def answers(self, alike: Sequence[Any]) -> Sequence[Any]:
        """Answer requests of this one's key, itself among them; an answer must not depend on the others.

        In place of an answer may come the request for what is left to do; of a single request it may not.
        """


Stepwise = Generator[Request, Any, T]
"""A computation that yields requests, is sent their answers, and returns its result."""


# OpenBLAS raises the flag, now and then, for lanes beyond short rows: the results are finite.
@np.errstate(invalid="ignore")
def together(computations: Sequence[Stepwise[T]]) -> list[T]:
    """Carry out computations in lockstep, until all have ended; give what they return.

    The key for which most wait is answered first: meanwhile others come to wait for the same.

    Example:
        >>> class Square:
        ...     key = "square"
        ...     def __init__(self, x): self.x = x
        ...     def answers(self, alike): return [one.x**2 for one in alike]
        >>> def fourth(x): return (yield Square((yield Square(x))))
        >>> together([fourth(2), fourth(3)])
        [16, 81]
    """
    ended: dict[int, T] = {}
    waiting: dict[Hashable, dict[int, Request]] = {}
    replies: dict[int, Any] = dict.fromkeys(range(len(computations)))
    while replies:
        for place, reply in replies.items():
            try:
                asked = reply if hasattr(reply, "answers") else computations[place].send(reply)
                waiting.setdefault((type(asked), asked.key), {})[place] = asked
            except StopIteration as end:
                ended[place] = end.value
        alike = waiting.pop(max(waiting, key=lambda key: len(waiting[key]))) if waiting else {}
        answers = next(iter(alike.values())).answers(list(alike.values())) if alike else ()
        replies = dict(zip(alike, answers, strict=True))
    return [ended[place] for place in range(len(computations))]


def alone(computation: Stepwise[T]) -> T:
    """Carry out one computation."""
    (found,) = together([computation])
    return found
