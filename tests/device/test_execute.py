import json

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm2, qasm3, transpile
from qiskit.circuit import Clbit, Gate, Parameter, Qubit
from qiskit.circuit.classical import expr
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error, pauli_error
from qiskit_ibm_runtime.circuit import MidCircuitMeasure
from qiskit_ibm_runtime.fake_provider import FakeLimaV2, FakeManilaV2

from qcluster import metrics
from qcluster.device import MitigatedSampler, read_profile
from qcluster.device.execute import execute
from qcluster.device.jobs import collect
from qcluster.device.machines.machine import find_machine
from qcluster.device.noise.reference import reference_circuit
from qcluster.device.noise.simulate import run_on_simulator
from qcluster.device.prepare import Options, prepare
from qcluster.device.request import Request
from qcluster.errors import JobError
from tests.device.oracle_dynamic import dynamic_distribution, random_program


@pytest.mark.parametrize("backend", ["aer", "fake_torino", "fake_brisbane", "fake_fez"])
def test_same_seed_same_counts_everywhere(backend, ghz):
    machine = find_machine(backend).backend
    first, again, other = (
        execute([ghz(3), ghz(2)], machine, shots=501, twirls=3, seed=seed, optimization_level=1) for seed in (7, 7, 8)
    )
    assert [run.counts for run in first] == [run.counts for run in again]
    assert [run.twirl_counts for run in first] == [run.twirl_counts for run in again]
    assert first[0].counts != other[0].counts
    for run, n in zip(first, (3, 2), strict=True):
        assert run.shots == 501
        assert (run.counts.n_bits, len(run.twirl_counts), run.flips.shape) == (n, 3, (3, n))
        probabilities = run.counts.to_probs()
        assert probabilities["0" * n] + probabilities["1" * n] > 0.7
        assert run.seed == 7
        assert run.versions["qiskit"]


def test_bits_land_where_the_circuit_put_them(torino):
    a, b = ClassicalRegister(2, "a"), ClassicalRegister(3, "b")
    circuit = QuantumCircuit(QuantumRegister(4), a, b)
    circuit.x([0, 2])
    circuit.measure([0, 1], [b[2], a[0]])
    circuit.measure([2, 3], [a[1], b[0]])
    (run,) = execute([circuit], torino, shots=400, twirls=4, seed=1)
    assert next(iter(run.counts.top(1))) == "10010"
    assert run.profile.registers == (("a", 2), ("b", 3))
    assert run.profile.measured[3] == -1


def test_dead_edges_are_avoided(torino, ghz):
    (run,) = execute([ghz(8)], torino, shots=100, seed=1, simulation="stabilizer", optimization_level=1)
    for (gate, place), _ in run.profile.gates.items():
        assert run.calibration.error(gate, place) < 1


def folded():
    """X on one qubit and six cx that a compiler cancels, on qubits 3 and 2, which it does not choose."""
    circuit = QuantumCircuit(2)
    circuit.x(0)
    for _ in range(6):
        circuit.cx(0, 1)
    circuit.measure_all()
    return transpile(circuit, FakeManilaV2(), initial_layout=[3, 2], optimization_level=0)


@pytest.mark.parametrize("machine", [FakeManilaV2(), AerSimulator.from_backend(FakeManilaV2())])
def test_what_is_compiled_for_the_machine_runs_as_it_is(machine, ghz):
    first, mine, last = execute([ghz(2), folded(), ghz(3)], machine, shots=200, twirls=2, seed=1)
    assert (first.counts.n_bits, last.counts.n_bits) == (2, 3)
    assert mine.profile.measured.tolist() == [3, 2]
    assert mine.profile.gates["cx", (3, 2)] == 6
    assert next(iter(mine.counts.top(1))) == "01"
    angle = Parameter("angle")
    turned = QuantumCircuit(2)
    turned.rx(angle, 0)
    turned.cx(0, 1)
    turned.measure_all()
    placed = transpile(turned, FakeManilaV2(), initial_layout=[3, 2], optimization_level=1)
    (pub,) = MitigatedSampler(machine, seed=1).run([(placed, [[0.0], [np.pi]])], shots=200).result()
    runs = pub.metadata["runs"].tolist()
    assert [run.profile.measured.tolist() for run in runs] == [[3, 2], [3, 2]]
    assert [next(iter(run.counts.top(1))) for run in runs] == ["00", "11"]


