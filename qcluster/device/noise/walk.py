"""List the events of a compiled circuit: gates, faults with their rates, measurements and control flow.

Each qubit has a frame, the product of its one-qubit gates that are not in the list yet. A one-qubit gate only changes
the frame. At a two-qubit gate, the part of the frame that does not commute with it becomes an event; the rest is
deferred, so that rotations which cancel later on leave no event (see `qcluster.device.circuits.pauli.split_x`). At
control flow, the frames of all its qubits become events. Loops are unrolled.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.noise.faults import GATE, IDLE
from qcluster.device.circuits import pauli, timeline
from qcluster.device.circuits.blocks import Block, find_blocks, move_rotations_past
from qcluster.device.circuits.conditions import Memory, Table
from qcluster.device.noise.events import Branch, Change, Coupling, Event, Fault, Measure, PairFault, Reset, Store, Turn
from qcluster.device.noise.feedforward import Body, change, written_bits
from qcluster.errors import CalibrationError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration

_IDENTITY = np.eye(2, dtype=complex)
"""An empty frame."""
_MOST_READOUT_ERROR = 0.98
"""Upper limit on the sum of a bit's two readout errors; at 1, the outcome would carry no information."""
_MOST_PASSES = 100
"""Maximum number of passes of a `for` loop."""
_WHILE_PASSES = 4
"""Number of passes for which a `while` loop is unrolled; if nothing is known, each is half as likely as the last."""


class Waits(NamedTuple):
    """Idle times of a circuit, or of a block, whose operations run as late as possible."""

    before: dict[int, float]
    """``{qubit: seconds}`` from the start of the circuit to the qubit's first operation."""
    after: list[dict[int, float]]
    """``{qubit: seconds}`` after each operation."""
    length: float
    """Seconds that the whole circuit takes, delays at its start and end included."""


def waiting_times(circuit: QuantumCircuit, seconds: list[float], *, idle: bool) -> Waits:
    """Find how long each qubit is idle, if all operations run as late as possible.

    An operation that uses a classical bit or a variable, and the qubits that it acts on, wait for the operation that
    writes it.

    Args:
        circuit: the circuit.
        seconds: duration of each operation.
        idle: False to count explicit delays only.
    """
    index = {bit: i for i, bit in enumerate(circuit.qubits)}
    clock: dict[Any, float] = {}
    wait = dict.fromkeys(circuit.qubits, 0.0)
    after: list[dict[int, float]] = []
    for item, lasts in zip(reversed(circuit.data), reversed(seconds), strict=True):
        wires = {*item.qubits, *item.clbits, *timeline.classical_operands(item.operation)}
        end = max((clock.get(wire, 0.0) for wire in wires), default=0.0)
        for q in item.qubits:
            wait[q] += (end - clock.get(q, 0.0) if idle else 0.0) + (lasts if item.name == "delay" else 0.0)
        clock |= dict.fromkeys(wires, end + lasts)
        after.append({})
        if item.name not in {"delay", "barrier"}:
            after[-1] = {index[q]: wait[q] for q in item.qubits if wait[q] > 0}
            wait |= dict.fromkeys(item.qubits, 0.0)
    length = max(clock.values(), default=0.0)
    before = {index[q]: gap + (length - clock.get(q, 0.0) if idle else 0.0) for q, gap in wait.items()}
    return Waits(before, after[::-1], length)


