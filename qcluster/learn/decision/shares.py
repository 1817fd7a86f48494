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
    "circuit-clouds": 2.0,
}
"""Cases from each source of circuits, relative to those of the source "circuit"."""
_OF_WIDE_CIRCUITS = {"circuit-wide": 1.0, "circuit-smooth": 0.4, "circuit-foreign-wide": 0.3}
"""Cases from each source of circuits of more than 12 bits, relative to those of the source "circuit-wide"."""


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
        "near": wide // 5,
        "chains": wide // 4,
        "faint": full // 10,
        "tails": full // 20,
        "near-on-few": full // 10,
        "clouds": wide // 5,
        "clouds-on-few": full // 30,
    }


def of_circuits(circuits: int, wide: int = 0, measured: int = 0) -> dict[str, int]:
    """Return the number of cases from each source of a table of known circuits.

    Args:
        circuits: cases from "circuit"; the others, nearly all of up to 12 bits, in proportion.
        wide: in place of them, cases from "circuit-wide", and the others of more than 12 bits in proportion.
        measured: in place of them, cases whose rates a reference measured.

    Example:
        >>> of_circuits(18)["circuit-own"], of_circuits(0, 10)["circuit-smooth"]
        (36, 4)
    """
    if measured:
        return {"circuit-measured": measured}
    number, shares = (wide, _OF_WIDE_CIRCUITS) if wide else (circuits, _OF_CIRCUITS)
    return {source: round(number * share) for source, share in shares.items()}
