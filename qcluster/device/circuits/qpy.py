"""Circuits in Qiskit's QPY format, and what it drops: the units of delays."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import has_blocks, with_blocks
from qcluster.device.storage import dressing, parsing

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

_IN_SECONDS = {"s", "ms", "us", "ns", "ps"}
"""Units of delays that are times by themselves, where dt is the clock's of a machine."""

_UNITS = "qcluster_delay_units"
"""Where the metadata of a written circuit hold the units of its delays, in the order of `_scopes`."""


_VERSION = 7
"""Where QPY has the version of Qiskit that wrote it, three bytes behind the number of its format, by which alone it is
read."""
_WITH_ENCODING = range(10, 13)
"""Formats of QPY that leave expressions of parameters to a library."""
_ENCODING = 18
"""Where they name it: p for sympy, e for symengine."""
_RELEASE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{1,2})")


def dump_circuits(circuits: Sequence[QuantumCircuit], qiskit: str = "") -> bytes:
    """Write circuits in Qiskit's QPY format: registers, layout, metadata and float parameters exactly.

    QPY drops the units of delays: 100 ns would be read back as 100 dt, and a free length as of no unit that Qiskit
    knows. Where there are such, the units are written beside, among the metadata, from where `load_circuits` takes
    them.

    Args:
        circuits: what to write.
        qiskit: version of Qiskit that wrote what this is to be compared with, such as "2.6.1", to be named in place of
            this one's.
    """
    from qiskit import qpy

    buffer = io.BytesIO()
    with dressing(lambda said: ValueError(f"the circuits cannot be written in Qiskit's QPY format: {said}")):
        qpy.dump([_with_units(circuit) for circuit in circuits], buffer)
    data, named = buffer.getvalue(), _RELEASE.match(qiskit)
    return data if named is None else data[:_VERSION] + bytes(map(int, named.groups())) + data[_VERSION + 3 :]


def load_circuits(data: bytes) -> list[QuantumCircuit]:
    """Read what `dump_circuits` wrote; ValueError where the bytes are no QPY, or hold a delay whose unit is lost.

    Qiskit 1.2 and older could write expressions of parameters by symengine, which unpickles what it reads, and so runs
    what a stranger wrote. They are not read: the parser is told that they are sympy's, whose text it reads itself. All
    else in such a file is as in others.
    """
    from qiskit import qpy

    name = "QPY"
    if data[:6] == b"QISKIT" and data[6] in _WITH_ENCODING and data[_ENCODING : _ENCODING + 1] == b"e":
        data = data[:_ENCODING] + b"p" + data[_ENCODING + 1 :]
        name = "QPY without expressions by symengine, which can run code as they are read"
    with parsing(name):
        circuits = list(qpy.load(io.BytesIO(data)))
    for circuit in circuits:
        units = circuit.metadata.pop(_UNITS, []) if isinstance(circuit.metadata, dict) else []
        _settle_units(circuit, iter(units), circuit.name)
    return circuits


def _with_units(circuit: QuantumCircuit) -> QuantumCircuit:
    """Give a circuit as it is where all delays are in dt, else a copy that tells their units."""
    delays = [item for scope in _scopes(circuit) for item in scope.data if item.name == "delay"]
    units = [delay.operation.unit for delay in delays]
    if not _IN_SECONDS.intersection(units) and not any(_has_parameters(delay.params[0]) for delay in delays):
        return circuit
    told = circuit.copy()
    told.metadata = {**(circuit.metadata or {}), _UNITS: units}
    return told


def _has_parameters(length: Any) -> bool:
    """Tell whether the length of a delay is a parameter or made of some, rather than a number or a stretch."""
    return hasattr(length, "parameters")


def _scopes(circuit: QuantumCircuit) -> Iterator[QuantumCircuit]:
    """Give a circuit, then what its instructions hold, in their order."""
    yield circuit
    for item in circuit.data:
        for part in _parts(item):
            yield from _scopes(part)


def _parts(item: Any) -> tuple[QuantumCircuit, ...]:
    """Circuits that an instruction holds: blocks, or the definition of one that was made of a circuit."""
    if item.is_standard_gate() or item.name in {"measure", "reset", "delay", "barrier"}:
        return ()  # without asking for the operation, which takes longer
    if has_blocks(item):
        return tuple(item.operation.blocks)
    from qiskit.circuit import Gate, Instruction

    made = type(item.operation) in (Gate, Instruction) and item.operation.definition is not None
    return (item.operation.definition,) if made else ()


def _settle_units(scope: QuantumCircuit, units: Iterator[str], name: str) -> None:
    """Give the delays of a circuit that was read from QPY the units that they had; in place.

    ValueError where none are told, and a length is no whole number, as those in dt are.
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
            _settle_units(part, units, name)
        if any(one.name == "delay" for part in parts for inner in _scopes(part) for one in inner.data):
            scope.data[i] = item.replace(operation=_holding(item, parts))


def _holding(item: Any, parts: tuple[QuantumCircuit, ...]) -> Any:
    """Give the operation of an instruction with these circuits in place of those that it holds."""
    if has_blocks(item):
        return with_blocks(item.operation, parts)
    operation = item.operation.copy()
    operation.definition = parts[0]
    return operation
