"""Fields of settings that are checked when settings are made: each says its range, and refuses all else in words.

Settings are attrs classes: ``@attrs.frozen``, one line a field, and ``attrs.evolve`` makes changed copies. Why attrs:
its validators run for every field, so that none can be forgotten; it parses and converts nothing; and it is imported in
less than 20 ms. The messages are ours, since users read them: the field, what must hold, and what came.
"""

from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import attrs
import numpy as np


@attrs.frozen
class Range:
    """What a field may hold: numbers between two ends, each of which may be excluded; or a tuple of such numbers.

    Infinite ends are never reached: all numbers must be finite. True and False are no numbers.

    Example:
        >>> Range(0.0, 0.5, open_high=True).words
        'a number in [0, 0.5)'
    """

    low: float
    """Smallest number."""
    high: float = inf
    """Largest number."""
    open_low: bool = False
    """Whether `low` itself is excluded."""
    open_high: bool = False
    """Whether `high` itself is excluded."""
    whole: bool = False
    """Whether numbers must be whole: an int, or an integer of NumPy."""
    several: bool = False
    """Whether the field holds a tuple of such numbers, at least one."""

    @property
    def interval(self) -> str:
        """The range as mathematics writes it, such as ``(0, 0.5)``; infinite ends are open."""
        left = "(" if self.open_low or self.low == -inf else "["
        right = ")" if self.open_high or self.high == inf else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"

    @property
    def words(self) -> str:
        """What must hold."""
        kind = "whole number" if self.whole else "number"
        return f"a tuple of at least one {kind} in {self.interval}" if self.several else f"a {kind} in {self.interval}"

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        """Check a value; attrs calls this.

        Raises:
            TypeError: not a number, or not a tuple of numbers.
            ValueError: out of range, NaN, infinite, or an empty tuple.
        """
        if self.several and not isinstance(value, tuple):
            raise TypeError(f"{attribute.name} must be {self.words}; got {value!r}")
        held = value if self.several else (value,)
        for one in held:
            if not isinstance(one, Integral if self.whole else Real) or isinstance(one, (bool, np.bool_)):
                raise TypeError(f"{attribute.name} must be {self.words}; got {value!r}")
        if not held or not all(self._holds(one) for one in held):
            raise ValueError(f"{attribute.name} must be {self.words}; got {value!r}")

    def _holds(self, one: Any) -> bool:
        above = self.low < one if self.open_low else self.low <= one
        below = one < self.high if self.open_high else one <= self.high
        return isfinite(one) and above and below


def within(default: Any, low: float, high: float = inf, **how: bool) -> Any:
    """Declare a field that holds numbers of a range.

    Args:
        default: of the field.
        low: smallest number.
        high: largest number.
        how: `open_low`, `open_high`, `whole`, `several`; see `Range`.

    Example:
        >>> @attrs.frozen
        ... class Knobs:
        ...     rounds: int = within(3, 1, whole=True)
        >>> Knobs(0)
        Traceback (most recent call last):
        ValueError: rounds must be a whole number in [1, inf); got 0
    """
    return attrs.field(default=default, validator=Range(low, high, **how))
