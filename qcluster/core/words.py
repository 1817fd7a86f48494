"""Formatting of messages: quantities with their nouns, values, and suggestions for misspelled names."""

from collections.abc import Iterable
from typing import Any

import numpy as np

_LONGEST = 60
"""Largest number of characters of a value that a message shows."""


def plural(number: float, noun: str, form: str = ".12g") -> str:
    """Format a quantity with its noun, in the singular for 1 and in the plural for all others.

    Example:
        >>> plural(1, "shot"), plural(0.5, "shot"), plural(1234567, "shot", ",")
        ('1 shot', '0.5 shots', '1,234,567 shots')
    """
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a suggestion of known names with a similar spelling, to be appended to a message; empty if there is none.

    Capital and small letters count as equal.

    Example:
        >>> suggestion("hamer", ["hammer", "m3"]), suggestion("nothing", ["hammer", "m3"])
        ('; did you mean hammer?', '')
    """
    import difflib  # only messages need it, so it is not loaded with the package

    lowered = {other.lower(): other for other in known}
    matches = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered)]
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def short_repr(value: Any) -> str:
    """Return the repr of a value for a message, with NumPy numbers written as plain ones, truncated if it is long.

    Example:
        >>> short_repr(np.int64(6)), short_repr([np.float64(0.5), "a"])
        ('6', "[0.5, 'a']")
    """
    with np.printoptions(legacy="1.25"):  # NumPy 2 writes np.int64(6)
        return f"{value!r:.{_LONGEST}}"
