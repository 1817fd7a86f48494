"""Figures. Raw, mitigated and ideal have the same three colours everywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcluster.core.bits import format_bitstrings, hamming
from qcluster.core.distribution import Distribution
from qcluster.core.mitigate import Mitigation
from qcluster.files import write_whole

COLOURS = {"raw": "#9a9a9a", "mitigated": "#0f62fe", "ideal": "#161616"}
"""One colour for each role, in every figure of this package."""


def plot_distributions(
    *distributions: Distribution, labels: Sequence[str] | None = None, top: int = 16, ax: Any = None
) -> Any:
    """Draw the most probable strings of one to three distributions as bars.

    Args:
        distributions: of one width.
        labels: one for each; "raw", "mitigated" and "ideal" have colours of their own, and are the default in
            this order.
        top: how many strings, the most probable ones over all distributions.
        ax: matplotlib axes to draw on; a new figure by default.

    Returns:
        The matplotlib figure.

    Example:
        >>> figure = plot_distributions(Distribution.of({"00": 48, "01": 4, "11": 48}))
        >>> figure.axes[0].get_ylabel()
        'probability'
    """
    from matplotlib.figure import Figure

    names = list(labels) if labels is not None else list(COLOURS)[: len(distributions)]
    if not distributions or len(names) != len(distributions):
        raise ValueError(f"there must be a label for each distribution; got {len(distributions)} and {len(names)}")
    pooled = _pool(distributions)
    rows = np.sort(np.argsort(-pooled.weights, kind="stable")[:top])
    if ax is None:
        figure = Figure(figsize=(max(5.0, 0.45 * len(rows) + 1.5), 3.6), layout="constrained")
        ax = figure.add_subplot()
    width = 0.8 / len(distributions)
    for i, (name, distribution) in enumerate(zip(names, distributions, strict=True)):
        equal = hamming(pooled.words[rows], distribution.words) == 0
        heights = equal @ distribution.probabilities
        ax.bar(np.arange(len(rows)) + (i + 0.5) * width - 0.4, heights, width, label=name, color=COLOURS.get(name))
    ax.set_xticks(np.arange(len(rows)), format_bitstrings(pooled.bits[rows]), rotation=90, family="monospace")
    ax.set_ylabel("probability")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax.figure


def save_mitigation(path: Path, fixed: Mitigation, ideal: Distribution | None = None, top: int = 16) -> None:
    """Draw raw beside mitigated (and the ideal, where it is known) into a PNG file.

    Raises:
        StorageError: the file cannot be written.
    """
    shown = [fixed.raw, fixed.distribution] + ([ideal] if ideal is not None else [])
    figure = plot_distributions(*shown, top=top)
    verdict = "mitigated" if fixed.applied else "left as it is"
    figure.axes[0].set_title(f"{verdict}: {fixed.reason}", fontsize=8, loc="left", wrap=True)
    write_whole(path, lambda part: figure.savefig(part, dpi=150, format=path.suffix.lstrip(".") or "png"))


def _pool(distributions: Sequence[Distribution]) -> Distribution:
    pooled = Distribution(distributions[0].bits, distributions[0].probabilities)
    for distribution in distributions[1:]:
        pooled = pooled + Distribution(distribution.bits, distribution.probabilities)
    return pooled
