"""Reference circuits read what they say, cost what the circuit costs, and are run and kept beside it."""

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.random import random_circuit
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_ibm_runtime.circuit import MidCircuitMeasure

import qcluster as qc
from qcluster.device.execute import execute
from qcluster.device.jobs import collect, submit
from qcluster.device.machines.machine import find_machine
from qcluster.device.noise.measured import MeasuredReference, is_reusable
from qcluster.device.noise.reference import reference_circuit, reference_circuits, skeleton
from qcluster.device.prepare import Options, prepare
from qcluster.device.request import Request, reference_cost, request_digest
from qcluster.device.run import Run

BASES = {
    "cz": ["rz", "sx", "x", "cz"],
    "ecr": ["rz", "sx", "x", "ecr"],
    "cx": ["rz", "sx", "x", "cx"],
    "fractional": ["rz", "sx", "x", "rx", "rzz", "cz"],
}


def compiled(n: int, depth: int, seed: int, basis: str) -> QuantumCircuit:
    circuit = random_circuit(n, depth, max_operands=2, seed=seed)
    circuit.measure_all()
    line = [[i, i + 1] for i in range(n - 1)] + [[i + 1, i] for i in range(n - 1)]
    return transpile(
        circuit, basis_gates=BASES[basis], coupling_map=line, optimization_level=seed % 4, seed_transpiler=seed
    )


def reads(circuit: QuantumCircuit) -> dict[str, int]:
    """What a circuit reads, by matrix product states: another method than the one that checks references."""
    simulator = AerSimulator(method="matrix_product_state")
    return simulator.run(circuit, shots=50, seed_simulator=3).result().get_counts()


def coupled(circuit: QuantumCircuit) -> list[tuple[str, tuple[int, ...]]]:
    index = {bit: i for i, bit in enumerate(circuit.qubits)}
    return [(item.name, tuple(index[q] for q in item.qubits)) for item in circuit.data if len(item.qubits) == 2]


def check(circuit: QuantumCircuit, seed: int) -> None:
    reference = reference_circuit(circuit, seed=seed)
    assert reads(reference.circuit) == {reference.expected: 50}
    assert coupled(reference.circuit) == coupled(circuit)
    if not any("inserted" in change for change in reference.changes):
        assert skeleton(reference.circuit) == skeleton(circuit)
    assert set(reference.circuit.count_ops()) <= set(circuit.count_ops()) | {"rz", "x"} | (
        {"sx"} if reference.changes else set()
    )
    assert [register.name for register in reference.circuit.cregs] == [register.name for register in circuit.cregs]
    assert reference.circuit.layout == circuit.layout


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("seed", range(10))
def test_random_circuits_have_references_with_the_stated_output(basis, seed):
    check(compiled(2 + seed % 6, 1 + seed % 5, seed, basis), seed)


