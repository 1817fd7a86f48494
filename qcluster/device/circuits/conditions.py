"""What the classical program of a circuit computes: its conditions and stores, as tables over the bits that they read.

A variable is so many more bits, behind those of the circuit, so that a program is a list of tables whatever its types.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

MOST_READ = 10
"""Most bits that one condition may read: its table has 2^10 rows."""

_BINARY: dict[str, Callable[[int, int], int]] = {
    "BIT_AND": lambda a, b: a & b,
    "BIT_OR": lambda a, b: a | b,
    "BIT_XOR": lambda a, b: a ^ b,
    "LOGIC_AND": lambda a, b: int(bool(a and b)),
    "LOGIC_OR": lambda a, b: int(bool(a or b)),
    "EQUAL": lambda a, b: int(a == b),
    "NOT_EQUAL": lambda a, b: int(a != b),
    "LESS": lambda a, b: int(a < b),
    "LESS_EQUAL": lambda a, b: int(a <= b),
    "GREATER": lambda a, b: int(a > b),
    "GREATER_EQUAL": lambda a, b: int(a >= b),
    "SHIFT_LEFT": lambda a, b: a << b,
    "SHIFT_RIGHT": lambda a, b: a >> b,
    "ADD": lambda a, b: a + b,
    "SUB": lambda a, b: a - b,
    "MUL": lambda a, b: a * b,
}


@dataclass(frozen=True, eq=False)
class Table:
    """A number that the program computes of some bits."""

    bits: tuple[int, ...]
    """Numbers of the bits that it reads, at most `MOST_READ`."""
    values: npt.NDArray[np.int64]
    """(2^n,) its value; bit i of the position is the value of ``bits[i]``."""

    def bit(self, place: int) -> Table:
        """One bit of the value."""
        return Table(self.bits, self.values >> place & 1)

    def where_zero(self, bits: Container[int]) -> Table:
        """Give the same where some bits are 0: of those that are left."""
        known = [i for i, bit in enumerate(self.bits) if bit in bits]
        rows = np.arange(len(self.values))
        kept = (rows & sum(1 << i for i in known)) == 0
        return Table(tuple(bit for bit in self.bits if bit not in bits), self.values[kept])


@dataclass
class Memory:
    """Numbers of the classical bits and of the variables of a circuit, as seen from one of its scopes."""

    places: dict[Any, tuple[int, ...]]
    """Numbers of each classical bit and variable, the lowest first."""
    taken: list[int]
    """(1,) how many numbers are in use, shared by all scopes."""
    blank: set[int]
    """Numbers of the classical bits that nothing has written so far, which are 0; shared by all scopes."""
    shared: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    """Numbers of variables, shared by all scopes."""
    counters: dict[Any, int] = field(default_factory=dict)
    """Value of each variable that a loop counts with, in the pass that is read, as long as nothing is stored there."""

    @classmethod
    def of(cls, circuit: QuantumCircuit) -> Memory:
        """Number the bits of a circuit from 0."""
        n = circuit.num_clbits
        return cls({bit: (i,) for i, bit in enumerate(circuit.clbits)}, [n], set(range(n)))

    def inside(self, block: QuantumCircuit, clbits: Any) -> Memory:
        """Give the numbers in a block, of which `clbits` are the outer bits."""
        inner = {bit: self.places[outer] for bit, outer in zip(block.clbits, clbits, strict=True)}
        return Memory(inner, self.taken, self.blank, self.shared, self.counters)

    def counting(self, variable: Any, value: int) -> Memory:
        """Give the numbers in a pass of a loop that counts with a variable."""
        return replace(self, counters={**self.counters, variable: value})

    def locate(self, what: Any) -> tuple[int, ...]:
        """Find the numbers of a bit, a register or a variable, the lowest first; ValueError for one of another type."""
        if what in self.places:
            return self.places[what]
        if hasattr(what, "prefix"):
            return tuple(number for bit in what for number in self.places[bit])
        if not getattr(what, "standalone", False):
            return self.locate(what.var)
        if what not in self.shared:
            width = _width(what.type)
            self.shared[what] = tuple(range(self.taken[0], self.taken[0] + width))
            self.taken[0] += width
        return self.shared[what]

    def table(self, node: Any) -> Table:
        """Tabulate a condition ``(bit or register, value)``, a bit, a register or an expression.

        Raises:
            ValueError: it reads more than `MOST_READ` bits, or computes in a way that is not known here.
        """
        if isinstance(node, tuple):
            table = self.table(node[0])
            return Table(table.bits, (table.values == int(node[1])).astype(np.int64))
        bits = tuple(dict.fromkeys(self._read(node)))
        if len(bits) > MOST_READ:
            raise ValueError(f"a condition must read at most {MOST_READ} classical bits; got {len(bits)}")
        settings = ({bit: row >> i & 1 for i, bit in enumerate(bits)} for row in range(1 << len(bits)))
        return Table(bits, np.array([self._value(node, setting) for setting in settings], dtype=np.int64))

    def _read(self, node: Any) -> tuple[int, ...]:
        from qiskit.circuit.classical import expr

        if isinstance(node, expr.Expr):
            read = [var for var in expr.iter_vars(node) if var not in self.counters]
            return tuple(number for var in read for number in self.locate(var))
        return self.locate(node)

    def _value(self, node: Any, setting: dict[int, int]) -> int:
        from qiskit.circuit.classical import expr

        match node:
            case expr.Value():
                return int(node.value)
            case expr.Cast():
                inner = self._value(node.operand, setting)
                return int(bool(inner)) if _width(node.type) == 1 else inner & _ones(node.type)
            case expr.Unary():
                inner = self._value(node.operand, setting)
                return int(not inner) if node.op.name == "LOGIC_NOT" else ~inner & _ones(node.type)
            case expr.Binary() if node.op.name in _BINARY:
                one, two = self._value(node.left, setting), self._value(node.right, setting)
                return _BINARY[node.op.name](one, two) & _ones(node.type)
            case expr.Index():
                return self._value(node.target, setting) >> self._value(node.index, setting) & 1
            case expr.Expr() if not isinstance(node, expr.Var):
                what = getattr(getattr(node, "op", None), "name", type(node).__name__)
                raise ValueError(f"the classical program must compute with bits and whole numbers; got {what}")
            case expr.Var() if node in self.counters:
                return self.counters[node]
        return sum(setting[number] << i for i, number in enumerate(self.locate(node)))


def _width(kind: Any) -> int:
    from qiskit.circuit.classical import types

    if isinstance(kind, types.Bool):
        return 1
    if isinstance(kind, types.Uint):
        return int(kind.width)
    raise ValueError(f"the classical program must compute with bits and whole numbers; got {kind!r}")


def _ones(kind: Any) -> int:
    return (1 << _width(kind)) - 1
