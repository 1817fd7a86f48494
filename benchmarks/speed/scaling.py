"""Measure how the cost of mitigation grows with distinct strings and with bits, and the memory of a large set.

Run from the repository: python -m benchmarks.speed.scaling [draw]
Writes benchmarks/results/speed_scaling.csv and docs/figures/speed_scaling.png; with the word "draw", only the figure,
from the existing table. Times are processor time of one thread, fastest of three repeats (one above ten thousand
strings). The counts are three strings, with flips at a rate that makes nearly all shots distinct. The memory is the
peak of a process that draws the counts and mitigates them.
"""

import os
import resource
import subprocess
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from matplotlib.figure import Figure

import qcluster as qc
from benchmarks.data import RESULTS, read_rows, write_rows
from benchmarks.speed.works import synthetic
from benchmarks.timing import timed
from qcluster.plot import COLOURS

STRINGS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
BITS = (30, 40, 60, 80, 110, 156)
WIDE, LARGE = 156, 300_000
METHODS = {"mixture": {}, "paper": {"noise": 0.1, "method": "paper"}}
FIGURE = RESULTS.parents[1] / "docs" / "figures" / "speed_scaling.png"


def measured(axis: str, counts: qc.Distribution) -> dict[str, float | str]:
    """Time each method on one set of counts."""
    repeats = 3 if counts.n_outcomes <= 10_000 else 1
    row: dict[str, float | str] = {"axis": axis, "bits": counts.n_bits, "distinct": counts.n_outcomes}
    for name, options in METHODS.items():
        work = lambda options=options: qc.mitigate(counts, **options)  # noqa: E731
        row[f"{name}_ms"] = round(1e3 * min(timed(work)[1] for _ in range(repeats)), 2)
    print(*(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def exponent(x: list[float], y: list[float]) -> float:
    """Return the exponent a of a fit ``y ~ x^a``."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def memory() -> float:
    """Return the peak memory of a process that mitigates 300,000 strings of 156 bits, in MB."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.scaling", "memory"], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def fit(rows: list[dict[str, float | str]]) -> dict[str, float]:
    """Return the fitted exponents of each method, from 1,000 strings and from 40 bits on."""
    fitted = {}
    for axis, least in (("distinct", 1_000), ("bits", 40)):
        part = [row for row in rows if row["axis"] == axis and row[axis] >= least]
        for name in METHODS:
            fitted[f"{name} {axis}"] = exponent([row[axis] for row in part], [row[f"{name}_ms"] for row in part])
    return fitted


def draw(rows: list[dict[str, float | str]], fitted: dict[str, float]) -> None:
    """Draw cost against distinct strings, and against bits."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (axis, label) in zip(panels, (("distinct", "distinct strings"), ("bits", "bits")), strict=True):
        part = [row for row in rows if row["axis"] == axis]
        for name, colour in (("mixture", COLOURS["mitigated"]), ("paper", COLOURS["raw"])):
            text = f"{name}, exponent {fitted[f'{name} {axis}']:.2f}"
            panel.loglog(
                [row[axis] for row in part], [row[f"{name}_ms"] for row in part], "o-", color=colour, label=text
            )
        panel.set_xlabel(label)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#e0e0e0", linewidth=0.6)
        panel.legend(frameon=False)
    panels[1].set_xticks(BITS, BITS)
    panels[1].minorticks_off()
    panels[0].set_ylabel("processor time, ms")
    panels[0].set_title("100 bits, flips at 10%", fontsize=11, loc="left")
    panels[1].set_title("20,000 shots, flips at 10%", fontsize=11, loc="left")
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=130, metadata={"Software": None})


def main() -> None:
    if sys.argv[1:] == ["memory"]:
        qc.mitigate(synthetic(WIDE, LARGE, 0.1))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    if sys.argv[1:] == ["draw"]:
        rows = [
            {key: value if key == "axis" else float(value) for key, value in row.items()}
            for row in read_rows("speed_scaling.csv")
        ]
        draw(rows, fit(rows))
        return
    rows = [measured("distinct", synthetic(100, many, 0.1)) for many in STRINGS]
    rows += [measured("bits", synthetic(bits, 20_000, 0.1)) for bits in BITS]
    fitted = fit(rows)
    print("exponents, from 1,000 strings and from 40 bits:", {key: round(value, 2) for key, value in fitted.items()})
    print(f"{LARGE} strings of {WIDE} bits: peak memory {memory():.0f} MB")
    write_rows("speed_scaling.csv", rows)
    draw(rows, fitted)


if __name__ == "__main__":
    main()
