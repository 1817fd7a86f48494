"""Events of a compiled circuit that matter for its faults; `walk` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats

if TYPE_CHECKING:
    from qcluster.device.circuits.conditions import Table


class Turn(NamedTuple):
    """A one-qubit gate: Pauli j becomes Pauli i with probability ``squares[i, j]``."""

    qubit: int
    squares: Floats


class Coupling(NamedTuple):
    """A two-qubit rotation by ``angle`` about XX, YY or ZZ, as ``axis`` is 0, 1 or 2."""

    a: int
    b: int
    axis: int
    angle: float


class Fault(NamedTuple):
    """Faults of one qubit, with rates (3,) of X, Y, Z; ``kind`` is an index into `qcluster.core.noise.faults.KINDS`."""

    qubit: int
    rates: Floats
    kind: int


class PairFault(NamedTuple):
    """Gate faults of two qubits, with rates (4, 4) of I, X, Y, Z on a (rows) and on b (columns)."""

    a: int
    b: int
    rates: Floats


class Measure(NamedTuple):
    """A measurement of a qubit into a classical bit; errors (2,): P(read 1|0), P(read 0|1)."""

    qubit: int
    bit: int
    errors: Floats


class Reset(NamedTuple):
    """A reset of a qubit to |0>."""

    qubit: int


class Store(NamedTuple):
    """A number computed by the program and written into classical bits, lowest first."""

    bits: tuple[int, ...]
    table: Table


class Group(NamedTuple):
    """A random Pauli on some qubits."""

    qubits: tuple[int, ...]
    paulis: npt.NDArray[np.int64]
    """(n, n_qubits) the possible Paulis: 0, 1, 2, 3 for I, X, Y, Z."""
    shares: Floats
    """(n,) probabilities, which sum to 1."""


class Change(NamedTuple):
    """Effect of running one body of control flow in place of another."""

    groups: tuple[Group, ...]
    """A random Pauli strikes in each group."""
    bits: tuple[int, ...]
    """Classical bits that become random."""


class Branch(NamedTuple):
    """Control flow: the program runs body ``table.values[setting of the bits]``."""

    table: Table
    bodies: tuple[tuple[Event | None, ...], ...]
    """Events of each body."""
    changes: dict[tuple[int, int], Change]
    """Effect of exchanging two bodies, by pair of body numbers, the lower one first."""
    repeats: bool
    """True for a pass of a `while` loop; the final values of its bits do not show how often it ran."""


Event = Union[Turn, Coupling, Fault, PairFault, Measure, Reset, Store, Branch]  # noqa: UP007  (refers to itself)
