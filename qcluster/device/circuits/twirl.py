"""Pauli twirling: the same circuit in many dresses, so that coherent errors average to random bit flips.

Mitigation of counts rests on errors that flip bits at random. Twirling makes them so: every two-qubit gate is wrapped
in random Paulis that cancel, and every measurement is read upside down half of the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from qcluster.core.checks import check_choice, check_flag, check_whole, make_rng
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.device.circuits.dresses import (
    TWIRLED,
    bare_layers,
    draw_dresses,
    dress_quarter_turns,
    has_quarter_turns,
    is_twirled,
)
from qcluster.device.circuits.layers import STRATEGIES
from qcluster.device.circuits.timeline import SILENT, check_circuit, classical_bits, has_blocks, steps
from qcluster.device.storage import dressing

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

GROUPS = ("pauli", "balanced_pauli")
"""How Paulis are drawn, named as in the runtime's options: independently, or each equally often."""


@dataclass(frozen=True, eq=False)
class Twirls(Frozen):
    """Hold the dresses of one circuit, and which bits each of them flips."""

    circuits: tuple[QuantumCircuit, ...]
    """The twirled circuits: layout, name, metadata and registers as in the original."""
    flips: npt.NDArray[np.bool_]
    """(n_twirls, n_bits) bool. True where a circuit flips a bit before it reads it."""
    notes: tuple[str, ...] = ()
    """What could not be twirled, and why, in words."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def undo(self, counts: Iterable[Any]) -> tuple[Distribution, ...]:
        """Flip back what each circuit flipped.

        Args:
            counts: one per circuit and in their order, each anything that `Distribution.of` takes.

        Returns:
            One distribution per circuit; they add up (`+`) to that of the untwirled circuit.

        Raises:
            ValueError, TypeError: not as many counts as circuits, counts of another width, or what is no counts.
        """
        many, n_bits = self.flips.shape
        found = [Distribution.of(one, num_bits=n_bits) for one in counts]
        if len(found) != many:
            raise ValueError(f"there must be counts of each of the {many} circuits; got {len(found)}")
        return tuple(Distribution(read.bits ^ flip, read.weights) for read, flip in zip(found, self.flips, strict=True))


def twirl(
    circuit: QuantumCircuit,
    n_twirls: int,
    target: Target | None = None,
    *,
    seed: int | np.random.Generator | None = None,
    measure: bool = True,
    group: Literal["pauli", "balanced_pauli"] = "pauli",
    strategy: Literal["active", "active-accum", "active-circuit", "all"] = "active",
) -> Twirls:
    """Dress a circuit in random Paulis around its two-qubit gates and, on request, before its measurements.

    Each dress implements the same unitary up to a global phase and, with the flips undone, the same distribution.
    Qiskit's `pauli_twirl_2q_gates` does the gates, in control flow as well: cx, cy, cz, dcx, ecr, iswap, swap, and rzz
    by a quarter turn. Flips come in opposite pairs, so that for
    an even number of twirls every bit is read upside down exactly half of the time, which makes readout errors
    symmetric. Only what `measure` alone writes is flipped: a bit that the program itself reads or writes as well
    (control flow, `store`, expressions, boxes, instructions of your own) never is; a measurement in the middle of a
    circuit is flipped and the qubit flipped back.

    Args:
        circuit: best the compiled one, *before* it is scheduled: inserted gates take time.
        n_twirls: number of dresses, at least 1.
        target: the machine, so that inserted Paulis are made of its gates. Without it, bare x, y and z appear.
        seed: same seed, same twirls; the first k do not depend on n_twirls.
        measure: whether to twirl measurements.
        group: "balanced_pauli" draws so that each qubit of each gate has I, X, Y and Z before it equally often: once in
            every four twirls. Some 8 ms a twirl of 200 two-qubit gates.
        strategy: which qubits are twirled around a layer of two-qubit gates: only those of its gates ("active"), also
            idle ones that a gate or a measurement has met so far ("active-accum") or meets anywhere in the circuit
            ("active-circuit"), or all qubits of the circuit ("all"). But with "active", barriers hold each layer
            together, and in control flow no idle qubit is twirled. Cost: at most one x gate on each idle qubit between
            layers, in half of the dresses; z is free on IBM's machines. Some 10 ms a twirl of 200 two-qubit gates in 40
            layers on 11 qubits; with "all" on a machine of 133, some 66 ms.

    Returns:
        The circuits and their flips. Some 2 ms a twirl of 200 two-qubit gates (`python -m benchmarks.twirls`).

    Raises:
        TypeError: what is no circuit, or no target.
        ValueError: n_twirls is below 1, strategy or group is unknown, the circuit is already scheduled, or the target
            has no gate to flip with.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.measure_all()
        >>> twirls = twirl(circuit, 4, seed=7)
        >>> len(twirls.circuits), twirls.flips.sum(axis=0).tolist()
        (4, [2, 2])
    """
    rng = make_rng(seed)
    check_circuit(circuit)
    n_twirls, measure = check_whole("n_twirls", n_twirls, 1), check_flag("measure", measure)
    if target is not None and not hasattr(target, "instruction_supported"):
        raise TypeError(f"target must be a Qiskit Target; got {type(target).__name__}: give backend.target")
    check_choice("group", group, GROUPS)
    check_choice("strategy", strategy, STRATEGIES)
    if getattr(circuit, "_op_start_times", None) is not None:
        raise ValueError(
            f"circuit {circuit.name!r} is already scheduled: twirl first, then schedule (inserted gates take time)"
        )
    gates, flips = rng.spawn(2)
    dressed = _twirl_gates(circuit, n_twirls, target, gates, group, strategy)
    notes = _untwirled_gates(circuit)
    if strategy != "active" and any(has_blocks(item) for item in circuit.data):
        notes += (f"strategy={strategy!r} reaches no idle qubits in control flow and boxes",)
    masks = np.zeros((n_twirls, circuit.num_clbits), dtype=bool)
    if measure and any(item.name == "measure" for item in circuit.data):
        turn = _half_turn(target)
        locked = _locked_bits(circuit)
        masks = _opposite_pairs(n_twirls, circuit.num_clbits, flips)
        masks[:, sorted(locked)] = False
        masks[:, _unread_bits(circuit)] = False
        if locked:
            notes += (f"bits {sorted(locked)} are read or written by the program itself and never flipped",)
        for dress, mask in zip(dressed, masks, strict=True):
            _flip_measurements(dress, mask, turn)
    masks.flags.writeable = False
    return Twirls(tuple(dressed), masks, notes)


def _twirl_gates(
    circuit: QuantumCircuit,
    n_twirls: int,
    target: Target | None,
    rng: np.random.Generator,
    group: str,
    strategy: str,
) -> list[QuantumCircuit]:
    from qiskit.circuit import pauli_twirl_2q_gates
    from qiskit.circuit.library import get_standard_gate_name_mapping

    known = get_standard_gate_name_mapping()
    gates, seed = [known[name] for name in TWIRLED], int(rng.integers(2**63))
    with dressing(lambda said: ValueError(f"circuit {circuit.name!r} cannot be twirled: {said}")):
        if group != "pauli" or strategy != "active":
            balanced = group == "balanced_pauli"
            dressed = draw_dresses(circuit, n_twirls, target, rng, strategy=strategy, balanced=balanced)
        elif has_quarter_turns(circuit):
            dressed = [
                pauli_twirl_2q_gates(
                    dress_quarter_turns(circuit, rng), gates, seed=int(rng.integers(2**63)), target=target
                )
                for _ in range(n_twirls)
            ]
        else:
            dressed = pauli_twirl_2q_gates(circuit, gates, seed=seed, num_twirls=n_twirls, target=target)
    for twirled in dressed:
        keep_labels(circuit, twirled)
    return dressed


def layered(circuit: QuantumCircuit, target: Target | None, strategy: str) -> QuantumCircuit:
    """Give the circuit that the dresses of a strategy take as long as: with its barriers, without Paulis."""
    if strategy == "active":
        return circuit
    result = bare_layers(circuit, target, strategy)
    keep_labels(circuit, result)
    return result


def keep_labels(source: QuantumCircuit, result: QuantumCircuit) -> None:
    """Give a rewritten circuit the name, metadata and layout of its source, which Qiskit's passes drop."""
    result.name = source.name
    result.metadata = dict(source.metadata or {})
    result._layout = source._layout


