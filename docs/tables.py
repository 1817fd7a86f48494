"""Markdown tables for the pages on the decision, rates, circuits, references and M3, written at every build."""

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
    "oracle: both known": "oracle: the ideal output, true noise",
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
    "estimated": "the estimated effective rate",
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
KINDS = ("clean", "deep", "even", "machine", "near", "clouds", "wide", "wide-near", "wide-clouds", "all")
OUTSIDE = {
    "outside": "circuits of 22 families, on six machines",
    "programs-unseen": "random programs, on machines in the training data",
    "wide_programs_unseen": "wide programs of Clifford gates, on six machines outside the training data",
}
ABLATED = {
    "nothing": "nothing",
    "the screen": "the screen (uniform noise is left alone beforehand)",
    "the word of confidence": "the confidence threshold (every answer is applied)",
    "overlaps": "overlaps of candidates",
    "recorded sets": "recorded sets",
    "the weight of harm": "the weight of harm",
}
"""Labels of rows on the pages, by their names in the files."""


def rates_saturated(rows: list[Row]) -> str:
    """R2 for each way to learn from saturated labels."""
    parts = ("all", "peaked", "spread", "not saturated")
    r2 = {(row["saturated labels"], row["part"]): short(row["r2"]) for row in rows}
    lines = ([label, *(r2[key, part] for part in parts)] for key, label in SATURATED.items())
    return table(["saturated labels", *parts], lines)


def rates_published(rows: list[Row]) -> str:
    """R2 and mean absolute error on the published table, by the part left out of the training."""
    scores = {(row["split"], row["model"]): f"{short(row['r2'])} / {short(row['mae'])}" for row in rows}
    models = {"ours": "ours", "plain ExtraTrees": "plain ExtraTrees, eight columns"}
    models["1-esp^(1/m)"] = "closed form 1-esp^(1/m)"
    lines = ([label, *(scores[split, model] for model in models.values())] for split, label in SPLITS.items())
    return table(["left out", *models], lines)


def rates_transfer(rows: list[Row]) -> str:
    """Scores on the published table of models trained on simulations alone."""
    ours = [row for row in rows if row["model"].startswith("ours")]
    whole, cut = ours[0], next(row for row in ours if "cut" in row["part"])
    rest = next(row for row in ours if row["part"].startswith("all but"))
    (closed_form,) = (row for row in rows if row["model"] == "closed form 1-esp^(1/m)")
    interval = f" ({short(whole['r2_low'], 2)} to {short(whole['r2_high'], 2)})"
    lines = [
        ["ours", short(whole["r2"]) + interval],
        [f"ours on the paper's own cut, ideal entropy at most .6 ({cut['rows']} rows)", short(cut["r2"])],
        [f"ours without three circuits ({rest['rows']} rows)", short(rest["r2"])],
        ["1-esp^(1/m)", short(closed_form["r2"])],
    ]
    errors = [[short(row["mae"]), percent(row["coverage_of_80"])] for row in (whole, cut, rest, closed_form)]
    return table(
        ["", "R2", "MAE", "coverage of the 80 % interval"], ([*a, *b] for a, b in zip(lines, errors, strict=True))
    )


def rates_brussels(rows: list[Row]) -> str:
    """Predicted and published rates of six records."""
    by_record, lines = {row["record"].removeprefix("brussels/"): row for row in rows}, []
    for name, label in BRUSSELS.items():
        row = by_record[name]
        low, high = row["all_interval"].split("-")
        outside = "" if row["in_range"] == "True" else " (outside the range)"
        cells = [label + outside, short(row["published"]), short(row["all"]), f"{short(low)} - {short(high)}"]
        lines.append([*cells, short(row["circuit_and_counts"]), short(row["counts_only"])])
    return table(["run", "published", "predicted", "80 % interval", "circuit and counts", "counts only"], lines)


