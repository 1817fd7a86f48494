"""Figures, in which raw, mitigated and ideal distributions always have the same three colours, lighter on dark axes.

The module can be called like its function `plot`. The name `qcluster.plot` refers to this module once anything has
imported it, and must still work as the function that users call.
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
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from qcluster.core.checks import check_whole
from qcluster.core.counts.bits import Words, format_bitstrings, unique_words
from qcluster.core.counts.distribution import Distribution, read_with_width
from qcluster.core.counts.labels import FULL_WIDTH, short_labels
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.counts.nested import is_wrapped
from qcluster.core.mitigation import Mitigation
from qcluster.core.uncertainty.interval import Interval, intervals
from qcluster.core.words import plural
from qcluster.errors import QClusterError
from qcluster.files import check_place, write_whole

COLOURS = {"raw": "#9a9a9a", "mitigated": "#0f62fe", "ideal": "#161616"}
"""The colour of each role on light axes, in every figure of this package."""
_ON_DARK = COLOURS | {"mitigated": "#78a9ff", "ideal": "#f4f4f4"}
"""The same on dark axes, as in the pages of campaigns."""

_BARS = 16
"""Default number of bitstrings drawn as bars."""
_LABELS = 128
"""Largest number of bars with a label each. A figure of more is no wider, and has labels at equal distances."""
_FONT = 10
"""Size of the labels of bars, in points."""
_ADVANCE = 0.602 * _FONT / 72
"""Width of one of their characters in inches; a character of DejaVu Sans Mono is 0.602 of its size wide."""
_HEIGHT = 4.2
"""Height of a figure in inches, with labels of up to 14 characters, as those of up to 48 bits are."""
_PLACES = 12
"""Largest number of places drawn of the report of a reference."""
_MIN_SHARE = 0.5
"""A curve by rank replaces the bars if they would show less than this share of every distribution."""

Errors = Callable[[list[str]], list[Interval]]
"""A function from bitstrings to the intervals of their probabilities, such as `Mitigation.intervals`."""


class NotebookFigure(Figure):
    """A figure that notebooks display even if pyplot was never imported; IPython needs pyplot for plain figures."""

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()


@dataclass(frozen=True)
class _Series:
    """One distribution in a figure, with its label and the function for its error bars."""

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

    Bitstrings of more than 12 bits are labelled in hexadecimal, and those of more than 48 bits without their middle. Of
    more than 128 bars, only some are labelled, at equal distances.

    Args:
        shown: counts of any kind that `Distribution.of` takes, all with the same number of bits, such as raw counts, a
            mitigated and an ideal distribution. A `Mitigation` is drawn as its counts and its answer, both with 95%
            intervals.
        labels: one label per distribution. The defaults, in this order, are "raw", "mitigated" and "ideal", which have
            fixed colours.
        top: number of bitstrings, the most probable ones over all distributions; at least 1. The default is 16; but if
            these hold less than half of every distribution, all bitstrings are drawn, as a curve by rank.
        errors: one entry per distribution: a function that returns the intervals of bitstrings, such as
            `Mitigation.intervals`, which are drawn as error bars; or None.
        ax: matplotlib axes to draw on; by default a new figure is made.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError, TypeError: not counts; different numbers of bits; not one label, or one entry of errors, per
            distribution; a label that a legend would omit.

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
    rows = np.sort(np.argsort(-pooled.weights, kind="stable")[: top or _BARS])
    strings = format_bitstrings(pooled.bits[rows])
    heights = np.array([_probabilities(one.distribution, pooled.words[rows]) for one in series])
    ranked = top is None and bool((heights.sum(axis=1) < _MIN_SHARE).all())
    if ax is None:
        labelled = strings[:: _label_step(strings)]
        width = 8.0 if ranked else max(5.0, 0.45 * len(labelled) + 1.5)
        longest = 0 if ranked else max(map(len, short_labels(labelled)), default=0)
        height = _HEIGHT + _ADVANCE * max(0, longest - 14)
        figure = NotebookFigure(figsize=(width, height), layout="constrained")
        ax = figure.add_subplot()
    if ranked:
        _draw_ranks(ax, series)
        title = f"No few strings stand out among {pooled.n_outcomes:,}: all are drawn, by rank"
    else:
        _draw_bars(ax, series, strings, heights)
        shares = (f"{share:.0%} of {one.name}" for one, share in zip(series, heights.sum(axis=1), strict=True))
        title = f"The {len(rows)} likeliest of {pooled.n_outcomes:,} strings: {', '.join(shares)}"
    if len(rows) == pooled.n_outcomes:
        title = f"All {len(rows)} strings that were read or expected" if len(rows) > 1 else "One string was read"
        title = title if len(rows) else "No string was read"
    _title(ax, title)
    ax.set_ylabel("probability")
    place = "upper right" if ranked or len(rows) > _LABELS else "best"  # which looks at every bar, several times
    ax.legend(loc=place, framealpha=0.9, edgecolor="none")  # bars may fill the axes, and must not hide it
    ax.spines[["top", "right"]].set_visible(False)
    whole_figure: Figure = ax.figure.figure  # ax.figure may be a subfigure
    return whole_figure


def _series(
    shown: Sequence[Any], labels: Sequence[str] | None, errors: Sequence[Errors | None] | None
) -> list[_Series]:
    """Check the arguments of `plot`, and make one series per distribution."""
    distributions: list[Distribution] = []
    defaults: list[Errors | None] = []
    for item in shown:
        if isinstance(item, (list, tuple)) and item and not all(isinstance(shot, str) for shot in item):
            raise TypeError(
                "distributions must be separate arguments, such as plot(raw, mitigated); "
                f"got a {type(item).__name__} of {len(item)}: put a star before it"
            )
        if _holds_results(item):
            raise TypeError(
                f"distributions must be separate arguments; got a dict of {plural(len(item), 'result')} by name: write "
                "plot(*results.values(), labels=[*results]), where the distribution of a Mitigation replaces it"
            )
        if isinstance(item, Mitigation):
            distributions += [item.raw, item.distribution]
            defaults += [partial(intervals, item.raw, item.raw, None), item.intervals] if item.raw.shots else [None] * 2
        else:
            distributions.append(Distribution.of(item))
            defaults.append(None)
    if isinstance(labels, str):
        raise ValueError(f"labels must be a list of texts, one for each distribution; got {labels!r:.60}")
    names = list(labels) if labels is not None else list(COLOURS)[: len(distributions)]
    if not distributions:
        raise ValueError("there must be something to draw: counts, a distribution or a Mitigation; got nothing")
    if len(names) != len(distributions):
        came = f"labels={names}" if labels is not None else "no labels, which more than three need"
        raise ValueError(
            "there must be a label for each distribution, as labels=[...]; got "
            f"{plural(len(distributions), 'distribution')} and {came:.60}"
        )
    for name in names:
        if name is None or str(name)[:1] in {"", "_"}:  # matplotlib would silently omit it from the legend
            raise ValueError(f"labels must be texts that begin with no underscore, for the legend; got {name!r:.60}")
    functions = list(errors) if errors is not None else defaults
    if len(functions) != len(distributions):
        raise ValueError(f"there must be errors, or None, for each distribution; got {len(functions)}")
    for function in functions:
        if not (function is None or callable(function)):
            raise TypeError(
                "errors must be functions from bitstrings to intervals, such as Mitigation.intervals; "
                f"got {function!r:.60}"
            )
    return [_Series(*parts) for parts in zip(names, distributions, functions, strict=True)]


def _holds_results(item: Any) -> bool:
    """True if an item holds what could be drawn, by name, where counts have the shots of bitstrings."""
    return isinstance(item, dict) and not is_wrapped(item) and bool(item) and all(map(_can_be_drawn, item.values()))


def _can_be_drawn(value: Any) -> bool:
    if isinstance(value, Mitigation):
        return True
    try:
        Distribution.of(value)
    except (TypeError, ValueError):
        return False
    return True


def _probabilities(distribution: Distribution, words: Words) -> Any:
    """Probabilities of packed bitstrings; 0 for those that the distribution does not contain."""
    known, index = unique_words(np.vstack([words, distribution.words]))
    probabilities = np.zeros(len(known))
    probabilities[index[len(words) :]] = distribution.probabilities
    return probabilities[index[: len(words)]]


def _label_step(strings: list[str]) -> int:
    """Distance between two bars that are labelled."""
    return max(1, -(-len(strings) // _LABELS))


def _draw_bars(ax: Any, series: Sequence[_Series], strings: list[str], heights: Any) -> None:
    """Draw the probabilities of bitstrings, (n_series, n_strings), as groups of bars."""
    step = _label_step(strings)
    width, names = 0.8 / len(series), short_labels(strings[::step])
    for i, (one, height) in enumerate(zip(series, heights, strict=True)):
        lengths = None if one.errors is None else _error_lengths(one.errors(strings), height)
        style = {"yerr": lengths, "error_kw": {"elinewidth": 0.8, "ecolor": "#c6c6c6" if _is_dark(ax) else "#525252"}}
        positions = np.arange(len(strings)) + (i + 0.5) * width - 0.4
        ax.bar(positions, height, width, label=one.name, color=_colour(ax, one.name), **style)
    rotation = {"rotation": 90} if any(len(name) > 4 for name in names) else {}
    ax.set_xticks(np.arange(0, len(strings), step), names, family="monospace", fontsize=_FONT, **rotation)
    n_bits = series[0].distribution.n_bits
    ax.set_xlabel("bitstring" if n_bits <= FULL_WIDTH else f"bitstring of {n_bits} bits, in hexadecimal")


def _draw_ranks(ax: Any, series: Sequence[_Series]) -> None:
    """Draw each distribution's probabilities, largest first."""
    for one in series:
        probabilities = -np.sort(-one.distribution.probabilities)
        ranks = np.arange(1, len(probabilities) + 1)
        ax.plot(ranks, probabilities, label=one.name, color=_colour(ax, one.name), linewidth=1.8)
    ax.set_xscale("log")
    ax.set_xlabel("rank of the string in each distribution")


