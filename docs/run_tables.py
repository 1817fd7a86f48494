"""Tables of the pages on compiled circuits and measured noise, written as Markdown when the pages are built."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

Row = dict[str, str]


def outside(rows: list[Row]) -> str:
    """Every method under every calibration, by machine."""
    from benchmarks.outside import table as written

    return written(rows, "machine")


def circuit_noisy(rows: list[Row]) -> str:
    """Heavy noise and wide registers."""
    columns = ("raw", "mitigate", "stale", "counts_alone")
    lines = (
        [row["machine"].removeprefix("fake_"), f"{row['circuit']} {row['qubits']}", row["outcomes"]]
        + [f"{float(row[name]):.3f}" for name in columns]
        + [f"{row['cpu_seconds']} s, {row['peak_mb']} MB"]
        for row in rows
    )
    head = ["machine", "circuit", "outcomes", "raw", "`mitigate(run)`", "stale", "counts alone", "cost"]
    return table(head, lines)


def circuit_machines(rows: list[Row]) -> str:
    """Broad outputs: mean fidelity, share of the loss won back, and the worst change."""
    shown = ("mitigate", "stale", "counts_alone", "m3", "hammer")
    groups: dict[tuple[str, str], list[Row]] = {}
    stale = {place(row): float(row["mitigate"]) for row in rows if row["calibration"] == "stale"}
    for row in rows:
        if row["calibration"] == "fresh" and row["circuit"] not in ("ghz", "bv", "w"):
            groups.setdefault((row["qubits"], row["shots"]), []).append(row)
    lines = []
    for group, members in groups.items():
        ideal, raw = ([float(row[name]) for row in members] for name in ("noiseless", "raw"))
        cells = []
        for name in shown:
            found = [stale[place(row)] if name == "stale" else float(row[name]) for row in members]
            gain = [one - before for one, before in zip(found, raw, strict=True)]
            back = sum(gain) / (sum(ideal) - sum(raw))
            cells.append(f"{short(sum(found) / len(found))}, {100 * back:.0f} %, {short(min(gain), sign='+')}")
        lines.append([*group, short(sum(ideal) / len(ideal)), short(sum(raw) / len(raw)), *cells])
    head = ["qubits", "shots", "ideal shots", "raw", "`mitigate(run)`", "stale", "counts alone", "M3", "HAMMER"]
    return table(head, lines)


def circuit_brussels(rows: list[Row]) -> str:
    """Records of a real machine under a calibration of another day."""
    columns = ("raw", "mitigate", "counts_alone")
    lines = (
        [row["record"].removeprefix("brussels/"), row["bits"]]
        + [f"{float(row[name]):.3f}" for name in columns]
        + [row["cpu_seconds"]]
        for row in rows
    )
    return table(["record", "bits", "raw", "`mitigate(counts, faults)`", "counts alone", "CPU seconds"], lines)


RECORDED = {
    "dem-ghz20": "GHZ, 20 bits",
    "dem-dicke10": "W (Dicke), 10 bits",
    "dem-grover5": "Grover, 5 bits",
    "dem-phase_estimation6": "phase estimation, 6 bits",
}
"""Experiments with a reference circuit, and what the page calls them."""


def reference_recorded(rows: list[Row]) -> str:
    """Experiments on hardware, from counts and the reference's counts alone."""
    found, columns = {row["experiment"]: row for row in rows}, ("raw", "hammer", "dem", "counts", "measured")
    lines = ([label, *(short(float(found[name][key])) for key in columns)] for name, label in RECORDED.items())
    return table(["experiment", "raw", "HAMMER", "DEM", "`mitigate(counts)`", "`mitigate(counts, noise=...)`"], lines)


def reference_hidden(rows: list[Row]) -> str:
    """The simulated study of reference circuits, by family."""
    from benchmarks.reference import HEAD, by_family

    return table(HEAD, by_family(rows))


def place(row: Row) -> tuple[str, ...]:
    """Tell which run a row is of."""
    return row["machine"], row["qubits"], row["circuit"], row["shots"]


TABLES: tuple[Callable[[list[Row]], str], ...] = (
    outside,
    circuit_noisy,
    circuit_machines,
    circuit_brussels,
    reference_recorded,
    reference_hidden,
)


def pages(results: Path) -> dict[str, str]:
    """Write every table: the name of its file, and its text."""
    found = {}
    for one in TABLES:
        with (results / f"{one.__name__}.csv").open(encoding="utf-8", newline="") as lines:
            found[f"{one.__name__}.md"] = one(list(csv.DictReader(lines)))
    return found


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Write Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *lines])


def short(value: float, sign: str = "") -> str:
    """Write a figure without the zero before its point."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1)
