"""Go backwards through the events of a circuit, and find which measured bits each fault flips.

At each point, the flip patterns of X, Y and Z on every qubit are known. Each classical bit has a flip pattern as well:
at the end of the circuit the bit itself, before that also everything that the program does differently if the bit is
flipped.
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
from qcluster.core.noise.faults import GATE, KINDS, READOUT, non_clifford_weight
from qcluster.device.circuits import pauli
from qcluster.device.noise.events import Branch, Change, Coupling, Event, Fault, Measure, PairFault, Reset, Store, Turn

Patterns = npt.NDArray[np.uint64]
_TOLERANCE = 1e-6
"""Deviations below this, of squared matrix elements or of a sine, count as rounding errors of a Clifford gate."""


def is_clifford(event: Event | None) -> bool:
    """Return whether an event maps every Pauli to a single one, so that no average over random draws is needed."""
    if isinstance(event, Turn):
        return float(np.abs(event.squares - np.rint(event.squares)).max()) < _TOLERANCE
    if isinstance(event, Coupling):
        return abs(math.sin(2 * event.angle)) < _TOLERANCE
    return not isinstance(event, (Branch, Store))


class Backward:
    """Flip patterns at the current point of a circuit, and the faults recorded so far.

    Pauli patterns are averaged over random draws where gates are not Clifford gates: every pattern is given per draw.
    """

    def __init__(self, n_bits: int, draws: int, rng: np.random.Generator, counts: Distribution | None) -> None:
        self.single = pack(np.eye(n_bits, dtype=bool))
        """(n_bits, n_words) pattern of each bit alone."""
        self.n_words = self.single.shape[1]
        self.n_bits = n_bits
        self.draws = draws
        self.rng = rng
        self.counts = counts
        self.flips: dict[int, Patterns] = {}
        """Patterns of X, Y, Z on each qubit; see `pauli_patterns`."""
        self.values: dict[int, Patterns] = {}
        """Pattern of each classical bit; see `bit_pattern`."""
        self.rewritten: set[int] = set()
        """Bits that are certainly written later on, so that the counts do not show their current values."""
        self.weight = 1.0
        """Probability that the current body of control flow runs."""
        self.readout = np.zeros((n_bits, 2))
        """Readout errors that flip a bit and nothing else."""
        self.rotations = 0.0
        """As `FaultMasks.rotations`, up to the current point."""
        self.last_rotations = np.zeros(n_bits)
        """As `FaultMasks.last_rotations`, up to the current point."""
        self.read_next: dict[int, int] = {}
        """Bit into which a qubit is read before anything other than gates on this qubit alone acts on it, where a flip
        of the qubit flips this bit alone."""
        self.recorded: list[tuple[Words, Floats, int, int]] = []
        """Masks, rates, kind and place number of the faults found so far."""
        self.places: dict[tuple[Any, ...], int] = {}
        """Number of each place."""

    def pauli_patterns(self, qubit: int) -> Patterns:
        """Return the patterns that X, Y and Z on a qubit flip, (3, draws, n_words)."""
        if qubit not in self.flips:
            self.flips[qubit] = np.zeros((3, self.draws, self.n_words), dtype=np.uint64)
        return self.flips[qubit]

    def bit_pattern(self, bit: int) -> Patterns:
        """Return the pattern that follows from a flip of a classical bit, (draws, n_words).

        Variables, whose values are not part of the counts, have indices from n_bits on.
        """
        if bit not in self.values:
            self.values[bit] = self.no_flips()
            if bit < self.n_bits:
                self.values[bit] |= self.single[bit]
        return self.values[bit]

    def no_flips(self) -> Patterns:
        """Return patterns that flip nothing, (draws, n_words)."""
        return np.zeros((self.draws, self.n_words), dtype=np.uint64)

    def uniforms(self) -> Floats:
        """Return one number in [0, 1) per draw: evenly spaced, in random order."""
        return (self.rng.permutation(self.draws) + self.rng.random()) / self.draws

    def pick(self, shares: Floats) -> npt.NDArray[np.int64]:
        """Draw (draws,) indices with these probabilities, which sum to 1."""
        return np.minimum(np.searchsorted(np.cumsum(shares), self.uniforms(), side="right"), len(shares) - 1)

    def step(self, event: Event) -> None:
        """Go back past one event."""
        match event:
            case Turn(qubit, squares):
                if not is_clifford(event):
                    self._add_rotations(pauli.off_clifford(squares), self.pauli_patterns(qubit), qubit)
                permutations, shares = pauli.branches(squares)
                become = permutations[self.pick(shares)].T
                self.flips[qubit] = np.take_along_axis(self.pauli_patterns(qubit), become[:, :, None], axis=0)
            case Coupling(a, b, axis, angle):
                self._act_on(a, b)
                both = self.pauli_patterns(a)[axis] ^ self.pauli_patterns(b)[axis]
                self._add_rotations(non_clifford_weight(np.array([angle])), both[None])
                rotated = both * (self.uniforms() < np.sin(angle) ** 2)[:, None]
                others = [p for p in range(3) if p != axis]
                for qubit in (a, b):
                    self.flips[qubit] = self.flips[qubit].copy()
                    self.flips[qubit][others] ^= rotated.astype(np.uint64)
            case Fault(qubit, rates, kind):
                self.add(self.pauli_patterns(qubit), rates, kind, (KINDS[kind], qubit))
            case PairFault(a, b, rates):
                on_a, on_b = (np.concatenate([self.no_flips()[None], self.pauli_patterns(q)]) for q in (a, b))
                both = (on_a[:, None] ^ on_b[None]).reshape(16, self.draws, self.n_words)[1:]
                self.add(both, rates.ravel()[1:], GATE, ("pair", min(a, b), max(a, b)))
            case Measure():
                self.measure(event)
            case Reset(qubit):
                self._act_on(qubit)
                self.flips.pop(qubit, None)
            case Store(bits, table):
                setting = self.pick(self.odds(table.bits))
                written = [self.bit_pattern(bit) for bit in bits]
                self.values |= {bit: self.no_flips() for bit in bits}
                self.rewritten.update(bits if self.weight == 1.0 else ())
                for i, bit in enumerate(table.bits):
                    differs = table.values[setting] ^ table.values[setting ^ 1 << i]
                    for place, pattern in enumerate(written):
                        flipped = (differs >> place & 1).astype(np.uint64)
                        self.values[bit] = self.bit_pattern(bit) ^ pattern * flipped[:, None]
            case Branch():
                self.branch(event)

    def _add_rotations(self, weights: Floats, patterns: Patterns, qubit: int | None = None) -> None:
        """Add the Paulis of a rotation, of one qubit or of two, with weights (n,) and patterns (n, draws, n_words)."""
        added = float(self.weight * weights @ patterns.any(axis=2).mean(axis=1))
        self.rotations += added
        if qubit in self.read_next:
            self.last_rotations[self.read_next[qubit]] += added

    def _act_on(self, *qubits: int) -> None:
        """Note that something other than a gate on one qubit acts on these qubits."""
        for qubit in qubits:
            self.read_next.pop(qubit, None)

    def measure(self, event: Measure) -> None:
        """Go back past a measurement: X or Y before it, like a misreading, flips what it writes; Z has no effect.

        A readout error that flips this bit and nothing else is kept in `readout`, where P(1|0) and P(0|1) may differ.
        Any other becomes a fault. If the bit is written again later, this outcome matters only to the program.
        """
        bit, pattern = event.bit, self.bit_pattern(event.bit)
        flips = self.pauli_patterns(event.qubit).copy()
        flips[0] ^= pattern
        flips[1] = flips[0]
        flips[2] = 0
        del self.values[bit]
        final = self.weight == 1.0 and bit < self.n_bits and bit not in self.rewritten
        alone = final and bool((pattern == self.bit_pattern(bit)).all())
        self._act_on(event.qubit)
        if alone:
            self.readout[bit] = event.errors
            if (flips[0] == self.single[bit]).all():  # not where the qubit is read again, or acts on others
                self.read_next[event.qubit] = bit
        elif event.errors.any():
            rate = -0.5 * np.log1p(-2 * min(float(self.odds((bit,), known=self.weight == 1.0) @ event.errors), 0.49))
            self.add(pattern[None], np.array([rate]), READOUT, ("readout", bit))
        self.values[bit] = self.no_flips()
        self.rewritten.update([bit] if self.weight == 1.0 else [])
        self.flips[event.qubit] = flips

    def odds(self, bits: Sequence[int], *, known: bool = True) -> Floats:
        """Estimate the joint probabilities of the values of classical bits.

        A bit that is not written again is taken to have its value in the counts. Otherwise 0 and 1 are equally likely.

        Args:
            bits: indices of the bits.
            known: False to ignore the counts.

        Returns:
            (2^n,) probabilities; bit i of the row number is the value of ``bits[i]``.
        """
        share = np.ones((2,) * len(bits))
        counted = [i for i, bit in enumerate(bits) if bit < self.n_bits and bit not in self.rewritten]
        if self.counts is not None and known and counted:
            columns = self.counts.bits[:, [bits[i] for i in counted]].astype(np.int64)
            seen = np.bincount(columns @ (1 << np.arange(len(counted))), self.counts.weights, 1 << len(counted))
            share = share * seen.reshape([2 if i in counted else 1 for i in reversed(range(len(bits)))])
        return np.asarray(share.ravel() / share.sum())

    def branch(self, event: Branch) -> None:
        """Go back past control flow: each draw goes through one of its bodies.

        What `read_next` notes does not pass into a body, nor out of it: another body may run.
        """
        table = event.table
        odds = self.odds(table.bits, known=not event.repeats)
        setting = self.pick(odds)
        taken, draw = table.values[setting], np.arange(self.draws)
        triggered = []
        for i in range(len(table.bits)):
            other = table.values[setting ^ 1 << i]
            triggered.append(self.change(event.changes, taken, other))
        chances = np.bincount(table.values, odds, len(event.bodies))
        after, weight, results = (dict(self.flips), dict(self.values)), self.weight, []
        for body, chance in zip(event.bodies, chances.tolist(), strict=True):
            self.flips, self.values, self.weight = dict(after[0]), dict(after[1]), weight * chance
            self.read_next.clear()
            for inner in reversed(body):
                if inner is not None:
                    self.step(inner)
            results.append((self.flips, self.values))
        self.weight = weight
        self.read_next.clear()
        qubits, bits = ({key for result in results for key in result[part]} for part in (0, 1))
        self.flips, self.values = {}, {}
        flips = {
            q: np.stack([flips.get(q, self.pauli_patterns(q)) for flips, _ in results])[taken, :, draw].swapaxes(0, 1)
            for q in qubits
        }
        values = {
            bit: np.stack([values.get(bit, self.bit_pattern(bit)) for _, values in results])[taken, draw]
            for bit in bits
        }
        self.flips, self.values = flips, values
        for bit, pattern in zip(table.bits, triggered, strict=True):
            self.values[bit] = self.bit_pattern(bit) ^ pattern

    def change(
        self, changes: dict[tuple[int, int], Change], taken: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
    ) -> Patterns:
        """Return what flips if another body runs instead of the right one, (draws, n_words).

        Args:
            changes: effects of exchanging two bodies, as in `Branch`.
            taken: (draws,) number of the right body.
            other: (draws,) number of the body that runs instead.
        """
        total = self.no_flips()
        for (low, high), effect in changes.items():
            here = ((np.minimum(taken, other) == low) & (np.maximum(taken, other) == high))[:, None]
            pattern = self.no_flips()
            for qubits, paulis, shares in effect.groups:
                for qubit, codes in zip(qubits, paulis[self.pick(shares)].T, strict=True):
                    patterns = np.concatenate([self.no_flips()[None], self.pauli_patterns(qubit)])
                    pattern ^= patterns[codes, np.arange(self.draws)]
            for bit in effect.bits:
                pattern ^= self.bit_pattern(bit) * (self.uniforms() < 0.5).astype(np.uint64)[:, None]
            total ^= pattern * here.astype(np.uint64)
        return total

    def add(self, patterns: Patterns, rates: Floats, kind: int, place: tuple[Any, ...]) -> None:
        """Record faults at a place, given patterns (n, draws, n_words) and rates (n,), which the draws share."""
        if self.weight > 0:
            share = np.repeat(rates * self.weight / self.draws, self.draws)
            self.record(patterns.reshape(-1, self.n_words), share, kind, place)

    def record(self, masks: Words, rates: Floats, kind: int, place: tuple[Any, ...]) -> None:
        """Record masks (n, n_words) with rates (n,) as they are."""
        self.recorded.append((masks, rates, kind, self.places.setdefault(place, len(self.places))))

    def collect(self) -> tuple[Words, Floats, npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
        """Return the masks of all recorded faults, their rates, kinds, and place numbers."""
        masks = np.concatenate([self.single[:0], *(masks for masks, _, _, _ in self.recorded)])
        rates = np.concatenate([np.zeros(0), *(rates for _, rates, _, _ in self.recorded)])
        sizes = [len(masks) for masks, _, _, _ in self.recorded]
        kind = np.repeat(np.array([kind for _, _, kind, _ in self.recorded], dtype=np.uint8), sizes)
        return masks, rates, kind, np.repeat(np.array([place for *_, place in self.recorded], dtype=np.uint64), sizes)
