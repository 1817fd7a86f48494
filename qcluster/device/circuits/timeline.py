"""Walks over a compiled circuit: measurements, gates, and when each qubit works and waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

    from qcluster.device.machines.calibration import Calibration

Place = tuple[str, tuple[int, ...]]
"""A gate's name and its physical qubits in order: ("cz", (3, 4))."""

Step = tuple[Any, tuple[int, ...], tuple[int, ...], bool]
"""An instruction, its qubits, its classical bits (of a `store`: those it writes), and whether it is in a block."""


SILENT = frozenset({"barrier", "delay", "break_loop", "continue_loop"})
"""Instructions that do nothing to a qubit but let it wait."""


def check_circuit(circuit: Any) -> None:
    """Raise TypeError for what is no circuit, such as a list of them."""
    if not (hasattr(circuit, "num_clbits") and hasattr(circuit, "data")):
        raise TypeError(f"circuit must be a QuantumCircuit; got {_kind(circuit)}")


def check_calibration(calibration: Any) -> None:
    """Raise TypeError for what is no calibration, such as the backend that publishes it."""
    if not hasattr(calibration, "readout"):
        came = _kind(calibration)
        raise TypeError(f"calibration must be a Calibration; got {came}: make it by qcluster.read_calibration(backend)")


def _kind(came: Any) -> str:
    return f"a list of {len(came)}" if isinstance(came, list) else type(came).__name__


def steps(circuit: QuantumCircuit) -> Iterator[Step]:
    """Go through all operations in order, into the blocks of control flow as well (each block once)."""
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
    """Tell whether a target has every operation of a circuit, blocks of control flow included, on its very qubits."""
    return all(
        item.name in SILENT or item.name == "store" or target.instruction_supported(item.name, qubits)
        for item, qubits, *_ in steps(circuit)
    )


def is_measurement(name: str) -> bool:
    """Tell whether an instruction of this name measures: machines may have others beside "measure", "measure_2"."""
    return name == "measure" or name.startswith("measure_")


def has_blocks(item: Any) -> bool:
    """Tell whether an instruction holds circuits of its own: control flow, or a box."""
    return bool(item.is_control_flow()) or item.name == "box"


def with_blocks(operation: Any, blocks: Sequence[QuantumCircuit]) -> Any:
    """Give control flow, or a box, of other blocks under the same label, which Qiskit drops."""
    made = operation.replace_blocks(blocks)
    made.label = operation.label
    return made


def classical_bits(operation: Any, parts: Sequence[str] = ("condition", "target", "lvalue", "rvalue")) -> set[Any]:
    """Find the classical bits in the condition, the target or an expression of an operation.

    Instructions list the bits that their blocks use, but not those of a `store`.
    """
    from qiskit.circuit import Clbit
    from qiskit.circuit.classical import expr

    found: set[Any] = set()
    for part in parts:
        place = getattr(operation, part, None)
        if isinstance(place, expr.Expr):
            held = [var.var for var in expr.iter_vars(place)]
        else:
            held = [place[0] if isinstance(place, tuple) else place]
        for one in held:
            found.update([one] if isinstance(one, Clbit) else one if hasattr(one, "prefix") else ())
    return found


def measurements(circuit: QuantumCircuit) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Find the physical qubit that each classical bit holds at the end, and whether it was read on the way.

    Returns:
        measured: (n_bits,) qubit of the last measurement into the bit, -1 where there is none or a `store` follows it.
        mid_circuit: (n_bits,) True where that qubit goes on, or the measurement is conditional.

    Raises:
        ValueError: control flow may leave the reading of one qubit or of another in a bit.
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
    """Count gates by kind and place; list the qubits in use; find the depth in gates on two or more qubits."""
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
    """Give the length of each operation of the circuit (not of its blocks) in seconds; 0 where unknown.

    Of a block of control flow `qubits` are its physical ones. Every measurement, whatever it is called, lasts as long
    as the one whose length the calibration holds, and so does a reset, which measures and then turns the qubit back.
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
    """Read the length of a delay; ValueError where it is in "dt" and dt is not given, or is still a parameter."""
    if getattr(operation.duration, "parameters", None):
        raise ValueError(f"the circuit must have all its parameters bound; a delay lasts {operation.duration}")
    units = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "dt": dt}
    unit = units.get(operation.unit)
    if unit is None:
        raise ValueError(f"dt (seconds per unit) must be given to read a delay in {operation.unit!r}")
    return float(operation.duration) * unit


def occupation(circuit: QuantumCircuit, seconds: Sequence[float]) -> tuple[Floats, Floats, float]:
    """Sum up the time that each qubit works and waits, each operation starting as soon as its qubits are free.

    Returns:
        busy, idle: (n_qubits,) seconds; waiting before a qubit's first and after its last operation does not count.
        duration: from the first operation to the end of the last.
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
