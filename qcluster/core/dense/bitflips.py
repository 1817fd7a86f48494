"""Undo bit flips on the full vector of ``2^n`` probabilities, under many hypotheses at once.

A hypothesis is a channel (flip rates) and a sparsity. Each explains the counts as

``P(y) = b u(y) + (1 - b) sum_z K(y|z) x(z)``

with ``x`` the ideal distribution (symmetric Dirichlet prior), ``K`` independent flips of every bit, and ``b`` the share
of shots from a *product of biased bits* ``u``, which is what decohered hardware returns, rather than uniform noise.
Variational Bayes gives the posterior of ``x`` and ``b``; the bias of each bit is a point estimate near 1/2. Each
hypothesis returns the posterior mean of ``sqrt(x)``; scaled to unit length, it has the largest expected overlap with
``sqrt(x)``, the root of the Hellinger fidelity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import index_bits
from qcluster.core.lockstep import Request, Stepwise
from qcluster.core.noise.bitflips import IndependentFlips
from qcluster.core.noise.model import NoiseModel
from qcluster.core.stats.special import dirichlet_divergence, exp_digamma, log_gamma, mean_root, perplexity

_BIAS = 0.12
"""Largest distance of a background bit's P(1) from 1/2."""
_BIAS_SHOTS = 30.0
"""Weight of the prior that a background bit is fair, in shots for each outcome."""
_WARM_UP = 6
"""Plain steps before extrapolation begins."""
_STRIDE = 12.0
"""Longest extrapolation, in steps."""

_BATCH = 1 << 15
"""Probabilities (strings times hypotheses) that are deconvolved in one batch, so that it stays in cache."""
_LONG = 9
"""Bits from which single precision is used: it halves the time, and makes errors of 1e-5 in a root, which depend on
the rest of the batch."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of the ideal distribution under each of a set of hypotheses; the first axis is hypotheses."""

    roots: Floats
    """``(n_hypotheses, 2**n)``: posterior mean of ``sqrt(ideal)``, scaled to unit length."""
    evidence: Floats
    """``(n_hypotheses,)``: variational lower bound of the log probability of the counts."""
    background: Floats
    """``(n_hypotheses,)``: share of the shots that comes from the product of biased bits."""
    shapes: NDArray[Any]
    """``(n_hypotheses, 2**n)``: parameters of the Dirichlet posterior of the ideal."""

    def take(self, rows: slice) -> "Posterior":
        """Return some of the hypotheses."""
        return Posterior(*(getattr(self, field.name)[rows] for field in fields(self)))

    def strings(self) -> Floats:
        """Return ``(n_hypotheses,)``: the effective number of strings, the perplexity of the posterior mean."""
        return perplexity(self.shapes / self.shapes.sum(axis=1, keepdims=True))


def smooth(counts: Floats) -> Floats:
    """Return the posterior mean of the square root of the probabilities that the counts were drawn from.

    No channel is undone: this estimate of the noisy distribution itself maximises the expected root of the Hellinger
    fidelity. The Dirichlet concentration is the one that makes the counts most probable. From ``(n_strings,)`` shots,
    zeros included, to a unit vector.

    Example:
        >>> np.round(smooth(np.array([60.0, 40, 50, 50])) ** 2, 2)
        array([0.28, 0.22, 0.25, 0.25])
        >>> np.round(smooth(np.array([500.0, 0, 0, 500])) ** 2, 3)
        array([0.5, 0. , 0. , 0.5])
    """
    n_strings = len(counts)
    grid = np.exp(np.linspace(-np.log(n_strings), np.log(30.0), 14))[:, None]
    seen = counts[counts > 0]
    prior, posterior, each = log_gamma(np.hstack([grid * n_strings, grid * n_strings + counts.sum(), grid])).T
    evidence = prior - posterior + log_gamma(seen + grid).sum(axis=1) - len(seen) * each
    root = mean_root(counts + grid[int(np.argmax(evidence))])
    unit: Floats = root / np.sqrt(root @ root)
    return unit


