"""Machines with parts that are out of order: avoided where a circuit allows it, else named, and reckoned with."""

import datetime
import warnings

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, RZGate, SXGate, XGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_ibm_runtime.fake_provider import FakeKyoto, FakeManilaV2
from qiskit_ibm_runtime.models import BackendProperties

import qcluster as qc
from qcluster.device import read_calibration
from qcluster.device.execute import execute
from qcluster.device.machines.machine import find_machine

LINE = [(0, 1), (1, 2), (2, 3)]


def line(*, dead=(), readout=(), unknown=(), t1=100e-6) -> GenericBackendV2:
    """Four qubits in a row: cx error 1 %, readout error 2 %, but for the places given."""
    backend = GenericBackendV2(4, ["cx", "id", "rz", "sx", "x"], coupling_map=LINE, seed=1)
    known = Target(num_qubits=4, dt=1e-9, qubit_properties=[QubitProperties(t1=t1, t2=80e-6)] * 4)
    for gate, error in ((RZGate(Parameter("a")), 0.0), (SXGate(), 3e-4), (XGate(), 3e-4)):
        known.add_instruction(gate, {(q,): InstructionProperties(40e-9, error) for q in range(4)})
    errors = {pair: 1.0 if pair in dead else None if pair in unknown else 0.01 for pair in LINE}
    known.add_instruction(CXGate(), {pair: InstructionProperties(300e-9, error) for pair, error in errors.items()})
    reads = {(q,): InstructionProperties(1e-6, 1.0 if q in readout else 0.02) for q in range(4)}
    known.add_instruction(Measure(), reads)
    backend._target = known
    return backend


def manila(*faulty: int) -> FakeManilaV2:
    """Manila with qubits that its properties report as not operational."""
    backend = FakeManilaV2()
    content = backend.properties().to_dict()
    for q in faulty:
        now = datetime.datetime.now(datetime.UTC)
        content["qubits"][q].append({"name": "operational", "date": now, "unit": "", "value": 0})
    properties = BackendProperties.from_dict(content)
    backend.properties = lambda *_, **__: properties
    return backend


def prepared(n: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n)
    circuit.x(range(n))
    circuit.measure_all()
    return circuit


def test_a_machine_without_a_living_two_qubit_gate_says_so_and_predicts_noise(ghz):
    with pytest.warns(
        RuntimeWarning, match=r"'ghz' uses what fake_kyoto publishes as dead.*: ecr on \(\d+, \d+\), ecr"
    ):
        (run,) = execute([ghz(3)], FakeKyoto(), shots=1000, seed=1)
    (note,) = run.notes
    assert note.count("ecr on") == 2
    assert run.faults.expected_faults > 5
    fixed = qc.mitigate(run)
    assert not fixed.applied
    assert "0.0% of the shots come through without a fault" in fixed.reason
    rates = qc.estimate_rates(run.profile, run.calibration, run.counts)
    assert rates.value > 0.2
    assert np.isfinite(rates.per_bit).all()
    qc.mitigate(run.counts, rates)


def test_dead_parts_are_avoided_without_a_word_where_the_circuit_fits(ghz):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (run,) = execute([ghz(2)], line(dead=[(1, 2)], readout=[0]), shots=400, seed=1)
    assert set(run.profile.active.tolist()) == {2, 3}
    assert run.notes == ()


def test_a_circuit_that_fits_avoids_dead_parts_beside_one_that_does_not(ghz):
    with pytest.warns(RuntimeWarning, match="'big'"):
        small, big = execute([ghz(2, "small"), ghz(4, "big")], line(dead=[(0, 1)]), shots=400, seed=1)
    assert small.notes == ()
    assert set(small.profile.active.tolist()) <= {1, 2, 3}
    assert big.notes == ("uses what generic_backend_4q publishes as dead, whose results are noise: cx on (0, 1)",)


def test_dead_readout_is_named_and_read_as_a_coin():
    with pytest.warns(RuntimeWarning, match="dead, whose results are noise: readout of qubit 2"):
        (run,) = execute([prepared(4)], line(readout=[2]), shots=4000, seed=1)
    bit = run.profile.measured.tolist().index(2)
    ones = run.counts.weights @ run.counts.bits / run.shots
    assert ones[bit] == pytest.approx(0.5, abs=0.05)
    assert np.delete(ones, bit).min() > 0.95
    assert run.faults.readout[bit].sum() == pytest.approx(0.98)
    rates = qc.estimate_rates(run.profile, run.calibration, run.counts)
    assert rates.per_bit.argmax() == bit
    qc.mitigate(run)
    qc.mitigate(run.counts, rates)


