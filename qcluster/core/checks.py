"""Checks of arguments and settings. A message names the setting, its valid range, and the value received."""

from collections.abc import Collection, Mapping
from math import inf, isfinite
from numbers import Integral, Number, Real
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.words import short_repr

EXPECT = ("sparse", "dense")
"""What a user may state about the ideal output: few strings, or many."""


def check_whole(name: str, value: Any, least: int, most: float = inf) -> int:
    """Return a whole number as an int; ValueError if it is not one or is out of range. True is not a number here.

    Example:
        >>> check_whole("rounds", 3, 1)
        3
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:
        ends = f"of at least {least}" if most == inf else f"from {least} to {most:.0f}"
        raise ValueError(f"{name} must be a whole number {ends}; got {short_repr(value)}")
    return int(value)


def check_real(
    name: str,
    value: Any,
    low: float,
    high: float = inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    kind: str = "a finite number",
) -> float:
    """Return a finite number within a range as a float; ValueError for anything else.

    Args:
        name: name of the setting, for the message.
        value: the value received.
        low, high: ends of the range.
        open_low, open_high: whether that end is excluded.
        kind: description of a valid value, for the message.

    Example:
        >>> check_real("contraction", 1, 0, 1, open_low=True)
        1.0
        >>> check_real("rate", 0.5, 0, 0.5, open_high=True)
        Traceback (most recent call last):
        ValueError: rate must be a finite number in [0, 0.5); got 0.5
    """
    try:
        fits = isinstance(value, Real) and not isinstance(value, (bool, np.bool_)) and isfinite(value)
    except OverflowError:  # a whole number too large for a float
        fits = False
    if not fits or not low <= value <= high or (open_low and value == low) or (open_high and value == high):
        start = "above" if open_low else "of at least"
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        ends = f" in {left}{low:g}, {high:g}{right}" if high < inf else f" {start} {low:g}" if low > -inf else ""
        raise ValueError(f"{name} must be {kind}{ends}; got {short_repr(value)}")
    return float(value)


def real_array(name: str, values: Any) -> Floats:
    """Return numbers as a new array of floats; TypeError for text, True, dates and 1j, which NumPy would convert.

    Raises:
        OverflowError: a whole number is too large for a float.

    Example:
        >>> real_array("rates", [1, 2.5])
        array([1. , 2.5])
        >>> real_array("rates", ["1", "2.5"])
        Traceback (most recent call last):
        TypeError: rates must be numbers; got ['1', '2.5']
    """
    try:
        array = np.asarray(None if isinstance(values, Mapping) else values)  # NumPy might use the keys of a mapping
        if array.dtype.kind in "iuf" or (array.dtype == object and all(map(_is_real, array.flat))):
            return array.astype(np.float64)
    except (TypeError, ValueError):  # lists of unequal lengths, or not convertible to an array at all
        pass
    raise TypeError(f"{name} must be numbers; got {short_repr(values)}")


def _is_real(value: Any) -> bool:
    """Return whether a value is a real number of any kind, including fractions and decimals; True does not count."""
    return isinstance(value, Number) and not isinstance(value, (bool, complex, np.complexfloating))


def check_flag(name: str, value: Any) -> bool:
    """Return a boolean; ValueError for anything else, even though Python could interpret it as one."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False; got {short_repr(value)}")
    return bool(value)


def make_rng(seed: Any) -> "np.random.Generator":
    """Make a random generator from a seed, by NumPy's `default_rng`; ValueError if it is not a valid seed."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(
            f"seed must be a whole number of at least 0, a numpy Generator, or None; got {short_repr(seed)}"
        ) from None


def check_choice(name: str, value: Any, known: Collection[str | None]) -> None:
    """Raise ValueError if a value is not one of the known names."""
    if not (value is None or isinstance(value, str)) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(str, known))}; got {short_repr(value)}")
