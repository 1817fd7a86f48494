"""Which qubits are twirled around layers of two-qubit gates: against samplomatic's boxes, by transfer matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import RYGate, RZXGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import PTM, Operator, SuperOp
from qiskit.transpiler import Target
from samplomatic.transpiler import generate_boxing_pass_manager

from qcluster import metrics
from qcluster.core.counts.distribution import Distribution
from qcluster.device import MitigatedSampler
from qcluster.device.circuits.layers import STRATEGIES, Layer, plan_layers
from qcluster.device.circuits.twirl import GROUPS, TWIRLED, twirl
from qcluster.device.execute import execute
from qcluster.device.local import simulate_request
from qcluster.device.machines.machine import find_machine
from qcluster.device.prepare import Options, prepare
from tests.device.oracle_device import exact_counts, random_circuit
from tests.device.oracle_dynamic import dynamic_distribution, random_program

WIDER = [name for name in STRATEGIES if name != "active"]
TARGET = GenericBackendV2(4, ["cz", "id", "rz", "sx", "x"], seed=0).target


def layers_of(circuit, strategy):
    """(gates, twirled qubits) of each layer, by index."""
    plan = plan_layers(circuit, lambda operation: operation.name in TWIRLED, strategy, set(circuit.qubits))
    place = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    return [
        ({tuple(place[q] for q in gate.qubits) for gate in part.gates}, {place[q] for q in part.qubits})
        for part in plan
        if isinstance(part, Layer)
    ]


def boxes_of(circuit, strategy):
    """The same by the passes of the runtime."""
    boxed = generate_boxing_pass_manager(twirling_strategy=strategy.replace("-", "_")).run(circuit)
    found = []
    for item in boxed.data:
        if item.name != "box" or not any(len(inner.qubits) == 2 for inner in item.operation.body.data):
            continue
        body = item.operation.body
        place = {inner: boxed.find_bit(outer).index for inner, outer in zip(body.qubits, item.qubits, strict=True)}
        gates = {tuple(place[q] for q in inner.qubits) for inner in body.data if len(inner.qubits) == 2}
        found.append((gates, set(place.values())))
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**20), strategy=st.sampled_from(WIDER))
def test_layers_and_their_qubits_are_those_of_the_runtime(seed, strategy):
    """Random circuits with barriers and delays; some qubits are never touched, or only by one-qubit gates.

    Where layers share no qubit their order is anybody's, and "active-accum" depends on it: there barriers are whole.
    """
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(7, 4)
    for _ in range(int(rng.integers(1, 14))):
        kind = rng.random()
        a, b = (int(q) for q in rng.choice(6, 2, replace=False))
        if kind < 0.5:
            getattr(circuit, str(rng.choice(["cx", "cz", "ecr"])))(a, b)
        elif kind < 0.7:
            circuit.sx(a)
        elif kind < 0.8:
            circuit.delay(100, a, "ns")
        else:
            circuit.barrier(*([] if strategy == "active-accum" else [[a, b]]))
    circuit.barrier()
    circuit.measure([0, 1, 2, 3], [0, 1, 2, 3])
    ours, theirs = (
        sorted((sorted(gates), sorted(qubits)) for gates, qubits in found(circuit, strategy))
        for found in (layers_of, boxes_of)
    )
    assert ours == theirs


def staircase():
    """Two layers, on qubits 0, 1 and then 1, 2; qubit 3 has a gate of its own, qubit 4 nothing."""
    circuit = QuantumCircuit(5)
    circuit.cz(0, 1)
    circuit.cz(1, 2)
    circuit.x(3)
    return circuit


@pytest.mark.parametrize(
    ("strategy", "first", "second"),
    [
        ("active", {0, 1}, {1, 2}),
        ("active-accum", {0, 1}, {0, 1, 2}),
        ("active-circuit", {0, 1, 2}, {0, 1, 2}),
        ("all", {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}),
    ],
)
@pytest.mark.parametrize("group", GROUPS)
def test_idle_qubits_are_twirled_as_the_strategy_says(strategy, first, second, group):
    """Read off the dresses: which qubits ever have a Pauli before the first gate, and behind the second."""
    seen = [set(), set()]
    for dressed in twirl(staircase(), 32, seed=1, measure=False, strategy=strategy, group=group).circuits:
        places = [i for i, item in enumerate(dressed.data) if item.name == "cz"]
        for part, items in enumerate((dressed.data[: places[0]], dressed.data[places[1] + 1 :])):
            paulis = [item for item in items if item.name in {"x", "y", "z"}]
            seen[part] |= {dressed.find_bit(q).index for item in paulis for q in item.qubits}
    assert seen[0] - {3} == first - {3}
    assert seen[1] - {3} == second - {3}
    assert (3 in first) == (strategy == "all"), "its own x, which is no part of a layer, is not looked at above"


@pytest.mark.parametrize(("strategy", "diagonal"), [("active", False), *((name, True) for name in WIDER)])
def test_crosstalk_onto_an_idle_qubit_becomes_a_pauli_channel(strategy, diagonal):
    """A coherent error of all three qubits while the second layer runs: averaged over the frames that come, its Pauli
    transfer matrix is diagonal where the idle qubit is twirled as well, and is not where only the gate's are."""
    circuit = QuantumCircuit(3)
    circuit.cz(0, 1)
    circuit.cz(1, 2)
    error = Operator(np.eye(8)).compose(RZXGate(0.4), [1, 0]).compose(RYGate(0.3), [0]).compose(RZXGate(0.2), [2, 1])
    frames = {}
    for dressed in twirl(circuit, 600, seed=2, measure=False, strategy=strategy).circuits:
        places = [i for i, item in enumerate(dressed.data) if item.name == "cz"]
        behind = dressed.copy_empty_like()
        for item in dressed.data[places[1] + 1 :]:
            if item.name != "barrier" and (diagonal or dressed.find_bit(item.qubits[0]).index != 0):
                behind.append(item)  # without barriers, qubit 0 may still have the Pauli of the first gate there
        turned = Operator(behind)
        frames[(SuperOp(turned).data.round(6) + 0.0).tobytes()] = turned.adjoint().compose(error).compose(turned)
    matrix = sum(PTM(SuperOp(one)).data.real for one in frames.values()) / len(frames)
    assert len(frames) == (64 if diagonal else 16)
    off = abs(matrix - np.diag(np.diag(matrix))).max()
    assert (off < 1e-10) if diagonal else (off > 0.1)
    assert np.allclose(np.diag(matrix), np.diag(PTM(error).data.real)), "twirling keeps the diagonal"


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16), strategy=st.sampled_from(WIDER), group=st.sampled_from(GROUPS), isa=st.booleans(),
    delays=st.booleans(),
)  # fmt: skip
def test_each_strategy_keeps_the_distribution_exactly(seed, strategy, group, isa, delays):
    circuit = random_circuit(seed, "cz", delays=delays)
    twirls = twirl(circuit, 3, TARGET if isa else None, seed=seed, strategy=strategy, group=group)
    ideal = Distribution.of(exact_counts(circuit))
    for dressed, read in zip(twirls.circuits, twirls.undo(map(exact_counts, twirls.circuits)), strict=True):
        assert metrics.total_variation(read, ideal) < 1e-9
        assert (dressed.name, dressed.cregs) == (circuit.name, circuit.cregs)
        if isa:
            assert set(dressed.count_ops()) <= {*TARGET.operation_names, "barrier"}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), strategy=st.sampled_from(WIDER))