def _untwirled_gates(circuit: QuantumCircuit) -> tuple[str, ...]:
    others = {
        item.name
        for item, *_ in steps(circuit)
        if len(item.qubits) > 1 and item.name not in SILENT and not has_blocks(item) and not is_twirled(item.operation)
    }
    return tuple(f"{name} gates are not twirled: no set of Paulis passes through them" for name in sorted(others))


def _opposite_pairs(n_twirls: int, n_bits: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw (n_twirls, n_bits) fair coins, rows 2i and 2i+1 opposite; the first rows do not depend on n_twirls."""
    half = rng.integers(2, size=((n_twirls + 1) // 2, n_bits), dtype=np.uint8).astype(bool)
    masks: npt.NDArray[np.bool_] = np.stack([half, ~half], axis=1).reshape(-1, n_bits)[:n_twirls]
    return masks


def _locked_bits(circuit: QuantumCircuit) -> set[int]:
    """Find the bits that anything but a plain measurement reads or writes: their values must be the program's own."""
    index = {bit: i for i, bit in enumerate(circuit.clbits)}
    locked: set[int] = set()
    for item in circuit.data:
        if (item.clbits and item.name != "measure") or item.name == "store":
            locked.update(index[bit] for bit in (*item.clbits, *classical_bits(item.operation)))
    return locked


def _unread_bits(circuit: QuantumCircuit) -> list[int]:
    read = {bit for item in circuit.data if item.name == "measure" for bit in item.clbits}
    return [i for i, bit in enumerate(circuit.clbits) if bit not in read]


def _half_turn(target: Target | None) -> list[Any]:
    """Spell an x in gates of the machine: some old ones have no x."""
    from qiskit.circuit.library import SXGate, U3Gate, UGate, XGate

    spellings = ([XGate()], [SXGate(), SXGate()], [UGate(np.pi, 0, np.pi)], [U3Gate(np.pi, 0, np.pi)])
    for gates in spellings:
        if target is None or gates[0].name in target.operation_names:
            return gates
    raise ValueError(
        "measurement twirling needs a machine with one of the gates x, sx, u and u3; this one has "
        f"{', '.join(sorted(target.operation_names if target is not None else ()))}: leave measurements as they are, "
        "measure_twirl=False (of `twirl`: measure=False)"
    )


def _flip_measurements(circuit: QuantumCircuit, mask: npt.NDArray[np.bool_], turn: list[Any]) -> None:
    """Put an x before each measurement into a masked bit, and another behind it where the qubit goes on; in place."""
    from qiskit.circuit import CircuitInstruction

    bits = {bit for bit, flip in zip(circuit.clbits, mask, strict=True) if flip}
    seen: set[Any] = set()
    places = []
    for i in range(len(circuit.data) - 1, -1, -1):
        item = circuit.data[i]
        if item.name in {"barrier", "delay"}:
            continue
        if item.name == "measure" and item.clbits[0] in bits:
            places.append((i, item.qubits, item.qubits[0] in seen))
        seen.update(item.qubits)
    for i, qubits, goes_on in places:
        flip = [CircuitInstruction(gate, qubits) for gate in turn]
        for part in flip if goes_on else ():
            circuit.data.insert(i + 1, part)
        for part in flip:
            circuit.data.insert(i, part)