@default_errstate
def deconvolve(counts: Floats, rates: Floats, concentration: Floats, *, steps: int = 60) -> Posterior:
    """Compute the posterior of the ideal distribution under every hypothesis.

    Args:
        counts: ``(2**n,)``, in effective shots; entry y counts the string whose bits are the binary digits of y. Or
            ``(n_hypotheses, 2**n)``, separate counts for each hypothesis.
        rates: ``(n_hypotheses, n_bits, 2)``, P(read 1|0) and P(read 0|1) of each bit.
        concentration: ``(n_hypotheses,)`` Dirichlet parameter of every string, positive; small means sparse.
        steps: evaluations of the channel. With SQUAREM extrapolation (Varadhan & Roland, 2008) 60 of them reach as far
            as 160 plain ones.

    Cost: ``steps * n_hypotheses * 2**(3n/2)`` multiplications; 7 ms for 5 bits, 0.05 s for 10 (45 hypotheses).

    Raises:
        ValueError: the length of `counts` is not a power of two.

    Example:
        >>> posterior = deconvolve(np.array([810.0, 90, 90, 10]), np.full((1, 2, 2), 0.1), np.array([0.1]))
        >>> bool(posterior.roots[0, 0] ** 2 > 0.95)
        True
    """
    n_bits = counts.shape[-1].bit_length() - 1
    if counts.shape[-1] != 1 << n_bits:
        raise ValueError(f"counts must have 2**n entries; got {counts.shape[-1]}")
    bits = index_bits(np.arange(1 << n_bits), n_bits)
    dtype = np.float32 if n_bits >= _LONG else np.float64
    block = Block(counts.astype(dtype), bits.astype(dtype), IndependentFlips(rates, dtype))
    return Ascent([block], concentration).run(steps)


def deconvolve_steps(counts: Floats, rates: Floats, concentration: Floats, steps: int) -> Stepwise[Posterior]:
    """Run `deconvolve` in steps, for `qcluster.core.lockstep`: in batches, or in single precision each set by itself,
    so that its answer does not depend on the batch."""
    key = len(counts), steps, id(counts) if len(counts) >> _LONG else 0
    posterior: Posterior = yield Request(_deconvolve_batch, key, (counts, rates, concentration, steps))
    return posterior


