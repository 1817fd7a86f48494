"""A compiled circuit as a list of events: rotations that matter, faults with their rates, measurements.

Each qubit carries a frame, the one-qubit gates that have not been written down yet. One-qubit gates only turn the
frame. A two-qubit gate writes down what does not commute with it and passes on the rest, so that angles which merely
cancel further on leave no trace (see `qcluster.device.circuits.pauli.split_x`). Control flow writes all frames of its
qubits down; loops are unrolled.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.noise.faults import GATE, IDLE
from qcluster.device.circuits import pauli, timeline
from qcluster.device.circuits.blocks import Block, find_blocks, pass_on
from qcluster.device.circuits.conditions import Memory, Table
from qcluster.device.noise.events import Branch, Change, Coupling, Event, Fault, Measure, PairFault, Reset, Store, Turn
from qcluster.device.noise.feedforward import Body, change, written_bits
from qcluster.errors import CalibrationError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration

_STILL = np.eye(2, dtype=complex)
"""A frame in which nothing is pending."""
_LEAST_TELLING = 0.98
"""Largest sum of the two readout errors of a bit: at 1 its reading would say nothing about it."""
_MOST_PASSES = 100
"""Most passes of a `for` loop that are unrolled."""
_PASSES = 4
"""Passes of a `while` loop that are unrolled: each is half as likely as the one before where nothing is known."""


def waiting_times(circuit: QuantumCircuit, seconds: list[float], *, idle: bool) -> list[dict[int, float]]:
    """Find how long each qubit waits after each operation, ``{qubit: seconds}``, all running as late as possible.

    What the program does with a bit waits for the measurement that wrote it, and so do the qubits that it acts on.
    Delays count as waiting; without `idle`, nothing else does.
    """
    index = {bit: i for i, bit in enumerate([*circuit.qubits, *circuit.clbits])}
    clock, wait = np.zeros(len(index)), np.zeros(circuit.num_qubits)
    result: list[dict[int, float]] = []
    for i in range(len(circuit.data) - 1, -1, -1):
        item = circuit.data[i]
        qubits = [index[q] for q in item.qubits]
        result.append({})
        bits = [index[bit] for bit in {*item.clbits, *timeline.classical_bits(item.operation)} if bit in index]
        if not qubits and not bits:
            continue
        end = clock[qubits + bits].max()
        gaps = end - clock[qubits] if idle else np.zeros(len(qubits))
        clock[qubits + bits] = end + seconds[i]
        wait[qubits] += gaps
        if item.name == "delay":
            wait[qubits] += seconds[i]
        elif item.name != "barrier":
            result[-1] = {q: float(wait[q]) for q in qubits if wait[q] > 0}
            wait[qubits] = 0.0
    result.reverse()
    return result


@dataclass(eq=False)
class Walk:
    """Turn operations into events, one after the other."""

    calibration: Calibration
    """What the machine published; see `Calibration.assumed_error` for what is dead or unknown."""
    idle: bool
    """False to count explicit delays only as waiting."""
    dt: float | None
    """Seconds per unit of a delay in "dt"."""
    events: list[Event | None] = field(default_factory=list)
    """What happened so far; None where a fault was moved into the readout."""
    frames: dict[int, pauli.Matrix] = field(default_factory=dict)
    """Pending one-qubit gates of each qubit that has been touched."""
    fresh: set[int] = field(default_factory=set)
    """Touched qubits that are still in |0>, but for their frame."""
    tails: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    """Decoherence since the last gate that moves a qubit's |0> or |1>: index of the event, and seconds."""
    blocks: dict[int, Block] = field(default_factory=dict)
    """The run of gates that each qubit is in, if any."""

    def read(self, circuit: QuantumCircuit, qubits: Sequence[int], memory: Memory, last: Container[int] = ()) -> None:
        """Go through a circuit or a block on physical qubits; `last` are the measurements that nothing follows."""
        seconds = self._lengths(circuit, qubits)
        waits = waiting_times(circuit, seconds, idle=self.idle)
        runs = find_blocks(circuit)
        index = dict(zip(circuit.qubits, qubits, strict=True))
        for i, (item, length, wait) in enumerate(zip(circuit.data, seconds, waits, strict=True)):
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
            elif name not in timeline.SILENT and places:  # a loop that may be left early is taken to run to its end
                _check(item)
                if i in runs:
                    self.open_block(places, runs[i])
                self.gate(item.operation, places, length, i)
            for q, gap in wait.items():
                self.decohere(qubits[q], gap, IDLE)

    def _lengths(self, circuit: QuantumCircuit, qubits: Sequence[int]) -> list[float]:
        """(n_operations,) seconds; control flow takes as long as its longest body, and electronics no time."""
        seconds = timeline.lengths(circuit, self.calibration, self.dt, qubits)
        index = dict(zip(circuit.qubits, qubits, strict=True))
        for i, item in enumerate(circuit.data):
            if timeline.has_blocks(item):
                places = [index[q] for q in item.qubits]
                bodies = [timeline.occupation(block, self._lengths(block, places)) for block in item.operation.blocks]
                passes = len(item.operation.params[0]) if item.name == "for_loop" else 1
                seconds[i] = passes * max(duration for _, _, duration in bodies)
        return seconds

    def _control(self, item: Any, qubits: tuple[int, ...], memory: Memory) -> None:
        """Read control flow, or a box."""
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
                circuit, where, inside = bodies[0]
                if getattr(parameter, "standalone", False):  # a variable of the body, that its program may read
                    inside = inside.counting(parameter, int(value))
                elif parameter is not None:
                    circuit = circuit.assign_parameters({parameter: value}, strict=False)  # or the body has none of it
                self.read(circuit, where, inside)
        elif item.name == "if_else":
            self._branch(_tabulate(operation.condition, memory), [bodies[1] if bodies[1:] else None, bodies[0]])
        elif item.name == "while_loop":
            memory.blank.difference_update(written_bits(bodies[0]))  # of which a later pass may read
            table = _tabulate(operation.condition, memory)
            self._branch(table, [None, bodies[0]], again=_PASSES - 1)
            self.events.append(_left(table))
        elif item.name == "switch_case":
            self._branch(_cases(operation, _tabulate(operation.target, memory)), [*bodies, None])
        else:
            raise ValueError(f"control flow must be if, switch, a loop or a box; got {item.name!r}")

    def _branch(self, table: Table, bodies: list[Body | None], again: int = -1) -> None:
        """Note bodies that run by what the program computes; a loop's run up to `again` times more."""
        qubits = sorted({q for body in bodies if body is not None for q in body.qubits})
        signs = {q: sign for q in qubits if (sign := self._sign(q))}
        self._settle(qubits)
        inside = []
        for body in bodies:
            inner = Walk(self.calibration, self.idle, self.dt)
            inner.frames = {q: _STILL for q in qubits if q in self.frames}
            if body is not None:
                inner.read(*body)
                if again > 0:
                    inner._branch(table, bodies, again - 1)
            inner._settle(qubits)
            inside.append(inner)
        changes = _changes(table, bodies, signs)
        self.events.append(Branch(table, tuple(tuple(one.events) for one in inside), changes, again >= 0))
        for q in {q for one in inside for q in one.frames}:
            self.frames[q] = _STILL
            self.tails[q] = []

    def _settle(self, qubits: Sequence[int]) -> None:
        """Write down what is pending on qubits."""
        for q in qubits:
            if q in self.frames:
                self.events.append(Turn(q, pauli.rotation(self.frames[q]) ** 2))
                self.frames[q] = _STILL
                self.fresh.discard(q)

    def _sign(self, qubit: int) -> int:
        """1 for a qubit known to be in |0>, -1 for |1>, and 0 for any other."""
        if qubit not in self.frames:
            return 1
        frame = np.abs(self.frames[qubit])
        if qubit not in self.fresh or frame.max() < 1 - 1e-9:
            return 0
        return 1 if frame[0, 0] > frame[0, 1] else -1

    def _touch(self, qubits: Sequence[int]) -> None:
        """Begin the frames of qubits that were in |0> so far."""
        for q in qubits:
            if q not in self.frames:
                self.frames[q] = _STILL
                self.fresh.add(q)

    def gate(self, operation: Any, qubits: tuple[int, ...], seconds: float, position: int) -> None:
        """Apply a gate on one or two qubits, and its faults; a block that ends at this position is closed."""
        self._touch(qubits)
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
        error = listed_error(self.calibration, operation.name, qubits)
        t1, t2 = np.array([self.calibration.coherence(q) for q in qubits]).T
        rate = pauli.depolarising_rate(error, seconds, t1, t2)
        if rate > 0 and len(qubits) == 1:
            self._strike(qubits[0], np.full(3, rate), GATE)
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
        """Take the gates on a pair, up to the operation at position `last`, for one."""
        a, b = qubits
        self._touch(qubits)
        pending = np.asarray(np.kron(self.frames[b], self.frames[a]), dtype=complex)
        self.blocks[a] = self.blocks[b] = Block(a, b, last, pending)

    def close_block(self, block: Block) -> None:
        """Write the gates of a block down as one, and its faults at its end."""
        a, b = block.a, block.b
        del self.blocks[a], self.blocks[b]
        self.frames[a] = self.frames[b] = _STILL
        self._couple(block.unitary, a, b)
        rates = block.faults_at_end(self.frames[a], self.frames[b])
        rates[0, 0] = 0.0
        if rates.any():
            self.events.append(PairFault(a, b, rates))

    def _couple(self, matrix: pauli.Matrix, a: int, b: int) -> None:
        angles, before_a, before_b, after_a, after_b = pauli.decompose(matrix)
        pending = {"a": before_a @ self.frames[a], "b": before_b @ self.frames[b]}
        before, after = pass_on(angles, pending, {"a": after_a, "b": after_b})
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

    def _strike(self, qubit: int, rates: Floats, kind: int) -> None:
        """Note a fault of one qubit; the gates that are pending turn it."""
        block = self.blocks.get(qubit)
        if block is None:
            self.events.append(Fault(qubit, (pauli.rotation(self.frames[qubit]) ** 2).T @ rates, kind))
        else:
            block.add_fault(qubit, rates)

    def decohere(self, qubit: int, seconds: float, kind: int) -> None:
        """Let a touched qubit wait; its frame turns the faults."""
        if seconds <= 0 or qubit not in self.frames:
            return
        t1, t2 = self.calibration.coherence(qubit)
        rates = pauli.relaxation_rates(seconds, t1, t2)
        if rates.any():
            if qubit not in self.blocks:
                self.tails.setdefault(qubit, []).append((len(self.events), seconds / t1))
            self._strike(qubit, rates, kind)

    def measure(self, qubit: int, bit: int, *, last: bool) -> None:
        """Measure; decay since the last gate that moves |0> or |1> joins the readout errors, which know 0 from 1.

        Where the qubit goes on or the program reads the bit (`last` is False), decay stays a fault: it changes more
        than what is read, and does so before whatever reads the qubit later.
        """
        frame = self.frames.get(qubit, _STILL)
        decay, tail = 0.0, self.tails.pop(qubit, [])
        for index, share in tail if last else ():
            self.events[index] = None
            decay += share
        lost = -np.expm1(-decay)
        zero, one = self.calibration.assumed_readout(qubit)
        wrong = np.array([zero, lost * (1 - zero) + (1 - lost) * one])
        errors = wrong * min(1.0, _LEAST_TELLING / max(wrong.sum(), _LEAST_TELLING))
        self.events.append(Turn(qubit, pauli.rotation(frame) ** 2))
        self.events.append(Measure(qubit, bit, errors))
        self.frames[qubit] = _STILL
        self.fresh.discard(qubit)

    def reset(self, qubit: int) -> None:
        """Put a qubit back to |0>."""
        self.events.append(Reset(qubit))
        for home in (self.frames, self.tails):
            home.pop(qubit, None)
        self.fresh.discard(qubit)


