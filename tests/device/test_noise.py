import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import SwitchCaseOp
from qiskit.quantum_info import PTM, average_gate_fidelity
from qiskit_aer.noise import NoiseModel

from qcluster.device import Calibration, read_calibration
from qcluster.device.noise.aer import gate_channel, pauli_shares, wait_noise
from qcluster.device.noise.simulate import simulate

TIMES = st.tuples(st.floats(2e-5, 5e-4), st.floats(0.05, 2.0)).map(lambda pair: (pair[0], pair[0] * pair[1]))
PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def twirled_by_hand(channel):
    """P(Q) of a channel's Pauli twirl, from its transfer matrix and commutators of matrices. Qubit 0 is axis 0."""
    width = channel.num_qubits
    diagonal = np.real(np.diag(PTM(channel.to_quantumchannel()).data)).reshape((4,) * width).T
    shares = np.zeros((4,) * width)
    for q in np.ndindex(shares.shape):
        for p in np.ndindex(shares.shape):
            sign = 1.0
            for a, b in zip(p, q, strict=True):
                sign *= 1.0 if np.allclose(PAULIS[a] @ PAULIS[b], PAULIS[b] @ PAULIS[a]) else -1.0
            shares[q] += sign * diagonal[p] / 4**width
    return shares


@given(error=st.floats(0, 0.3), seconds=st.floats(1e-9, 3e-6), times=st.lists(TIMES, min_size=1, max_size=2))
def test_the_closed_form_is_the_pauli_twirl_of_aers_channel(error, seconds, times):
    channel = gate_channel(error, seconds, tuple(times))
    if channel is not None:
        np.testing.assert_allclose(pauli_shares(error, seconds, tuple(times)), twirled_by_hand(channel), atol=2e-7)


def test_a_channel_has_the_published_error():
    channel = gate_channel(0.01, 7e-8, ((2e-4, 1e-4), (3e-4, 3e-4)))
    assert 1 - average_gate_fidelity(channel.to_quantumchannel()) == pytest.approx(0.01, abs=1e-6)
    assert gate_channel(0.0, 0.0, ((2e-4, 1e-4),)) is None


def programs():
    """A qubit in |1> that waits 100 us, on its own or within control flow that always runs."""
    circuits = {name: QuantumCircuit(2, 2) for name in ("plain", "if", "switch", "for", "nested")}
    for circuit in circuits.values():
        circuit.x(1)
        circuit.measure(0, 0)
    zero = circuits["if"].clbits[0], 0
    circuits["plain"].delay(100, 1, "us")
    with circuits["if"].if_test(zero):
        circuits["if"].delay(100, 1, "us")
    with circuits["switch"].switch(circuits["switch"].clbits[0]) as case, case(0):
        circuits["switch"].delay(100, 1, "us")
    with circuits["for"].for_loop(range(4)):
        circuits["for"].delay(25, 1, "us")
    with circuits["nested"].for_loop(range(1)), circuits["nested"].if_test((circuits["nested"].clbits[0], 0)):
        circuits["nested"].delay(100, 1, "us")
    for circuit in circuits.values():
        circuit.measure(1, 1)
    return circuits


@pytest.mark.parametrize(("name", "circuit"), programs().items())
def test_a_qubit_relaxes_as_it_waits_within_control_flow(name, circuit):
    calibration = replace(Calibration.ideal(2), t1=np.full(2, 1e-4), t2=np.full(2, 1e-4))
    (counts,) = simulate([circuit], [4000], calibration, method="density_matrix", dt=None, seed=1)
    assert counts.to_counts()["10"] / 4000 == pytest.approx(np.exp(-1), abs=0.04)
    assert circuit == programs()[name]


def test_noise_of_waiting_keeps_the_labels_of_control_flow():
    """That of a switch went away; those of other kinds Qiskit keeps. It changes nothing of what is simulated."""
    calibration = replace(Calibration.ideal(2), t1=np.full(2, 1e-4), t2=np.full(2, 1e-4))

    def labelled(label):
        circuit, body = QuantumCircuit(2, 2), QuantumCircuit(1)
        body.delay(100, 0, "us")
        circuit.x(1)
        circuit.append(SwitchCaseOp(circuit.clbits[0], [(0, body)], label=label), [1], [])
        circuit.measure(1, 1)
        return circuit

    noisy = wait_noise(labelled("mine"), calibration, None)
    assert [item.label for item in noisy.data if item.name == "switch_case"] == ["mine"]
    (one,), (other,) = (
        simulate([labelled(label)], [500], calibration, method="density_matrix", dt=None, seed=1)
        for label in ("mine", None)
    )
    assert one == other


@pytest.mark.slow
def test_gate_by_gate_is_aers_own_model_of_the_machine(torino):
    calibration = read_calibration(torino)
    whole = NoiseModel.from_backend(torino)
    for name, place in [("sx", (0,)), ("x", (50,)), ("cz", (0, 1)), ("cz", (1, 0))]:
        times = tuple((calibration.t1[q], calibration.t2[q]) for q in place)
        mine = gate_channel(calibration.error(name, place), calibration.duration(name, place), times)
        theirs = whole._local_quantum_errors[name][place]
        np.testing.assert_allclose(PTM(mine.to_quantumchannel()).data, PTM(theirs.to_quantumchannel()).data, atol=1e-9)


def test_shares_are_probabilities_even_for_a_dead_gate():
    for error, seconds in itertools.product((0.0, 1.0), (0.0, 1e-6)):
        shares = pauli_shares(error, seconds, ((1e-4, 1e-4), (np.inf, np.inf)))
        assert (shares >= 0).all()
        assert shares.sum() == pytest.approx(1)
