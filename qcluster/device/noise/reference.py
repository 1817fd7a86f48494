"""Reference circuits: the two-qubit gates of a compiled circuit, with angles that make its output one known string.

A circuit whose qubits are in eigenstates of X, Y or Z throughout has a known output, and what its counts show besides
is noise. Every two-qubit gate of IBM's machines keeps such a state one if the states of its qubits suit it (a cz needs
one of them in |0> or |1>), and one-qubit gates, whose angles are virtual rotations about Z, can bring the states about:
the pulses, their places and their times stay those of the circuit.
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
from qcluster.device.circuits.timeline import check_calibration, check_circuit, has_blocks, steps
from qcluster.device.circuits.twirl import keep_labels
from qcluster.device.noise.faults import Located, located_faults
from qcluster.device.noise.frames import is_clifford, noiseless_outcomes
from qcluster.errors import QClusterError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration

X, Y, Z = range(3)

_VIRTUAL = {"rz", "p", "u1", "z", "s", "sdg", "t", "tdg"}
"""Rotations about Z, which take no time: the reference has its own."""
_HALF = {"sx", "rx"}
"""Pulses that may turn by a quarter or a half."""
_FLIP = {"x", "y"}
"""Pulses that turn Z into Z and leave the equator on the equator."""
_SAME_LENGTH = {"sx", "x"}
"""Pulses that may stand for each other."""
_STILL = {"barrier", "delay", "id"}
_COUPLING = {"cx", "cz", "ecr", "iswap", "swap", "rzz"}
_TRIES = 24
"""Choices of states that are compared, for a small circuit."""
_EFFORT = 20_000
"""Gates at most that are looked at in all tries together, but for the first."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Hold a reference circuit and what it reads without noise."""

    circuit: QuantumCircuit
    """Same qubits, layout, registers, two-qubit gates, pulses, delays and measurements as the circuit's."""
    expected: str
    """Its noiseless output, classical bit 0 rightmost."""
    changes: tuple[str, ...] = ()
    """How it differs from the circuit in more than the angles of virtual rotations, in words."""
    visible: float | None = None
    """Share of the faults that flip bits of the circuit, by the calibration, that flip bits here: at each place at most
    as many as there. None without a calibration, or one that publishes no errors."""


