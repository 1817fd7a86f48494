"""Effect on a circuit of running the wrong branch of its classical program.

Where one body runs in place of another, the state differs by ``D = U_other U_one^``. Expanded in Paulis,
``D = sum_P c_P P``, this is treated as a fault P with probability ``|c_P|^2``. That is exact where the bodies are
Paulis, as the corrections of teleportation are, and the Pauli twirl of D elsewhere. Qubits that a body measures, resets
or uses in control flow, all that its gates connect with them, and bits that it writes are taken to become random.
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
"""Maximum number of qubits that a body's gates may connect for D to be expanded in Paulis, of which there are 4^5."""
_NEGLIGIBLE = 1e-9


class Body(NamedTuple):
    """A block of control flow, with the qubits and bits that it acts on."""

    circuit: QuantumCircuit
    qubits: tuple[int, ...]
    """(n_qubits,) physical qubits."""
    memory: Memory
    """Indices of its classical bits."""


def change(one: Body | None, other: Body | None, signs: Mapping[int, int]) -> Change:
    """Find the effect of running one body in place of another.

    Args:
        one, other: the two bodies; None is an empty one.
        signs: qubits that are in a known state beforehand: 1 for |0>, -1 for |1>.
    """
    items = [list(_items(body)) if body is not None else [] for body in (one, other)]
    groups: list[Group] = []
    for qubits in _connected([places for side in items for _, places in side]):
        if len(qubits) > _MOST_QUBITS or not all(_is_gate(item) for item in _on(items[0] + items[1], qubits)):
            groups += [_depolarised(q) for q in qubits]
            continue
        matrices = [_matrix(side, qubits) for side in items]
        empty = any(not list(_on(side, qubits)) for side in items)
        groups.append(_paulis(matrices[1] @ matrices[0].conj().T, qubits, signs if empty else {}))
    written = [*written_bits(one), *written_bits(other)]
    return Change(tuple(group for group in groups if group.paulis.any()), tuple(dict.fromkeys(written)))


def _items(body: Body) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Yield the instructions of a body that act on qubits, with their physical qubits."""
    index = dict(zip(body.circuit.qubits, body.qubits, strict=True))
    for item in body.circuit.data:
        if item.qubits and item.name not in {"barrier", "delay"}:
            yield item, tuple(index[q] for q in item.qubits)


def written_bits(body: Body | None) -> Iterator[int]:
    """Yield the indices of the classical bits that a body may write."""
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


def _connected(places: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the sets of qubits that instructions on these qubits connect, each set sorted."""
    component: dict[int, set[int]] = {}
    for qubits in places:
        merged = set().union(*(component.get(q, {q}) for q in qubits))
        component.update(dict.fromkeys(merged, merged))
    return sorted({tuple(sorted(group)) for group in component.values()})


def _on(items: list[tuple[Any, tuple[int, ...]]], qubits: tuple[int, ...]) -> Iterator[Any]:
    """Yield the instructions that act on a connected set of qubits."""
    return (item for item, places in items if places[0] in qubits)


def _is_gate(item: Any) -> bool:
    return not item.clbits and not has_blocks(item) and hasattr(item.operation, "to_matrix")


def _matrix(items: list[tuple[Any, tuple[int, ...]]], qubits: tuple[int, ...]) -> npt.NDArray[np.complex128]:
    """Multiply the gates on a connected set of qubits."""
    from qiskit.circuit import QuantumCircuit
    from qiskit.quantum_info import Operator

    bare = QuantumCircuit(len(qubits))
    for item, places in items:
        if places[0] in qubits:
            bare.append(item.operation, [qubits.index(q) for q in places])
    return np.asarray(Operator(bare).data)


def _paulis(matrix: npt.NDArray[np.complex128], qubits: tuple[int, ...], signs: Mapping[int, int]) -> Group:
    """Expand a unitary in Paulis, and return them with their squared amplitudes as probabilities.

    On a qubit in |0> or |1>, Z is only a sign: amplitudes of Paulis that differ by it are added before squaring.
    """
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


def _depolarised(qubit: int) -> Group:
    """Return a uniformly random Pauli on one qubit."""
    return Group((qubit,), np.arange(4)[:, None], np.full(4, 0.25))