@pytest.mark.slow
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("n", [4, 6, 9, 13, 18, 25, 34, 45, 58, 72, 87, 100])
def test_wide_random_circuits_have_references_with_the_stated_output(basis, n):
    for seed in range(2):
        check(compiled(n, 4, seed, basis), seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fake_torino", "fake_brisbane", "fake_fez", "fake_washington", "fake_mumbai"])
def test_circuits_on_recorded_machines_have_references(name):
    machine = find_machine(name)
    for seed in range(3):
        circuit = random_circuit(6 + 4 * seed, 4, max_operands=2, seed=seed)
        circuit.measure_all()
        check(transpile(circuit, target=machine.backend.target, seed_transpiler=seed), seed)


def noisy(*basis: str) -> AerSimulator:
    """A simulator with these gates, whose pulses and couplings have errors; NoiseModel's own basis has no x."""
    noise = NoiseModel(basis_gates=list(basis))
    noise.add_all_qubit_quantum_error(
        depolarizing_error(0.05, 1), [name for name in ("sx", "x", "rx") if name in basis]
    )
    noise.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    return AerSimulator(noise_model=noise)


@pytest.mark.parametrize("basis", [("rz", "sx", "cx"), ("p", "sx", "cx"), ("u1", "sx", "x", "cx"), ("rz", "rx", "cx")])
def test_a_reference_has_no_gate_that_its_machine_lacks(basis):
    """An sx became an x without any error, and the calibration did not know the circuit."""
    simulator = noisy(*basis)
    for seed in range(6):
        circuit = transpile(compiled(2 + seed, 4, seed, "cx"), basis_gates=list(basis), optimization_level=1)
        reference = reference_circuit(circuit, qc.read_calibration(simulator), seed=seed)
        assert set(reference.circuit.count_ops()) <= {*basis, "barrier", "measure"}
        assert reads(reference.circuit) == {reference.expected: 50}
        assert coupled(reference.circuit) == coupled(circuit)
        assert reference.visible > 0.5
    (run,) = execute([ghz(3)], simulator, shots=4000, reference=True, seed=7)
    assert run.faults is not None
    assert run.reference.report().ratio == pytest.approx(1, abs=0.2)


def test_an_rx_by_a_half_turn_is_not_named_as_an_sx_that_became_x():
    circuit = QuantumCircuit(2)
    circuit.rx(0.3, 0)
    circuit.sx(1)
    circuit.cz(0, 1)
    circuit.sx(1)
    circuit.measure_all()
    reference = reference_circuit(circuit)
    assert [round(item.params[0], 6) for item in reference.circuit.data if item.name == "rx"] == [round(np.pi, 6)]
    assert reference.changes == ()


def test_a_reference_keeps_places_times_and_mid_circuit_measurements():
    circuit = QuantumCircuit(3, 3)
    circuit.sx(0)
    circuit.cz(0, 1)
    circuit.delay(400, 1, "ns")
    circuit.barrier()
    circuit.sx(1)
    circuit.measure(1, 0)
    circuit.reset(1)
    circuit.x(1)
    circuit.cz(1, 2)
    circuit.sx(2)
    circuit.measure([1, 2], [1, 2])
    reference = reference_circuit(circuit).circuit
    names = [item.name for item in reference.data if item.name not in {"rz", "sx", "x"}]
    assert names == ["cz", "delay", "barrier", "measure", "reset", "cz", "measure", "measure"]
    pulses = [sum(item.name in {"sx", "x"} for item in each.data) for each in (reference, circuit)]
    assert pulses[0] - pulses[1] in (0, 1)
    assert len(reads(reference)) == 1


def test_a_mid_circuit_measurement_of_another_kind_is_one():
    """IBM's measure_2 was refused as a gate that no IBM machine has."""
    circuits = []
    for kind in (Measure(), MidCircuitMeasure("measure_2")):
        circuit = QuantumCircuit(2, 2)
        circuit.sx([0, 1])
        circuit.cz(0, 1)
        circuit.append(kind, [1], [0])
        circuit.sx(1)
        circuit.measure(1, 1)
        circuits.append(circuit)
    plain, other = (reference_circuit(circuit, qc.read_calibration("fake_torino")) for circuit in circuits)
    assert [item.name for item in other.circuit.data if item.clbits] == ["measure_2", "measure"]
    assert (other.expected, other.changes, other.visible) == (plain.expected, plain.changes, plain.visible)
    assert skeleton(circuits[0]) != skeleton(circuits[1])


def test_free_angles_make_no_difference():
    angle = Parameter("t")
    circuit = QuantumCircuit(2)
    circuit.sx([0, 1])
    circuit.cz(0, 1)
    circuit.rz(angle, 1)
    circuit.sx(1)
    circuit.measure_all()
    bound = circuit.assign_parameters([0.7])
    assert skeleton(circuit) == skeleton(bound)
    assert reference_circuit(circuit, seed=4).expected == reference_circuit(bound, seed=4).expected
    assert not reference_circuit(circuit).circuit.parameters


def test_every_pauli_but_the_stabilizers_of_the_state_flips_a_bit():
    """12 of the 15 Paulis behind a gate are seen, whatever the states."""
    circuit = QuantumCircuit(2)
    circuit.sx([0, 1])
    circuit.cz(0, 1)
    circuit.sx([0, 1])
    circuit.measure_all()
    for seed in range(6):
        reference = reference_circuit(circuit, seed=seed)
        place = next(i for i, item in enumerate(reference.circuit.data) if item.name == "cz") + 1
        seen = 0
        for one in "ixyz":
            for other in "ixyz":
                struck = reference.circuit.copy_empty_like()
                for i, item in enumerate(reference.circuit.data):
                    if i == place:
                        getattr(struck, one if one != "i" else "id")(0)
                        getattr(struck, other if other != "i" else "id")(1)
                    struck.append(item)
                seen += reads(struck) != {reference.expected: 50}
        assert seen == 12


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda c: c.h(0), "got 'h' in 'mine': compile it for an IBM machine that has rz and sx"),
        (lambda c: c.ccx(0, 1, 2), "got 'ccx' in 'mine'"),
        (lambda c: c.if_test((c.clbits[0], 1)).__enter__(), None),
    ],
)
def test_what_has_no_reference_is_refused(build, message):
    circuit = QuantumCircuit(3, 3, name="mine")
    if message is None:
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(0)
        message = "without control flow; got 'if_else' in 'mine': run it without a reference"
    else:
        build(circuit)
    with pytest.raises(ValueError, match=message):
        reference_circuit(circuit)


def ghz(n: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n, name=f"ghz{n}")
    circuit.h(0)
    for i in range(n - 1):
        circuit.cx(i, i + 1)
    circuit.measure_all()
    return circuit


def sweep(points: int) -> list[QuantumCircuit]:
    angle = Parameter("t")
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.rz(angle, 1)
    circuit.cx(1, 2)
    circuit.sx(range(3))
    circuit.measure_all()
    machine = find_machine("fake_manila")
    shared = transpile(circuit, target=machine.backend.target, seed_transpiler=1, optimization_level=1)
    return [shared.assign_parameters([value]) for value in np.linspace(0.1, 3, points)]


def test_a_run_holds_what_its_reference_measured():
    plain, run = (execute([ghz(5)], "fake_mumbai", shots=4000, twirls=4, reference=r, seed=7)[0] for r in (False, True))
    assert plain.reference is None
    assert run.counts == plain.counts  # the reference changes nothing of the run itself
    measured = run.reference
    assert measured.counts.shots == 4000
    assert measured.symmetric
    right = sum(run.counts.to_probs()[text] for text in ("00000", "11111"))
    assert measured.noise.survival == pytest.approx(right, abs=0.1)
    assert "reference of 1 circuit, 4000 shots" in measured.notes
    fixed = qc.mitigate(run.counts, noise=measured.noise)
    assert qc.metrics.hellinger_fidelity(fixed.distribution, qc.Distribution.of({"00000": 1, "11111": 1})) > 0.99


