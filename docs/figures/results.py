"""Draw what three methods gain, and how often they harm, on every set of recorded counts: docs/figures/results.png.

Run from the repository: python docs/figures/results.py
It reads benchmarks/results/real/*/summary.csv, which `python -m benchmarks.real` writes, and what a decision that was
trained without the set does, from benchmarks/results/decision.csv, which `python -m benchmarks.decision` writes.
"""

import csv
import sys
from math import isnan
from pathlib import Path

from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.real import SETS  # noqa: E402

METHODS = {
    "mixture": ("qc.mitigate(counts)", "#0f62fe"),
    "hammer": ("HAMMER", "#8a3ffc"),
    "m3": ("M3", "#009d9a"),
}


def left_out() -> dict[str, tuple[float, float]]:
    """Give gain and harm of the decision that was trained without a set, by the set."""
    totals: dict[str, list[float]] = {}
    with (ROOT / "benchmarks" / "results" / "decision.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["left_out"] == "the set":
                name = "lrqaoa_ibm_dev" if row["group"].startswith("lrqaoa") else row["group"]
                known = totals.setdefault(name, [0.0, 0.0, 0.0])
                cases = int(row["cases"])
                known[0] += cases
                known[1] += cases * (float(row["answer"]) - float(row["raw"]))
                known[2] += cases * float(row["harmed"])
    return {name: (gain / cases, harmed / cases) for name, (cases, gain, harmed) in totals.items()}


def main() -> None:
    unseen = left_out()
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    names = []
    for place, (name, about) in enumerate(SETS.items()):
        with (ROOT / "benchmarks" / "results" / "real" / name / "summary.csv").open(newline="") as lines:
            rows = {row["method"]: row for row in csv.DictReader(lines) if row["group"] == "all" and int(row["n"])}
        names.append(f"{about.title}\n{rows['identity']['n']} records of {rows['identity']['circuits']} circuits")
        for k, (method, (label, colour)) in enumerate(METHODS.items()):
            if method not in rows:
                continue
            height = place + 0.22 * (k - 1)
            known = {key: float(value) for key, value in rows[method].items() if key in KEYS}
            for ax, key in ((left, "gain"), (right, "harm")):
                low, high = known[f"{key}_low"], known[f"{key}_high"]
                if not isnan(low):
                    ax.plot([low, high], [height, height], color=colour, linewidth=2, alpha=0.6)
                ax.plot([known[key]], [height], "o", color=colour, markersize=6, label=label if not place else None)
        if name in unseen:
            for ax, value in zip((left, right), unseen[name], strict=True):
                label = "qc.mitigate(counts), trained without the set" if not place else None
                ax.plot(
                    [value], [place - 0.22], "o", color="#0f62fe", markerfacecolor="white", markersize=6, label=label
                )
    left.axvline(0, color="#161616", linewidth=0.8)
    left.set_yticks(range(len(names)), names, fontsize=9)
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set_xlabel("mean gain in Hellinger fidelity over the raw counts")
    right.set(xlabel="share harmed: lost more than .02", xlim=(-0.02, 1))
    left.set_title("What three methods gain on recorded counts, and how often they harm", fontsize=11, loc="left")
    left.legend(frameon=False, loc="lower right")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="x", color="#e0e0e0", linewidth=0.6)
    figure.supxlabel("Lines: 95% intervals over circuits; none for the mean of fewer than 10 circuits", fontsize=9)
    path = Path(__file__).with_name("results.png")
    figure.savefig(path, dpi=130, metadata={"Software": None})
    print(path.relative_to(ROOT))


KEYS = {f"{name}{end}" for name in ("gain", "harm") for end in ("", "_low", "_high")}

if __name__ == "__main__":
    main()
