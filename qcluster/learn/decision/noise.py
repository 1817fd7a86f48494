"""Noise to train on: the noise of quantum machines, and a wider range around it.

It combines independent flips, whose rates vary from bit to bit and are biased towards decay; flips of several bits at
once; shots replaced by random bits; regimes of shots with many or few errors; over-dispersed probabilities; and shot
noise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.stats.walsh import convolve

SHOTS = (1000, 1024, 2000, 4000, 4096, 8192, 10000, 10240, 16384)
"""Common numbers of shots."""
KINDS = {"machine": 0.62, "deep": 0.16, "clean": 0.22}
"""Kinds of noise and their probabilities."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Parameters of one draw of noise."""

    rates: Floats
    """``(r, n, 2)`` flip rates in each of r regimes."""
    shares: Floats
    """``(r,)`` probability that a shot is in each regime."""
    masks: NDArray[np.bool_]
    """``(m, n)`` patterns of bits that flip together."""
    chances: Floats
    """``(m,)`` probability of each pattern."""
    replaced: float
    """Share of the shots that are replaced by independent random bits."""
    bias: Floats
    """``(n,)`` P(1) of each bit in replaced shots."""
    dispersion: float
    """Relative variance of every probability (over-dispersion)."""

    @property
    def known(self) -> Floats:
        """``(n, 2)`` flip rates averaged over the regimes: what a perfect calibration would publish."""
        return np.asarray(np.tensordot(self.shares, self.rates, 1))


def draw(rng: np.random.Generator, n: int, kind: str) -> Noise:
    """Draw noise of a kind for a register of n bits."""
    return {"machine": _machine, "deep": _deep, "clean": _clean}[kind](rng, n)


def _machine(rng: np.random.Generator, n: int) -> Noise:
    wide = rng.random() < 0.7
    level = log_uniform(rng, *((0.001, 0.35) if wide else (0.003, 0.03)))
    scales: Floats = np.ones(1)
    shares: Floats = np.ones(1)
    if rng.random() < 0.5:
        scales = rng.choice(np.array([0.2, 0.6, 1.0, 2.0, 3.5]), 3, replace=False)
        shares = rng.dirichlet([2, 3, 1])
    masks = _masks(rng, n) if rng.random() < 0.6 else np.zeros((0, n), bool)
    chances = rng.exponential(size=len(masks))
    if len(masks):
        chances = np.clip(chances / chances.sum() * level * n * rng.uniform(0.2, 1.2), 0, 0.45)
    single = rng.uniform(0.1, 0.8) if len(masks) else 1.0
    base = _scattered(rng, n)
    rates = np.clip(level * single * scales[:, None, None] * base, 0, 0.5)
    replaced = float(rng.beta(0.5, 1.5)) if rng.random() < 0.6 else float(rng.uniform(0, 0.05))
    return Noise(rates, shares, masks, chances, replaced, _bias(rng, n), 0.03 if rng.random() < 0.35 else 0.0)


def _deep(rng: np.random.Generator, n: int) -> Noise:
    """Deep circuits: ones that decay, most of the time in the worst case, and many replaced shots."""
    up = np.clip(np.exp(rng.normal(np.log(rng.choice([0.01, 0.03, 0.06, 0.12])), 0.5, n)), 0, 0.5)
    down = np.clip(up + rng.uniform(0, rng.choice([0.05, 0.2, 0.6]), n), 0, 0.65)
    masks = _masks(rng, n) if rng.random() < 0.7 else np.zeros((0, n), bool)
    chances = np.clip(rng.exponential(rng.uniform(0.005, 0.05), len(masks)), 0, 0.4)
    replaced = float(rng.beta(1, 1.2)) * float(rng.choice([0.3, 1.0]))
    return Noise(np.stack([up, down], 1)[None], np.ones(1), masks, chances, replaced, _bias(rng, n), 0.0)


