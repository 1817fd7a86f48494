"""Cases for training and validation: an ideal output, noise, and counts drawn from both; each case has its own seed."""

from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.sparse.fit import MOST_BITS
from qcluster.learn.decision import ideals, noise

WIDTHS = (1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 12)
"""Numbers of bits of full registers; repeated numbers are drawn more often."""
WIDE = (13, 127)
"""Fewest and most bits of wide registers."""
DEEP = (13, 40)
"""Fewest and most bits of registers with few strings under strong noise."""
TURNED = (13, 60)
"""Fewest and most bits of registers of rotated qubits; on wider ones hardly a string is read twice."""
EQUAL_ANGLES = 0.5
"""Probability that all rotated qubits have the same angle, the output most similar to one string with flipped bits."""
_SMOOTH = ("loaded", "porter_thomas", "dirichlet", "pairs", "product", "qaoa", "tfim", "ansatz")
"""Families whose outputs on many bits are mostly not a few strings. A hot Ising magnet is left out: its bits are alike
and nearly independent, just like one string with a quarter of its bits flipped, and users run circuits for strings.
"""
_RATES_KNOWN, _RATES_SCATTER = 0.3, 0.4
"""Probability that flip rates are known, and standard deviation of the logarithm of their common error."""
_FEW, FEW_SHARE = 40, 0.99
"""Most strings that a user calls few on wide registers, and the share of the probability that they must hold."""
_PATTERNS = ("walls", "blocks", "local")
"""Kinds of strings near each other that are made of patterns of bits, see `_patterns`."""
_DISTORTED = 0.1
"""Probability that the machine runs a coherently distorted circuit: probabilities times gamma variates of relative
variance 1/4."""


class Case(NamedTuple):
    """Counts with their ideal output."""

    counts: Distribution
    ideal: Distribution
    family: str
    kind: str
    known: Floats | None
    """``(n, 2)`` flip rates that a calibration would publish, or None."""
    sparse: bool
    """Whether a user would expect few strings."""
    faults: FaultMasks | None = None
    """Fault patterns of the circuit, as its calibration gives them; None if the circuit is unknown."""


def full(seed: int, families: tuple[str, ...] = tuple(ideals.FAMILIES)) -> Case:
    """Draw a case of up to 12 bits.

    Args:
        seed: seed of the case.
        families: families of ideal outputs to draw from.
    """
    rng = np.random.default_rng([2026, seed])
    n = int(rng.choice(WIDTHS))
    family = ideals.draw_family(rng, families)
    kind = str(rng.choice(list(noise.KINDS), p=list(noise.KINDS.values())))
    if family == "fixed" and rng.random() < 0.5:
        kind = "clean"
    p = ideals.draw(rng, n, family)
    sent = p
    if kind != "clean" and rng.random() < _DISTORTED:
        sent = p * rng.gamma(4, 0.25, len(p))
        sent /= sent.sum()
    return read_vector(rng, p, sent, noise.draw(rng, n, kind), family, kind, few_strings(p, n))


def sharp(seed: int) -> Case:
    """Draw a few strings of 3 to 12 bits under independent flips with equal or similar rates up to 40 %.

    Such counts are rare among the other sources, although mitigation improves them most.
    """
    rng = np.random.default_rng([2028, seed])
    n = int(rng.integers(3, 13))
    if rng.random() < 0.75:
        p = ideals.sharp(rng, n, 0.4, 1 << (n - 2))
    else:
        p = ideals.draw(rng, n, str(rng.choice(["ghz", "dicke"])))
    level = noise.log_uniform(rng, 0.005, 0.4)
    rates = np.clip(level * np.exp(rng.normal(0, rng.choice([0, 0, 0.2, 0.4]), (n, 1))) * np.ones((n, 2)), 0, 0.5)
    replaced = float(rng.beta(0.5, 1.5)) * (rng.random() < 0.4)
    return read_vector(rng, p, p, noise.independent(rates, replaced), "sharp", "even", True)


