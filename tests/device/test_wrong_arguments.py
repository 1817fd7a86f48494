"""What is no circuit, no machine, no calibration or no seed is refused in words, wherever a user may pass it."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qcluster as qc
from qcluster.device import Calibration, fault_masks, jobs, read_profile
from qcluster.device.circuits.timeline import check_calibration
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.noise.faults import run_faults
from qcluster.device.prepare import Options, prepare

BACKEND = GenericBackendV2(2, seed=1)
IDEAL = Calibration.ideal(2)


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize(
    "call",
    [
        lambda wrong: qc.twirl(wrong, 2),
        lambda wrong: qc.reference_circuit(wrong),
        lambda wrong: fault_masks(wrong, IDEAL),
        lambda wrong: read_profile(wrong, IDEAL),
    ],
    ids=["twirl", "reference_circuit", "fault_masks", "read_profile"],
)
@pytest.mark.parametrize(
    ("wrong", "came"), [([bell()], "a list of 1"), ("bell.qasm", "str"), (None, "NoneType"), (IDEAL, "Calibration")]
)
def test_what_is_no_circuit_is_named(call, wrong, came):
    with pytest.raises(TypeError, match=f"circuit must be a QuantumCircuit; got {came}"):
        call(wrong)


@pytest.mark.parametrize(
    "call",
    [
        lambda wrong: qc.reference_circuit(QuantumCircuit(1, 1), wrong),
        lambda wrong: fault_masks(bell(), wrong),
        lambda wrong: read_profile(bell(), wrong),
    ],
    ids=["reference_circuit", "fault_masks", "read_profile"],
)
@pytest.mark.parametrize("wrong", [BACKEND, "fake_manila"], ids=["backend", "name"])
def test_what_is_no_calibration_is_named_with_the_cure(call, wrong):
    kind = type(wrong).__name__
    with pytest.raises(TypeError, match=f"must be a Calibration; got {kind}: make it by qcluster.read_calibration"):
        call(wrong)
    check_calibration(qc.read_calibration(wrong))  # the cure is one


def test_a_calibration_is_read_by_the_names_that_execute_takes():
    assert qc.read_calibration("fake_manila").to_json() == qc.read_calibration(FakeManilaV2()).to_json()


@pytest.mark.parametrize(
    "call",
    [qc.read_calibration, lambda wrong: qc.execute([bell()], wrong), lambda wrong: qc.estimate_rates(bell(), wrong)],
)
@pytest.mark.parametrize(
    ("wrong", "said", "error"),
    [
        (FakeManilaV2, r"got a class: write FakeManilaV2\(\)", TypeError),
        (7, "must be a Qiskit backend or its name; got int$", TypeError),
        (StatevectorSampler(), "got StatevectorSampler: of a Sampler, give the backend", TypeError),
        (FakeManilaV2().properties(), r"save its to_dict\(\) as JSON by RuntimeEncoder, which C", TypeError),
        ("fake_manilla", "did you mean fake_manila", ValueError),
    ],
)
def test_what_is_no_machine_is_named(call, wrong, said, error):
    with pytest.raises(error, match=said):
        call(wrong)


def test_a_target_is_not_its_backend():
    with pytest.raises(TypeError, match=r"target must be a Qiskit Target; got GenericBackendV2: give backend.target"):
        qc.twirl(bell(), 2, BACKEND)


def test_a_reference_of_what_measures_nothing_is_refused():
    with pytest.raises(ValueError, match="a reference needs a circuit that measures; 'still' does not"):
        qc.reference_circuit(QuantumCircuit(2, name="still"))


@pytest.mark.parametrize(
    "call",
    [
        lambda seed: qc.execute([bell()], "aer", shots=1, seed=seed),
        lambda seed: qc.twirl(bell(), 2, seed=seed),
        lambda seed: qc.MitigatedSampler("aer", seed=seed).run([bell()]),
        lambda seed: qc.mitigate({"00": 60, "01": 4, "11": 40}, guard=False).interval("ZZ", seed=seed),
    ],
    ids=["execute", "twirl", "sampler", "interval"],
)
@pytest.mark.parametrize("seed", [-1, 1.5, "seven"])
def test_what_is_no_seed_is_named(call, seed):
    with pytest.raises(ValueError, match=f"seed must be a whole number of at least 0, .* got {seed!r}"):
        call(seed)


def test_circuits_from_a_generator_are_run():
    runs = qc.execute((bell() for _ in range(2)), "aer", shots=10, seed=7)
    assert [run.counts.shots for run in runs] == [10, 10]
    with pytest.raises(TypeError, match="circuits must be a sequence of circuits; got NoneType"):
        qc.execute(None, "aer")
    with pytest.raises(TypeError, match=r"QuantumCircuits; got tuple: give circuit.assign_parameters\(values\)"):
        qc.execute([(bell(), [0.5])], "aer")  # as a Sampler takes it


def test_options_that_change_nothing_are_noted():
    def notes(**options):
        (run,) = qc.execute([bell()], "aer", shots=10, seed=7, **options)
        return run.notes

    assert notes() == ()
    assert notes(mode="batch") == ("mode='batch' is for IBM's machines and not used",)
    assert notes(max_circuits=5) == ("max_circuits=5 is for IBM's machines and not used",)
    assert notes(strategy="all") == ("strategy concerns twirls, and there are none with twirls=1",)
    assert notes(group="balanced_pauli") == ("group concerns twirls, and there are none with twirls=1",)
    assert notes(strategy="active", group="balanced_pauli", twirls=2) == ()


@pytest.mark.parametrize("more", [{}, {"runtime": {"max_execution_time": 60}}])
def test_twirling_by_the_runtime_without_twirls_is_noted(more):
    model = find_machine("fake_manila")
    machine = Machine(model.backend, "hardware", model.calibration)

    def notes(**options):
        (one,) = prepare([bell()], machine, Options(shots=10, **options), seed=1).prepared
        return one.notes

    given = {"twirling": "server", "group": "local_c1", "strategy": "all"}
    said = tuple(
        f"{name} concerns twirls, and there are none with twirls=1" for name in ("group", "strategy", "twirling")
    )
    assert notes(**given, **more) == said
    assert notes(**given, **more, twirls=2) == ()
    assert notes(twirling="server", runtime={"twirling": {"num_randomizations": 4}}) == ()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_parameter_values_of_the_sampler_are_finite(wrong):
    circuit, angle = QuantumCircuit(1, name="turn"), Parameter("angle")
    circuit.rx(angle, 0)
    circuit.measure_all()
    with pytest.raises(ValueError, match="parameter values must be finite; some of 'turn' are not"):
        qc.MitigatedSampler("aer", seed=7).run([(circuit, [[0.1], [wrong]])])


def test_a_calibration_file_is_named_with_what_is_wrong_in_it(tmp_path):
    place = tmp_path / "counts.json"
    place.write_text('{"00": 5}')
    for kind in (Calibration, type(read_profile(bell()))):
        with pytest.raises(ValueError, match=f"{place}: expected a qcluster-"):
            kind.load(place)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: fault_masks(bell(), IDEAL, draws=0), ValueError, "draws must be a whole number of at least 1; got 0"),
        (lambda: fault_masks(bell(), IDEAL, dt=-1), ValueError, "dt must be a finite number of at least 0; got -1"),
        (
            lambda: fault_masks(bell(), IDEAL, counts={"0": 5}),
            ValueError,
            "counts must have the circuit's 2 bits; got 1",
        ),
        (lambda: run_faults({"00": 5}), TypeError, "run must be a Run; got dict"),
        (lambda: qc.twirl(bell(), 2).undo([{"00": 5}]), ValueError, "counts of each of the 2 circuits; got 1"),
        (lambda: Calibration.ideal("2"), ValueError, "n_qubits must be a whole number from 0 to 100000; got '2'"),
        (lambda: qc.baselines.measure_readout("fake_manila", [0]), TypeError, "must be a Qiskit backend; got str"),
        (lambda: qc.baselines.measure_readout(BACKEND, [0, 2]), ValueError, r"qubits must lie in 0\.\.1; got 2"),
        (lambda: qc.baselines.measure_readout(BACKEND, [0.5]), ValueError, r"qubits must lie in 0\.\.1; got 0.5"),
        (lambda: qc.baselines.measure_readout(BACKEND, []), ValueError, "there must be a qubit to measure; got none"),
    ],
)
def test_what_does_not_go_together_is_named(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_counts_of_a_circuit_may_be_of_any_kind():
    assert fault_masks(bell(), IDEAL, counts={"00": 5, "11": 4}).n_bits == 2


@pytest.mark.parametrize("wrong", ["x", [bell()]])
def test_what_is_no_request_is_not_submitted(wrong):
    with pytest.raises(TypeError, match=r"request must be a Request, .*; got (str|list): circuits run by"):
        jobs.submit(wrong)


@pytest.mark.parametrize("coverage", ["0.8", 0, 1, 1.2, float("nan")])
def test_a_coverage_is_a_share(coverage):
    with pytest.raises(ValueError, match=r"coverage must (be a finite number|lie) in"):
        qc.estimate_rates({"00": 90, "01": 10}, coverage=coverage)


def test_what_is_no_model_is_named():
    with pytest.raises(TypeError, match=r"model must be a fitted one, .* got str"):
        qc.estimate_rates({"00": 90, "01": 10}, model="forest")


def test_hexadecimal_counts_have_the_width_of_their_circuit():
    circuit = QuantumCircuit(2, 3)
    circuit.measure([0, 1], [0, 2])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    calibration = qc.read_calibration("fake_manila")
    found = [fault_masks(circuit, calibration, counts=counts).rates for counts in ({"0x1": 9}, {"001": 9})]
    assert np.array_equal(*found)


def test_a_request_goes_to_the_machine_that_it_was_made_for(tmp_path):
    """Circuits compiled for one machine were sent to another."""
    made_for, other = find_machine("fake_manila"), find_machine("fake_quito")
    request = prepare([bell()], made_for, Options(shots=10), seed=1)
    with pytest.raises(
        ValueError, match="machine must be the one that the request was made for, fake_manila; got fake"
    ):
        jobs.submit(request, other, tmp_path / "run")
    for call in (lambda: jobs.submit(request, "aer", tmp_path / "run"), lambda: prepare([bell()], "aer", Options())):
        with pytest.raises(TypeError, match=r"machine must be a Machine, from .*find_machine; got a str"):
            call()
    assert not (tmp_path / "run").exists()
