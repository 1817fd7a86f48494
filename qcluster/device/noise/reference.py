"""Reference circuits: a compiled circuit with other angles, so that its noiseless output is one known string.

If every qubit stays in an eigenstate of X, Y or Z throughout a circuit, the output is known, and anything else in the
counts is noise. The two-qubit gates of IBM's machines preserve such product states if the states of their qubits suit
them: a cz needs one of its qubits in |0> or |1>. One-qubit gates can prepare suitable states, since their angles are
virtual rotations about Z. So the pulses, their places and their times remain those of the circuit.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole, make_rng
from qcluster.core.counts.bits import format_bitstrings, unpack
from qcluster.device.circuits.pauli import images
from qcluster.device.circuits.timeline import (
    check_calibration,
    check_circuit,
    check_dt,
    has_blocks,
    is_measurement,
    steps,
)
from qcluster.device.circuits.twirl import keep_labels
from qcluster.device.noise.faults import Located, located_faults
from qcluster.device.noise.frames import is_clifford, noiseless_outcomes
from qcluster.errors import QClusterError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration

X, Y, Z = range(3)

_VIRTUAL = {"rz", "p", "u1", "z", "s", "sdg", "t", "tdg"}
"""Rotations about Z, which take no time; a reference replaces them by its own."""
_ADJUSTABLE = {"sx", "rx"}
"""Pulses that may rotate by a quarter or a half turn."""
_FLIP = {"x", "y"}
"""Pulses that keep a state on the Z axis there, and a state on the equator on the equator."""
_SAME_LENGTH = {"sx", "x"}
"""Pulses of equal length, which may replace each other."""
_QUARTER = "quarter"
"""An sx on a machine without x, which cannot become a half turn."""
_STILL = {"barrier", "delay", "id"}
_COUPLING = {"cx", "cz", "ecr", "iswap", "swap", "rzz"}
_TRIES = 24
"""Number of random choices of states that are compared for a small circuit."""
_EFFORT = 20_000
"""Maximum number of gates in all choices together; a first choice is made at any size."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference circuit and its noiseless output."""

    circuit: QuantumCircuit
    """Circuit with the qubits, layout, registers, two-qubit gates, pulses, delays and measurements of the original."""
    expected: str
    """Noiseless output, classical bit 0 rightmost."""
    changes: tuple[str, ...] = ()
    """Differences from the original other than the angles of its rotations."""
    visible: float | None = None
    """Share of the original's faults (those that flip its bits, by the calibration) that flip bits of the reference;
    each place counts at most with its rate in the original. None without a calibration, or with one that publishes no
    errors."""


def skeleton(circuit: QuantumCircuit) -> str:
    """Hash everything that a reference depends on: gates except virtual ones, their places, delays and measurements.

    Circuits with equal skeletons share a reference, such as the points of a parameter sweep. Names and the grouping of
    bits into registers do not matter.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> one, other = QuantumCircuit(2), QuantumCircuit(2)
        >>> _ = one.rz(0.3, 0), one.cz(0, 1), other.cz(0, 1), other.rz(1.2, 1)
        >>> skeleton(one) == skeleton(other)
        True
    """
    digest = hashlib.sha256(f"{circuit.num_qubits} {circuit.num_clbits}".encode())
    for item, qubits, clbits, _ in steps(circuit):
        if item.name in _VIRTUAL:
            continue
        name = "pulse" if item.name in _SAME_LENGTH else item.name
        length = (item.operation.duration, item.operation.unit) if item.name == "delay" else ""
        digest.update(f"{name} {qubits} {clbits} {length};".encode())
    return digest.hexdigest()[:32]


