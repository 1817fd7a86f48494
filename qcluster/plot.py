"""Figures. Raw, mitigated and ideal have the same three colours everywhere.

The module can be called, as `plot` in it: `qcluster.plot` is this module as soon as anything imports it, and must still
be the function that users know.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from textwrap import fill
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from qcluster.core.checks import check_whole
from qcluster.core.counts.bits import Words, format_bitstrings, hamming
from qcluster.core.counts.distribution import Distribution, of_width
from qcluster.core.counts.labels import WHOLE, short_labels
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.mitigation import Mitigation
from qcluster.core.uncertainty.interval import Interval, intervals
from qcluster.files import check_place, write_whole

COLOURS = {"raw": "#9a9a9a", "mitigated": "#0f62fe", "ideal": "#161616"}
"""One colour for each role, in every figure of this package."""

_SHOWN = 16
"""Strings that are drawn as bars, where nothing else is asked for."""
_SMALL = 0.5
"""A curve by rank is drawn where the strings that bars would show hold less than this of every distribution."""

Errors = Callable[[list[str]], list[Interval]]
"""Bitstrings to the intervals of their probabilities, such as `Mitigation.intervals`."""


class NotebookFigure(Figure):
    """A figure that notebooks draw, also where pyplot was never used: IPython knows plain figures only after that."""

    def _repr_png_(self) -> bytes:
        held = BytesIO()
        self.savefig(held, format="png")
        return held.getvalue()


@dataclass(frozen=True)
class _Series:
    """One distribution of a figure."""

    name: str
    distribution: Distribution
    errors: Errors | None


def plot(
    *shown: Any,
    labels: Sequence[str] | None = None,
    top: int | None = None,
    errors: Sequence[Errors | None] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the most probable bitstrings of one to three distributions as bars.

    Beyond 12 bits strings are written in hexadecimal, beyond 48 with the middle left out.

    Args:
        shown: counts of any kind that `Distribution.of` takes, all of one width, such as raw counts, a mitigated and an
            ideal distribution; a `Mitigation` stands for its counts and its answer, both with 95% intervals.
        labels: one for each; "raw", "mitigated" and "ideal" have colours of their own, and are the default in
            this order.
        top: how many strings, the most probable ones over all distributions; at least 1. By default 16; but where
            these hold less than half of every distribution, all strings are drawn, as a curve by rank.
        errors: for each distribution, what gives the intervals of bitstrings, such as `Mitigation.intervals`, drawn as
            error bars, or None.
        ax: matplotlib axes to draw on; a new figure by default.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError, TypeError: what is no counts; other widths; not one label, or entry of errors, for each; a label
            that a legend leaves out.

    Example:
        >>> import qcluster as qc
        >>> figure = qc.plot({"00": 48, "01": 4, "11": 48}, {"00": 0.5, "11": 0.5}, labels=["raw", "ideal"])
        >>> figure.axes[0].get_ylabel(), figure.axes[0].get_title(loc="left")
        ('probability', 'All 3 strings that were read or expected')
    """
    if top is not None:
        top = check_whole("top", top, 1)
    series = _series(shown, labels, errors)
    pooled = _pool([one.distribution for one in series])
    rows = np.sort(np.argsort(-pooled.weights, kind="stable")[: top or _SHOWN])
    heights = np.array([_heights(one.distribution, pooled.words[rows]) for one in series])
    ranked = top is None and bool((heights.sum(axis=1) < _SMALL).all())
    if ax is None:
        wide = 8.0 if ranked else max(5.0, 0.45 * len(rows) + 1.5)
        figure = NotebookFigure(figsize=(wide, 4.2), layout="constrained")
        ax = figure.add_subplot()
    if ranked:
        _draw_ranks(ax, series)
        title = f"No few strings stand out among {pooled.n_outcomes:,}: all are drawn, by rank"
    else:
        _draw_bars(ax, series, format_bitstrings(pooled.bits[rows]), heights)
        held = heights.sum(axis=1).max()
        title = f"The {len(rows)} likeliest of {pooled.n_outcomes:,} strings, {held:.0%} of the shots"
    if len(rows) == pooled.n_outcomes:
        title = f"All {len(rows)} strings that were read or expected" if len(rows) > 1 else "One string was read"
        title = title if len(rows) else "No string was read"
    _title(ax, title)
    ax.set_ylabel("probability")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    drawn: Figure = ax.figure.figure  # the whole one, where the axes are of a subfigure
    return drawn