def _colour(ax: Any, name: str) -> str | None:
    """Return the colour of a role on axes; None for other names, to which matplotlib gives its own."""
    return (_ON_DARK if _is_dark(ax) else COLOURS).get(name)


def _is_dark(ax: Any) -> bool:
    """Return whether the text of axes is light, as in dark themes; the axes themselves may be transparent."""
    luminance = np.dot(to_rgb(ax.yaxis.label.get_color()), (0.2126, 0.7152, 0.0722))  # of ITU-R BT.709
    return bool(luminance > 0.5)


def _title(ax: Any, text: str) -> None:
    """Write a sentence above axes, wrapped to their width."""
    inches = ax.bbox.width / ax.figure.dpi  # works for a subfigure too, which has no width in inches
    ax.set_title(fill(text, max(24, int(14 * inches))), fontsize=10, loc="left", parse_math=False)


def plot_mitigation(fixed: Mitigation, ideal: Any = None, *, top: int | None = None, ax: Any = None) -> Figure:
    """Draw raw and mitigated bars, and the ideal if given, with the verdict as title; implements `Mitigation.plot`."""
    target = None if ideal is None else read_with_width(ideal, fixed.raw.n_bits)
    figure = plot(fixed, *([] if target is None else [target]), top=top, ax=ax)
    text = f"Mitigated: {fixed.reason}" if fixed.applied else fixed.reason[:1].upper() + fixed.reason[1:]
    if target is not None:
        before, after = (hellinger_fidelity(one, target) for one in (fixed.raw, fixed.distribution))
        text += f". Hellinger fidelity to the ideal: raw {before:.3f}, mitigated {after:.3f}"
    _title(figure.axes[0] if ax is None else ax, text)
    return figure


