"""Simulate Clifford circuits of hundreds of qubits under Pauli noise by Pauli frames.

A Pauli error propagated through a Clifford gate stays a Pauli. So a noisy shot differs from a noiseless one by a Pauli
only, its frame. One noiseless reference shot is simulated by the stabilizer method. For all other shots only the frames
are tracked, as bits and for all shots at once. A random Z on each qubit at the start and after each measurement, which
has no physical effect, gives the shots their quantum randomness (Gidney, arXiv:2103.02202).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, pi
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.checks import make_rng
from qcluster.core.counts.bits import integers_to_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.device.circuits.timeline import census, delay_seconds, steps
from qcluster.device.noise.aer import channel_arguments, pauli_shares

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration

Rows = npt.NDArray[np.bool_]

_PAULIS = {"id", "x", "y", "z"}
_GATES = {"h", "s", "sdg", "sx", "sxdg", "cx", "cz", "swap", "ecr"}


def quarter_turns(angle: Any) -> int | None:
    """Return an angle as a number of quarter turns, 0 to 3; None if it is not a multiple of one, or is a parameter."""
    try:
        turns = float(angle) / (pi / 2)
    except TypeError:
        return None
    return round(turns) % 4 if isclose(turns, round(turns), abs_tol=1e-7) else None


def is_clifford(circuit: QuantumCircuit) -> bool:
    """Return whether `sample_clifford` can run a circuit: only supported Clifford gates, and no control flow."""
    for item, _, _, _ in steps(circuit):
        if item.name == "rz" and quarter_turns(item.params[0]) is not None:
            continue
        if item.name not in _PAULIS | _GATES | {"measure", "barrier", "delay", "reset"}:
            return False
    return True


def sample_clifford(
    circuits: Sequence[QuantumCircuit], shots: Sequence[int], calibration: Calibration, *, dt: float | None, seed: int
) -> list[Distribution]:
    """Sample circuits for which `is_clifford` holds, under the Pauli twirl of a machine's noise.

    Arguments are as in `qcluster.device.noise.simulate.simulate`. Cost: some 30 us per gate and circuit for 8192 shots,
    at any width.
    """
    rng = make_rng(seed)
    references = noiseless_outcomes(circuits, 1, seed)
    counts = []
    for circuit, n_shots, reference, child in zip(circuits, shots, references, rng.spawn(len(circuits)), strict=True):
        bits = _Frames(circuit.num_qubits, n_shots, child).run(circuit, reference[0], calibration, dt)
        counts.append(Distribution(bits, np.ones(n_shots)))
    return counts


def noiseless_outcomes(circuits: Sequence[QuantumCircuit], shots: int, seed: int) -> list[Rows]:
    """Run Clifford circuits without noise, and return the distinct outcomes of each, (n_outcomes, n_measurements) bool.

    Every measurement has a column of its own, even where two write the same classical bit.
    """
    from qiskit_aer import AerSimulator

    bare = [_for_stabilizer(circuit) for circuit in circuits]
    result = AerSimulator(method="stabilizer").run(bare, shots=shots, seed_simulator=seed).result()
    counts = [result.data(i)["counts"] if circuit.num_clbits else {"0x0": shots} for i, circuit in enumerate(bare)]
    return [
        integers_to_bits([int(key, 16) for key in keys], circuit.num_clbits)
        for keys, circuit in zip(counts, bare, strict=True)
    ]


def _for_stabilizer(circuit: QuantumCircuit) -> QuantumCircuit:
    """Reduce a circuit to gates on its active qubits, with rz as s, z or sdg, and one bit per measurement."""
    from qiskit.circuit import CircuitInstruction, QuantumCircuit
    from qiskit.circuit.library import SdgGate, SGate, ZGate

    turns = [None, SGate(), ZGate(), SdgGate()]
    place = {q: i for i, q in enumerate(sorted(census(circuit)[1]))}
    result = QuantumCircuit(len(place), circuit.count_ops().get("measure", 0))
    free = iter(result.clbits)
    for item, places, _, _ in steps(circuit):
        if item.name in {"barrier", "delay"}:
            continue
        qubits = [result.qubits[place[q]] for q in places]
        if item.name != "rz":
            bits = [next(free)] if item.name == "measure" else ()
            result._append(item.replace(qubits=qubits, clbits=bits))
        elif gate := turns[quarter_turns(item.params[0]) or 0]:
            result._append(CircuitInstruction(gate, qubits))
    return result


class _Frames:
    """Pauli by which each shot differs from the reference shot: its x and z parts, (n_qubits, n_shots) bool."""

    def __init__(self, n_qubits: int, shots: int, rng: np.random.Generator) -> None:
        self.rng, self.shots = rng, shots
        self.x = np.zeros((n_qubits, shots), dtype=bool)
        self.z = rng.integers(2, size=(n_qubits, shots), dtype=np.uint8).astype(bool)

    def run(self, circuit: QuantumCircuit, reference: Rows, calibration: Calibration, dt: float | None) -> Rows:
        """Propagate the frames through a circuit, and return the bits of every shot, (n_shots, n_bits)."""
        bits = np.zeros((circuit.num_clbits, self.shots), dtype=bool)
        _, used, _ = census(circuit)
        fresh = set(used)  # qubits still in |0>, which relaxation leaves unchanged although its Pauli twirl does not
        outcomes = iter(reference.tolist())
        for item, qubits, clbits, _ in steps(circuit):
            name = item.name
            if name == "barrier" or qubits[0] not in used:
                continue
            if name == "measure":
                errors = np.array(calibration.assumed_readout(qubits[0]))
                bits[clbits[0]] = self._measure(qubits[0], next(outcomes), errors)
            elif name == "reset":
                self.x[qubits[0]] = False
                self._scramble(qubits[0])
                fresh.add(qubits[0])
            elif name != "delay" or qubits[0] not in fresh:
                fresh.difference_update(qubits)
                odd_turn = name == "rz" and (quarter_turns(item.params[0]) or 0) % 2
                self._gate("s" if odd_turn else name, qubits)
                wait = delay_seconds(item.operation, dt) if name == "delay" else 0.0
                self._noise(qubits, pauli_shares(*channel_arguments(calibration, name, qubits, wait)))
        return np.ascontiguousarray(bits.T)

    def _gate(self, name: str, qubits: tuple[int, ...]) -> None:
        x, z, a, b = self.x, self.z, qubits[0], qubits[-1]
        if name == "h":
            x[a], z[a] = z[a].copy(), x[a].copy()
        elif name in ("s", "sdg"):
            z[a] ^= x[a]
        elif name in ("sx", "sxdg"):
            x[a] ^= z[a]
        elif name == "cx":
            x[b] ^= x[a]
            z[a] ^= z[b]
        elif name == "cz":
            z[b] ^= x[a]
            z[a] ^= x[b]
        elif name == "swap":
            x[[a, b]], z[[a, b]] = x[[b, a]], z[[b, a]]
        elif name == "ecr":  # a Pauli times exp(-i pi/4 Z_a X_b), which multiplies by Z_a X_b what anticommutes with it
            anticommutes = x[a] ^ z[b]
            z[a] ^= anticommutes
            x[b] ^= anticommutes

    def _measure(self, qubit: int, reference: bool, errors: Floats) -> Rows:
        outcome: Rows = self.x[qubit] ^ reference
        self._scramble(qubit)
        if errors.any():
            outcome = outcome ^ (self.rng.random(self.shots) < np.where(outcome, errors[1], errors[0]))
        return outcome

    def _scramble(self, qubit: int) -> None:
        self.z[qubit] ^= self.rng.integers(2, size=self.shots, dtype=np.uint8).astype(bool)

    def _noise(self, qubits: tuple[int, ...], shares: Floats) -> None:
        """Draw the shots with an error, then their Paulis: the flat index into shares has a base-4 digit per qubit."""
        flat = shares.ravel()
        n_errors = self.rng.binomial(self.shots, 1 - flat[0]) if flat[0] < 1 else 0
        if not n_errors:
            return
        struck = self.rng.choice(self.shots, n_errors, replace=False, shuffle=False)
        paulis = 1 + self.rng.choice(len(flat) - 1, n_errors, p=flat[1:] / flat[1:].sum())
        for place, qubit in enumerate(qubits):
            digit = paulis // 4 ** (len(qubits) - 1 - place) % 4
            self.x[qubit, struck] ^= (digit == 1) | (digit == 2)
            self.z[qubit, struck] ^= digit >= 2