def reference_circuit(
    circuit: QuantumCircuit,
    calibration: Calibration | None = None,
    *,
    seed: int | np.random.Generator | None = 0,
    dt: float | None = None,
) -> Reference:
    """Make a reference of a compiled circuit: the same gates at the same places and times, with one known output.

    Rotations about Z are chosen anew, as multiples of a quarter turn. Where a single sx would put both qubits of a gate
    on the equator, it becomes an x, a pulse of the same length. So the reference takes as long as the circuit. Where no
    choice works, a pulse is inserted, and `Reference.changes` says so. The output is verified by a stabilizer
    simulation.

    A fault is invisible in the reference if it is a stabilizer of the state, as a Z on ``|0>`` is: 3 of the 15 Paulis
    on a pair of qubits. `reference_circuits` makes several references that complement one another.

    Args:
        circuit: compiled for the machine (rz, sx, x, rx; cx, cz, ecr, rzz, iswap, swap), of any width; not yet
            scheduled, if it is to be twirled. Angles of rotations about Z may be free parameters.
        calibration: calibration of the machine. With it, the reference is chosen whose expected flips are most similar
            to those of the circuit, `Reference.visible` is set, and no gates are used that the machine lacks.
        seed: seed of the random choices.
        dt: seconds per unit of a delay given in "dt", such as `backend.dt`. Without it, the reference of a circuit with
            such delays is chosen as if there were no calibration.

    Returns:
        Reference. Cost: some 30 microseconds per gate and try, up to 24 tries; with a calibration a millisecond.

    Raises:
        ValueError: the circuit has control flow or another gate, or measures nothing; or dt is negative.
        TypeError: `circuit` is not a circuit, or `calibration` is not a calibration.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.rz(0.4, 0), circuit.sx(0), circuit.sx(1), circuit.cz(0, 1), circuit.sx(1), circuit.measure_all()
        >>> reference = reference_circuit(circuit)
        >>> reference.circuit.count_ops()["cz"], len(reference.expected), reference.changes
        (1, 2, ('1 sx became x',))
    """
    return reference_circuits(circuit, 1, calibration, seed=seed, dt=dt)[0]


