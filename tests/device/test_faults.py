"""Fault masks against exact noisy simulation by Aer, and the traps of compiled circuits."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import unitary_group

from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.faults import CROSSTALK, FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.device import Calibration, fault_masks
from qcluster.device.circuits import pauli
from qcluster.device.circuits.pauli import PERMUTATIONS, branches, depolarising_rate, rotation, split_x, x_rotation
from qcluster.errors import CalibrationError
from tests.core.noise.oracle_circuit import read_wrongly

NAMES = ("rz", "sx", "x")


def line(n: int, gate: str, rng: np.random.Generator, scale: float = 1.0, t1: float = np.inf) -> Calibration:
    """A line of qubits whose gates depolarise (0.1 % and 1 %, times a lognormal), and, given T1, decay."""
    pairs = np.array([(i, i + 1) for i in range(n - 1)] + [(i + 1, i) for i in range(n - 1)])
    errors = np.tile(scale * 0.01 * rng.lognormal(0, 0.5, n - 1), 2)
    single = scale * 0.001 * rng.lognormal(0, 0.5, (3, n))
    single[0] = 0.0
    length = 0.0 if np.isinf(t1) else 1e-7
    return Calibration(
        backend="line", snapshot="", date="", t1=np.full(n, t1), t2=np.full(n, t1),
        readout=scale * 0.02 * rng.lognormal(0, 0.5, (n, 2)), readout_symmetric=np.zeros(n, dtype=bool),
        readout_duration=np.zeros(n), gates_1q=NAMES, errors_1q=single, durations_1q=np.zeros((3, n)),
        couplings=pairs, gates_2q=(gate,), errors_2q=errors[None], durations_2q=np.full((1, len(pairs)), length),
        dead_qubits=np.zeros(n, dtype=bool), dead_couplings=np.zeros(len(pairs), dtype=bool),
    )  # fmt: skip


def compiled(circuit, calibration):
    from qiskit import transpile

    return transpile(
        circuit,
        coupling_map=calibration.couplings.tolist(),
        basis_gates=[*NAMES, calibration.gates_2q[0]],
        optimization_level=3,
        seed_transpiler=1,
        initial_layout=list(range(circuit.num_qubits)),
    )


def simulated(circuit, calibration):
    """The exact noisy distribution, by Aer's density matrix with a channel written behind each gate."""
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import depolarizing_error

    noisy = QuantumCircuit(circuit.num_qubits)
    for item in circuit.data:
        qubits = [circuit.find_bit(q).index for q in item.qubits]
        noisy.append(item.operation, qubits)
        dim = 2 ** len(qubits)
        error = calibration.error(item.name, qubits)
        if error > 0:
            noisy.append(depolarizing_error(error * dim / (dim - 1), len(qubits)).to_instruction(), qubits)
    noisy.save_probabilities()
    probs = AerSimulator(method="density_matrix").run(noisy).result().data()["probabilities"]
    return read_wrongly(np.asarray(probs), calibration.readout)


def difference(circuit, calibration, **options) -> float:
    """Total variation between the kernel's prediction and the simulation."""
    from qiskit.quantum_info import Statevector

    bare = compiled(circuit, calibration)
    measured = bare.copy()
    measured.measure_all()
    kernel = Kernel.of(fault_masks(measured, calibration, **options))
    predicted = kernel.forward(Statevector(bare).probabilities())
    return float(np.abs(predicted - simulated(bare, calibration)).sum() / 2)


