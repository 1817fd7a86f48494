"""Noise to train on: what machines do to an ideal distribution, and beyond.

Independent flips that scatter from bit to bit and lean towards decay, flips of several bits at once, a product of
biased bits in place of some shots, shots with many errors and with few, probabilities that drift; then shots.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.stats.walsh import convolve

SHOTS = (1000, 1024, 2000, 4000, 4096, 8192, 10000, 10240, 16384)
"""Usual numbers of shots."""
KINDS = {"machine": 0.62, "deep": 0.16, "clean": 0.22}
"""Kinds of noise, and how often each is drawn."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Parameters of one draw of noise."""

    rates: Floats
    """``(r, n, 2)`` flip rates in each of r regimes."""
    shares: Floats
    """``(r,)`` how often each regime occurs."""
    masks: NDArray[np.bool_]
    """``(m, n)`` patterns of bits that flip at once."""
    chances: Floats
    """``(m,)`` how often."""
    lost: float
    """Share of shots that are replaced."""
    bias: Floats
    """``(n,)`` P(1) of the bits of these."""
    drift: float
    """Relative variance of every probability."""

    @property
    def known(self) -> Floats:
        """``(n, 2)`` mean flip rates of a bit: what a calibration would say."""
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
    lost = float(rng.beta(0.5, 1.5)) if rng.random() < 0.6 else float(rng.uniform(0, 0.05))
    return Noise(rates, shares, masks, chances, lost, _bias(rng, n), 0.03 if rng.random() < 0.35 else 0.0)


def _deep(rng: np.random.Generator, n: int) -> Noise:
    """Deep circuits: ones that decay, up to most of the time, and many lost shots."""
    up = np.clip(np.exp(rng.normal(np.log(rng.choice([0.01, 0.03, 0.06, 0.12])), 0.5, n)), 0, 0.5)
    down = np.clip(up + rng.uniform(0, rng.choice([0.05, 0.2, 0.6]), n), 0, 0.65)
    masks = _masks(rng, n) if rng.random() < 0.7 else np.zeros((0, n), bool)
    chances = np.clip(rng.exponential(rng.uniform(0.005, 0.05), len(masks)), 0, 0.4)
    lost = float(rng.beta(1, 1.2)) * float(rng.choice([0.3, 1.0]))
    return Noise(np.stack([up, down], 1)[None], np.ones(1), masks, chances, lost, _bias(rng, n), 0.0)


def _clean(rng: np.random.Generator, n: int) -> Noise:
    """No noise, or next to none."""
    level = float(rng.choice([0, 0, 0.001, 0.005, 0.01, 0.02, 0.04]))
    rates = np.clip(level * _scattered(rng, n), 0, 0.3)
    return alone(rates, level * rng.uniform(0, 3))


def alone(rates: Floats, lost: float) -> Noise:
    """Make noise that flips every bit by itself, at rates ``(n, 2)``, and makes a share of the shots uniform."""
    n = len(rates)
    return Noise(rates[None], np.ones(1), np.zeros((0, n), bool), np.zeros(0), lost, np.full(n, 0.5), 0.0)


def _scattered(rng: np.random.Generator, n: int) -> Floats:
    """Rates ``(n, 2)`` that scatter about 1, those of ones higher or not."""
    if rng.random() < 0.25:
        return np.ones((n, 2))
    lean = np.zeros(2) if rng.random() < 0.4 else np.array([-0.4, 0.4]) * rng.uniform(0, 2.5)
    spread = rng.choice([0.2, 0.5, 0.9])
    return np.asarray(np.exp(rng.normal(0, spread, (n, 1)) + lean + rng.normal(0, 0.15, (n, 2))))


def _masks(rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
    """Patterns of a few bits, most of them neighbours, now and then of all."""
    found = np.zeros((int(rng.integers(1, 3 * n + 1)), n), bool)
    for pattern in found:
        start, length = int(rng.integers(n)), int(min(n, 1 + rng.geometric(0.5) if rng.random() < 0.7 else n))
        touched = [min(start + i, n - 1) for i in range(length)]
        if rng.random() < 0.3:
            touched = rng.integers(0, n, length).tolist()
        pattern[touched] = True
    return found


def _bias(rng: np.random.Generator, n: int) -> Floats:
    return np.asarray(np.clip(rng.normal(0.5 - rng.choice([0, 0, 0.03, 0.15]), 0.03, n), 0.05, 0.95))


def read(rng: np.random.Generator, ideal: Floats, noise: Noise) -> Floats:
    """Give what is read ``(2^n,)`` when an ideal distribution goes through noise; the drift is drawn."""
    n = len(noise.bias)
    seen = sum(share * _noisy(ideal, rates) for share, rates in zip(noise.shares, noise.rates, strict=True))
    if len(noise.masks):
        parity = np.bitwise_count(np.arange(1 << n)[:, None] & (noise.masks @ (1 << np.arange(n)))) & 1
        seen = convolve(np.asarray(seen), np.prod(1 - 2 * noise.chances * parity, axis=1))
    floor = np.ones(1)
    for chance in noise.bias[::-1]:
        floor = np.kron(floor, [1 - chance, chance])
    mixed = np.maximum((1 - noise.lost) * np.asarray(seen) + noise.lost * floor, 0)
    if noise.drift:
        mixed = mixed * rng.gamma(1 / noise.drift, noise.drift, len(mixed))
    return np.asarray(mixed / mixed.sum())


def _noisy(p: Floats, rates: Floats) -> Floats:
    """Flip every bit by itself."""
    for bit, (up, down) in enumerate(rates):
        cube = p.reshape(-1, 2, 1 << bit)
        p = np.einsum("ij,ajb->aib", np.array([[1 - up, down], [up, 1 - down]]), cube).reshape(-1)
    return p


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number of which each doubling is as likely as the next, from `low` to `high`."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shots(rng: np.random.Generator) -> int:
    """Draw a number of shots: a usual one, or any from 100 to 1,000,000."""
    return int(rng.choice(SHOTS)) if rng.random() < 0.7 else int(log_uniform(rng, 100, 1e6))


def shots_of_wide(rng: np.random.Generator) -> int:
    """Draw a number of shots of a wide register: 100 to 16,384, or, since hardly a string is read twice and each costs
    time, one time in twenty more, up to 200,000."""
    return int(log_uniform(rng, 100, 16384) if rng.random() < 0.95 else log_uniform(rng, 16384, 2e5))
