import numpy as np
import pytest
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.circuit import ClassicalRegister, QuantumRegister

from qcluster.device import Profile, read_calibration, read_profile
from qcluster.device.noise.faults import located_faults


@pytest.fixture(scope="module")
def compiled(torino, ghz):
    return generate_preset_pass_manager(2, backend=torino, seed_transpiler=1, scheduling_method="alap").run(ghz(5))


def test_a_compiled_circuit_on_torino(torino, compiled):
    profile = read_profile(compiled, read_calibration(torino), dt=torino.dt)
    assert profile.measured.tolist() == compiled.layout.final_index_layout()
    assert profile.counts_by_kind == {k: v for k, v in compiled.count_ops().items() if k in {"rz", "sx", "cz", "x"}}
    assert profile.n_two_qubit == 4
    assert profile.two_qubit_depth == 4
    assert sorted(profile.measured) == profile.active.tolist()
    assert profile.duration == pytest.approx(compiled.estimate_duration(torino.target, "s"))
    assert profile.counts_by_qubit("cz").sum() == 8
    # between its first and last operation a qubit either works or waits
    assert (profile.busy + profile.idle <= profile.duration * (1 + 1e-9)).all()
    assert profile.idle[profile.active].max() > 0


def test_json_reads_back_exactly(torino, compiled, tmp_path):
    profile = read_profile(compiled, read_calibration(torino), dt=torino.dt)
    profile.save(tmp_path / "p.json")
    again = Profile.load(tmp_path / "p.json")
    assert again.to_json() == profile.to_json()
    assert again.circuit == compiled
    assert again.circuit.layout.final_index_layout() == compiled.layout.final_index_layout()
    assert again.gates == profile.gates
    np.testing.assert_array_equal(again.idle, profile.idle)


def test_idle_and_busy_by_hand():
    circuit = QuantumCircuit(2, 2)
    circuit.delay(50, 0, "ns")  # before the first gate: |0> does not wait
    circuit.x(0)
    circuit.delay(100, 0, "ns")
    circuit.x(0)
    circuit.delay(1, 0, "us")
    circuit.x(1)
    circuit.cz(0, 1)
    circuit.delay(7, 1, "us")  # after the last
    profile = read_profile(circuit)
    np.testing.assert_allclose(profile.idle, [1.1e-6, 1.15e-6])
    assert profile.duration == pytest.approx(1.15e-6)


def test_the_last_measurement_of_a_bit_counts():
    circuit = QuantumCircuit(3, 2)
    circuit.measure(0, 0)
    circuit.measure(2, 0)
    circuit.measure(2, 1)  # the same qubit again: bit 0 was read on the way
    profile = read_profile(circuit)
    assert profile.measured.tolist() == [2, 2]
    assert profile.mid_circuit.tolist() == [True, False]


def test_mid_circuit_and_unwritten_bits():
    circuit = QuantumCircuit(2, 3)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(1, 2)
    profile = read_profile(circuit)
    assert profile.measured.tolist() == [0, -1, 1]
    assert profile.mid_circuit.tolist() == [True, False, False]


def test_several_registers_keep_their_order():
    a, b = ClassicalRegister(2, "a"), ClassicalRegister(1, "b")
    circuit = QuantumCircuit(QuantumRegister(3), a, b)
    circuit.measure([2, 1, 0], [a[0], a[1], b[0]])
    profile = read_profile(circuit)
    assert profile.registers == (("a", 2), ("b", 1))
    assert profile.measured.tolist() == [2, 1, 0]


def test_control_flow_is_walked_and_ambiguity_refused():
    circuit = QuantumCircuit(3, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.cx(1, 2)
        circuit.measure(2, 1)
    profile = read_profile(circuit)
    assert profile.gates == {("cx", (1, 2)): 1}
    assert profile.measured.tolist() == [0, 2]
    assert profile.mid_circuit.tolist() == [False, True]

    circuit = QuantumCircuit(3, 2)
    circuit.measure(0, 0)
    circuit.measure(1, 1)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.measure(2, 1)
    with pytest.raises(ValueError, match="bit 1 holds qubit 1 or 2"):
        read_profile(circuit)


def test_delays_in_dt_need_dt():
    circuit = QuantumCircuit(1)
    circuit.delay(5, 0)
    with pytest.raises(ValueError, match="dt"):
        read_profile(circuit)
    for wrong in (-1e-9, float("nan"), "1e-9", True):
        with pytest.raises(ValueError, match="dt must be a finite number of at least 0; got"):
            read_profile(circuit, dt=wrong)


def test_empty_circuit():
    profile = read_profile(QuantumCircuit(2))
    assert (profile.n_bits, profile.duration, profile.two_qubit_depth, len(profile.active)) == (0, 0.0, 0, 0)
    assert Profile.from_json(profile.to_json()).measured.shape == (0,)


def test_it_introduces_itself_in_one_line(torino, compiled):
    said = repr(read_profile(compiled, read_calibration(torino), dt=torino.dt))
    assert len(said) < 150
    assert "two-qubit gates" in said


def test_a_store_takes_the_reading_out_of_a_bit():
    circuit = QuantumCircuit(2, 3)
    circuit.measure([0, 1], [0, 1])
    circuit.store(circuit.clbits[1], True)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.store(circuit.clbits[0], False)
    profile = read_profile(circuit)
    assert profile.measured.tolist() == [0, -1, -1]
    assert profile.mid_circuit.tolist() == [True, False, False]
    assert not profile.gates


@pytest.mark.parametrize("kind", ["measure", "measure_2", "reset"])
def test_others_wait_for_whatever_reads_a_qubit(kind):
    """Only "measure" had a length: beside other measurements, and resets, a qubit did not wait."""
    from qiskit_ibm_runtime.circuit import MidCircuitMeasure

    calibration = read_calibration("fake_torino")
    circuit = QuantumCircuit(2, 2)
    circuit.sx([0, 1])
    circuit.cz(0, 1)
    if kind == "reset":
        circuit.reset(0)
    elif kind == "measure":
        circuit.measure(0, 0)
    else:
        circuit.append(MidCircuitMeasure(kind), [0], [0])
    circuit.cz(0, 1)
    circuit.sx(1)
    circuit.measure(1, 1)
    assert read_profile(circuit, calibration).idle[1] == pytest.approx(calibration.duration("measure", [0]))
    assert ("idle", 1) in located_faults(circuit, calibration).places