def test_a_sweep_pays_for_one_reference():
    machine = find_machine("fake_manila")
    circuits = sweep(100)
    request = prepare(circuits, machine, Options(shots=100, reference=True), seed=1, compiled=True)
    assert sum(not one.serves for one in request.prepared) == 100
    assert len(request.prepared) == 101
    assert request.prepared[-1].serves == tuple(range(100))
    assert "reference of 100 circuits, 100 shots" in request.prepared[-1].notes
    runs = execute(circuits[::33], "fake_manila", shots=100, reference=True, seed=1)
    assert runs[0].notes == ("1 reference for 4 circuits: 100 shots (25% more), some 0.0 s on the machine",)
    assert all(run.reference is runs[0].reference for run in runs)


def test_a_run_says_what_its_reference_cost():
    """In the words of `qcluster jobs submit --reference`."""
    machine, circuits = find_machine("fake_manila"), [ghz(2), ghz(3), ghz(2)]
    for reference, share, cost in (
        (True, 1.0, "2 references for 3 circuits: 20000 shots (67% more), some 5.1 s on the machine"),
        (2, 0.25, "4 references for 3 circuits: 10000 shots (33% more), some 2.6 s on the machine"),
    ):
        options = Options(shots=10000, reference=reference, reference_share=share, optimization_level=0)
        request = prepare(circuits, machine, options, seed=3)
        assert reference_cost(request) == cost
        assert [one.notes[-1:] for one in request.prepared if not one.serves] == [(cost,)] * 3
    (run,) = execute([ghz(2)], "fake_manila", shots=100, reference=True, seed=3)
    assert run.notes == ("1 reference for 1 circuit: 100 shots (100% more), some 0.0 s on the machine",)
    assert execute([ghz(2)], "fake_manila", shots=100, seed=3)[0].notes == ()
    sampler = qc.MitigatedSampler("fake_manila", reference=True, seed=3)
    found = sampler.run([ghz(2), ghz(2)], shots=100).result()[1].metadata["runs"].item()
    assert found.notes == ("1 reference for 2 circuits: 100 shots (50% more), some 0.0 s on the machine",)


def test_the_cost_of_a_reference_on_a_simulator_is_shots_alone():
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    (run,) = execute([circuit], "aer", shots=300, reference=True, seed=5, optimization_level=0)
    assert run.notes[-1] == "1 reference for 1 circuit: 300 shots (100% more)"


def test_circuits_that_name_their_registers_differently_share_a_reference():
    """Each had one of its own, for the same gates and measurements."""

    def on(*registers):
        circuit = QuantumCircuit(QuantumRegister(3), *registers)
        circuit.compose(ghz(3).remove_final_measurements(inplace=False), inplace=True)
        circuit.measure([0, 1, 2], [0, 1, 2])
        return circuit

    circuits = [on(ClassicalRegister(3, "out")), on(ClassicalRegister(1, "a"), ClassicalRegister(2, "b"))]
    one, other = execute(circuits, "fake_manila", shots=200, twirls=2, reference=True, seed=5)
    assert one.reference is other.reference
    (later,) = execute(circuits[1:], "fake_manila", shots=200, twirls=2, reference=one.reference, seed=5)
    assert later.reference.counts == one.reference.counts


def test_circuits_of_other_skeletons_get_references_of_their_own():
    runs = execute([ghz(2), ghz(3), ghz(2)], "fake_manila", shots=200, reference=True, seed=3, optimization_level=0)
    assert [run.reference.counts.n_bits for run in runs] == [2, 3, 2]
    assert runs[0].reference is runs[2].reference


def test_a_reference_serves_a_circuit_whose_registers_are_numbered_on():
    def flip():
        circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1))
        circuit.x(0)
        circuit.measure(0, 0)
        return transpile(circuit, target=find_machine("fake_manila").backend.target, initial_layout=[2])

    (first,) = execute([flip()], "fake_manila", shots=100, reference=True, seed=3)
    (second,) = execute([flip()], "fake_manila", shots=100, reference=first.reference, seed=3)
    assert second.reference.counts == first.reference.counts


def test_a_saved_job_keeps_its_reference(tmp_path):
    machine = find_machine("fake_manila")
    request = prepare([ghz(3), ghz(4)], machine, Options(shots=300, twirls=2, reference=True), seed=5)
    again = Request.from_json(request.to_json())
    assert [one.serves for one in again.prepared] == [one.serves for one in request.prepared]
    runs = collect(submit(request, machine, tmp_path / "run"))
    at_once = execute([ghz(3), ghz(4)], "fake_manila", shots=300, twirls=2, reference=True, seed=5)
    assert len(runs) == 2
    for run, other in zip(runs, at_once, strict=True):
        assert run.reference.counts == other.reference.counts
        assert run.reference.expected == other.reference.expected


