"""Plot the loss curves of training."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.utils.validation import check_is_fitted

from qcluster.plot import NotebookFigure
from qcluster.qnn.classifier import QNNClassifier


def plot_loss(model: QNNClassifier, *, ax: Any = None) -> Figure:
    """Plot the training loss of every round, and the validation loss if there was early stopping.

    Args:
        model: A model fitted by training.
        ax: Matplotlib axes to draw on; a new figure by default.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: The model was not trained, but made from angles.

    Example:
        >>> model = QNNClassifier(random_state=0).fit([[0, 1], [1, 0]], ["a", "b"])
        >>> plot_loss(model).axes[0].get_xlabel()
        'round'
    """
    check_is_fitted(model)
    if not len(model.loss_curve_):
        raise ValueError("plot_loss needs a model that was trained; this one was made from angles")
    if ax is None:
        ax = NotebookFigure(figsize=(5.0, 3.6), layout="constrained").add_subplot()
    for curve, name, colour in (
        (model.loss_curve_, "training", "#0f62fe"),
        (model.validation_curve_, "validation", "#161616"),
    ):
        if len(curve):
            style = "o" if len(curve) == 1 else "-"
            ax.plot(np.arange(1, len(curve) + 1), curve, style, label=name, color=colour)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("round")
    ax.set_ylabel("mean loss")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    whole_figure: Figure = ax.figure.figure  # ax.figure may be a subfigure
    return whole_figure
