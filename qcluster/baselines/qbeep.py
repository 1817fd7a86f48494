"""Q-BEEP: probability flows between neighbouring strings by a Poisson model of the number of errors (ISCA'23)."""

from typing import Any

import numpy as np

from qcluster.baselines.door import enter
from qcluster.baselines.radial import radial_operator
from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.distribution import Distribution


@default_errstate
def qbeep(counts: Any, expected_errors: float, *, rounds: int = 20, floor: float = 0.05) -> Distribution:
    """Let shots flow along a graph whose edges have weights ``Poisson(distance; expected_errors)``.

    In round t every observed string x offers each neighbour y the share ``Poisson(d(x, y)) N(y) / N(x)`` of its shots
    (scaled down if the shares sum to more than 1), times the learning rate 1/t. All flows of a round happen at once.
    Edges with weights below `floor` are left out. Unobserved strings gain nothing.

    Source: Stein et al., "Q-BEEP: quantum Bayesian error mitigation employing Poisson modelling over the
    Hamming spectrum", ISCA 2023. The authors' program rounds each flow down to whole shots; here flows are
    real numbers, as in the text. Cost: two radial sums per round.

    Args:
        counts: anything that `Distribution.of` takes.
        expected_errors: lambda, the mean number of flipped bits in a shot, from a calibration: the sum of
            gate errors, readout errors and decay over the run time.
        rounds: number of rounds.
        floor: least weight of an edge.

    Returns:
        A distribution with the same number of shots.

    Raises:
        ValueError: expected_errors or floor is negative or not finite, or rounds is not a whole number of at least 0.

    Example:
        >>> fixed = qbeep({"000": 70, "001": 10, "010": 10, "100": 10}, 0.5)
        >>> round(fixed.to_probs()["000"], 2)
        0.98
    """
    expected_errors = check_real("expected_errors", expected_errors, 0)
    rounds = check_whole("rounds", rounds, 0)
    floor = check_real("floor", floor, 0)
    observed = Distribution.of(counts)
    kernel = poisson(expected_errors, observed.n_bits)
    kernel[0] = 0.0
    kernel[kernel < floor] = 0.0
    spread = radial_operator(observed.words, observed.n_bits, kernel)
    shots = observed.weights.copy()
    for round_ in range(1, rounds + 1):
        offered = np.maximum(spread(shots), 0.0)
        scale = np.minimum(1.0, np.divide(shots, offered, out=np.ones_like(shots), where=offered > shots))
        outflow = offered * scale
        shots = shots + (shots * np.maximum(spread(scale), 0.0) - outflow) / round_
        shots = np.maximum(shots, 0.0)
    return Distribution(observed.bits, shots * (observed.shots / shots.sum()) if len(shots) else shots)


def poisson(mean: float, largest: int) -> Floats:
    """Return the Poisson probabilities of 0 to `largest` events.

    Returns:
        ``(largest + 1,) float64``, computed in logarithms so that no mean overflows.

    Example:
        >>> poisson(0.0, 2)
        array([1., 0., 0.])
    """
    if mean == 0:
        return np.array([1.0] + [0.0] * largest)
    counts = np.arange(largest + 1)
    log_factorial = np.r_[0.0, np.cumsum(np.log(counts[1:]))]
    return np.asarray(np.exp(counts * np.log(mean) - mean - log_factorial), dtype=np.float64)


def _answer(counts: Distribution, rates: Any) -> Distribution:
    return qbeep(counts, float(rates.mean(axis=1).sum()))


enter(
    "qbeep",
    "Q-BEEP: Poisson flow towards heavier neighbours (ISCA'23); the flip rates of all bits sum to its expected errors.",
    _answer,
    needs="rates",
)
