import dataclasses
import datetime
import json

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Kraus, average_gate_fidelity, random_quantum_channel, random_unitary
from qiskit_aer import AerSimulator
from qiskit_aer.noise import (
    NoiseModel,
    QuantumError,
    ReadoutError,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    pauli_error,
    thermal_relaxation_error,
)  # fmt: skip
from qiskit_ibm_runtime.fake_provider import FakeFractionalBackend, FakeKingston

from qcluster.device import Calibration, read_calibration
from qcluster.errors import CalibrationError


@pytest.fixture(scope="module")
def calibration(torino):
    return read_calibration(torino)


def test_figures_are_the_published_ones(torino, calibration):
    properties, target = torino.properties(), torino.target
    for q in (0, 7, 132):
        published = properties.qubit_property(q)
        assert calibration.readout[q, 0] == published["prob_meas1_prep0"][0]
        assert calibration.readout[q, 1] == published["prob_meas0_prep1"][0]
        assert calibration.t1[q] == published["T1"][0]
        assert calibration.error("sx", [q]) == target["sx"][(q,)].error
        assert calibration.duration("measure", [q]) == target["measure"][(q,)].duration
    assert calibration.error("cz", (0, 1)) == target["cz"][(0, 1)].error
    assert calibration.duration("cz", (1, 0)) == target["cz"][(1, 0)].duration
    assert calibration.date.startswith("2025-02-26T")
    assert (calibration.backend, calibration.n_qubits) == ("fake_torino", 133)
    assert (calibration.t2 <= 2 * calibration.t1).all()


def test_dead_edges_are_those_with_error_one(torino, calibration):
    dead = {tuple(pair) for pair in calibration.couplings[calibration.dead_couplings].tolist()}
    assert dead == {pair for pair, known in torino.target["cz"].items() if known.error >= 1}
    assert len(dead) == 22


def test_dead_qubits_and_unknown_t1_of_kingston():
    calibration = read_calibration(FakeKingston())
    assert calibration.dead_qubits.sum() == 5
    assert np.isnan(calibration.t1).sum() == 1
    assert "measure_2" not in calibration.gates_1q


def test_json_reads_back_exactly(calibration, tmp_path):
    calibration.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    assert again.to_json() == calibration.to_json()
    assert again.identity == calibration.identity
    assert again.couplings.dtype == np.int64
    assert again.dead_couplings.dtype == np.bool_
    np.testing.assert_array_equal(again.readout, calibration.readout)
    assert "NaN" not in (tmp_path / "c.json").read_text()


def test_arrays_are_frozen_and_not_shared(calibration):
    with pytest.raises(ValueError, match="read-only"):
        calibration.t1[0] = 1.0
    mine = np.ones(2)
    held = Calibration.ideal(2)
    assert held.t1 is not mine
    assert mine.flags.writeable


@pytest.mark.parametrize("text", ["{}", "not json", '{"format": "qcluster-profile", "version": 1}', "[]"])
def test_other_files_are_refused(text):
    with pytest.raises(ValueError, match="expected a qcluster-calibration"):
        Calibration.from_json(text)


@pytest.mark.parametrize("name", ["t2", "readout", "errors_1q", "durations_2q", "dead_couplings"])
def test_arrays_that_do_not_go_together_are_refused(calibration, name):
    content = json.loads(calibration.to_json())
    content[name] = [] if name.startswith("dead") else {"shape": [1], "values": [0.5]}
    with pytest.raises(ValueError, match=f"{name} of a calibration must have shape"):
        Calibration.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("readout", 1.5, r"readout of a calibration must be in \[0, 1\], or NaN where unknown; got 1.5"),
        ("readout", -0.1, "readout of a calibration must be in"),
        ("t1", -1.0, "t1 of a calibration must be of at least 0"),
        ("t2", -np.inf, "t2 of a calibration must be"),
        ("errors_2q", -0.01, "errors_2q of a calibration must be"),
        ("durations_1q", -1e-9, "durations_1q of a calibration must be"),
        ("couplings", 133, r"must join qubits 0\.\.132; got \["),
        ("couplings", -1, r"must join qubits 0\.\.132; got \["),
    ],
)
def test_figures_that_no_machine_has_are_refused(calibration, name, value, said):
    wrong = getattr(calibration, name).copy()
    wrong.flat[0] = value
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(calibration, **{name: wrong})
    if name != "couplings":
        wrong.flat[0] = np.nan
        dataclasses.replace(calibration, **{name: wrong})


def test_newer_versions_are_refused(calibration):
    content = json.loads(calibration.to_json()) | {"version": 99}
    with pytest.raises(ValueError, match="newer than this qcluster"):
        Calibration.from_json(json.dumps(content))


def test_plain_aer_is_noiseless():
    calibration = read_calibration(AerSimulator())
    assert calibration.noiseless
    assert calibration.error("cx", (0, 1)) == 0.0
    assert not calibration.readout.any()