@pytest.mark.parametrize("machine", ["fake_manila", "fake_guadalupe", AerSimulator.from_backend(FakeManilaV2())])
def test_physical_qubits_of_openqasm_are_those_of_the_machine(machine, tmp_path):
    """A circuit on them could not be run: Qiskit leaves its qubits without a register."""
    circuit = qasm3.loads(qasm3.dumps(folded()))
    (run,) = execute([circuit], machine, shots=200, twirls=2, seed=1, directory=tmp_path / "run")
    assert run.profile.measured.tolist() == [3, 2]
    assert run.profile.gates["cx", (3, 2)] == 6
    assert next(iter(run.counts.top(1))) == "01"
    assert execute([circuit], machine, shots=200, twirls=2, seed=1, directory=tmp_path / "run")[0].counts == run.counts
    (pub,) = MitigatedSampler(machine, seed=1).run([circuit], shots=200).result()
    assert pub.metadata["runs"].item().profile.measured.tolist() == [3, 2]


@pytest.mark.parametrize("machine", ["aer", FakeLimaV2()])
def test_physical_qubits_are_placed_anew_on_another_machine(machine):
    (run,) = execute([qasm3.loads(qasm3.dumps(folded()))], machine, shots=50, seed=1)
    assert next(iter(run.counts.top(1))) == "01"
    assert not run.profile.gates.get(("cx", (3, 2)))


