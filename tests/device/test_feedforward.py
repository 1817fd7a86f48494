"""Fault masks of circuits with a classical program, against Aer and against what is known of them."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Duration, Parameter
from qiskit.circuit.classical import expr, types
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator

import qcluster as qc
from qcluster.core.noise.faults import IDLE, READOUT
from qcluster.core.noise.kernel import Kernel
from qcluster.device import Calibration, fault_masks
from qcluster.device.circuits.conditions import MOST_READ, Memory
from qcluster.device.circuits.timeline import measurements
from qcluster.device.noise.aer import noise_model
from qcluster.device.noise.events import Branch
from qcluster.device.noise.feedforward import Body, change
from qcluster.device.noise.walk import walk
from tests.device.oracle_dynamic import (
    _value,
    dynamic_distribution,
    joined,
    loops_count_with_variables,
    random_program,
)
from tests.device.test_faults import line

SHOTS = 40_000


def teleport(hops: int, angle: float, *, back: bool) -> QuantumCircuit:
    """Teleport a rotated qubit; turned back, the last bit is 0."""
    circuit = QuantumCircuit(2 * hops + 1, 2 * hops + 1)
    circuit.ry(angle, 0)
    for source in range(0, 2 * hops, 2):
        left, right = source + 1, source + 2
        circuit.h(left)
        circuit.cx(left, right)
        circuit.cx(source, left)
        circuit.h(source)
        circuit.measure([source, left], [source, left])
        with circuit.if_test((circuit.clbits[left], 1)):
            circuit.x(right)
        with circuit.if_test((circuit.clbits[source], 1)):
            circuit.z(right)
    circuit.ry(-angle if back else 0.0, 2 * hops)
    circuit.measure(2 * hops, 2 * hops)
    return circuit


def corrected(flipped: int) -> QuantumCircuit:
    """Repetition code of three qubits: the syndrome says which one to turn back."""
    syndrome, data = ClassicalRegister(2, "s"), ClassicalRegister(3, "d")
    circuit = QuantumCircuit(QuantumRegister(5), syndrome, data)
    circuit.x([0, 1, 2])
    circuit.x(flipped)
    for ancilla, pair in ((3, (0, 1)), (4, (1, 2))):
        for q in pair:
            circuit.cx(q, ancilla)
    circuit.measure([3, 4], syndrome)
    with circuit.switch(syndrome) as case:
        for value, q in ((1, 0), (3, 1), (2, 2)):
            with case(value):
                circuit.x(q)
    circuit.measure([0, 1, 2], data)
    return circuit


def fresh() -> QuantumCircuit:
    """Reset by measurement and correction, then use again."""
    circuit = QuantumCircuit(2, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [1, 2])
    return circuit


def repeated(*, loop: bool) -> QuantumCircuit:
    """Repeat until the ancilla reads 0, three times at most or for as long as it takes."""
    circuit = QuantumCircuit(2, 2)

    def attempt() -> None:
        circuit.ry(1.2, 0)
        circuit.cx(0, 1)
        circuit.measure(1, 0)

    attempt()
    for _ in range(1 if loop else 3):
        again = circuit.while_loop if loop else circuit.if_test
        with again((circuit.clbits[0], 1)):
            circuit.x(1)
            circuit.reset(0)
            attempt()
    circuit.measure(0, 1)
    return circuit


def phase(turns: float) -> QuantumCircuit:
    """Estimate a phase bit by bit, each correcting the next."""
    circuit = QuantumCircuit(2, 3)
    circuit.x(1)
    for k in range(3):
        circuit.reset(0)
        circuit.h(0)
        circuit.cp(2 * np.pi * turns * 2 ** (2 - k), 0, 1)
        for j in range(k):
            with circuit.if_test((circuit.clbits[j], 1)):
                circuit.rz(-np.pi / 2 ** (k - j), 0)
        circuit.h(0)
        circuit.measure(0, k)
    return circuit


def parity(*, stored: bool) -> QuantumCircuit:
    """Turn a qubit by the parity of two readings, computed on the spot or kept in a bit."""
    circuit = QuantumCircuit(3, 4)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    odd = expr.bit_xor(circuit.clbits[0], circuit.clbits[1])
    if stored:
        circuit.store(circuit.clbits[3], odd)
    with circuit.if_test((circuit.clbits[3], 1) if stored else odd):
        circuit.x(2)
    circuit.measure(2, 2)
    return circuit


def passes() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    with circuit.for_loop(range(5)):
        circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


CASES = {
    "teleport": (teleport(1, 0.9, back=False), 0.01),
    "teleport back": (teleport(1, 0.9, back=True), 0.01),
    "teleport twice": (teleport(2, 2.2, back=False), 0.03),
    "teleport twice and back": (teleport(2, 2.2, back=True), 0.03),
    "syndrome": (corrected(1), 0.03),
    "reset by hand": (fresh(), 0.012),
    "three attempts": (repeated(loop=False), 0.015),
    "until it works": (repeated(loop=True), 0.03),
    "dyadic phase": (phase(3 / 8), 0.015),
    "phase": (phase(0.3), 0.02),
    "two-qubit body": (joined(), 0.012),
    "parity": (parity(stored=False), 0.012),
    "stored parity": (parity(stored=True), 0.012),
    "loop": (passes(), 0.01),
}
"""Circuits, and by how much prediction and simulation may differ (total variation), some half of it shot noise."""


def everywhere(n: int, rng: np.random.Generator) -> Calibration:
    """The machine of `line`, with a cx between any two qubits."""
    calibration = line(n, "cx", rng)
    pairs = np.array([(i, j) for i in range(n) for j in range(n) if i != j])
    return dataclasses.replace(
        calibration,
        couplings=pairs,
        errors_2q=0.012 * rng.lognormal(0, 0.5, (1, len(pairs))),
        durations_2q=np.zeros((1, len(pairs))),
        dead_couplings=np.zeros(len(pairs), dtype=bool),
    )


def compiled(circuit: QuantumCircuit) -> QuantumCircuit:
    bare = AerSimulator(basis_gates=["rz", "sx", "x", "cx"])
    return generate_preset_pass_manager(1, backend=bare, seed_transpiler=1).run(circuit)


def vector(probs: dict[str, float], n_bits: int) -> np.ndarray:
    result = np.zeros(2**n_bits)
    for key, weight in probs.items():
        result[int(key.replace(" ", ""), 2)] += weight
    return result / result.sum()


@cache
def measured(name: str) -> tuple[QuantumCircuit, Calibration, qc.Distribution, np.ndarray, np.ndarray]:
    """Compiled circuit, its machine, noisy counts, the same as a vector, and the ideal."""
    circuit = compiled(CASES[name][0])
    calibration = everywhere(circuit.num_qubits, np.random.default_rng(3))
    noisy = AerSimulator(noise_model=noise_model([circuit], calibration), seed_simulator=1)
    counts = noisy.run(circuit, shots=SHOTS).result().get_counts()
    n_bits = circuit.num_clbits
    ideal = vector(dynamic_distribution(circuit), n_bits)
    plain = qc.Distribution.of({key.replace(" ", ""): count for key, count in counts.items()})
    return circuit, calibration, plain, vector(counts, n_bits), ideal


@pytest.mark.parametrize("name", CASES)
def test_masks_predict_the_noise_of_programs(name):
    circuit, calibration, counts, noisy, ideal = measured(name)
    faults = fault_masks(circuit, calibration, counts=counts)
    left = np.abs(Kernel.of(faults).forward(ideal) - noisy).sum() / 2
    assert left < CASES[name][1]
    noise = np.abs(ideal - noisy).sum() / 2
    assert left < 0.6 * noise, f"of {noise}"


def test_a_condition_that_is_misread_takes_what_it_triggers_along():
    """Teleportation with readout errors alone: bit 1 turns the target over, bit 0 only its phase, which is not read."""
    circuit = teleport(1, 0.9, back=False)
    calibration = dataclasses.replace(Calibration.ideal(3), readout=np.array([[0.01, 0.03], [0.02, 0.06], [0.05, 0.1]]))
    machine = dataclasses.replace(calibration, gates_1q=("ry", "h", "x", "z"), errors_1q=np.zeros((4, 3)),
                                  durations_1q=np.zeros((4, 3)), gates_2q=("cx",), couplings=np.array([[0, 1], [1, 2]]),
                                  errors_2q=np.zeros((1, 2)), durations_2q=np.zeros((1, 2)),
                                  dead_couplings=np.zeros(2, dtype=bool))  # fmt: skip
    faults = fault_masks(circuit, machine)
    np.testing.assert_allclose(faults.readout, [[0.01, 0.03], [0, 0], [0.05, 0.1]])
    (mask,) = faults.masks[faults.kind == READOUT]
    assert mask.tolist() == [0b110]
    assert faults.rates[faults.kind == READOUT] == pytest.approx(-0.5 * np.log1p(-2 * 0.04))


def test_a_bit_that_is_read_again_after_what_it_triggered_is_misread_twice():
    """Reset by hand and read again into the same bit: misread at first, x runs in vain, and the bit ends flipped."""
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    circuit.measure(0, 0)
    faults = fault_masks(circuit, silent(0.1))
    assert Kernel.of(faults).forward(np.array([1.0, 0.0])) == pytest.approx([0.82, 0.18])
    uneven = fault_masks(circuit, dataclasses.replace(silent(0), readout=np.array([[0.1, 0.2], [0, 0]])))
    np.testing.assert_allclose(uneven.readout, [[0.1, 0.2]])
    assert uneven.masks[uneven.kind == READOUT].tolist() == [[1]]


def silent(readout: float) -> Calibration:
    """Two qubits whose gates are perfect, and whose readings are not."""
    quiet = dataclasses.replace(everywhere(2, np.random.default_rng(1)), errors_1q=np.zeros((3, 2)))
    return dataclasses.replace(quiet, errors_2q=np.zeros((1, 2)), readout=np.full((2, 2), readout))


def test_a_bit_that_nothing_has_written_is_known_to_be_zero():
    """A register of two bits is 1 whenever its first reads 1: the second is written only after it was asked for."""
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    machine = dataclasses.replace(silent(0), readout=np.array([[0.1, 0.1], [0, 0]]))
    faults = fault_masks(circuit, machine)
    assert Kernel.of(faults).forward(np.eye(4)[0]) == pytest.approx([0.9, 0, 0, 0.1])


def test_a_bit_that_a_loop_writes_is_asked_for_in_its_next_pass():
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.cregs[0], 1)):
        circuit.x(1)
        circuit.measure(1, 1)
    assert fault_masks(circuit, silent(0.1)).masks.shape[1] == 1
    memory = Memory.of(circuit)
    table = memory.table((circuit.cregs[0], 1))
    assert table.where_zero({1}).bits == (0,)
    assert table.where_zero({1}).values.tolist() == [0, 1]
    assert table.where_zero({0}).values.tolist() == [0, 0]
    assert table.where_zero({0, 1}).values.tolist() == [0]
    loop = next(event for event in walk(circuit, silent(0.1), idle=False, dt=None) if isinstance(event, Branch))
    assert loop.table.bits == (0, 1)


def test_a_loop_need_not_use_its_parameter():
    """A compiler may cancel what it was for; Qiskit refuses to give a value to a parameter that is not there."""
    circuit, body = QuantumCircuit(1, 1), QuantumCircuit(1)
    body.x(0)
    circuit.for_loop(range(3), Parameter("k"), body, [0], [])
    circuit.measure(0, 0)
    plain = QuantumCircuit(1, 1)
    for _ in range(3):
        plain.x(0)
    plain.measure(0, 0)
    machine = everywhere(2, np.random.default_rng(1))
    assert fault_masks(circuit, machine).expected_faults == pytest.approx(fault_masks(plain, machine).expected_faults)


def test_counts_say_how_often_a_condition_holds():
    """The syndrome of a code is nearly always the same: a body that never runs has no faults, a misread zero does."""
    circuit, calibration, counts, *_ = measured("syndrome")
    known, unknown = (fault_masks(circuit, calibration, counts=given) for given in (counts, None))
    assert known.expected_faults != pytest.approx(unknown.expected_faults, rel=0.01)
    with pytest.raises(ValueError, match="the circuit's 5 bits; got 2"):
        fault_masks(circuit, calibration, counts=qc.Distribution.of({"01": 3}))


@pytest.mark.parametrize("seed", range(30))
def test_any_program_is_read_and_without_noise_it_has_no_faults(seed):
    rng = np.random.default_rng(seed)
    circuit = random_program(rng, without=("part",))
    names = ("h", "ry", "x")
    noisy = dataclasses.replace(
        everywhere(2, rng), gates_1q=names, errors_1q=np.full((3, 2), 0.001), gates_2q=("cx", "cz"),
        errors_2q=np.full((2, 2), 0.01), durations_2q=np.zeros((2, 2)),
    )  # fmt: skip
    quiet = dataclasses.replace(
        noisy, readout=np.zeros((2, 2)), errors_1q=np.zeros((3, 2)), errors_2q=np.zeros((2, 2))
    )  # fmt: skip
    try:
        measurements(circuit)
    except ValueError:
        with pytest.raises(ValueError, match="each classical bit must hold one qubit's reading"):
            fault_masks(circuit, noisy)
        return
    silent = fault_masks(circuit, quiet)
    assert silent.expected_faults == 0
    assert not silent.readout.any()
    loud = fault_masks(circuit, noisy)
    assert np.isfinite(loud.rates).all()
    assert loud.expected_faults < 1
    np.testing.assert_array_equal(loud.rates, fault_masks(circuit, noisy).rates)


def test_what_stands_in_a_body_counts_as_often_as_it_runs():
    circuit = QuantumCircuit(2, 3)
    circuit.sx(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
        circuit.x(1)
    circuit.measure(1, 1)
    calibration = everywhere(2, np.random.default_rng(1))
    plain = QuantumCircuit(2, 3)
    plain.x(1)
    plain.x(1)
    plain.measure(1, 1)
    once = fault_masks(circuit, calibration)
    always = fault_masks(plain, calibration)
    flips = [faults.rates[(faults.masks == 2).all(axis=1) & (faults.kind == 0)].sum() for faults in (once, always)]
    assert flips[0] == pytest.approx(flips[1] / 2)


@pytest.mark.parametrize(("program", "waits"), [("none", 0.0), ("short", 1e-6), ("long", 0.5e-6), ("longer", 1.5e-6)])
def test_a_qubit_waits_for_the_reading_that_decides_about_it(program, waits):
    """One half of a pair decays while the other is read, 1 us, and while a body turns that one over, 0.5 us.

    As late as possible: where the two never meet again, both readings end together. X flips the bit, Y does not.
    """
    machine = everywhere(2, np.random.default_rng(0))
    times = np.zeros_like(machine.durations_1q)
    times[machine.gates_1q.index("x")] = 5e-7
    quiet = dataclasses.replace(
        machine, t1=np.array([np.inf, 1e-4]), t2=np.array([np.inf, 2e-4]), readout=np.zeros((2, 2)),
        readout_duration=np.full(2, 1e-6), errors_1q=np.zeros_like(machine.errors_1q), durations_1q=times,
        errors_2q=np.zeros_like(machine.errors_2q),
    )  # fmt: skip
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.measure(0, 0)
    if program != "none":
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.rz(0.0, 1) if program == "short" else circuit.x(0)
    if program == "longer":
        circuit.cx(0, 1)
    circuit.sx(1)
    circuit.measure(1, 1)
    faults = fault_masks(circuit, quiet, idle=True)
    assert faults.rates[faults.kind == IDLE].sum() == pytest.approx(waits / (4 * 1e-4))
    assert not fault_masks(circuit, quiet, idle=False).rates.any()


def waiting(program: str) -> QuantumCircuit:
    """Qubit 0 is in |1> for 20 us before it is turned and read; the wait is where the name says."""
    circuit = QuantumCircuit(2, 2)
    circuit.x([0, 1])
    circuit.cz(0, 1)
    circuit.measure(1, 1)
    match program:
        case "before":
            circuit.delay(20, 0, "us")
        case "in a box":
            with circuit.box():
                circuit.delay(20, 0, "us")
        case "at the start of a box":
            with circuit.box():
                circuit.delay(20, 0, "us")
                circuit.z(0)
        case "in a loop":
            with circuit.for_loop(range(4)):
                circuit.delay(5, 0, "us")
        case "in a branch":
            with circuit.if_test((circuit.clbits[1], 1)):
                circuit.delay(20, 0, "us")
        case "at the start of a branch":
            with circuit.if_test((circuit.clbits[1], 1)):
                circuit.delay(20, 0, "us")
                circuit.z(0)
        case "beside a branch":
            with circuit.if_test((circuit.clbits[1], 1)):
                circuit.delay(20, 1, "us")
            circuit.cz(0, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    "program",
    [
        "before", "in a box", "at the start of a box", "in a loop", "in a branch", "at the start of a branch",
        "beside a branch",
    ],
)  # fmt: skip
def test_a_delay_counts_wherever_it_is(program):
    """Delays before the first operation of a body were lost, and bodies of delays took no time."""
    quiet = Calibration.ideal(2)
    quiet = dataclasses.replace(
        quiet, t1=np.full(2, 1e-4), t2=np.full(2, 2e-4), gates_1q=("x", "z"), errors_1q=np.zeros((2, 2)),
        durations_1q=np.zeros((2, 2)), couplings=np.array([[0, 1]]), gates_2q=("cz",), errors_2q=np.zeros((1, 1)),
        durations_2q=np.zeros((1, 1)), dead_couplings=np.zeros(1, dtype=bool),
    )  # fmt: skip
    faults = fault_masks(waiting(program), quiet, counts=qc.Distribution.of({"11": 100}))
    of_0 = faults.rates[(faults.masks[:, 0] == 1) & (faults.kind == IDLE)]
    assert of_0.sum() == pytest.approx(2 * 20e-6 / (4 * 1e-4)), "X and Y flip the bit, each at a quarter of t / T1"
    explicit = fault_masks(waiting(program), quiet, counts=qc.Distribution.of({"11": 100}), idle=False)
    assert bool(explicit.rates.any()) == (program != "beside a branch")


@pytest.mark.parametrize("held", ["bit", "variable", "variable of a variable", "variable in a body"])
def test_a_qubit_waits_for_the_reading_that_a_variable_holds(held):
    quiet = dataclasses.replace(silent(0), t1=np.full(2, 1e-4), t2=np.full(2, 2e-4), readout_duration=np.full(2, 1e-6))
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure(0, 0)
    value = expr.lift(circuit.clbits[0])
    for name in ("a", "b")[: held.count("variable")]:
        value = circuit.add_var(name, value)
    if held == "variable in a body":
        with circuit.for_loop(range(1)), circuit.if_test(value):
            circuit.rz(0.3, 1)
    else:
        with circuit.if_test(value):
            circuit.rz(0.3, 1)
    circuit.sx(1)
    circuit.measure(1, 1)
    faults = fault_masks(circuit, quiet)
    assert faults.rates[faults.kind == IDLE].sum() == pytest.approx(1e-6 / (4 * 1e-4))


def body(circuit: QuantumCircuit) -> Body:
    return Body(circuit, tuple(range(circuit.num_qubits)), Memory.of(circuit))


def test_bodies_differ_by_paulis():
    one, other = QuantumCircuit(3), QuantumCircuit(3)
    one.x(0)
    one.z(2)
    other.x(0)
    other.y(1)
    groups, bits = change(body(one), body(other), {})
    assert bits == ()
    assert [(group.qubits, group.paulis.tolist(), group.shares.tolist()) for group in groups] == [
        ((1,), [[2]], [1.0]),
        ((2,), [[3]], [1.0]),
    ]


def test_a_rotation_is_a_pauli_now_and_then_and_what_is_known_to_be_zero_helps():
    turned = QuantumCircuit(1)
    turned.rx(0.8, 0)
    ((group,), _) = change(None, body(turned), {})
    assert dict(zip(group.paulis.ravel().tolist(), group.shares, strict=True)) == pytest.approx(
        {0: np.cos(0.4) ** 2, 1: np.sin(0.4) ** 2}
    )
    pair = QuantumCircuit(2)
    pair.x(0)
    pair.cx(0, 1)
    ((unknown,), _), ((known,), _) = change(None, body(pair), {}), change(None, body(pair), {0: 1, 1: -1})
    assert len(unknown.paulis) == 4
    assert known.paulis.tolist() == [[1, 1]]


def test_what_a_body_measures_is_left_to_chance():
    retry = QuantumCircuit(2, 2)
    retry.measure(0, 1)
    retry.x(1)
    groups, bits = change(None, body(retry), {})
    assert bits == (1,)
    assert [(group.qubits, len(group.shares)) for group in groups] == [((0,), 4), ((1,), 1)]


EXPRESSIONS = {
    "bit": lambda r, b: expr.lift(b),
    "not": lambda r, b: expr.logic_not(b),
    "and": lambda r, b: expr.logic_and(b, r[0]),
    "or": lambda r, b: expr.logic_or(b, expr.logic_not(r[2])),
    "equal": lambda r, b: expr.equal(r, 5),
    "not equal": lambda r, b: expr.not_equal(expr.bit_and(r, 6), 2),
    "inverted": lambda r, b: expr.bit_not(r),
    "xor": lambda r, b: expr.bit_xor(r, expr.cast(b, types.Uint(3))),
    "index": lambda r, b: expr.index(r, 1),
    "nested": lambda r, b: expr.bit_or(expr.equal(r, 3), expr.bit_xor(b, r[1])),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_tables_hold_what_expressions_are_worth(name):
    circuit = QuantumCircuit(ClassicalRegister(3, "r"), ClassicalRegister(1, "b"))
    node = EXPRESSIONS[name](circuit.cregs[0], circuit.clbits[3])
    table = Memory.of(circuit).table(node)
    for row, value in enumerate(table.values.tolist()):
        setting = dict.fromkeys(circuit.clbits, False)
        setting |= {circuit.clbits[bit]: bool(row >> i & 1) for i, bit in enumerate(table.bits)}
        assert value == int(_value(node, setting, {bit: bit for bit in circuit.clbits}))


@pytest.mark.parametrize(
    ("node", "worth"),
    [
        (lambda r: expr.less(r, 3), lambda v: v < 3),
        (lambda r: expr.greater_equal(r, 6), lambda v: v >= 6),
        (lambda r: expr.shift_left(r, 1), lambda v: v * 2 % 8),
        (lambda r: expr.shift_right(r, 1), lambda v: v // 2),
        (lambda r: expr.add(r, expr.lift(3, types.Uint(3))), lambda v: (v + 3) % 8),
        (lambda r: expr.sub(r, expr.lift(3, types.Uint(3))), lambda v: (v - 3) % 8),
        (lambda r: (r, 6), lambda v: v == 6),
        (lambda r: expr.cast(r, types.Bool()), lambda v: v > 0),
        (lambda r: expr.cast(r, types.Uint(1)), lambda v: v & 1),
    ],
)
def test_numbers_are_compared_shifted_and_added(node, worth):
    circuit = QuantumCircuit(ClassicalRegister(3, "r"))
    table = Memory.of(circuit).table(node(circuit.cregs[0]))
    assert table.bits == (0, 1, 2)
    assert table.values.tolist() == [int(worth(value)) for value in range(8)]


def test_variables_are_more_bits():
    """A variable that holds a reading triggers as the reading itself would, and nobody reads it in the end."""
    circuits = []
    for held in (False, True):
        circuit = QuantumCircuit(2, 2)
        circuit.sx(0)
        circuit.measure(0, 0)
        kept = circuit.add_var("kept", expr.lift(circuit.clbits[0])) if held else circuit.clbits[0]
        with circuit.if_test(expr.lift(kept)):
            circuit.x(1)
        circuit.measure(1, 1)
        circuits.append(circuit)
    calibration = everywhere(2, np.random.default_rng(4))
    one, two = (fault_masks(circuit, calibration) for circuit in circuits)
    np.testing.assert_array_equal(one.masks, two.masks)
    np.testing.assert_allclose(one.rates, two.rates)
    assert two.n_bits == 2


def test_what_is_beyond_the_tables_is_said():
    wide = QuantumCircuit(1, MOST_READ + 1)
    with wide.if_test((wide.cregs[0], 3)):
        wide.x(0)
    wide.measure(0, 0)
    calibration = everywhere(2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="at most 10 classical bits; got 11"):
        fault_masks(wide, calibration)
    divided = QuantumCircuit(1, 2)
    with divided.if_test(expr.equal(expr.div(divided.cregs[0], expr.lift(2, types.Uint(2))), 1)):
        divided.x(0)
    with pytest.raises(ValueError, match="bits and whole numbers; got DIV"):
        fault_masks(divided, calibration)
    for kind, low, high in (("Float", 1.2, 1.7), ("Duration", Duration.ns(1), Duration.ns(2))):
        compared = QuantumCircuit(1, 1)
        with compared.if_test(expr.less(low, high)):
            compared.x(0)
        with pytest.raises(ValueError, match=f"bits and whole numbers; got {kind}"):
            fault_masks(compared, calibration)
    stretched = QuantumCircuit(1, 1)
    stretched.delay(stretched.add_stretch("s"), 0)
    with pytest.raises(ValueError, match=r"a number for their length; got an expression \(a stretch\)"):
        fault_masks(stretched, calibration)
    long = QuantumCircuit(1, 1)
    with long.for_loop(range(1000)):
        long.x(0)
    with pytest.raises(ValueError, match="at most 100 passes; got 1000"):
        fault_masks(long, calibration)


def test_one_bit_of_a_register_may_be_stored():
    circuit = QuantumCircuit(1, 3)
    circuit.measure(0, 0)
    circuit.store(expr.index(circuit.cregs[0], 2), circuit.clbits[0])
    circuit.store(expr.index(circuit.cregs[0], 1), True)
    faults = fault_masks(circuit, silent(0.1))
    assert faults.masks[faults.kind == READOUT].tolist() == [[0b101]], "misread, bit 0 takes bit 2 along"
    circuit.store(expr.index(circuit.cregs[0], circuit.cregs[0]), True)
    with pytest.raises(ValueError, match="bits of constant index"):
        fault_masks(circuit, silent(0.1))


def test_rotations_in_a_body_count_as_often_as_it_runs():
    circuit = QuantumCircuit(2, 2)
    circuit.ry(np.pi / 2, 0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.ry(0.4, 1)
    circuit.measure(1, 1)
    always = fault_masks(circuit, Calibration.ideal(2), counts=qc.Distribution.of({"01": 1000})).rotations
    some = fault_masks(circuit, Calibration.ideal(2), counts=qc.Distribution.of({"00": 750, "01": 250})).rotations
    assert always == pytest.approx(np.sin(0.2) ** 2)
    assert some == pytest.approx(0.25 * np.sin(0.2) ** 2)


@pytest.mark.skipif(not loops_count_with_variables(), reason="this version of Qiskit has no such loops")
def test_a_loop_may_count_with_a_variable():
    """Qiskit's own error came out; the program reads in each pass what it counts."""

    def flipped(passes):
        circuit = QuantumCircuit(1, 1)
        with circuit.for_loop(passes, expr.Var.new("i", types.Uint(3))) as i, circuit.if_test(expr.equal(i, 2)):
            circuit.x(0)
        circuit.measure(0, 0)
        return circuit

    lasting = np.full(5, np.inf)
    calibration = dataclasses.replace(qc.read_calibration("fake_manila"), t1=lasting, t2=lasting)
    twice, never = (fault_masks(flipped(passes), calibration).expected_faults for passes in ([1, 2, 2], [0, 1, 3]))
    plain = QuantumCircuit(1, 1)
    plain.x(0)
    plain.x(0)
    plain.measure(0, 0)
    assert twice == pytest.approx(fault_masks(plain, calibration).expected_faults, rel=1e-6)
    assert never == 0
