"""What makes two circuits the same: all but the names that Qiskit draws for what has none."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.qpy import dump_circuits, load_circuits
from qcluster.device.circuits.timeline import has_blocks, with_blocks

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
_EXACT = {"measure", "reset", "barrier", "delay", "store", "break_loop", "continue_loop", "unitary"}
"""Names of instructions beside the standard gates that QPY writes as they are."""


def identify_circuits(circuits: Sequence[QuantumCircuit], qiskit: str = "") -> bytes:
    """Write out what circuits are: the same bytes for the same circuits, in any process, and others for others.

    Qiskit numbers what has no name: so names of circuits are left away, registers are numbered by their order, each
    block of control flow on its own, and gates made of circuits are written out. Layouts are in numbers of qubits,
    since QPY writes their registers in an order that changes from one time to the next. So it does with several gates
    of the user's own, it keeps the numbers in their names, and of some of the library it forgets what they do: where a
    program has such gates, all of these are told beside the rest.

    Args:
        circuits: what to identify.
        qiskit: version of Qiskit under which those were identified that these are compared with; by default this one.
            A version that writes QPY of another format gives other bytes all the same.
    """
    bare, places, variables, apart = [], [], [], []
    for circuit in circuits:
        layout = circuit.layout
        places.append(layout and (layout.initial_index_layout(), layout.final_index_layout()))
        written = _written_out(circuit)
        renumbered = _renumbered(written) if _is_numbered(written) else written
        left, taken = _taken_apart(renumbered, qiskit, not _is_steady(renumbered))
        left._layout = None
        bare.append(left)
        apart.append(taken)
        variables += _random_names(left)
    text = dump_circuits(bare, qiskit)
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
    for item in filter(has_blocks, scope.data):
        if (counted := _counter(item)) is not None:
            names.append(counted.uuid.bytes)
        for block in item.operation.blocks:
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


def _is_exact(item: Any) -> bool:
    """Tell at a glance of an instruction that QPY writes all of it, without asking for its operation, which is slow."""
    return bool(item.is_standard_gate()) or item.name in _EXACT


def _is_own(operation: Any) -> bool:
    """Tell whether a gate is the user's own, such as one made of a circuit, or of an operator, or one of Qiskit's of
    which its name and parameters do not tell all."""
    from qiskit.circuit import AnnotatedOperation, ControlledGate, Gate, Instruction
    from qiskit.circuit.library import MCMTGate, PauliEvolutionGate

    kind = getattr(operation, "base_class", type(operation))
    if kind in (Gate, Instruction, ControlledGate, AnnotatedOperation, PauliEvolutionGate, MCMTGate):
        return True
    known = kind.__module__.partition(".")[0] == "qiskit"
    return not known or not (issubclass(kind, ControlledGate) or _is_read_back(operation))


def _alone(operation: Any) -> QuantumCircuit:
    from qiskit.circuit import QuantumCircuit

    circuit = QuantumCircuit(operation.num_qubits, operation.num_clbits)
    circuit.append(operation, circuit.qubits, circuit.clbits)
    circuit.name = ""
    return circuit


def _is_read_back(operation: Any) -> bool:
    """Tell whether QPY reads the gate that it wrote; of a comparison with a number, for one, it does not keep which."""
    try:
        (read,) = load_circuits(dump_circuits([_alone(operation)]))
    except ValueError:
        return False
    return bool(read.data[0].operation == operation)


def _is_steady(scope: QuantumCircuit) -> bool:
    """Tell whether QPY writes a program the same each time that it is made: a scope of it has one gate of the user's
    own at most, of a name that was given, and so has all that this is made of."""
    items = [item for item in scope.data if not _is_exact(item)]
    own = [item.operation for item in items if not has_blocks(item) and _is_own(item.operation)]
    blocks = [block for item in items if has_blocks(item) for block in item.operation.blocks]
    return len(own) <= 1 and all(map(_is_steady, blocks)) and all(map(_is_steady_gate, own))


def _is_steady_gate(operation: Any) -> bool:
    kind = getattr(operation, "base_class", type(operation))
    if kind.__module__.startswith("qiskit.circuit.library") and not _is_read_back(operation):
        return False
    bodies = list(_bodies(operation))
    if not all(_is_steady(body) and not _is_numbered(body) for body in bodies):
        return False
    written = dump_circuits([_alone(operation)])
    return not _NUMBERED_GATE.search(written.decode("latin-1")) and dump_circuits([_alone(operation)]) == written


def _bodies(operation: Any) -> Iterator[QuantumCircuit]:
    """Circuits that a gate, and those that it controls or changes, are made of."""
    if (body := getattr(operation, "definition", None)) is not None:
        yield body
    for inner in _inner(operation):
        yield from _bodies(inner)


def _inner(operation: Any) -> list[Any]:
    """Give the gate that another one controls or changes, if any."""
    found = [getattr(operation, name, None) for name in ("base_gate", "base_op")]
    return [one for one in found if one is not None]


def _taken_apart(scope: QuantumCircuit, qiskit: str, taking: bool = True) -> tuple[QuantumCircuit, list[Any]]:
    """Copy a program without its name, and those of its blocks. If `taking`, the user's own gates are taken out, and of
    each its place, its bits and what it is come beside."""
    plain = all(map(_is_exact, scope.data))
    left, taken = scope.copy() if plain else scope.copy_empty_like(), list[Any]()
    left.name = ""
    if plain:
        return left, taken
    numbers = {bit: i for bits in (scope.qubits, scope.clbits) for i, bit in enumerate(bits)}
    for place, item in enumerate(scope.data):
        if has_blocks(item):
            blocks, inner = zip(*(_taken_apart(block, qiskit, taking) for block in item.operation.blocks), strict=True)
            item = item.replace(operation=with_blocks(item.operation, blocks))
            if any(inner):
                taken.append([place, inner])
        elif taking and not _is_exact(item) and _is_own(item.operation):
            bits = [[numbers[bit] for bit in part] for part in (item.qubits, item.clbits)]
            taken.append([place, bits, _told(item.operation, qiskit)])
            continue
        left._append(item)
    return left, taken


def _told(operation: Any, qiskit: str) -> list[Any]:
    """Write out what a gate is: its names and numbers, what it is made of, and what it controls or changes."""
    name = _NUMBERED_GATE.sub("circuit", operation.name)
    names = ("label", "num_qubits", "num_clbits", "ctrl_state", "modifiers")
    numbers = [each.tolist() if hasattr(each, "tolist") else each for each in getattr(operation, "params", ())]
    told = [repr([name, *(getattr(operation, name, None) for name in names)]), repr(numbers)]
    inner = [_told(one, qiskit) for one in _inner(operation)]
    body = getattr(operation, "definition", None) if _is_own(operation) else None
    if body is None:
        return [*told, inner]
    left, taken = _taken_apart(_renumbered(body) if _is_numbered(body) else body, qiskit)
    return [*told, inner, hashlib.sha256(dump_circuits([left], qiskit)).hexdigest(), taken]


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
        moved = item.replace(qubits=qubits, clbits=clbits)
        if item.name == "store" or has_blocks(item):
            moved = moved.replace(operation=_moved(item, places, depth))
        made._append(moved)
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
    """Give a store, or an operation that has blocks, as it is in other bits and registers."""
    operation = item.operation
    if item.name == "store":
        return type(operation)(_read(operation.lvalue, places), _read(operation.rvalue, places))
    moved = with_blocks(operation, [_renumbered(_written_out(block), depth + 1) for block in operation.blocks])
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
