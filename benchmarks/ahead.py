"""List the comparisons in which other methods do better than this package, from the tables of results.

Run from the repository: python -m benchmarks.ahead
Prints the Markdown that docs/results.md shows; docs/generated.py runs it at every build. It only reads
benchmarks/results and runs no method. Each method is compared with the best of ours that uses no more knowledge.
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
    "counts": (("mixture",), ("identity", "plurality", "hammer", "em_uniform")),
    "calibration": (("circuit",), ("m3", "qbeep", "hammr_l", "paper", "paper_given")),
    "reference": (("measured", "reference"), ("dem",)),
}
"""Kinds of knowledge, each in addition to those before it, and the methods that use it: ours, then those of others."""
LEAST = 5
"""Fewest samples of a family that are compared; with fewer, chance decides."""
CALIBRATIONS = ("", "@high", "@low", "@scattered")
"""Suffixes of method names that mark the correct calibration and wrong ones."""


@dataclass(frozen=True)
class Figure:
    """A figure of merit."""

    name: str
    """Name on the page."""
    margin: float
    """Difference beyond which a method counts as ahead; a ratio if smaller values are better."""
    less: bool = False
    """Whether smaller values are better."""
    form: str = ".3f"
    """Format specification of values."""

    def ahead(self, other: float, ours: float) -> bool:
        """Return whether the value of the other method is better by more than the margin."""
        return other * self.margin < ours if self.less else other > ours + self.margin


FIDELITY = Figure("mean fidelity", 0.005)
ACCURACY = Figure("accuracy", 0.005)
EXPLAINED = Figure("R²", 0.005)
VALUES = Figure("rms error", 1.05, less=True)
ERROR = Figure("mean abs. error", 1.05, less=True, form=".4f")
SPEED = Figure("processor ms", 1.1, less=True, form=".1f")
SECONDS = Figure("seconds to fit", 1.1, less=True, form=".3g")


@dataclass(frozen=True)
class Comparison:
    """A comparison of this package's methods with others on the same samples."""

    place: str
    """Name of the set and of the part of it."""
    known: str
    """Knowledge that the methods use."""
    figure: Figure
    """Figure of merit."""
    ours: Mapping[str, float]
    """Value of each of our methods."""
    others: Mapping[str, float]
    """Value of each of the other methods."""
    harm: Mapping[str, float] = field(default_factory=dict)
    """Share of samples that each method harmed, if known."""

    def lost(self) -> Iterator[tuple[str, str]]:
        """Yield the best of the others and the best of ours, formatted, if the other is ahead."""
        if not self.ours or not self.others:
            return
        best = min if self.figure.less else max
        theirs, mine = (best(values, key=values.__getitem__) for values in (self.others, self.ours))
        if self.figure.ahead(self.others[theirs], self.ours[mine]):
            yield self.written(theirs, self.others[theirs]), self.written(mine, self.ours[mine])

    def written(self, name: str, value: float) -> str:
        """Format the name of a method with its value and its harm."""
        harm = f", {self.harm[name]:.0%} harmed" if name in self.harm else ""
        return f"{'raw' if name == 'identity' else name} {value:{self.figure.form}}{harm}"


def campaigns() -> Iterator[Comparison]:
    """Compare methods on simulated suites and recorded sets: on all samples, by entropy, and by family of circuits."""
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


def summaries(place: str, rows: Iterable[Row]) -> Iterator[Comparison]:
    """Compare the methods that ran on all samples of one group of a campaign, for each kind of knowledge."""
    rows = list(rows)
    n_samples = max(int(row["n"]) for row in rows)
    by_method = {row["method"]: row for row in rows if int(row["n"]) == n_samples}
    harm = {name: float(row["harm"]) for name, row in by_method.items() if name != "identity"}
    for suffix in CALIBRATIONS:
        ours: dict[str, float] = {}
        others: dict[str, float] = {}
        for known, (mine, theirs) in KNOWN.items():
            before = len(ours) + len(others)
            for values, names in ((ours, mine), (others, theirs)):
                full = [name if known == "counts" else name + suffix for name in names]
                values |= {name: float(by_method[name]["mean"]) for name in full if name in by_method}
            if len(ours) + len(others) > before and not (suffix and known == "counts"):
                yield Comparison(f"{place} ({n_samples})", known + suffix, FIDELITY, dict(ours), dict(others), harm)


