"""Tables of the pages on the decision, rates, circuits, measured noise and M3, as Markdown when the pages are built."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

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
RECORDED = {
    "dem-ghz20": "GHZ, 20 bits",
    "dem-dicke10": "W (Dicke), 10 bits",
    "dem-grover5": "Grover, 5 bits",
    "dem-phase_estimation6": "phase estimation, 6 bits",
}
KINDS = ("clean", "deep", "even", "machine", "wide", "all")
OUTSIDE = {
    "outside": "circuits of 22 families, on six machines",
    "programs-unseen": "random programs, on machines that the training knows",
    "wide_programs_unseen": "wide programs of Clifford gates, on six machines that it does not know",
}
ABLATED = {
    "nothing": "nothing",
    "the screen": "the screen (uniform noise is left before anything is weighed)",
    "the word of confidence": "the word of confidence (every answer is applied)",
    "overlaps": "overlaps of candidates",
    "recorded sets": "recorded sets",
    "the weight of harm": "the weight of harm",
}
"""What the files call a row, and what the page calls it."""


def rates_saturated(rows: list[Row]) -> str:
    """R2 by how labels that saturate are learned."""
    parts = ("all", "peaked", "spread", "not saturated")
    r2 = {(row["saturated labels"], row["part"]): short(row["r2"]) for row in rows}
    lines = ([label, *(r2[key, part] for part in parts)] for key, label in SATURATED.items())
    return table(["saturated labels", *parts], lines)


def rates_published(rows: list[Row]) -> str:
    """R2 and mean absolute error on the published table, by what is left out."""
    told = {(row["split"], row["model"]): f"{short(row['r2'])} / {short(row['mae'])}" for row in rows}
    models = {"ours": "ours", "plain ExtraTrees": "plain ExtraTrees, eight columns"}
    models["1-esp^(1/m)"] = "closed form 1-esp^(1/m)"
    lines = ([label, *(told[split, model] for model in models.values())] for split, label in SPLITS.items())
    return table(["left out", *models], lines)


def rates_transfer(rows: list[Row]) -> str:
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


def rates_brussels(rows: list[Row]) -> str:
    """Predicted beside published rates of six records."""
    found, lines = {row["record"].removeprefix("brussels/"): row for row in rows}, []
    for name, label in BRUSSELS.items():
        row = found[name]
        low, high = row["all_interval"].split("-")
        outside = "" if row["in_range"] == "True" else " (outside the range)"
        cells = [label + outside, short(row["published"]), short(row["all"]), f"{short(low)} - {short(high)}"]
        lines.append([*cells, short(row["circuit_and_counts"]), short(row["counts_only"])])
    return table(["run", "published", "predicted", "80 % interval", "circuit and counts", "counts only"], lines)


def rates_fresh(rows: list[Row]) -> str:
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


def rates_use(rows: list[Row]) -> str:
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


def rates_clusters(rows: list[Row]) -> str:
    """Fidelity of the published method by the rate that it is given, and the share harmed in brackets."""
    found = {(row["rate"], row["part"]): row for row in rows}

    def cell(key: str, part: str) -> str:
        row = found[key, part]
        return short(row["fidelity"]) + ("" if key == "raw" else f" ({percent(row['harmed'])})")

    lines = ([label, *(cell(key, part) for part in PARTS[1:])] for key, label in CLUSTERS.items())
    return table(["", *PARTS[1:]], lines)


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
    from benchmarks.circuit_machines import won_back

    shown = ("mitigate", "stale", "counts_alone", "m3", "hammer")
    groups: dict[tuple[str, str], list[Row]] = {}
    stale = {place(row): float(row["mitigate"]) for row in rows if row["calibration"] == "stale"}
    for row in rows:
        if row["calibration"] == "fresh" and row["circuit"] not in ("ghz", "bv", "w"):
            groups.setdefault((row["qubits"], row["shots"]), []).append(row)
    lines = []
    for group, members in groups.items():
        ideal, raw = (np.array([float(row[name]) for row in members]) for name in ("noiseless", "raw"))
        cells = []
        for name in shown:
            found = np.array([stale[place(row)] if name == "stale" else float(row[name]) for row in members])
            mean, back, worst = won_back(found, raw, ideal)
            cells.append(f"{short(mean)}, {100 * back:.0f} %, {short(worst, sign='+')}")
        lines.append([*group, short(ideal.mean()), short(raw.mean()), *cells])
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


def reference_recorded(rows: list[Row]) -> str:
    """Experiments on hardware, from counts and the reference's counts alone."""
    found, columns = {row["experiment"]: row for row in rows}, ("raw", "hammer", "dem", "counts", "measured")
    lines = ([label, *(short(found[name][key]) for key in columns)] for name, label in RECORDED.items())
    return table(["experiment", "raw", "HAMMER", "DEM", "`mitigate(counts)`", "`mitigate(counts, noise=...)`"], lines)


