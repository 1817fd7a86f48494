"""Pauli twirling: random equivalent versions of a circuit, over which coherent errors average to random bit flips.

Mitigation of counts assumes errors that flip bits at random. Twirling makes errors behave so: random Paulis that cancel
each other surround every two-qubit gate, and measured qubits are flipped before half of the measurements.
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
from qcluster.device.circuits.layers import STRATEGIES
from qcluster.device.circuits.timeline import SILENT, check_circuit, classical_bits, has_blocks, steps
from qcluster.device.circuits.twirl_gates import (
    TWIRLED,
    bare_layers,
    draw_twirls,
    has_quarter_turns,
    is_twirled,
    twirl_quarter_turns,
)
from qcluster.device.storage import replacing_errors

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

GROUPS = ("pauli", "balanced_pauli")
"""How Paulis are drawn, named as in the runtime's options: independently, or so that each occurs equally often."""


@dataclass(frozen=True, eq=False)
class Twirls(Frozen):
    """The twirled versions of one circuit, and the bits that each of them flips."""

    circuits: tuple[QuantumCircuit, ...]
    """The twirled circuits: layout, name, metadata and registers as in the original."""
    flips: npt.NDArray[np.bool_]
    """(n_twirls, n_bits) bool. True where a circuit flips a bit before it reads it."""
    notes: tuple[str, ...] = ()
    """What could not be twirled, and why."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def undo(self, counts: Iterable[Any]) -> tuple[Distribution, ...]:
        """Undo the flips of each circuit in its counts.

        Args:
            counts: counts of each circuit, in order, in any form that `Distribution.of` takes.

        Returns:
            One distribution per circuit; their sum (`+`) estimates the distribution of the untwirled circuit.

        Raises:
            ValueError, TypeError: the number of counts is not that of the circuits, their width is not that of the
                circuit, or something is not counts.
        """
        n_twirls, n_bits = self.flips.shape
        read = [Distribution.of(each, num_bits=n_bits) for each in counts]
        if len(read) != n_twirls:
            raise ValueError(f"there must be counts of each of the {n_twirls} circuits; got {len(read)}")
        return tuple(Distribution(each.bits ^ flip, each.weights) for each, flip in zip(read, self.flips, strict=True))


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
    """Surround the two-qubit gates of a circuit by random Paulis that cancel, and optionally flip its measurements.

    Each twirled circuit implements the same unitary up to a global phase and, with the flips undone, the same
    distribution.

    Gates: cx, cy, cz, dcx, ecr, iswap, swap, and rzz by a quarter turn are twirled, by Qiskit's `pauli_twirl_2q_gates`
    where it suffices; in control flow as well.

    Measurements: flips come in opposite pairs, so that with an even number of twirls every bit is flipped in exactly
    half of them, which makes readout errors symmetric. A qubit that is used after its measurement is flipped back. A
    bit is flipped only if plain measurements alone write it and the program does not use it: not one in control flow,
    `store`, expressions, boxes or instructions of your own.

    Args:
        circuit: preferably the compiled one, *before* it is scheduled, since inserted gates take time.
        n_twirls: number of twirled circuits, at least 1.
        target: the machine; inserted Paulis are then built from its gates. Without it, they are plain x, y and z.
        seed: the same seed gives the same twirls; the first k do not depend on n_twirls.
        measure: whether to twirl measurements.
        group: "balanced_pauli" draws so that each qubit of each gate has I, X, Y and Z before it equally often: once in
            every four twirls. Some 8 ms per twirl of 200 two-qubit gates.
        strategy: which qubits are twirled around a layer of two-qubit gates: only the qubits of its gates ("active"),
            also idle qubits that a gate or a measurement has used so far ("active-accum") or uses anywhere in the
            circuit ("active-circuit"), or all qubits of the circuit ("all"). Except with "active", barriers keep each
            layer together, and in control flow idle qubits are not twirled. Cost: at most one x gate on each idle qubit
            between layers, in half of the twirls; z is free on IBM's machines. Some 10 ms per twirl of 200 two-qubit
            gates in 40 layers on 11 qubits; with "all" on a machine of 133, some 66 ms.

    Returns:
        The circuits and their flips. Some 2 ms per twirl of 200 two-qubit gates (`python -m benchmarks.twirls`).

    Raises:
        TypeError: `circuit` is not a circuit, or `target` is not a target.
        ValueError: n_twirls is below 1, strategy or group is unknown, the circuit is already scheduled, or the target
            has no gate to flip a qubit with.

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
    gate_rng, flip_rng = rng.spawn(2)
    twirled = _twirl_gates(circuit, n_twirls, target, gate_rng, group, strategy)
    notes = _untwirled_gates(circuit)
    if strategy != "active" and any(has_blocks(item) for item in circuit.data):
        notes += (f"strategy={strategy!r} reaches no idle qubits in control flow and boxes",)
    masks = np.zeros((n_twirls, circuit.num_clbits), dtype=bool)
    if measure and any(item.name == "measure" for item in circuit.data):
        flip = _flip_gates(target)
        locked = _locked_bits(circuit)
        masks = _opposite_pairs(n_twirls, circuit.num_clbits, flip_rng)
        masks[:, sorted(locked)] = False
        masks[:, _unread_bits(circuit)] = False
        if locked:
            notes += (f"bits {sorted(locked)} are read or written by the program itself and never flipped",)
        for version, mask in zip(twirled, masks, strict=True):
            _flip_measurements(version, mask, flip)
    masks.flags.writeable = False
    return Twirls(tuple(twirled), masks, notes)


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

    standard = get_standard_gate_name_mapping()
    gates, seed = [standard[name] for name in TWIRLED], int(rng.integers(2**63))
    with replacing_errors(lambda said: ValueError(f"circuit {circuit.name!r} cannot be twirled: {said}")):
        if group != "pauli" or strategy != "active":
            balanced = group == "balanced_pauli"
            twirled = draw_twirls(circuit, n_twirls, target, rng, strategy=strategy, balanced=balanced)
        elif has_quarter_turns(circuit):
            twirled = [
                pauli_twirl_2q_gates(
                    twirl_quarter_turns(circuit, rng), gates, seed=int(rng.integers(2**63)), target=target
                )
                for _ in range(n_twirls)
            ]
        else:
            twirled = pauli_twirl_2q_gates(circuit, gates, seed=seed, num_twirls=n_twirls, target=target)
    for version in twirled:
        keep_labels(circuit, version)
    return twirled