def test_readout_that_is_stuck_stays_stuck():
    cusco = "fake_cusco"
    calibration = read_calibration(find_machine(cusco).backend)
    stuck = int(np.flatnonzero((calibration.readout == [1.0, 0.0]).all(axis=1))[0])
    assert calibration.assumed_readout(stuck) == (1.0, 0.0)
    assert calibration.is_dead("measure", (stuck,))


def test_an_unknown_error_counts_with_the_median_of_the_living():
    calibration = read_calibration(line(dead=[(0, 1)], unknown=[(1, 2)]))
    assert np.isnan(calibration.error("cx", (1, 2)))
    assert calibration.assumed_error("cx", (2, 1)) == pytest.approx(0.01)
    assert calibration.assumed_error("cx", (0, 1)) == 1.0
    assert read_calibration(line(unknown=LINE)).assumed_error("cx", (0, 1)) == 0.0
    assert np.isnan(calibration.assumed_error("ecr", (0, 1)))
    with pytest.raises(ValueError, match=r"qubits must lie in 0\.\.3"):
        calibration.coherence(4)


@pytest.mark.parametrize("t1", [0.0, -1.0, None, float("nan")])
def test_a_coherence_time_that_is_none_is_that_of_the_others(t1, ghz):
    backend = line()
    backend.target.qubit_properties[1] = QubitProperties(t1=t1, t2=80e-6)
    calibration = read_calibration(backend)
    assert calibration.coherence(1) == (100e-6, 80e-6)
    (run,) = execute([ghz(4)], backend, shots=200, seed=1)
    rates = qc.estimate_rates(run.profile, run.calibration, run.counts)
    assert np.isfinite(rates.per_bit).all()
    assert np.isfinite(run.faults.rates).all()


def test_times_that_are_none_anywhere_do_not_decay(ghz):
    (run,) = execute([ghz(4)], line(t1=0.0), shots=200, seed=1)
    assert run.calibration.coherence(0)[0] == np.inf
    assert np.isfinite(qc.estimate_rates(run.profile, run.calibration, run.counts).per_bit).all()


@pytest.mark.parametrize("faulty", [(1, 3), range(5)])
def test_where_no_living_pair_is_left_the_dead_are_used_and_named(faulty, ghz):
    with pytest.warns(RuntimeWarning, match=r"fake_manila publishes as dead.*: qubit \d"):
        (run,) = execute([ghz(2)], manila(*faulty), shots=2000, seed=1)
    assert run.counts.to_probs()["00"] + run.counts.to_probs()["11"] < 0.7, "what a dead qubit does is noise"


def test_a_machine_that_offers_no_pair_refuses_what_needs_one(capfd, ghz):
    """A target without the gates of faulty qubits, as the runtime makes it: Qiskit's layout panicked."""
    backend = line()
    content = backend.target
    lonely = Target(num_qubits=4, dt=content.dt, qubit_properties=content.qubit_properties)
    for name in ("rz", "sx", "x", "measure"):
        lonely.add_instruction(content.operation_from_name(name), content[name])
    backend._target = lonely
    with pytest.raises(ValueError, match=r"cannot be compiled for .*: the machine must offer measurements and gates"):
        execute([ghz(2)], backend, shots=100, seed=1)
    assert not capfd.readouterr().err, "no trace of a panic"
    undone = QuantumCircuit(2)
    undone.x(0)
    undone.cx(0, 1)
    undone.cx(0, 1)
    undone.measure_all()
    (run,) = execute([undone], backend, shots=100, seed=1)
    assert run.counts.to_probs()["01"] > 0.8


def test_living_qubits_serve_circuits_without_pairs():
    (run,) = execute([prepared(3)], manila(1, 3), shots=400, seed=1)
    assert run.profile.active.tolist() == [0, 2, 4]
    assert run.notes == ()
    assert run.counts.to_probs()["111"] > 0.7
