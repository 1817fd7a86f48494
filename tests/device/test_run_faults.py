"""A run knows the faults of its circuit, and `mitigate` uses them where they explain the counts."""

import dataclasses
import json

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error

import qcluster as qc
from qcluster.device import Profile, fault_masks
from qcluster.device.execute import execute

GHZ = {"00000": 0.5, "11111": 0.5}


@pytest.fixture(scope="module")
def run(ghz):
    """Scheduled, in dt, on a small recorded machine."""
    (done,) = execute([ghz(5)], "fake_manila", shots=4000, twirls=4, seed=5)
    return done


def test_a_run_finds_its_own_faults(run):
    assert run.profile.circuit.count_ops()["delay"] > 0
    assert run.profile.dt is not None
    plain = fault_masks(run.profile.circuit, run.calibration, dt=run.profile.dt)
    np.testing.assert_array_equal(run.faults.masks, plain.masks)
    np.testing.assert_allclose(run.faults.rates, plain.rates)
    np.testing.assert_array_equal(run.faults.readout, plain.symmetrised().readout)
    assert run.faults is run.faults, "found once"


def test_readout_stays_asymmetric_unless_measurements_are_twirled(run):
    untwirled = dataclasses.replace(run, flips=np.zeros_like(run.flips))
    readout = untwirled.faults.readout
    assert (readout[:, 0] != readout[:, 1]).any()
    options = {"twirling": "server", "measure_twirl": True, "twirls": 4}
    served = dataclasses.replace(untwirled, options=options)
    np.testing.assert_array_equal(served.faults.readout, run.faults.readout)
    single = dataclasses.replace(untwirled, options={**options, "twirls": 1})  # which the runtime does not twirl
    np.testing.assert_array_equal(single.faults.readout, readout)


def test_an_odd_number_of_twirls_leaves_readout_as_asymmetric_as_its_flips_are():
    circuit = QuantumCircuit(3, 3)
    circuit.x([0, 1, 2])
    circuit.measure([0, 1, 2], [0, 1, 2])
    (three,) = execute([circuit], "fake_manila", shots=60_000, twirls=3, seed=3)
    assert sorted(three.flips.sum(axis=0).tolist()) == [1, 1, 2]
    zeros = 1 - three.counts.probabilities @ three.counts.bits
    expected = three.faults.readout[:, 1]
    np.testing.assert_allclose(zeros, expected, atol=4 * np.sqrt(expected.max() / three.shots))


def test_a_saved_profile_still_gives_the_faults(run):
    again = dataclasses.replace(run, profile=Profile.from_json(run.profile.to_json()))
    np.testing.assert_array_equal(again.faults.masks, run.faults.masks)
    older = json.loads(run.profile.to_json())
    del older["dt"]
    assert Profile.from_json(json.dumps(older)).dt is None


def test_mitigate_takes_the_run_and_says_what_the_calibration_predicts(run):
    fixed = qc.mitigate(run)
    assert (fixed.method, fixed.applied) == ("circuit", True)
    assert "calibration predicts" in fixed.reason
    assert qc.metrics.hellinger_fidelity(fixed.distribution, GHZ) > 0.995
    assert fixed.raw == run.counts
    assert qc.mitigate(run, method="mixture").method == "mixture"
    assert qc.mitigate(run, guard=False).method == "circuit"
    assert qc.mitigate(run, 0.05).method == "mixture"
    assert qc.mitigate(run.counts).method == "mixture"


def test_counts_that_the_circuit_cannot_have_made_are_not_destroyed(run):
    """Many strings, sharper than a fifth of the published noise allows: the calibration is of another machine."""
    rng = np.random.default_rng(3)
    drawn = rng.multinomial(8000, rng.dirichlet(np.full(32, 0.4)))
    counts = qc.Distribution.of({f"{i:05b}": int(c) for i, c in enumerate(drawn) if c})
    terrible = dataclasses.replace(run.calibration, readout=np.full_like(run.calibration.readout, 0.3))
    odd = dataclasses.replace(run, calibration=terrible, counts=counts)
    fixed = qc.mitigate(odd)
    assert fixed.method == "circuit"
    assert qc.metrics.hellinger_fidelity(fixed.distribution, counts) > 0.95


def test_the_noise_model_of_a_simulator_is_read(ghz):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    (bare,) = execute([ghz(3)], AerSimulator(noise_model=noise), shots=500, seed=1)
    assert bare.faults.expected_faults > 0.01
    assert bare.faults_missing == ""
    assert qc.mitigate(bare).method == "circuit"