def faint(seed: int) -> Case:
    """Draw an ideal that itself looks like noise: an output of any family on a flat floor, or a few biased parities.

    Under little noise such counts are nearly right, and every deconvolution sharpens them too much.
    """
    rng = np.random.default_rng([2037, seed])
    n = int(rng.integers(2, 11))
    if rng.random() < 0.6:
        p = ideals.draw(rng, n, str(rng.choice([name for name in ideals.FAMILIES if name != "uniform"])))
        floor = float(rng.uniform(0.1, 0.95))
        p = (1 - floor) * p + floor / len(p)
    else:
        p = ideals.parities(rng, n)
    kind = draw_noise_kind(rng)
    return read_vector(rng, p, p, noise.draw(rng, n, kind), "faint", kind, False)


def tails(seed: int) -> Case:
    """Draw few strings surrounded by small true weights, as small rotation angles leave them: they look like noise."""
    rng = np.random.default_rng([2039, seed])
    n = int(rng.integers(2, 12))
    p = ideals.tailed(rng, n)
    kind = str(rng.choice(["clean", "machine"], p=[0.3, 0.7]))
    return read_vector(rng, p, p, noise.draw(rng, n, kind), "tails", kind, few_strings(p, n))


def wide(seed: int) -> Case:
    """Draw a case of 13 to 127 bits: few strings, many strings, or nothing but noise."""
    rng = np.random.default_rng([2027, seed])
    n = draw_width(rng, *WIDE)
    shots = noise.shots_of_wide(rng)
    kind = str(rng.choice(["one", "few", "ghz", "ring", "many", "noise"], p=[0.3, 0.3, 0.1, 0.08, 0.14, 0.08]))
    sizes = {"one": 1, "few": int(noise.log_uniform(rng, 2, 40)), "many": int(noise.log_uniform(rng, 40, 4000))}
    sent, weights = strings_of(rng, n, kind, sizes.get(kind, 1))
    channel = noise.draw(rng, n, str(rng.choice(["machine", "deep", "clean"], p=[0.7, 0.2, 0.1])))
    if kind == "noise":
        channel = replace(channel, replaced=1.0)
    case = _strings_read(rng, sent, weights, shots, channel, kind, len(sent) <= 60)
    # the ideal of pure noise is unknown, except that it is as spread as these counts
    return case._replace(ideal=case.counts) if kind == "noise" else case


def deep(seed: int) -> Case:
    """Draw few strings on 13 to 40 bits under strong noise, with few or no error-free shots.

    Each bit is flipped in 6 to 40 % of the shots on average; errors cluster in some shots or flip several bits at once.
    """
    rng = np.random.default_rng([2041, seed])
    n = draw_width(rng, *DEEP)
    shots = noise.shots_of_wide(rng)
    kind = str(rng.choice(["one", "few", "ghz"], p=[0.5, 0.3, 0.2]))
    sent, weights = few_of(rng, n, kind)
    channel = noise.draw(rng, n, str(rng.choice(["machine", "deep"], p=[0.7, 0.3])))
    level = noise.log_uniform(rng, 0.06, 0.4) / max(float(channel.known.mean()), 1e-6)
    channel = replace(channel, rates=np.clip(channel.rates * level, 0, 0.6))
    return _strings_read(rng, sent, weights, shots, channel, kind, True)


def smooth(seed: int) -> Case:
    """Draw an output of 13 to 15 bits that is not a few strings: fewer shots than strings, and smooth probabilities.

    Every method that looks for strings, or sharpens, makes such counts worse.
    """
    rng = np.random.default_rng([2040, seed])
    n = int(rng.integers(WIDE[0], WIDE[0] + 3))
    p = ideals.draw(rng, n, str(rng.choice(_SMOOTH)))
    kind = draw_noise_kind(rng)
    return read_vector(rng, p, p, noise.draw(rng, n, kind), "wide-smooth", "wide", False)