def _series(
    shown: Sequence[Any], labels: Sequence[str] | None, errors: Sequence[Errors | None] | None
) -> list[_Series]:
    distributions: list[Distribution] = []
    found: list[Errors | None] = []
    for one in shown:
        if isinstance(one, (list, tuple)) and one and not all(isinstance(shot, str) for shot in one):
            raise TypeError(
                "what is drawn must be arguments of their own, such as plot(raw, mitigated); "
                f"got a {type(one).__name__} of {len(one)}: put a star before it"
            )
        if isinstance(one, Mitigation):
            distributions += [one.raw, one.distribution]
            found += [partial(intervals, one.raw, one.raw, None), one.intervals] if one.raw.shots else [None, None]
        else:
            distributions.append(Distribution.of(one))
            found.append(None)
    if isinstance(labels, str):
        raise ValueError(f"labels must be a list of texts, one for each distribution; got {labels!r:.60}")
    names = list(labels) if labels is not None else list(COLOURS)[: len(distributions)]
    if not distributions:
        raise ValueError("there must be something to draw: counts, a distribution or a Mitigation; got nothing")
    if len(names) != len(distributions):
        raise ValueError(f"there must be a label for each distribution; got {len(distributions)} and {len(names)}")
    for name in names:
        if name is None or str(name)[:1] in {"", "_"}:  # matplotlib leaves it out, unsaid
            raise ValueError(f"labels must be texts that begin with no underscore, for the legend; got {name!r:.60}")
    bars = list(errors) if errors is not None else found
    if len(bars) != len(distributions):
        raise ValueError(f"there must be errors, or None, for each distribution; got {len(bars)}")
    for one in bars:
        if not (one is None or callable(one)):
            raise TypeError(
                f"errors must be functions from bitstrings to intervals, such as Mitigation.intervals; got {one!r:.60}"
            )
    return [_Series(*parts) for parts in zip(names, distributions, bars, strict=True)]


def _heights(distribution: Distribution, words: Words) -> Any:
    """Probabilities of some packed strings, 0 where one is absent."""
    return (hamming(words, distribution.words) == 0) @ distribution.probabilities


def _draw_bars(ax: Any, series: Sequence[_Series], strings: list[str], heights: Any) -> None:
    width, names = 0.8 / len(series), short_labels(strings)
    for i, (one, height) in enumerate(zip(series, heights, strict=True)):
        reach = None if one.errors is None else _reach(one.errors(strings), height)
        style = {"yerr": reach, "error_kw": {"elinewidth": 0.8, "ecolor": "#525252"}}
        places = np.arange(len(strings)) + (i + 0.5) * width - 0.4
        ax.bar(places, height, width, label=one.name, color=COLOURS.get(one.name), **style)
    turned = {"rotation": 90} if any(len(name) > 4 for name in names) else {}
    ax.set_xticks(np.arange(len(strings)), names, family="monospace", fontsize=10, **turned)
    n_bits = series[0].distribution.n_bits
    ax.set_xlabel("bitstring" if n_bits <= WHOLE else f"bitstring of {n_bits} bits, in hexadecimal")


def _draw_ranks(ax: Any, series: Sequence[_Series]) -> None:
    """Draw each distribution's probabilities, largest first."""
    for one in series:
        falling = -np.sort(-one.distribution.probabilities)
        ax.plot(np.arange(1, len(falling) + 1), falling, label=one.name, color=COLOURS.get(one.name), linewidth=1.8)
    ax.set_xscale("log")
    ax.set_xlabel("rank of the string in each distribution")


def _title(ax: Any, text: str) -> None:
    """Write a sentence above axes, in lines as long as these are wide."""
    inches = ax.bbox.width / ax.figure.dpi  # of a subfigure, too, which has no width of its own
    ax.set_title(fill(text, max(24, int(14 * inches))), fontsize=10, loc="left")


