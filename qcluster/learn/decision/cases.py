"""Cases to train on and to judge by: an ideal, noise, and counts drawn from both, each from a seed of its own."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.faults import FaultMasks
from qcluster.learn.decision import ideals, noise

WIDTHS = (1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 12)
"""Numbers of bits of full registers, as often as they stand here."""
WIDE = (13, 127)
"""Fewest and most bits of wide registers."""
DEEP = (13, 40)
"""Fewest and most bits of registers of which few strings are read through strong noise."""
TURNED = (13, 60)
"""Fewest and most bits of registers of turned qubits; of more, hardly a string is read twice."""
_EVEN_ANGLES = 0.5
"""How often qubits that are turned are turned by one angle: what looks most like one string whose bits are flipped."""
_SMOOTH = ("loaded", "porter_thomas", "dirichlet", "pairs", "product", "qaoa", "tfim", "ansatz")
"""Families of which most outputs of many bits have no few strings. A hot Ising magnet is not among them: its bits,
alike and nearly independent, are what one string becomes at a quarter of flips, and for strings people do run circuits.
"""
_KNOWN, _AGED = 0.3, 0.4
"""How often flip rates are known, and the spread of the logarithm of their error."""
_BENT = 0.1
"""How often the machine runs a coherently distorted circuit: probabilities times gamma variates of relative variance
1/4."""


class Case(NamedTuple):
    """Counts with their ideal."""

    counts: Distribution
    ideal: Distribution
    family: str
    kind: str
    known: Floats | None
    """``(n, 2)`` flip rates that a calibration would give, or None."""
    sparse: bool
    """Whether a user would say that few strings are expected."""
    faults: FaultMasks | None = None
    """Fault patterns of the circuit, as its calibration gives them; None: nothing is known of the circuit."""


def full(seed: int, families: tuple[str, ...] = tuple(ideals.FAMILIES)) -> Case:
    """Draw a case of up to 12 bits.

    Args:
        seed: of everything.
        families: of ideals that may be drawn.
    """
    rng = np.random.default_rng([2026, seed])
    n = int(rng.choice(WIDTHS))
    family = ideals.draw_family(rng, families)
    kind = str(rng.choice(list(noise.KINDS), p=list(noise.KINDS.values())))
    if family == "fixed" and rng.random() < 0.5:
        kind = "clean"
    p = ideals.draw(rng, n, family)
    sent = p
    if kind != "clean" and rng.random() < _BENT:
        sent = p * rng.gamma(4, 0.25, len(p))
        sent /= sent.sum()
    return _read(rng, p, sent, noise.draw(rng, n, kind), family, kind, few_strings(p, n))


def sharp(seed: int) -> Case:
    """Draw a few strings of 3 to 12 bits under flips of every bit alone, even or nearly so, up to 40 %.

    Drawn at large, such counts are rare, and they are the ones in which most can be won.
    """
    rng = np.random.default_rng([2028, seed])
    n = int(rng.integers(3, 13))
    if rng.random() < 0.75:
        p = ideals.sharp(rng, n, 0.4, 1 << (n - 2))
    else:
        p = ideals.draw(rng, n, str(rng.choice(["ghz", "dicke"])))
    level = noise.log_uniform(rng, 0.005, 0.4)
    rates = np.clip(level * np.exp(rng.normal(0, rng.choice([0, 0, 0.2, 0.4]), (n, 1))) * np.ones((n, 2)), 0, 0.5)
    lost = float(rng.beta(0.5, 1.5)) * (rng.random() < 0.4)
    return _read(rng, p, p, noise.alone(rates, lost), "sharp", "even", True)


def faint(seed: int) -> Case:
    """Draw an ideal that itself looks like noise: one of any family on a flat floor, or a few biased parities.

    Under little noise such counts are right as they came, and every deconvolution sharpens them.
    """
    rng = np.random.default_rng([2037, seed])
    n = int(rng.integers(2, 11))
    if rng.random() < 0.6:
        p = ideals.draw(rng, n, str(rng.choice([name for name in ideals.FAMILIES if name != "uniform"])))
        floor = float(rng.uniform(0.1, 0.95))
        p = (1 - floor) * p + floor / len(p)
    else:
        p = ideals.parities(rng, n)
    kind = str(rng.choice(["clean", "machine", "deep"], p=[0.3, 0.6, 0.1]))
    return _read(rng, p, p, noise.draw(rng, n, kind), "faint", kind, False)


def tails(seed: int) -> Case:
    """Draw few strings with true small weights about them, as small angles leave them: noise looks the same."""
    rng = np.random.default_rng([2039, seed])
    n = int(rng.integers(2, 12))
    p = ideals.tailed(rng, n)
    kind = str(rng.choice(["clean", "machine"], p=[0.3, 0.7]))
    return _read(rng, p, p, noise.draw(rng, n, kind), "tails", kind, few_strings(p, n))


def wide(seed: int) -> Case:
    """Draw a case of 13 to 127 bits: few strings, many, or nothing but noise."""
    rng = np.random.default_rng([2027, seed])
    n = draw_width(rng, *WIDE)
    shots = noise.shots_of_wide(rng)
    kind = str(rng.choice(["one", "few", "ghz", "ring", "many", "noise"], p=[0.3, 0.3, 0.1, 0.08, 0.14, 0.08]))
    many = {"one": 1, "few": int(noise.log_uniform(rng, 2, 40)), "many": int(noise.log_uniform(rng, 40, 4000))}
    sent, weights = strings_of(rng, n, kind, many.get(kind, 1))
    made = noise.draw(rng, n, str(rng.choice(["machine", "deep", "clean"], p=[0.7, 0.2, 0.1])))
    if kind == "noise":
        made = replace(made, lost=1.0)
    case = _strings_read(rng, sent, weights, shots, made, kind, len(sent) <= 60)
    # nothing is known of the ideal of noise but that it is as wide as this
    return case._replace(ideal=case.counts) if kind == "noise" else case


def deep(seed: int) -> Case:
    """Draw few strings on 13 to 40 bits under strong noise: shots that are right are rare, or there are none.

    Each bit is flipped in 6 to 40 % of the shots on average; errors come together in some shots, or at several bits.
    """
    rng = np.random.default_rng([2041, seed])
    n = draw_width(rng, *DEEP)
    shots = noise.shots_of_wide(rng)
    kind = str(rng.choice(["one", "few", "ghz"], p=[0.5, 0.3, 0.2]))
    sent, weights = few_of(rng, n, kind)
    made = noise.draw(rng, n, str(rng.choice(["machine", "deep"], p=[0.7, 0.3])))
    level = noise.log_uniform(rng, 0.06, 0.4) / max(float(made.known.mean()), 1e-6)
    made = replace(made, rates=np.clip(made.rates * level, 0, 0.6))
    return _strings_read(rng, sent, weights, shots, made, kind, True)


def smooth(seed: int) -> Case:
    """Draw an output of 13 to 15 bits that is no few strings: fewer shots than strings, and neighbours look alike.

    Every method that looks for strings, or sharpens, makes such counts worse.
    """
    rng = np.random.default_rng([2040, seed])
    n = int(rng.integers(WIDE[0], WIDE[0] + 3))
    p = ideals.draw(rng, n, str(rng.choice(_SMOOTH)))
    kind = str(rng.choice(["clean", "machine", "deep"], p=[0.3, 0.6, 0.1]))
    return _read(rng, p, p, noise.draw(rng, n, kind), "wide-smooth", "wide", False)


def turned(seed: int) -> Case:
    """Draw a wide register whose qubits are turned each by a small angle of its own, or by one angle.

    Such a product of bits looks like one string whose bits noise has flipped. That its flips never come together, and
    known rates that are far too small for them, are all there is against it.
    """
    rng = np.random.default_rng([2042, seed])
    n = draw_width(rng, *TURNED)
    shots = noise.shots_of_wide(rng)
    mode, chance = small_angles(rng, n, _EVEN_ANGLES)
    made = noise.draw(rng, n, str(rng.choice(["clean", "machine", "deep"], p=[0.3, 0.6, 0.1])))
    counts = of_shots(_through(rng, mode ^ (rng.random((shots, n)) < chance), made))
    known = draw_known(rng, made.known)
    return Case(counts, product_of(rng, counts, mode, chance), "wide-smooth", "wide", known, False)


def plain(seed: int) -> Case:
    """Draw few strings on 13 to 60 bits under flips of every bit alone, as readout errors are, and little else.

    What most users have who run Bernstein-Vazirani or adders, and what a product of turned qubits looks like.
    """
    rng = np.random.default_rng([2044, seed])
    n = draw_width(rng, *TURNED)
    shots = noise.shots_of_wide(rng)
    kind = str(rng.choice(["one", "few", "ghz"], p=[0.7, 0.2, 0.1]))
    sent, weights = few_of(rng, n, kind)
    level = noise.log_uniform(rng, 0.002, 0.06)
    rates = level * np.exp(rng.normal(0, rng.choice([0, 0.2, 0.4, 0.6]), (n, 1)) + rng.normal(0, 0.1, (n, 2)))
    lost = float(rng.uniform(0, 0.1)) * (rng.random() < 0.5)
    return _strings_read(rng, sent, weights, shots, noise.alone(np.minimum(rates, 0.45), lost), kind, True)


def _strings_read(
    rng: np.random.Generator, sent: Bits, weights: Floats, shots: int, made: noise.Noise, kind: str, few: bool
) -> Case:
    """Read strings of a wide register through noise."""
    counts = of_shots(_through(rng, sent[rng.choice(len(sent), shots, p=weights)], made))
    return Case(counts, Distribution(sent, weights), "wide-" + kind, "wide", draw_known(rng, made.known), few)


def small_angles(rng: np.random.Generator, n: int, even: float = 0.15) -> tuple[NDArray[np.bool_], Floats]:
    """Draw the likeliest string of a register of turned qubits, ``(n,)``, and how likely each bit differs from it.

    Args:
        rng: what draws.
        n: qubits.
        even: how often all turned ones are turned by one angle.
    """
    most = float(rng.uniform(0.05, 0.8))
    chance = np.sin(most * (np.ones(n) if rng.random() < even else rng.normal(0, 1, n))) ** 2
    return rng.random(n) < 0.5, chance * (rng.random(n) < rng.choice([0.3, 1.0]))


def product_of(rng: np.random.Generator, counts: Distribution, mode: NDArray[np.bool_], chance: Floats) -> Distribution:
    """Give such a product's probabilities of the strings that were read, and of its likeliest one.

    What is no candidate's string needs no name: one string, which was not read, has all of the rest.
    """
    known = np.unique(np.vstack([counts.bits, mode[None]]), axis=0)
    weights: Floats = np.prod(np.where(known ^ mode, chance, 1 - chance), axis=1)
    other = rng.random((1, counts.n_bits)) < 0.5
    return Distribution(np.vstack([known, other]), np.append(weights, max(0.0, 1 - weights.sum())))


def loose(seed: int) -> Case:
    """Draw a product of fixed bits and up to ten free ones, in superposition or biased, on 13 to 127 bits."""
    rng = np.random.default_rng([2029, seed])
    n, free = draw_width(rng, *WIDE), int(rng.integers(1, 11))
    shots = noise.shots_of_wide(rng)
    where = rng.choice(n, free, replace=False)
    chance = np.where(rng.random(free) < 0.5, 0.5, rng.random(free))
    base = rng.random(n) < 0.5
    inner = ideals.bits_of(free)
    sent = np.tile(base, (1 << free, 1))
    sent[:, where] = inner
    weights = np.where(inner, chance, 1 - chance).prod(axis=1)
    made = noise.draw(rng, n, str(rng.choice(["machine", "deep", "clean"], p=[0.4, 0.1, 0.5])))
    return _strings_read(rng, sent, weights, shots, made, "product", few_strings(weights, n))


def strings_of(rng: np.random.Generator, n: int, kind: str, many: int) -> tuple[Bits, Floats]:
    """Draw strings of n bits and their weights: so many of unlike weight (``"few"``, ``"many"``), two opposite ones
    (``"ghz"``), all that differ in one bit from one (``"ring"``), or so many of like weight.

    Half of the GHZ states and of the rings (W states) stand about the string of zeros, as circuits make them: decay
    leads there, so strings with bits turned are not the same.
    """
    sent = rng.random((many, n)) < 0.5
    if kind in ("ghz", "ring") and rng.random() < 0.5:
        sent[0] = False
    if kind == "ghz":
        sent = np.stack([sent[0], ~sent[0]])
    if kind == "ring":
        sent = sent[0] ^ np.eye(n, dtype=bool)
    weights = rng.dirichlet(np.full(len(sent), 3.0)) if kind in ("few", "many") else np.full(len(sent), 1 / len(sent))
    return sent, weights


def few_of(rng: np.random.Generator, n: int, kind: str) -> tuple[Bits, Floats]:
    """Draw one string, two opposite ones (``"ghz"``), or 2 to 16 (``"few"``), as `strings_of` does.

    Of few bits, few strings are no more than a quarter of all.
    """
    return strings_of(rng, n, kind, int(noise.log_uniform(rng, 2, min(16, 1 << (n - 2)))) if kind == "few" else 1)


def draw_width(rng: np.random.Generator, fewest: int, most: int) -> int:
    """Draw the width of a wide register: each doubling as often as the next."""
    return int(noise.log_uniform(rng, fewest, most + 1))


def few_strings(shares: Floats, n_bits: int) -> bool:
    """Tell whether a user would say of an ideal output, given by its probabilities, that few strings are expected.

    Few strings, and next to nothing beside them: 99 % of the probability. Who expects tails expects many strings.
    """
    heaviest = np.cumsum(np.sort(shares)[::-1])
    return bool(np.searchsorted(heaviest, 0.99 * heaviest[-1]) + 1 <= max(2.0, min(40.0, 2.0**n_bits / 8)))


def _read(
    rng: np.random.Generator, p: Floats, sent: Floats, made: noise.Noise, family: str, kind: str, few: bool
) -> Case:
    """Read what was sent ``(2^n,)`` through noise, where an ideal ``(2^n,)`` was meant."""
    n = len(p).bit_length() - 1
    counts = rng.multinomial(noise.shots(rng), noise.read(rng, sent, made))
    return Case(of_vector(counts, n), of_vector(p, n), family, kind, draw_known(rng, made.known), few)


def _through(rng: np.random.Generator, sent: Bits, made: noise.Noise) -> Bits:
    """Send strings, one a shot, through noise."""
    shots = len(sent)
    rates = made.rates[rng.choice(len(made.shares), shots, p=made.shares)]
    read = sent ^ (rng.random(sent.shape) < np.where(sent, rates[..., 1], rates[..., 0]))
    for pattern, chance in zip(made.masks, made.chances.tolist(), strict=True):
        read = read ^ (pattern & (rng.random(shots) < chance)[:, None])
    gone = np.asarray(rng.random(shots) < made.lost, dtype=bool)
    return np.asarray(np.where(gone[:, None], rng.random(read.shape) < made.bias, read))


def draw_known(rng: np.random.Generator, rates: Floats) -> Floats | None:
    """Draw what a calibration would say of flip rates ``(n, 2)``: it is off by its age, or says nothing."""
    if rng.random() > _KNOWN:
        return None
    return np.asarray(np.clip(rates * rng.lognormal(0, _AGED) * rng.lognormal(0, 0.2, rates.shape), 0, 0.49))


def of_shots(read: Bits) -> Distribution:
    """Count shots ``(shots, n)``."""
    return Distribution(read, np.ones(len(read)))


def of_vector(vector: NDArray[np.number[Any]], n: int) -> Distribution:
    """Give the strings of a vector ``(2^n,)`` that have weight."""
    rows = np.flatnonzero(vector > 1e-15)
    return Distribution(index_bits(rows, n), vector[rows].astype(float))