def test_programs_keep_their_distribution(seed, strategy):
    """Control flow, stores, resets, measurements in the middle: nothing that depends on another changes places."""
    circuit = random_program(np.random.default_rng(seed))
    exact = Distribution.of(dynamic_distribution(circuit))
    twirls = twirl(circuit, 2, seed=seed, strategy=strategy)
    for read in twirls.undo([dynamic_distribution(dressed) for dressed in twirls.circuits]):
        assert metrics.total_variation(read, exact) < 1e-6


def test_in_control_flow_no_idle_qubit_is_twirled_and_the_notes_say_so(feed_forward):
    assert any("reaches no idle qubits" in note for note in twirl(feed_forward, 2, seed=1, strategy="all").notes)
    assert not any("idle" in note for note in twirl(feed_forward, 2, seed=1).notes)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_same_seed_same_dresses_and_more_only_add(strategy):
    circuit = random_circuit(3, "cz")
    few, many = (twirl(circuit, n, TARGET, seed=5, strategy=strategy).circuits for n in (3, 6))
    assert list(few) == list(many[:3])


def test_balanced_draws_reach_idle_qubits():
    """Of four dresses in a row an idle qubit has I, X, Y and Z before a layer once."""
    paulis = []
    for dressed in twirl(staircase(), 8, seed=3, measure=False, strategy="all", group="balanced_pauli").circuits:
        first = next(i for i, item in enumerate(dressed.data) if item.name == "barrier")
        found = [item.name for item in dressed.data[:first] if dressed.find_bit(item.qubits[0]).index == 4]
        paulis.append(found[0] if found else "i")
    assert sorted(paulis[:4]) == sorted(paulis[4:]) == ["i", "x", "y", "z"]