def test_a_request_of_before_there_were_references_is_read():
    request = prepare([ghz(3)], find_machine("fake_manila"), Options(shots=100), seed=5)
    content = json.loads(request.to_json())
    del content["reused"]
    for part in content["prepared"]:
        for name in ("serves", "expected", "skeleton"):
            del part[name]
    assert not any(one.serves for one in Request.from_json(json.dumps(content)).prepared)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"twirls": 2, "group": "balanced_pauli"}, None),
        (
            {"dd": "XX"},
            "the reference ran with no decoupling, this circuit with XX decoupling: their noise may differ",
        ),
        (
            {"twirls": 1},
            "the reference ran with active twirling, this circuit with no twirling: their noise may differ",
        ),
        (
            {"strategy": "all"},
            "the reference ran with active twirling, this circuit with all twirling: their noise may differ",
        ),
        (
            {"measure_twirl": False},
            "the reference ran with active twirling, this circuit with gates-only active twirling: their noise may "
            "differ",
        ),
    ],
)
def test_an_earlier_reference_of_other_conditions_is_noted(changed, said):
    (before,) = execute([ghz(3)], "fake_manila", shots=100, twirls=4, reference=True, seed=5)
    again = MeasuredReference.from_json(before.reference.to_json())
    (later,) = execute([ghz(3)], "fake_manila", shots=100, reference=again, seed=5, **{"twirls": 4, **changed})
    assert later.notes == ("reference measured 0.0 hours ago", *([said] if said else []))
    older = json.loads(before.reference.to_json())
    del older["conditions"]
    older = MeasuredReference.from_json(json.dumps(older))
    (later,) = execute([ghz(3)], "fake_manila", shots=100, reference=older, seed=5, **{"twirls": 4, **changed})
    assert later.notes == ("reference measured 0.0 hours ago",)


def test_a_measured_reference_is_written_and_read():
    (run,) = execute([ghz(3)], "fake_manila", shots=300, twirls=2, reference=True, seed=5)
    again = MeasuredReference.from_json(run.reference.to_json())
    assert again.counts == run.reference.counts
    assert again.to_json() == run.reference.to_json()
    assert [each.shots for each in again.twirl_counts] == [150, 150]
    content = json.loads(run.reference.to_json())
    pooled = replace(run.reference, twirl_counts=())
    assert pooled.to_json() == json.dumps({key: value for key, value in content.items() if key != "twirl_counts"})
    assert MeasuredReference.from_json(pooled.to_json()).twirl_counts == ()  # as versions wrote it that kept none
    digests = {request_digest([ghz(3)], "fake_manila", Options(), 5, [one]) for one in (run.reference, pooled)}
    assert len(digests) == 1
    with pytest.raises(ValueError, match="twirl_counts must add up to counts; they do not"):
        MeasuredReference.from_json(json.dumps(content | {"twirl_counts": content["twirl_counts"][:1]}))
    with pytest.raises(ValueError, match="qcluster-reference JSON document"):
        MeasuredReference.from_json("{}")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"expected": "01"}, "expected must have the width of the reference's counts, 3 bits; got 2"),
        ({"expected": "0a1"}, "expected must be a string of 0 and 1"),
        ({"created": "2026-11-29T10:00:00"}, "created must be a time with its offset from UTC, ISO 8601; got '2026-11"),
        ({"created": "yesterday"}, "created must be a time with its offset from UTC, ISO 8601; got 'yesterday'"),
    ],
)
def test_a_file_of_a_reference_that_cannot_be_used_is_refused_when_it_is_read(changed, said):
    """It was read, and failed where it was used, by errors of NumPy and datetime."""
    (run,) = execute([ghz(3)], "fake_manila", shots=100, reference=2, seed=5)
    content = json.loads(run.reference.to_json())
    with pytest.raises(ValueError, match=said):
        MeasuredReference.from_json(json.dumps(content | changed))
    (narrow,) = execute([ghz(2)], "fake_manila", shots=100, reference=True, seed=5)
    content["more"] = [json.loads(narrow.reference.to_json())]
    with pytest.raises(ValueError, match=r"references that ran together must have one width; got \[2, 3\] bits"):
        MeasuredReference.from_json(json.dumps(content))
    content["more"][0]["expected"] = "010"
    with pytest.raises(ValueError, match="expected must have the width of the reference's counts, 2 bits; got 3"):
        MeasuredReference.from_json(json.dumps(content))


def test_the_age_of_a_reference_is_that_of_any_clock():
    (run,) = execute([ghz(3)], "fake_manila", shots=100, reference=True, seed=5)
    now = datetime.now(UTC) + timedelta(hours=5)
    here = now.astimezone().replace(tzinfo=None)  # local, as datetime.now() gives it
    assert run.reference.age(here) == run.reference.age(now) == pytest.approx(5, abs=0.1)
    ahead = replace(run.reference, created=now.isoformat())
    (later,) = execute([ghz(3)], "fake_manila", shots=100, reference=ahead, seed=5)
    assert later.notes == ("reference dated 5.0 hours in the future: a clock was wrong, and its age is unknown",)
    assert is_reusable(run.reference, 100)
    assert not is_reusable(run.reference, 101)
    assert not is_reusable(ahead, 100), "it would stay young for as long as it is ahead"