def turned(seed: int) -> Case:
    """Draw a wide register of qubits rotated by small angles, each by a different one or all by the same.

    Such a product of bits looks like one string with bits flipped by noise. Only two things distinguish it: the flips
    are independent, and the known flip rates are far too small for them.
    """
    rng = np.random.default_rng([2042, seed])
    n = draw_width(rng, *TURNED)
    shots = noise.shots_of_wide(rng)
    mode, chance = small_angles(rng, n, EQUAL_ANGLES)
    channel = noise.draw(rng, n, draw_noise_kind(rng))
    counts = of_shots(read_shots(rng, mode ^ (rng.random((shots, n)) < chance), channel))
    known = draw_known(rng, channel.known)
    return Case(counts, product_of(rng, counts, mode, chance), "wide-smooth", "wide", known, False)


def plain(seed: int) -> Case:
    """Draw few strings on 13 to 127 bits under independent flips, as from readout errors, and little else.

    Most users who run Bernstein-Vazirani circuits or adders have such counts. They look like products of rotated
    qubits.
    """
    rng = np.random.default_rng([2044, seed])
    n = draw_width(rng, *WIDE)
    shots = noise.shots_of_wide(rng)
    kind = str(rng.choice(["one", "few", "ghz"], p=[0.7, 0.2, 0.1]))
    sent, weights = few_of(rng, n, kind)
    level = noise.log_uniform(rng, 0.002, 0.06)
    rates = level * np.exp(rng.normal(0, rng.choice([0, 0.2, 0.4, 0.6]), (n, 1)) + rng.normal(0, 0.1, (n, 2)))
    replaced = float(rng.uniform(0, 0.1)) * (rng.random() < 0.5)
    return _strings_read(rng, sent, weights, shots, noise.independent(np.minimum(rates, 0.45), replaced), kind, True)


def draw_noise_kind(rng: np.random.Generator) -> str:
    """Draw how strong the noise is, for outputs that hardly gain by mitigation: often there is none."""
    return str(rng.choice(["clean", "machine", "deep"], p=[0.3, 0.6, 0.1]))


def _strings_read(
    rng: np.random.Generator, sent: Bits, weights: Floats, shots: int, channel: noise.Noise, kind: str, sparse: bool
) -> Case:
    """Read strings of a wide register through noise and return the case."""
    counts = of_shots(read_shots(rng, sent[rng.choice(len(sent), shots, p=weights)], channel))
    return Case(counts, Distribution(sent, weights), "wide-" + kind, "wide", draw_known(rng, channel.known), sparse)


def small_angles(rng: np.random.Generator, n: int, even: float = 0.15) -> tuple[NDArray[np.bool_], Floats]:
    """Draw a register of rotated qubits: its most likely string ``(n,)`` and the probability that each bit differs.

    Args:
        rng: random source.
        n: number of qubits.
        even: probability that all rotated qubits have the same angle.
    """
    largest = float(rng.uniform(0.05, 0.8))
    chance = np.sin(largest * (np.ones(n) if rng.random() < even else rng.normal(0, 1, n))) ** 2
    return rng.random(n) < 0.5, chance * (rng.random(n) < rng.choice([0.3, 1.0]))


def product_of(
    rng: np.random.Generator,
    counts: Distribution,
    mode: NDArray[np.bool_],
    chance: Floats,
    patterns: NDArray[np.bool_] | None = None,
) -> Distribution:
    """Return the probabilities, in a product of rotated qubits, of its most likely string and of the strings read.

    The other strings are in no candidate. One string that was not read represents them, with all remaining weight.

    Args:
        rng: random source.
        counts: the strings that were read.
        mode: ``(n,)`` the most likely string.
        chance: ``(k,)`` probability of each pattern.
        patterns: ``(k, n)`` patterns of bits that flip together, in the order of their first bits, which differ; by
            default each bit alone.
    """
    known = np.unique(np.vstack([counts.bits, mode[None]]), axis=0)
    patterns = np.eye(counts.n_bits, dtype=bool) if patterns is None else patterns
    left, flipped = known ^ mode, np.zeros((len(known), len(patterns)), dtype=bool)
    for k, pattern in enumerate(patterns):
        flipped[:, k] = left[:, pattern.argmax()]
        left = left ^ (flipped[:, [k]] & pattern)
    weights = np.where(left.any(axis=1), 0.0, np.prod(np.where(flipped, chance, 1 - chance), axis=1))
    return with_others(rng, known, weights)