def listed_error(calibration: Calibration, name: str, qubits: tuple[int, ...]) -> float:
    """Give the error to reckon with of a gate; CalibrationError where the machine knows none of that name."""
    error = calibration.assumed_error(name, qubits)
    if np.isnan(error):
        raise CalibrationError(
            f"the calibration of {calibration.backend} lists no gate {name!r} on {qubits}: "
            "give the circuit as compiled for that machine"
        )
    return error


def _check(item: Any) -> None:
    if len(item.qubits) > 2 or item.clbits or not hasattr(item.operation, "to_matrix"):
        raise ValueError(f"the circuit must hold gates on one or two qubits; got {item.name!r}")
    if item.is_parameterized():
        raise ValueError(f"the circuit must have all its parameters bound; gate {item.name!r} has free ones")


def _tabulate(node: Any, memory: Memory) -> Table:
    """Tabulate what the program computes over the bits that something may have written."""
    return memory.table(node).where_zero(memory.blank)


def _cases(operation: Any, target: Table) -> Table:
    """Number of the block that each value of a switch leads to; behind the last where it leads to none."""
    from qiskit.circuit import CASE_DEFAULT

    block = {label: i for i, (labels, _) in enumerate(operation.cases_specifier()) for label in labels}
    default = block.get(CASE_DEFAULT, len(operation.blocks))
    return Table(target.bits, np.array([block.get(value, default) for value in target.values.tolist()]))