def structured(kind: str, n: int, rng: np.random.Generator):
    """Clifford circuits with sharp outputs, where masks show, and one that is random."""
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import random_clifford

    if kind == "random":
        return random_clifford(n, seed=int(rng.integers(2**31))).to_circuit()
    circuit = QuantumCircuit(n)
    if kind == "ghz":
        circuit.h(0)
        for i in range(n - 1):
            circuit.cx(i, i + 1)
    elif kind == "bv":
        circuit.x(n - 1)
        circuit.h(range(n))
        for i in range(n - 1):
            circuit.cx(i, n - 1)
        circuit.h(range(n))
    else:
        circuit.h([0, 2])
        for _ in range(4 * n):
            i = int(rng.integers(n - 1))
            circuit.cx(i, i + 1)
            circuit.s(i)
    return circuit


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("kind", ["ghz", "bv", "cx", "random"])
def test_masks_predict_the_noise_of_clifford_circuits(kind, gate):
    rng = np.random.default_rng(len(kind))
    assert difference(structured(kind, 5, rng), line(5, gate, rng)) < 0.005


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("kind", ["ghz", "bv", "cx", "random"])
@pytest.mark.parametrize("n", [6, 7, 8])
def test_masks_predict_the_noise_of_wider_clifford_circuits(kind, gate, n):
    rng = np.random.default_rng(n)
    assert difference(structured(kind, n, rng), line(n, gate, rng)) < 0.005


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("n", [5, pytest.param(8, marks=pytest.mark.slow)])
def test_masks_predict_the_noise_of_rotations_nearly(gate, n):
    rng = np.random.default_rng(n)
    assert difference(rotations(n, rng), line(n, gate, rng)) < 0.02