def with_others(rng: np.random.Generator, known: Bits, weights: Floats) -> Distribution:
    """Return strings ``(k, n)`` with their probabilities ``(k,)``, and a random one that represents all others."""
    other = rng.random((1, known.shape[1])) < 0.5
    return Distribution(np.vstack([known, other]), np.append(weights, max(0.0, 1 - weights.sum())))


def near(seed: int) -> Case:
    """Draw many strings on 13 to 60 bits that differ from each other in few bits or in neighbouring ones, as flips do.

    They are domain walls, blocks of bits that flip together, states of local stabilizers, excitations, or light strings
    beside a heavy one. Every method that looks for few strings takes some strings for flips of other ones.
    """
    rng = np.random.default_rng([2045, seed])
    n = draw_width(rng, *TURNED)
    shots = noise.shots_of_wide(rng)
    kind, mode = _draw_near(rng, n)
    channel = noise.draw(rng, n, draw_noise_kind(rng))
    if kind not in _PATTERNS:
        sent, weights = _excitations(rng, mode) if kind == "excitations" else _heavy_and_light(rng, mode)
        case = _strings_read(rng, sent, weights, shots, channel, "near", few_strings(weights, n))
        return case._replace(kind="wide-near")
    patterns, chance = _likely_patterns(rng, n, kind)
    flipped = rng.random((shots, len(patterns))) < chance
    sent = mode ^ (flipped.astype(np.float32) @ patterns.astype(np.float32) % 2 == 1)
    counts = of_shots(read_shots(rng, sent, channel))
    ideal = product_of(rng, counts, mode, chance, patterns)
    return Case(counts, ideal, "wide-near", "wide-near", draw_known(rng, channel.known), _few_combinations(chance))


def near_on_few(seed: int) -> Case:
    """Draw such strings on 3 to 12 bits, where their probabilities are known exactly."""
    rng = np.random.default_rng([2046, seed])
    n = int(rng.integers(3, 13))
    p = near_probabilities(rng, n)
    channel = noise.draw(rng, n, draw_noise_kind(rng))
    return read_vector(rng, p, p, channel, "near", "near", few_strings(p, n))


def near_probabilities(rng: np.random.Generator, n: int) -> Floats:
    """Draw the probabilities ``(2^n,)`` of such an output."""
    kind, mode = _draw_near(rng, n)
    if kind in _PATTERNS:
        patterns, chance = _likely_patterns(rng, n, kind)
        strings = ideals.bits_of(n)
        known = product_of(rng, Distribution(strings, np.ones(len(strings))), mode, chance, patterns)
        sent, weights = known.bits, known.probabilities
    else:
        sent, weights = _excitations(rng, mode) if kind == "excitations" else _heavy_and_light(rng, mode)
    return np.bincount(sent @ (1 << np.arange(n)), weights, 1 << n).astype(float)


def _draw_near(rng: np.random.Generator, n: int) -> tuple[str, NDArray[np.bool_]]:
    """Draw the kind of strings that are near each other, and one of these strings, ``(n,)``."""
    return str(rng.choice([*_PATTERNS, "excitations", "light"])), (rng.random(n) < 0.5) & (rng.random() < 0.5)


def _likely_patterns(rng: np.random.Generator, n: int, kind: str) -> tuple[NDArray[np.bool_], Floats]:
    """Draw patterns ``(k, n)`` of bits that flip together, see `_patterns`, and the probability ``(k,)`` of each."""
    patterns = _patterns(rng, n, kind)
    chance = np.full(len(patterns), 0.5)
    if kind == "walls" or rng.random() < 0.5:
        mean = noise.log_uniform(rng, 0.5, min(8.0, len(patterns) / 2))
        scattered = np.exp(rng.normal(0, rng.choice([0, 0.3, 1.0]), len(patterns)))
        chance = np.minimum(mean / len(patterns) * scattered, 0.5)
    if kind == "walls" and rng.random() < 0.5:
        chance[0] = 0.5  # states that are symmetric under a flip of all bits
    return patterns, chance