def plot_mitigation(fixed: Mitigation, ideal: Any = None, *, top: int | None = None, ax: Any = None) -> Figure:
    """Draw raw beside mitigated, and the ideal where it is known, under the verdict; `Mitigation.plot` calls it."""
    known = None if ideal is None else of_width(ideal, fixed.raw.n_bits)
    figure = plot(fixed, *([] if known is None else [known]), top=top, ax=ax)
    text = f"Mitigated: {fixed.reason}" if fixed.applied else fixed.reason[:1].upper() + fixed.reason[1:]
    if known is not None:
        before, after = (hellinger_fidelity(one, known) for one in (fixed.raw, fixed.distribution))
        text += f". Hellinger fidelity to the ideal: raw {before:.3f}, mitigated {after:.3f}"
    _title(figure.axes[0] if ax is None else ax, text)
    return figure


def save_mitigation(path: Path, fixed: Mitigation, ideal: Any = None, top: int | None = None) -> None:
    """Draw raw beside mitigated (and the ideal, where it is known), with 95% intervals, into a file.

    Args:
        path: the file; its ending says the format, such as png, pdf or svg.
        fixed: the result.
        ideal: what should have been read, if that is known.
        top: how many strings, the most probable ones; by default as `plot` does.

    Raises:
        ValueError: matplotlib does not know the ending.
        StorageError: the file cannot be written.
    """
    save_figure(path, plot_mitigation(fixed, ideal, top=top))


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure to a file, whole or not at all; raises as `check_figure` does."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=150, format=_format_of(path))
    write_whole(path, drawn.getvalue())


def check_figure(path: Path) -> None:
    """Refuse a file that no figure can be written to, before the work that it would show.

    Raises:
        ValueError: matplotlib does not know the ending.
        StorageError: the file cannot be written.
    """
    known = FigureCanvasBase.get_supported_filetypes()
    if _format_of(path).lower() not in known:
        raise ValueError(f"a figure must go into a file that ends in one of {', '.join(sorted(known))}; got {path}")
    check_place(path)


def _format_of(path: Path) -> str:
    return path.suffix.lstrip(".") or "png"


def _reach(found: list[Interval], heights: Any) -> Any:
    """Lengths (2, n) of error bars below and above."""
    ends = np.array([(one.low, one.high) for one in found]).T
    return np.maximum(np.abs(ends - heights) * ((ends - heights) * [[-1], [1]] > 0), 0.0)


def _pool(distributions: Sequence[Distribution]) -> Distribution:
    widths = {distribution.n_bits for distribution in distributions}
    if len(widths) > 1:
        raise ValueError(
            f"what is drawn must have strings of equal widths; got {' and '.join(map(str, sorted(widths)))} bits"
        )
    pooled = Distribution(distributions[0].bits, distributions[0].probabilities)
    for distribution in distributions[1:]:
        pooled = pooled + Distribution(distribution.bits, distribution.probabilities)
    return pooled


def plot_reference(report: Any) -> Any:
    """Draw what a reference says of the calibration: flips of each bit, and the places where it is off.

    Args:
        report: from `MeasuredReference.report`.

    Returns:
        The matplotlib figure.
    """
    places = report.places[:12]
    figure = NotebookFigure(figsize=(9, max(3.0, 0.3 * len(places) + 1.2)), layout="constrained")
    left, right = figure.subplots(1, 2)
    bits = np.arange(len(report.flips))
    left.bar(bits - 0.2, report.flips[:, 0], 0.4, color=COLOURS["raw"], label="measured")
    title = "no errors are published"
    if report.published:
        left.bar(bits + 0.2, report.flips[:, 1], 0.4, color=COLOURS["mitigated"], label="calibration")
        title = f"{report.ratio:.1f} times the calibrated faults"
    left.set(xlabel="classical bit", ylabel="flipped", title=title)
    left.legend()
    rows = np.arange(len(places))
    factors = np.array([place.factor for place in places])
    ends = np.array([[place.factor - place.low, place.high - place.factor] for place in places]).reshape(-1, 2).T
    right.errorbar(factors, rows, xerr=ends, fmt="o", color=COLOURS["ideal"])
    right.axvline(1.0, color=COLOURS["raw"])
    right.set_yticks(rows, [place.name for place in places])
    right.invert_yaxis()
    right.set(xscale="log", xlabel="faults, measured over calibrated")
    return figure


class _Callable(ModuleType):
    """A module that is called as its function `plot`."""

    __call__ = staticmethod(plot)


sys.modules[__name__].__class__ = _Callable