@dataclass(eq=False)
class Walk:
    """Converts operations to events, one after the other."""

    calibration: Calibration
    """Published figures; for missing ones and for parts out of order, see `Calibration.assumed_error`."""
    idle: bool
    """False to count explicit delays only as idle times."""
    dt: float | None
    """Seconds per unit of a delay in "dt"."""
    events: list[Event | None] = field(default_factory=list)
    """Events so far; None where a fault was moved into the readout errors."""
    frames: dict[int, pauli.Matrix] = field(default_factory=dict)
    """Frame of each qubit that an operation has acted on: its pending one-qubit gates."""
    fresh: set[int] = field(default_factory=set)
    """Qubits that are still in |0> except for their frame."""
    tails: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    """Decay of each qubit since the last gate that moves |0> or |1>: index of the event, and duration / T1."""
    blocks: dict[int, Block] = field(default_factory=dict)
    """Run of gates that each qubit is in, if any."""

    def read(self, circuit: QuantumCircuit, qubits: Sequence[int], memory: Memory, last: Container[int] = ()) -> None:
        """Convert a circuit or a block.

        Args:
            circuit: the circuit or block.
            qubits: its physical qubits.
            memory: indices of its classical bits and variables.
            last: positions of the measurements whose qubit and bit are not used afterwards.
        """
        seconds = self._lengths(circuit, qubits)
        waits = waiting_times(circuit, seconds, idle=self.idle)
        runs = find_blocks(circuit)
        index = dict(zip(circuit.qubits, qubits, strict=True))
        for q, gap in waits.before.items():
            self.decohere(qubits[q], gap, IDLE)
        for i, (item, length, wait) in enumerate(zip(circuit.data, seconds, waits.after, strict=True)):
            name, places = item.name, tuple(index[q] for q in item.qubits)
            if timeline.has_blocks(item):
                self._control(item, places, memory)
            elif name == "store":
                written = memory.locate(item.operation.lvalue)
                self.events.append(Store(written, _tabulate(item.operation.rvalue, memory)))
                memory.blank.difference_update(written)
                memory.counters.pop(item.operation.lvalue, None)
            elif timeline.is_measurement(name):
                (bit,) = memory.places[item.clbits[0]]
                self.measure(places[0], bit, last=i in last)
                memory.blank.discard(bit)
            elif name == "reset":
                self.reset(places[0])
            elif name not in timeline.SILENT and places:  # `break` and `continue` are ignored
                _check(item)
                if i in runs:
                    self.open_block(places, runs[i])
                self.gate(item.operation, places, length, i)
            for q, gap in wait.items():
                self.decohere(qubits[q], gap, IDLE)

    def _lengths(self, circuit: QuantumCircuit, qubits: Sequence[int]) -> list[float]:
        """Return the duration of each operation in seconds.

        Control flow takes as long as its longest body, and a `for` loop as long as all its passes.
        """
        seconds = timeline.lengths(circuit, self.calibration, self.dt, qubits)
        index = dict(zip(circuit.qubits, qubits, strict=True))
        for i, item in enumerate(circuit.data):
            if timeline.has_blocks(item):
                places = [index[q] for q in item.qubits]
                blocks = [(block, self._lengths(block, places)) for block in item.operation.blocks]
                passes = len(item.operation.params[0]) if item.name == "for_loop" else 1
                seconds[i] = passes * max(waiting_times(*block, idle=False).length for block in blocks)
        return seconds

    def _control(self, item: Any, qubits: tuple[int, ...], memory: Memory) -> None:
        """Convert control flow, or a box."""
        operation = item.operation
        bodies = [
            Body(block, tuple(qubits[: block.num_qubits]), memory.inside(block, item.clbits))
            for block in operation.blocks
        ]
        if item.name == "box":
            self.read(*bodies[0])
        elif item.name == "for_loop":
            passes, parameter, _ = operation.params
            if len(passes) > _MOST_PASSES:
                raise ValueError(f"a loop must have at most {_MOST_PASSES} passes; got {len(passes)}")
            for value in passes:
                circuit, places, inner = bodies[0]
                if getattr(parameter, "standalone", False):  # a variable, which the program of the body may read
                    inner = inner.counting(parameter, int(value))
                elif parameter is not None:
                    circuit = circuit.assign_parameters({parameter: value}, strict=False)  # the body may not use it
                self.read(circuit, places, inner)
        elif item.name == "if_else":
            self._branch(_tabulate(operation.condition, memory), [bodies[1] if bodies[1:] else None, bodies[0]])
        elif item.name == "while_loop":
            memory.blank.difference_update(written_bits(bodies[0]))  # a later pass may read them
            table = _tabulate(operation.condition, memory)
            self._branch(table, [None, bodies[0]], again=_WHILE_PASSES - 1)
            self.events.append(_after_loop(table))
        elif item.name == "switch_case":
            self._branch(_cases(operation, _tabulate(operation.target, memory)), [*bodies, None])
        else:
            raise ValueError(f"control flow must be if, switch, a loop or a box; got {item.name!r}")

    def _branch(self, table: Table, bodies: list[Body | None], again: int = -1) -> None:
        """Add a branch: the program runs the body whose number `table` gives.

        For a `while` loop, `again` is the number of further passes to unroll; for other control flow it is -1.
        """
        qubits = sorted({q for body in bodies if body is not None for q in body.qubits})
        signs = {q: sign for q in qubits if (sign := self._sign(q))}
        self._flush(qubits)
        walks = []
        for body in bodies:
            inner = Walk(self.calibration, self.idle, self.dt)
            inner.frames = {q: _IDENTITY for q in qubits if q in self.frames}
            if body is not None:
                inner.read(*body)
                if again > 0:
                    inner._branch(table, bodies, again - 1)
            inner._flush(qubits)
            walks.append(inner)
        changes = _changes(table, bodies, signs)
        self.events.append(Branch(table, tuple(tuple(inner.events) for inner in walks), changes, again >= 0))
        for q in {q for inner in walks for q in inner.frames}:
            self.frames[q] = _IDENTITY
            self.tails[q] = []

    def _flush(self, qubits: Sequence[int]) -> None:
        """Turn the frames of qubits into events."""
        for q in qubits:
            if q in self.frames:
                self.events.append(Turn(q, pauli.rotation(self.frames[q]) ** 2))
                self.frames[q] = _IDENTITY
                self.fresh.discard(q)

    def _sign(self, qubit: int) -> int:
        """Return 1 for a qubit known to be in |0>, -1 for one known to be in |1>, and 0 for any other."""
        if qubit not in self.frames:
            return 1
        frame = np.abs(self.frames[qubit])
        if qubit not in self.fresh or frame.max() < 1 - 1e-9:
            return 0
        return 1 if frame[0, 0] > frame[0, 1] else -1

    def _touch(self, qubits: Sequence[int]) -> None:
        """Start frames for those of the qubits that nothing has acted on yet."""
        for q in qubits:
            if q not in self.frames:
                self.frames[q] = _IDENTITY
                self.fresh.add(q)

    def gate(self, operation: Any, qubits: tuple[int, ...], seconds: float, position: int) -> None:
        """Add a gate on one or two qubits and its faults; close a block that ends at this position."""
        self._touch(qubits)
        error = listed_error(self.calibration, operation.name, qubits)
        matrix = np.asarray(operation.to_matrix(), dtype=complex)
        block = self.blocks.get(qubits[0])
        if block is not None:
            block.add_gate(matrix, qubits)
            if block.last == position:
                self.close_block(block)
                block = None
        elif len(qubits) == 1:
            (q,) = qubits
            self.frames[q] = matrix @ self.frames[q]
            if abs(matrix[0, 1]) > 1e-9:
                self.tails[q] = []
        else:
            self._couple(matrix, *qubits)
        t1, t2 = np.array([self.calibration.coherence(q) for q in qubits]).T
        rate = pauli.depolarising_rate(error, seconds, t1, t2)
        if rate > 0 and len(qubits) == 1:
            self._add_fault(qubits[0], np.full(3, rate), GATE)
        elif rate > 0:
            all_paulis = np.full((4, 4), rate)
            all_paulis[0, 0] = 0.0
            if block is None:
                self.events.append(PairFault(qubits[0], qubits[1], all_paulis))
            else:
                block.add_pair_fault(all_paulis)
        for q in qubits:
            self.decohere(q, seconds, GATE)

    def open_block(self, qubits: tuple[int, ...], last: int) -> None:
        """Start merging the gates on a pair into one unitary, up to the operation at position `last`."""
        a, b = qubits
        self._touch(qubits)
        pending = np.asarray(np.kron(self.frames[b], self.frames[a]), dtype=complex)
        self.blocks[a] = self.blocks[b] = Block(a, b, last, pending)

    def close_block(self, block: Block) -> None:
        """Add the unitary of a block as one gate, followed by the block's faults."""
        a, b = block.a, block.b
        del self.blocks[a], self.blocks[b]
        self.frames[a] = self.frames[b] = _IDENTITY
        self._couple(block.unitary, a, b)
        rates = block.faults_at_end(self.frames[a], self.frames[b])
        rates[0, 0] = 0.0
        if rates.any():
            self.events.append(PairFault(a, b, rates))

    def _couple(self, matrix: pauli.Matrix, a: int, b: int) -> None:
        """Add a two-qubit gate: events for its interaction and for the parts of the frames that cannot be deferred."""
        angles, before_a, before_b, after_a, after_b = pauli.decompose(matrix)
        pending = {"a": before_a @ self.frames[a], "b": before_b @ self.frames[b]}
        before, after = move_rotations_past(angles, pending, {"a": after_a, "b": after_b})
        for q, side in ((a, "a"), (b, "b")):
            angle = 0.0
            rest = before[side]
            if not (angles[1] or angles[2]):
                rest, angle = pauli.split_x(rest, from_zero=q in self.fresh)
            self.events.append(Turn(q, pauli.rotation(rest) ** 2))
            self.frames[q] = after[side] @ pauli.x_rotation(angle)
            self.fresh.discard(q)
            self.tails[q] = []
        self.events.extend(Coupling(a, b, axis, 2 * angle) for axis, angle in enumerate(angles) if angle)

    def _add_fault(self, qubit: int, rates: Floats, kind: int) -> None:
        """Add a fault of one qubit with rates (3,) of X, Y, Z.

        Pending gates become events only later, so the fault is first propagated back to before them.
        """
        block = self.blocks.get(qubit)
        if block is None:
            self.events.append(Fault(qubit, (pauli.rotation(self.frames[qubit]) ** 2).T @ rates, kind))
        else:
            block.add_fault(qubit, rates)

    def decohere(self, qubit: int, seconds: float, kind: int) -> None:
        """Add the decoherence of a qubit over some time; none if nothing has acted on the qubit, which stays in |0>."""
        if seconds <= 0 or qubit not in self.frames:
            return
        t1, t2 = self.calibration.coherence(qubit)
        rates = pauli.relaxation_rates(seconds, t1, t2)
        if rates.any():
            if qubit not in self.blocks:
                self.tails.setdefault(qubit, []).append((len(self.events), seconds / t1))
            self._add_fault(qubit, rates, kind)

    def measure(self, qubit: int, bit: int, *, last: bool) -> None:
        """Add a measurement.

        Decay since the last gate that moves |0> or |1> is included in the readout errors, since it affects |1> only. If
        the qubit or the bit is used afterwards (`last` is False), decay remains a fault, since it affects more than
        this outcome.
        """
        frame = self.frames.get(qubit, _IDENTITY)
        exponent, tail = 0.0, self.tails.pop(qubit, [])
        for index, share in tail if last else ():
            self.events[index] = None
            exponent += share
        decayed = -np.expm1(-exponent)
        zero, one = self.calibration.assumed_readout(qubit)
        errors = np.array([zero, decayed * (1 - zero) + (1 - decayed) * one])
        errors *= min(1.0, _MOST_READOUT_ERROR / max(errors.sum(), _MOST_READOUT_ERROR))
        self.events.append(Turn(qubit, pauli.rotation(frame) ** 2))
        self.events.append(Measure(qubit, bit, errors))
        self.frames[qubit] = _IDENTITY
        self.fresh.discard(qubit)

    def reset(self, qubit: int) -> None:
        """Reset a qubit to |0>."""
        self.events.append(Reset(qubit))
        self.frames.pop(qubit, None)
        self.tails.pop(qubit, None)
        self.fresh.discard(qubit)