def _left(table: Table) -> Store:
    """What a `while` loop leaves in the bits of its condition, as far as that is known when it ends."""
    number = np.flatnonzero(table.values == 0)
    values = [(number >> i & 1) for i in range(len(table.bits))]
    known = [i for i, value in enumerate(values) if value.size and (value == value[0]).all()]
    total = sum(int(values[i][0]) << place for place, i in enumerate(known))
    return Store(tuple(table.bits[i] for i in known), Table((), np.array([total])))


def _changes(table: Table, bodies: list[Body | None], signs: dict[int, int]) -> dict[tuple[int, int], Change]:
    """What it does that one body runs in place of another, for those that the flip of one bit exchanges."""
    number = np.arange(len(table.values))
    pairs = {
        (int(min(pair)), int(max(pair)))
        for i in range(len(table.bits))
        for pair in zip(table.values, table.values[number ^ 1 << i], strict=True)
        if pair[0] != pair[1]
    }
    return {(one, other): change(bodies[one], bodies[other], signs) for one, other in sorted(pairs)}


def _last_measurements(circuit: QuantumCircuit) -> set[int]:
    """Positions of the measurements after which neither their qubit nor their bit is used."""
    seen: set[Any] = set()
    found: set[int] = set()
    for i in range(len(circuit.data) - 1, -1, -1):
        item = circuit.data[i]
        if item.name in timeline.SILENT:
            continue
        if timeline.is_measurement(item.name) and not seen.intersection((*item.qubits, *item.clbits)):
            found.add(i)
        seen.update(item.qubits, item.clbits, timeline.classical_bits(item.operation))
    return found


def walk(circuit: QuantumCircuit, calibration: Calibration, *, idle: bool, dt: float | None) -> list[Event | None]:
    """Go through a compiled circuit and list its events; None where a fault was moved into the readout.

    Loops are unrolled, those of unknown length for a few passes, and one that may be left early runs to its end.
    Arguments and errors as of `qcluster.device.noise.faults.fault_masks`.
    """
    walked = Walk(calibration, idle, dt)
    walked.read(circuit, range(circuit.num_qubits), Memory.of(circuit), _last_measurements(circuit))
    return walked.events