def _clean(rng: np.random.Generator, n: int) -> Noise:
    """Little or no noise."""
    level = float(rng.choice([0, 0, 0.001, 0.005, 0.01, 0.02, 0.04]))
    rates = np.clip(level * _scattered(rng, n), 0, 0.3)
    return independent(rates, level * rng.uniform(0, 3))


def independent(rates: Floats, replaced: float) -> Noise:
    """Return noise of independent flips at rates ``(n, 2)`` and a share of uniformly random shots."""
    n = len(rates)
    return Noise(rates[None], np.ones(1), np.zeros((0, n), bool), np.zeros(0), replaced, np.full(n, 0.5), 0.0)


def _scattered(rng: np.random.Generator, n: int) -> Floats:
    """Draw rates ``(n, 2)`` that scatter about 1, in some cases biased towards decay."""
    if rng.random() < 0.25:
        return np.ones((n, 2))
    lean = np.zeros(2) if rng.random() < 0.4 else np.array([-0.4, 0.4]) * rng.uniform(0, 2.5)
    spread = rng.choice([0.2, 0.5, 0.9])
    return np.asarray(np.exp(rng.normal(0, spread, (n, 1)) + lean + rng.normal(0, 0.15, (n, 2))))


def _masks(rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
    """Draw patterns of bits that flip together: mostly a few neighbours, sometimes many bits."""
    masks = np.zeros((int(rng.integers(1, 3 * n + 1)), n), bool)
    for pattern in masks:
        start, length = int(rng.integers(n)), int(min(n, 1 + rng.geometric(0.5) if rng.random() < 0.7 else n))
        touched = [min(start + i, n - 1) for i in range(length)]
        if rng.random() < 0.3:
            touched = rng.integers(0, n, length).tolist()
        pattern[touched] = True
    return masks


def _bias(rng: np.random.Generator, n: int) -> Floats:
    return np.asarray(np.clip(rng.normal(0.5 - rng.choice([0, 0, 0.03, 0.15]), 0.03, n), 0.05, 0.95))


def read(rng: np.random.Generator, ideal: Floats, noise: Noise) -> Floats:
    """Return the distribution ``(2^n,)`` of reading an ideal one through noise; over-dispersion is drawn at random."""
    n = len(noise.bias)
    noisy = sum(share * _noisy(ideal, rates) for share, rates in zip(noise.shares, noise.rates, strict=True))
    if len(noise.masks):
        parity = np.bitwise_count(np.arange(1 << n)[:, None] & (noise.masks @ (1 << np.arange(n)))) & 1
        noisy = convolve(np.asarray(noisy), np.prod(1 - 2 * noise.chances * parity, axis=1))
    floor = np.ones(1)
    for chance in noise.bias[::-1]:
        floor = np.kron(floor, [1 - chance, chance])
    mixed = np.maximum((1 - noise.replaced) * np.asarray(noisy) + noise.replaced * floor, 0)
    if noise.dispersion:
        mixed = mixed * rng.gamma(1 / noise.dispersion, noise.dispersion, len(mixed))
    return np.asarray(mixed / mixed.sum())


def _noisy(p: Floats, rates: Floats) -> Floats:
    """Flip every bit independently."""
    for bit, (up, down) in enumerate(rates):
        cube = p.reshape(-1, 2, 1 << bit)
        p = np.einsum("ij,ajb->aib", np.array([[1 - up, down], [up, 1 - down]]), cube).reshape(-1)
    return p


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number from `low` to `high`, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shots(rng: np.random.Generator) -> int:
    """Draw a number of shots: a common one, or any from 100 to 1,000,000."""
    return int(rng.choice(SHOTS)) if rng.random() < 0.7 else int(log_uniform(rng, 100, 1e6))


def shots_of_wide(rng: np.random.Generator) -> int:
    """Draw the number of shots of a wide register: 100 to 16,384, and in one case of twenty up to 200,000. There hardly
    a string is read twice, and each string costs time."""
    return int(log_uniform(rng, 100, 16384) if rng.random() < 0.95 else log_uniform(rng, 16384, 2e5))
