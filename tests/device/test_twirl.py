import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, generate_preset_pass_manager
from qiskit.circuit import SwitchCaseOp
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import RXGate, RYGate, RZXGate, RZZGate, get_standard_gate_name_mapping
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import PTM, Operator, SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, coherent_unitary_error

from qcluster import metrics
from qcluster.core.counts.distribution import Distribution
from qcluster.device.circuits.twirl import twirl
from tests.device.oracle_device import exact_counts, random_circuit
from tests.device.oracle_dynamic import dynamic_distribution, random_program

TARGETS = {gate: GenericBackendV2(4, [gate, "id", "rz", "sx", "x"], seed=0).target for gate in ("cx", "cz", "ecr")}


def unitary(circuit):
    bare = circuit.copy_empty_like()
    for item in circuit.data:
        if item.name not in {"measure", "delay", "barrier"}:
            bare.append(item)
    return Operator(bare)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), gate=st.sampled_from(["cx", "cz", "ecr"]), isa=st.booleans(), delays=st.booleans())
def test_every_dress_is_the_same_unitary(seed, gate, isa, delays):
    circuit = random_circuit(seed, gate, delays=delays)
    twirls = twirl(circuit, 3, TARGETS[gate] if isa else None, seed=seed, measure=False)
    assert not twirls.flips.any()
    for dressed in twirls.circuits:
        assert unitary(dressed).equiv(unitary(circuit))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), gate=st.sampled_from(["cx", "cz", "ecr"]), isa=st.booleans(), delays=st.booleans())
def test_with_flips_undone_the_distribution_is_the_same(seed, gate, isa, delays):
    circuit = random_circuit(seed, gate, delays=delays)
    twirls = twirl(circuit, 4, TARGETS[gate] if isa else None, seed=seed)
    ideal = Distribution.of(exact_counts(circuit))
    for read in twirls.undo([exact_counts(dressed) for dressed in twirls.circuits]):
        assert metrics.total_variation(read, ideal) < 1e-9


def test_the_target_gets_its_own_gates_and_labels_are_kept(torino, ghz):
    circuit = generate_preset_pass_manager(2, backend=torino, seed_transpiler=1).run(ghz(4, "mine"))
    circuit.metadata = {"answer": 42}
    for dressed in twirl(circuit, 8, torino.target, seed=3).circuits:
        assert (dressed.name, dressed.metadata) == ("mine", {"answer": 42})
        assert dressed.layout.final_index_layout() == circuit.layout.final_index_layout()
        assert dressed.cregs == circuit.cregs
        for item in dressed.data:
            if item.name != "barrier":
                qubits = tuple(dressed.find_bit(q).index for q in item.qubits)
                assert torino.target.instruction_supported(item.name, qubits)


def test_same_seed_same_twirls_and_more_only_add(ghz):
    few, many, other = twirl(ghz(3), 3, seed=5), twirl(ghz(3), 8, seed=5), twirl(ghz(3), 8, seed=6)
    assert list(few.circuits) == list(many.circuits[:3])
    assert np.array_equal(few.flips, many.flips[:3])
    assert list(many.circuits) != list(other.circuits)


def test_flips_are_balanced_and_frozen(ghz):
    flips = twirl(ghz(5), 6, seed=0).flips
    assert flips.sum(axis=0).tolist() == [3] * 5
    assert not flips.flags.writeable


def test_the_given_circuit_is_left_alone(ghz):
    circuit = ghz(3)
    before = circuit.copy()
    twirl(circuit, 4, seed=0)
    assert circuit == before


