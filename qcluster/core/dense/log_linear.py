"""Deconvolution of a broad output by a log-linear model, with interactions between few or many bits as the data show.

``ln p(x) = sum_k theta_k (-1)^(k.x) + const`` over all sets k of bits; in an Ising model they have one or two bits.
Interactions have a normal prior of mean 0. Its variance, the same for all sets of equally many bits, maximises the
evidence (MacKay, 1992, "Bayesian interpolation"; for densities: Leonard, 1978, "Density estimation, stochastic
processes and prior information"). Outputs of local circuits are smooth in this sense, and have far fewer effective
parameters than strings. If an output is not smooth, as that of a random circuit, all variances come out alike.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import index_bits
from qcluster.core.lockstep import Request, Stepwise, run_all
from qcluster.core.noise.decay import decays_of
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.stats.special import softmax
from qcluster.core.stats.walsh import rounding_error, walsh

_ROUNDS, _STEPS = 6, 12
"""Rounds of fitting the variances, and steps of fitting the interactions in each. Broad outputs have then reached their
most probable distribution. Few strings are some nats short of it, and rounding errors, which depend on the order of
bits, change their roots by a hundredth."""
_MEMORY = 10
"""Past steps that the minimiser keeps."""
_FIRST, _LEAST, _MOST = 1.0, 1e-7, 4.0
"""Prior variance to start from, and the limits of the fitted ones."""
_UNMOVED = 1e-3
"""Least variance of a parity that is used."""
_TINY = 1e-300
_BATCH = 1 << 15
"""Interactions that are fitted in one batch, so that it stays in cache."""


@dataclass(frozen=True, eq=False)
class LogLinear:
    """A deconvolved distribution, and what is needed to fit it again to other shots."""

    ideal: Floats
    """``(2^m,)`` the most probable distribution, nearly (see `_STEPS`), sum 1."""
    interactions: Floats
    """``(2^m,)`` theta; the first is 0."""
    prior: Floats
    """``(2^m,)`` prior variances of the interactions; the first is 0."""
    spread: Floats
    """``(2^m,)`` posterior variances, to first order."""

    def refit(self, kernel: Kernel, draws: Floats) -> Floats:
        """Deconvolve redrawn counts ``(n_draws, 2^m)`` with the same prior, to ``(n_draws, 2^m)`` distributions."""
        descents, start = partial(_descents, lambda _: kernel), (self.interactions, self.prior, self.spread)
        searches = [_most_probable(partial(Request, descents, None), 0, counts, *start) for counts in draws]
        return distribution(np.stack(run_all(searches)))


def log_linear(kernel: Kernel, scales: Sequence[float], counts: Floats) -> list[LogLinear]:
    """Deconvolve counts, ``(2^m,)`` shots, by a log-linear model at each of some multiples of a kernel's noise.

    In the kernel, every string has its own index. The models are fitted in lockstep, so that they share transforms.
    Cost: some 500 Walsh transforms for each: 0.02 s for 10 bits, 0.04 s for 12.

    Example:
        >>> from qcluster.core.noise.faults import FaultMasks
        >>> none = np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8)
        >>> kernel = Kernel.of(FaultMasks(2, *none, np.full((2, 2), 0.1)))
        >>> (model,) = log_linear(kernel, [1.0], np.array([500.0, 180, 180, 140]))
        >>> model.ideal.round(2).tolist()
        [0.58, 0.14, 0.14, 0.13]
    """
    scaled = [kernel.scaled(scale) for scale in scales]
    spectra, decays = np.stack([one.spectrum for one in scaled]), decays_of(np.stack([one.decays for one in scaled]))
    kernels = ScaledKernels(np.asarray(scales), spectra, decays)  # to the last digit those that `LogLinear.refit` gets
    # requests come in the order of the fits, so that as many as there are kernels need all of them as they are
    descents = partial(_descents, lambda rows: kernels if len(rows) == len(scaled) else kernels.take(rows))
    request = partial(Request, descents, None)
    return run_all([_fit(request, row, counts, spectrum) for row, spectrum in enumerate(spectra)])


def _fit(request: Callable[[Any], Request], row: int, counts: Floats, spectrum: Floats) -> Stepwise[LogLinear]:
    """Fit the model under one of the kernels, given its row and spectrum."""
    size = len(counts)
    order = index_bits(np.arange(size), size.bit_length() - 1).sum(axis=1)
    sets = np.bincount(order)
    information = counts.sum() * spectrum**2
    prior = np.where(order > 0, _FIRST, 0.0)
    theta, spread = np.zeros(size), prior
    for _ in range(_ROUNDS):
        theta = yield from _most_probable(request, row, counts, theta, prior, spread)
        ideal = distribution(theta)
        precision = information * np.maximum(1 - walsh(ideal) ** 2, _UNMOVED)
        spread = prior / (1 + prior * precision)
        variances = np.clip(np.bincount(order, theta**2 + spread) / sets, _LEAST, _MOST)
        prior = np.where(order > 0, variances[order], 0.0)
    return LogLinear(ideal, theta, prior, spread)


def distribution(theta: Floats) -> Floats:
    """Return the distributions ``(..., 2^m)`` that interactions ``(..., 2^m)`` define."""
    return softmax(walsh(theta))


def slope(kernel: Kernel | ScaledKernels, counts: Floats, theta: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """Return the log posterior of interactions, ``(...)``, and its gradient, ``(..., 2^m)``."""
    ideal = distribution(theta)
    noisy = np.maximum(kernel.forward(ideal), rounding_error(ideal))
    sent = ideal * kernel.adjoint(counts / noisy)
    free = prior > 0
    pull = np.divide(theta, prior, out=np.zeros_like(theta), where=free)
    value = (counts * np.log(noisy)).sum(axis=-1) - 0.5 * (theta * pull).sum(axis=-1)
    gradient = walsh(sent - sent.sum(axis=-1, keepdims=True) * ideal) - pull
    return value, np.where(free, gradient, 0.0)


def _most_probable(
    request: Callable[[Any], Request], row: int, counts: Floats, theta: Floats, prior: Floats, spread: Floats
) -> Stepwise[Floats]:
    """Maximise the log posterior from given interactions, in units of their posterior standard deviation: in these the
    posterior is about as wide in all directions."""
    unit = np.sqrt(spread)
    start = np.divide(theta, unit, out=np.zeros_like(theta), where=unit > 0)
    found = yield from minimise(lambda x: request((row, counts, prior, unit, x)), start, _STEPS)
    return found * unit


def _descents(
    kernels: Callable[[Indices], Kernel | ScaledKernels], asked: Sequence[tuple[int, Floats, Floats, Floats, Floats]]
) -> list[tuple[float, Floats]]:
    """Return minus the log posterior and its gradient for several fits under `kernels` of given rows; see `minimise`.

    Of each fit there come the row of its kernel, the counts, the prior, and the unit and the value of its point x.
    """
    answers: list[tuple[float, Floats]] = []
    at_once = max(1, _BATCH // len(asked[0][1]))
    for start in range(0, len(asked), at_once):
        rows, counts, prior, unit, x = map(np.array, zip(*asked[start : start + at_once], strict=True))
        values, gradients = slope(kernels(rows), counts, x * unit, prior)
        answers += zip((-values).tolist(), -gradients * unit, strict=True)
    return answers


def minimise(request: Callable[[Floats], Request], x: Floats, steps: int) -> Stepwise[Floats]:
    """Minimise a function from x by limited-memory BFGS with backtracking (Nocedal, 1980), in at most some steps.

    The answer to a request at x is the value and the gradient there.

    Example:
        >>> from qcluster.core.lockstep import run_one
        >>> def squares(points): return [(float((x - 3) @ (x - 3)), 2 * (x - 3)) for x in points]
        >>> run_one(minimise(lambda x: Request(squares, None, x), np.zeros(2), 20)).round(3).tolist()
        [3.0, 3.0]
    """
    value, gradient = yield request(x)
    past: deque[tuple[Floats, Floats, float]] = deque(maxlen=_MEMORY)
    for _ in range(steps):
        direction = -_times_inverse_hessian(gradient, past)
        descent = float(direction @ gradient)
        length = 1.0 if past else min(1.0, 1.0 / max(float(np.linalg.norm(gradient)), _TINY))
        while length > 1e-6:
            new_value, new_gradient = yield request(x + length * direction)
            if new_value <= value + 1e-4 * length * descent:
                break
            length *= 0.4
        else:
            break
        moved, turned = length * direction, new_gradient - gradient
        if float(moved @ turned) > 1e-12 * float(turned @ turned):
            past.append((moved, turned, 1.0 / float(moved @ turned)))
        x, value, gradient = x + moved, new_value, new_gradient
        if float(gradient @ gradient) < 1e-6:  # x is within a thousandth of the posterior's standard deviation
            break
    return x


def _times_inverse_hessian(vector: Floats, past: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Multiply by the inverse Hessian that past changes of x (`moved`) and of the gradient (`turned`) imply: the
    two-loop recursion."""
    factors, result = [], vector.copy()
    for moved, turned, inverse in reversed(past):
        factors.append(inverse * float(moved.dot(result)))
        result -= factors[-1] * turned
    if past:
        moved, turned, _ = past[-1]
        result *= float(moved @ turned) / float(turned @ turned)
    for moved, turned, inverse in past:
        result += (factors.pop() - inverse * float(turned.dot(result))) * moved
    return result