def test_the_cure_is_told_where_a_holder_of_noise_is_given_for_it():
    (run,) = execute([ghz(3)], "fake_manila", shots=300, twirls=2, reference=np.True_, seed=5)
    (bare,) = execute([ghz(3)], "fake_manila", shots=300, twirls=2, reference=np.False_, seed=5)
    assert bare.reference is None
    for wrong, said in (
        (run.reference, "got a MeasuredReference: give its noise, such as noise=run.reference.noise"),
        (run, "got a Run: give its reference.noise, such as noise=run.reference.noise"),
        (bare, "got a Run: give its faults, such as noise=run.faults"),
        (run.calibration, r"got a Calibration: of a calibration, give qcluster.device.fault_masks\(compiled_circuit, "),
    ):
        with pytest.raises(TypeError, match=said):
            qc.mitigate(run.counts, noise=wrong)
    assert qc.mitigate(run.counts, noise=run.reference.noise).method == "measured"


@pytest.mark.parametrize("flag", [True, False])
def test_flags_of_numpy_are_stored_as_flags(flag):
    options = Options(reference=np.bool_(flag), measure_twirl=np.bool_(flag))
    assert (options.reference, options.measure_twirl) == (flag, flag)
    assert type(options.reference) is type(options.measure_twirl) is bool
    with pytest.raises(ValueError, match=r"reference \(True, False, or how many\) must be a whole number"):
        Options(reference="yes")


def test_an_earlier_reference_serves_later_circuits_of_its_skeleton(tmp_path):
    (before,) = execute([ghz(3)], "fake_manila", shots=300, reference=True, seed=5)
    (later,) = execute([ghz(3)], "fake_manila", shots=100, reference=before.reference, seed=5)
    assert later.reference.counts == before.reference.counts
    assert later.notes[-1].startswith("reference measured 0.0 hours ago")
    machine = find_machine("fake_manila")
    request = prepare([ghz(3)], machine, Options(shots=100), seed=5, reused=[before.reference])
    (saved,) = collect(submit(request, machine, tmp_path / "run"))
    assert saved.reference.counts == before.reference.counts


def test_a_reference_of_other_gates_or_another_machine_is_refused():
    (before,) = execute([ghz(3)], "fake_manila", shots=300, reference=True, seed=5)
    with pytest.raises(ValueError, match="must have the gates of 'ghz4'"):
        execute([ghz(4)], "fake_manila", shots=100, reference=before.reference, seed=5)
    with pytest.raises(ValueError, match="come from the machine that runs, fake_lima; got one from fake_manila"):
        execute([ghz(3)], "fake_lima", shots=100, reference=before.reference, seed=5)


@pytest.mark.parametrize("take", [execute, lambda _, machine, **options: qc.MitigatedSampler(machine, **options)])
def test_what_holds_a_reference_or_is_a_part_of_one_is_told_from_it(take):
    (before,) = execute([ghz(3)], "fake_manila", shots=50, reference=True, seed=5)
    made = reference_circuit(transpile(ghz(3), basis_gates=["cz", "rz", "sx"]))
    for wrong, said in [
        (before, "got a Run: give its reference, such as reference=run.reference"),
        (replace(before, reference=None), "got a Run: it ran without a reference"),
        (before.reference.noise, "got a MeasuredNoise: give the reference of a run"),
        (made, "got a Reference: give the reference of a run"),
        ([before], r"got a list: give one reference, such as reference=runs\[0\].reference"),
        (None, "got a NoneType: a run without a reference has none to give: measure one, with reference=True, or omit"),
    ]:
        with pytest.raises(ValueError, match=f"or the reference of an earlier run; {said}"):
            take([ghz(3)], "fake_manila", reference=wrong)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "mixture"}, "method='mixture' uses no reference"),
        ({"method": "hammer"}, "method='hammer' uses no"),
        ({"noise": 0.1}, "the noise given, 0.1, uses no"),
        ({"noise": qc.MeasuredNoise({"000": 9, "001": 1}, "000")}, "the noise given, MeasuredNoise"),
    ],
)
def test_a_sampler_says_that_no_answer_uses_the_reference_it_pays_for(given, said):
    sampler = qc.MitigatedSampler("fake_manila", seed=7, shots=50, **given)
    sampler.run([ghz(3)]).result()
    sampler.options.reference = True
    with pytest.warns(UserWarning, match=f"{said}.*only the runs hold it"):
        job = sampler.run([ghz(3)])
    assert job.result()[0].metadata["runs"].item().reference is not None


@pytest.mark.parametrize(
    "given", [{}, {"method": "none"}, {"method": "circuit"}, {"method": "measured"}, {"noise": lambda run: 0.1}]
)
def test_a_reference_that_answers_or_users_may_use_is_not_warned_of(given):
    sampler = qc.MitigatedSampler("fake_manila", seed=7, shots=200, reference=True, **given)
    sampler.run([ghz(3)]).result()


