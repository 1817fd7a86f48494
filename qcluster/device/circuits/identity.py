"""What makes two circuits the same: all but the names that Qiskit draws for what has none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.qpy import dump_circuits
from qcluster.device.circuits.timeline import has_blocks

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

_NUMBERED_REGISTER = re.compile(r"([qca])\d+")
"""Names that Qiskit gives to registers without one."""
_NUMBERED_GATE = re.compile(r"circuit-\d+")
"""Part of the names of gates made of circuits without a name: "ccircuit-7" is a controlled one."""
_NUMBERED_PARAMETER = re.compile(r"_loop_i_\d+")
"""Names of the parameters that loops count with, of those without one."""
_LEVELS = 20
"""Levels of such gates within gates that are written out."""


def identify_circuits(circuits: Sequence[QuantumCircuit]) -> bytes:
    """Write out what circuits are: the same bytes for the same circuits, in any process.

    Qiskit numbers what has no name: so names of circuits are left away, registers are numbered by their order, each
    block of control flow on its own, and gates made of circuits are written out. Layouts are in numbers of qubits,
    since QPY writes the registers of a layout in an order that changes from one time to the next.
    """
    bare, places, variables = [], [], []
    for circuit in circuits:
        layout = circuit.layout
        places.append(layout and (layout.initial_index_layout(), layout.final_index_layout()))
        written = _written_out(circuit)
        bare.append(_renumbered(written) if _is_numbered(written) else written.copy())
        bare[-1].name, bare[-1]._layout = "", None
        variables += _random_names(bare[-1])
    text = dump_circuits(bare)
    for place, variable in enumerate(variables):
        text = text.replace(variable, place.to_bytes(16, "big"))
    return text + json.dumps(places).encode()


def steady_names(registers: Iterable[Any]) -> list[str]:
    """Name registers so that the same circuit, made again, has the same names: those that Qiskit has numbered, such as
    "c7", are numbered by their order.

    Example:
        >>> from qiskit import ClassicalRegister
        >>> steady_names([ClassicalRegister(1, "out"), ClassicalRegister(1), ClassicalRegister(1)])
        ['out', 'c0', 'c1']
    """
    seen: Counter[str] = Counter()
    names = []
    for register in registers:
        numbered = _NUMBERED_REGISTER.fullmatch(register.name)
        names.append(f"{numbered[1]}{seen[numbered[1]]}" if numbered else register.name)
        seen.update([numbered[1]] if numbered else [])
    return names


def _random_names(scope: QuantumCircuit) -> list[bytes]:
    """Names that Qiskit draws anew each time, in order: of variables, and of the parameters that loops count with."""
    names = [variable.var.bytes for variable in scope.iter_vars()]
    for item in scope.data:
        if (counted := _counter(item)) is not None:
            names.append(counted.uuid.bytes)
        for block in item.operation.blocks if has_blocks(item) else ():
            names += [name for name in _random_names(block) if name not in names]
    return names


def _unnamed_gates(scope: QuantumCircuit) -> set[str]:
    """Names of the gates that were made of circuits without a name, but for those with a label, by which a simulator
    may know them."""
    unnamed = [item for item in scope.data if _NUMBERED_GATE.search(item.name)]
    return {item.name for item in unnamed} - {item.name for item in unnamed if item.operation.label}


def _written_out(scope: QuantumCircuit) -> QuantumCircuit:
    """Put what they do in place of gates that were made of circuits without a name."""
    for _ in range(_LEVELS):
        names = _unnamed_gates(scope)
        if not names:
            break
        scope = scope.decompose(sorted(names))
    return scope


def _is_numbered(scope: QuantumCircuit) -> bool:
    """Tell whether Qiskit has numbered a register, or within blocks a gate or a parameter."""
    return any(_NUMBERED_REGISTER.fullmatch(register.name) for register in (*scope.qregs, *scope.cregs)) or any(
        _is_numbered(block) or bool(_unnamed_gates(block)) or _counts_unnamed(item)
        for item in scope.data
        if has_blocks(item)
        for block in item.operation.blocks
    )


def _counter(item: Any) -> Any:
    """Give the parameter that a loop counts with; None where there is none, or a variable, which is one of the body."""
    counted = item.operation.params[1] if item.name == "for_loop" else None
    return counted if hasattr(counted, "uuid") else None


def _counts_unnamed(item: Any) -> bool:
    """Tell whether a loop counts with a parameter that Qiskit has named."""
    counted = _counter(item)
    return counted is not None and bool(_NUMBERED_PARAMETER.fullmatch(counted.name))


def _renumbered(scope: QuantumCircuit, depth: int = 0) -> QuantumCircuit:
    """Copy a program, or a block of it at a depth, onto registers that have their `steady_names`; blocks likewise."""
    from qiskit.circuit import QuantumCircuit

    registers = _in_order(scope, depth)
    places = _fresh_places(scope, registers)
    made = QuantumCircuit(
        global_phase=scope.global_phase,
        metadata=scope.metadata,
        inputs=scope.iter_input_vars(),
        captures=[*scope.iter_captured_vars(), *scope.iter_captured_stretches()],
    )
    for variable in scope.iter_declared_vars():
        made.add_uninitialized_var(variable)
    for stretch in scope.iter_declared_stretches():
        made.add_stretch(stretch)
    made.add_bits([places[bit] for bit in (*scope.qubits, *scope.clbits)])
    made.add_register(*(places[register] for register in registers))
    for item in scope.data:
        qubits, clbits = ([places[bit] for bit in bits] for bits in (item.qubits, item.clbits))
        made._append(item.replace(operation=_moved(item, places, depth), qubits=qubits, clbits=clbits))
    return made


def _in_order(scope: QuantumCircuit, depth: int) -> list[Any]:
    """Give the registers; those of a block, which Qiskit keeps in a set, by the bits that they hold."""
    if not depth:
        return [*scope.qregs, *scope.cregs]
    number = {bit: i for i, bit in enumerate(scope.clbits)}
    return [*scope.qregs, *sorted(scope.cregs, key=lambda register: [number[bit] for bit in register])]


def _fresh_places(scope: QuantumCircuit, registers: Sequence[Any]) -> dict[Any, Any]:
    """Make a bit for each bit, and a register for each register, of the name that is steady."""
    bits = [*scope.qubits, *scope.clbits]
    named = list(zip(registers, steady_names(registers), strict=True))
    if [bit for register in registers for bit in register] == bits:
        made = [type(register)(register.size, name) for register, name in named]
        return dict(zip([*bits, *registers], [*(bit for register in made for bit in register), *made], strict=True))
    places = {bit: type(bit)() for bit in bits}  # some are in no register, or in several
    aliases = {register: type(register)(name=name, bits=[places[bit] for bit in register]) for register, name in named}
    return places | aliases


def _moved(item: Any, places: Mapping[Any, Any], depth: int) -> Any:
    """Give the operation of an instruction as it is in other bits and registers."""
    operation = item.operation
    if item.name == "store":
        return type(operation)(_read(operation.lvalue, places), _read(operation.rvalue, places))
    if not has_blocks(item):
        return operation
    moved = operation.replace_blocks([_renumbered(_written_out(block), depth + 1) for block in operation.blocks])
    moved.label = operation.label
    if item.name in ("if_else", "while_loop"):
        moved.condition = _read(operation.condition, places)
    elif item.name == "switch_case":
        moved.target = _read(operation.target, places)
    elif _counts_unnamed(item):
        ((indices, parameter, _), (body,)) = operation.params, moved.blocks
        counter = type(parameter)(f"_loop_i{depth}")
        moved = type(operation)(indices, counter, body.assign_parameters({parameter: counter}), label=operation.label)
    return moved


def _read(what: Any, places: Mapping[Any, Any]) -> Any:
    """Give a condition, a target or an expression as it is in other bits and registers."""
    from qiskit.circuit.classical import expr

    if isinstance(what, tuple):
        return places[what[0]], what[1]
    if not isinstance(what, expr.Expr):
        return places[what]
    if isinstance(what, expr.Var):
        return expr.Var(places.get(what.var, what.var), what.type, name=what.name)
    parts = {
        expr.Unary: ("op", "operand", "type"),
        expr.Binary: ("op", "left", "right", "type"),
        expr.Cast: ("operand", "type", "implicit"),
        expr.Index: ("target", "index", "type"),
    }.get(type(what), ())
    held = [getattr(what, part) for part in parts]
    read = [_read(part, places) if isinstance(part, expr.Expr) else part for part in held]
    return type(what)(*read) if parts else what  # a number is what it is