def test_a_circuit_that_has_lost_its_layout_is_placed_anew_with_a_note():
    lost = qasm2.loads(qasm2.dumps(folded()), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    (run,) = execute([lost], FakeManilaV2(), shots=50, seed=1)
    assert not run.profile.gates.get(("cx", (3, 2)))
    (note,) = run.notes
    assert "has no layout" in note
    (pub,) = MitigatedSampler(FakeManilaV2(), seed=1).run([lost], shots=50).result()
    assert pub.metadata["runs"].item().notes == (note,), "a Sampler gave no note"
    lost = transpile(lost, FakeManilaV2(), initial_layout=range(lost.num_qubits), optimization_level=0)
    (run,) = execute([lost], FakeManilaV2(), shots=50, seed=1)
    assert (run.profile.gates["cx", (3, 2)], run.notes) == (6, ())


def test_what_is_compiled_for_another_machine_is_compiled_anew():
    for machine in ("aer", "fake_mumbai", FakeLimaV2()):  # Lima has as many qubits, but no cx between 3 and 2
        (run,) = execute([folded()], machine, shots=50, seed=1)
        assert next(iter(run.counts.top(1))) == "01"
        assert not run.profile.gates.get(("cx", (3, 2)))


def test_a_reference_circuit_runs_with_all_its_gates():
    reference = reference_circuit(folded())
    (run,) = execute([reference.circuit], FakeManilaV2(), shots=500, seed=1)
    assert run.profile.gates == read_profile(reference.circuit).gates
    assert next(iter(run.counts.top(1))) == reference.expected


def test_a_machine_is_as_noisy_as_its_calibration_says(torino):
    """One qubit prepared in |1>: P(read 0) is the readout error, plus at most 1% for the x gate."""
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.measure_all()
    (run,) = execute([circuit], torino, shots=20_000, seed=1)
    p01 = run.calibration.readout[run.profile.measured[0], 1]
    assert 0 <= run.counts.to_probs().get("0", 0) - p01 + 0.005 < 0.015


def test_readout_errors_of_a_run_are_by_bit(torino):
    circuit = QuantumCircuit(2, 4)
    circuit.x(0)
    circuit.measure([0, 1], [3, 1])
    (run,) = execute([circuit], torino, shots=10, seed=1)
    of = run.calibration.readout
    assert run.readout.tolist() == [
        [0, 0],
        of[run.profile.measured[1]].tolist(),
        [0, 0],
        of[run.profile.measured[3]].tolist(),
    ]
    with pytest.raises(ValueError, match=r"qubits must lie in 0\.\.132 on fake_torino; got -2"):
        run.calibration.readout_of([0, -2])


def test_waiting_costs(torino):
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.delay(100, 0, "us")
    circuit.measure_all()
    (run,) = execute([circuit], torino, shots=4000, seed=1)
    t1 = run.calibration.t1[run.profile.measured[0]]
    assert run.profile.idle[run.profile.measured[0]] == pytest.approx(1e-4)
    p10, p01 = run.calibration.readout[run.profile.measured[0]]
    excited = np.exp(-1e-4 / t1)
    assert run.counts.to_probs()["1"] == pytest.approx(excited * (1 - p01) + (1 - excited) * p10, abs=0.04)


def test_an_aer_simulator_is_run_with_the_noise_it_has():
    noise = NoiseModel()
    noise.add_all_qubit_readout_error(ReadoutError([[0.9, 0.1], [0.3, 0.7]]))
    simulator = AerSimulator(noise_model=noise)
    before = dict(simulator.options.__dict__)
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.measure_all()
    (plain,) = execute([circuit], simulator, shots=8000, seed=2)
    (twirled,) = execute([circuit], simulator, shots=8000, twirls=8, seed=2)
    assert plain.method == "aer"
    assert plain.counts.to_probs()["0"] == pytest.approx(0.3, abs=0.03)
    assert twirled.counts.to_probs()["0"] == pytest.approx(0.2, abs=0.03), "flipping makes readout symmetric"
    assert plain.calibration.readout[0].tolist() == pytest.approx([0.1, 0.3])
    assert dict(simulator.options.__dict__) == before


def test_twirling_and_decoupling_leave_the_answer(torino, ghz):
    for dd in ("XX", "XpXm", "XY4"):
        (run,) = execute([ghz(3)], torino, shots=1000, twirls=2, dd=dd, seed=3, optimization_level=1)
        probabilities = run.counts.to_probs()
        assert probabilities["000"] + probabilities["111"] > 0.7


def test_wide_clifford_circuits_run_and_say_how(torino):
    n = 40
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    circuit.measure_all()
    (run,) = execute([circuit], torino, shots=500, twirls=2, seed=1, optimization_level=1)
    assert (run.method, run.approximate) == ("stabilizer", True)
    assert "Pauli twirl" in run.notes[0]
    ones = run.counts.bits.T @ run.counts.weights / run.shots
    assert ((ones > 0.5) == (np.arange(n) % 2 == 0)).mean() > 0.9


def test_control_flow_runs_unscheduled_and_says_so(torino, feed_forward):
    (run,) = execute([feed_forward], torino, shots=400, seed=1)
    probabilities = run.counts.to_probs()
    assert probabilities["000"] + probabilities["111"] > 0.7
    assert "not scheduled" in run.notes[0]


def test_a_request_reads_back_exactly(torino, ghz):
    request = prepare([ghz(3)], find_machine(torino), Options(shots=100, twirls=3), seed=1)
    again = Request.from_json(request.to_json())
    assert again.prepared[0].circuits == request.prepared[0].circuits
    assert again.prepared[0].profile.to_json() == request.prepared[0].profile.to_json()
    assert again.calibration.identity == request.calibration.identity
    for field in ("id", "created", "backend", "kind", "seed", "simulator_seed", "dt", "options", "versions"):
        assert getattr(again, field) == getattr(request, field)
    assert np.array_equal(again.prepared[0].flips, request.prepared[0].flips)


def test_refusals(ghz):
    with pytest.raises(TypeError, match=r"execute\(\[circuit\]"):
        execute(ghz(2), "aer")
    with pytest.raises(ValueError, match="measure_all"):
        execute([QuantumCircuit(1)], "aer")
    unbound = QuantumCircuit(1)
    unbound.rx(Parameter("t"), 0)
    unbound.measure_all()
    with pytest.raises(ValueError, match=r"\['t'\]: use circuit.assign_parameters"):
        execute([unbound], "aer")
    with pytest.raises(ValueError, match="did you mean fake_torino"):
        execute([ghz(2)], "fake_torin")
    with pytest.raises(ValueError, match="shots must be a whole number from 1 to 2147483647; got 0"):
        execute([ghz(2)], "aer", shots=0)
    with pytest.raises(ValueError, match="twirls must not exceed shots"):
        execute([ghz(2)], "aer", shots=3, twirls=4)
    with pytest.raises(ValueError, match="dd must be one of"):
        execute([ghz(2)], "aer", dd="CPMG")
    with pytest.raises(ValueError, match="twirling='server' needs a real machine"):
        execute([ghz(2)], "aer", twirling="server")
    with pytest.raises(ValueError, match="needs 6 qubits; fake_manila has 5"):
        execute([ghz(6)], "fake_manila")
    with pytest.raises(ValueError, match=r"needs 200 qubits; aer_simulator has \d+: .*method='stabilizer'"):
        execute([ghz(200)], "aer")
    (wide,) = execute([ghz(200)], AerSimulator(method="stabilizer"), shots=9, seed=1)  # the cure that is named
    assert set(wide.counts) <= {"0" * 200, "1" * 200}
    with pytest.raises(TypeError, match="backend must be"):
        execute([ghz(2)], 7)
    t_gate = QuantumCircuit(1)
    t_gate.rx(0.3, 0)
    t_gate.measure_all()
    with pytest.raises(ValueError, match="needs a Clifford circuit"):
        execute([t_gate], "fake_manila", simulation="stabilizer")


def test_a_simulation_that_fails_says_why():
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["x"])
    circuit = QuantumCircuit(1)
    circuit.rx(0.3, 0)
    circuit.measure_all()
    with pytest.raises(JobError, match="simulation failed"):
        execute([circuit], AerSimulator(method="stabilizer"), seed=1)


