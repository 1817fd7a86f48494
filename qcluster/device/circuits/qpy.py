"""Read and write circuits in Qiskit's QPY format, and preserve the units of delays, which QPY drops."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import has_blocks, with_blocks
from qcluster.device.storage import parser_errors, replacing_errors

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

_IN_SECONDS = {"s", "ms", "us", "ns", "ps"}
"""Absolute units of delays, in contrast to dt, which depends on the machine."""

_UNITS = "qcluster_delay_units"
"""Metadata key for the units of a circuit's delays, in the order of `_scopes`."""


_VERSION = 7
"""Offset in a QPY file of the three bytes with the version of Qiskit that wrote it. The format number, which alone
matters for reading, is just before them."""
_WITH_ENCODING = range(10, 13)
"""QPY format numbers under which parameter expressions are encoded by an external library."""
_ENCODING = 18
"""Offset of the byte that names this library: p for sympy, e for symengine."""
_RELEASE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{1,2})")


def dump_circuits(circuits: Sequence[QuantumCircuit], qiskit: str = "") -> bytes:
    """Serialise circuits in Qiskit's QPY format; registers, layout, metadata and float parameters are kept exactly.

    QPY drops the units of delays: 100 ns would be read back as 100 dt, and a delay whose length is a parameter would
    get a unit that Qiskit does not know. Where a circuit has such delays, their units are stored in its metadata, and
    `load_circuits` restores them.

    Args:
        circuits: circuits to write.
        qiskit: version of Qiskit to record as the writer instead of the installed one, such as "2.6.1", so that the
            result can be compared with bytes that this version wrote.
    """
    from qiskit import qpy

    for circuit in circuits:
        for name in (circuit.name, *(register.name for register in (*circuit.qregs, *circuit.cregs))):
            if len(name.encode()) >= 1 << 16:  # Qiskit would write a file that it cannot read
                raise ValueError(f"names of circuits and registers must be shorter than 65,536 bytes; got {name:.9}...")
    buffer = io.BytesIO()
    with replacing_errors(lambda said: ValueError(_why_unwritable(circuits, said))):
        qpy.dump([_with_units(circuit) for circuit in circuits], buffer)
    data, named = buffer.getvalue(), _RELEASE.match(qiskit)
    return data if named is None else data[:_VERSION] + bytes(map(int, named.groups())) + data[_VERSION + 3 :]


def _why_unwritable(circuits: Sequence[QuantumCircuit], said: str) -> str:
    """Say why circuits cannot be written, in words about their metadata if that is the cause, else in those of QPY."""
    for circuit in circuits:
        for scope in _scopes(circuit):
            try:
                json.dumps(scope.metadata)
            except (TypeError, ValueError) as error:
                return f"metadata of circuits must be JSON; those of {circuit.name!r} are not: {error}"
    return f"the circuits cannot be written in Qiskit's QPY format: {said}"


def load_circuits(data: bytes) -> list[QuantumCircuit]:
    """Read circuits from QPY, such as the output of `dump_circuits`.

    Qiskit 1.2 and older could encode parameter expressions by symengine. Decoding these unpickles them, which would
    let a file run arbitrary code, so such expressions are refused: the parser is told to expect sympy's text encoding,
    and fails on them. The rest of such a file is read as usual.

    Raises:
        ValueError: the bytes are not valid QPY, or contain a delay whose unit is lost.
    """
    from qiskit import qpy

    name = "QPY"
    if data[:6] == b"QISKIT" and data[6] in _WITH_ENCODING and data[_ENCODING : _ENCODING + 1] == b"e":
        data = data[:_ENCODING] + b"p" + data[_ENCODING + 1 :]
        name = "QPY without expressions by symengine, which can run code as they are read"
    with parser_errors(name):
        circuits = list(qpy.load(io.BytesIO(data)))
    for circuit in circuits:
        units = circuit.metadata.pop(_UNITS, []) if isinstance(circuit.metadata, dict) else []
        _restore_units(circuit, iter(units), circuit.name)
    return circuits


def _with_units(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit itself if all its delays are numbers in dt, else a copy with their units in its metadata."""
    delays = [item for scope in _scopes(circuit) for item in scope.data if item.name == "delay"]
    units = [delay.operation.unit for delay in delays]
    if not _IN_SECONDS.intersection(units) and not any(_has_parameters(delay.params[0]) for delay in delays):
        return circuit
    copy = circuit.copy()
    copy.metadata = {**(circuit.metadata or {}), _UNITS: units}
    return copy


def _has_parameters(length: Any) -> bool:
    """Return whether the length of a delay is a parameter or an expression of parameters."""
    return hasattr(length, "parameters")


def _scopes(circuit: QuantumCircuit) -> Iterator[QuantumCircuit]:
    """Yield a circuit, then recursively the circuits inside its instructions, in order."""
    yield circuit
    for item in circuit.data:
        for part in _parts(item):
            yield from _scopes(part)


def _parts(item: Any) -> tuple[QuantumCircuit, ...]:
    """Return the circuits inside an instruction: its blocks, or its definition where it was made from a circuit."""
    if item.is_standard_gate() or item.name in {"measure", "reset", "delay", "barrier"}:
        return ()  # decided without reading the operation, which is slower
    if has_blocks(item):
        return tuple(item.operation.blocks)
    from qiskit.circuit import Gate, Instruction

    from_circuit = type(item.operation) in (Gate, Instruction) and item.operation.definition is not None
    return (item.operation.definition,) if from_circuit else ()


def _restore_units(scope: QuantumCircuit, units: Iterator[str], name: str) -> None:
    """Give the delays of a circuit read from QPY their original units, in place.

    Raises:
        ValueError: a delay has no stored unit, and its length is not a whole number, so that it cannot be in dt.
    """
    from qiskit.circuit import Delay

    for i, item in enumerate(scope.data):
        if item.name != "delay":
            continue
        unit, length = next(units, None), item.params[0]
        if unit is None and (isinstance(length, float) or _has_parameters(length)):
            raise ValueError(
                f"delays in a QPY file must be whole numbers of dt, since QPY keeps no units; {name!r} has one of "
                f"{length} in a unit that is lost: write the circuit as OpenQASM 3"
            )
        if unit in _IN_SECONDS or _has_parameters(length):
            scope.data[i] = item.replace(operation=Delay(length, unit))
    for i, item in enumerate(scope.data):
        if not (parts := _parts(item)):
            continue
        for part in parts:
            _restore_units(part, units, name)
        if any(inner.name == "delay" for part in parts for circuit in _scopes(part) for inner in circuit.data):
            scope.data[i] = item.replace(operation=_with_parts(item, parts))


def _with_parts(item: Any, parts: tuple[QuantumCircuit, ...]) -> Any:
    """Return the operation of an instruction with the circuits inside it replaced."""
    if has_blocks(item):
        return with_blocks(item.operation, parts)
    operation = item.operation.copy()
    operation.definition = parts[0]
    return operation