@pytest.mark.parametrize("error", [0.03, 0.06])
@pytest.mark.parametrize("angle", [0.4, 0.7])
def test_smooth_outputs_read_without_errors_lose_nothing(angle, error):
    """Readout errors of 0 are far outside the training: up to 2.7 times the noise was undone, and .92 fell to .73."""
    circuit = QuantumCircuit(4)
    for _ in range(2):
        circuit.rx(angle, range(4))
        for i in range(3):
            circuit.rzz(0.6, i, i + 1)
    ideal = Statevector(circuit).probabilities_dict()
    circuit.measure_all()
    noise = NoiseModel(basis_gates=["cx", "rx", "rz"])
    noise.add_all_qubit_quantum_error(depolarizing_error(error, 2), ["cx"])
    (run,) = execute([circuit], AerSimulator(noise_model=noise), shots=8192, twirls=8, seed=5)
    raw, mitigated = (qc.metrics.hellinger_fidelity(d, ideal) for d in (run.counts, qc.mitigate(run).distribution))
    assert mitigated > raw + 0.003


def test_runs_without_published_noise_are_mitigated_by_their_counts_and_say_so(ghz):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 1), ["reset"])
    (bare,) = execute([ghz(3)], AerSimulator(noise_model=noise), shots=500, seed=1)
    assert bare.faults is None
    fixed = qc.mitigate(bare)
    assert fixed.method == "mixture"
    assert fixed.reason.startswith("no fault patterns of the circuit (aer_simulator")
    assert "publishes no errors); by the counts alone: " in fixed.reason
    with pytest.raises(ValueError, match=r"needs fault patterns .*, or a Run that has them; got none"):
        qc.mitigate(bare, method="circuit")


def test_runs_without_noise_come_back_as_they_came(ghz):
    (clean,) = execute([ghz(3)], "aer", shots=500, seed=1)
    assert clean.faults is None
    fixed = qc.mitigate(clean)
    assert (fixed.applied, fixed.distribution) == (False, clean.counts)
    assert fixed.reason == "left as is: the simulator that made these counts has no noise"
    assert [answer.reason for answer in qc.mitigate_many([clean], workers=1)] == [fixed.reason]
    assert qc.mitigate(clean, method="mixture").method == "mixture"


def test_feed_forward_is_undone_as_well(feed_forward):
    (run,) = execute([feed_forward], "fake_torino", shots=4000, seed=5)
    fixed = qc.mitigate(run)
    assert fixed.method == "circuit"
    ideal = {"000": 0.5, "111": 0.5}
    assert qc.metrics.hellinger_fidelity(run.counts, ideal) < 0.99
    assert qc.metrics.hellinger_fidelity(fixed.distribution, ideal) > 0.995


def test_what_cannot_be_read_is_said(run):
    circuit = QuantumCircuit(3, 3)
    circuit.ccx(0, 1, 2)
    circuit.measure([0, 1, 2], [0, 1, 2])
    counts = qc.Distribution.of({"111": 300, "011": 20, "101": 20})
    odd = dataclasses.replace(run, profile=qc.read_profile(circuit, run.calibration), counts=counts)
    assert odd.faults is None
    assert odd.faults_missing == "the circuit must hold unitary gates on one or two qubits; got 'ccx'"
    alone = qc.mitigate(counts)
    fixed = qc.mitigate(odd)
    assert (
        fixed.reason == f"no fault patterns of the circuit ({odd.faults_missing}); by the counts alone: {alone.reason}"
    )
    assert fixed.distribution == alone.distribution
    assert qc.mitigate(odd, method="mixture").reason == alone.reason


def test_only_bits_that_were_flipped_are_read_as_well_as_badly(run):
    flips = run.flips.copy()
    flips[:, 2] = False
    some = dataclasses.replace(run, flips=flips).faults.readout
    assert some[2, 0] != some[2, 1]
    np.testing.assert_array_equal(some[[0, 1, 3, 4]], run.faults.readout[[0, 1, 3, 4]])


def test_the_sampler_uses_the_circuit_where_it_can(ghz):
    (pub,) = qc.MitigatedSampler("fake_manila", seed=5, twirls=2).run([ghz(4)], shots=1000).result()
    assert pub.metadata["mitigations"].item().method == "circuit"