def save_mitigation(path: Path, fixed: Mitigation, ideal: Any = None, top: int | None = None) -> None:
    """Draw raw and mitigated bars (and the ideal, if given) with 95% intervals, and write the figure to a file.

    Args:
        path: the file; its ending, such as png, pdf or svg, determines the format.
        fixed: the result.
        ideal: the noiseless distribution, if it is known.
        top: number of bitstrings, the most probable ones; by default as in `plot`.

    Raises:
        ValueError: matplotlib has no format with this ending.
        StorageError: the file cannot be written.
        QClusterError: as `render` does.
    """
    save_figure(path, plot_mitigation(fixed, ideal, top=top))


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure to a file, completely or not at all; raises as `check_figure` and `render` do."""
    write_whole(path, render(figure, dpi=150, format=_format_of(path)))


def render(figure: Figure, **options: Any) -> bytes:
    """Draw a figure as the content of a file; options as for matplotlib's `Figure.savefig`.

    Raises:
        QClusterError: a program that matplotlib needs for it, such as LaTeX, is missing or fails.
    """
    content = BytesIO()
    try:
        figure.savefig(content, **options)
    except Exception as error:
        from matplotlib.backends.backend_pgf import LatexError  # slow to import

        if not isinstance(error, RuntimeError | LatexError):
            raise
        raise QClusterError(f"matplotlib cannot draw the figure: {error}") from error
    return content.getvalue()


def check_figure(path: Path) -> None:
    """Check that a figure can be written to a file, before the work whose result it shows.

    Raises:
        ValueError: matplotlib has no format with this ending.
        StorageError: the file cannot be written.
    """
    formats = FigureCanvasBase.get_supported_filetypes()
    if _format_of(path).lower() not in formats:
        raise ValueError(f"a figure must go into a file that ends in one of {', '.join(sorted(formats))}; got {path}")
    check_place(path)


def _format_of(path: Path) -> str:
    return path.suffix.lstrip(".") or "png"


def _error_lengths(bounds: list[Interval], heights: Any) -> Any:
    """Lengths (2, n) of the error bars below and above bars; 0 where the end of an interval is on the other side."""
    ends = np.array([(interval.low, interval.high) for interval in bounds]).T
    return np.maximum((ends - heights) * [[-1], [1]], 0.0)


def _pool(distributions: Sequence[Distribution]) -> Distribution:
    """Sum of the probabilities of distributions; ValueError if their numbers of bits differ."""
    widths = {distribution.n_bits for distribution in distributions}
    if len(widths) > 1:
        raise ValueError(
            f"distributions must have strings of equal widths; got {' and '.join(map(str, sorted(widths)))} bits"
        )
    pooled = Distribution(distributions[0].bits, distributions[0].probabilities)
    for distribution in distributions[1:]:
        pooled = pooled + Distribution(distribution.bits, distribution.probabilities)
    return pooled


def plot_reference(report: Any) -> Any:
    """Draw how a reference compares with the calibration: flips of each bit, and the places where faults differ most.

    Args:
        report: the report, from `MeasuredReference.report`.

    Returns:
        The matplotlib figure.
    """
    places = report.places[:_PLACES]
    figure = NotebookFigure(figsize=(9, max(3.0, 0.3 * len(places) + 1.2)), layout="constrained")
    left, *right = figure.subplots(1, 1 + bool(places), squeeze=False)[0]
    bits = np.arange(len(report.flips))
    left.bar(bits - 0.2, report.flips[:, 0], 0.4, color=_colour(left, "raw"), label="measured")
    title = "No errors are published"
    if report.published:
        left.bar(bits + 0.2, report.flips[:, 1], 0.4, color=_colour(left, "mitigated"), label="calibration")
        title = "No shot read the expected string"
        if report.survival:
            title = f"{report.ratio:.1f} times the calibrated faults"
        title += "" if places else ", and no place has a significantly different rate"
    _title(left, title)
    left.set(xlabel="classical bit", ylabel="share of the shots that flip it")
    left.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    left.legend(framealpha=0.9, edgecolor="none")
    for ax in right:
        _draw_places(ax, places)
        if len(places) < len(report.places):
            _title(ax, f"The {len(places)} most significant of {len(report.places)} places that differ")
    return figure


def _draw_places(ax: Any, places: Sequence[Any]) -> None:
    """Draw the factors on the calibrated faults of some places, with their ranges."""
    rows = np.arange(len(places))
    factors, low, high = np.array([(place.factor, place.low, place.high) for place in places]).T
    ax.errorbar(factors, rows, xerr=[factors - low, high - factors], fmt="o", color=_colour(ax, "ideal"))
    ax.axvline(1.0, color=_colour(ax, "raw"))
    ax.set_yticks(rows, [place.name for place in places])
    ax.invert_yaxis()
    ax.set(xscale="log", xlabel="faults, measured over calibrated\n(lines: one standard deviation)")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))


class _Callable(ModuleType):
    """A module that is called as its function `plot`."""

    __call__ = staticmethod(plot)


sys.modules[__name__].__class__ = _Callable
