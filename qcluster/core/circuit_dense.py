"""Undoing a circuit's noise kernel on a broad output: variational Bayes, averaged over what may be the case.

The counts are multinomial with mean ``K_s x``, K_s the kernel of the compiled circuit with all rates times s, x the
ideal distribution with a Dirichlet prior of one concentration. Neither s (calibrations age, and the kernel is not
quite what circuits with odd angles suffer) nor the concentration (broad or sharp) is known: each pair is a hypothesis.
Under Hellinger fidelity the best answer is made of posterior means of ``sqrt(x)``, averaged over hypotheses (see
`qcluster.core.deconvolve`, which does the same without a circuit). A few rounds of Richardson-Lucy, which start at the
counts and stop at shot noise, err on the other side: a share of the answer is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.circuit_kernel import Kernel
from qcluster.core.deconvolve import smooth
from qcluster.core.goodness import misfit
from qcluster.core.special import digamma, exp_digamma, log_gamma, mean_root, softmax

Floats = NDArray[np.float64]

_TINY = 1e-300


@dataclass(frozen=True)
class DenseSettings:
    """Constants of the deconvolution."""

    scales: tuple[float, ...] = (0.05, 0.15, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0)
    """Multiples of the calibration's rates."""
    spread: float = 0.5
    """Mean distance of this multiple from 1, in its logarithm (Laplace): figures age, and are sometimes far off. Above
    1 half of it, since where a circuit is not Clifford the patterns take interference for noise."""
    densities: tuple[float, ...] = (0.3, 0.55, 1.0, 3.0)
    """Dirichlet mass of every string: 1 is a random state's (Porter-Thomas), less is sharper."""
    doubt: float = 15.0
    """The evidence counts this many times less than the formula says, as in `qcluster.core.verdict.GuardSettings`."""
    steps: int = 40
    """Rounds of variational Bayes for each hypothesis."""
    insured: float = 0.25
    """Share of Richardson-Lucy in the answer."""
    rounds: int = 10
    """Richardson-Lucy rounds at most."""
    full: int = 12
    """Bits up to which all hypotheses are tried; beyond, every other scale and density."""


@dataclass(frozen=True, eq=False)
class DenseFit:
    """A deconvolved distribution, and what it is expected to be worth."""

    ideal: Floats
    """(2^m,) the estimate."""
    scale: float
    """Multiple of the calibration's rates that is believed, a geometric mean."""
    expected_raw: float
    """Expected fidelity of the raw counts to the ideal, their sampling noise smoothed away."""
    expected: float
    """The same without insurance: what is more is due to the circuit's faults."""
    belief: Floats
    """(n_scales, n_densities) how far each hypothesis is believed, sum 1."""
    scales: Floats
    """(n_scales,) multiples of the calibration's rates."""
    densities: Floats
    """(n_densities,) Dirichlet mass of every string."""


def fidelity(p: Floats, q: Floats) -> float:
    """Hellinger fidelity of two vectors of probabilities."""
    return float(min(1.0, np.sqrt(np.maximum(p * q, 0.0)).sum() ** 2))


def deconvolve(kernel: Kernel, counts: Floats, settings: DenseSettings) -> DenseFit:
    """Undo the kernel on counts.

    Args:
        kernel: the calibration's.
        counts: (2^m,) shots.
        settings: constants.

    Returns:
        DenseFit. Cost: steps x hypotheses x four Walsh transforms; 0.7 s for 12 bits, 2 s for 16.
    """
    wide = kernel.index.n_index > settings.full
    scales = np.array(settings.scales[1::2] if wide else settings.scales)
    prior = np.array(settings.densities[::2] if wide else settings.densities)[:, None]
    posteriors = [posterior(kernel.scaled(scale), counts, prior, settings.steps) for scale in scales]
    roots, evidence = (np.stack(part) for part in zip(*posteriors, strict=True))
    aged = np.log(scales)[:, None]
    log = evidence / settings.doubt - np.maximum(-aged, 2 * aged) / settings.spread
    belief = softmax(log)
    mean = np.einsum("sd,sdx->x", belief, roots)
    scale = float(np.exp(belief.sum(axis=1) @ np.log(scales)))
    careful = np.sqrt(sharpen(kernel.scaled(scale), counts, settings.rounds))
    norm = float(mean @ mean)
    root = (1 - settings.insured) * mean / np.sqrt(norm) + settings.insured * careful
    root /= np.sqrt(root @ root)
    return DenseFit(
        ideal=root * root,
        scale=scale,
        expected_raw=min(1.0, float(mean @ smooth(counts)) ** 2),
        expected=min(1.0, norm),
        belief=belief,
        scales=scales,
        densities=prior[:, 0],
    )