def _deconvolve_batch(inputs: Sequence[tuple[Floats, Floats, Floats, int]]) -> list[Posterior]:
    """Deconvolve several sets of counts of the same length, as many at once as stay in cache."""
    posteriors: list[Posterior] = []
    first, _, density, steps = inputs[0]
    at_once = max(1, _BATCH // (len(density) * len(first)))
    for start in range(0, len(inputs), at_once):
        sets, rates, concentrations, _ = zip(*inputs[start : start + at_once], strict=True)
        sizes = [len(concentration) for concentration in concentrations]
        # all hypotheses of a set share its counts
        counts = sets[0] if len(sets) == 1 else np.repeat(np.stack(sets), sizes, axis=0)
        posterior = deconvolve(counts, np.concatenate(rates), np.concatenate(concentrations), steps=steps)
        ends = np.cumsum(sizes).tolist()
        posteriors += [posterior.take(slice(end - size, end)) for end, size in zip(ends, sizes, strict=True)]
    return posteriors


@dataclass(frozen=True, eq=False)
class Block:
    """Some of the strings that were read, and the noise that leads to them."""

    counts: NDArray[Any]
    """``(n_strings,)`` or ``(n_hypotheses, n_strings)``: how often each string was read."""
    bits: NDArray[Any]
    """``(n_strings, n_bits)``, as numbers, or as bool where numbers would take too much memory."""
    noise: NoiseModel
    """Channel from all strings that may have been sent to the strings of this block."""


class Ascent:
    """Coordinate ascent of the variational bound (Attias, 1999): Dirichlet over the ideal, Beta over the background.

    The strings that were read come in blocks, and need not be those that may have been sent. The state is `shape`, the
    Dirichlet parameters; `beta`, the Beta parameter of the background; and `bias`, P(1) of the background's bits.
    """

    def __init__(self, blocks: Sequence[Block], concentration: Floats) -> None:
        n_hypotheses, n_bits = len(concentration), blocks[0].bits.shape[1]
        self.dtype = blocks[0].counts.dtype
        self.blocks = [
            replace(block, counts=np.broadcast_to(block.counts, (n_hypotheses, block.counts.shape[-1])))
            for block in blocks
        ]
        self.tiny = np.finfo(self.dtype).tiny
        self.prior = concentration[:, None].astype(self.dtype)
        shots = reduce(np.add, (b.counts.sum(axis=1, keepdims=True, dtype=np.float64) for b in self.blocks))
        self.total = shots + 2.0
        self.beta = 1 + 0.3 * shots
        self.largest_beta = np.minimum(self.total - 1.0, np.nextafter(self.total, 0))  # beyond 2^53 shots, 1 is lost
        self.largest_shape = self.prior + self.total.astype(self.dtype)
        sent = reduce(np.add, (block.noise.adjoint(block.counts) for block in self.blocks))
        self.shape = self.prior + self.dtype.type(0.5) * ((shots / sent.shape[1]).astype(self.dtype) + sent)
        self.bias = np.full((n_hypotheses, n_bits), 0.5)
        self.backgrounds = [np.full(block.counts.shape, 0.5**n_bits, self.dtype) for block in self.blocks]
        longest = max(len(block.bits) * (block.bits.dtype != self.dtype) for block in self.blocks)
        self.buffer = np.empty((longest, n_bits), self.dtype)

    def run(self, steps: int) -> Posterior:
        """Take plain steps, then pairs of steps, each followed by an extrapolation and an update of the background."""
        warm_up, pairs = min(_WARM_UP, steps), max(0, (steps - _WARM_UP) // 2)
        for last in range(warm_up - 1, -1, -1):
            self.shape, self.beta = self.step(self.shape, self.beta, fit_bias=not last)
        self.set_backgrounds()
        for _ in range(pairs):
            first = self.step(self.shape, self.beta)
            second = self.step(*first, fit_bias=True)
            self.extrapolate(first, second)
            self.set_backgrounds()
        self.shape, self.beta = self.step(self.shape, self.beta, fit_bias=True)
        roots = mean_root(self.shape.astype(np.float64))
        roots /= np.sqrt((roots * roots).sum(axis=1, keepdims=True))
        return Posterior(roots, self.evidence(), (self.beta / self.total)[:, 0], self.shape)

    def step(self, shape: Floats, beta: Floats, fit_bias: bool = False) -> tuple[Floats, Floats]:
        """Share each count among the strings and the background that may have sent it, by their geometric means.

        With `fit_bias`, also fit the bias of the background's bits, which costs as much as applying the noise.
        """
        parts = [self.total - beta, shape.sum(axis=1, keepdims=True, dtype=np.float64), beta]
        if shape.dtype == np.float64:  # short vectors: one call for all costs no more than one for three
            every = exp_digamma(np.concatenate([*parts, shape], axis=1))
            means, sent = every[:, :3], every[:, 3:]
        else:
            means, sent = exp_digamma(np.concatenate(parts, axis=1)), exp_digamma(shape)
        sent *= (means[:, :1] / means[:, 1:2]).astype(sent.dtype, copy=False)
        unsent = means[:, 2:].astype(sent.dtype, copy=False)
        blocks = zip(self.blocks, self.backgrounds, strict=True)
        parts_of_blocks = (self.share(*block, sent, unsent, fit_bias) for block in blocks)
        shares, stray_shots, ones = reduce(lambda left, right: tuple(map(np.add, left, right)), parts_of_blocks)
        shares *= sent
        shares += self.prior
        if fit_bias:
            bias = (ones + _BIAS_SHOTS) / (stray_shots + 2 * _BIAS_SHOTS)
            self.bias = np.minimum(np.maximum(bias, 0.5 - _BIAS), 0.5 + _BIAS)
        return shares, np.minimum(1 + stray_shots, self.largest_beta)  # sums in single precision may exceed the shots

    def share(
        self, block: Block, background: NDArray[Any], sent: Floats, unsent: Floats, count_ones: bool
    ) -> tuple[Any, ...]:
        """Share the counts of a block: return the factor on `sent` that gives the shots of each string, the shots of
        the background, and, with `count_ones`, those of them in which each bit is 1 (else 0)."""
        stray = unsent * background
        expected = block.noise.forward(sent)
        expected += stray
        ratio = np.divide(block.counts, np.maximum(expected, self.tiny, out=expected), out=expected)
        stray *= ratio
        ones = stray @ self.numbers(block.bits) if count_ones else 0
        return block.noise.adjoint(ratio), stray.sum(axis=1, keepdims=True, dtype=np.float64), ones

    def extrapolate(self, first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> None:
        """Extrapolate along two steps, in logarithms (SQUAREM, Varadhan & Roland, 2008).

        With r = x1 - x0 and v = x2 - 2 x1 + x0 the state becomes ``x0 + 2 a r + a^2 v``, a = |r| / |v|. Both norms
        weight strings by their Dirichlet parameter: the logarithms of rare strings change much and matter little.
        """
        start = self.logs(self.shape, self.beta)
        speed = self.logs(*first)
        speed -= start
        change = self.logs(*second)
        change -= start
        change -= 2 * speed
        weight = np.concatenate([self.shape, np.ones_like(self.beta, self.shape.dtype)], axis=1)
        length = np.einsum("ij,ij,ij->i", weight, speed, speed)
        length /= np.maximum(np.einsum("ij,ij,ij->i", weight, change, change), 1e-30)
        stride = np.minimum(np.maximum(np.sqrt(length), 1.0), _STRIDE)[:, None]
        change *= stride
        speed *= 2
        change += speed
        change *= stride
        start += change
        np.minimum(np.maximum(start, -80, out=start), 80, out=start)
        odds = np.exp(start, out=start)
        self.shape = np.minimum(np.maximum(odds[:, :-1], self.prior), self.largest_shape)
        odds = odds[:, -1:].astype(np.float64)
        self.beta = np.minimum(np.maximum(self.total * odds / (1 + odds), 1.0), self.largest_beta)

    def logs(self, shape: Floats, beta: Floats) -> Floats:
        """Return the logarithms of the state; on this scale successive steps have nearly the same direction."""
        logs: Floats = np.empty((len(shape), shape.shape[1] + 1), shape.dtype)
        logs[:, :-1], logs[:, -1:] = shape, beta / (self.total - beta)
        np.log(logs, out=logs)
        return logs

    def numbers(self, bits: NDArray[Any]) -> NDArray[Any]:
        """Return bits as numbers, in a buffer that the next call overwrites: new memory for each block is slow."""
        if bits.dtype == self.dtype:
            return bits
        buffer = self.buffer[: len(bits)]
        np.copyto(buffer, bits)
        return buffer

    def set_backgrounds(self) -> None:
        """Set the background to the product of the biased bits."""
        unset = np.log1p(-self.bias)
        slopes, level = np.log(self.bias) - unset, unset.sum(axis=1, keepdims=True)
        for block, background in zip(self.blocks, self.backgrounds, strict=True):
            exponent = slopes.astype(self.dtype, copy=False) @ self.numbers(block.bits).T
            exponent += level.astype(exponent.dtype, copy=False)
            np.exp(exponent, out=background)

    def evidence(self) -> Floats:
        """Return the variational bound of the log evidence, in nats, with the log prior of the bias added."""
        shape, prior = self.shape.astype(np.float64), self.prior.astype(np.float64)
        kept = self.total - self.beta
        mass = shape.sum(axis=1, keepdims=True)
        means = exp_digamma(np.hstack([kept, self.beta, self.total, mass]))
        sent = exp_digamma(shape) * (means[:, :1] / (means[:, 2:3] * means[:, 3:]))
        unsent, fit = means[:, 1:2] / means[:, 2:3], np.zeros(len(shape))
        for block, background in zip(self.blocks, self.backgrounds, strict=True):
            expected = block.noise.forward(sent.astype(self.dtype)) + unsent * background
            fit += (np.log(np.maximum(expected, 1e-300)) * block.counts).sum(axis=1, dtype=np.float64)
        background_divergence = dirichlet_divergence(np.hstack([kept, self.beta]), np.ones((1, 1)))
        penalty = _BIAS_SHOTS * np.log(4 * self.bias * (1 - self.bias)).sum(axis=1)
        return np.asarray(fit - (dirichlet_divergence(shape, prior) + background_divergence) + penalty)
