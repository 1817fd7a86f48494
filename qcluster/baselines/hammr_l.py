"""HAMMR-L: Richardson-Lucy deconvolution on the Hamming graph (arXiv:2603.28821)."""

from typing import Any

import numpy as np

from qcluster.baselines.door import enter, one_rate
from qcluster.baselines.radial import radial_operator
from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.distribution import Distribution
from qcluster.core.sparse.fit import MOST_BITS


@default_errstate
def hammr_l(counts: Any, rate: float, *, rounds: int = 20) -> Distribution:
    """Sharpen counts like a blurred image, with strings as pixels and Hamming distance as the metric.

    With K(d) = p^d (1 - p)^(n - d), the point-spread function of independent flips, each round computes::

        u(x) <- u(x) sum_y K(d(x, y)) h(y) / (K u)(y)

    on the observed strings, starting from h. Every round keeps the sum and cannot lower the likelihood. Too many
    rounds would sharpen the noise as well.

    Source: Scally et al., arXiv:2603.28821, for the idea (Richardson-Lucy, point spread by Hamming distance).
    Their point-spread function has free parameters; here it is the bit-flip channel. Cost: two radial sums per round.

    Args:
        counts: anything that `Distribution.of` takes.
        rate: flip probability of one bit, in [0, 0.5).
        rounds: number of rounds.

    Returns:
        A distribution with the same number of shots, on the same strings.

    Raises:
        ValueError: rate is outside [0, 0.5), rounds is not a whole number >= 0, or strings have more than 896 bits.

    Example:
        >>> fixed = hammr_l({"00": 81, "01": 9, "10": 9, "11": 1}, 0.1)
        >>> round(fixed.to_probs()["00"], 3)
        0.987
    """
    rounds = check_whole("rounds", rounds, 0)
    observed = Distribution.of(counts)
    kernel = flip_kernel(rate, observed.n_bits)
    if not observed.n_outcomes or not rate:
        return observed
    blur = radial_operator(observed.words, observed.n_bits, kernel)
    share = observed.probabilities
    sharp = share.copy()
    for _ in range(rounds):
        noisy = np.maximum(blur(sharp), kernel[0] * sharp)
        ratio = np.divide(share, noisy, out=np.zeros_like(share), where=noisy > 0)
        sharp = sharp * np.maximum(blur(ratio), 0.0)
        sharp /= sharp.sum()
    return Distribution(observed.bits, sharp * observed.shots)


def flip_kernel(rate: float, n_bits: int) -> Floats:
    """Return the probability of reading one particular string at each distance, for independent flips at `rate`.

    Returns:
        ``(n_bits + 1,)``: rate^d (1 - rate)^(n - d).

    Raises:
        ValueError: rate is outside [0, 0.5), or there are so many bits that probabilities underflow.

    Example:
        >>> flip_kernel(0.1, 2).round(2)
        array([0.81, 0.09, 0.01])
    """
    rate = check_real("rate", rate, 0, 0.5, open_high=True, kind="one number")
    if n_bits > MOST_BITS:
        raise ValueError(f"strings must have at most {MOST_BITS} bits; got {n_bits}")
    flips = np.arange(n_bits + 1)
    kernel: Floats = np.power(rate, flips) * np.power(1.0 - rate, n_bits - flips)
    return kernel


def _answer(counts: Distribution, rates: Any) -> Distribution:
    return hammr_l(counts, one_rate(rates))


enter(
    "hammr_l",
    "Richardson-Lucy on the Hamming graph (arXiv:2603.28821), at the mean of the flip rates.",
    _answer,
    needs="rates",
)