def rates_fresh(rows: list[Row]) -> str:
    """R2, mean absolute error and intervals on runs of circuits and machines outside the table."""
    by_key = {(row["set"], row["part"], row["rates"]): row for row in rows}
    parts = [(name, part) for name in SETS for part in PARTS]

    def scores(row: Row, part: str) -> str:
        return short(row["r2"]) + (f" / {short(row['mae'])}" if part == "all" else "")

    lines = [[label, *(scores(by_key[name, part, key], part) for name, part in parts)] for key, label in FRESH.items()]
    columns = {
        "coverage_of_80": "coverage of the 80 % interval",
        "share_of_three": "share of the squared error in the three worst circuits",
    }
    for column, label in columns.items():
        lines.append([label, *(percent(by_key[name, part, "estimate"][column]) for name, part in parts)])
    return table(["", *(f"{name}: {part}" if part == "all" else part for name, part in parts)], lines)


def rates_use(rows: list[Row]) -> str:
    """Fidelity of both methods by the rates they receive, with the share harmed in brackets; one table per set."""
    kinds = ("mean of", "harmed of")
    by_key = {(row["set"], row["part"], row["run"].split()[0]): row for row in rows if row["run"].startswith(kinds)}

    def cell(name: str, part: str, column: str) -> str:
        if not column:
            return ""
        harm = "" if column == "raw" else f" ({percent(by_key[name, part, 'harmed'][column])})"
        return short(by_key[name, part, "mean"][column]) + harm

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
    """Fidelity of the published method by the rate that it receives, with the share harmed in brackets."""
    by_key = {(row["rate"], row["part"]): row for row in rows}

    def cell(key: str, part: str) -> str:
        row = by_key[key, part]
        return short(row["fidelity"]) + ("" if key == "raw" else f" ({percent(row['harmed'])})")

    lines = ([label, *(cell(key, part) for part in PARTS[1:])] for key, label in CLUSTERS.items())
    return table(["", *PARTS[1:]], lines)


def outside(rows: list[Row]) -> str:
    """Fidelities of every method under every calibration, by machine."""
    from benchmarks.outside import table as outside_table

    return outside_table(rows, "machine")


def outside_rotated(rows: list[Row]) -> str:
    """The same for circuits that end with one rotation of all qubits."""
    return outside(rows)


def circuit_noisy(rows: list[Row]) -> str:
    """Fidelities and cost under heavy noise and on wide registers."""
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
    """Mean fidelity on broad outputs, the share of the loss that is recovered, and the worst change."""
    from benchmarks.circuit_machines import recovery

    shown = ("mitigate", "stale", "counts_alone", "m3", "hammer")
    groups: dict[tuple[str, str], list[Row]] = {}
    stale = {run_key(row): float(row["mitigate"]) for row in rows if row["calibration"] == "stale"}
    for row in rows:
        if row["calibration"] == "fresh" and row["circuit"] not in ("ghz", "bv", "w"):
            groups.setdefault((row["qubits"], row["shots"]), []).append(row)
    lines = []
    for group, members in groups.items():
        ideal, raw = (np.array([float(row[name]) for row in members]) for name in ("noiseless", "raw"))
        cells = []
        for name in shown:
            fixed = np.array([stale[run_key(row)] if name == "stale" else float(row[name]) for row in members])
            mean, recovered, worst = recovery(fixed, raw, ideal)
            cells.append(f"{short(mean)}, {100 * recovered:.0f} %, {short(worst, sign='+')}")
        lines.append([*group, short(ideal.mean()), short(raw.mean()), *cells])
    head = ["qubits", "shots", "ideal shots", "raw", "`mitigate(run)`", "stale", "counts alone", "M3", "HAMMER"]
    return table(head, lines)


def circuit_brussels(rows: list[Row]) -> str:
    """Fidelities of records of a real machine, with a calibration from another day."""
    columns = ("raw", "mitigate", "counts_alone")
    lines = (
        [row["record"].removeprefix("brussels/"), row["bits"]]
        + [f"{float(row[name]):.3f}" for name in columns]
        + [row["cpu_seconds"]]
        for row in rows
    )
    return table(["record", "bits", "raw", "`mitigate(counts, faults)`", "counts alone", "CPU seconds"], lines)


