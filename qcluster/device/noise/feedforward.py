"""What it does to a circuit that its classical program takes the wrong branch.

Where one body runs in place of another, the state differs by ``D = U_other U_one^``. Written as a sum of Paulis,
``D = sum_P c_P P``, it is taken for a fault P with probability ``|c_P|^2``: exact where bodies are Paulis, as the
corrections of teleportation are, and the Pauli twirl of D elsewhere. What a body does by measurements, resets or a
program of its own leaves its qubits and bits to chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qcluster.device.circuits.timeline import has_blocks, is_measurement
from qcluster.device.noise.events import Change, Group

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.circuits.conditions import Memory

_MOST_QUBITS = 5
"""Most qubits that gates may join in a body, to write their matrix as Paulis: 4^5 of them."""
_NEGLIGIBLE = 1e-9


class Body(NamedTuple):
    """A block of control flow, where it lies in the circuit."""

    circuit: QuantumCircuit
    qubits: tuple[int, ...]
    """(n_qubits,) physical."""
    memory: Memory
    """Numbers of its classical bits."""


def change(one: Body | None, other: Body | None, signs: Mapping[int, int]) -> Change:
    """Find what it does that one body runs in place of another; None is one that does nothing.

    Signs are of qubits that are in a known state before: 1 for |0>, -1 for |1>.
    """
    items = [list(_items(body)) if body is not None else [] for body in (one, other)]
    groups: list[Group] = []
    for qubits in _joined([places for side in items for _, places in side]):
        if len(qubits) > _MOST_QUBITS or not all(_is_gate(item) for item in _on(items[0] + items[1], qubits)):
            groups += [_anything(q) for q in qubits]
            continue
        matrices = [_matrix(side, qubits) for side in items]
        empty = any(not list(_on(side, qubits)) for side in items)
        groups.append(_paulis(matrices[1] @ matrices[0].conj().T, qubits, signs if empty else {}))
    written = [*written_bits(one), *written_bits(other)]
    return Change(tuple(group for group in groups if group.paulis.any()), tuple(dict.fromkeys(written)))


def _items(body: Body) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Instructions that act on qubits, and the physical ones."""
    index = dict(zip(body.circuit.qubits, body.qubits, strict=True))
    for item in body.circuit.data:
        if item.qubits and item.name not in {"barrier", "delay"}:
            yield item, tuple(index[q] for q in item.qubits)


def written_bits(body: Body | None) -> Iterator[int]:
    """Numbers of the bits that a body may write."""
    if body is None:
        return
    for item in body.circuit.data:
        if is_measurement(item.name):
            yield from (body.memory.places[bit][0] for bit in item.clbits)
        elif item.name == "store":
            yield from body.memory.locate(item.operation.lvalue)
        elif has_blocks(item):
            for block in item.operation.blocks:
                yield from written_bits(Body(block, (), body.memory.inside(block, item.clbits)))


def _joined(places: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Sets of qubits that instructions join, each sorted."""
    home: dict[int, set[int]] = {}
    for qubits in places:
        together = set().union(*(home.get(q, {q}) for q in qubits))
        home.update(dict.fromkeys(together, together))
    return sorted({tuple(sorted(group)) for group in home.values()})


def _on(items: list[tuple[Any, tuple[int, ...]]], qubits: tuple[int, ...]) -> Iterator[Any]:
    return (item for item, places in items if places[0] in qubits)


def _is_gate(item: Any) -> bool:
    return not item.clbits and not has_blocks(item) and hasattr(item.operation, "to_matrix")


def _matrix(items: list[tuple[Any, tuple[int, ...]]], qubits: tuple[int, ...]) -> npt.NDArray[np.complex128]:
    from qiskit.circuit import QuantumCircuit
    from qiskit.quantum_info import Operator

    bare = QuantumCircuit(len(qubits))
    for item, places in items:
        if places[0] in qubits:
            bare.append(item.operation, [qubits.index(q) for q in places])
    return np.asarray(Operator(bare).data)


def _paulis(matrix: npt.NDArray[np.complex128], qubits: tuple[int, ...], signs: Mapping[int, int]) -> Group:
    """Write a unitary as Paulis; on a qubit in |0> or |1>, Z is a sign, so that what differs by it adds up first."""
    from qiskit.quantum_info import Operator, SparsePauliOp

    terms = SparsePauliOp.from_operator(Operator(matrix))
    amplitudes: dict[tuple[int, ...], complex] = defaultdict(complex)
    for x, z, amplitude in zip(terms.paulis.x, terms.paulis.z, terms.coeffs.tolist(), strict=True):
        key = [(2 if b else 1) if a else (3 if b else 0) for a, b in zip(x, z, strict=True)]
        for place, qubit in enumerate(qubits):
            if qubit in signs and z[place]:
                amplitude *= signs[qubit] * (1j if x[place] else 1)
                key[place] = int(x[place])
        amplitudes[tuple(key)] += amplitude
    shares = np.abs(np.array(list(amplitudes.values()))) ** 2
    kept = shares > _NEGLIGIBLE
    return Group(qubits, np.array(list(amplitudes), dtype=np.int64)[kept], shares[kept] / shares[kept].sum())


def _anything(qubit: int) -> Group:
    return Group((qubit,), np.arange(4)[:, None], np.full(4, 0.25))
