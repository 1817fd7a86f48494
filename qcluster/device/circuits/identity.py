"""What makes two circuits the same: all but the names that Qiskit draws for what has none."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
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
    block of control flow on its own, and gates made of circuits are written out; those that are not, since they have a
    label or are a part of another gate, are numbered by their order. Layouts are in numbers of qubits, and gates of the
    user's own, where there are several, are told beside the rest: QPY writes these, and the registers of a layout, in
    an order that changes from one time to the next.
    """
    bare, places, variables, apart = [], [], [], []
    numbers: dict[str, str] = {}
    for circuit in circuits:
        layout = circuit.layout
        places.append(layout and (layout.initial_index_layout(), layout.final_index_layout()))
        written = _written_out(circuit)
        renamed = _renamed(_renumbered(written) if _is_numbered(written) else written.copy(), numbers)
        left, taken = _taken_apart(renamed) if _has_several(renamed) else (renamed, [])
        bare.append(left)
        apart.append(taken)
        bare[-1].name, bare[-1]._layout = "", None
        variables += _random_names(bare[-1])
    text = dump_circuits(bare)
    for place, variable in enumerate(variables):
        text = text.replace(variable, place.to_bytes(16, "big"))
    return text + json.dumps(places).encode() + (json.dumps(apart).encode() if any(apart) else b"")


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


def _renamed(scope: QuantumCircuit, numbers: dict[str, str]) -> QuantumCircuit:
    """Number the gates that were made of circuits without a name and are not written out by their order, also where
    others are made of them; `numbers` are those found so far. A program without any stays as it is."""
    items, changed = list(scope.data), False
    for place, item in enumerate(items):
        rename = _renamed_blocks if has_blocks(item) else _renamed_gate
        given = item.operation
        if (operation := rename(given, numbers)) is not given:
            items[place], changed = item.replace(operation=operation), True
    if not changed:
        return scope
    made = scope.copy_empty_like()
    for item in items:
        made._append(item)
    return made


def _renamed_blocks(operation: Any, numbers: dict[str, str]) -> Any:
    """Give control flow, or a box, of blocks whose gates have steady names; itself where all have."""
    blocks = [_renamed(block, numbers) for block in operation.blocks]
    if all(one is other for one, other in zip(blocks, operation.blocks, strict=True)):
        return operation
    made = operation.replace_blocks(blocks)
    made.label = operation.label
    return made


def _renamed_gate(operation: Any, numbers: dict[str, str]) -> Any:
    """Give a gate under a name that is steady, as are those of what it is made of; itself where all are."""
    if not _is_own(operation):
        return operation
    getattr(operation, "definition", None)  # made when it is first asked for
    renamed: dict[str, Callable[..., Any]] = {
        "_name": _steady_name,
        "base_gate": _renamed_gate,
        "base_op": _renamed_gate,
        "_definition": _renamed_body,
    }
    held = {name: getattr(operation, name, None) for name in renamed}
    steady = {name: None if held[name] is None else renamed[name](held[name], numbers) for name in held}
    if all(steady[name] is held[name] for name in held):
        return operation
    made = copy(operation)
    vars(made).update({name: value for name, value in steady.items() if value is not held[name]})
    return made


def _is_own(operation: Any) -> bool:
    """Tell whether a gate is the user's own, such as one made of a circuit, or of an operator, and not one that Qiskit
    knows by its name."""
    from qiskit.circuit import AnnotatedOperation, ControlledGate, Gate, Instruction
    from qiskit.circuit.library import PauliEvolutionGate

    kind = getattr(operation, "base_class", type(operation))
    plain = kind in (Gate, Instruction, ControlledGate, AnnotatedOperation, PauliEvolutionGate)
    return plain or kind.__module__.partition(".")[0] != "qiskit"


def _has_several(scope: QuantumCircuit) -> bool:
    """Tell whether a program, a block of it or what a gate is made of has several gates of the user's own."""
    own = [item.operation for item in scope.data if not has_blocks(item) and _is_own(item.operation)]
    blocks = [block for item in scope.data if has_blocks(item) for block in item.operation.blocks]
    return len(own) > 1 or any(map(_has_several, [*blocks, *(body for one in own for body in _bodies(one))]))


def _bodies(operation: Any) -> list[QuantumCircuit]:
    """Circuits that a gate, and those that it controls or changes, are made of."""
    inner = [getattr(operation, name, None) for name in ("base_gate", "base_op")]
    body = getattr(operation, "_definition", None)
    return [*([] if body is None else [body]), *(found for one in inner if one is not None for found in _bodies(one))]


def _taken_apart(scope: QuantumCircuit) -> tuple[QuantumCircuit, list[Any]]:
    """Take the user's own gates out of a program: what is left, and of each its place, its bits and what it is."""
    left, taken = scope.copy_empty_like(), list[Any]()
    numbers = {bit: i for bits in (scope.qubits, scope.clbits) for i, bit in enumerate(bits)}
    for place, item in enumerate(scope.data):
        if has_blocks(item):
            blocks, inner = zip(*map(_taken_apart, item.operation.blocks), strict=True)
            if any(inner):
                operation = item.operation.replace_blocks(blocks)
                operation.label = item.operation.label
                item = item.replace(operation=operation)
                taken.append([place, inner])
        elif _is_own(item.operation):
            bits = [[numbers[bit] for bit in part] for part in (item.qubits, item.clbits)]
            taken.append([place, bits, _told(item.operation)])
            continue
        left._append(item)
    return left, taken


def _told(operation: Any) -> list[Any]:
    """Write out what a gate is: its names and numbers, what it is made of, and what it controls or changes."""
    names = ("name", "label", "num_qubits", "num_clbits", "ctrl_state", "modifiers")
    numbers = [each.tolist() if hasattr(each, "tolist") else each for each in getattr(operation, "params", ())]
    told = [repr([getattr(operation, name, None) for name in names]), repr(numbers)]
    inner = [getattr(operation, name, None) for name in ("base_gate", "base_op")]
    body = getattr(operation, "_definition", None)
    left, taken = (None, []) if body is None else _taken_apart(body)
    made_of = None if left is None else hashlib.sha256(dump_circuits([left])).hexdigest()
    return [*told, [None if one is None else _told(one) for one in inner], made_of, taken]


def _renamed_body(body: QuantumCircuit, numbers: dict[str, str]) -> QuantumCircuit:
    """Give what a gate is made of, on registers and under a name that are steady."""
    made = _renamed(_renumbered(body) if _is_numbered(body) else body, numbers)
    name = _steady_name(body.name, numbers)
    return body if made is body and name is body.name else made.copy(name)


def _steady_name(name: str, numbers: dict[str, str]) -> str:
    """Put in place of the number that Qiskit has drawn for a circuit how many were found before it; the same text where
    there is none."""
    if not _NUMBERED_GATE.search(name):
        return name
    return _NUMBERED_GATE.sub(lambda found: numbers.setdefault(found[0], f"circuit-{len(numbers)}"), name)


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