def reference_recorded(rows: list[Row]) -> str:
    """Fidelities of hardware experiments, from their counts and the counts of the reference alone."""
    by_experiment, columns = {row["experiment"]: row for row in rows}, ("raw", "hammer", "dem", "counts", "measured")
    lines = ([label, *(short(by_experiment[name][key]) for key in columns)] for name, label in RECORDED.items())
    return table(["experiment", "raw", "HAMMER", "DEM", "`mitigate(counts)`", "`mitigate(counts, noise=...)`"], lines)


def reference_hidden(rows: list[Row]) -> str:
    """The simulated study of reference circuits, by family of circuits."""
    from benchmarks.reference import HEAD, by_family

    return table(HEAD, by_family(rows))


def bias(rows: list[Row]) -> str:
    """The largest bias, and the rms error over the observables, for each case and method."""
    cases: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        case = cases.setdefault((row["noise"], row["ideal"]), {})
        case.setdefault(row["method"], []).append((abs(float(row["bias"])), float(row["rms"])))
    methods, lines = list(next(iter(cases.values()))), []
    for labels, by_method in cases.items():
        pairs = [zip(*by_method[method], strict=True) for method in methods]
        cells = [f"{max(bias):.3f} / {(sum(error**2 for error in rms) / len(rms)) ** 0.5:.3f}" for bias, rms in pairs]
        lines.append([*labels, *cells])
    return table(["errors", "ideal", *methods], lines)


def decision_fresh(rows: list[Row]) -> str:
    """Scores of the decision on fresh draws, by kind of noise, and on products of fixed and free bits."""
    fresh = [row for row in rows if row["left_out"] == "fresh draws" and row["group"] in KINDS]
    lines = {row["group"]: score_cells(row["group"], row) for row in fresh}
    (fixed,) = (row for row in rows if row["left_out"] == "fixed and free bits" and row["group"] == "all")
    return table(SCORE_HEAD, [*(lines[kind] for kind in KINDS), score_cells("fixed and free bits", fixed)])


def decision_outside(rows: list[Row]) -> str:
    """Scores on circuits outside the training data, and on families of drawn outputs that the networks never saw."""
    lines = [
        score_cells(OUTSIDE[row["group"]], row)
        for row in rows
        if row["left_out"] == "circuits outside" and row["group"] in OUTSIDE
    ]
    return table(SCORE_HEAD, [*lines, score_cells("drawn outputs, family left out", pooled(left_out_families(rows)))])


def decision_recorded(rows: list[Row]) -> str:
    """Scores on recorded sets, by the shipped gate and by one trained without the set."""
    shipped = {row["group"]: row for row in rows if row["left_out"] == "nothing"}
    unseen = {row["group"]: row for row in rows if row["left_out"] == "the set"}
    return table(
        ["set", "number", "raw", "shipped: answer, harmed, worst", "set left out: answer, harmed, worst"],
        (
            [name, row["cases"], f"{float(row['raw']):.3f}", score_cell(row, "+"), score_cell(unseen[name], "+")]
            for name, row in shipped.items()
            if name in unseen
        ),
    )


def decision_wide(rows: list[Row]) -> str:
    """Scores on outputs of more than 12 bits in recorded sets, by a gate trained without the set."""
    return table(
        ["set", "wide outputs", "raw", "set left out: answer, harmed, worst"],
        (
            [row["group"], row["cases"], f"{float(row['raw']):.3f}", score_cell(row, "+")]
            for row in rows
            if row["left_out"] == "the set, beyond 12 bits"
        ),
    )


def decision_families(rows: list[Row]) -> str:
    """The families of drawn outputs that are harmed most often by networks that never saw them."""
    most = sorted(left_out_families(rows), key=lambda row: -float(row["harmed"]))[:4]
    return ", ".join(f"{row['group']} ({share(row['harmed'])})" for row in most) + "\n"