def test_mid_circuit_measurements_are_flipped_and_the_qubit_goes_on():
    circuit = QuantumCircuit(2, 3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(0, 0)  # in the middle: qubit 0 is used and read again
    circuit.x(0)
    circuit.measure(0, 1)
    circuit.measure(1, 2)
    twirls = twirl(circuit, 16, seed=2)
    assert twirls.flips[:, 0].any()
    simulator = AerSimulator(seed_simulator=1)
    for read in twirls.undo([simulator.run(c, shots=64).result().get_counts() for c in twirls.circuits]):
        assert set(read.to_probs()) == {"010", "101"}


def test_bits_that_control_flow_uses_are_never_flipped(feed_forward):
    twirls = twirl(feed_forward, 12, seed=1)
    assert not twirls.flips[:, 0].any()
    assert twirls.flips[:, 1].any()
    assert "bits [0] are read or written by the program" in twirls.notes[0]
    simulator = AerSimulator(seed_simulator=1)
    for read in twirls.undo([simulator.run(c, shots=64).result().get_counts() for c in twirls.circuits]):
        assert set(read.to_probs()) == {"000", "111"}


def test_bits_that_an_expression_reads_are_never_flipped():
    a, b = ClassicalRegister(2, "a"), ClassicalRegister(1, "b")
    circuit = QuantumCircuit(QuantumRegister(2), a, b)
    kept = circuit.add_var("kept", expr.lift(0, types.Uint(2)))
    circuit.measure([0, 1], a)
    circuit.store(kept, a)
    circuit.measure(0, b[0])
    flips = twirl(circuit, 8, seed=1).flips
    assert flips.any(axis=0).tolist() == [False, False, True]


def written_by_the_program():
    """Circuits whose answer is '1' (or '11') only if no flip is in the bit when the program touches it."""
    store = QuantumCircuit(1, 1)
    store.measure(0, 0)
    store.store(store.clbits[0], True)
    yield store, "1"
    word = QuantumCircuit(1, 2)
    word.measure(0, 0)
    word.store(word.cregs[0], 3)
    yield word, "11"
    copy = QuantumCircuit(2, 2)
    copy.x(0)
    copy.measure([0, 1], [0, 1])
    copy.store(copy.clbits[1], copy.clbits[0])
    yield copy, "11"
    inside = QuantumCircuit(2, 2)
    inside.x(0)
    inside.measure([0, 1], [0, 1])
    with inside.if_test((inside.clbits[0], 1)):
        inside.store(inside.clbits[1], True)
    yield inside, "11"
    boxed = QuantumCircuit(2, 1)
    boxed.x(1)
    boxed.measure(0, 0)
    with boxed.box():
        boxed.measure(1, 0)
    yield boxed, "1"
    part = QuantumCircuit(1, 1)
    part.measure(0, 0)
    called = QuantumCircuit(1, 1)
    called.measure(0, 0)
    called.x(0)
    called.append(part.to_instruction(), [0], [0])
    yield called, "1"


@pytest.mark.parametrize(("circuit", "answer"), list(written_by_the_program()))
def test_what_the_program_writes_is_not_flipped_back(circuit, answer):
    twirls = twirl(circuit, 4, seed=1)
    assert "read or written by the program" in twirls.notes[0]
    for read in twirls.undo([dynamic_distribution(dressed) for dressed in twirls.circuits]):
        assert read.to_probs() == {answer: 1.0}


def test_the_same_bit_measured_again_is_flipped_once():
    circuit = QuantumCircuit(2, 1)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.x(1)
    circuit.measure(1, 0)
    twirls = twirl(circuit, 4, seed=1)
    assert twirls.flips.any()
    for read in twirls.undo([dynamic_distribution(dressed) for dressed in twirls.circuits]):
        assert read.to_probs() == {"1": 1.0}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**20), n_twirls=st.integers(1, 4))
def test_programs_that_use_what_they_measure_keep_their_distribution(seed, n_twirls):
    """Gates, resets, repeated measurements, stores, expressions, if, switch, for, while, boxes, calls: exactly."""
    circuit = random_program(np.random.default_rng(seed))
    exact = Distribution.of(dynamic_distribution(circuit))
    twirls = twirl(circuit, n_twirls, seed=seed)
    for read in twirls.undo([dynamic_distribution(dressed) for dressed in twirls.circuits]):
        assert metrics.total_variation(read, exact) < 1e-6


@pytest.mark.parametrize("seed", range(12))
def test_the_exact_distribution_of_a_program_is_that_of_aer(seed):
    """Aer takes no boxes and no calls, and leaves some while loops inside other blocks too early."""
    circuit = random_program(np.random.default_rng(seed), without=("box", "part", "while"))
    counts = AerSimulator().run(circuit, shots=4000, seed_simulator=seed).result().get_counts()
    exact = Distribution.of(dynamic_distribution(circuit))
    assert metrics.total_variation(Distribution.of(counts), exact) < 0.06


def test_bits_that_nothing_writes_are_never_flipped():
    circuit = QuantumCircuit(1, 3)
    circuit.measure(0, 1)
    assert twirl(circuit, 8, seed=1).flips.any(axis=0).tolist() == [False, True, False]


def test_gates_without_twirl_are_named():
    circuit = QuantumCircuit(2)
    circuit.rzz(0.3, 0, 1)
    assert "rzz gates are not twirled" in twirl(circuit, 2, seed=1).notes[0]


