"""Tables of the page on rates, written as Markdown from benchmarks/results/rates_*.csv when the pages are built."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

SETS = ("first", "second", "third", "fourth")
PARTS = ("all", "peaked", "spread")
Row = dict[str, str]

SATURATED = {
    "as they are": "**learned as they are**",
    "left out": "left out",
    "at least so much (Tobit)": "learned as bounds",
}
SPLITS = {
    "grouped leave-one-circuit-out": "circuits, in groups (two names are one circuit)",
    "leave-one-circuit-out": "circuits one by one",
    "leave-one-family-out": "families",
    "leave-one-machine-out": "machines",
    "random 5-fold": "random fifths",
}
BRUSSELS = {
    "cat_state_n22": "cat, 22 qubits",
    "bv_n14": "Bernstein-Vazirani, 14",
    "ghz_state_n11": "GHZ, 11",
    "bv_n19": "Bernstein-Vazirani, 19",
    "wstate_n27": "W, 27",
    "wstate_n3": "W, 3",
}
FRESH = {
    "estimate": "**estimate**",
    "untrained kernel best": "untrained kernel best",
    "untrained kernel speckle": "untrained kernel speckle",
    "mean of plug-in and 1-esp^(1/m)": "mean of plug-in and 1-esp^(1/m)",
    "plug-in": "plug-in",
    "closed form with idling": "closed form with idling",
    "1-esp^(1/m)": "1-esp^(1/m)",
    "constant": "a constant, the mean of the table",
    "oracle: ideal known": "oracle: the ideal output, published noise",
    "oracle: both known": "oracle: both, noise as it was",
}
USE = {
    "raw": ("raw", "raw"),
    "no rates": ("", "default: none"),
    "true": ("paper: true", "default: true"),
    "**estimated**": ("paper: estimated, for clusters", "default: estimated, per bit"),
    "a constant, the mean of the table": ("paper: constant", "default: constant"),
    ".12": ("paper: constant .12", "default: constant .12"),
}
CLUSTERS = {
    "raw": "raw",
    "true": "the true effective rate",
    "estimated": "the estimated one",
    "constant": "a constant, the mean of the table",
    "constant .12": ".12",
    "nearest to the answer under its faults": "**nearest to the answer under the faults**",
    "nearest to the answer from the counts alone": (
        "**nearest to the answer under rates estimated from the counts alone**"
    ),
    "nearest to the ideal output": "oracle: nearest to the ideal output",
}
"""What the files call a row, and what the page calls it."""


def saturated(rows: list[Row]) -> str:
    """R2 by how labels that saturate are learned."""
    parts = ("all", "peaked", "spread", "not saturated")
    r2 = {(row["saturated labels"], row["part"]): short(row["r2"]) for row in rows}
    lines = ([label, *(r2[key, part] for part in parts)] for key, label in SATURATED.items())
    return table(["saturated labels", *parts], lines)


def published(rows: list[Row]) -> str:
    """R2 and mean absolute error on the published table, by what is left out."""
    told = {(row["split"], row["model"]): f"{short(row['r2'])} / {short(row['mae'])}" for row in rows}
    models = {"ours": "ours", "plain ExtraTrees": "plain ExtraTrees, eight columns"}
    models["1-esp^(1/m)"] = "closed form 1-esp^(1/m)"
    lines = ([label, *(told[split, model] for model in models.values())] for split, label in SPLITS.items())
    return table(["left out", *models], lines)


def transfer(rows: list[Row]) -> str:
    """How a model of simulations does on the published table."""
    ours = [row for row in rows if row["model"].startswith("ours")]
    whole, cut = ours[0], next(row for row in ours if "cut" in row["part"])
    rest = next(row for row in ours if row["part"].startswith("all but"))
    (form,) = (row for row in rows if row["model"] == "closed form 1-esp^(1/m)")
    between = f" ({short(whole['r2_low'], 2)} to {short(whole['r2_high'], 2)})"
    lines = [
        ["ours", short(whole["r2"]) + between],
        [f"ours on the paper's own cut, ideal entropy at most .6 ({cut['rows']} rows)", short(cut["r2"])],
        [f"ours without three circuits ({rest['rows']} rows)", short(rest["r2"])],
        ["1-esp^(1/m)", short(form["r2"])],
    ]
    held = [[short(row["mae"]), percent(row["coverage_of_80"])] for row in (whole, cut, rest, form)]
    return table(["", "R2", "MAE", "holds of 80 %"], ([*a, *b] for a, b in zip(lines, held, strict=True)))


def brussels(rows: list[Row]) -> str:
    """Predicted beside published rates of six records."""
    found, lines = {row["record"].removeprefix("brussels/"): row for row in rows}, []
    for name, label in BRUSSELS.items():
        row = found[name]
        low, high = row["all_interval"].split("-")
        outside = "" if row["in_range"] == "True" else " (outside the range)"
        cells = [label + outside, short(row["published"]), short(row["all"]), f"{short(low)} - {short(high)}"]
        lines.append([*cells, short(row["circuit_and_counts"]), short(row["counts_only"])])
    return table(["run", "published", "predicted", "80 % interval", "circuit and counts", "counts only"], lines)


def fresh(rows: list[Row]) -> str:
    """R2, mean absolute error and intervals on runs of circuits and machines outside the table."""
    found = {(row["set"], row["part"], row["rates"]): row for row in rows}
    places = [(name, part) for name in SETS for part in PARTS]

    def explained(row: Row, part: str) -> str:
        return short(row["r2"]) + (f" / {short(row['mae'])}" if part == "all" else "")

    lines = [
        [label, *(explained(found[name, part, key], part) for name, part in places)] for key, label in FRESH.items()
    ]
    columns = {"coverage_of_80": "80 % interval holds", "share_of_three": "three circuits have of the squared error"}
    for column, label in columns.items():
        lines.append([label, *(percent(found[name, part, "estimate"][column]) for name, part in places)])
    return table(["", *(f"{name}: {part}" if part == "all" else part for name, part in places)], lines)


def use(rows: list[Row]) -> str:
    """What the rates are worth: fidelity of both methods, and the share harmed in brackets; a table a set."""
    kinds = ("mean of", "harmed of")
    found = {(row["set"], row["part"], row["run"].split()[0]): row for row in rows if row["run"].startswith(kinds)}

    def cell(name: str, part: str, column: str) -> str:
        if not column:
            return ""
        harm = "" if column == "raw" else f" ({percent(found[name, part, 'harmed'][column])})"
        return short(found[name, part, "mean"][column]) + harm

    tables = []
    for name in SETS:
        lines = (
            [label, *(cell(name, part, column) for column in columns for part in PARTS[1:])]
            for label, columns in USE.items()
        )
        head = ["", f"{name}: paper, peaked", "paper, spread", "default, peaked", "default, spread"]
        tables.append(table(head, lines))
    return "\n".join(tables)


def clusters(rows: list[Row]) -> str:
    """Fidelity of the published method by the rate that it is given, and the share harmed in brackets."""
    found = {(row["rate"], row["part"]): row for row in rows}

    def cell(key: str, part: str) -> str:
        row = found[key, part]
        return short(row["fidelity"]) + ("" if key == "raw" else f" ({percent(row['harmed'])})")

    lines = ([label, *(cell(key, part) for part in PARTS[1:])] for key, label in CLUSTERS.items())
    return table(["", *PARTS[1:]], lines)


TABLES = (saturated, published, transfer, brussels, fresh, use, clusters)


def pages(results: Path) -> dict[str, str]:
    """Write every table: the name of its file, and its text."""
    found = {}
    for one in TABLES:
        with (results / f"rates_{one.__name__}.csv").open(encoding="utf-8", newline="") as lines:
            found[f"rates_{one.__name__}.md"] = one(list(csv.DictReader(lines)))
    return found


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Write Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *lines])


def short(text: str, digits: int = 3) -> str:
    """Write a figure without the zero before its point; what is far below 0 by that alone."""
    return "below -1" if float(text) < -1 else f"{float(text):.{digits}f}".replace("0.", ".", 1)


def percent(text: str) -> str:
    """Write a share."""
    return f"{100 * float(text):.0f} %" if text else ""