def odd_registers():
    """Circuits that send 1, 0, 0 to three bits which no register holds, or several, or in another order."""
    bits = [Clbit(), Clbit(), Clbit()]
    r = ClassicalRegister(3, "r")
    ways = {
        "loose": [],
        "some loose": [ClassicalRegister(bits=bits[1:2], name="one")],
        "overlapping": [ClassicalRegister(bits=bits[:2], name="a"), ClassicalRegister(bits=bits[1:], name="b")],
        "reversed": [ClassicalRegister(bits=bits[::-1], name="back")],
        "named twice": [r, ClassicalRegister(bits=list(r)[::-1], name="back")],
        "empty": [ClassicalRegister(0, "none"), ClassicalRegister(bits=bits, name="all")],
    }
    for name, registers in ways.items():
        circuit = QuantumCircuit([Qubit()], QuantumRegister(2, "q"), [] if name == "named twice" else bits, *registers)
        circuit.x(0)
        circuit.measure(range(3), range(3))
        yield pytest.param(circuit, id=name)


@pytest.mark.parametrize("circuit", list(odd_registers()))
@pytest.mark.parametrize("backend", ["aer", "fake_manila"])
def test_bits_keep_their_place_whatever_their_registers(backend, circuit):
    (run,) = execute([circuit], backend, shots=400, twirls=4, seed=1)
    assert run.counts.to_probs()["001"] > 0.8
    places = [
        [[c.find_bit(bit).index for bit in register] for register in c.cregs] for c in (circuit, run.profile.circuit)
    ]
    assert places[0] == places[1]
    assert run.profile.registers == tuple((register.name, register.size) for register in circuit.cregs)
    if backend != "aer":
        assert run.profile.duration > 0, "it is scheduled all the same"