def rotations(n: int, rng: np.random.Generator):
    """Random angles and a brick wall of cx: no Clifford circuit."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(n)
    for layer in range(3):
        for q in range(n):
            circuit.rx(rng.uniform(0, np.pi), q)
            circuit.rz(rng.uniform(0, np.pi), q)
        for q in range(layer % 2, n - 1, 2):
            circuit.cx(q, q + 1)
    return circuit


def test_angles_that_cancel_leave_no_trace():
    """An rz before a control commutes and is undone after it: the circuit is Clifford, whatever it looks like."""
    from qiskit import QuantumCircuit

    rng = np.random.default_rng(2)
    plain, dressed = QuantumCircuit(3, 3), QuantumCircuit(3, 3)
    for circuit, angle in ((plain, 0.0), (dressed, 0.7)):
        circuit.sx(0)
        circuit.rz(angle, 0)
        circuit.cx(0, 1)
        circuit.rz(-angle, 0)
        circuit.cx(1, 2)
        circuit.measure(range(3), range(3))
    calibration = line(3, "cx", rng)
    one, two = (fault_masks(circuit, calibration) for circuit in (plain, dressed))
    np.testing.assert_array_equal(one.masks, two.masks)
    np.testing.assert_allclose(one.rates, two.rates, atol=1e-12)


def test_a_wait_before_the_measurement_decays_one_way():
    from qiskit import QuantumCircuit

    calibration = line(2, "cx", np.random.default_rng(0), scale=0.0, t1=1e-5)
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.delay(2e-6, 1, unit="s")
    circuit.measure([0, 1], [0, 1])
    waiting, not_waiting = (fault_masks(circuit, calibration, idle=idle) for idle in (True, False))
    assert waiting.expected_faults == 0.0
    both = 1 - np.exp(-2.1e-6 / 1e-5)
    np.testing.assert_allclose(waiting.readout, [[0, both], [0, both]])
    np.testing.assert_allclose(not_waiting.readout, [[0, 1 - np.exp(-0.1e-6 / 1e-5)], [0, both]])


def test_a_wait_before_a_first_reading_flips_what_a_second_reads_too():
    from qiskit import QuantumCircuit

    calibration = line(2, "cx", np.random.default_rng(0), scale=0.0, t1=1e-5)
    circuit = QuantumCircuit(1, 2)
    circuit.x(0)
    circuit.delay(2e-6, 0, unit="s")
    circuit.measure(0, 0)
    circuit.measure(0, 1)
    faults = fault_masks(circuit, calibration)
    assert faults.masks.tolist() == [[0b11]]
    np.testing.assert_array_equal(faults.readout, 0.0)


def test_neighbours_are_listed_and_bits_follow_the_measurements():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(3, 70)
    circuit.sx(2)
    circuit.measure(2, 66)
    circuit.measure(1, 0)
    faults = fault_masks(circuit, line(3, "cx", np.random.default_rng(1)))
    (crosstalk,) = faults.masks[faults.kind == CROSSTALK]
    assert crosstalk.tolist() == [1, 4]
    assert {tuple(mask) for mask in faults.masks[faults.kind != CROSSTALK].tolist()} == {(0, 4)}
    assert (faults.readout[[0, 66]] > 0).all()
    assert not faults.readout[[1, 65, 69]].any()


def test_sixty_qubits_take_a_moment():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(60)
    circuit.sx(0)
    for i in range(59):
        circuit.cx(i, i + 1)
    circuit.measure_all()
    faults = fault_masks(circuit, line(60, "cx", np.random.default_rng(3)))
    assert faults.masks.shape[1] == 1
    assert len(faults.masks) < 1000
    assert 0.3 < faults.expected_faults < 1.5


def test_mistakes_are_named():
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    calibration = line(3, "cx", np.random.default_rng(0))
    wrong = QuantumCircuit(3, 1)
    wrong.h(0)
    with pytest.raises(CalibrationError, match="lists no gate 'h'"):
        fault_masks(wrong, calibration)
    prepared = QuantumCircuit(1)
    prepared.prepare_state([0.6, 0.8])
    with pytest.raises(CalibrationError, match="lists no gate 'state_preparation'"):
        fault_masks(prepared, calibration)
    started = QuantumCircuit(1)
    started.initialize([0.6, 0.8])
    with pytest.raises(ValueError, match="unitary gates on one or two qubits; got 'initialize'"):
        fault_masks(started, calibration)
    three = QuantumCircuit(3)
    three.ccx(0, 1, 2)
    with pytest.raises(ValueError, match="one or two qubits"):
        fault_masks(three, calibration)
    free = QuantumCircuit(1)
    free.rz(Parameter("a"), 0)
    with pytest.raises(ValueError, match="parameters bound"):
        fault_masks(free, calibration)
    unsaid = QuantumCircuit(1)
    unsaid.delay(Parameter("a"), 0, "ns")
    with pytest.raises(ValueError, match="must have all its parameters bound; a delay lasts a"):
        fault_masks(unsaid, calibration)
    with pytest.raises(ValueError, match="idle must be True or False; got 'no'"):
        fault_masks(QuantumCircuit(1), calibration, idle="no")
    with pytest.raises(ValueError, match="must fit the calibration's 3 qubits"):
        fault_masks(QuantumCircuit(4), calibration)


def test_splitting_off_an_x_rotation_keeps_the_gate():
    from qiskit.quantum_info import random_unitary

    for seed in range(20):
        local = np.asarray(random_unitary(2, seed=seed))
        rest, angle = split_x(local, from_zero=False)
        np.testing.assert_allclose(x_rotation(angle) @ rest, local, atol=1e-9)
        assert abs(rotation(rest)[2, 0]) < 1e-9
        rest, angle = split_x(local, from_zero=True)
        np.testing.assert_allclose(rotation(x_rotation(angle) @ rest)[:, 2], rotation(local)[:, 2], atol=1e-9)


def test_branches_add_up_to_the_matrix():
    from qiskit.quantum_info import random_unitary

    for seed in range(20):
        squares = rotation(np.asarray(random_unitary(2, seed=seed))) ** 2
        permutations, shares = branches(squares)
        total = sum(share * np.eye(3)[:, p] for p, share in zip(permutations, shares, strict=True))
        np.testing.assert_allclose(total, squares, atol=1e-6)
        assert {tuple(p) for p in permutations} <= {tuple(p) for p in PERMUTATIONS}


@pytest.mark.parametrize("qubits", [1, 2])
def test_depolarising_rate_gives_the_published_error(qubits):
    from qiskit.quantum_info import average_gate_fidelity
    from qiskit_aer.noise import depolarizing_error, thermal_relaxation_error

    t1, t2, seconds, error = np.array([1e-4, 2e-4][:qubits]), np.array([5e-5, 1e-4][:qubits]), 5e-7, 0.02
    rate = depolarising_rate(error, seconds, t1, t2)
    strength = 1 - np.exp(-rate * 4**qubits)
    relax = thermal_relaxation_error(t1[0], t2[0], seconds)
    if qubits == 2:
        relax = relax.tensor(thermal_relaxation_error(t1[1], t2[1], seconds))
    both = relax.compose(depolarizing_error(strength, qubits))
    assert 1 - average_gate_fidelity(both.to_quantumchannel()) == pytest.approx(error, rel=1e-6)


def test_a_product_of_many_gates_is_decomposed_though_it_is_not_quite_unitary():
    rng = np.random.default_rng(3)
    for _ in range(20):
        exact = unitary_group.rvs(4, random_state=rng)
        drifted = exact + 1e-12 * rng.normal(size=(4, 4))
        (a, b, c), k2a, k2b, k1a, k1b = pauli.decompose(drifted)
        axes = [np.kron(p, p) for p in pauli.PAULIS]
        coupling = expm(1j * sum(angle * axis for angle, axis in zip((a, b, c), axes, strict=True)))
        again = np.kron(k1b, k1a) @ coupling @ np.kron(k2b, k2a)
        phase = np.trace(again.conj().T @ exact) / 4
        assert abs(abs(phase) - 1) < 1e-9


def test_a_program_that_writes_a_bit_hides_what_was_read():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(3, 1)
    circuit.measure(0, 0)
    circuit.store(circuit.clbits[0], True)
    faults = fault_masks(circuit, line(3, "cx", np.random.default_rng(0)))
    assert faults.expected_faults == 0
    assert not faults.readout.any()


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("angle", [0.0, 0.2, -0.7, 0.78])
@pytest.mark.parametrize("clifford", range(3))
def test_what_is_off_a_clifford_gate_is_a_rotation_about_its_axis(axis, angle, clifford):
    turn = expm(-0.5j * angle * pauli.PAULIS[axis]) @ expm(-0.25j * np.pi * pauli.PAULIS[clifford])
    assert pauli.off_clifford(rotation(turn) ** 2) == pytest.approx(np.sin(angle / 2) ** 2 * np.eye(3)[axis], abs=1e-9)


def faults_in(build, n: int = 2):
    from qiskit import QuantumCircuit

    circuit, calibration = QuantumCircuit(n), line(n, "cz", np.random.default_rng(0))
    build(circuit)
    circuit.measure_all()
    return fault_masks(compiled(circuit, calibration), calibration)


def off_clifford_in(build, n: int = 2) -> float:
    found = faults_in(build, n).rotations
    assert found is not None
    return found


def test_rotations_are_those_that_can_move_what_is_read():
    eighth = np.sin(np.pi / 8) ** 2
    assert off_clifford_in(lambda c: c.ry(0.3, 0)) == pytest.approx(np.sin(0.15) ** 2)
    assert off_clifford_in(lambda c: c.ry(np.pi / 2 + 0.3, 0)) == pytest.approx(np.sin(0.15) ** 2)
    assert off_clifford_in(lambda c: (c.h(0), c.t(0), c.h(0))) == pytest.approx(eighth)
    assert off_clifford_in(lambda c: (c.h(0), c.t(0))) == pytest.approx(0, abs=1e-9), "a phase that nothing reads"
    assert off_clifford_in(lambda c: (c.h([0, 1]), c.rzz(0.4, 0, 1), c.h([0, 1]))) == pytest.approx(np.sin(0.2) ** 2)
    assert off_clifford_in(lambda c: (c.ry(0.3, 0), c.cx(0, 1), c.ry(-0.2, 1))) == pytest.approx(
        np.sin(0.15) ** 2 + np.sin(0.1) ** 2
    )


def test_last_rotations_are_those_that_nothing_follows_but_the_measurement():
    def last(build):
        return faults_in(build).last_rotations

    none = pytest.approx([0, 0], abs=1e-9)
    assert last(lambda c: (c.ry(0.3, 0), c.cx(0, 1), c.ry(-0.2, 1))) == pytest.approx([0, np.sin(0.1) ** 2], abs=1e-9)
    assert last(lambda c: (c.h(0), c.cx(0, 1), c.rx(0.4, [0, 1]))) == pytest.approx(np.full(2, np.sin(0.2) ** 2))
    assert last(lambda c: (c.h(0), c.cx(0, 1), c.h([0, 1]))) == none, "a Clifford gate"
    assert last(lambda c: (c.h(0), c.cx(0, 1), c.rz(0.4, [0, 1]))) == none, "a phase that nothing reads"
    assert last(lambda c: (c.h(0), c.ry(0.3, 1), c.cx(0, 1))) == none, "followed by a gate"
    assert last(lambda c: c.ry(0.3, 0)) == pytest.approx([np.sin(0.15) ** 2, 0])


def test_rotations_before_control_flow_or_another_reading_are_not_the_last():
    from qiskit import QuantumCircuit

    twice = QuantumCircuit(1, 2)
    twice.ry(0.3, 0)
    twice.measure(0, 0)
    twice.ry(0.2, 0)
    twice.measure(0, 1)
    last = fault_masks(twice, Calibration.ideal(1)).last_rotations
    assert last == pytest.approx([0, np.sin(0.1) ** 2]), "the first flips both bits, as no readout error does"
    again = QuantumCircuit(1, 2)
    again.ry(0.3, 0)
    again.measure(0, 0)
    again.reset(0)
    again.ry(0.2, 0)
    again.measure(0, 1)
    last = fault_masks(again, Calibration.ideal(1)).last_rotations
    assert last == pytest.approx(np.sin([0.15, 0.1]) ** 2), "each is read into a bit of its own"
    used = QuantumCircuit(2, 2)
    used.ry(0.3, 0)
    used.measure(0, 0)
    used.cx(0, 1)
    used.measure(1, 1)
    assert fault_masks(used, Calibration.ideal(2)).last_rotations.tolist() == [0, 0], "the first flips both bits"
    reset = QuantumCircuit(1, 1)
    reset.ry(0.3, 0)
    reset.reset(0)
    reset.measure(0, 0)
    assert fault_masks(reset, Calibration.ideal(1)).last_rotations.tolist() == [0]
    flow = QuantumCircuit(2, 2)
    flow.h(0)
    flow.measure(0, 0)
    flow.ry(0.3, 1)
    with flow.if_test((flow.clbits[0], 1)):
        flow.x(1)
    flow.measure(1, 1)
    assert fault_masks(flow, Calibration.ideal(2)).last_rotations.tolist() == [0, 0]


@pytest.mark.parametrize("value", [0, 1])
def test_rotations_in_a_body_that_reads_the_qubit_may_be_the_last_but_not_those_before(value):
    """Those before counted if the body that certainly runs was the second of two, and not if it was the first."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.ry(0.3, 1)
    with circuit.if_test((circuit.clbits[0], value)) as otherwise:
        circuit.ry(0.2, 1)
        circuit.measure(1, 1)
    with otherwise:
        circuit.ry(0.2, 1)
        circuit.measure(1, 1)
    last = fault_masks(circuit, Calibration.ideal(2), counts=Distribution.of({"00": 100})).last_rotations
    assert last == pytest.approx([0, np.sin(0.1) ** 2])


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("seed", range(3))
def test_compiled_clifford_circuits_have_no_rotations(gate, seed):
    from qiskit.quantum_info import random_clifford

    calibration = line(4, gate, np.random.default_rng(seed))
    circuit = random_clifford(4, seed=seed).to_circuit()
    circuit.measure_all()
    assert fault_masks(compiled(circuit, calibration), calibration).rotations == pytest.approx(0, abs=1e-6)


def test_readout_worse_than_a_coin_for_one_value_stays_what_it_is():
    """Both errors of a bit must sum to less than 1, not each be below one half: .6 became .49."""
    readout = np.array([[0.02, 0.03], [0.1, 0.6], [0.3, 0.6], [0.3, 0.4]])
    faults = FaultMasks(4, np.array([[1]], dtype=np.uint64), np.array([0.1]), np.array([0]), readout)
    np.testing.assert_array_equal(faults.scaled(1).readout, readout)
    np.testing.assert_allclose(faults.scaled(0.5).readout, readout / 2)
    expected = [[0.2, 0.3], [0.38, 0.6], [0.38, 0.6], [0.49, 0.49]]
    np.testing.assert_allclose(faults.scaled(10).readout, expected)
