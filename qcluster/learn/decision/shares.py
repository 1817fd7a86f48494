"""Number of cases from each source of a table, see `qcluster.learn.decision.table.SOURCES`."""

_OF_CIRCUITS = {
    "circuit": 1.0,
    "circuit-right": 15 / 18,
    "circuit-foreign": 6 / 18,
    "circuit-sharp": 5 / 18,
    "circuit-clean": 4.5 / 18,
    "circuit-tails": 9 / 18,
    "circuit-own": 2.0,
    "circuit-smooth": 2.25 / 18,
    "circuit-wide": 2 / 18,
}
"""Cases from each source of circuits, relative to those of the source "circuit"."""


def of_counts(full: int, wide: int, sharp: int) -> dict[str, int]:
    """Return the number of cases from each source of a table of counts.

    Args:
        full: cases of 1 to 12 bits from the whole range of outputs and noise.
        wide: such cases of 13 to 127 bits.
        sharp: cases of few strings under equal flip rates.

    Example:
        >>> of_counts(100, 24, 0)["turned"]
        5
    """
    return {
        "full": full,
        "wide": wide,
        "sharp": sharp,
        "loose": wide // 3,
        "deep": wide // 4,
        "smooth": wide // 8,
        "plain": wide // 4,
        "turned": wide * 5 // 24,
        "chains": wide // 4,
        "faint": full // 10,
        "tails": full // 20,
    }


def of_circuits(circuits: int) -> dict[str, int]:
    """Return the number of cases from each source of a table of known circuits, `circuits` of them from "circuit".

    Example:
        >>> of_circuits(18)["circuit-own"]
        36
    """
    return {source: round(circuits * share) for source, share in _OF_CIRCUITS.items()}
