"""Figures of a campaign, in files."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from qcluster.bench.reports.summary import HARM, RAW, Summary, few_circuits
from qcluster.core.words import many
from qcluster.folders import write_own

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILES = ("gain.png", "fidelity.png")
"""Figures of a report."""
_ROW, _LINE = 0.4, 0.18
"""Height of a method's bar, and of a line of its name, in inches."""
_BESIDE, _ABOVE = 44, 34
"""Characters of a name in a line beside a bar, and above a scatter plot: users' methods are called as their modules."""


def draw_figures(folder: Path, rows: Sequence[Mapping[str, str]], overall: Sequence[Summary]) -> list[Path]:
    """Draw mean gains and shares harmed with their intervals, and each method's fidelity against the raw one.

    Returns:
        The files, `FILES`; none where no method but the raw counts has a fidelity.

    Raises:
        StorageError: a file cannot be written; the one that stood there before is as it was.
    """
    shown = [one for one in overall if one.method != RAW and one.n]
    if not shown:
        return []
    gains, scatter = (folder / name for name in FILES)
    return [_gains(gains, shown), _scatter(scatter, rows, shown)]


def _gains(path: Path, shown: Sequence[Summary]) -> Path:
    from matplotlib.figure import Figure

    names = [fill(f"{one.method} (n={one.n}, {many(one.circuits, 'circuit')})", _BESIDE) for one in shown]
    row = max(_ROW, _LINE * max(len(name.splitlines()) for name in names))
    figure = Figure(figsize=(10, 1.1 + row * len(shown)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    places = np.arange(len(shown))
    colours = ["#2a7f3f" if one.gain_low > 0 else "#b03030" if one.gain_high < 0 else "#888888" for one in shown]
    left.barh(places, [one.gain for one in shown], color=colours)
    right.barh(places, [one.harm for one in shown], color="#b03030")
    _whiskers(left, [(one.gain, one.gain_low, one.gain_high) for one in shown])
    _whiskers(right, [(one.harm, one.harm_low, one.harm_high) for one in shown])
    left.set_yticks(places, names, parse_math=False)
    left.invert_yaxis()
    left.axvline(0, color="#222222", linewidth=0.8)
    left.set_xlabel("mean gain in Hellinger fidelity over raw")
    right.set_xlim(0, 1)
    right.set_xlabel(f"share harmed (lost more than {HARM})")
    figure.supxlabel(few_circuits(shown) or "95 % intervals over circuits", fontsize=9)
    return _save(figure, path)


def _save(figure: "Figure", path: Path) -> Path:
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=130, metadata={"Software": None})
    write_own(path, drawn.getvalue())
    return path


def _whiskers(axes: "Axes", found: Sequence[tuple[float, float, float]]) -> None:
    """Draw the intervals that are there: ``(value, low, high)`` of each bar from the top, NaN where there is none."""
    values, low, high = np.array(found).T
    there = ~np.isnan(low)
    spread = np.stack([values - low, high - values])[:, there]
    axes.errorbar(
        values[there], np.flatnonzero(there), xerr=spread, fmt="none", ecolor="#222222", elinewidth=1.5, capsize=3
    )


def _scatter(path: Path, rows: Sequence[Mapping[str, str]], shown: Sequence[Summary]) -> Path:
    from matplotlib.figure import Figure

    ok = [row for row in rows if row["status"] == "ok" and row["hellinger_fidelity"]]
    raw = {row["task"]: float(row["hellinger_fidelity"]) for row in ok if row["method"] == RAW}
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(3 * columns, 3 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes, one in zip(grid.ravel(), shown, strict=False):
        pairs = [
            (raw[row["task"]], float(row["hellinger_fidelity"]))
            for row in ok
            if row["method"] == one.method and row["task"] in raw
        ]
        axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8)
        axes.scatter(*np.array(pairs).T, s=9, alpha=0.6, color="#0f62fe")
        axes.set_title(fill(one.method, _ABOVE), fontsize=10, parse_math=False)
    for axes in grid.ravel()[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel("raw HF")
    figure.supylabel("mitigated HF")
    return _save(figure, path)