def test_an_idle_qubit_costs_one_x_between_layers_in_half_of_the_dresses():
    """z takes no time on the machine; Paulis behind a layer and before the next are one."""
    many, layers = 400, 5
    circuit = QuantumCircuit(4)
    for _ in range(layers):
        circuit.cz(0, 1)
    circuit.rz(0.1, 2)
    dresses = twirl(circuit, many, TARGET, seed=1, measure=False, strategy="all").circuits
    pulses = []
    for dressed in dresses:
        between = [0]
        for item in dressed.data:
            if item.name == "barrier":
                between.append(0)
            elif item.name in {"x", "sx"} and dressed.find_bit(item.qubits[0]).index == 3:
                between[-1] += 1
        assert max(between) <= 1
        pulses.append(sum(between))
    assert np.mean(pulses) == pytest.approx((layers + 1) / 2, abs=4 * np.sqrt((layers + 1) / 4 / many))


def test_qubits_that_the_machine_cannot_turn_are_left_alone():
    target = Target(num_qubits=4)
    for name in TARGET.operation_names:
        places = {q: facts for q, facts in TARGET[name].items() if q is None or 3 not in q}
        target.add_instruction(TARGET.operation_from_name(name), places)
    circuit = QuantumCircuit(4)
    circuit.cz(0, 1)
    touched = set()
    for dressed in twirl(circuit, 16, target, seed=1, measure=False, strategy="all").circuits:
        touched |= {dressed.find_bit(q).index for item in dressed.data if item.name == "x" for q in item.qubits}
    assert touched == {0, 1, 2}


def test_strategies_and_groups_that_there_are_not_are_refused(ghz):
    with pytest.raises(ValueError, match=r"strategy must be .*active-accum.*; got 'some'"):
        twirl(ghz(2), 2, strategy="some")
    with pytest.raises(ValueError, match=r"group must be .*balanced_pauli.*; got 'local_c1'"):
        twirl(ghz(2), 2, group="local_c1")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_simulated_machine_runs_each_strategy(ghz, strategy):
    """With "all" the pulses go to the whole machine, and are in the request; the simulation leaves away what no count
    can tell of. The circuit without twirls has as much of both strings, within sampling noise."""
    shots = 8000
    machine = find_machine("fake_torino")
    request = prepare([ghz(4)], machine, Options(shots=shots, twirls=4, strategy=strategy), seed=1)
    (one,) = request.prepared
    used = {c.find_bit(q).index for c in one.circuits for item in c.data if item.name == "x" for q in item.qubits}
    assert (len(used) > 100) == (strategy == "all")
    ((*counts,),) = simulate_request(request, machine)
    undone = [Distribution(read.bits ^ flip, read.weights) for read, flip in zip(counts, one.flips, strict=True)]
    (plain,) = execute([ghz(4)], machine.backend, shots=shots, seed=1)
    share, expected = (
        sum(read.to_probs().get(string, 0) for string in ("0000", "1111"))
        for read in (sum(undone[1:], undone[0]), plain.counts)
    )
    assert share == pytest.approx(expected, abs=4 * np.sqrt(2 * 0.25 / shots))


def test_execute_and_sampler_take_strategy_and_group(ghz):
    (run,) = execute([ghz(3)], "aer", shots=64, twirls=4, seed=1, strategy="all", group="balanced_pauli")
    assert set(run.counts.to_counts()) == {"000", "111"}
    assert (run.options["strategy"], run.options["group"]) == ("all", "balanced_pauli")
    sampler = MitigatedSampler("fake_manila", twirls=4, strategy="active-accum", seed=1, method="none")
    sampler.options.group = "balanced_pauli"
    run = sampler.run([ghz(3)], shots=64).result()[0].metadata["runs"].item()
    assert (run.options["strategy"], run.options["group"]) == ("active-accum", "balanced_pauli")
    with pytest.raises(ValueError, match=r"strategy must be"):
        sampler.options.strategy = "none"
