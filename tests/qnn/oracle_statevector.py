"""The slow, obvious answer: Qiskit's own exponentials on a state vector, with no code of ours but the meaning."""

import numpy as np
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import Pauli, SparsePauliOp, Statevector

from qcluster.qnn.ansatz import Ansatz, Term
from qcluster.qnn.encoding import Inputs


def operator(term: Term, n_data: int) -> SparsePauliOp:
    """P R as a sum of Pauli strings on n_data + 1 qubits; the readout is the last one. "1" is (I - Z) / 2."""
    terms = [("", 1.0)]
    for letter in term.data:
        options = [("I", 0.5), ("Z", -0.5)] if letter == "1" else [(letter, 1.0)]
        terms = [(text + other, weight * w) for text, weight in terms for other, w in options]
    sparse = [(text + term.readout, [*term.qubits, n_data], weight) for text, weight in terms]
    return SparsePauliOp.from_sparse_list(sparse, num_qubits=n_data + 1)


def decision(ansatz: Ansatz, theta, vector) -> float:
    """<measure> on the readout for one data state, (2**n,)."""
    state = Statevector.from_label(ansatz.start).tensor(Statevector(vector))
    for angle, term in zip(theta, ansatz.terms, strict=True):
        # PauliEvolutionGate(O, t) is exp(-i t O); its product formula is exact: the strings commute.
        gate = PauliEvolutionGate(operator(term, ansatz.n_data), -angle)
        state = state.evolve(gate.definition)
    return float(state.expectation_value(Pauli(ansatz.measure), [ansatz.n_data]).real)


def decisions(ansatz: Ansatz, theta, inputs: Inputs):
    """One value per input."""
    return np.array([decision(ansatz, theta, vector) for vector in inputs.vectors()])