def reference_hidden(rows: list[Row]) -> str:
    """The simulated study of reference circuits, by family."""
    from benchmarks.reference import HEAD, by_family

    return table(HEAD, by_family(rows))


def bias(rows: list[Row]) -> str:
    """The largest bias and the rms error over the observables, of each case and method."""
    cases: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        case = cases.setdefault((row["noise"], row["ideal"]), {})
        case.setdefault(row["method"], []).append((abs(float(row["bias"])), float(row["rms"])))
    methods, lines = list(next(iter(cases.values()))), []
    for named, held in cases.items():
        pairs = [zip(*held[method], strict=True) for method in methods]
        cells = [f"{max(off):.3f} / {(sum(one**2 for one in rms) / len(rms)) ** 0.5:.3f}" for off, rms in pairs]
        lines.append([*named, *cells])
    return table(["errors", "ideal", *methods], lines)


def decision_fresh(rows: list[Row]) -> str:
    """How the decision does on draws that no table holds, by kind of noise, and on fixed and free bits."""
    few = [row for row in rows if row["left_out"] == "fresh draws" and row["group"] in KINDS]
    lines = {row["group"]: judged(row["group"], row) for row in few}
    (fixed,) = (row for row in rows if row["left_out"] == "fixed and free bits" and row["group"] == "all")
    return table(JUDGED, [*(lines[kind] for kind in KINDS), judged("fixed and free bits", fixed)])


def decision_outside(rows: list[Row]) -> str:
    """The same on circuits outside the training, and on families of drawn outputs by networks that never saw them."""
    lines = [
        judged(OUTSIDE[row["group"]], row)
        for row in rows
        if row["left_out"] == "circuits outside" and row["group"] in OUTSIDE
    ]
    return table(JUDGED, [*lines, judged("drawn, family left out", together(families(rows)))])


def decision_recorded(rows: list[Row]) -> str:
    """Recorded sets by the gate that ships, and by one that was trained without the set."""
    shipped = {row["group"]: row for row in rows if row["left_out"] == "nothing"}
    blind = {row["group"]: row for row in rows if row["left_out"] == "the set"}

    return table(
        ["set", "number", "raw", "shipped: answer, harmed, worst", "set left out: answer, harmed, worst"],
        (
            [name, row["cases"], f"{float(row['raw']):.3f}", outcome(row, "+"), outcome(blind[name], "+")]
            for name, row in shipped.items()
            if name in blind
        ),
    )


def decision_wide(rows: list[Row]) -> str:
    """Outputs of more than 12 bits in recorded sets, by a gate that was trained without the set."""
    return table(
        ["set", "wide outputs", "raw", "set left out: answer, harmed, worst"],
        (
            [row["group"], row["cases"], f"{float(row['raw']):.3f}", outcome(row, "+")]
            for row in rows
            if row["left_out"] == "the set, beyond 12 bits"
        ),
    )


def decision_families(rows: list[Row]) -> str:
    """Families of drawn outputs that are harmed most by networks that never saw them."""
    most = sorted(families(rows), key=lambda row: -float(row["harmed"]))[:4]
    return ", ".join(f"{row['group']} ({share(row['harmed'])})" for row in most) + "\n"


