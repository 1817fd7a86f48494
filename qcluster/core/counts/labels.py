"""Short names for bitstrings in figures and tables, where whole ones would fill the page."""

from collections.abc import Sequence

WHOLE = 12
"""Bits up to which a bitstring is written as it is; longer ones are written in hexadecimal."""
_LONGEST = 12
"""Hexadecimal digits that are all written; of more, the middle is left out."""


def short_labels(texts: Sequence[str], whole: int = WHOLE) -> list[str]:
    """Name bitstrings shortly: whole up to 12 bits, in hexadecimal up to 48, beyond with the middle left out.

    As many digits stay as tell the strings apart.

    Args:
        texts: distinct bitstrings of one length, as Qiskit prints them.
        whole: bits up to which they are written as they are, where there is more room than below an axis.

    Example:
        >>> short_labels(["0101"]), short_labels(["0" * 20, "1" * 20]), short_labels(["0" * 126 + "11"])
        (['0101'], ['0x00000', '0xfffff'], ['0x0000…0003'])
    """
    if not texts or len(texts[0]) <= whole:
        return list(texts)
    digits = -(-len(texts[0]) // 4)
    numbers = [f"{int(text, 2):0{digits}x}" for text in texts]
    for kept in range(4, digits // 2):
        names = [name if digits <= _LONGEST else f"{name[:kept]}…{name[-kept:]}" for name in numbers]
        if len(set(names)) == len(names):
            return [f"0x{name}" for name in names]
    return [f"0x{name}" for name in numbers]
