"""The guard's reasons, each one sentence that a physicist understands."""

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import weight_of_ones
from qcluster.core.distribution import Distribution
from qcluster.core.evidence import effective_strings
from qcluster.core.verdict import Sparse


def say_string(d: Distribution, string: NDArray[np.bool_]) -> str:
    ones = weight_of_ones(d.bits, d.weights) / d.shots
    flips = np.where(string, 1 - ones, ones)
    return f"bits are independent and biased like one string with {flips.min():.1%} to {flips.max():.1%} flips a bit"


def say_sparse(fit: Sparse) -> str:
    many = effective_strings(fit)
    strings = f"{many} string{'s' if many > 1 else ''}"
    return f"{1 - fit.background:.0%} of shots explained by {strings} and {fit.flip_rate:.1%} flips per bit"


def say_dense(flips: float, lost: float, raw: float) -> str:
    return (
        f"about {flips:.0%} flips per bit undone, {lost:.0%} of shots taken for background, "
        f"{raw:.0%} of the raw counts kept as insurance"
    )
