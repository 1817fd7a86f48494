"""A compiled circuit as a list of events: rotations that matter, faults with their rates, measurements.

Each qubit carries a frame, the one-qubit gates that have not been written down yet. One-qubit gates only turn the
frame. A two-qubit gate writes down what does not commute with it and passes on the rest, so that angles which merely
cancel further on leave no trace (see `qcluster.device.circuits.pauli.split_x`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qcluster.core.noise.faults import GATE, IDLE
from qcluster.device.circuits import pauli, timeline
from qcluster.device.circuits.blocks import Block, find_blocks, matrix_of, pass_on
from qcluster.errors import CalibrationError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration

Floats = npt.NDArray[np.float64]

_LEAST_TELLING = 0.98
"""Largest sum of the two readout errors of a bit: at 1 its reading would say nothing about it."""


class Turn(NamedTuple):
    """A one-qubit gate: Pauli j turns into Pauli i with probability ``squares[i, j]``."""

    qubit: int
    squares: Floats


class Coupling(NamedTuple):
    """A rotation by ``angle`` about the Pauli ``axis`` (0, 1, 2 for X, Y, Z) on both qubits."""

    a: int
    b: int
    axis: int
    angle: float


class Fault(NamedTuple):
    """Faults of one qubit: rates (3,) of X, Y, Z."""

    qubit: int
    rates: Floats
    kind: int


class PairFault(NamedTuple):
    """Faults of two qubits: rates (4, 4) of I, X, Y, Z on a (rows) and on b."""

    a: int
    b: int
    rates: Floats


class Measure(NamedTuple):
    """A measurement of a qubit into a classical bit."""

    qubit: int
    bit: int


class Reset(NamedTuple):
    """A qubit put back to |0>."""

    qubit: int


Event = Turn | Coupling | Fault | PairFault | Measure | Reset


def waiting_times(circuit: QuantumCircuit, seconds: list[float], *, idle: bool) -> list[dict[int, float]]:
    """Find how long each qubit waits after each operation, everything running as late as possible.

    Args:
        circuit: compiled; its delays count as waiting.
        seconds: length of each operation.
        idle: False to count explicit delays only.

    Returns:
        One ``{qubit: seconds}`` per operation.
    """
    index = {bit: i for i, bit in enumerate(circuit.qubits)}
    clock, wait = np.zeros(circuit.num_qubits), np.zeros(circuit.num_qubits)
    result: list[dict[int, float]] = []
    for i in range(len(circuit.data) - 1, -1, -1):
        item = circuit.data[i]
        qubits = [index[q] for q in item.qubits]
        result.append({})
        if not qubits:
            continue
        end = clock[qubits].max()
        gaps = end - clock[qubits] if idle else np.zeros(len(qubits))
        clock[qubits] = end + seconds[i]
        wait[qubits] += gaps
        if item.name == "delay":
            wait[qubits] += seconds[i]
        elif item.name != "barrier":
            result[-1] = {q: float(wait[q]) for q in qubits if wait[q] > 0}
            wait[qubits] = 0.0
    result.reverse()
    return result


@dataclass
class Walk:
    """Turn operations into events, one after the other."""

    calibration: Calibration
    """What the machine published; see `Calibration.assumed_error` for what is dead or unknown."""
    n_bits: int
    """Number of classical bits."""
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
    readout: Floats = field(init=False)
    """(n_bits, 2) readout errors, with the decay just before."""

    def __post_init__(self) -> None:
        self.readout = np.zeros((self.n_bits, 2))

    def gate(self, operation: Any, qubits: tuple[int, ...], seconds: float, position: int) -> None:
        """Apply a gate on one or two qubits, and its faults; a block that ends at this position is closed."""
        for q in qubits:
            if q not in self.frames:
                self.frames[q] = np.eye(2, dtype=complex)
                self.fresh.add(q)
        matrix = matrix_of(operation)
        block = self.blocks.get(qubits[0])
        if block is not None:
            block.gate(matrix, qubits)
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
        error = self._published(operation.name, qubits)
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
                block.fault(all_paulis)
        for q in qubits:
            self.decohere(q, seconds, GATE)

    def open_block(self, qubits: tuple[int, ...], last: int) -> None:
        """Take the gates on a pair, up to the operation at position `last`, for one."""
        a, b = qubits
        for q in qubits:
            if q not in self.frames:
                self.frames[q] = np.eye(2, dtype=complex)
                self.fresh.add(q)
        pending = np.asarray(np.kron(self.frames[b], self.frames[a]), dtype=complex)
        self.blocks[a] = self.blocks[b] = Block(a, b, last, pending)

    def close_block(self, block: Block) -> None:
        """Write the gates of a block down as one, and its faults at its end."""
        a, b = block.a, block.b
        del self.blocks[a], self.blocks[b]
        self.frames[a] = self.frames[b] = np.eye(2, dtype=complex)
        self._couple(block.unitary, a, b)
        rates = block.faults_at_end(self.frames[a], self.frames[b])
        rates[0, 0] = 0.0
        if rates.any():
            self.events.append(PairFault(a, b, rates))

    def _couple(self, matrix: pauli.Matrix, a: int, b: int) -> None:
        angles, before_a, before_b, after_a, after_b = pauli.decompose(matrix)
        before, after = pass_on(
            angles,
            {"a": before_a @ self.frames[a], "b": before_b @ self.frames[b]},
            {"a": after_a, "b": after_b},
        )
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
            block.fault_of(qubit, rates)

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

    def measure(self, qubit: int, bit: int) -> None:
        """Measure; decay since the last gate that moves |0> or |1> joins the readout errors, which know 0 from 1."""
        frame = self.frames.get(qubit, np.eye(2, dtype=complex))
        decay = 0.0
        for index, share in self.tails.pop(qubit, []):
            self.events[index] = None
            decay += share
        lost = -np.expm1(-decay)
        zero, one = self.calibration.assumed_readout(qubit)
        wrong = np.array([zero, lost * (1 - zero) + (1 - lost) * one])
        self.readout[bit] = wrong * min(1.0, _LEAST_TELLING / max(wrong.sum(), _LEAST_TELLING))
        self.events.append(Turn(qubit, pauli.rotation(frame) ** 2))
        self.events.append(Measure(qubit, bit))
        self.frames[qubit] = np.eye(2, dtype=complex)
        self.fresh.discard(qubit)

    def reset(self, qubit: int) -> None:
        """Put a qubit back to |0>."""
        self.events.append(Reset(qubit))
        for home in (self.frames, self.tails):
            home.pop(qubit, None)
        self.fresh.discard(qubit)

    def _published(self, name: str, qubits: tuple[int, ...]) -> float:
        error = self.calibration.assumed_error(name, qubits)
        if np.isnan(error):
            raise CalibrationError(
                f"the calibration of {self.calibration.backend} lists no gate {name!r} on {qubits}: "
                "give the circuit as compiled for that machine"
            )
        return error


def walk(circuit: QuantumCircuit, calibration: Calibration, *, idle: bool, dt: float | None) -> Walk:
    """Go through a compiled circuit and list its events.

    Raises:
        ValueError: control flow, a `store`, a gate on more than two qubits or with free parameters, or a delay in "dt"
            without `dt`.
        CalibrationError: the machine has no such gate there.
    """
    seconds = timeline.lengths(circuit, calibration, dt)
    waits = waiting_times(circuit, seconds, idle=idle)
    runs = find_blocks(circuit)
    index = {bit: i for i, bit in enumerate(circuit.qubits)}
    clbits = {bit: i for i, bit in enumerate(circuit.clbits)}
    result = Walk(calibration, circuit.num_clbits)
    for i, (item, length, wait) in enumerate(zip(circuit.data, seconds, waits, strict=True)):
        name, blocks = item.name, timeline.has_blocks(item)
        qubits = tuple(index[q] for q in item.qubits)
        if blocks or name == "store" or (len(qubits) > 2 and name != "barrier"):
            raise ValueError(f"the circuit must hold gates on one or two qubits and no classical program; got {name!r}")
        if name == "measure":
            result.measure(qubits[0], clbits[item.clbits[0]])
        elif name == "reset":
            result.reset(qubits[0])
        elif name not in {"barrier", "delay"} and qubits:
            if item.is_parameterized():
                raise ValueError(f"the circuit must have all its parameters bound; gate {name!r} has free ones")
            if i in runs:
                result.open_block(qubits, runs[i])
            result.gate(item.operation, qubits, length, i)
        for q, gap in wait.items():
            result.decohere(q, gap, IDLE)
    return result