def listed_error(calibration: Calibration, name: str, qubits: tuple[int, ...]) -> float:
    """Return `Calibration.assumed_error` of a gate; CalibrationError if the machine has no gate of that name."""
    error = calibration.assumed_error(name, qubits)
    if np.isnan(error):
        raise CalibrationError(
            f"the calibration of {calibration.backend} lists no gate {name!r} on {qubits}: "
            "give the circuit as compiled for that machine"
        )
    return error


def _check(item: Any) -> None:
    """Raise ValueError for anything that is not a bound gate on one or two qubits."""
    if len(item.qubits) > 2 or item.clbits or not hasattr(item.operation, "to_matrix"):
        raise ValueError(f"the circuit must hold unitary gates on one or two qubits; got {item.name!r}")
    if item.is_parameterized():
        raise ValueError(f"the circuit must have all its parameters bound; gate {item.name!r} has free ones")


def _tabulate(node: Any, memory: Memory) -> Table:
    """Tabulate an expression over the bits that may have been written; all others are 0."""
    return memory.table(node).where_zero(memory.blank)


def _cases(operation: Any, target: Table) -> Table:
    """Return the block number for each value of a switch target; the number of blocks where none matches."""
    from qiskit.circuit import CASE_DEFAULT

    block = {label: i for i, (labels, _) in enumerate(operation.cases_specifier()) for label in labels}
    default = block.get(CASE_DEFAULT, len(operation.blocks))
    return Table(target.bits, np.array([block.get(value, default) for value in target.values.tolist()]))


