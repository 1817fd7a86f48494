"""What happens in a compiled circuit, as far as its faults are concerned: the events that `walk` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats

if TYPE_CHECKING:
    from qcluster.device.circuits.conditions import Table


class Turn(NamedTuple):
    """A one-qubit gate: Pauli j turns into Pauli i with probability ``squares[i, j]``."""

    qubit: int
    squares: Floats


class Coupling(NamedTuple):
    """A rotation by ``angle`` about the Pauli ``axis`` (0, 1, 2 for X, Y, Z) on both qubits."""

    a: int
    b: int
    axis: int
    angle: float


class Fault(NamedTuple):
    """Faults of one qubit: rates (3,) of X, Y, Z."""

    qubit: int
    rates: Floats
    kind: int


class PairFault(NamedTuple):
    """Faults of two qubits: rates (4, 4) of I, X, Y, Z on a (rows) and on b."""

    a: int
    b: int
    rates: Floats


class Measure(NamedTuple):
    """A measurement of a qubit into a classical bit; errors (2,): P(read 1|0), P(read 0|1)."""

    qubit: int
    bit: int
    errors: Floats


class Reset(NamedTuple):
    """A qubit put back to |0>."""

    qubit: int


class Store(NamedTuple):
    """A number that the program computes, written into bits, the lowest first."""

    bits: tuple[int, ...]
    table: Table


class Group(NamedTuple):
    """Paulis on some qubits, of which one strikes."""

    qubits: tuple[int, ...]
    paulis: npt.NDArray[np.int64]
    """(n, n_qubits) of 0, 1, 2, 3 for I, X, Y, Z."""
    shares: Floats
    """(n,) probabilities, which sum to 1."""


class Change(NamedTuple):
    """What one body in place of another does to what follows: a Pauli of each group, and bits left to chance."""

    groups: tuple[Group, ...]
    bits: tuple[int, ...]


class Branch(NamedTuple):
    """A body that runs by what the program computes: body ``table.values[setting of the bits]``."""

    table: Table
    bodies: tuple[tuple[Event | None, ...], ...]
    changes: dict[tuple[int, int], Change]
    """By pairs of bodies, the lower number first."""
    repeats: bool
    """True for a pass of a loop, whose bits in the end say nothing of how often it ran."""


Event = Union[Turn, Coupling, Fault, PairFault, Measure, Reset, Store, Branch]  # noqa: UP007  (refers to itself)
