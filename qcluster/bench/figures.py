"""Figures of a campaign, in files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from qcluster.bench.summary import RAW, Summary


def draw_figures(folder: Path, rows: Sequence[Mapping[str, str]], overall: Sequence[Summary]) -> list[Path]:
    """Draw mean gains with their intervals, and each method's fidelity against the raw one.

    Returns:
        The files: ``gain.png`` and ``fidelity.png``.
    """
    shown = [one for one in overall if one.method != RAW and one.n]
    if not shown:
        return []
    return [_gains(folder / "gain.png", shown), _scatter(folder / "fidelity.png", rows, shown)]


def _gains(path: Path, shown: Sequence[Summary]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.9 + 0.4 * len(shown)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))
    gains = np.array([one.gain for one in shown])
    spread = np.array([[one.gain - one.gain_low, one.gain_high - one.gain] for one in shown]).T.clip(0)
    colours = ["#2a7f3f" if one.gain_low > 0 else "#b03030" if one.gain_high < 0 else "#888888" for one in shown]
    axes.barh(places, gains, xerr=spread, color=colours, ecolor="#222222", capsize=3)
    axes.set_yticks(places, [f"{one.method} (n={one.n})" for one in shown])
    axes.invert_yaxis()
    axes.axvline(0, color="#222222", linewidth=0.8)
    axes.set_xlabel("mean gain in Hellinger fidelity over raw, 95 % interval")
    figure.savefig(path, dpi=130, metadata={"Software": None})
    return path


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
        axes.set_title(one.method, fontsize=10)
    for axes in grid.ravel()[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel("raw HF")
    figure.supylabel("mitigated HF")
    figure.savefig(path, dpi=130, metadata={"Software": None})
    return path