def unusual():
    """What Qiskit or Aer fail on in their own words, or by a crash: the circuit, and how we say it."""
    stretch = QuantumCircuit(1)
    stretch.delay(stretch.add_stretch("s"), 0)
    stretch.measure_all()
    yield "stretch", stretch, "delays must have a number for their length"
    boxed = QuantumCircuit(1)
    with boxed.box():
        boxed.x(0)
    boxed.measure_all()
    yield "box", boxed, "cannot be compiled for .*'box' is not supported"
    mid = QuantumCircuit(1, 1)
    mid.append(MidCircuitMeasure("measure_2"), [0], [0])
    yield "measure_2", mid, "supports plain measurements only; 'mid' holds 'measure_2'"
    flag = QuantumCircuit(1, 1)
    held = flag.add_var("held", False)
    flag.measure(0, 0)
    with flag.if_test(expr.lift(held)):
        flag.x(0)
    yield "Bool variable", flag, "supports classical bits and registers only; 'flag' declares variables"
    unknown = QuantumCircuit(1)
    unknown.append(Gate("mystery", 1, []), [0])
    unknown.measure_all()
    yield "opaque gate", unknown, "cannot be compiled for .*mystery"


@pytest.mark.parametrize(("name", "circuit", "message"), list(unusual()))
@pytest.mark.parametrize("backend", ["aer", "fake_boston"])
def test_what_cannot_be_run_is_refused_in_our_words(backend, name, circuit, message):
    circuit.name = {"measure_2": "mid", "Bool variable": "flag"}.get(name, circuit.name)
    with pytest.raises(ValueError, match=message):
        execute([circuit], backend, shots=10, seed=1)
    with pytest.raises(ValueError, match=message):
        MitigatedSampler(backend, shots=10, seed=1).run([circuit]).result()


def storing_programs():
    """Programs that Aer runs wrongly or not at all as they stand, each with what its bits read without noise."""
    otherwise = QuantumCircuit(2, 2)
    otherwise.measure(0, 0)
    with otherwise.if_test((otherwise.clbits[0], 1)) as other:
        otherwise.x(1)
    with other:
        otherwise.store(otherwise.clbits[1], expr.lift(True))
    yield "store in a branch", otherwise, "10"
    never = QuantumCircuit(2, 2)
    never.measure(0, 0)
    with never.if_test((never.clbits[0], 1)):
        never.store(never.clbits[1], expr.lift(True))
    yield "store in a branch on no qubit", never, "00"
    nested = QuantumCircuit(1, 2)
    nested.measure(0, 0)
    with nested.for_loop(range(2)), nested.if_test(expr.lift(nested.clbits[0])):
        nested.store(nested.clbits[1], expr.lift(True))
    yield "branch in a loop on no qubit", nested, "00"
    last = QuantumCircuit(2, 4)
    last.x(0)
    last.measure([0, 1], [0, 1])
    last.store(last.clbits[3], last.clbits[0])
    yield "store above the last bit measured", last, "1001"
    reading = QuantumCircuit(2, 3)
    reading.x(0)
    reading.measure(0, 0)
    with reading.if_test(expr.less(reading.cregs[0], 2)):
        reading.x(1)
    reading.measure(1, 1)
    yield "expression on a bit that nothing writes", reading, "011"
    alone = QuantumCircuit(1, 2)
    alone.store(alone.clbits[1], expr.lift(True))
    yield "store alone", alone, "10"


@pytest.mark.parametrize(("circuit", "answer"), [pytest.param(c, a, id=name) for name, c, a in storing_programs()])
def test_programs_that_store_are_simulated_as_written(circuit, answer):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.001, 1), ["x"])
    for backend in ("aer", "fake_manila", AerSimulator(noise_model=noise)):
        (run,) = execute([circuit], backend, shots=100, seed=1)
        assert run.counts.n_bits == len(answer)
        assert run.counts.to_probs()[answer] > 0.8


