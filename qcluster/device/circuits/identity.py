"""Identify circuits by their content, regardless of the names that Qiskit makes up for unnamed objects."""

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
"""Names that Qiskit gives to unnamed registers."""
_NUMBERED_GATE = re.compile(r"circuit-\d+")
"""Part of the name of a gate made from an unnamed circuit: "ccircuit-7" is a controlled one."""
_NUMBERED_PARAMETER = re.compile(r"_loop_i_\d+")
"""Names that Qiskit gives to unnamed loop parameters."""
_LEVELS = 20
"""Maximum depth to which nested gates of unnamed circuits are expanded."""
_EXACT = {"measure", "reset", "barrier", "delay", "store", "break_loop", "continue_loop", "unitary"}
"""Instructions, besides the standard gates, that QPY stores in full."""


def identify_circuits(circuits: Sequence[QuantumCircuit], qiskit: str = "") -> bytes:
    """Serialise circuits so that equal circuits give equal bytes in any process, and different ones different bytes.

    QPY alone does not: it keeps the numbers that Qiskit puts into the names of unnamed objects, and its order of some
    objects varies from call to call. Therefore:

    - names of circuits are dropped; registers are renumbered in order, separately in each block of control flow; gates
      made from unnamed circuits are expanded;
    - layouts are written as qubit indices, since QPY varies the order of a layout's registers;
    - where QPY would not store the user's own gates reproducibly or in full, all of them are described separately. This
      concerns circuits with several such gates, gates whose names contain numbers, and library gates whose definition
      QPY loses.

    Args:
        circuits: circuits to identify.
        qiskit: version of Qiskit that produced the bytes to compare with; by default the installed one. If that version
            writes another QPY format, the bytes differ all the same.
    """
    bare, layouts, generated, descriptions = [], [], [], []
    for circuit in circuits:
        layouts.append(circuit.layout and _indices(circuit.layout))
        expanded = _expanded(circuit)
        renumbered = _renumbered(expanded) if _is_numbered(expanded) else expanded
        plain, described = _take_apart(renumbered, qiskit, not _is_reproducible(renumbered))
        plain._layout = None
        bare.append(plain)
        descriptions.append(described)
        generated += _random_names(plain)
    text = dump_circuits(bare, qiskit)
    for number, name in enumerate(generated):
        text = text.replace(name, number.to_bytes(16, "big"))
    return text + json.dumps(layouts).encode() + (json.dumps(descriptions).encode() if any(descriptions) else b"")


def _indices(layout: Any) -> tuple[list[int], list[int]]:
    """Return a layout as qubit indices: the first one, and the last one after routing."""
    first = layout.initial_index_layout()
    try:
        return first, layout.final_index_layout()
    except AttributeError:  # no compiler made it, as in OpenQASM 3, and Qiskit looks for the registers of its qubits
        return first, first


