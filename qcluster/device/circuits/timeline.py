"""Basic queries on a compiled circuit: its operations, measurements, gate counts, durations and idle times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

    from qcluster.device.machines.calibration import Calibration

Place = tuple[str, tuple[int, ...]]
"""A gate's name and its physical qubits in order, such as ("cz", (3, 4))."""

Step = tuple[Any, tuple[int, ...], tuple[int, ...], bool]
"""An instruction, its qubits, its classical bits (for a `store`: those it writes), and whether it is inside a block."""


SILENT = frozenset({"barrier", "delay", "break_loop", "continue_loop"})
"""Instructions that do not act on a qubit, except that it may have to wait."""


def check_circuit(circuit: Any) -> None:
    """Raise TypeError for anything that is not a circuit, such as a list of circuits."""
    if not (hasattr(circuit, "num_clbits") and hasattr(circuit, "data")):
        raise TypeError(f"circuit must be a QuantumCircuit; got {_kind(circuit)}")


def check_calibration(calibration: Any) -> None:
    """Raise TypeError for anything that is not a calibration, such as the backend that publishes one."""
    if not hasattr(calibration, "readout"):
        came = _kind(calibration)
        raise TypeError(f"calibration must be a Calibration; got {came}: make it by qcluster.read_calibration(backend)")


def check_dt(dt: Any) -> float | None:
    """Return the seconds per unit of a delay, or None; ValueError unless they are a finite number of at least 0."""
    return None if dt is None else check_real("dt", dt, 0)


def _kind(came: Any) -> str:
    return f"a list of {len(came)}" if isinstance(came, list) else type(came).__name__


def steps(circuit: QuantumCircuit) -> Iterator[Step]:
    """Yield all operations in order, those inside blocks of control flow included (each block once)."""
    qubits = {bit: i for i, bit in enumerate(circuit.qubits)}
    clbits = {bit: i for i, bit in enumerate(circuit.clbits)}
    yield from _steps(circuit, qubits, clbits, inside=False)


def _steps(circuit: Any, qubits: dict[Any, int], clbits: dict[Any, int], *, inside: bool) -> Iterator[Step]:
    for item in circuit.data:
        touched = item.clbits if item.name != "store" else classical_bits(item.operation, ["lvalue"])
        yield item, tuple(qubits[q] for q in item.qubits), tuple(clbits[c] for c in touched), inside
        for block in item.operation.blocks if has_blocks(item) else ():
            inner_qubits = {bit: qubits[outer] for bit, outer in zip(block.qubits, item.qubits, strict=True)}
            inner_clbits = {bit: clbits[outer] for bit, outer in zip(block.clbits, item.clbits, strict=True)}
            yield from _steps(block, inner_qubits, inner_clbits, inside=True)


def is_supported(circuit: QuantumCircuit, target: Target) -> bool:
    """Return whether a target has every operation of a circuit on its qubits, blocks of control flow included."""
    return all(
        item.name in SILENT or item.name == "store" or target.instruction_supported(item.name, qubits)
        for item, qubits, *_ in steps(circuit)
    )


def is_measurement(name: str) -> bool:
    """Return whether an instruction of this name is a measurement: "measure", or a variant such as "measure_2"."""
    return name == "measure" or name.startswith("measure_")


def has_blocks(item: Any) -> bool:
    """Return whether an instruction contains circuits: control flow, or a box."""
    return bool(item.is_control_flow()) or item.name == "box"


def with_blocks(operation: Any, blocks: Sequence[QuantumCircuit]) -> Any:
    """Replace the blocks of control flow or of a box, keeping its label, which Qiskit would drop."""
    replaced = operation.replace_blocks(blocks)
    replaced.label = operation.label
    return replaced


_OPERANDS = ("condition", "target", "lvalue", "rvalue")
"""Attributes of an operation that may hold classical bits, registers or expressions."""


def classical_bits(operation: Any, parts: Sequence[str] = _OPERANDS) -> set[Any]:
    """Find the classical bits, those of registers included, in an operation's condition, target or expressions.

    A `store` needs this, since its instruction does not list its bits.

    Args:
        operation: any operation.
        parts: names of the attributes to look at.
    """
    from qiskit.circuit import Clbit

    return {operand for operand in _operands(operation, parts) if isinstance(operand, Clbit)}


def classical_operands(operation: Any) -> set[Any]:
    """Find the classical bits and the variables that an operation uses, the variables in its blocks included."""
    captured = (var for block in getattr(operation, "blocks", ()) for var in block.iter_captured_vars())
    return {*_operands(operation, _OPERANDS), *captured}


def _operands(operation: Any, parts: Sequence[str]) -> Iterator[Any]:
    """Yield the classical bits and the variables of an operation."""
    from qiskit.circuit import Clbit
    from qiskit.circuit.classical import expr

    for part in parts:
        node = getattr(operation, part, None)
        if isinstance(node, expr.Expr):
            operands = [var if var.standalone else var.var for var in expr.iter_vars(node)]
        else:
            operands = [node[0] if isinstance(node, tuple) else node]
        for operand in operands:
            if hasattr(operand, "prefix"):
                yield from operand
            elif isinstance(operand, (Clbit, expr.Var)):
                yield operand


