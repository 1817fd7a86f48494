"""Figures of a campaign as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from qcluster.bench.reports.summary import HARM, RAW, Summary, few_circuits
from qcluster.core.words import plural
from qcluster.folders import write_managed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILES = ("gain.png", "fidelity.png")
"""Names of the figures of a report."""
_ROW, _LINE = 0.4, 0.18
"""Height of a method's bar, and of a line of its name, in inches."""
_BESIDE, _ABOVE = 44, 34
"""Characters per line of a name beside a bar, and above a scatter plot: users' methods have long names with modules."""


def draw_figures(folder: Path, rows: Sequence[Mapping[str, str]], overall: Sequence[Summary]) -> list[Path]:
    """Draw mean gains and shares harmed with their intervals, and each method's fidelity against the raw one.

    Returns:
        The paths of the figures, see `FILES`; empty if only the raw counts have a fidelity.

    Raises:
        StorageError: a file cannot be written; an earlier one is unchanged.
        QClusterError: as `qcluster.plot.render` does.
    """
    shown = [summary for summary in overall if summary.method != RAW and summary.n]
    if not shown:
        return []
    gains, scatter = (folder / name for name in FILES)
    return [_gains(gains, shown), _scatter(scatter, rows, shown)]


def _gains(path: Path, shown: Sequence[Summary]) -> Path:
    from matplotlib.figure import Figure

    names = [
        fill(f"{summary.method} (n={summary.n}, {plural(summary.circuits, 'circuit')})", _BESIDE) for summary in shown
    ]
    row = max(_ROW, _LINE * max(len(name.splitlines()) for name in names))
    figure = Figure(figsize=(10, 1.1 + row * len(shown)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    places = np.arange(len(shown))
    colours = [
        "#2a7f3f" if summary.gain_low > 0 else "#b03030" if summary.gain_high < 0 else "#888888" for summary in shown
    ]
    left.barh(places, [summary.gain for summary in shown], color=colours)
    right.barh(places, [summary.harm for summary in shown], color="#b03030")
    _whiskers(left, [(summary.gain, summary.gain_low, summary.gain_high) for summary in shown])
    _whiskers(right, [(summary.harm, summary.harm_low, summary.harm_high) for summary in shown])
    left.set_yticks(places, names, parse_math=False)
    left.invert_yaxis()
    left.axvline(0, color="#222222", linewidth=0.8)
    left.set_xlabel("mean gain in Hellinger fidelity over raw")
    right.set_xlim(0, 1)
    right.set_xlabel(f"share harmed (lost more than {HARM})")
    figure.supxlabel(few_circuits(shown) or "95 % intervals over circuits", fontsize=9)
    return _save(figure, path)


def _save(figure: "Figure", path: Path) -> Path:
    from qcluster.plot import render

    write_managed(path, render(figure, format="png", dpi=130, metadata={"Software": None}))
    return path


def _whiskers(axes: "Axes", intervals: Sequence[tuple[float, float, float]]) -> None:
    """Draw the known intervals: ``(value, low, high)`` for each bar from the top, NaN where there is none."""
    values, low, high = np.array(intervals).T
    known = ~np.isnan(low)
    spread = np.stack([values - low, high - values])[:, known]
    axes.errorbar(
        values[known], np.flatnonzero(known), xerr=spread, fmt="none", ecolor="#222222", elinewidth=1.5, capsize=3
    )


def _scatter(path: Path, rows: Sequence[Mapping[str, str]], shown: Sequence[Summary]) -> Path:
    from matplotlib.figure import Figure

    ok = [row for row in rows if row["status"] == "ok" and row["hellinger_fidelity"]]
    raw = {row["task"]: float(row["hellinger_fidelity"]) for row in ok if row["method"] == RAW}
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(3 * columns, 3 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes, summary in zip(grid.ravel(), shown, strict=False):
        pairs = [
            (raw[row["task"]], float(row["hellinger_fidelity"]))
            for row in ok
            if row["method"] == summary.method and row["task"] in raw
        ]
        axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8)
        axes.scatter(*np.array(pairs).T, s=9, alpha=0.6, color="#0f62fe")
        axes.set_title(fill(summary.method, _ABOVE), fontsize=10, parse_math=False)
    for k in range(len(shown), grid.size):
        grid.flat[k].set_visible(False)
        grid.flat[k - columns].tick_params(labelbottom=True)  # sharing axes leaves numbers in the last line only
    figure.supxlabel("raw HF")
    figure.supylabel("mitigated HF")
    return _save(figure, path)