def reference_circuits(
    circuit: QuantumCircuit,
    many: int,
    calibration: Calibration | None = None,
    *,
    seed: int | np.random.Generator | None = 0,
    dt: float | None = None,
) -> tuple[Reference, ...]:
    """Make several references of a compiled circuit, in which different faults are visible.

    A fault that is a stabilizer of one reference's state may flip bits of another. With a calibration, each further
    reference is chosen so that the mean of all references' expected flips comes closest to the circuit's.

    Args:
        circuit, calibration, seed, dt: as in `reference_circuit`; so are cost and errors.
        many: number of references, at least 1. A circuit with few gates may have fewer distinct ones, which are then
            repeated.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.sx(0), circuit.sx(1), circuit.cz(0, 1), circuit.sx(0), circuit.sx(1), circuit.measure_all()
        >>> len(reference_circuits(circuit, 2))
        2
    """
    many = check_whole("many", many, 1)
    rng = make_rng(seed)
    check_circuit(circuit)
    if calibration is not None:
        check_calibration(calibration)
    dt = check_dt(dt)
    _check(circuit)
    size = max(1, sum(1 for item in circuit.data if item.name not in _VIRTUAL))
    tries = min(_TRIES, 1 + _EFFORT // size)
    gates = () if calibration is None else calibration.gates_1q
    plans = sorted((_Plan(circuit, rng, gates) for _ in range(tries)), key=lambda plan: (plan.inserted, plan.halved))
    best = [plan for plan in plans if plan.inserted == plans[0].inserted]
    target = None if calibration is None or calibration.harmless else _faults(circuit, calibration, dt)
    if calibration is None or target is None:
        return tuple(_build(circuit, best[i % len(best)]) for i in range(many))
    candidates = [_build(circuit, plan) for plan in best[: max(many, min(8, _EFFORT // (4 * size)))]]
    faults = [_faults(candidate.circuit, calibration, dt) for candidate in candidates]
    goal, parities = _parities(target), [None if each is None else _parities(each) for each in faults]
    chosen: list[int] = []
    for _ in range(many):
        unused = [i for i in range(len(candidates)) if i not in chosen] or list(range(len(candidates)))
        distances = [_distance(goal, [parities[k] for k in (*chosen, i)]) for i in unused]
        chosen.append(unused[int(np.argmin(distances))])
    return tuple(dataclasses.replace(candidates[i], visible=_visible(target, faults[i])) for i in chosen)


def _check(circuit: QuantumCircuit) -> None:
    """Raise ValueError for a circuit of which no reference can be made."""
    known = _VIRTUAL | _ADJUSTABLE | _FLIP | _STILL | _COUPLING | {"reset"}
    for item in circuit.data:
        if has_blocks(item):
            raise ValueError(
                f"a reference needs a circuit without control flow; got {item.name!r} in {circuit.name!r}: run it "
                "without a reference"
            )
        if item.name not in known and not is_measurement(item.name):
            raise ValueError(
                f"a reference needs a compiled circuit of the gates {', '.join(sorted(known - {'reset'}))}; "
                f"got {item.name!r} in {circuit.name!r}: compile it for an IBM machine that has rz and sx"
            )
    if not any(is_measurement(item.name) for item in circuit.data):
        raise ValueError(f"a reference needs a circuit that measures; {circuit.name!r} does not")


@dataclass(frozen=True)
class _Op:
    """One operation of a reference."""

    name: str
    qubits: tuple[int, ...]
    place: int
    """Position of the corresponding operation of the circuit; -1 if there is none."""
    quarters: int = 0
    """Angle of a rotation about Z or a pulse, in quarter turns."""


@dataclass(frozen=True)
class _Option:
    """A way to bring the qubits of an operation into states that suit it."""

    axes: tuple[int, ...]
    """Axis of each qubit's state just before the operation."""
    inserted: tuple[bool, ...]
    """Whether each qubit needs an additional pulse."""
    price: float


class _Plan:
    """Plan of a reference: a walk over a circuit that tracks the axis of each qubit's state, with random choices.

    Args:
        circuit: the compiled circuit.
        rng: source of randomness.
        gates: the machine's gates on one qubit; if there are none, rz, sx and x are assumed.
    """

    def __init__(self, circuit: QuantumCircuit, rng: np.random.Generator, gates: Sequence[str]) -> None:
        index = {bit: i for i, bit in enumerate(circuit.qubits)}
        self.items = [(item.name, tuple(index[q] for q in item.qubits)) for item in circuit.data]
        self.rng = rng
        self.has_x = not gates or "x" in gates
        self.virtual = next((name for name in ("rz", "p", "u1") if name in gates), "rz")
        """Name of the rotations about Z."""
        self.pulse = "rx" if "rx" in gates and "sx" not in gates else "sx"
        """Name of the additional pulses, which rotate by a quarter turn."""
        self.axes = [Z] * circuit.num_qubits
        self.pending: list[list[int]] = [[] for _ in range(circuit.num_qubits)]
        """Positions of each qubit's pulses whose angles are not chosen yet."""
        self.halved = 0
        """Number of adjustable pulses that rotate by a half turn."""
        self.inserted = 0
        """Number of additional pulses."""
        self.pulses: dict[int, tuple[int, bool]] = {}
        """For each pulse, by position: quarter turns about Z before it, and whether it rotates by a half turn."""
        self.turns: dict[tuple[int, int], tuple[int, ...]] = {}
        """By position and qubit: quarter turns about Z just before an operation, with an inserted pulse between two."""
        self.ahead = self._look_ahead(circuit.num_qubits)
        self._choose()

    def _look_ahead(self, n_qubits: int) -> dict[tuple[int, int], str]:
        """For each coupling and qubit, find what follows before any pulse: a "measure", a "gate" (coupling), or ""."""
        coming = [""] * n_qubits
        ahead = {}
        for place in range(len(self.items) - 1, -1, -1):
            name, qubits = self.items[place]
            for q in qubits:
                if name in _COUPLING:
                    ahead[place, q], coming[q] = coming[q], "gate"
                elif is_measurement(name):
                    coming[q] = "measure"
                elif name in _ADJUSTABLE or name == "reset":
                    coming[q] = ""
        return ahead

    def _choose(self) -> None:
        """Walk over the circuit and choose the states before every coupling and measurement."""
        for place, (name, qubits) in enumerate(self.items):
            if name in _ADJUSTABLE | _FLIP:
                self.pending[qubits[0]].append(place)
            elif name in _COUPLING:
                self._couple(place, name, qubits)
            elif is_measurement(name):
                self._prepare(place, qubits, self._cheapest([((Z,), (Z,))], place, qubits))
            elif name == "reset":
                self.axes[qubits[0]], self.pending[qubits[0]] = Z, []

    def _couple(self, place: int, name: str, qubits: tuple[int, ...]) -> None:
        """Choose the states of two qubits before a coupling."""
        table = _suitable(name)
        option = self._cheapest(list(table.items()), place, qubits)
        self._prepare(place, qubits, option)
        for q, axis in zip(qubits, table[option.axes], strict=True):
            self.axes[q] = axis

    def _cheapest(
        self, transitions: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], place: int, qubits: tuple[int, ...]
    ) -> _Option:
        """Choose at random among the cheapest transitions (axes before, axes after) of an operation."""
        options = []
        for before, after in transitions:
            price, inserted = 0.0, []
            for q, axis, axis_after in zip(qubits, before, after, strict=True):
                cost = self._cost(q, axis, insert=False)
                insert = not np.isfinite(cost)
                price += 10 + self._cost(q, axis, insert=True) if insert else 0.5 * cost
                inserted.append(insert)
                ahead = self.ahead.get((place, q), "")
                price += 0 if axis_after == Z else 10 if ahead == "measure" else 0.5 if ahead == "gate" else 0
            options.append(_Option(before, tuple(inserted), price))
        lowest = min(option.price for option in options)
        best = [option for option in options if option.price <= lowest + 0.5]
        return best[int(self.rng.integers(len(best)))]

    def _names(self, qubit: int, insert: bool) -> list[str]:
        """Return the names of a qubit's pending pulses, followed by an sx if one is to be inserted."""
        names = [self.items[place][0] for place in self.pending[qubit]] + [self.pulse] * insert
        return names if self.has_x else [_QUARTER if name == "sx" else name for name in names]

    def _cost(self, qubit: int, axis: int, *, insert: bool) -> float:
        """Return the cost of bringing a qubit's state to an axis by its pending pulses."""
        return _costs(tuple(self._names(qubit, insert)), axis)[0][self.axes[qubit]]

    def _prepare(self, place: int, qubits: tuple[int, ...], option: _Option) -> None:
        """Choose the angles of each qubit's pending pulses, so that its state suits the operation at this position."""
        for q, goal, insert in zip(qubits, option.axes, option.inserted, strict=True):
            names = self._names(q, insert)
            costs, axis, turns = _costs(tuple(names), goal), self.axes[q], []
            for i, name in enumerate(names):
                ways = [
                    (cost + costs[i + 1][end], turn, half)
                    for turn, half, cost, end in _ways(name, axis)
                ]  # fmt: skip
                lowest = min(price for price, _, _ in ways)
                turn, half = next((t, h) for price, t, h in ways if price == lowest)
                turn += 2 * int(self.rng.integers(2))
                axis = _after((axis + turn) % 2 if axis != Z else Z, half)
                turns.append(turn)
                self.halved += half and name in _ADJUSTABLE
                if i < len(self.pending[q]):
                    self.pulses[self.pending[q][i]] = turn, half
            last = (0 if axis == goal else 1) + 2 * int(self.rng.integers(2))
            if insert:
                self.inserted += 1
                self.turns[place, q] = turns[-1], last
            else:
                self.turns[place, q] = (last,)
            self.axes[q], self.pending[q] = goal, []

    def ops(self) -> Iterator[_Op]:
        """Yield the operations of the reference, in order."""
        for place, (name, qubits) in enumerate(self.items):
            if name in _VIRTUAL:
                continue
            for q in qubits:
                if place in self.pulses and self.pulses[place][0]:
                    yield _Op(self.virtual, (q,), -1, self.pulses[place][0])
                for i, turn in enumerate(self.turns.get((place, q), ())):
                    if i:
                        yield _Op(self.pulse, (q,), -1, 1)
                    if turn % 4:
                        yield _Op(self.virtual, (q,), -1, turn)
            half = self.pulses.get(place, (0, False))[1]
            yield _Op("x" if half and name == "sx" else name, qubits, place, 2 if half else 1)


def _after(axis: int, half: bool) -> int:
    """Return the axis of a state after a pulse about X: a quarter turn exchanges Y and Z."""
    return axis if half or axis == X else Y + Z - axis


def _ways(name: str, axis: int) -> list[tuple[int, bool, float, int]]:
    """List the uses of a pulse on a state: quarter turns before it, whether it is a half turn, price, axis after it."""
    ways = []
    for turn in (0, 1) if axis != Z else (0,):
        turned = axis if axis == Z else (axis + turn) % 2
        if name not in _FLIP:
            ways.append((turn, False, 0.0, _after(turned, False)))
        if name != _QUARTER:
            ways.append((turn, True, float(name in _ADJUSTABLE), _after(turned, True)))
    return ways


@lru_cache(maxsize=4096)
def _costs(names: tuple[str, ...], goal: int) -> list[list[float]]:
    """Return the price of bringing each axis to the goal, from before each pulse and from after the last."""
    costs = [[0.0 if axis == goal or (axis != Z and goal != Z) else np.inf for axis in (X, Y, Z)]]
    for name in reversed(names):
        costs.append([min(price + costs[-1][end] for _, _, price, end in _ways(name, axis)) for axis in (X, Y, Z)])
    return list(reversed(costs))


@lru_cache(maxsize=16)
def _suitable(name: str) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Map the axes of two qubits before a gate to their axes after it, for states that it leaves a product state."""
    image = images(name)
    suitable: dict[tuple[int, ...], tuple[int, ...]] = {}
    for a, b in product((X, Y, Z), repeat=2):
        stabilizers = [image[pair] for pair in ((a + 1, 0), (0, b + 1), (a + 1, b + 1))]
        local = [i - 1 for i, j in stabilizers if i and not j], [j - 1 for i, j in stabilizers if j and not i]
        if all(local):
            suitable[a, b] = local[0][0], local[1][0]
    return suitable


@lru_cache(maxsize=64)
def _gate(name: str, quarters: int) -> Any:
    """Make a gate by name, with an angle in quarter turns if it has one."""
    from qiskit.circuit.library import get_standard_gate_name_mapping

    gate = get_standard_gate_name_mapping()[name]
    return type(gate)(pi / 2 * (quarters % 4)) if gate.params else gate


def _build(circuit: QuantumCircuit, plan: _Plan) -> Reference:
    """Build the circuit of a planned reference, and determine its output."""
    from qiskit.circuit import CircuitInstruction

    reference = circuit.copy_empty_like()
    reference.global_phase = 0.0
    keep_labels(circuit, reference)
    reference.name = f"reference of {circuit.name}"
    for op in plan.ops():
        item = circuit.data[op.place] if op.place >= 0 else None
        if item is None or op.name != item.name or op.name in ("rx", "rzz"):
            gate = _gate(op.name, 1 if op.name == "rzz" else op.quarters)
            item = CircuitInstruction(gate, [reference.qubits[q] for q in op.qubits])
        reference._append(item)
    swapped = sum(half and plan.items[place][0] == "sx" for place, (_, half) in plan.pulses.items())
    changes = {"sx became x": swapped, f"{plan.pulse} were inserted": plan.inserted}
    notes = tuple(f"{count} {change}" for change, count in changes.items() if count)
    return Reference(reference, output(reference), notes)


def output(circuit: QuantumCircuit) -> str:
    """Find the only noiseless output string of a Clifford circuit, by a stabilizer simulation.

    Raises:
        ValueError: the circuit is not a Clifford circuit, or has more than one output string.
    """
    flat = _flat(circuit)
    if not is_clifford(flat):
        raise ValueError(f"only a Clifford circuit can be checked; {circuit.name!r} is not one")
    (outcomes,) = noiseless_outcomes([flat], shots=32, seed=0)
    if len(outcomes) > 1:
        raise ValueError(f"the circuit must read one string; {circuit.name!r} reads at least {len(outcomes)}")
    read = np.zeros((1, circuit.num_clbits), dtype=bool)
    measured = [bits for item, _, bits, _ in steps(circuit) if is_measurement(item.name)]
    for bit, outcome in zip(measured, outcomes[0], strict=True):
        read[0, bit] = outcome
    return format_bitstrings(read)[0]


def _flat(circuit: QuantumCircuit) -> QuantumCircuit:
    """Replace p, u1, rx, rzz and iswap by rz and basic Clifford gates, and variants of a measurement by it."""
    flat: QuantumCircuit = circuit.copy_empty_like()
    for item in circuit.data:
        if is_measurement(item.name):
            flat.measure(item.qubits, item.clbits)
        elif item.name in ("p", "u1"):
            flat.rz(item.params[0], item.qubits)
        elif item.name == "rx":
            flat.h(item.qubits)
            flat.rz(item.params[0], item.qubits)
            flat.h(item.qubits)
        elif item.name in ("rzz", "iswap"):
            flat.compose(item.operation.definition, item.qubits, inplace=True)
        else:
            flat._append(item)
    return flat


def _faults(circuit: QuantumCircuit, calibration: Calibration, dt: float | None) -> Located | None:
    """Find the expected faults by place; None where that is impossible, for instance because dt is missing."""
    try:
        return located_faults(circuit, calibration, dt=dt)
    except (ValueError, QClusterError):
        return None


def _distance(goal: Floats, parities: Sequence[Floats | None]) -> float:
    """Return the mean distance between the average of references' parities and the circuit's; inf if one is unknown."""
    known = [each for each in parities if each is not None]
    return float(np.abs(np.mean(known, axis=0) - goal).mean()) if len(known) == len(parities) else np.inf


def _parities(faults: Located) -> Floats:
    """Return the expected values of (-1)^flip of each bit, and of each pair of adjacent bits, under the faults."""
    masks = unpack(faults.masks, faults.n_bits)
    odd = np.concatenate([masks.T, (masks[:, 1:] ^ masks[:, :-1]).T])
    return np.asarray(np.exp(-2 * odd @ faults.rates))


def _visible(target: Located, reference: Located | None) -> float | None:
    """Return `Reference.visible` for the faults of a circuit and of its reference."""
    if reference is None:
        return None
    here, there = (
        dict(zip(each.places, np.bincount(each.place, each.rates, len(each.places)).tolist(), strict=True))
        for each in (reference, target)
    )
    total = float(sum(there.values()))
    return float(sum(min(rate, here.get(place, 0.0)) for place, rate in there.items())) / total if total else 1.0