def test_aer_with_its_own_model_gives_its_readout_and_the_infidelity_of_its_gates():
    noise = NoiseModel()
    noise.add_readout_error(ReadoutError([[0.8, 0.2], [0.3, 0.7]]), [2])
    relaxing = thermal_relaxation_error(1e-4, 1.5e-4, 3e-6)
    channels = {
        ("cx", (1, 0)): QuantumError(Kraus(random_quantum_channel(4, seed=3))),
        ("cz", (1, 2)): relaxing.tensor(relaxing).compose(depolarizing_error(0.1, 2)),
        ("x", (0,)): coherent_unitary_error(random_unitary(2, seed=1).data),
        ("sx", (1,)): amplitude_damping_error(0.1, 0.05),
    }
    for (gate, qubits), channel in channels.items():
        noise.add_quantum_error(channel, gate, qubits)
    calibration = read_calibration(AerSimulator(noise_model=noise))
    assert calibration.readout[1:4].tolist() == [[0, 0], [0.2, 0.3], [0, 0]]
    assert not calibration.noiseless
    for (gate, qubits), channel in channels.items():
        assert calibration.error(gate, qubits) == pytest.approx(
            1 - average_gate_fidelity(channel.to_quantumchannel())
        )  # fmt: skip
    assert calibration.error("cx", (0, 1)) == calibration.error("rz", [0]) == calibration.error("sx", [0]) == 0.0
    assert np.isnan(calibration.t1).all()
    assert Calibration.from_json(calibration.to_json()).identity == calibration.identity


def test_errors_of_a_place_overrule_those_of_all_places_and_errors_before_a_measurement_are_readout():
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.04, 2), ["cx"])
    noise.add_quantum_error(depolarizing_error(0.4, 2), ["cx"], [3, 2], warnings=False)
    noise.add_all_qubit_quantum_error(pauli_error([("X", 0.1), ("I", 0.9)]), "measure")
    noise.add_readout_error(ReadoutError([[0.8, 0.2], [0.3, 0.7]]), [2])
    calibration = read_calibration(AerSimulator(noise_model=noise))
    assert [calibration.error("cx", pair) for pair in ((0, 1), (2, 3), (3, 2))] == pytest.approx([0.03, 0.03, 0.3])
    np.testing.assert_allclose(calibration.readout[1], [0.1, 0.1])
    np.testing.assert_allclose(calibration.readout[2], [0.9 * 0.2 + 0.1 * 0.7, 0.9 * 0.3 + 0.1 * 0.8])


def test_an_error_that_cannot_be_read_is_unknown_and_not_the_end():
    hadamard = QuantumCircuit(1)
    hadamard.h(0)
    odd = QuantumError([(hadamard, 0.1), (QuantumCircuit(1), 0.9)])
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(odd, ["sx", "measure"])
    noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 1), ["x"])
    calibration = read_calibration(AerSimulator(noise_model=noise))
    assert np.isnan(calibration.error("sx", [0]))
    assert np.isnan(calibration.readout).all()
    assert calibration.error("x", [0]) == pytest.approx(0.005)
    assert calibration.assumed_readout(0) == (0.0, 0.0)


def test_a_model_of_more_qubits_than_the_simulator_has_is_cut():
    noise = NoiseModel()
    noise.add_quantum_error(depolarizing_error(0.04, 2), ["cx"], [90, 80])
    noise.add_quantum_error(depolarizing_error(0.04, 1), ["sx"], [90])
    noise.add_readout_error(ReadoutError([[0.8, 0.2], [0.3, 0.7]]), [90])
    simulator = AerSimulator(noise_model=noise)
    calibration = read_calibration(simulator)
    assert calibration.n_qubits == simulator.num_qubits < 80
    assert calibration.harmless


def test_symmetric_readout_where_only_one_figure_is_published():
    calibration = read_calibration(GenericBackendV2(3, seed=1))
    assert calibration.readout_symmetric.all()
    assert (calibration.readout[:, 0] == calibration.readout[:, 1]).all()


@pytest.mark.parametrize("backend", ["fake_manila", "aer"])
def test_only_real_machines_have_figures_of_other_times(backend):
    with pytest.raises(CalibrationError, match="is not a real machine, and keeps no figures of other times"):
        read_calibration(backend, at=datetime.datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="at must be a datetime, or None for now; got '2026-01-01'"):
        read_calibration(backend, at="2026-01-01")


def test_several_two_qubit_gates():
    calibration = read_calibration(FakeFractionalBackend())
    assert calibration.gates_2q == ("cx", "rzz")
    pair = calibration.couplings[0].tolist()
    assert 0 < calibration.error("rzz", pair) < 1


def test_qubits_outside_are_named(calibration):
    with pytest.raises(ValueError, match=r"0\.\.132 on fake_torino; got 133"):
        calibration.error("sx", [133])
    for qubit in (None, "0", 0.5):
        with pytest.raises(ValueError, match=f"on fake_torino; got {qubit}"):
            calibration.coherence(qubit)


@pytest.mark.parametrize("figure", ["error", "duration", "is_dead", "assumed_error"])
def test_qubits_are_a_sequence_and_one_for_a_measurement(calibration, figure):
    """A pair was answered for its first qubit, and a number ended in Python's own words."""
    ask = getattr(calibration, figure)
    for gate, qubits in (("sx", 0), ("measure", 0), ("measure", ()), ("cz", ())):
        with pytest.raises(ValueError, match=r"qubits must be a sequence of qubits, such as \(0,\) or \(0, 1\); got"):
            ask(gate, qubits)
    with pytest.raises(ValueError, match=r"a measurement must have one qubit, such as \(0,\); got \(0, 1\)"):
        ask("measure", (0, 1))


def test_it_introduces_itself_in_one_line(calibration):
    assert repr(calibration) == f"Calibration('fake_torino', 133 qubits, 300 couplings, {calibration.date})"
    assert repr(Calibration.ideal(1)) == "Calibration('ideal', 1 qubit, 0 couplings)"
