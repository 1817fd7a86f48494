"""List where others do better than this package, by set and method, from the tables of results.

Run from the repository: python -m benchmarks.ahead
Prints the Markdown that docs/results.md shows; docs/generated.py makes it anew at every build. Nothing is run: what
counts is benchmarks/results. A method is held against the best of ours that knows no more than a user of it would.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from statistics import mean

from benchmarks.data import read_rows
from benchmarks.real import SETS

Row = Mapping[str, str]

SUITES = ("paper", "paper_wide", "scale", "low_entropy", "guard", "broad")
KNOWN = {
    "counts": (("mixture",), ("identity", "plurality", "hammer")),
    "calibration": (("circuit",), ("m3", "qbeep", "hammr_l", "em_uniform", "paper", "paper_given")),
    "reference": (("measured", "reference"), ("dem",)),
}
"""What is known beside what stands before it, and the methods that need it: ours, and those of others."""
LEAST = 5
"""Fewest samples of a family: of fewer, chance decides."""
TOLD = ("", "@high", "@low", "@scattered")
"""Right calibrations and wrong ones, as they stand behind the names of methods."""


@dataclass(frozen=True)
class Figure:
    """What is compared."""

    name: str
    """Its name."""
    margin: float
    """Lead from which a method is said to be ahead; a ratio where less is better."""
    less: bool = False
    """Whether less is better."""
    form: str = ".3f"
    """How it is written."""

    def ahead(self, other: float, ours: float) -> bool:
        """Whether the other's figure is better by more than the margin."""
        return other * self.margin < ours if self.less else other > ours + self.margin


FIDELITY = Figure("mean fidelity", 0.005)
ACCURACY = Figure("accuracy", 0.005)
EXPLAINED = Figure("R²", 0.005)
VALUES = Figure("rms error", 1.05, less=True)
ERROR = Figure("mean abs. error", 1.05, less=True, form=".4f")
SPEED = Figure("processor ms", 1.1, less=True, form=".1f")
SECONDS = Figure("seconds to fit", 1.1, less=True, form=".3g")


@dataclass(frozen=True)
class Contest:
    """Figures of this package's methods and of others on the same samples."""

    place: str
    """The set, and the part of it."""
    known: str
    """What the methods know."""
    figure: Figure
    """What is compared."""
    ours: Mapping[str, float]
    """Figure of each of our methods."""
    others: Mapping[str, float]
    """Figure of each of the others."""
    harm: Mapping[str, float] = field(default_factory=dict)
    """Share of samples that each method harmed, where it is known."""

    def lost(self) -> Iterator[tuple[str, str]]:
        """Yield the best of the others and the best of ours as written, if the other is ahead."""
        if not self.ours or not self.others:
            return
        best = min if self.figure.less else max
        theirs, mine = (best(held, key=held.__getitem__) for held in (self.others, self.ours))
        if self.figure.ahead(self.others[theirs], self.ours[mine]):
            yield self.written(theirs, self.others[theirs]), self.written(mine, self.ours[mine])

    def written(self, name: str, value: float) -> str:
        """Write a method with its figure, and its harm."""
        harm = f", {self.harm[name]:.0%} harmed" if name in self.harm else ""
        return f"{'raw' if name == 'identity' else name} {value:{self.figure.form}}{harm}"


def campaigns() -> Iterator[Contest]:
    """Suites of simulated circuits and recorded sets: all, by entropy, by family of circuits."""
    for place in (*(f"real/{name}" for name in SETS), *SUITES):
        groups: dict[str, list[Row]] = {}
        for row in read_rows(f"{place}/summary.csv"):
            if row["group"].partition("=")[0] in ("all", "entropy", "family"):
                groups.setdefault(row["group"], []).append(row)
        for group, rows in groups.items():
            if group != "all" and max(int(row["n"]) for row in rows) < LEAST:
                continue
            title = place.removeprefix("real/") + ("" if group == "all" else f": {group.partition('=')[2]}")
            yield from summaries(title, rows)


def summaries(place: str, rows: Iterable[Row]) -> Iterator[Contest]:
    """One group of a campaign: methods that ran on all samples, by what they know."""
    rows = list(rows)
    whole = max(int(row["n"]) for row in rows)
    held = {row["method"]: row for row in rows if int(row["n"]) == whole}
    harm = {name: float(row["harm"]) for name, row in held.items() if name != "identity"}
    for told in TOLD:
        ours: dict[str, float] = {}
        others: dict[str, float] = {}
        for known, (mine, theirs) in KNOWN.items():
            before = len(ours) + len(others)
            for found, names in ((ours, mine), (others, theirs)):
                full = [name if known == "counts" else name + told for name in names]
                found |= {name: float(held[name]["mean"]) for name in full if name in held}
            if len(ours) + len(others) > before and not (told and known == "counts"):
                yield Contest(f"{place} ({whole})", known + told, FIDELITY, dict(ours), dict(others), harm)