@pytest.mark.parametrize("seed", range(8))
def test_programs_are_simulated_as_written_under_readout_errors(seed):
    program = random_program(np.random.default_rng(seed), without=("box", "part", "while"))
    noise = NoiseModel()
    noise.add_all_qubit_readout_error(ReadoutError([[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]]))
    (counts,) = run_on_simulator(AerSimulator(noise_model=noise), [program], [1000], seed=1)
    assert metrics.total_variation(counts, dynamic_distribution(program)) < 0.1


@pytest.mark.parametrize("wait", ["barrier", "delay"])
def test_a_program_on_a_qubit_without_gates_runs(wait):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.store(circuit.clbits[1], expr.lift(True))
        circuit.barrier(1) if wait == "barrier" else circuit.delay(100, 1)
    (run,) = execute([circuit], "aer", shots=50, twirls=2, seed=1)
    assert run.counts.to_counts() == {"11": 50}


@pytest.mark.parametrize("flipped", [False, True])
def test_a_bit_read_twice_has_the_last_readout_error(flipped):
    noise = NoiseModel()
    noise.add_readout_error(ReadoutError([[0.5, 0.5], [0.5, 0.5]]), [1])
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure([1, 1], [1, 0])
    if flipped:
        circuit.x(1)
    circuit.measure(0, 0)
    (run,) = execute([circuit], AerSimulator(noise_model=noise), shots=100, seed=1)
    assert run.counts.marginal([0]).to_counts() == {"1": 100}
    assert run.counts.marginal([1]).to_probs()["1"] == pytest.approx(0.5, abs=0.2)


def test_a_measurement_that_is_overwritten_disturbs_its_qubit():
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(pauli_error([("X", 1.0)]), "measure")
    circuit = QuantumCircuit(2, 2)
    circuit.measure([1, 1, 0], [0, 1, 0])
    (counts,) = run_on_simulator(AerSimulator(noise_model=noise), [circuit], [100], seed=1)
    assert counts.to_counts() == {"01": 100}


def test_more_shots_than_memory_holds_are_refused(ghz):
    for backend in ("aer", "fake_manila"):
        with pytest.raises(ValueError, match=r"at most 100,000,000 on a simulator, .* got 1,000,000,000"):
            execute([ghz(2)], backend, shots=10**9)
    said = r"shots times reference_share must be at most 100,000,000 on a simulator, .* got 1,000,000,000"
    with pytest.raises(ValueError, match=said):
        execute([ghz(2)], "fake_manila", shots=10**6, reference=True, reference_share=1000)
    with pytest.raises(ValueError, match="shots times reference_share must be a whole number from 1 to 2147483647"):
        execute([ghz(2)], "fake_manila", shots=10**8, reference=True, reference_share=1000)


def test_a_gate_that_the_simulator_does_not_know_is_a_failed_job(ghz):
    machine = GenericBackendV2(2, ["iswap", "id", "rz", "sx", "x"], seed=0)
    with pytest.raises(JobError, match="the simulation failed: unknown instruction: iswap"):
        execute([ghz(2)], machine, shots=10, seed=1)


def test_a_delay_without_a_clock_is_no_time_on_a_simulator_without_noise():
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.delay(100, 0, "dt")
    circuit.measure_all()
    (run,) = execute([circuit], "aer", shots=10, seed=1)
    assert run.counts.to_counts() == {"1": 10}