def unseen() -> Iterator[Comparison]:
    """Compare methods on recorded sets, with a decision that was trained without the set."""
    rows = [row for row in read_rows("decision.csv") if row["left_out"] == "the set"]
    for name in SETS:
        part = [row for row in rows if (row["group"].split()[0].split("/")[0] == "lrqaoa") == name.startswith("lrqaoa")]
        part = [row for row in part if name.startswith("lrqaoa") or row["group"] == name]
        scored = {row["method"]: row for row in read_rows(f"real/{name}/summary.csv") if row["group"] == "all"}
        cases = sum(int(row["cases"]) for row in part)
        if not part or cases != int(scored["identity"]["n"]):
            continue
        value, harm = (sum(int(row["cases"]) * float(row[key]) for row in part) / cases for key in ("answer", "harmed"))
        others = {method: float(scored[method]["mean"]) for method in KNOWN["counts"][1] if method in scored}
        harms = {method: float(scored[method]["harm"]) for method in others if method != "identity"}
        known, ours = "counts, trained without the set", {"mixture": value}
        yield Comparison(f"{name} ({cases})", known, FIDELITY, ours, others, harms | {"mixture": harm})


def means(
    place: str, known: str, rows: Iterable[Row], ours: Iterable[str], others: Iterable[str], base: str = "raw"
) -> Comparison:
    """Compare methods by the means of their columns over the rows of a table, and count the harm."""
    rows = list(rows)
    ours, others = tuple(ours), tuple(others)
    value = {name: mean(float(row[name]) for row in rows) for name in (*ours, *others)}
    harm = {name: mean(float(row[name]) < float(row[base]) - 0.02 for row in rows) for name in value if name != base}
    values = ({name: value[name] for name in names} for names in (ours, others))
    return Comparison(f"{place} ({len(rows)})", known, FIDELITY, *values, harm)


def outside(file: str) -> Iterator[Comparison]:
    """Compare methods on circuits of `benchmarks.outside`, all together and by family."""
    table: dict[str, dict[tuple[str, str], str]] = {}
    family: dict[str, str] = {}
    for row in read_rows(f"{file}.csv"):
        identity = f"{row['circuit']} {row['machine']} {row['bits']} {row['shots']}"
        table.setdefault(identity, {})[row["condition"], row["method"]] = row["fidelity"]
        family[identity] = row["family"]
    conditions = dict.fromkeys(condition for scores in table.values() for condition, _ in scores)
    for group in ("", *dict.fromkeys(family.values())):
        part = [scores for name, scores in table.items() if not group or family[name] == group]
        for condition in conditions:
            rows = [{method: value for (at, method), value in run.items() if at in (condition, "any")} for run in part]
            known = {"any": "counts", "measured": "reference"}.get(condition, f"calibration: {condition}")
            ours = ("mitigate(counts)",) if condition == "any" else ("mitigate(counts)", "mitigate(run)")
            others = ("raw", "hammer") if condition == "any" else ("raw", "hammer", "m3", "richardson_lucy")
            yield means(f"{file}{': ' + group if group else ''}", known, rows, ours, others)


def runs() -> Iterator[Comparison]:
    """Compare methods on circuits outside the suites, with the correct calibration and wrong ones."""
    yield from outside("outside")
    yield from outside("outside_rotated")
    yield from outside("outside_rotated_reference")
    for name, ours in {"torino": "mitigated", "circuit_noisy": "mitigate"}.items():
        for group, rows in split(read_rows(f"{name}.csv"), ("circuit",)):
            yield means(name + group, "calibration: right", rows, (ours, "counts_alone"), ("raw",))
    machines = read_rows("circuit_machines.csv")
    for age in dict.fromkeys(row["calibration"] for row in machines):
        rows = [row for row in machines if row["calibration"] == age]
        yield means(
            "circuit_machines", f"calibration: {age}", rows, ("mitigate", "counts_alone"), ("raw", "m3", "hammer")
        )


def expectations() -> Iterator[Comparison]:
    """Compare the errors of expectation values, under readout errors alone and with gate errors."""
    for group, rows in split(read_rows("bias.csv"), ("noise", "ideal")):
        by_method = (part for _, part in split(rows, ("method",)))
        error = {part[0]["method"]: sqrt(mean(float(row["rms"]) ** 2 for row in part)) for part in by_method}
        others = {name: error.pop(name) for name in ("raw", "m3")}
        yield Comparison(f"bias{group}", "calibration: right", VALUES, error, others)