def unseen() -> Iterator[Contest]:
    """Recorded sets, by a decision that was trained without them."""
    rows = [row for row in read_rows("decision.csv") if row["left_out"] == "the set"]
    for name in SETS:
        held = [row for row in rows if (row["group"].split()[0].split("/")[0] == "lrqaoa") == name.startswith("lrqaoa")]
        held = [row for row in held if name.startswith("lrqaoa") or row["group"] == name]
        scored = {row["method"]: row for row in read_rows(f"real/{name}/summary.csv") if row["group"] == "all"}
        cases = sum(int(row["cases"]) for row in held)
        if not held or cases != int(scored["identity"]["n"]):
            continue
        value, harm = (sum(int(row["cases"]) * float(row[key]) for row in held) / cases for key in ("answer", "harmed"))
        others = {method: float(scored[method]["mean"]) for method in KNOWN["counts"][1] if method in scored}
        harms = {method: float(scored[method]["harm"]) for method in others if method != "identity"}
        known, ours = "counts, trained without the set", {"mixture": value}
        yield Contest(f"{name} ({cases})", known, FIDELITY, ours, others, harms | {"mixture": harm})


def means(
    place: str, known: str, rows: Iterable[Row], ours: Iterable[str], others: Iterable[str], base: str = "raw"
) -> Contest:
    """Average columns of a table over its rows, and count the harm."""
    rows = list(rows)
    ours, others = tuple(ours), tuple(others)
    value = {name: mean(float(row[name]) for row in rows) for name in (*ours, *others)}
    harm = {name: mean(float(row[name]) < float(row[base]) - 0.02 for row in rows) for name in value if name != base}
    told = ({name: value[name] for name in names} for names in (ours, others))
    return Contest(f"{place} ({len(rows)})", known, FIDELITY, *told, harm)


def runs() -> Iterator[Contest]:
    """Runs of circuits that no suite holds, under right and wrong calibrations."""
    table: dict[str, dict[tuple[str, str], str]] = {}
    family: dict[str, str] = {}
    for row in read_rows("outside.csv"):
        identity = f"{row['circuit']} {row['machine']} {row['bits']} {row['shots']}"
        table.setdefault(identity, {})[row["condition"], row["method"]] = row["fidelity"]
        family[identity] = row["family"]
    conditions = dict.fromkeys(condition for held in table.values() for condition, _ in held)
    for group in ("", *dict.fromkeys(family.values())):
        held = [one for name, one in table.items() if not group or family[name] == group]
        for condition in conditions:
            rows = [{method: value for (at, method), value in one.items() if at in (condition, "any")} for one in held]
            told = "counts" if condition == "any" else f"calibration: {condition}"
            ours = ("mitigate(counts)",) if condition == "any" else ("mitigate(counts)", "mitigate(run)")
            others = ("raw", "hammer") if condition == "any" else ("raw", "hammer", "m3", "richardson_lucy")
            yield means(f"outside{': ' + group if group else ''}", told, rows, ours, others)
    for name, ours in {"torino": "mitigated", "circuit_noisy": "mitigate"}.items():
        for group, rows in split(read_rows(f"{name}.csv"), ("circuit",)):
            yield means(name + group, "calibration: right", rows, (ours, "counts_alone"), ("raw",))
    machines = read_rows("circuit_machines.csv")
    for told in dict.fromkeys(row["calibration"] for row in machines):
        rows = [row for row in machines if row["calibration"] == told]
        yield means(
            "circuit_machines", f"calibration: {told}", rows, ("mitigate", "counts_alone"), ("raw", "m3", "hammer")
        )


def expectations() -> Iterator[Contest]:
    """Expectation values under readout errors alone, and with gates that err."""
    for group, rows in split(read_rows("bias.csv"), ("noise", "ideal")):
        told = (held for _, held in split(rows, ("method",)))
        error = {held[0]["method"]: sqrt(mean(float(row["rms"]) ** 2 for row in held)) for held in told}
        others = {name: error.pop(name) for name in ("raw", "m3")}
        yield Contest(f"bias{group}", "calibration: right", VALUES, error, others)


def drawn() -> Iterator[Contest]:
    """Outputs drawn by kind, with flips of independent bits; the published method takes the rate of our own fit."""
    rows = [row for row in read_rows("judge_mixture.csv") if row["machine"] == "synthetic"]
    for group, held in split(rows, ("group",)):
        yield means(group.removeprefix(": synthetic "), "counts", held, ("mixture",), ("raw", "hammer", "paper"))