def test_a_sampler_runs_one_reference_for_a_sweep():
    angle = Parameter("t")
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.ry(angle, 1)
    circuit.cx(1, 2)
    circuit.measure_all()
    sampler = qc.MitigatedSampler("fake_manila", seed=7, reference=True, twirls=2)
    result = sampler.run([(circuit, np.linspace(0.3, 2, 5)[:, None])], shots=1000).result()
    runs = result[0].metadata["runs"]
    assert len({id(run.reference) for run in runs}) == 1
    assert "reference of 5 circuits, 1000 shots" in runs[0].reference.notes
    assert result[0].data.meas.num_shots == 1000


def turned(n: int = 2, name: str = "turned") -> QuantumCircuit:
    """One angle, which the compiler leaves to a virtual rotation."""
    circuit = QuantumCircuit(n, name=name)
    circuit.h(0)
    for i in range(n - 1):
        circuit.cx(i, i + 1)
    circuit.ry(Parameter("t"), n - 1)
    circuit.measure_all()
    return circuit


@pytest.fixture
def sent(monkeypatch):
    """How many references each request brings that a sampler sends."""
    from qcluster.device import sampler as module

    counted, real = [], module.send
    monkeypatch.setattr(module, "send", lambda request, *rest: counted.append(_new(request)) or real(request, *rest))
    return counted


def _new(request: Request) -> int:
    return sum(bool(one.serves) for one in request.prepared)


def run_of(sampler: qc.MitigatedSampler, pub: object, shots: int = 64) -> Run:
    return sampler.run([pub], shots=shots).result()[0].metadata["runs"].ravel()[0]


def test_a_loop_over_a_sampler_pays_for_one_reference(sent):
    sampler = qc.MitigatedSampler("fake_manila", twirls=2, reference=True, seed=7)
    runs = [run_of(sampler, (turned(), [value])) for value in (0.1, 0.2, 0.3)]
    assert sent == [1, 0, 0]
    assert runs[0].notes == ("1 reference for 1 circuit: 64 shots (100% more), some 0.0 s on the machine",)
    assert [run.notes for run in runs[1:]] == [("reference measured 0.0 hours ago",)] * 2
    assert all(run.reference is runs[0].reference for run in runs)
    own = run_of(qc.MitigatedSampler("fake_manila", twirls=2, seed=7), (turned(), [0.3]))
    assert runs[2].counts == own.counts  # the reference changes nothing of the run itself


def test_a_sampler_measures_anew_where_no_reference_fits(sent):
    sampler = qc.MitigatedSampler("fake_manila", twirls=2, reference=True, seed=7)
    first = run_of(sampler, (turned(), [0.1]))
    assert run_of(sampler, (turned(3), [0.1])).reference.counts.n_bits == 3
    more = run_of(sampler, (turned(), [0.1]), shots=100)
    assert (more.reference.counts.shots, first.reference.counts.shots) == (100, 64)
    assert run_of(sampler, (turned(), [0.2]), shots=80).reference is more.reference
    assert run_of(sampler, (turned(3), [0.2]), shots=10).reference.counts.shots == 64
    assert sent == [1, 1, 1, 0, 0]
    sampler.options.dd = "XX"
    assert run_of(sampler, (turned(), [0.2])).reference is not more.reference
    sampler.options.reference = 2
    assert len(run_of(sampler, (turned(), [0.2])).reference.parts) == 2
    sampler.options.update(dd=None, reference=True)
    assert run_of(sampler, (turned(), [0.4])).reference is more.reference
    sampler.options.reference = False
    assert run_of(sampler, (turned(), [0.4])).reference is None
    assert sent == [1, 1, 1, 0, 0, 1, 2, 0, 0]


def test_one_call_takes_the_references_that_are_there_and_measures_the_others(sent):
    sampler = qc.MitigatedSampler("fake_manila", reference=True, seed=7)
    known = [run_of(sampler, (turned(n), [0.1])).reference for n in (2, 3)]
    pubs = [(turned(2), [0.5]), (turned(4), [[0.1], [0.2]]), (turned(3), [0.5])]
    result = sampler.run(pubs, shots=64).result()
    assert sent == [1, 1, 1]
    one, other, third = (pub.metadata["runs"].ravel() for pub in result)
    assert (one[0].reference, third[0].reference) == tuple(known)
    assert other[0].reference is other[1].reference
    assert other[0].reference.counts.n_bits == 4
    assert other[1].notes[-1].startswith("1 reference for 4 circuits: 64 shots (25% more)")
    assert one[0].notes == third[0].notes == ("reference measured 0.0 hours ago",)
    sampler.run(pubs, shots=64).result()
    assert sent[-1] == 0


def test_a_sampler_lets_an_old_reference_be(sent, monkeypatch):
    sampler = qc.MitigatedSampler("fake_manila", reference=True, seed=7)
    first = run_of(sampler, (turned(), [0.1]), shots=100).reference
    monkeypatch.setattr(first.__class__, "age", lambda self: 23.9 if self is first else 0.5)
    later = run_of(sampler, (turned(), [0.2]))
    assert (later.reference, later.notes) == (first, ("reference measured 23.9 hours ago",))
    monkeypatch.setattr(first.__class__, "age", lambda self: 24.1 if self is first else 0.5)
    new = run_of(sampler, (turned(), [0.3]))
    assert new.reference is not first
    again = run_of(sampler, (turned(), [0.4]))
    assert (again.reference, again.notes) == (new.reference, ("reference measured 0.5 hours ago",))
    assert sent == [1, 0, 1, 0]


