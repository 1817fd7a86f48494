"""What messages and texts have in common: numbers of things, and values as they came."""

from collections.abc import Iterable
from typing import Any

import numpy as np

_LONGEST = 60
"""Characters of a value that a message shows."""


def many(number: float, noun: str, form: str = ".12g") -> str:
    """Say how many there are of something: one in the singular, all others in the plural.

    Example:
        >>> many(1, "shot"), many(0.5, "shot"), many(1234567, "shot", ",")
        ('1 shot', '0.5 shots', '1,234,567 shots')
    """
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"


def near(name: str, known: Iterable[str], most: int = 3) -> str:
    """Ask whether one of the names known is meant that are spelled nearly as `name`, to be put behind a message;
    nothing where none is.

    Example:
        >>> near("hamer", ["hammer", "m3"]), near("nothing", ["hammer", "m3"])
        ('; did you mean hammer?', '')
    """
    import difflib  # for messages alone: not when the package is imported

    found = difflib.get_close_matches(name, list(known), n=most)
    return f"; did you mean {' or '.join(found)}?" if found else ""


def shown(value: Any) -> str:
    """Show a value in a message as Python writes it, numbers of NumPy like all others; cut where it is long.

    Example:
        >>> shown(np.int64(6)), shown([np.float64(0.5), "a"])
        ('6', "[0.5, 'a']")
    """
    with np.printoptions(legacy="1.25"):  # since NumPy 2 they are np.int64(6)
        return f"{value!r:.{_LONGEST}}"
