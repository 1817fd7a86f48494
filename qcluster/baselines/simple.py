"""Two trivial methods: return the counts unchanged, or put all shots on the most frequent string."""

from typing import Any

import numpy as np

from qcluster.baselines.door import enter
from qcluster.core.arithmetic import default_errstate
from qcluster.core.counts.distribution import Distribution


@default_errstate
def identity(counts: Any) -> Distribution:
    """Return the counts unchanged: the baseline that every other method must beat.

    Args:
        counts: anything that `Distribution.of` takes.

    Example:
        >>> identity({"0": 3, "1": 1}).to_probs()
        {'0': 0.75, '1': 0.25}
    """
    return Distribution.of(counts)


@default_errstate
def plurality(counts: Any) -> Distribution:
    """Put all shots on the most frequent string: right for outputs of one string, wrong for all others.

    Args:
        counts: anything that `Distribution.of` takes. Ties go to the lowest string.

    Example:
        >>> plurality({"00": 5, "01": 3, "11": 2}).to_counts()
        {'00': 10}
    """
    observed = Distribution.of(counts)
    row = int(np.argmax(observed.weights)) if observed.n_outcomes else 0
    return Distribution(observed.bits[row : row + 1], np.full(min(1, observed.n_outcomes), observed.shots))


def _identity(counts: Distribution, rates: Any) -> Distribution:
    return identity(counts)


def _plurality(counts: Distribution, rates: Any) -> Distribution:
    return plurality(counts)


enter("identity", "The unchanged counts: what every other method must beat.", _identity)
enter("plurality", "All shots on the most frequent string.", _plurality)
