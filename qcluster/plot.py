"""Figures. Raw, mitigated and ideal have the same three colours everywhere.

The module can be called, as `plot` in it: `qcluster.plot` is this module as soon as anything imports it, and must still
be the function that users know.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from qcluster.core.counts.bits import format_bitstrings, hamming
from qcluster.core.counts.distribution import Distribution
from qcluster.core.mitigation import Mitigation
from qcluster.core.uncertainty.interval import Interval, intervals
from qcluster.files import write_whole

COLOURS = {"raw": "#9a9a9a", "mitigated": "#0f62fe", "ideal": "#161616"}
"""One colour for each role, in every figure of this package."""

_HEIGHT = 0.6 / 72
"""Inches that a character of one point takes along a line, in a monospaced font."""
_LONGEST = 5.0
"""Inches that a bitstring may take; longer ones are written smaller."""

Errors = Callable[[list[str]], list[Interval]]
"""Bitstrings to the intervals of their probabilities, such as `Mitigation.intervals`."""


class NotebookFigure(Figure):
    """A figure that notebooks draw, also where pyplot was never used: IPython knows plain figures only after that."""

    def _repr_png_(self) -> bytes:
        held = BytesIO()
        self.savefig(held, format="png")
        return held.getvalue()


def plot(
    *shown: Any,
    labels: Sequence[str] | None = None,
    top: int = 16,
    errors: Sequence[Errors | None] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the most probable bitstrings of one to three distributions as bars.

    Args:
        shown: counts of any kind that `Distribution.of` takes, all of one width, such as raw counts, a mitigated and an
            ideal distribution; a `Mitigation` stands for its counts and its answer, both with 95% intervals.
        labels: one for each; "raw", "mitigated" and "ideal" have colours of their own, and are the default in
            this order.
        top: how many strings, the most probable ones over all distributions; at least 1.
        errors: for each distribution, what gives the intervals of bitstrings, such as `Mitigation.intervals`, drawn as
            error bars, or None.
        ax: matplotlib axes to draw on; a new figure by default.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError, TypeError: what is no counts; other widths; not one label, or entry of errors, for each.

    Example:
        >>> import qcluster as qc
        >>> figure = qc.plot({"00": 48, "01": 4, "11": 48}, {"00": 0.5, "11": 0.5}, labels=["raw", "ideal"])
        >>> figure.axes[0].get_ylabel()
        'probability'
    """
    if top < 1:
        raise ValueError(f"top must be at least 1; got {top}")
    distributions: list[Distribution] = []
    intervals_of: list[Errors | None] = []
    for one in shown:
        if isinstance(one, Mitigation):
            distributions += [one.raw, one.distribution]
            intervals_of += [partial(intervals, one.raw, one.raw, None), one.intervals]
        else:
            distributions.append(Distribution.of(one))
            intervals_of.append(None)
    names = list(labels) if labels is not None else list(COLOURS)[: len(distributions)]
    if not distributions or len(names) != len(distributions):
        raise ValueError(f"there must be a label for each distribution; got {len(distributions)} and {len(names)}")
    bars = list(errors) if errors is not None else intervals_of
    if len(bars) != len(distributions):
        raise ValueError(f"there must be errors, or None, for each distribution; got {len(bars)}")
    pooled = _pool(distributions)
    rows = np.sort(np.argsort(-pooled.weights, kind="stable")[:top])
    size = min(10.0, _LONGEST / (_HEIGHT * pooled.n_bits))
    if ax is None:
        length = size * _HEIGHT * pooled.n_bits
        shape = max(5.0, 0.45 * len(rows) + 1.5), max(3.6, 2.6 + length)
        figure = NotebookFigure(figsize=shape, layout="constrained")
        ax = figure.add_subplot()
    width, strings = 0.8 / len(distributions), format_bitstrings(pooled.bits[rows])
    for i, (name, distribution, error) in enumerate(zip(names, distributions, bars, strict=True)):
        equal = hamming(pooled.words[rows], distribution.words) == 0
        heights = equal @ distribution.probabilities
        reach = None if error is None else _reach(error(strings), heights)
        style = {"yerr": reach, "error_kw": {"elinewidth": 0.8, "ecolor": "#525252"}}
        places = np.arange(len(rows)) + (i + 0.5) * width - 0.4
        ax.bar(places, heights, width, label=name, color=COLOURS.get(name), **style)
    ax.set_xticks(np.arange(len(rows)), strings, rotation=90, family="monospace", fontsize=size)
    ax.set_ylabel("probability")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    drawn: Figure = ax.figure
    return drawn


def plot_mitigation(fixed: Mitigation, ideal: Any = None, *, top: int = 16, ax: Any = None) -> Figure:
    """Draw raw beside mitigated, and the ideal where it is known, under the verdict; `Mitigation.plot` calls it."""
    figure = plot(fixed, *([] if ideal is None else [ideal]), top=top, ax=ax)
    verdict = "mitigated" if fixed.applied else "left as it is"
    (figure.axes[0] if ax is None else ax).set_title(f"{verdict}: {fixed.reason}", fontsize=8, loc="left", wrap=True)
    return figure


def save_mitigation(path: Path, fixed: Mitigation, ideal: Distribution | None = None, top: int = 16) -> None:
    """Draw raw beside mitigated (and the ideal, where it is known), with 95% intervals, into a file.

    Args:
        path: the file; its ending says the format, such as png, pdf or svg.
        fixed: the result.
        ideal: what should have been read, if that is known.
        top: how many strings, the most probable ones.

    Raises:
        ValueError: matplotlib does not know the ending.
        StorageError: the file cannot be written.
    """
    drawn = BytesIO()
    plot_mitigation(fixed, ideal, top=top).savefig(drawn, dpi=150, format=path.suffix.lstrip(".") or "png")
    write_whole(path, drawn.getvalue())


def _reach(found: list[Interval], heights: Any) -> Any:
    """Lengths (2, n) of error bars below and above."""
    ends = np.array([(one.low, one.high) for one in found]).T
    return np.maximum(np.abs(ends - heights) * ((ends - heights) * [[-1], [1]] > 0), 0.0)


def _pool(distributions: Sequence[Distribution]) -> Distribution:
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
    left.bar(bits + 0.2, report.flips[:, 1], 0.4, color=COLOURS["mitigated"], label="calibration")
    left.set(xlabel="classical bit", ylabel="flipped", title=f"{report.ratio:.1f} times the calibrated faults")
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