def skeleton(circuit: QuantumCircuit) -> str:
    """Give a name to all that a reference depends on: gates but virtual ones, their places, delays and measurements.

    Circuits of one skeleton share a reference: the points of a parameter sweep, for instance. Names, and how bits are
    put in registers, do not count.

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
    """Make the reference of a compiled circuit: same gates at the same places and times, one known output.

    See `reference_circuits`, which makes several.

    Rotations about Z are chosen anew (multiples of a quarter turn), and where a single sx would put both qubits of a
    gate on the equator it becomes an x, a pulse of the same length. So the reference costs what the circuit costs.
    Where no choice will do, a pulse is inserted, and `Reference.changes` says so. The output is checked by a stabilizer
    simulation. A fault is invisible in it if it is a stabilizer of the state, as a Z on ``|0>``: 3 of the 15 Paulis on
    a pair of qubits.

    Args:
        circuit: compiled for the machine (rz, sx, x, rx; cx, cz, ecr, rzz, iswap, swap), of any width; not scheduled,
            if it is to be twirled. Angles of rotations about Z may be free parameters.
        calibration: of the machine. With it, the choice is taken whose expected flips are the likest to the
            circuit's, and it is said what share of the circuit's faults the reference sees.
        seed: of the choices.
        dt: seconds per unit of a delay given in "dt", as `backend.dt` has it; without it, a circuit with such delays
            has its reference chosen as if there were no calibration.

    Returns:
        Reference. Cost: some 30 microseconds a gate and try, up to 24 tries; with a calibration a millisecond.

    Raises:
        ValueError: control flow, a gate that is none of these, or nothing measured.
        TypeError: what is no circuit, or no calibration.

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
    """Make several references of a compiled circuit, which differ in what they see.

    A fault that is a stabilizer of one reference's state flips bits in another one. With a calibration, each further
    reference is the one that brings the mean of their expected flips nearest to the circuit's.

    Args:
        circuit, calibration, seed, dt: as in `reference_circuit`, as are cost and errors.
        many: how many, at least 1. A circuit with few gates may have fewer that differ; then one is taken again.

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
    _check(circuit)
    size = max(1, sum(1 for item in circuit.data if item.name not in _VIRTUAL))
    tries = min(_TRIES, 1 + _EFFORT // size)
    plans = sorted((_Plan(circuit, rng) for _ in range(tries)), key=lambda plan: (plan.inserted, plan.halved))
    best = [plan for plan in plans if plan.inserted == plans[0].inserted]
    target = None if calibration is None or calibration.harmless else _faults(circuit, calibration, dt)
    if calibration is None or target is None:
        return tuple(_made(circuit, best[i % len(best)]) for i in range(many))
    made = [_made(circuit, plan) for plan in best[: max(many, min(8, _EFFORT // (4 * size)))]]
    found = [_faults(each.circuit, calibration, dt) for each in made]
    goal, parities = _parities(target), [None if faults is None else _parities(faults) for faults in found]
    chosen: list[int] = []
    for _ in range(many):
        left = [i for i in range(len(made)) if i not in chosen] or list(range(len(made)))
        unlike = [_apart(goal, [parities[k] for k in (*chosen, i)]) for i in left]
        chosen.append(left[int(np.argmin(unlike))])
    return tuple(dataclasses.replace(made[i], visible=_visible(target, found[i])) for i in chosen)


def _check(circuit: QuantumCircuit) -> None:
    known = _VIRTUAL | _HALF | _FLIP | _STILL | _COUPLING | {"measure", "reset"}
    for item in circuit.data:
        if has_blocks(item):
            raise ValueError(f"a reference needs a circuit without control flow; got {item.name!r}")
        if item.name not in known:
            raise ValueError(
                f"a reference needs a compiled circuit of the gates {', '.join(sorted(known - {'measure', 'reset'}))}; "
                f"got {item.name!r}: compile it for an IBM machine"
            )
    if not any(item.name == "measure" for item in circuit.data):
        raise ValueError(f"a reference needs a circuit that measures; {circuit.name!r} does not")


@dataclass(frozen=True)
class _Op:
    """One operation of a reference."""

    name: str
    qubits: tuple[int, ...]
    place: int
    """Position of the operation of the circuit that it stands for; -1 where there is none."""
    quarters: int = 0
    """Of an "rz": its angle in quarter turns."""


@dataclass(frozen=True)
class _Option:
    """A way to bring the qubits of an operation to states that suit it."""

    axes: tuple[int, ...]
    """Of each qubit, before."""
    inserted: tuple[bool, ...]
    """Whether each qubit needs another pulse."""
    price: float


class _Plan:
    """A reference in the making: a walk over a circuit with an axis for each qubit's state, choosing at random where
    there is a choice."""

    def __init__(self, circuit: QuantumCircuit, rng: np.random.Generator) -> None:
        index = {bit: i for i, bit in enumerate(circuit.qubits)}
        self.items = [(item.name, tuple(index[q] for q in item.qubits)) for item in circuit.data]
        self.rng = rng
        self.axes = [Z] * circuit.num_qubits
        self.pending: list[list[int]] = [[] for _ in range(circuit.num_qubits)]
        self.halved = 0
        """How many sx became x."""
        self.inserted = 0
        """How many pulses there are more."""
        self.pulses: dict[int, tuple[int, bool]] = {}
        """By position: quarter turns before the pulse, and whether it turns by a half."""
        self.turns: dict[tuple[int, int], tuple[int, ...]] = {}
        """By position and qubit: quarter turns just before an operation, a pulse between any two."""
        self.ahead = self._look_ahead(circuit.num_qubits)
        self._choose()

    def _look_ahead(self, n_qubits: int) -> dict[tuple[int, int], str]:
        """By position and qubit, what comes after a coupling before any pulse: a "measure", a "gate", or ""."""
        coming = [""] * n_qubits
        ahead = {}
        for place in range(len(self.items) - 1, -1, -1):
            name, qubits = self.items[place]
            for q in qubits:
                if name in _COUPLING:
                    ahead[place, q], coming[q] = coming[q], "gate"
                elif name == "measure":
                    coming[q] = "measure"
                elif name in _HALF or name == "reset":
                    coming[q] = ""
        return ahead

    def _choose(self) -> None:
        for place, (name, qubits) in enumerate(self.items):
            if name in _HALF | _FLIP:
                self.pending[qubits[0]].append(place)
            elif name in _COUPLING:
                self._couple(place, name, qubits)
            elif name == "measure":
                self._bring(place, qubits, self._cheapest([((Z,), (Z,))], place, qubits))
            elif name == "reset":
                self.axes[qubits[0]], self.pending[qubits[0]] = Z, []

    def _couple(self, place: int, name: str, qubits: tuple[int, ...]) -> None:
        table = _suitable(name)
        option = self._cheapest(list(table.items()), place, qubits)
        self._bring(place, qubits, option)
        for q, axis in zip(qubits, table[option.axes], strict=True):
            self.axes[q] = axis

    def _cheapest(
        self, ways: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], place: int, qubits: tuple[int, ...]
    ) -> _Option:
        """Choose among the cheapest ways (axes before, axes after) at random."""
        options = []
        for before, after in ways:
            price, inserted = 0.0, []
            for q, axis, then in zip(qubits, before, after, strict=True):
                cost = self._cost(q, axis, insert=False)
                insert = not np.isfinite(cost)
                price += 10 + self._cost(q, axis, insert=True) if insert else 0.5 * cost
                inserted.append(insert)
                coming = self.ahead.get((place, q), "")
                price += 0 if then == Z else 10 if coming == "measure" else 0.5 if coming == "gate" else 0
            options.append(_Option(before, tuple(inserted), price))
        least = min(option.price for option in options)
        best = [option for option in options if option.price <= least + 0.5]
        return best[int(self.rng.integers(len(best)))]

    def _names(self, qubit: int, insert: bool) -> list[str]:
        return [self.items[place][0] for place in self.pending[qubit]] + ["sx"] * insert

    def _cost(self, qubit: int, axis: int, *, insert: bool) -> float:
        return _costs(tuple(self._names(qubit, insert)), axis)[0][self.axes[qubit]]

    def _bring(self, place: int, qubits: tuple[int, ...], option: _Option) -> None:
        """Settle the pulses of each qubit up to this operation."""
        for q, goal, insert in zip(qubits, option.axes, option.inserted, strict=True):
            names = self._names(q, insert)
            costs, axis, turns = _costs(tuple(names), goal), self.axes[q], []
            for i, name in enumerate(names):
                ways = [
                    (cost + costs[i + 1][end], turn, half)
                    for turn, half, cost, end in _ways(name, axis)
                ]  # fmt: skip
                least = min(price for price, _, _ in ways)
                turn, half = next((t, h) for price, t, h in ways if price == least)
                turn += 2 * int(self.rng.integers(2))
                axis = _after((axis + turn) % 2 if axis != Z else Z, half)
                turns.append(turn)
                self.halved += half and name in _HALF
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
        """Write down what was chosen."""
        for place, (name, qubits) in enumerate(self.items):
            if name in _VIRTUAL:
                continue
            for q in qubits:
                if place in self.pulses and self.pulses[place][0]:
                    yield _Op("rz", (q,), -1, self.pulses[place][0])
                for i, turn in enumerate(self.turns.get((place, q), ())):
                    if i:
                        yield _Op("sx", (q,), -1)
                    if turn % 4:
                        yield _Op("rz", (q,), -1, turn)
            half = self.pulses.get(place, (0, False))[1]
            yield _Op("x" if half and name == "sx" else name, qubits, place, 2 if half else 1)


def _after(axis: int, half: bool) -> int:
    """Axis after a pulse about X: a quarter turn exchanges Y and Z."""
    return axis if half or axis == X else Y + Z - axis


def _ways(name: str, axis: int) -> list[tuple[int, bool, float, int]]:
    """Quarter turn before a pulse, whether it turns by a half, the price, and the axis after it."""
    ways = []
    for turn in (0, 1) if axis != Z else (0,):
        turned = axis if axis == Z else (axis + turn) % 2
        if name in _HALF:
            ways.append((turn, False, 0.0, _after(turned, False)))
        ways.append((turn, True, float(name in _HALF), _after(turned, True)))
    return ways


@lru_cache(maxsize=4096)
def _costs(names: tuple[str, ...], goal: int) -> list[list[float]]:
    """Before each pulse, and after the last: price of bringing each axis to the goal."""
    costs = [[0.0 if axis == goal or (axis != Z and goal != Z) else np.inf for axis in (X, Y, Z)]]
    for name in reversed(names):
        costs.append([min(price + costs[-1][end] for _, _, price, end in _ways(name, axis)) for axis in (X, Y, Z)])
    return list(reversed(costs))


@lru_cache(maxsize=16)
def _suitable(name: str) -> dict[tuple[int, ...], tuple[int, ...]]:
    """States of two qubits that a gate leaves a product: axes before, and after."""
    image = images(name)
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for a, b in product((X, Y, Z), repeat=2):
        group = [image[pair] for pair in ((a + 1, 0), (0, b + 1), (a + 1, b + 1))]
        alone = [i - 1 for i, j in group if i and not j], [j - 1 for i, j in group if j and not i]
        if all(alone):
            found[a, b] = alone[0][0], alone[1][0]
    return found


@lru_cache(maxsize=64)
def _gate(name: str, quarters: int) -> Any:
    """Make a gate by name; angles in quarter turns."""
    from qiskit.circuit.library import get_standard_gate_name_mapping

    plain = get_standard_gate_name_mapping()[name]
    return type(plain)(pi / 2 * (quarters % 4)) if plain.params else plain


def _made(circuit: QuantumCircuit, plan: _Plan) -> Reference:
    """Write a planned reference as a circuit, and find its output."""
    from qiskit.circuit import CircuitInstruction

    made = circuit.copy_empty_like()
    made.global_phase = 0.0
    keep_labels(circuit, made)
    made.name = f"reference of {circuit.name}"
    for op in plan.ops():
        item = circuit.data[op.place] if op.place >= 0 else None
        if item is None or op.name != item.name or op.name in ("rx", "rzz"):
            gate = _gate(op.name, 1 if op.name == "rzz" else op.quarters)
            item = CircuitInstruction(gate, [made.qubits[q] for q in op.qubits])
        made._append(item)
    changed = {"sx became x": plan.halved, "sx were inserted": plan.inserted}
    return Reference(made, output(made), tuple(f"{many} {what}" for what, many in changed.items() if many))


def output(circuit: QuantumCircuit) -> str:
    """Find the one string that a Clifford circuit reads, by simulation; ValueError where there are more, or no such."""
    flat = _flat(circuit)
    if not is_clifford(flat):
        raise ValueError(f"only a Clifford circuit can be checked; {circuit.name!r} is not one")
    (outcomes,) = noiseless_outcomes([flat], shots=32, seed=0)
    if len(outcomes) > 1:
        raise ValueError(f"the circuit must read one string; {circuit.name!r} reads at least {len(outcomes)}")
    read = np.zeros((1, circuit.num_clbits), dtype=bool)
    written = [bits for item, _, bits, _ in steps(circuit) if item.name == "measure"]
    for bit, outcome in zip(written, outcomes[0], strict=True):
        read[0, bit] = outcome
    return format_bitstrings(read)[0]


def _flat(circuit: QuantumCircuit) -> QuantumCircuit:
    """Write rx, rzz and iswap in rz and plain Clifford gates."""
    flat: QuantumCircuit = circuit.copy_empty_like()
    for item in circuit.data:
        if item.name == "rx":
            flat.h(item.qubits)
            flat.rz(item.params[0], item.qubits)
            flat.h(item.qubits)
        elif item.name in ("rzz", "iswap"):
            flat.compose(item.operation.definition, item.qubits, inplace=True)
        else:
            flat._append(item)
    return flat


def _faults(circuit: QuantumCircuit, calibration: Calibration, dt: float | None) -> Located | None:
    """Expected faults by place; None where the calibration does not say."""
    try:
        return located_faults(circuit, calibration, dt=dt)
    except (ValueError, QClusterError):
        return None


def _apart(goal: Floats, parities: Sequence[Floats | None]) -> float:
    """How far the mean of what references expect of the flips is from what the circuit expects."""
    known = [one for one in parities if one is not None]
    return float(np.abs(np.mean(known, axis=0) - goal).mean()) if len(known) == len(parities) else np.inf


def _parities(faults: Located) -> Floats:
    """Expected sign of each bit's flip, and of each pair's of neighbouring numbers."""
    masks = unpack(faults.masks, faults.n_bits)
    odd = np.concatenate([masks.T, (masks[:, 1:] ^ masks[:, :-1]).T])
    return np.asarray(np.exp(-2 * odd @ faults.rates))


def _visible(target: Located, found: Located | None) -> float | None:
    if found is None:
        return None
    here, there = (
        dict(zip(one.places, np.bincount(one.place, one.rates, len(one.places)).tolist(), strict=True))
        for one in (found, target)
    )
    matter = float(sum(there.values()))
    return float(sum(min(rate, here.get(place, 0.0)) for place, rate in there.items())) / matter if matter else 1.0
