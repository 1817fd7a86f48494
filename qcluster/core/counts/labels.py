"""Short labels for bitstrings in figures and tables where the full strings would not fit."""

from collections.abc import Sequence

FULL_WIDTH = 12
"""Largest width of a bitstring that is written in full; wider ones are written in hexadecimal."""
_LONGEST = 12
"""Largest number of hexadecimal digits written in full; longer labels leave out the middle."""


def short_labels(texts: Sequence[str], whole: int = FULL_WIDTH) -> list[str]:
    """Abbreviate bitstrings: in full up to 12 bits, in hexadecimal up to 48, beyond that with the middle left out.

    Enough digits are kept to tell the strings apart.

    Args:
        texts: distinct bitstrings of equal length, as Qiskit prints them.
        whole: largest width written in full; raise it where there is more room than below an axis.

    Example:
        >>> short_labels(["0101"]), short_labels(["0" * 20, "1" * 20]), short_labels(["0" * 126 + "11"])
        (['0101'], ['0x00000', '0xfffff'], ['0x0000…0003'])
    """
    if not texts or len(texts[0]) <= whole:
        return list(texts)
    digits = -(-len(texts[0]) // 4)
    full = [f"{int(text, 2):0{digits}x}" for text in texts]
    for n_kept in range(4, digits // 2):
        labels = [label if digits <= _LONGEST else f"{label[:n_kept]}…{label[-n_kept:]}" for label in full]
        if len(set(labels)) == len(labels):
            return [f"0x{label}" for label in labels]
    return [f"0x{label}" for label in full]