def reproducible_names(registers: Iterable[Any]) -> list[str]:
    """Name registers reproducibly: names that Qiskit has numbered, such as "c7", are renumbered by their order.

    Example:
        >>> from qiskit import ClassicalRegister
        >>> reproducible_names([ClassicalRegister(1, "out"), ClassicalRegister(1), ClassicalRegister(1)])
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
    """List the random identifiers that Qiskit draws for variables and loop parameters, in order."""
    names = [variable.var.bytes for variable in scope.iter_vars()]
    for item in filter(has_blocks, scope.data):
        if (parameter := _loop_parameter(item)) is not None:
            names.append(parameter.uuid.bytes)
        for block in item.operation.blocks:
            names += [name for name in _random_names(block) if name not in names]
    return names


def _unnamed_gates(scope: QuantumCircuit) -> set[str]:
    """Find the names of gates made from unnamed circuits, except gates with a label, which a simulator may know."""
    unnamed = [item for item in scope.data if _NUMBERED_GATE.search(item.name)]
    return {item.name for item in unnamed} - {item.name for item in unnamed if item.operation.label}


def _expanded(scope: QuantumCircuit) -> QuantumCircuit:
    """Replace the gates made from unnamed circuits by their definitions."""
    for _ in range(_LEVELS):
        names = _unnamed_gates(scope)
        if not names:
            break
        scope = scope.decompose(sorted(names))
    return scope


def _is_exact(item: Any) -> bool:
    """Return whether QPY surely stores all of an instruction; decided without reading its operation, which is slow."""
    return bool(item.is_standard_gate()) or item.name in _EXACT


def _is_custom(operation: Any) -> bool:
    """Return whether a gate's name and parameters do not determine what it does.

    Such are gates made from a circuit or an operator, gates of the user's own classes, and some of Qiskit's library.
    """
    from qiskit.circuit import AnnotatedOperation, ControlledGate, Gate, Instruction
    from qiskit.circuit.library import MCMTGate, PauliEvolutionGate

    kind = getattr(operation, "base_class", type(operation))
    if kind in (Gate, Instruction, ControlledGate, AnnotatedOperation, PauliEvolutionGate, MCMTGate):
        return True
    known = kind.__module__.partition(".")[0] == "qiskit"
    return not known or not (issubclass(kind, ControlledGate) or _is_read_back(operation))


def _as_circuit(operation: Any) -> QuantumCircuit:
    """Return an unnamed circuit of this operation alone."""
    from qiskit.circuit import QuantumCircuit

    circuit = QuantumCircuit(operation.num_qubits, operation.num_clbits)
    circuit.append(operation, circuit.qubits, circuit.clbits)
    circuit.name = ""
    return circuit


def _is_read_back(operation: Any) -> bool:
    """Return whether QPY restores a gate; of an integer comparator, for one, it loses the number to compare with."""
    try:
        (read,) = load_circuits(dump_circuits([_as_circuit(operation)]))
    except ValueError:
        return False
    return bool(read.data[0].operation == operation)


def _is_reproducible(scope: QuantumCircuit) -> bool:
    """Return whether QPY writes a program the same way each time that it is built.

    It does if each scope has at most one custom gate, that gate has a name of its own, and the same holds for its
    definition.
    """
    items = [item for item in scope.data if not _is_exact(item)]
    custom = [item.operation for item in items if not has_blocks(item) and _is_custom(item.operation)]
    blocks = [block for item in items if has_blocks(item) for block in item.operation.blocks]
    return len(custom) <= 1 and all(map(_is_reproducible, blocks)) and all(map(_is_reproducible_gate, custom))


def _is_reproducible_gate(operation: Any) -> bool:
    kind = getattr(operation, "base_class", type(operation))
    if kind.__module__.startswith("qiskit.circuit.library") and not _is_read_back(operation):
        return False
    if not all(_is_reproducible(body) and not _is_numbered(body) for body in _definitions(operation)):
        return False
    written = dump_circuits([_as_circuit(operation)])
    return not _NUMBERED_GATE.search(written.decode("latin-1")) and dump_circuits([_as_circuit(operation)]) == written


def _definitions(operation: Any) -> Iterator[QuantumCircuit]:
    """Yield the definition of a gate, and those of the gates that it controls or modifies."""
    if (body := getattr(operation, "definition", None)) is not None:
        yield body
    for inner in _modified_gates(operation):
        yield from _definitions(inner)


def _modified_gates(operation: Any) -> list[Any]:
    """Return the gate that another gate controls or modifies, if any."""
    bases = [getattr(operation, name, None) for name in ("base_gate", "base_op")]
    return [base for base in bases if base is not None]


def _take_apart(scope: QuantumCircuit, qiskit: str, taking: bool = True) -> tuple[QuantumCircuit, list[Any]]:
    """Copy a program without its name and the names of its blocks, with its custom gates removed if `taking`.

    Returns:
        The copy, and for each removed gate its position, the indices of its bits, and its description.
    """
    exact = all(map(_is_exact, scope.data))
    plain, described = scope.copy() if exact else scope.copy_empty_like(), list[Any]()
    plain.name = ""
    if exact:
        return plain, described
    index = {bit: i for bits in (scope.qubits, scope.clbits) for i, bit in enumerate(bits)}
    for place, item in enumerate(scope.data):
        if has_blocks(item):
            blocks, inner = zip(*(_take_apart(block, qiskit, taking) for block in item.operation.blocks), strict=True)
            item = item.replace(operation=with_blocks(item.operation, blocks))
            if any(inner):
                described.append([place, inner])
        elif taking and not _is_exact(item) and _is_custom(item.operation):
            bits = [[index[bit] for bit in part] for part in (item.qubits, item.clbits)]
            described.append([place, bits, _describe(item.operation, qiskit)])
            continue
        plain._append(item)
    return plain, described


def _describe(operation: Any, qiskit: str) -> list[Any]:
    """Describe a gate: its name and attributes, its parameters, the gate that it modifies, and its definition."""
    name = _NUMBERED_GATE.sub("circuit", operation.name)
    attributes = ("label", "num_qubits", "num_clbits", "ctrl_state", "modifiers")
    numbers = [each.tolist() if hasattr(each, "tolist") else each for each in getattr(operation, "params", ())]
    description = [repr([name, *(getattr(operation, each, None) for each in attributes)]), repr(numbers)]
    modified = [_describe(gate, qiskit) for gate in _modified_gates(operation)]
    body = getattr(operation, "definition", None) if _is_custom(operation) else None
    if body is None:
        return [*description, modified]
    plain, described = _take_apart(_renumbered(body) if _is_numbered(body) else body, qiskit)
    return [*description, modified, hashlib.sha256(dump_circuits([plain], qiskit)).hexdigest(), described]


def _is_numbered(scope: QuantumCircuit) -> bool:
    """Return whether Qiskit has numbered a register, or a gate or a parameter inside a block."""
    return any(_NUMBERED_REGISTER.fullmatch(register.name) for register in (*scope.qregs, *scope.cregs)) or any(
        _is_numbered(block) or bool(_unnamed_gates(block)) or _has_unnamed_parameter(item)
        for item in scope.data
        if has_blocks(item)
        for block in item.operation.blocks
    )


def _loop_parameter(item: Any) -> Any:
    """Return the loop parameter of a `for` loop; None where there is none, or the loop assigns to a variable."""
    parameter = item.operation.params[1] if item.name == "for_loop" else None
    return parameter if hasattr(parameter, "uuid") else None


def _has_unnamed_parameter(item: Any) -> bool:
    """Return whether an instruction is a loop whose parameter was named by Qiskit."""
    parameter = _loop_parameter(item)
    return parameter is not None and bool(_NUMBERED_PARAMETER.fullmatch(parameter.name))


def _renumbered(scope: QuantumCircuit, depth: int = 0) -> QuantumCircuit:
    """Copy a program, or a block at some depth of it, onto registers with `reproducible_names`; its blocks likewise."""
    from qiskit.circuit import QuantumCircuit

    registers = _in_order(scope, depth)
    places = _fresh_places(scope, registers)
    copy = QuantumCircuit(
        global_phase=scope.global_phase,
        metadata=scope.metadata,
        inputs=scope.iter_input_vars(),
        captures=[*scope.iter_captured_vars(), *scope.iter_captured_stretches()],
    )
    for variable in scope.iter_declared_vars():
        copy.add_uninitialized_var(variable)
    for stretch in scope.iter_declared_stretches():
        copy.add_stretch(stretch)
    copy.add_bits([places[bit] for bit in (*scope.qubits, *scope.clbits)])
    copy.add_register(*(places[register] for register in registers))
    for item in scope.data:
        qubits, clbits = ([places[bit] for bit in bits] for bits in (item.qubits, item.clbits))
        moved = item.replace(qubits=qubits, clbits=clbits)
        if item.name == "store" or has_blocks(item):
            moved = moved.replace(operation=_moved(item, places, depth))
        copy._append(moved)
    return copy


def _in_order(scope: QuantumCircuit, depth: int) -> list[Any]:
    """List the registers in order; classical ones of a block, whose order Qiskit does not fix, sorted by their bits."""
    if not depth:
        return [*scope.qregs, *scope.cregs]
    index = {bit: i for i, bit in enumerate(scope.clbits)}
    return [*scope.qregs, *sorted(scope.cregs, key=lambda register: [index[bit] for bit in register])]


def _fresh_places(scope: QuantumCircuit, registers: Sequence[Any]) -> dict[Any, Any]:
    """Map each bit to a new bit, and each register to a new register with its reproducible name."""
    bits = [*scope.qubits, *scope.clbits]
    named = list(zip(registers, reproducible_names(registers), strict=True))
    if [bit for register in registers for bit in register] == bits:
        fresh = [type(register)(register.size, name) for register, name in named]
        return dict(zip([*bits, *registers], [*(bit for register in fresh for bit in register), *fresh], strict=True))
    places = {bit: type(bit)() for bit in bits}  # some bits are in no register, or in several
    aliases = {register: type(register)(name=name, bits=[places[bit] for bit in register]) for register, name in named}
    return places | aliases


def _moved(item: Any, places: Mapping[Any, Any], depth: int) -> Any:
    """Rewrite a store, or an operation with blocks, in terms of other bits and registers."""
    operation = item.operation
    if item.name == "store":
        return type(operation)(_translated(operation.lvalue, places), _translated(operation.rvalue, places))
    moved = with_blocks(operation, [_renumbered(_expanded(block), depth + 1) for block in operation.blocks])
    if item.name in ("if_else", "while_loop"):
        moved.condition = _translated(operation.condition, places)
    elif item.name == "switch_case":
        moved.target = _translated(operation.target, places)
    elif _has_unnamed_parameter(item):
        ((indices, parameter, _), (body,)) = operation.params, moved.blocks
        counter = type(parameter)(f"_loop_i{depth}")
        moved = type(operation)(indices, counter, body.assign_parameters({parameter: counter}), label=operation.label)
    return moved


def _translated(node: Any, places: Mapping[Any, Any]) -> Any:
    """Rewrite a condition, a switch target or an expression in terms of other bits and registers."""
    from qiskit.circuit.classical import expr

    if isinstance(node, tuple):
        return places[node[0]], node[1]
    if not isinstance(node, expr.Expr):
        return places[node]
    if isinstance(node, expr.Var):
        return expr.Var(places.get(node.var, node.var), node.type, name=node.name)
    attributes = {
        expr.Unary: ("op", "operand", "type"),
        expr.Binary: ("op", "left", "right", "type"),
        expr.Cast: ("operand", "type", "implicit"),
        expr.Index: ("target", "index", "type"),
    }.get(type(node), ())
    parts = [getattr(node, attribute) for attribute in attributes]
    translated = [_translated(part, places) if isinstance(part, expr.Expr) else part for part in parts]
    return type(node)(*translated) if attributes else node  # a number stays as it is