def _after_loop(table: Table) -> Store:
    """Store the values that a `while` loop's condition bits must have after the loop, where its end implies them."""
    rows = np.flatnonzero(table.values == 0)
    values = [(rows >> i & 1) for i in range(len(table.bits))]
    known = [i for i, value in enumerate(values) if value.size and (value == value[0]).all()]
    total = sum(int(values[i][0]) << place for place, i in enumerate(known))
    return Store(tuple(table.bits[i] for i in known), Table((), np.array([total])))


def _changes(table: Table, bodies: list[Body | None], signs: dict[int, int]) -> dict[tuple[int, int], Change]:
    """Find the effect of running one body in place of another, for all pairs that the flip of one bit exchanges."""
    rows = np.arange(len(table.values))
    pairs = {
        (int(min(pair)), int(max(pair)))
        for i in range(len(table.bits))
        for pair in zip(table.values, table.values[rows ^ 1 << i], strict=True)
        if pair[0] != pair[1]
    }
    return {(one, other): change(bodies[one], bodies[other], signs) for one, other in sorted(pairs)}


def _last_measurements(circuit: QuantumCircuit) -> set[int]:
    """Find the positions of the measurements after which neither their qubit nor their bit is used."""
    used_later: set[Any] = set()
    last: set[int] = set()
    for i in range(len(circuit.data) - 1, -1, -1):
        item = circuit.data[i]
        if item.name in timeline.SILENT:
            continue
        if timeline.is_measurement(item.name) and not used_later.intersection((*item.qubits, *item.clbits)):
            last.add(i)
        used_later.update(item.qubits, item.clbits, timeline.classical_bits(item.operation))
    return last


def walk(circuit: QuantumCircuit, calibration: Calibration, *, idle: bool, dt: float | None) -> list[Event | None]:
    """List the events of a compiled circuit; None where a fault was moved into the readout errors.

    Loops are unrolled, `while` loops for a few passes; `break` and `continue` are ignored. Arguments and errors are as
    in `qcluster.device.noise.faults.fault_masks`.
    """
    result = Walk(calibration, idle, dt)
    result.read(circuit, range(circuit.num_qubits), Memory.of(circuit), _last_measurements(circuit))
    return result.events