def sharpen(kernel: Kernel, counts: Floats, rounds: int) -> Floats:
    """Undo the kernel by Richardson-Lucy (1972, 1974), until what is left is shot noise.

    Args:
        kernel: what makes noisy distributions.
        counts: (2^m,) shots.
        rounds: at most.
    """
    seen = counts / counts.sum()
    ideal: Floats = seen
    for _ in range(rounds):
        noisy = np.maximum(kernel.forward(ideal), _TINY)
        if misfit(noisy / noisy.sum(), counts)[1] <= 0:
            break
        ideal = np.maximum(ideal * kernel.adjoint(seen / noisy), 0.0)
        ideal /= ideal.sum()
    return ideal


def posterior(kernel: Kernel, counts: Floats, prior: Floats, steps: int) -> tuple[Floats, Floats]:
    """Find the posterior of the ideal distribution by coordinate ascent of the variational bound.

    Every count is shared out to the strings that may have sent it: ``a <- prior + e . K^T(counts / K e)``, e the
    geometric mean of the ideal under Dirichlet(a).

    Args:
        kernel: what makes noisy distributions.
        counts: (2^m,) shots, or (n_priors, 2^m), for each prior its own.
        prior: (n_priors, 1) Dirichlet mass of every string.
        steps: rounds.

    Returns:
        roots: (n_priors, 2^m) posterior mean of the square root of the ideal.
        evidence: (n_priors,) the bound, a logarithm.
    """
    strings, shots = counts.shape[-1], counts.sum(axis=-1, keepdims=True)
    shape = prior + 0.5 * (shots / strings + kernel.adjoint(counts))
    for _ in range(steps):
        sent = exp_digamma(shape) / exp_digamma(shape.sum(axis=1, keepdims=True))
        shares = kernel.adjoint(counts / np.maximum(kernel.forward(sent), _TINY))
        shape = prior + sent * np.maximum(shares, 0.0)
    whole = shape.sum(axis=1, keepdims=True)
    sent = exp_digamma(shape) / exp_digamma(whole)
    fit = (np.log(np.maximum(kernel.forward(sent), _TINY)) * counts).sum(axis=1)
    lost = (log_gamma(whole) - log_gamma(prior * strings) + strings * log_gamma(prior))[:, 0]
    lost = lost - log_gamma(shape).sum(axis=1) + ((shape - prior) * (digamma(shape) - digamma(whole))).sum(axis=1)
    return mean_root(shape) / mean_root(whole), fit - lost + _blur(kernel, shape, prior)


def _blur(kernel: Kernel, shape: Floats, prior: Floats) -> Floats:
    """Correct the evidence for what sharing counts out makes too certain, (n_priors,).

    Were it known which string sent each shot, string i would have the precision ``a_i``. Its shots are seen through the
    kernel, and a Walsh component k is known E^(k)^2 times less well: the volume of the posterior is larger by
    ``sqrt(a_i / (prior + (a_i - prior) E^(k)^2))`` for each string, on the mean over k. Without this, weak noise would
    be believed in too easily, the more so the more strings there are.
    """
    known = np.quantile(kernel.spectrum**2, (np.arange(32) + 0.5) / 32)
    shots = (shape - prior) / prior
    return np.asarray(np.mean([0.5 * np.log((1 + shots) / (1 + shots * share)).sum(axis=1) for share in known], axis=0))