def test_jobs_that_have_not_finished_have_no_reference_to_give(sent, monkeypatch):
    from threading import Event

    from qcluster.device.execute import Sent

    begin, real = Event(), Sent.runs
    monkeypatch.setattr(Sent, "runs", lambda self: begin.wait(60) and real(self))
    sampler = qc.MitigatedSampler("fake_manila", reference=True, seed=7)
    jobs = [sampler.run([(turned(), [value])], shots=64) for value in (0.1, 0.2)]
    begin.set()
    one, other = (job.result()[0].metadata["runs"].item().reference for job in jobs)
    assert one is not other
    assert run_of(sampler, (turned(), [0.3])).reference in (one, other)
    assert sent == [1, 1, 0]


def test_a_sampler_takes_a_reference_that_was_measured_earlier(sent):
    first = qc.MitigatedSampler("fake_manila", twirls=2, reference=True, seed=7)
    measured = run_of(first, (turned(), [0.1])).reference
    sampler = qc.MitigatedSampler("fake_manila", twirls=2, reference=measured, seed=7)
    assert sampler.options.reference is measured
    assert "reference=MeasuredReference(fake_manila, 64 shots" in repr(sampler.options)
    assert pickle.loads(pickle.dumps(sampler.options)) == sampler.options
    assert sampler.options != first.options
    run = run_of(sampler, (turned(), [0.3]), shots=1000)
    assert run.reference is measured
    assert run.notes == ("reference measured 0.0 hours ago",)
    with pytest.raises(ValueError, match="must have the gates of 'wide'"):
        sampler.run([(turned(), [0.1], 32), (turned(3, "wide"), [0.1])], shots=64)
    with pytest.raises(ValueError, match="come from the machine that runs, fake_lima; got one from fake_manila"):
        qc.MitigatedSampler("fake_lima", reference=measured).run([(turned(), [0.1])])
    with pytest.raises(ValueError, match="no effect: the reference was measured earlier"):
        qc.MitigatedSampler("fake_manila", reference=measured, reference_share=0.5)
    with pytest.raises(ValueError, match="no effect: the reference was measured earlier"):
        sampler.options.reference_share = 0.5
    sampler.options.twirls = 4
    assert sampler.options.reference is measured
    assert sent == [1, 0], "where one PUB is refused none is sent"
    sampler.options.reference = True
    assert run_of(sampler, (turned(), [0.3])).reference is not measured
    assert sent == [1, 0, 1]


def test_a_kept_call_of_a_sampler_keeps_the_reference_that_served_it(tmp_path):
    sampler = qc.MitigatedSampler("fake_manila", reference=True, seed=7, directory=tmp_path)
    first, later = (run_of(sampler, (turned(), [value])) for value in (0.1, 0.2))
    for place in tmp_path.iterdir():
        (run,) = collect(place)
        assert run.reference.to_json() == first.reference.to_json() == later.reference.to_json()


def test_a_request_with_one_reference_for_all_circuits_is_read():
    """As requests said it before they could hold several."""
    machine = find_machine("fake_manila")
    (before,) = execute([ghz(3)], "fake_manila", shots=300, reference=True, seed=5)
    request = prepare([ghz(3), ghz(3)], machine, Options(shots=100), seed=5, reused=[before.reference])
    content = json.loads(request.to_json())
    content |= {"reused": content["reused"][0], "prepared": [part | {"skeleton": ""} for part in content["prepared"]]}
    older = Request.from_json(json.dumps(content))
    assert [one.skeleton for one in older.prepared] == [before.reference.skeleton] * 2
    assert [one.to_json() for one in older.reused] == [before.reference.to_json()]
    assert Request.from_json(json.dumps(content | {"reused": None})).reused == ()


def test_a_saved_run_keeps_its_reference_and_that_it_has_no_noise():
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    (run,) = execute([circuit], "aer", shots=300, reference=True, seed=5, optimization_level=0)
    again = Run.from_json(run.to_json())
    assert (again.noiseless, run.noiseless) == (True, True)
    assert again.reference.counts == run.reference.counts
    assert again.to_json() == run.to_json()


def test_several_references_differ_and_say_what_they_see():
    circuit = transpile(ghz(4), target=find_machine("fake_mumbai").backend.target, seed_transpiler=1)
    found = reference_circuits(circuit, 3, find_machine("fake_mumbai").calibration, seed=2)
    assert len({tuple(map(str, each.circuit.data)) for each in found}) == 3
    for each in found:
        assert reads(each.circuit) == {each.expected: 50}
        assert skeleton(each.circuit) == skeleton(circuit)
        assert 0.4 < each.visible <= 1
    assert reference_circuit(circuit).visible is None


