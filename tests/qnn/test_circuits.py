"""Circuits say what the exact forms say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Pauli, Statevector

from qcluster.qnn import circuits, encoding
from qcluster.qnn.ansatz import Ansatz, Term, build
from qcluster.qnn.explicit import reed_muller_angles
from qcluster.qnn.simulation.exact import exact_form
from tests.qnn.test_exact import KINDS, some_inputs


def read(circuit):
    """<Z> of the readout of a circuit whose measurement is cut off: what P(0) - P(1) estimates."""
    bare = circuit.remove_final_measurements(inplace=False)
    return Statevector(bare).expectation_value(Pauli("Z"), [circuit.num_qubits - 1]).real


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from(KINDS))
def test_any_circuit_reads_the_exact_value(seed, n, kind):
    rng = np.random.default_rng(seed)
    terms = []
    for _ in range(6):
        qubits = tuple(int(q) for q in rng.permutation(n)[: rng.integers(0, n + 1)])
        data = "".join(rng.choice(list("XYZ") if rng.integers(2) else ["1"], len(qubits)))
        terms.append(Term(qubits, data, str(rng.choice(list("XYZ")))))
    ansatz = Ansatz(n, tuple(terms), str(rng.choice(list("01+-"))), str(rng.choice(list("XYZ"))))
    theta, inputs = rng.uniform(-np.pi, np.pi, 6), some_inputs(kind, n, rng, 1)
    made = circuits.circuit(ansatz, theta, circuits.prepare(inputs, 0))
    assert made.num_clbits == 1
    assert read(made) == pytest.approx(exact_form(ansatz, kind).forward(theta, inputs)[0][0], abs=1e-9)


@pytest.mark.parametrize("kind", ["basis", "product"])
@pytest.mark.parametrize("name", ["zx", "zx-xx", "tfq"])
def test_a_bound_template_is_the_circuit(kind, name):
    rng = np.random.default_rng(3)
    ansatz = build(name, 3)
    inputs, template = some_inputs(kind, 3, rng), circuits.template(ansatz)
    theta = rng.normal(size=ansatz.n_parameters)
    f = exact_form(ansatz, kind).forward(theta, inputs)[0]
    for row in range(3):
        bound = circuits.bind(template, circuits.bindings(theta, inputs, row))
        assert not bound.parameters
        assert read(bound) == pytest.approx(f[row], abs=1e-12)


def test_states_of_the_users_own_making():
    """An entangled preparation, given as a circuit, is read like the state vector it makes."""
    ghz = QuantumCircuit(3)
    ghz.h(0)
    ghz.cx(0, 1)
    ghz.cx(1, 2)
    ansatz = build("zx-xx", 3, reps=2)
    theta = np.random.default_rng(1).normal(size=ansatz.n_parameters)
    f, _ = exact_form(ansatz, "state").forward(theta, encoding.states([Statevector(ghz).data]))
    assert read(circuits.circuit(ansatz, theta, ghz)) == pytest.approx(f[0], abs=1e-12)


def test_reed_muller_circuits():
    """32 of the 256 functions of three bits, as circuits."""
    strings = encoding.basis((np.arange(8)[:, None] >> np.arange(3)) & 1)
    for code in range(0, 256, 8):
        truth = ((code + 5) >> np.arange(8)) & 1
        ansatz, theta = reed_muller_angles(truth)
        row = code // 8 % 8
        made = circuits.circuit(ansatz, theta, circuits.prepare(strings, row))
        assert read(made) == pytest.approx(2 * truth[row] - 1, abs=1e-9)


def test_mistakes_are_named():
    ansatz = build("zx", 2)
    with pytest.raises(ValueError, match="theta must have 3 entries; got 2"):
        circuits.circuit(ansatz, [0.1, 0.2])
    with pytest.raises(ValueError, match="must act on 2 qubits and measure none"):
        circuits.circuit(ansatz, [0.1, 0.2, 0.3], QuantumCircuit(3))
    with pytest.raises(ValueError, match="no angles per qubit"):
        circuits.bindings(np.zeros(3), encoding.states([[1, 0, 0, 0]]), 0)
    assert circuits.circuit(ansatz, measure=False).num_clbits == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: encoding.basis([0, 1]), r"shape \(batch, n\)"),
        (lambda: encoding.states([[1, 0, 0]]), r"2\*\*n"),
        (lambda: encoding.states([[1, 1]]), r"norm 1; got 1\.414"),
    ],
)
def test_encodings_name_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()