def drawn() -> Iterator[Comparison]:
    """Compare methods on synthetic outputs with independent bit flips; the published method uses the rate of our
    fit."""
    rows = [row for row in read_rows("judge_mixture.csv") if row["machine"] == "synthetic"]
    for group, part in split(rows, ("group",)):
        yield means(group.removeprefix(": synthetic "), "counts", part, ("mixture",), ("raw", "hammer", "paper"))


def references() -> Iterator[Comparison]:
    """Compare methods on runs with a reference circuit: recorded runs, and simulated noise outside the calibration."""
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


def classifiers() -> Iterator[Comparison]:
    """Compare the QNN classifier with other classifiers on the same rows."""
    mine = ("QNNClassifier", "zx", "3 x", "tfq", "reed-muller", "paper preset", "softmax", "one-vs-rest")
    tables = (
        ("qnn_peers", (), "model", {"test": ACCURACY, "fit_seconds": SECONDS}),
        ("qnn_digits", ("split",), "model", {"mean": ACCURACY, "fit_seconds_best": SECONDS}),
        ("qnn_multiclass", ("data",), "model", {"mean": ACCURACY, "fit_seconds_best": SECONDS}),
    )
    for name, parts, method, figures in tables:
        for group, rows in split(read_rows(f"{name}.csv"), parts):
            for column, figure in figures.items():
                yield compare_rows(f"{name}{group}", figure, rows, method, column, mine)
    for group, (row,) in split(read_rows("qnn_rescale.csv"), ("backend", "layers", "shots")):
        error = {name: float(row[f"error_{name}"]) for name in ("raw", "readout", "rescaled")}
        yield Comparison(f"qnn_rescale{group}", "", VALUES, {"rescaled": error.pop("rescaled")}, error)


def rates() -> Iterator[Comparison]:
    """Compare the trained model of flip rates with closed forms and simpler models."""
    tables = (
        ("rates_published", ("split",), "model"),
        ("rates_transfer", ("part",), "model"),
        ("rates_fresh", ("part",), "rates"),
    )
    for name, parts, method in tables:
        for group, rows in split(read_rows(f"{name}.csv"), parts):
            for column, figure in {"r2": EXPLAINED, "mae": ERROR}.items():
                yield compare_rows(f"{name}{group}", figure, rows, method, column, ("ours", "estimate"))


def speed() -> Iterator[Comparison]:
    """Compare processor times on the same counts."""
    for row in read_rows("speed.csv"):
        others = {name: float(row[f"{name}_ms"]) for name in ("hammer", "mthree") if row[f"{name}_ms"]}
        yield Comparison(row["counts"], "counts", SPEED, {"mixture": float(row["mixture_ms"])}, others)


def split(rows: Iterable[Row], parts: tuple[str, ...]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the parts of a table with equal values in some columns, each with a name made from the values."""
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault("".join(f": {row[part]}" for part in parts), []).append(row)
    yield from named.items()


def compare_rows(
    place: str, figure: Figure, rows: Iterable[Row], method: str, column: str, mine: tuple[str, ...]
) -> Comparison:
    """Compare the rows of a table, one per method; names of our methods begin with one of `mine`."""
    value = {row[method]: float(row[column]) for row in rows if row[column]}
    sides = ({name: one for name, one in value.items() if name.startswith(mine) == ours} for ours in (True, False))
    return Comparison(place, "", figure, *sides)


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
    """Write the list with one table per part; a line that more knowledge does not change is written once."""
    text = []
    for title, source in PARTS.items():
        contests = [contest for contest in source() if contest.ours and contest.others]
        ahead = [(contest, *pair) for contest in contests for pair in contest.lost()]
        lines: dict[tuple[str, ...], str] = {}
        for contest, theirs, mine in ahead:
            lines.setdefault((contest.place, contest.figure.name, theirs, mine), contest.known or "–")
        text += [f"### {title}", "", f"Others are ahead in {len(ahead)} of {len(contests)} comparisons.", ""]
        if lines:
            text += ["| set (samples) | known | figure | ahead | best of ours |", "|---" * 5 + "|"]
            text += [f"| {place} | {known} | {figure} | {a} | {b} |" for (place, figure, a, b), known in lines.items()]
            text.append("")
    return "\n".join(text)


if __name__ == "__main__":
    print(markdown())