@pytest.mark.parametrize(("length", "unit"), [(16000, "dt"), (3.5, "us")])
def test_references_of_circuits_with_delays_are_chosen_by_the_calibration(length, unit):
    """Compiled delays are counted in dt, of which the choice knew nothing: any reference was taken."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.delay(length, 1, unit=unit)
    circuit.cx(1, 2)
    circuit.measure_all()
    (run,) = execute([circuit], "fake_mumbai", shots=100, reference=True, seed=1)
    assert "sees 100% of the faults that matter" in run.reference.notes
    backend = find_machine("fake_mumbai").backend
    isa, calibration = transpile(circuit, backend, seed_transpiler=1), find_machine("fake_mumbai").calibration
    assert reference_circuit(isa, calibration).visible is None
    assert reference_circuit(isa, calibration, dt=backend.dt).visible > 0.9
    for wrong in (-1e-9, float("nan"), "1e-9"):
        with pytest.raises(ValueError, match="dt must be a finite number of at least 0; got"):
            reference_circuit(isa, calibration, dt=wrong)


def test_several_references_run_together_and_travel_as_one():
    (run,) = execute([ghz(3)], "fake_manila", shots=400, twirls=4, reference=2, reference_share=0.5, seed=5)
    one, other = run.reference.parts
    assert one.counts.shots == other.counts.shots == 200
    assert run.reference.noise.shots == 400
    own = [part.counts.to_counts().get(part.expected, 0) for part in (one, other)]
    assert run.reference.noise.survival == pytest.approx(sum(own) / 400)
    assert run.reference.noise.expected == one.expected
    again = Run.from_json(run.to_json()).reference
    assert [part.to_json() for part in again.parts] == [part.to_json() for part in run.reference.parts]
    assert np.allclose(again.learned.factors, run.reference.learned.factors)
    assert any("sees" in note for note in one.notes)
    (later,) = execute([ghz(3)], "fake_manila", shots=100, reference=run.reference, seed=5)
    assert len(later.reference.parts) == 2


def test_measured_noise_of_a_reference_pools_all_its_parts():
    """It took the counts of the first part only."""
    (run,) = execute([ghz(3)], "fake_manila", shots=400, reference=2, seed=5)
    reference, pooled = run.reference, run.reference.noise
    assert len(reference.parts) == 2
    for noise in (qc.MeasuredNoise(reference), qc.MeasuredNoise(reference, reference.expected)):
        assert (noise.expected, noise.shots) == (pooled.expected, 800)
        assert noise.patterns == pooled.patterns
    first = qc.MeasuredNoise(reference.counts, reference.expected)
    assert first.shots == 400
    wrong = "".join("10"[int(bit)] for bit in reference.expected)
    with pytest.raises(ValueError, match=f"without noise, '{reference.expected}', and may be omitted; got '{wrong}'"):
        qc.MeasuredNoise(reference, wrong)
    with pytest.raises(ValueError, match="expected must be a string of 0 and 1, such as '0110'; got ''"):
        qc.MeasuredNoise(reference.counts)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reference": -1}, r"reference \(True, False, or how many\) must be a whole number from 0 to 16; got -1"),
        ({"reference": 1.5}, "must be a whole number from 0 to 16; got 1.5"),
        ({"reference": True, "reference_share": 0}, "reference_share must be a finite number in"),
        ({"reference": True, "reference_share": 0.5, "twirling": "server"}, "reference_share must be 1 where the runt"),
        ({"reference_share": 0.5}, "reference_share would have no effect: it goes with reference; got 0.5 and no ref"),
        ({"reference": 0, "reference_share": 2}, "got 2 and no reference: omit it or add reference=True"),
    ],
)
def test_wrong_numbers_of_references_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Options(**given)


def test_a_share_of_shots_for_no_reference_is_refused():
    with pytest.raises(ValueError, match="reference_share would have no effect: it goes with reference"):
        execute([ghz(3)], "fake_manila", shots=256, reference_share=0.5)
    with pytest.raises(ValueError, match="reference_share would have no effect: it goes with reference"):
        qc.MitigatedSampler("fake_manila", reference_share=0.5)
    (before,) = execute([ghz(3)], "fake_manila", shots=100, reference=True, reference_share=1, seed=5)
    with pytest.raises(ValueError, match="no effect: the reference was measured earlier; got 0"):
        execute([ghz(3)], "fake_manila", shots=100, reference=before.reference, reference_share=0.5)
    assert execute([ghz(3)], "fake_manila", shots=100, reference_share=1.0)[0].reference is None


def test_a_reference_alone_is_written_as_true():
    assert Options(reference=1).reference is True
    assert Options(reference=0).reference is False


def test_a_reference_in_doubt_is_told_also_where_its_patterns_are_not_used():
    """The fault patterns had rates that were learned from it, and the reason said nothing."""
    (run,) = execute([ghz(3)], "fake_manila", shots=2000, twirls=2, reference=True, seed=5)
    fault = "is no clear maximum", "must be the reference's most frequent"
    assert not any(said in qc.mitigate(run).reason for said in fault)
    flat = replace(run.reference, counts=qc.Distribution.of({f"{i:03b}": 250 for i in range(8)}))
    other = replace(run.reference, expected="".join("10"[int(bit)] for bit in run.reference.expected))
    for reference, said in zip((flat, other), fault, strict=True):
        doubtful = replace(run, reference=reference)
        assert said in qc.mitigate(doubtful).reason
        assert said in qc.mitigate(doubtful, method="circuit").reason
        assert said not in qc.mitigate(doubtful, method="mixture").reason, "which takes nothing of it"
        assert said not in qc.mitigate(doubtful, noise=doubtful.faults).reason, "what is given goes before"
