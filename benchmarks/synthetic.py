"""Synthetic counts with known ideal outputs and random parameters, in which mitigation may help or harm."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Synthetic counts and their ideal output."""

    group: str
    """Group over which results are averaged."""
    counts: Distribution
    """Noisy counts."""
    ideal: Distribution
    """Output of a noiseless machine."""
    note: dict[str, Any]
    """Parameters of the case, for the table."""


def ideal_vector(kind: str, n: int, rng: np.random.Generator) -> Floats:
    """Draw an ideal output: strings-k, ghz, w, dirichlet-alpha, porter-thomas, uniform, product or ising-coupling."""
    size = 1 << n
    p = np.zeros(size)
    name, _, number = kind.partition("-")
    if name == "strings":
        k = min(int(number), size)
        p[rng.choice(size, k, replace=False)] = rng.dirichlet(np.full(k, 3.0)) if k > 1 else 1.0
    elif name == "ghz":
        p[[0, -1]] = 0.5
    elif name == "w":
        p[1 << np.arange(n)] = 1 / n
    elif name == "dirichlet":
        p = rng.gamma(float(number), size=size) + 1e-300
    elif name == "porter":
        p = rng.exponential(size=size)
    elif name == "uniform":
        p[:] = 1.0
    elif name == "product":
        p = np.ones(1)
        for chance in rng.uniform(0.02, 0.98, n):
            p = np.kron(p, [1 - chance, chance])
    elif name == "ising":
        spins = 1 - 2 * index_bits(np.arange(size), n).astype(int)
        couplings = np.triu(rng.normal(0, float(number), (n, n)), 1)
        p = np.exp(-np.einsum("yi,ij,yj->y", spins, couplings, spins))
    else:
        raise ValueError(f"unknown kind {kind!r}")
    return p / p.sum()


def flip(p: Floats, rates: Floats) -> Floats:
    """Apply independent flips to a vector of probabilities; rates: ``(n, 2)`` P(read 1|0), P(read 0|1)."""
    n = len(rates)
    q = p.reshape((2,) * n)
    for bit, (up, down) in enumerate(rates):
        matrix = np.array([[1 - up, down], [up, 1 - down]])
        axis = n - 1 - bit
        q = np.moveaxis(np.tensordot(matrix, q, axes=(1, axis)), 0, axis)
    return q.reshape(-1)


def make(group: str, kind: str, n: int, rates: Floats, lost: float, shots: int, rng: np.random.Generator) -> Case:
    """Draw an ideal output, apply flips and a uniform component, and sample it."""
    p = ideal_vector(kind, n, rng)
    q = (1 - lost) * flip(p, rates) + lost / len(p)
    note = {"kind": kind, "n": n, "flips": round(float(rates.mean()), 4), "lost": round(lost, 3), "shots": shots}
    return Case(group, spread(rng.multinomial(shots, q / q.sum()), n), spread(p, n), note)


def spread(vector: Any, n: int) -> Distribution:
    """Convert a full vector to a Distribution of its nonzero entries."""
    vector = np.asarray(vector, dtype=np.float64)
    nonzero = np.flatnonzero(vector)
    return Distribution(index_bits(nonzero, n), vector[nonzero])


def random_rates(n: int, level: float, rng: np.random.Generator) -> Floats:
    """Draw flip rates about a level: equal, uneven, or asymmetric (more decay than excitation)."""
    style = rng.integers(3)
    if style == 0:
        return np.full((n, 2), level)
    if style == 1:
        return np.repeat(np.clip(level * rng.lognormal(0, 0.6, (n, 1)), 0.001, 0.45), 2, axis=1)
    return np.clip(level * rng.lognormal((-0.5, 0.5), 0.4, (n, 2)), 0.001, (0.4, 0.55))


