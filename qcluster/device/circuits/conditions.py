"""Truth tables of a circuit's classical program: of its conditions and stores, over the bits that they read.

Variables are treated as additional bits, numbered after those of the circuit. Tables over bits therefore describe a
program whatever the types of its variables.
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
"""Maximum number of bits that one condition or stored expression may read; its table then has 2^10 rows."""

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
    """A number that the program computes from bits, tabulated for all values of these bits."""

    bits: tuple[int, ...]
    """Indices of the bits that it depends on, at most `MOST_READ`."""
    values: npt.NDArray[np.int64]
    """(2^n,) value for each setting of the bits: bit i of the row number is the value of ``bits[i]``."""

    def bit(self, place: int) -> Table:
        """Return the table of one bit of the value."""
        return Table(self.bits, self.values >> place & 1)

    def where_zero(self, bits: Container[int]) -> Table:
        """Restrict the table to rows in which the given bits are 0; the result depends on the other bits only."""
        known = [i for i, bit in enumerate(self.bits) if bit in bits]
        rows = np.arange(len(self.values))
        kept = (rows & sum(1 << i for i in known)) == 0
        return Table(tuple(bit for bit in self.bits if bit not in bits), self.values[kept])


@dataclass
class Memory:
    """Indices of a circuit's classical bits and variables, as seen from one of its scopes."""

    places: dict[Any, tuple[int, ...]]
    """Index of each classical bit of this scope."""
    taken: list[int]
    """(1,) number of indices in use; shared by all scopes."""
    blank: set[int]
    """Indices of the classical bits that nothing has written yet, so that they are 0; shared by all scopes."""
    shared: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    """Indices of the bits of each variable, lowest first; shared by all scopes."""
    counters: dict[Any, int] = field(default_factory=dict)
    """Value of each loop variable in the current pass, until the program stores something else in it."""

    @classmethod
    def of(cls, circuit: QuantumCircuit) -> Memory:
        """Index the classical bits of a circuit from 0."""
        n = circuit.num_clbits
        return cls({bit: (i,) for i, bit in enumerate(circuit.clbits)}, [n], set(range(n)))

    def inside(self, block: QuantumCircuit, clbits: Any) -> Memory:
        """Return the memory as seen from a block whose bits are `clbits` of this scope, in order."""
        inner = {bit: self.places[outer] for bit, outer in zip(block.clbits, clbits, strict=True)}
        return Memory(inner, self.taken, self.blank, self.shared, self.counters)

    def counting(self, variable: Any, value: int) -> Memory:
        """Return the memory as seen from a pass of a loop in which the loop variable has this value."""
        return replace(self, counters={**self.counters, variable: value})

    def locate(self, operand: Any) -> tuple[int, ...]:
        """Find the indices of a bit, a register or a variable, or of one bit of these, lowest first.

        Raises:
            ValueError: the variable is neither a bit nor an unsigned integer, or which bit is meant is not constant.
        """
        from qiskit.circuit.classical import expr

        if isinstance(operand, expr.Index):
            if not isinstance(operand.index, expr.Value):
                raise ValueError("the classical program must store into bits of constant index; got a variable index")
            return self.locate(operand.target)[operand.index.value :][:1]
        if operand in self.places:
            return self.places[operand]
        if hasattr(operand, "prefix"):
            return tuple(index for bit in operand for index in self.places[bit])
        if not getattr(operand, "standalone", False):
            return self.locate(operand.var)
        if operand not in self.shared:
            width = _width(operand.type)
            self.shared[operand] = tuple(range(self.taken[0], self.taken[0] + width))
            self.taken[0] += width
        return self.shared[operand]

    def table(self, node: Any) -> Table:
        """Tabulate a condition ``(bit or register, value)``, a bit, a register or an expression.

        Raises:
            ValueError: it reads more than `MOST_READ` bits, or uses an unsupported type or operation.
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
            variables = [var for var in expr.iter_vars(node) if var not in self.counters]
            return tuple(index for var in variables for index in self.locate(var))
        return self.locate(node)

    def _value(self, node: Any, setting: dict[int, int]) -> int:
        from qiskit.circuit.classical import expr, types

        match node:
            case expr.Value():
                return _ones(node.type) & int(node.value)
            case expr.Cast():
                operand = self._value(node.operand, setting)
                return int(bool(operand)) if isinstance(node.type, types.Bool) else operand & _ones(node.type)
            case expr.Unary():
                operand = self._value(node.operand, setting)
                return int(not operand) if node.op.name == "LOGIC_NOT" else ~operand & _ones(node.type)
            case expr.Binary() if node.op.name in _BINARY:
                left, right = self._value(node.left, setting), self._value(node.right, setting)
                return _BINARY[node.op.name](left, right) & _ones(node.type)
            case expr.Index():
                return self._value(node.target, setting) >> self._value(node.index, setting) & 1
            case expr.Expr() if not isinstance(node, expr.Var):
                operation = getattr(getattr(node, "op", None), "name", type(node).__name__)
                raise ValueError(f"the classical program must compute with bits and whole numbers; got {operation}")
            case expr.Var() if node in self.counters:
                return self.counters[node]
        return sum(setting[index] << i for i, index in enumerate(self.locate(node)))


def _width(kind: Any) -> int:
    """Return the number of bits of a classical type; ValueError where it is neither a bool nor an unsigned integer."""
    from qiskit.circuit.classical import types

    if isinstance(kind, types.Bool):
        return 1
    if isinstance(kind, types.Uint):
        return int(kind.width)
    raise ValueError(f"the classical program must compute with bits and whole numbers; got {kind!r}")


def _ones(kind: Any) -> int:
    """Return the largest value of a classical type: all its bits are 1."""
    return (1 << _width(kind)) - 1