def decision_confidence(rows: list[Row]) -> str:
    """Confidence beside how often the answer was nearer to the ideal than the counts."""
    found = [row for row in rows if row["left_out"] == "fresh draws, by confidence" and int(row["cases"])]
    lines = (
        [f"{float(row['group']):.1f} to {float(row['group']) + 0.1:.1f}", row["cases"], f"{float(row['answer']):.2f}"]
        for row in found
    )
    return table(["confidence", "answers", "share that were nearer"], lines)


def ablations(rows: list[Row]) -> str:
    """What the decision does with one part gone, on both sets of cases."""
    found, where = {(row["left_out"], row["judged_on"]): row for row in rows}, ("fresh draws", "circuits outside")
    lines = ([label, *(outcome(found[name, place]) for place in where)] for name, label in ABLATED.items())
    return table(["left out", "fresh draws: answer, harmed, worst", "circuits outside"], lines)


JUDGED = ["cases", "number", "raw", "answer", "harmed", "worst", "best candidate"]
"""Head of a table of `judged` rows."""


def judged(name: str, row: Row) -> list[str]:
    """Write a score of the decision."""
    raw, answer, best = (f"{float(row[key]):.3f}" for key in ("raw", "answer", "best"))
    return [name, row["cases"], raw, answer, share(row["harmed"]), f"{float(row['worst']):.2f}", best]


def outcome(row: Row, sign: str = "") -> str:
    """Write a score in one cell: the answer, the share harmed and the worst change."""
    return f"{float(row['answer']):.3f}, {share(row['harmed'])}, {float(row['worst']):{sign}.2f}"


def families(rows: list[Row]) -> list[Row]:
    """Find the rows of families that were left out."""
    return [row for row in rows if row["left_out"] == "the family"]


def together(rows: list[Row]) -> Row:
    """Put scores together, each as heavy as its cases are many."""
    many = [int(row["cases"]) for row in rows]
    means = {key: np.average([float(row[key]) for row in rows], weights=many) for key in MEANS}
    worst = min(float(row["worst"]) for row in rows)
    return {"cases": str(sum(many)), "worst": str(worst)} | {key: str(mean) for key, mean in means.items()}


MEANS = ("raw", "answer", "harmed", "best")
"""Columns of a score that are means over its cases."""


def share(text: str) -> str:
    """Write a share with a digit after the point."""
    return f"{100 * float(text):.1f} %"


def place(row: Row) -> tuple[str, ...]:
    """Tell which run a row is of."""
    return row["machine"], row["qubits"], row["circuit"], row["shots"]


_BY_NAME: tuple[Callable[[list[Row]], str], ...] = (
    *(rates_saturated, rates_published, rates_transfer, rates_brussels, rates_fresh, rates_use, rates_clusters),
    *(outside, circuit_noisy, circuit_machines, circuit_brussels, reference_recorded, reference_hidden),
    *(bias, ablations),
)
"""Each is called as the file whose rows it takes."""
TABLES = {one.__name__: (one,) for one in _BY_NAME} | {
    "decision": (
        decision_fresh,
        decision_outside,
        decision_recorded,
        decision_wide,
        decision_families,
        decision_confidence,
    )
}
"""The tables of each file in benchmarks/results."""


def pages(results: Path) -> dict[str, str]:
    """Write every table: the name of its page, and its text."""
    found = {}
    for name, tables in TABLES.items():
        with (results / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        found |= {f"{one.__name__}.md": one(rows) for one in tables}
    return found


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Write Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *lines])


def short(figure: str | float, digits: int = 3, sign: str = "") -> str:
    """Write a figure without the zero before its point; what is far below 0 by that alone."""
    value = float(figure)
    return "below -1" if value < -1 else f"{value:{sign}.{digits}f}".replace("0.", ".", 1)


def percent(text: str) -> str:
    """Write a share."""
    return f"{100 * float(text):.0f} %" if text else ""