def make_wide(kind: str, n: int, rng: np.random.Generator) -> Case:
    """Draw counts of a wide register shot by shot: dozens to hundreds of strings, or a Porter-Thomas output."""
    shots, level, lost = int(2 ** rng.uniform(11, 14)), float(rng.uniform(0.02, 0.1)), float(rng.uniform(0, 0.5))
    name, _, number = kind.partition("-")
    if name == "scattered":
        strings = np.unique(rng.random((int(number), n)) < 0.5, axis=0)
    elif name == "gathered":
        centres = rng.random((3, n)) < 0.5
        strings = np.unique(centres[rng.integers(3, size=int(number))] ^ (rng.random((int(number), n)) < 0.12), axis=0)
    else:
        strings = index_bits(np.arange(1 << n), n)
    shares = rng.dirichlet(np.full(len(strings), 0.5 if name == "gathered" else 1.0))
    bits = strings[rng.choice(len(strings), shots, p=shares)]
    bits ^= rng.random(bits.shape) < level * rng.lognormal(0, 0.4, n)
    uniform = rng.random(shots) < lost
    bits[uniform] = rng.random((int(uniform.sum()), n)) < rng.uniform(0.44, 0.5, n)
    note = {"kind": kind, "n": n, "flips": round(level, 4), "lost": round(lost, 3), "shots": shots}
    group = "wide, no few strings" if name == "porter" else "wide, many strings"
    return Case(group, Distribution(bits, np.ones(shots)), Distribution(strings, shares), note)


SPARSE = ("strings-1", "strings-2", "strings-3", "strings-5", "strings-8", "ghz", "w")
DENSE = ("dirichlet-0.02", "dirichlet-0.1", "dirichlet-0.3", "product")
NOISE = ("porter-thomas", "uniform", "dirichlet-3")
SMOOTH = ("ising-0.1", "ising-0.2", "ising-0.3")


def cases(seed: int, each: int) -> list[Case]:
    """Draw the cases of all groups, `each` per group; the same seed gives the same cases."""
    drawn: list[Case] = []
    for index, (group, kinds, low, high, bits) in enumerate(
        (
            ("few strings", SPARSE, 0.04, 0.4, (4, 11)),
            ("dense", DENSE, 0.04, 0.35, (4, 11)),
            ("noise-like", NOISE, 0.01, 0.35, (4, 11)),
            ("few strings, good machine", SPARSE, 0.005, 0.03, (4, 8)),
            ("dense, good machine", DENSE, 0.005, 0.03, (4, 8)),
            ("noise-like, good machine", NOISE, 0.005, 0.03, (4, 8)),
            ("smooth, good machine", SMOOTH, 0.005, 0.03, (6, 11)),
            ("wide, smooth, good machine", SMOOTH, 0.005, 0.03, (13, 16)),
        )
    ):
        rng = np.random.default_rng([seed, index])
        for i in range(each):
            n = int(rng.integers(*bits))
            level = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            lost = float(rng.uniform(0, 0.5)) if high > 0.1 and rng.random() < 0.5 else float(rng.uniform(0, 0.05))
            shots = int(2 ** rng.uniform(10, 14))
            drawn.append(make(group, kinds[i % len(kinds)], n, random_rates(n, level, rng), lost, shots, rng))
    for index, level in enumerate((0.1, 0.2, 0.3, 0.4)):
        rng = np.random.default_rng([seed, 100 + index])
        for i in range(min(each, 16)):
            kind = f"strings-{1 + i % 8}"
            drawn.append(make(f"1-8 strings, 10 bits, {level:.0%}", kind, 10, np.full((10, 2), level), 0, 16384, rng))
    rng = np.random.default_rng([seed, 200])
    for _ in range(min(each, 16)):
        rates = np.stack([np.full(9, 0.05), rng.uniform(0.05, 0.55, 9)], axis=1)
        drawn.append(make("one string, decay to .55, 9 bits", "strings-1", 9, rates, 0, 10240, rng))
    rng = np.random.default_rng([seed, 300])
    for i in range(each // 2):
        kind = ("scattered-20", "gathered-30", "scattered-60", "gathered-100", "scattered-200")[i % 5]
        drawn.append(make_wide(kind, int(rng.integers(13, 18)), rng))
    for _ in range(each // 8):
        drawn.append(make_wide("porter-thomas", int(rng.integers(13, 15)), rng))
    return drawn
