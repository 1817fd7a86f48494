"""Slow, obvious version of circuits with a classical program: follow every branch of every measurement."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CASE_DEFAULT, Clbit, Measure
from qiskit.circuit.classical import expr, types
from qiskit.circuit.exceptions import CircuitError

_BINARY = {
    "BIT_AND": lambda a, b: a & b,
    "BIT_OR": lambda a, b: a | b,
    "BIT_XOR": lambda a, b: a ^ b,
    "LOGIC_AND": lambda a, b: bool(a and b),
    "LOGIC_OR": lambda a, b: bool(a or b),
    "EQUAL": lambda a, b: a == b,
    "NOT_EQUAL": lambda a, b: a != b,
}


def loops_count_with_variables() -> bool:
    """Tell whether this version of Qiskit has loops that count with a variable, not by a parameter alone."""
    try:
        with QuantumCircuit(1).for_loop(range(1), expr.Var.new("i", types.Uint(1))):
            pass
    except CircuitError:
        return False
    return True


Branch = tuple[float, np.ndarray, dict]
"""Probability, state (2,) * n_qubits with axis q for qubit q, and the values of bits and variables."""


def dynamic_distribution(circuit: QuantumCircuit) -> dict[str, float]:
    """Exact probabilities of the classical bits at the end, whatever the program does on the way."""
    state = np.zeros((2,) * circuit.num_qubits, dtype=complex)
    state[(0,) * circuit.num_qubits] = 1
    start = (1.0, state, dict.fromkeys(circuit.clbits, False))
    qubits = {bit: i for i, bit in enumerate(circuit.qubits)}
    total: dict[str, float] = defaultdict(float)
    for probability, _, memory in _run(circuit, start, qubits, {bit: bit for bit in circuit.clbits}):
        total["".join("01"[memory[bit]] for bit in reversed(circuit.clbits))] += probability
    return dict(total)


def _run(circuit, start: Branch, qubits: dict, clbits: dict) -> Iterator[Branch]:
    branches = [start]
    for item in circuit.data:
        branches = [after for before in branches for after in _step(item, before, qubits, clbits)]
    yield from branches


def _step(item, branch: Branch, qubits: dict, clbits: dict) -> Iterator[Branch]:
    operation, places = item.operation, [qubits[q] for q in item.qubits]
    memory = branch[2]
    match item.name:
        case "barrier" | "delay":
            yield branch
        case "measure":
            yield from _measure(branch, places[0], clbits[item.clbits[0]])
        case "reset":
            for probability, state, known in _measure(branch, places[0], None):
                yield probability, _apply(state, _X, places) if known.pop(None) else state, known
        case "store":
            yield branch[0], branch[1], _stored(operation, memory, clbits)
        case "if_else":
            yes, no = (*operation.blocks, None)[:2]
            block = yes if _holds(operation.condition, memory, clbits) else no
            yield from _inner(item, block, branch, qubits, clbits)
        case "switch_case":
            cases = operation.cases()
            value = int(_value(operation.target, memory, clbits))
            yield from _inner(item, cases.get(value, cases.get(CASE_DEFAULT)), branch, qubits, clbits)
        case "for_loop":
            indices, _, body = operation.params
            branches = [branch]
            for _ in indices:
                branches = [after for before in branches for after in _inner(item, body, before, qubits, clbits)]
            yield from branches
        case "while_loop":
            waiting = [branch]
            while waiting:
                before = waiting.pop()
                if before[0] < 1e-12 or not _holds(operation.condition, before[2], clbits):
                    yield before
                else:
                    waiting += _inner(item, operation.blocks[0], before, qubits, clbits)
        case "box":
            yield from _inner(item, operation.body, branch, qubits, clbits)
        case _ if item.clbits:
            yield from _inner(item, operation.definition, branch, qubits, clbits)
        case _:
            yield branch[0], _apply(branch[1], operation.to_matrix(), places), memory


_X = np.array([[0, 1], [1, 0]])


def _inner(item, block, branch: Branch, qubits: dict, clbits: dict) -> Iterator[Branch]:
    if block is None:
        yield branch
        return
    inner = {bit: qubits[outer] for bit, outer in zip(block.qubits, item.qubits, strict=True)}
    yield from _run(
        block, branch, inner, {bit: clbits[outer] for bit, outer in zip(block.clbits, item.clbits, strict=True)}
    )


def _apply(state: np.ndarray, matrix: np.ndarray, places: list[int]) -> np.ndarray:
    k = len(places)
    moved = np.moveaxis(state, places[::-1], range(k))  # Qiskit's matrices have the last qubit as the highest bit
    turned = (matrix @ moved.reshape(2**k, -1)).reshape(moved.shape)
    return np.moveaxis(turned, range(k), places[::-1])


def _measure(branch: Branch, qubit: int, bit) -> Iterator[Branch]:
    probability, state, memory = branch
    for value in (False, True):
        part = np.zeros_like(state)
        index = (slice(None),) * qubit + (int(value),)
        part[index] = state[index]
        weight = float((abs(part) ** 2).sum())
        if weight > 1e-12:
            yield probability * weight, part / np.sqrt(weight), {**memory, bit: value}


def _stored(operation, memory: dict, clbits: dict) -> dict:
    value = _value(operation.rvalue, memory, clbits)
    held = operation.lvalue.var
    if isinstance(held, Clbit):
        return {**memory, clbits[held]: bool(value)}
    if hasattr(held, "prefix"):
        return memory | {clbits[bit]: bool(int(value) >> i & 1) for i, bit in enumerate(held)}
    return {**memory, held: value}


def _holds(condition, memory: dict, clbits: dict) -> bool:
    if isinstance(condition, expr.Expr):
        return bool(_value(condition, memory, clbits))
    place, value = condition
    return int(_value(place, memory, clbits)) == int(value)


def _value(node, memory: dict, clbits: dict):
    match node:
        case Clbit():
            return memory[clbits[node]]
        case expr.Value():
            return node.value
        case expr.Var():
            return memory[node.var] if node.standalone else _value(node.var, memory, clbits)
        case expr.Cast():
            return _value(node.operand, memory, clbits)
        case expr.Unary():
            value = _value(node.operand, memory, clbits)
            return not value if node.type.__class__.__name__ == "Bool" else ~value & (2**node.type.width - 1)
        case expr.Binary():
            return _BINARY[node.op.name](_value(node.left, memory, clbits), _value(node.right, memory, clbits))
        case expr.Index():
            return bool(_value(node.target, memory, clbits) >> _value(node.index, memory, clbits) & 1)
        case _:  # a register
            return sum(memory[clbits[bit]] << i for i, bit in enumerate(node))


_FLAT = ["h", "x", "ry", "cx", "cz", "measure", "measure", "measure", "reset", "store", "copy", "word"]
_NESTED = ["if", "if_register", "expression", "switch", "for", "while", "box", "part"]


def random_program(
    rng: np.random.Generator, *, qubits: int = 2, bits: int = 4, length: int = 9, without: tuple[str, ...] = ()
) -> QuantumCircuit:
    """A small circuit of gates, measurements, resets and every way in which a program uses measured bits."""
    circuit = QuantumCircuit(qubits, bits, name="program")
    kinds = [[kind for kind in group if kind not in without] for group in (_FLAT, _FLAT + _NESTED, _FLAT + _NESTED)]
    _write(circuit, circuit, rng, length, kinds)
    for bit in rng.permutation(bits)[: rng.integers(bits + 1)]:
        circuit.measure(int(rng.integers(qubits)), int(bit))
    return circuit


def _write(top: QuantumCircuit, circuit: QuantumCircuit, rng: np.random.Generator, length: int, kinds: list) -> None:
    for _ in range(rng.integers(1, length + 1)):
        a, b = (int(q) for q in rng.choice(top.num_qubits, 2, replace=False))
        bit, other = (top.clbits[i] for i in rng.choice(top.num_clbits, 2, replace=False))
        match str(rng.choice(kinds[-1])):
            case "h" | "x" | "reset" as name:
                getattr(circuit, name)(a)
            case "ry":
                circuit.ry(rng.uniform(0, np.pi), a)
            case "cx" | "cz" as name:
                getattr(circuit, name)(a, b)
            case "measure":
                circuit.measure(a, bit)
            case "store":
                circuit.store(bit, bool(rng.integers(2)))
            case "copy":
                circuit.store(bit, expr.logic_not(other))
            case "word":
                circuit.store(top.cregs[0], int(rng.integers(2**top.num_clbits)))
            case "if":
                with circuit.if_test((bit, int(rng.integers(2)))) as otherwise:
                    _write(top, circuit, rng, 3, kinds[:-1])
                with otherwise:
                    circuit.x(a)
            case "if_register":
                with circuit.if_test((top.cregs[0], int(rng.integers(2**top.num_clbits)))):
                    _write(top, circuit, rng, 3, kinds[:-1])
            case "expression":
                with circuit.if_test(expr.bit_xor(bit, other)):
                    _write(top, circuit, rng, 3, kinds[:-1])
            case "switch":
                with circuit.switch(top.cregs[0]) as case:
                    with case(1, 2):
                        circuit.x(a)
                    with case(case.DEFAULT):
                        circuit.measure(b, bit)
            case "for":
                with circuit.for_loop(range(2)):
                    _write(top, circuit, rng, 2, kinds[:1])
            case "while":  # ends: each turn measures anew
                circuit.h(a)
                circuit.measure(a, bit)
                with circuit.while_loop((bit, 1)):
                    circuit.h(a)
                    circuit.measure(a, bit)
            case "box":
                with circuit.box():
                    _write(top, circuit, rng, 2, kinds[:1])
            case "part":
                part = QuantumCircuit(1, 1, name="part")
                part.h(0)
                part.append(Measure(), [0], [0])
                circuit.append(part.to_instruction(), [a], [bit])


def joined() -> QuantumCircuit:
    """A body with a two-qubit gate, which makes |00> into |11>."""
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
        circuit.cx(1, 2)
    circuit.measure([1, 2], [1, 2])
    return circuit