def _few_combinations(chance: Floats) -> bool:
    """Return what `few_strings` does of all combinations of patterns, given the probabilities ``(k,)`` of patterns."""
    weights: Floats = np.ones(1)
    for probability in chance:  # heavy combinations consist of heavy ones of fewer patterns
        weights = np.sort(np.concatenate([weights * probability, weights * (1 - probability)]))[-_FEW:]
    return bool(weights.sum() >= FEW_SHARE)


def _patterns(rng: np.random.Generator, n: int, kind: str) -> NDArray[np.bool_]:
    """Draw patterns ``(k, n)`` of bits that flip together, in the order of their first bits, see `product_of`.

    `kind` is ``"walls"`` (all bits from any one on), ``"blocks"`` (disjoint runs of bits) or ``"local"`` (near bits).
    """
    if kind == "walls":
        return np.triu(np.ones((n, n), dtype=bool))
    if kind == "blocks":
        size = min(int(rng.integers(2, 6)), n)
        patterns = np.repeat(np.eye(n // size, dtype=bool), size, axis=1)
        patterns = np.pad(patterns, ((0, 0), (0, n - patterns.shape[1])))
    else:
        reach = np.subtract.outer(np.arange(n), np.arange(n)).T
        patterns = (reach == 0) | ((reach > 0) & (reach < rng.integers(2, 8)) & (rng.random((n, n)) < 0.5))
    most = min(len(patterns), int(noise.log_uniform(rng, 2, 40)))
    return np.asarray(patterns[np.sort(rng.choice(len(patterns), most, replace=False))])


def _excitations(rng: np.random.Generator, mode: NDArray[np.bool_]) -> tuple[Bits, Floats]:
    """Draw strings that differ from one string in one to three of its bits, and their weights."""
    n = len(mode)
    most = int(rng.integers(1, 3 if n > 30 else 4))
    chosen = np.array(list(combinations(range(n), most)))
    site = rng.gamma(rng.choice([0.5, 2.0, 1000.0]), size=n)
    sent = np.tile(mode, (len(chosen), 1))
    sent[np.arange(len(chosen))[:, None], chosen] ^= True
    weights = site[chosen].prod(axis=1)
    return sent, weights / weights.sum()


def _heavy_and_light(rng: np.random.Generator, mode: NDArray[np.bool_]) -> tuple[Bits, Floats]:
    """Draw one heavy string and 20 to 500 light ones, and their weights: the configurations of a molecule, for example.

    In half of the cases each light string differs from the heavy one in two or four bits, else in any bits.
    """
    n, n_light = len(mode), int(noise.log_uniform(rng, 20, 500))
    differs = rng.random((n_light, n)) < 0.5
    if rng.random() < 0.5:
        differs = rng.random((n_light, n)).argsort(axis=1) < rng.choice([2, 4], (n_light, 1))
    heavy = float(rng.uniform(0.2, 0.95))
    light = (1 - heavy) * rng.dirichlet(np.full(n_light, rng.choice([0.3, 1.0, 10.0])))
    sent, which = np.unique(np.vstack([mode, mode ^ differs]), axis=0, return_inverse=True)
    return sent, np.bincount(which, np.append(heavy, light)).astype(float)


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
    channel = noise.draw(rng, n, str(rng.choice(["machine", "deep", "clean"], p=[0.4, 0.1, 0.5])))
    return _strings_read(rng, sent, weights, shots, channel, "product", few_strings(weights, n))


def strings_of(rng: np.random.Generator, n: int, kind: str, n_strings: int) -> tuple[Bits, Floats]:
    """Draw strings of n bits and their weights.

    `kind` is ``"few"`` or ``"many"`` (`n_strings` strings of unequal weight), ``"ghz"`` (two opposite strings),
    ``"ring"`` (all strings that differ from one string in one bit), or anything else (`n_strings` of equal weight).

    Half of the GHZ states and of the rings (W states) include, or surround, the string of zeros, as circuits prepare
    them. Decay leads to that string, so noise changes these states in another way than those with flipped bits.
    """
    sent = rng.random((n_strings, n)) < 0.5
    if kind in ("ghz", "ring") and rng.random() < 0.5:
        sent[0] = False
    if kind == "ghz":
        sent = np.stack([sent[0], ~sent[0]])
    if kind == "ring":
        sent = sent[0] ^ np.eye(n, dtype=bool)
    weights = rng.dirichlet(np.full(len(sent), 3.0)) if kind in ("few", "many") else np.full(len(sent), 1 / len(sent))
    return sent, weights


def few_of(rng: np.random.Generator, n: int, kind: str) -> tuple[Bits, Floats]:
    """Draw one string, two opposite strings (``"ghz"``), or 2 to 16 strings (``"few"``), as `strings_of` does.

    There are never more than a quarter of all strings.
    """
    return strings_of(rng, n, kind, int(noise.log_uniform(rng, 2, min(16, 1 << (n - 2)))) if kind == "few" else 1)


def draw_width(rng: np.random.Generator, fewest: int, most: int) -> int:
    """Draw the width of a wide register, uniform in its logarithm."""
    return int(noise.log_uniform(rng, fewest, most + 1))


def few_strings(shares: Floats, n_bits: int) -> bool:
    """Return whether a user would expect few strings of an ideal output, given by its probabilities.

    Few strings must hold 99 % of the probability; a user who expects tails expects many strings.
    """
    heaviest = np.cumsum(np.sort(shares)[::-1])
    return bool(np.searchsorted(heaviest, FEW_SHARE * heaviest[-1]) + 1 <= max(2.0, min(_FEW, 2.0**n_bits / 8)))


def check_width(n_bits: int) -> None:
    """Raise ValueError if counts have too many bits for the candidates of a table to be computed."""
    if n_bits > MOST_BITS:
        raise ValueError(f"counts in a table must have {MOST_BITS} bits or fewer; got {n_bits}")


def read_vector(
    rng: np.random.Generator, p: Floats, sent: Floats, channel: noise.Noise, family: str, kind: str, sparse: bool
) -> Case:
    """Read the distribution `sent` ``(2^n,)`` through noise; the ideal output is `p` ``(2^n,)``."""
    n = len(p).bit_length() - 1
    counts = rng.multinomial(noise.shots(rng), noise.read(rng, sent, channel))
    return Case(of_vector(counts, n), of_vector(p, n), family, kind, draw_known(rng, channel.known), sparse)


def read_shots(rng: np.random.Generator, sent: Bits, channel: noise.Noise) -> Bits:
    """Send strings, one for each shot, through noise."""
    shots = len(sent)
    rates = channel.rates[rng.choice(len(channel.shares), shots, p=channel.shares)]
    read = sent ^ (rng.random(sent.shape) < np.where(sent, rates[..., 1], rates[..., 0]))
    for pattern, chance in zip(channel.masks, channel.chances.tolist(), strict=True):
        read = read ^ (pattern & (rng.random(shots) < chance)[:, None])
    replaced = np.asarray(rng.random(shots) < channel.replaced, dtype=bool)
    return np.asarray(np.where(replaced[:, None], rng.random(read.shape) < channel.bias, read))


def draw_known(rng: np.random.Generator, rates: Floats) -> Floats | None:
    """Draw the flip rates ``(n, 2)`` that an outdated calibration would publish, or None."""
    if rng.random() > _RATES_KNOWN:
        return None
    return np.asarray(np.clip(rates * rng.lognormal(0, _RATES_SCATTER) * rng.lognormal(0, 0.2, rates.shape), 0, 0.49))


def of_shots(read: Bits) -> Distribution:
    """Count shots ``(shots, n)``."""
    return Distribution(read, np.ones(len(read)))


def of_vector(vector: NDArray[np.number[Any]], n: int) -> Distribution:
    """Convert a vector ``(2^n,)`` to a distribution over the strings that have weight."""
    rows = np.flatnonzero(vector > 1e-15)
    return Distribution(index_bits(rows, n), vector[rows].astype(float))