def clifford_gates():
    return {
        **{name: get_standard_gate_name_mapping()[name] for name in ("cx", "cy", "cz", "dcx", "ecr", "iswap", "swap")},
        "rzz(pi/2)": RZZGate(np.pi / 2),
        "rzz(-pi/2)": RZZGate(-np.pi / 2),
        "rzz(5 pi/2)": RZZGate(5 * np.pi / 2),
    }


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("name", clifford_gates())
def test_the_frames_of_a_gate_make_its_error_a_pauli_channel(name, balanced):
    """A coherent error behind the gate, averaged over the frames that come: its Pauli transfer matrix is diagonal.

    All 16 frames must come, each with the Paulis behind that undo those before it.
    """
    gate = clifford_gates()[name]
    circuit = QuantumCircuit(2)
    circuit.append(gate, [0, 1])
    error = Operator(RZXGate(0.4)).compose(RXGate(0.3), [0]).compose(RYGate(0.2), [1])
    frames = {}
    for dressed in twirl(circuit, 400, seed=3, measure=False, group="balanced_pauli" if balanced else "pauli").circuits:
        place = next(i for i, item in enumerate(dressed.data) if len(item.qubits) == 2)
        assert dressed.data[place].operation == gate, "the gate itself stays what it was"
        before, behind = dressed.copy_empty_like(), dressed.copy_empty_like()
        for i, item in enumerate(dressed.data):
            if i != place:
                (before if i < place else behind).append(item)
        undone = Operator(gate).adjoint()
        frames[Operator(before).data.round(6).tobytes()] = (
            undone.compose(Operator(before)).compose(gate).compose(error).compose(Operator(behind))
        )
    assert len(frames) == 16
    channel = sum((SuperOp(one).data for one in frames.values()), np.zeros((16, 16), complex)) / 16
    matrix = PTM(SuperOp(channel)).data.real
    bare = PTM(error).data.real
    assert abs(matrix - np.diag(np.diag(matrix))).max() < 1e-10
    assert np.allclose(np.diag(matrix), np.diag(bare)), "twirling keeps the diagonal"
    assert abs(bare - np.diag(np.diag(bare))).max() > 0.1, "without it the error is coherent"


@pytest.mark.parametrize("seed", range(5))
def test_balanced_draws_give_each_qubit_each_pauli_equally_often(seed):
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.ecr(1, 2)
    circuit.rzz(np.pi / 2, 0, 2)
    seen = {0: [], 1: []}
    for dressed in twirl(circuit, 8, seed=seed, measure=False, group="balanced_pauli").circuits:
        assert unitary(dressed).equiv(unitary(circuit))
        pauli = dict.fromkeys(range(3), "i")
        for item in dressed.data:
            place = [dressed.find_bit(q).index for q in item.qubits]
            if len(place) == 2:
                break  # what stands before the first gate is of no other
            pauli[place[0]] = item.name
        for q in (0, 1):
            seen[q].append(pauli[q])
    for q in (0, 1):
        assert sorted(seen[q][:4]) == sorted(seen[q][4:]) == ["i", "x", "y", "z"]
    first = twirl(circuit, 3, seed=seed, group="balanced_pauli").circuits
    assert list(first) == list(twirl(circuit, 8, seed=seed, group="balanced_pauli").circuits[:3])


@pytest.mark.parametrize("gate", TARGETS)
def test_balanced_dresses_keep_distribution_and_gates_of_the_machine(gate):
    circuit = random_circuit(5, gate)
    twirls = twirl(circuit, 6, TARGETS[gate], seed=5, group="balanced_pauli")
    ideal = Distribution.of(exact_counts(circuit))
    for dressed, read in zip(twirls.circuits, twirls.undo(map(exact_counts, twirls.circuits)), strict=True):
        assert set(dressed.count_ops()) <= set(TARGETS[gate].operation_names)
        assert metrics.total_variation(read, ideal) < 1e-9