@pytest.mark.parametrize(("time", "unit"), [(100, "dt"), (1, "us"), (0.5, "ms")])
def test_a_delay_is_no_time_on_a_simulator_with_a_noise_model_and_no_clock(time, unit):
    """In dt it stopped with "dt (seconds per unit) must be given", which no one can; in seconds it was written without
    its unit, so that no faults could be read."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["x"])
    circuit, bare = QuantumCircuit(1), QuantumCircuit(1)
    for one in (circuit, bare):
        one.x(0)
        if one is circuit:
            one.delay(time, 0, unit)
        one.measure_all()
    run, plain = execute([circuit, bare], AerSimulator(noise_model=noise), shots=100, seed=1)
    assert run.faults_missing == ""
    assert np.array_equal(run.faults.masks, plain.faults.masks)
    assert np.allclose(run.faults.rates, plain.faults.rates)


def simulators():
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), ["cx"])
    quiet = AerSimulator.from_backend(FakeManilaV2())
    quiet.set_options(noise_model=None)
    return {
        "aer": ("aer", True),
        "no model": (AerSimulator(noise_model=None), True),
        "empty model": (AerSimulator(noise_model=NoiseModel()), True),
        "a machine without its noise": (quiet, True),
        "basic": (BasicSimulator(), True),
        "a machine that publishes nothing": (GenericBackendV2(3, noise_info=False), True),
        "model": (AerSimulator(noise_model=noise), False),
        "a machine": (AerSimulator.from_backend(FakeManilaV2()), False),
        "recorded": ("fake_manila", False),
        "generic": (GenericBackendV2(3, seed=1), False),
    }


@pytest.mark.parametrize("name", simulators())
def test_a_run_tells_whether_its_simulator_has_noise(name, ghz, tmp_path):
    backend, quiet = simulators()[name]
    (run,) = execute([ghz(3)], backend, shots=2000, seed=1, optimization_level=1, directory=tmp_path / "kept")
    assert run.noiseless is quiet
    (again,) = collect(tmp_path / "kept")
    assert again.noiseless is quiet
    if quiet:
        assert set(run.counts.to_probs()) == {"000", "111"}
        assert run.faults is None
        assert run.notes == ()


def test_a_circuit_that_brings_its_own_noise_is_not_noiseless():
    circuit = QuantumCircuit(1)
    circuit.append(depolarizing_error(0.3, 1).to_instruction(), [0])
    circuit.measure_all()
    (run,) = execute([circuit], "aer", shots=1000, seed=1)
    assert run.counts.to_probs()["1"] > 0.05
    assert not run.noiseless


def test_requests_of_before_are_noiseless_where_their_simulator_was(ghz):
    for backend, quiet in (("aer", True), ("fake_manila", False)):
        content = json.loads(prepare([ghz(2)], find_machine(backend), Options(shots=10), seed=1).to_json())
        del content["prepared"][0]["noiseless"]
        assert Request.from_json(json.dumps(content)).prepared[0].noiseless is quiet


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 11])
def test_torino_ghz(torino, ghz, n):
    (run,) = execute([ghz(n)], torino, shots=4096, twirls=4, seed=1)
    ideal = {"0" * n: 0.5, "1" * n: 0.5}
    assert run.method == "density_matrix"
    assert 0.5 < metrics.hellinger_fidelity(run.counts, ideal) < 0.999


@pytest.mark.slow
def test_a_hundred_qubits(torino, ghz):
    (run,) = execute([ghz(100)], torino, shots=8192, twirls=8, seed=1, optimization_level=1)
    assert run.approximate
    assert run.shots == 8192


@pytest.mark.parametrize("program", ["store", "empty body"])
def test_programs_are_simulated_on_the_qubits_that_they_use(program):
    """Aer kept all 133 qubits of the machine, for which no memory is enough."""
    circuit = QuantumCircuit(2, 3)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    if program == "store":
        circuit.store(circuit.clbits[1], expr.logic_not(circuit.clbits[0]))
    else:
        circuit.if_else((circuit.clbits[0], 0), QuantumCircuit(), None, [], [])
    circuit.measure(1, 2)
    (run,) = execute([circuit], "fake_torino", shots=500, seed=1)
    assert run.counts.to_probs()["101"] > 0.85
