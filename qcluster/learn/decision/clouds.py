"""Cases of strings that true light ones surround, as flipped bits would: counts alone hardly distinguish the two.

They are the outputs that the decision harms most when it was not trained on them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits
from qcluster.core.noise.faults import non_clifford_weight
from qcluster.learn.decision import cases, circuits, ideals, noise
from qcluster.learn.decision.cases import Case

_SELDOM = 1e-12
"""Probability that stands for that of a flip of a qubit which is not rotated."""
_MOSTLY_EQUAL = 0.75
"""Share of equal angles at the end of circuits: gates on all qubits at once, as in a scan of an angle."""


class Output(NamedTuple):
    """An ideal output on a register of any width."""

    draw: Callable[[int], Bits]
    """Draws that many strings, ``(m, n)``."""
    probabilities: Callable[[Bits], Floats]
    """Returns the probabilities ``(k,)`` of strings ``(k, n)``."""
    rotations: float | None = None
    """Rotations that made it, see `FaultMasks`; None if it was drawn without a circuit."""
    last_rotations: Floats | None = None
    """``(n,)`` those of them that nothing follows, see `FaultMasks`; None if unknown."""

    def vector(self, n: int) -> Floats:
        """Return the probabilities ``(2^n,)`` of all strings."""
        p = self.probabilities(ideals.bits_of(n))
        return np.asarray(p / p.sum())


def wide(seed: int) -> Case:
    """Draw strings on 13 to 60 bits that light ones surround.

    They are a few strings whose qubits are all rotated a little, a few products of rotated qubits, a few strings each
    with light ones that differ in one bit, or strings without neighbouring ones, as in a Rydberg blockade.
    """
    rng = np.random.default_rng([2047, seed])
    n = cases.draw_width(rng, *cases.TURNED)
    output = _draw_output(rng, n)
    sent = output.draw(noise.shots_of_wide(rng))
    channel = noise.draw(rng, n, cases.draw_noise_kind(rng))
    counts = cases.of_shots(cases.read_shots(rng, sent, channel))
    known = np.unique(np.vstack([counts.bits, sent]), axis=0)
    weights = output.probabilities(known)
    ideal = cases.with_others(rng, known, weights)
    sparse = bool(weights.sum() > cases.FEW_SHARE) and cases.few_strings(weights, n)
    return Case(counts, ideal, "wide-clouds", "wide-clouds", cases.draw_known(rng, channel.known), sparse)


def on_few(seed: int) -> Case:
    """Draw such strings on 3 to 12 bits."""
    rng = np.random.default_rng([2048, seed])
    n = int(rng.integers(3, 13))
    p = _draw_output(rng, n).vector(n)
    channel = noise.draw(rng, n, cases.draw_noise_kind(rng))
    return cases.read_vector(rng, p, p, channel, "clouds", "clouds", cases.few_strings(p, n))


def of_circuit(seed: int) -> Case:
    """Draw such strings, or others that are near each other, on 3 to 11 bits, under the noise of a circuit.

    In one case of three the calibration is right. Half of the circuits have less noise than `circuits.circuit` draws:
    where they are short, light strings are nearly all true.
    """
    rng = np.random.default_rng([2050, seed])
    n = max(3, int(rng.choice(circuits.WIDTHS)))
    base = circuits.faults(rng, n)
    if rng.random() < 0.5:
        base = replace(base, rates=base.rates * noise.log_uniform(rng, 0.05, 1))
    published = ("right", base) if rng.random() < 1 / 3 else circuits.draw_published(rng, base)
    if rng.random() < 0.15:
        return circuits.read(rng, base, circuits.Output("clouds", cases.near_probabilities(rng, n)), published)
    output = _draw_of_circuit(rng, n)
    turned = output.rotations, output.last_rotations
    return circuits.read(rng, base, circuits.Output("clouds", output.vector(n), *turned), published)


def _draw_of_circuit(rng: np.random.Generator, n: int) -> Output:
    """Draw the output of a simple circuit that ends with rotations of all qubits, mostly by one angle, or another."""
    if rng.random() < 0.3:
        return _draw_output(rng, n)
    kind = str(rng.choice(["one", "ghz", "few", "ring", "blocks"], p=[0.25, 0.25, 0.2, 0.1, 0.2]))
    if kind == "blocks":  # a GHZ state on each
        blocks = np.arange(n) * int(rng.integers(2, min(6, n) + 1)) // n
        strings = (ideals.bits_of(int(blocks[-1]) + 1)[:, blocks]) ^ (rng.random(n) < 0.5)
        weights = np.full(len(strings), 1 / len(strings))
    else:
        strings, weights = cases.few_of(rng, n, kind)
    return _turned(rng, strings, weights, _MOSTLY_EQUAL)


def _draw_output(rng: np.random.Generator, n: int) -> Output:
    kind = rng.choice(["rotated", "products", "satellites", "blockaded"])
    if kind == "blockaded":
        return blockaded(rng, n, noise.log_uniform(rng, 0.05, 5))
    if kind == "satellites":
        strings, weights = _with_satellites(rng, rng.random((int(rng.integers(2, 6)), n)) < 0.5)
        return products(rng, strings, weights, np.zeros(strings.shape))._replace(rotations=None, last_rotations=None)
    if kind == "rotated":
        return _turned(rng, *cases.few_of(rng, n, str(rng.choice(["few", "ghz"]))), cases.EQUAL_ANGLES)
    chances = np.array([cases.small_angles(rng, n, cases.EQUAL_ANGLES)[1] for _ in range(rng.integers(2, 4))])
    strings, weights = rng.random(chances.shape) < 0.5, rng.dirichlet(np.full(len(chances), 3.0))
    return products(rng, strings, weights, chances)


def _turned(rng: np.random.Generator, strings: Bits, weights: Floats, even: float) -> Output:
    """Rotate all qubits of a few strings, ``(k, n)`` with weights ``(k,)``; `even` as for `cases.small_angles`."""
    chances = np.tile(cases.small_angles(rng, strings.shape[1], even)[1], (len(strings), 1))
    return products(rng, strings, weights, chances)


def products(rng: np.random.Generator, strings: Bits, weights: Floats, chances: Floats) -> Output:
    """Return a mixture of products of bits.

    Args:
        rng: random source of the strings drawn.
        strings: ``(k, n)`` a string of each product.
        weights: ``(k,)`` weights of the products.
        chances: ``(k, n)`` probability, in each product, that a bit differs from the product's string.
    """
    rotations = non_clifford_weight(2 * np.arcsin(np.sqrt(chances)))
    last = rotations[0] if (chances == chances[0]).all() else None  # else a circuit ends with something else
    chances = np.clip(chances, _SELDOM, 1 - _SELDOM)
    ones = np.where(strings, 1 - chances, chances)

    def draw(shots: int) -> Bits:
        product = rng.choice(len(weights), shots, p=weights)
        return np.asarray(rng.random((shots, strings.shape[1])) < ones[product])

    def probabilities(bits: Bits) -> Floats:
        logarithms = bits.astype(float) @ np.log(ones / (1 - ones)).T + np.log(1 - ones).sum(axis=1)
        return np.asarray(np.exp(logarithms) @ weights)

    return Output(draw, probabilities, float(rotations.sum(axis=1).max()), last)


def blockaded(rng: np.random.Generator, n: int, activity: float) -> Output:
    """Return the output of a row of atoms of which no neighbours are both excited, with some bits flipped at random.

    A string with k ones has a probability in proportion to ``activity ** k`` (the hard-core lattice gas in one
    dimension); it is drawn bit by bit with the partition functions of the bits that are left.

    Args:
        rng: random source of the flipped bits and of the strings drawn.
        n: number of bits.
        activity: weight of a one relative to a zero.
    """
    partition = [1.0, 1.0, 1 + activity]  # of -1, 0, 1, ..., n bits
    for _ in range(n - 1):
        partition.append(partition[-1] + activity * partition[-2])
    flipped = (rng.random(n) < 0.5) & (rng.random() < 0.5)

    def draw(shots: int) -> Bits:
        bits = np.zeros((shots, n + 1), dtype=bool)
        for place in range(n):
            chance = activity * partition[n - place - 1] / partition[n - place + 1]
            bits[:, place] = (rng.random(shots) < chance) & ~bits[:, place - 1]
        return np.asarray(bits[:, :n] ^ flipped)

    def probabilities(bits: Bits) -> Floats:
        excited = bits ^ flipped
        blocked = (excited[:, 1:] & excited[:, :-1]).any(axis=1)
        return np.where(blocked, 0.0, activity ** excited.sum(axis=1) / partition[-1])

    return Output(draw, probabilities)


def _with_satellites(rng: np.random.Generator, strings: Bits) -> tuple[Bits, Floats]:
    """Give each string two to nine light neighbours that differ from it in one bit, and return all with weights."""
    n = strings.shape[1]
    heavy = rng.dirichlet(np.full(len(strings), 3.0))
    rows, weights = [], []
    for string, weight in zip(strings, heavy.tolist(), strict=True):
        flips = np.eye(n, dtype=bool)[rng.choice(n, min(n, int(rng.integers(2, 10))), replace=False)]
        rows += [string[None], string ^ flips]
        weights += [np.array([weight]), weight * rng.uniform(0.02, 0.3, len(flips))]
    sent, which = np.unique(np.vstack(rows), axis=0, return_inverse=True)
    shares = np.bincount(which, np.concatenate(weights))
    return sent, np.asarray(shares / shares.sum())