def test_quarter_turns_are_twirled_with_the_gates_of_the_machine_and_in_control_flow():
    target = GenericBackendV2(3, ["rzz", "id", "rz", "sx", "x"], seed=0, control_flow=True).target
    circuit = QuantumCircuit(3, 3)
    circuit.sx(0)
    circuit.rzz(np.pi / 2, 0, 1)
    circuit.rzz(0.3, 1, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.rzz(-np.pi / 2, 1, 2)
        circuit.sx(1)
    circuit.sx(1)
    circuit.measure([1, 2], [1, 2])
    twirls = twirl(circuit, 8, target, seed=3)
    assert any("rzz gates are not twirled" in note for note in twirls.notes), "the one by 0.3 is not"
    for dressed, read in zip(
        twirls.circuits, twirls.undo([dynamic_distribution(c) for c in twirls.circuits]), strict=True
    ):
        inner = next(item.operation.blocks[0] for item in dressed.data if item.name == "if_else")
        angles = [item.params[0] for block in (dressed, inner) for item in block.data if item.name == "rzz"]
        assert angles == [np.pi / 2, 0.3, -np.pi / 2]
        assert {item.name for item in inner.data} <= set(target.operation_names)
        assert metrics.total_variation(read, dynamic_distribution(circuit)) < 1e-9
    assert len({str(dressed.count_ops()) for dressed in twirls.circuits}) > 1


def test_gates_within_control_flow_that_are_not_twirled_are_told():
    circuit = QuantumCircuit(3, 1)
    with circuit.for_loop(range(3)):
        circuit.cx(0, 1)
        circuit.barrier()
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.rzz(0.3, 1, 2)
            circuit.break_loop()
    assert twirl(circuit, 2, seed=1).notes == ("rzz gates are not twirled: no set of Paulis passes through them",)


@pytest.mark.parametrize("strategy", ["active", "all"])
@pytest.mark.parametrize("group", ["pauli", "balanced_pauli"])
def test_labels_of_control_flow_are_kept(strategy, group):
    """That of a switch went away where layers are dressed, and stayed where Qiskit dresses gates."""
    circuit, body = QuantumCircuit(2, 1), QuantumCircuit(2)
    body.cx(0, 1)
    circuit.append(SwitchCaseOp(circuit.clbits[0], [(1, body)], label="mine"), [0, 1], [])
    for dressed in twirl(circuit, 2, seed=1, strategy=strategy, group=group).circuits:
        assert [item.label for item in dressed.data if item.name == "switch_case"] == ["mine"]


@pytest.mark.parametrize(("gates", "turn"), [(["rz", "sx"], "sx"), (["u"], "u"), (["u3"], "u3")])
def test_measurements_are_flipped_with_the_gates_of_the_machine(ghz, gates, turn):
    target = GenericBackendV2(2, ["cx", "id", *gates], seed=0).target
    circuit = QuantumCircuit(2, 3)
    circuit.measure([0, 1, 0], [0, 1, 2])
    twirls = twirl(circuit, 4, target, seed=1)
    assert any(turn in dressed.count_ops() for dressed in twirls.circuits)
    for dressed in twirls.circuits:
        assert set(dressed.count_ops()) <= set(target.operation_names)
    for read in twirls.undo([dynamic_distribution(dressed) for dressed in twirls.circuits]):
        assert read.to_probs() == {"000": pytest.approx(1.0)}


def test_refusals(torino, ghz):
    scheduled = generate_preset_pass_manager(1, backend=torino, scheduling_method="alap", seed_transpiler=1).run(ghz(2))
    with pytest.raises(ValueError, match="twirl first, then schedule"):
        twirl(scheduled, 2)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        twirl(ghz(2), 0)
    with pytest.raises(ValueError, match=r"one has cx, delay, .* measure_twirl=False \(of `twirl`: measure=False\)"):
        twirl(ghz(2), 2, GenericBackendV2(2, ["cx", "id", "rz", "rx"], seed=0).target)


@pytest.mark.parametrize("measure", [False, True])
def test_twirling_turns_a_coherent_over_rotation_into_random_flips(measure):
    """Twenty cz, each followed by RZX(theta) with control 0: on |00> this rotates qubit 1, amplitudes add.

    Untwirled P(0) = cos^2(20 theta / 2). Twirled, each gate flips with probability sin^2(theta / 2), independently, so
    P(0) = (1 + cos(theta)^20) / 2.
    """
    theta, gates, twirls, shots = 0.12, 20, 256, 64
    from qiskit.circuit.library import RZXGate

    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(coherent_unitary_error(RZXGate(theta).to_matrix()), ["cz"])
    simulator = AerSimulator(noise_model=noise, method="density_matrix", seed_simulator=11)
    circuit = QuantumCircuit(2, 2)
    for _ in range(gates):
        circuit.cz(0, 1)
        circuit.barrier()
    circuit.measure([0, 1], [0, 1])
    bare = simulator.run(circuit, shots=8192).result().get_counts()["00"] / 8192
    assert bare == pytest.approx(np.cos(gates * theta / 2) ** 2, abs=4 * np.sqrt(0.25 / 8192))
    dressed = twirl(circuit, twirls, seed=17, measure=measure)
    reads = dressed.undo(simulator.run(list(dressed.circuits), shots=shots).result().get_counts())
    values = [read.to_probs().get("00", 0.0) for read in reads]
    expected = (1 + np.cos(theta) ** gates) / 2
    assert abs(np.mean(values) - expected) < 4 * np.std(values) / np.sqrt(twirls) + 1e-3