def decision_confidence(rows: list[Row]) -> str:
    """How often answers of each confidence were nearer to the ideal than the counts."""
    bins = [row for row in rows if row["left_out"] == "fresh draws, by confidence" and int(row["cases"])]
    lines = (
        [f"{float(row['group']):.1f} to {float(row['group']) + 0.1:.1f}", row["cases"], f"{float(row['answer']):.2f}"]
        for row in bins
    )
    return table(["confidence", "answers", "share that were nearer"], lines)


def ablations(rows: list[Row]) -> str:
    """Scores of the decision without one of its parts, on both sets of cases."""
    by_key, cases = {(row["left_out"], row["judged_on"]): row for row in rows}, ("fresh draws", "circuits outside")
    lines = ([label, *(score_cell(by_key[name, key]) for key in cases)] for name, label in ABLATED.items())
    return table(["left out", "fresh draws: answer, harmed, worst", "circuits outside"], lines)


SCORE_HEAD = ["cases", "number", "raw", "answer", "harmed", "worst", "best candidate"]
"""Head of a table of `score_cells` rows."""


def score_cells(name: str, row: Row) -> list[str]:
    """Format the scores of the decision as one line of a table."""
    raw, answer, best = (f"{float(row[key]):.3f}" for key in ("raw", "answer", "best"))
    return [name, row["cases"], raw, answer, share(row["harmed"]), f"{float(row['worst']):.2f}", best]


def score_cell(row: Row, sign: str = "") -> str:
    """Format the scores of the decision as one cell: fidelity of the answer, share harmed and worst change."""
    return f"{float(row['answer']):.3f}, {share(row['harmed'])}, {float(row['worst']):{sign}.2f}"


def left_out_families(rows: list[Row]) -> list[Row]:
    """Select the rows of families that were left out of the training."""
    return [row for row in rows if row["left_out"] == "the family"]


def pooled(rows: list[Row]) -> Row:
    """Average scores, weighted by their numbers of cases."""
    cases = [int(row["cases"]) for row in rows]
    means = {key: np.average([float(row[key]) for row in rows], weights=cases) for key in MEANS}
    worst = min(float(row["worst"]) for row in rows)
    return {"cases": str(sum(cases)), "worst": str(worst)} | {key: str(mean) for key, mean in means.items()}


MEANS = ("raw", "answer", "harmed", "best")
"""Columns with means over the cases of a row."""


def share(text: str) -> str:
    """Format a share in percent with one decimal."""
    return f"{100 * float(text):.1f} %"


def run_key(row: Row) -> tuple[str, ...]:
    """Identify the run of a row, whatever its calibration."""
    return row["machine"], row["qubits"], row["circuit"], row["shots"]


_BY_NAME: tuple[Callable[[list[Row]], str], ...] = (
    *(rates_saturated, rates_published, rates_transfer, rates_brussels, rates_fresh, rates_use, rates_clusters),
    *(outside, outside_rotated, circuit_noisy, circuit_machines, circuit_brussels),
    *(reference_recorded, reference_hidden, bias, ablations),
)
"""Functions that are named like the file in benchmarks/results whose rows they take."""
TABLES = {write.__name__: (write,) for write in _BY_NAME} | {
    "decision": (
        decision_fresh,
        decision_outside,
        decision_recorded,
        decision_wide,
        decision_families,
        decision_confidence,
    ),
}
"""Functions that write the tables, by the file in benchmarks/results that they are made from."""


def pages(results: Path) -> dict[str, str]:
    """Write all tables: the text of each, by the name of its file."""
    texts = {}
    for name, tables in TABLES.items():
        with (results / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        texts |= {f"{write.__name__}.md": write(rows) for write in tables}
    return texts


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Format a table as Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *lines])


def short(figure: str | float, digits: int = 3, sign: str = "") -> str:
    """Format a number without the zero before its decimal point; of numbers below -1 say only that."""
    value = float(figure)
    return "below -1" if value < -1 else f"{value:{sign}.{digits}f}".replace("0.", ".", 1)


def percent(text: str) -> str:
    """Format a share in percent; an empty text stays empty."""
    return f"{100 * float(text):.0f} %" if text else ""