def measurements(circuit: QuantumCircuit) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Find the qubit whose outcome each classical bit has at the end, and whether it was measured mid-circuit.

    Returns:
        measured: (n_bits,) qubit of the last measurement into the bit, -1 where there is none or a `store` follows it.
        mid_circuit: (n_bits,) True where that qubit is used afterwards, or the measurement is inside a block.

    Raises:
        ValueError: depending on control flow, the outcome of one qubit or of another ends up in a bit.
    """
    measured = np.full(circuit.num_clbits, -1, dtype=np.int64)
    mid = np.zeros(circuit.num_clbits, dtype=bool)
    for item, qubits, clbits, inside in steps(circuit):
        if is_measurement(item.name):
            (qubit,), (bit,) = qubits, clbits
            if inside and measured[bit] not in (-1, qubit):
                raise ValueError(
                    f"each classical bit must hold one qubit's reading; bit {bit} holds qubit {measured[bit]} "
                    f"or {qubit}, depending on control flow: measure them into different bits"
                )
            mid[np.isin(measured, qubits)] = True
            measured[bit], mid[bit] = qubit, inside
        elif item.name == "store":
            mid[list(clbits)] = inside
            measured[list(clbits if not inside else ())] = -1
        elif item.name not in SILENT and not has_blocks(item):
            mid |= np.isin(measured, qubits)
    return measured, mid


def census(circuit: QuantumCircuit) -> tuple[Counter[Place], set[int], int]:
    """Return gate counts by name and qubits, the qubits in use, and the depth in gates on two or more qubits."""
    gates: Counter[Place] = Counter()
    used: set[int] = set()
    depth = np.zeros(circuit.num_qubits, dtype=np.int64)
    for item, qubits, _, _ in steps(circuit):
        if item.name in SILENT or has_blocks(item) or not qubits:
            continue
        used.update(qubits)
        if is_measurement(item.name):
            continue
        gates[item.name, qubits] += 1
        if len(qubits) > 1:
            depth[list(qubits)] = depth[list(qubits)].max() + 1
    return gates, used, int(depth.max(initial=0))


def lengths(
    circuit: QuantumCircuit, calibration: Calibration | None, dt: float | None, qubits: Sequence[int] | None = None
) -> list[float]:
    """Return the duration of each operation of a circuit in seconds; 0 where it is unknown, and for control flow.

    Every kind of measurement takes as long as the one in the calibration, and so does a reset, which measures the qubit
    and then flips it back.

    Args:
        circuit: the circuit, or a block of one.
        calibration: provides the durations; without it, only delays take time.
        dt: seconds per unit of a delay given in "dt".
        qubits: physical qubits of a block; by default those of the circuit.
    """
    index = dict(zip(circuit.qubits, range(circuit.num_qubits) if qubits is None else qubits, strict=True))
    result = []
    for item in circuit.data:
        if item.name == "delay":
            result.append(delay_seconds(item.operation, dt))
        elif calibration is None or item.name == "barrier" or not 0 < len(item.qubits) < 3:
            result.append(0.0)
        else:
            name = "measure" if is_measurement(item.name) or item.name == "reset" else item.name
            seconds = calibration.duration(name, [index[q] for q in item.qubits])
            result.append(0.0 if np.isnan(seconds) else seconds)
    return result


def delay_seconds(operation: Any, dt: float | None) -> float:
    """Return the length of a delay in seconds.

    Raises:
        ValueError: the length is in "dt" and dt is not given, or it is an expression or still a parameter.
    """
    if operation.unit == "expr":
        raise ValueError("delays must have a number for their length; got an expression (a stretch)")
    if getattr(operation.duration, "parameters", None):
        raise ValueError(f"the circuit must have all its parameters bound; a delay lasts {operation.duration}")
    units = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "dt": dt}
    unit = units.get(operation.unit)
    if unit is None:
        raise ValueError(f"dt (seconds per unit) must be given to read a delay in {operation.unit!r}")
    return float(operation.duration) * unit


def occupation(circuit: QuantumCircuit, seconds: Sequence[float]) -> tuple[Floats, Floats, float]:
    """Sum up busy and idle times of each qubit, every operation starting as soon as its qubits are free.

    Args:
        circuit: the circuit.
        seconds: duration of each operation, as from `lengths`.

    Returns:
        busy, idle: (n_qubits,) seconds; time before a qubit's first and after its last operation does not count as
            idle.
        duration: seconds from the start of the first operation to the end of the last.
    """
    index = {bit: i for i, bit in enumerate(circuit.qubits)}
    n = circuit.num_qubits
    clock, waiting, busy, idle = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    begun = np.zeros(n, dtype=bool)
    first, last = np.inf, 0.0
    for item, length in zip(circuit.data, seconds, strict=True):
        if not item.qubits:
            continue
        name, qubits = item.name, [index[q] for q in item.qubits]
        if name == "delay":
            clock[qubits] += length
            waiting[qubits] += length
            continue
        begin = clock[qubits].max()
        waiting[qubits] += begin - clock[qubits]
        clock[qubits] = begin + length
        if name == "barrier":
            continue
        idle[qubits] += np.where(begun[qubits], waiting[qubits], 0.0)
        waiting[qubits] = 0.0
        busy[qubits] += length
        begun[qubits] = True
        first, last = min(first, begin), max(last, begin + length)
    return busy, idle, float(max(last - first, 0.0))