def references() -> Iterator[Contest]:
    """Runs with a reference circuit: recorded ones, and simulated machines whose noise no calibration shows."""
    recorded = read_rows("reference_recorded.csv")
    for row in recorded:
        yield means(row["experiment"], "reference", [row], ("counts", "measured"), ("raw", "hammer", "dem"))
    hidden = read_rows("reference_hidden.csv")
    ours = ("counts", "run", "measured", "reference")
    for name in ("", *dict.fromkeys(row["family"] for row in hidden)):
        rows = [row for row in hidden if name in ("", row["family"])]
        yield means(
            f"hidden noise{': ' + name if name else ''}", "reference", rows, ours, ("raw", "m3", "hammer", "dem")
        )


def classifiers() -> Iterator[Contest]:
    """The QNN classifier beside others on the same rows."""
    mine = ("QNNClassifier", "zx", "3 x", "tfq", "reed-muller", "paper preset", "softmax", "one-vs-rest")
    tables = (
        ("qnn_peers", (), "model", {"test": ACCURACY, "fit_seconds": SECONDS}),
        ("qnn_digits", ("split",), "model", {"mean": ACCURACY, "fit_seconds_best": SECONDS}),
        ("qnn_multiclass", ("data",), "model", {"mean": ACCURACY, "fit_seconds_best": SECONDS}),
    )
    for name, parts, method, figures in tables:
        for group, rows in split(read_rows(f"{name}.csv"), parts):
            for column, figure in figures.items():
                yield compared(f"{name}{group}", figure, rows, method, column, mine)
    for group, (row,) in split(read_rows("qnn_rescale.csv"), ("backend", "layers", "shots")):
        error = {name: float(row[f"error_{name}"]) for name in ("raw", "readout", "rescaled")}
        yield Contest(f"qnn_rescale{group}", "", VALUES, {"rescaled": error.pop("rescaled")}, error)


def rates() -> Iterator[Contest]:
    """Flip rates: the trained model beside closed forms and plainer models."""
    tables = (
        ("rates_published", ("split",), "model"),
        ("rates_transfer", ("part",), "model"),
        ("rates_fresh", ("part",), "rates"),
    )
    for name, parts, method in tables:
        for group, rows in split(read_rows(f"{name}.csv"), parts):
            for column, figure in {"r2": EXPLAINED, "mae": ERROR}.items():
                yield compared(f"{name}{group}", figure, rows, method, column, ("ours", "estimate"))


def speed() -> Iterator[Contest]:
    """Processor time on the same counts."""
    for row in read_rows("speed.csv"):
        others = {name: float(row[f"{name}_ms"]) for name in ("hammer", "mthree") if row[f"{name}_ms"]}
        yield Contest(row["counts"], "counts", SPEED, {"mixture": float(row["mixture_ms"])}, others)


def split(rows: Iterable[Row], parts: tuple[str, ...]) -> Iterator[tuple[str, list[Row]]]:
    """Split a table by columns; what each part is called."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault("".join(f": {row[part]}" for part in parts), []).append(row)
    yield from found.items()


def compared(
    place: str, figure: Figure, rows: Iterable[Row], method: str, column: str, mine: tuple[str, ...]
) -> Contest:
    """Compare the rows of a table, one a method; names of ours begin with one of `mine`."""
    value = {row[method]: float(row[column]) for row in rows if row[column]}
    told = ({name: one for name, one in value.items() if name.startswith(mine) == ours} for ours in (True, False))
    return Contest(place, "", figure, *told)


PARTS = {
    "Suites and recorded sets": campaigns,
    "Recorded sets, by a decision that was trained without them": unseen,
    "Runs of other circuits, under right and wrong calibrations": runs,
    "Runs with a reference circuit": references,
    "Expectation values": expectations,
    "Drawn outputs": drawn,
    "Classifier": classifiers,
    "Flip rates": rates,
    "Time": speed,
}


def markdown() -> str:
    """Write the list, a table a part. A line that more knowledge does not change stands once."""
    text = []
    for title, source in PARTS.items():
        contests = [one for one in source() if one.ours and one.others]
        ahead = [(one, *pair) for one in contests for pair in one.lost()]
        lines: dict[tuple[str, ...], str] = {}
        for one, theirs, mine in ahead:
            lines.setdefault((one.place, one.figure.name, theirs, mine), one.known or "–")
        text += [f"### {title}", "", f"Others are ahead in {len(ahead)} of {len(contests)} comparisons.", ""]
        if lines:
            text += ["| set (samples) | known | figure | ahead | best of ours |", "|---" * 5 + "|"]
            text += [f"| {place} | {known} | {figure} | {a} | {b} |" for (place, figure, a, b), known in lines.items()]
            text.append("")
    return "\n".join(text)


if __name__ == "__main__":
    print(markdown())