def with_layer_barriers(circuit: QuantumCircuit, target: Target | None, strategy: str) -> QuantumCircuit:
    """Return the circuit with the barriers of a strategy's twirls, without Paulis; it takes as long as they do."""
    if strategy == "active":
        return circuit
    result = bare_layers(circuit, target, strategy)
    keep_labels(circuit, result)
    return result


def keep_labels(source: QuantumCircuit, result: QuantumCircuit) -> None:
    """Copy name, metadata and layout of a circuit to its rewritten version; Qiskit's passes drop them."""
    result.name = source.name
    result.metadata = dict(source.metadata or {})
    result._layout = source._layout


def _untwirled_gates(circuit: QuantumCircuit) -> tuple[str, ...]:
    """Return a note for each kind of multi-qubit gate in the circuit that is not twirled."""
    others = {
        item.name
        for item, *_ in steps(circuit)
        if len(item.qubits) > 1 and item.name not in SILENT and not has_blocks(item) and not is_twirled(item.operation)
    }
    return tuple(f"{name} gates are not twirled: no set of Paulis passes through them" for name in sorted(others))


def _opposite_pairs(n_twirls: int, n_bits: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw (n_twirls, n_bits) fair coins; row 2i+1 is the complement of row 2i. Row k does not depend on n_twirls."""
    half = rng.integers(2, size=((n_twirls + 1) // 2, n_bits), dtype=np.uint8).astype(bool)
    masks: npt.NDArray[np.bool_] = np.stack([half, ~half], axis=1).reshape(-1, n_bits)[:n_twirls]
    return masks


def _locked_bits(circuit: QuantumCircuit) -> set[int]:
    """Find the bits that anything except a plain measurement reads or writes; their values must not be flipped."""
    index = {bit: i for i, bit in enumerate(circuit.clbits)}
    locked: set[int] = set()
    for item in circuit.data:
        if (item.clbits and item.name != "measure") or item.name == "store":
            locked.update(index[bit] for bit in (*item.clbits, *classical_bits(item.operation)))
    return locked


def _unread_bits(circuit: QuantumCircuit) -> list[int]:
    """Find the bits that no measurement of the circuit writes."""
    read = {bit for item in circuit.data if item.name == "measure" for bit in item.clbits}
    return [i for i, bit in enumerate(circuit.clbits) if bit not in read]


def _flip_gates(target: Target | None) -> list[Any]:
    """Return gates of the machine that together make an x; some older machines have no x gate."""
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


def _flip_measurements(circuit: QuantumCircuit, mask: npt.NDArray[np.bool_], gates: list[Any]) -> None:
    """Insert an x before each measurement into a masked bit, and after it if the qubit is used again; in place."""
    from qiskit.circuit import CircuitInstruction

    bits = {bit for bit, flip in zip(circuit.clbits, mask, strict=True) if flip}
    used_later: set[Any] = set()
    places = []
    for i in range(len(circuit.data) - 1, -1, -1):
        item = circuit.data[i]
        if item.name in {"barrier", "delay"}:
            continue
        if item.name == "measure" and item.clbits[0] in bits:
            places.append((i, item.qubits, item.qubits[0] in used_later))
        used_later.update(item.qubits)
    for i, qubits, used_again in places:
        flip = [CircuitInstruction(gate, qubits) for gate in gates]
        for part in flip if used_again else ():
            circuit.data.insert(i + 1, part)
        for part in flip:
            circuit.data.insert(i, part)
