"""Runs of gates on a pair: where they are, what may pass through them, and where their faults come out."""

import numpy as np
import pytest

from qcluster.device.circuits import pauli
from qcluster.device.circuits.blocks import Block, find_blocks, move_rotations_past
from tests.device.test_faults import difference, line, structured


def coupling(angles) -> np.ndarray:
    """exp(i (a XX + b YY + c ZZ))"""
    total = np.eye(4, dtype=complex)
    for angle, one in zip(angles, pauli.PAULIS, strict=True):
        total = total @ (np.cos(angle) * np.eye(4) + 1j * np.sin(angle) * np.kron(one, one))
    return total


def test_runs_are_broken_by_other_partners_and_measurements():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(3, 1)
    circuit.cz(0, 1)
    circuit.sx(0)
    circuit.cz(1, 0)
    circuit.cz(0, 1)
    circuit.cz(1, 2)
    circuit.cz(0, 1)
    circuit.measure(0, 0)
    circuit.cz(0, 1)
    assert find_blocks(circuit) == {0: 3}


def test_runs_are_broken_by_every_kind_of_measurement():
    from qiskit import QuantumCircuit
    from qiskit_ibm_runtime.circuit import MidCircuitMeasure

    circuit = QuantumCircuit(2, 1)
    circuit.cz(0, 1)
    circuit.append(MidCircuitMeasure("measure_2"), [0], [0])
    circuit.cz(0, 1)
    assert find_blocks(circuit) == {}


@pytest.mark.parametrize("angles", [(1, 1, 0), (1, 1, 1), (1, 1, -1), (1, 0, 0), (0.4, 0.3, 0.1)])
def test_what_is_passed_on_leaves_the_gate_as_it_is(angles):
    from qiskit.quantum_info import random_unitary

    angles = tuple(np.pi / 4 * a for a in angles)
    before = {q: np.asarray(random_unitary(2, seed=i)) for i, q in enumerate("ab")}
    after = {q: np.asarray(random_unitary(2, seed=i + 2)) for i, q in enumerate("ab")}
    first, then = move_rotations_past(angles, before, after)
    old, new = (
        np.kron(last["b"], last["a"]) @ coupling(angles) @ np.kron(start["b"], start["a"])
        for start, last in ((before, after), (first, then))
    )
    assert abs(np.trace(old.conj().T @ new)) == pytest.approx(4)


def test_a_fault_comes_out_as_the_clifford_turns_it():
    """X on the first qubit, then a cx from it: X on both."""
    block = Block(4, 7, 0, np.eye(4, dtype=complex))
    block.add_fault(4, np.array([0.1, 0.0, 0.0]))
    block.add_gate(np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]], dtype=complex), (4, 7))
    block.add_fault(7, np.array([0.0, 0.0, 0.2]))
    rates = block.faults_at_end(np.eye(2, dtype=complex), np.eye(2, dtype=complex))
    expected = np.zeros((4, 4))
    expected[1, 1], expected[0, 3] = 0.1, 0.2
    np.testing.assert_allclose(rates, expected, atol=1e-12)


def test_angles_inside_a_run_do_not_make_a_clifford_circuit_another():
    """These compiled circuits hold iSWAPs as two cz with odd angles around, which cancel in the whole only."""
    rng = np.random.default_rng([6, 1])
    assert difference(structured("random", 6, rng), line(6, "cz", rng)) < 0.001
