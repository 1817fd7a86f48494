"""Go back through the events of a circuit, and find which measured bits each fault flips.

Beside what X, Y and Z on each qubit would flip, the flip of each classical bit has a pattern: at the end the bit
itself, before that also all that the program does differently because of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.faults import GATE, KINDS, READOUT, off_quarter
from qcluster.device.circuits import pauli
from qcluster.device.noise.events import Branch, Change, Coupling, Event, Fault, Measure, PairFault, Reset, Store, Turn

Patterns = npt.NDArray[np.uint64]
_EXACT = 1e-6
"""Smallest square, or sine, that tells a gate from a Clifford gate."""


def is_clifford(event: Event | None) -> bool:
    """Tell whether an event turns every Pauli into one, so that there is nothing to average over."""
    if isinstance(event, Turn):
        return float(np.abs(event.squares - np.rint(event.squares)).max()) < _EXACT
    if isinstance(event, Coupling):
        return abs(math.sin(2 * event.angle)) < _EXACT
    return not isinstance(event, (Branch, Store))


class Backward:
    """Patterns that X, Y, Z at the current place of each qubit would flip, and the flip of each classical bit there;
    one set for each draw."""

    def __init__(self, n_bits: int, draws: int, rng: np.random.Generator, counts: Distribution | None) -> None:
        self.single = pack(np.eye(n_bits, dtype=bool))
        self.n_words = self.single.shape[1]
        self.n_bits = n_bits
        self.draws = draws
        self.rng = rng
        self.counts = counts
        self.flips: dict[int, Patterns] = {}
        self.values: dict[int, Patterns] = {}
        self.rewritten: set[int] = set()
        self.weight = 1.0
        self.readout = np.zeros((n_bits, 2))
        self.rotations = 0.0
        self.found: list[tuple[Words, Floats, int, int]] = []
        self.places: dict[tuple[Any, ...], int] = {}

    def of(self, qubit: int) -> Patterns:
        """(3, draws, n_words) patterns of X, Y, Z."""
        if qubit not in self.flips:
            self.flips[qubit] = np.zeros((3, self.draws, self.n_words), dtype=np.uint64)
        return self.flips[qubit]

    def value(self, bit: int) -> Patterns:
        """(draws, n_words) pattern of the flip of a classical bit; variables, which nobody reads, are numbered last."""
        if bit not in self.values:
            self.values[bit] = self.nothing()
            if bit < self.n_bits:
                self.values[bit] |= self.single[bit]
        return self.values[bit]

    def nothing(self) -> Patterns:
        """(draws, n_words) patterns that flip nothing."""
        return np.zeros((self.draws, self.n_words), dtype=np.uint64)

    def uniforms(self) -> Floats:
        """One number in [0, 1) per draw, evenly spread, in random order."""
        return (self.rng.permutation(self.draws) + self.rng.random()) / self.draws

    def pick(self, shares: Floats) -> npt.NDArray[np.int64]:
        """(draws,) numbers drawn with these probabilities, which sum to 1."""
        return np.minimum(np.searchsorted(np.cumsum(shares), self.uniforms(), side="right"), len(shares) - 1)

    def step(self, event: Event) -> None:
        """Go back past one event."""
        match event:
            case Turn(qubit, squares):
                if not is_clifford(event):
                    self._rotate(pauli.off_clifford(squares), self.of(qubit))
                permutations, shares = pauli.branches(squares)
                become = permutations[self.pick(shares)].T
                self.flips[qubit] = np.take_along_axis(self.of(qubit), become[:, :, None], axis=0)
            case Coupling(a, b, axis, angle):
                both = self.of(a)[axis] ^ self.of(b)[axis]
                self._rotate(off_quarter(np.array([angle])), both[None])
                turned = both * (self.uniforms() < np.sin(angle) ** 2)[:, None]
                others = [p for p in range(3) if p != axis]
                for qubit in (a, b):
                    self.flips[qubit] = self.flips[qubit].copy()
                    self.flips[qubit][others] ^= turned.astype(np.uint64)
            case Fault(qubit, rates, kind):
                self.add(self.of(qubit), rates, kind, (KINDS[kind], qubit))
            case PairFault(a, b, rates):
                one, two = (np.concatenate([np.zeros_like(self.of(q)[:1]), self.of(q)]) for q in (a, b))
                both = (one[:, None] ^ two[None]).reshape(16, self.draws, self.n_words)[1:]
                self.add(both, rates.ravel()[1:], GATE, ("pair", min(a, b), max(a, b)))
            case Measure():
                self.measure(event)
            case Reset(qubit):
                self.flips.pop(qubit, None)
            case Store(bits, table):
                setting = self.pick(self.odds(table.bits))
                written = [self.value(bit) for bit in bits]
                self.values |= {bit: self.nothing() for bit in bits}
                self.rewritten.update(bits if self.weight == 1.0 else ())
                for i, bit in enumerate(table.bits):
                    differs = table.values[setting] ^ table.values[setting ^ 1 << i]
                    for place, pattern in enumerate(written):
                        flipped = (differs >> place & 1).astype(np.uint64)
                        self.values[bit] = self.value(bit) ^ pattern * flipped[:, None]
            case Branch():
                self.branch(event)

    def _rotate(self, weights: Floats, patterns: Patterns) -> None:
        """Note rotations off Clifford gates, as Paulis with weights (n,) and patterns (n, draws, n_words)."""
        self.rotations += float(self.weight * weights @ patterns.any(axis=2).mean(axis=1))

    def measure(self, event: Measure) -> None:
        """X and Y before a measurement flip what it writes, and Z does nothing; misreading flips the same.

        Readout that flips the bit and nothing else is kept apart: it may tell 0 from 1. An earlier reading into a bit
        that is written again flips it only by what the program does, and adds to the later one.
        """
        bit, pattern = event.bit, self.value(event.bit)
        flips = self.of(event.qubit).copy()
        flips[0] ^= pattern
        flips[1] = flips[0]
        flips[2] = 0
        del self.values[bit]
        kept = self.weight == 1.0 and bit < self.n_bits and bit not in self.rewritten
        alone = kept and bool((pattern == self.value(bit)).all())
        if alone:
            self.readout[bit] = event.errors
        elif event.errors.any():
            rate = -0.5 * np.log1p(-2 * min(float(self.odds((bit,), known=self.weight == 1.0) @ event.errors), 0.49))
            self.add(pattern[None], np.array([rate]), READOUT, ("readout", bit))
        self.values[bit] = self.nothing()
        self.rewritten.update([bit] if self.weight == 1.0 else [])
        self.flips[event.qubit] = flips

    def odds(self, bits: Sequence[int], *, known: bool = True) -> Floats:
        """(2^n,) probabilities of the values of classical bits, bit i of the position being the value of ``bits[i]``.

        They are taken for what was counted in the end; where nothing is known, each value is as likely.
        """
        share = np.ones((2,) * len(bits))
        counted = [i for i, bit in enumerate(bits) if bit < self.n_bits and bit not in self.rewritten]
        if self.counts is not None and known and counted:
            columns = self.counts.bits[:, [bits[i] for i in counted]].astype(np.int64)
            seen = np.bincount(columns @ (1 << np.arange(len(counted))), self.counts.weights, 1 << len(counted))
            share = share * seen.reshape([2 if i in counted else 1 for i in reversed(range(len(bits)))])
        return np.asarray(share.ravel() / share.sum())

    def branch(self, event: Branch) -> None:
        """Go back past bodies that the program chooses between: each draw takes one."""
        table = event.table
        odds = self.odds(table.bits, known=not event.repeats)
        setting = self.pick(odds)
        taken, draw = table.values[setting], np.arange(self.draws)
        triggers = []
        for i in range(len(table.bits)):
            other = table.values[setting ^ 1 << i]
            triggers.append(self.change(event.changes, taken, other))
        chances = np.bincount(table.values, odds, len(event.bodies))
        after, weight, results = (dict(self.flips), dict(self.values)), self.weight, []
        for body, chance in zip(event.bodies, chances.tolist(), strict=True):
            self.flips, self.values, self.weight = dict(after[0]), dict(after[1]), weight * chance
            for inner in reversed(body):
                if inner is not None:
                    self.step(inner)
            results.append((self.flips, self.values))
        self.weight = weight
        qubits, bits = ({key for result in results for key in result[part]} for part in (0, 1))
        self.flips, self.values = {}, {}
        flips = {
            q: np.stack([flips.get(q, self.of(q)) for flips, _ in results])[taken, :, draw].swapaxes(0, 1)
            for q in qubits
        }
        values = {
            bit: np.stack([values.get(bit, self.value(bit)) for _, values in results])[taken, draw] for bit in bits
        }
        self.flips, self.values = flips, values
        for bit, pattern in zip(table.bits, triggers, strict=True):
            self.values[bit] = self.value(bit) ^ pattern

    def change(
        self, changes: dict[tuple[int, int], Change], taken: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
    ) -> Patterns:
        """(draws, n_words) what flips where one body runs in place of the one to be taken."""
        total = self.nothing()
        for (low, high), what in changes.items():
            here = ((np.minimum(taken, other) == low) & (np.maximum(taken, other) == high))[:, None]
            pattern = self.nothing()
            for qubits, paulis, shares in what.groups:
                for qubit, codes in zip(qubits, paulis[self.pick(shares)].T, strict=True):
                    pattern ^= np.concatenate([self.nothing()[None], self.of(qubit)])[codes, np.arange(self.draws)]
            for bit in what.bits:
                pattern ^= self.value(bit) * (self.uniforms() < 0.5).astype(np.uint64)[:, None]
            total ^= pattern * here.astype(np.uint64)
        return total

    def add(self, patterns: Patterns, rates: Floats, kind: int, place: tuple[Any, ...]) -> None:
        """Note faults at a place, patterns (n, draws, n_words), with a share of their rates (n,) for each draw."""
        if self.weight > 0:
            share = np.repeat(rates * self.weight / self.draws, self.draws)
            self.note(patterns.reshape(-1, self.n_words), share, kind, place)

    def note(self, masks: Words, rates: Floats, kind: int, place: tuple[Any, ...]) -> None:
        """Note masks (n, n_words) with rates (n,) as they are."""
        self.found.append((masks, rates, kind, self.places.setdefault(place, len(self.places))))

    def collect(self) -> tuple[Words, Floats, npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
        """Give the masks of all that was noted, their rates, kinds, and numbers in `places`."""
        masks = np.concatenate([self.single[:0], *(masks for masks, _, _, _ in self.found)])
        rates = np.concatenate([np.zeros(0), *(rates for _, rates, _, _ in self.found)])
        many = [len(masks) for masks, _, _, _ in self.found]
        kind = np.repeat(np.array([kind for _, _, kind, _ in self.found], dtype=np.uint8), many)
        return masks, rates, kind, np.repeat(np.array([at for *_, at in self.found], dtype=np.uint64), many)
