"""Laws of identity: a circuit made again is the same, whatever Qiskit has numbered; and another one is another."""

from io import BytesIO
from uuid import uuid4

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Clbit, Gate, Parameter, Qubit, library
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp

from qcluster.device.circuits.identity import identify_circuits
from qcluster.device.circuits.qpy import dump_circuits, load_circuits
from qcluster.device.execute import execute
from qcluster.device.jobs.folder import RunFolder
from qcluster.device.sampler import MitigatedSampler
from qcluster.errors import StorageError
from tests.device.oracle_dynamic import loops_count_with_variables


def _unnamed():
    return QuantumCircuit(QuantumRegister(2), ClassicalRegister(2), ClassicalRegister(1))


def conditions(number, circuit):
    """Registers in conditions, targets and expressions, those of blocks within blocks as well."""
    wide, narrow = circuit.cregs
    with circuit.if_test((wide, number)):
        circuit.x(1)
    with circuit.switch(wide) as case, case(number):
        circuit.x(0)
    with circuit.if_test(expr.equal(wide, number)), circuit.if_test((narrow, 1)):
        circuit.x(1)
    with circuit.while_loop(expr.less(expr.bit_not(wide), number)):
        circuit.measure([0, 1], wide[:2])


def stores(number, circuit):
    circuit.store(circuit.cregs[0], number)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.store(expr.index(circuit.cregs[0], 1), expr.cast(circuit.cregs[1], types.Bool()))


def body(number, circuit):
    """A body that was made by hand, on registers of its own."""
    block = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1))
    block.rx(number, 0)
    block.measure(0, 0)
    circuit.if_test((circuit.clbits[0], 1), block, [1], [2])


def gate(number, circuit):
    part = QuantumCircuit(1)
    part.rx(number, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.append(part.to_gate(), [0])


def loops(number, circuit):
    """Parameters that no one named, one in use within the other's loop."""
    with circuit.for_loop(range(number)) as i, circuit.for_loop(range(2)) as j:
        circuit.rx(i, 0)
        circuit.rz(j, 0)


def parameter(number, circuit):
    with circuit.for_loop(range(number), Parameter("t")) as turn:
        circuit.rx(turn, 0)


def variables(number, circuit):
    with circuit.if_test((circuit.clbits[0], 1)):
        value = circuit.add_var("number", expr.lift(number, types.Uint(4)))
        with circuit.if_test(expr.equal(value, 1)):
            circuit.x(0)
    counter = expr.Var.new("i", types.Uint(4)) if loops_count_with_variables() else None
    with circuit.for_loop(range(number), counter):
        circuit.x(0)


def box(number, circuit):
    with circuit.box():
        circuit.rx(number, 0)


def several(number, circuit):
    """Bits in several registers, and in none."""
    circuit.add_register(ClassicalRegister(bits=circuit.clbits[1:]))
    circuit.add_bits([Qubit(), Clbit()])
    circuit.rx(number, 2)


def unnamed_part(number, label=None):
    part = QuantumCircuit(1)
    part.rx(number, 0)
    return part.to_gate(label=label)


def named_part(number, name, *parts):
    part = QuantumCircuit(1, name=name)
    part.rx(number, 0)
    for one in parts:
        part.append(one, [0])
    return part.to_gate()


def labelled(number, circuit):
    circuit.append(unnamed_part(number, "mine"), [0])


def controlled(number, circuit):
    circuit.append(unnamed_part(number, "mine").control(1, label="too", ctrl_state=0), [0, 1])


def annotated(number, circuit):
    circuit.append(unnamed_part(number).control(1, annotated=True), [0, 1])


def within(number, circuit):
    """Of a gate that has a name, also where that is within another, is controlled, or is in a block."""
    circuit.append(named_part(1, "outer", named_part(2, "inner", unnamed_part(number))), [0])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.append(named_part(1, "other", unnamed_part(number)).control(), [0, 1])


def defined(number, circuit):
    """By hand, on registers that have no name."""
    made = QuantumCircuit(QuantumRegister(1))
    made.append(unnamed_part(number), [0])
    one = Gate("mine", 1, [])
    one.definition = made
    circuit.append(one, [0])


def instruction(number, circuit):
    part = QuantumCircuit(1, 1, name="part")
    part.append(unnamed_part(number), [0])
    part.measure(0, 0)
    circuit.append(part.to_instruction(), [1], [2])


def of_several_names(number, circuit):
    """QPY writes gates of the user's own in an order that changes."""
    for name in "abc":
        circuit.append(named_part(number, name), [0])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.append(named_part(number, "a"), [1])
        circuit.append(named_part(number, "b", unnamed_part(1, "one"), unnamed_part(2, "two")), [1])


def evolutions(number, circuit):
    for time in (0.5, number):
        circuit.append(PauliEvolutionGate(SparsePauliOp(["XX", "ZZ"], [1, number]), time), [0, 1])


PROGRAMS = (
    evolutions,
    *(conditions, stores, body, gate, loops, parameter, variables, box, several),
    *(labelled, controlled, annotated, within, defined, instruction, of_several_names),
)


@pytest.mark.parametrize("start", [_unnamed, lambda: QuantumCircuit(2, 3)], ids=["unnamed", "named"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_made_again_is_the_same(program, start):
    def made(number):
        circuit = start()
        if not circuit.cregs[1:]:
            circuit.add_register(ClassicalRegister(1, "flag"))
        program(number, circuit)
        return identify_circuits([circuit])

    first = made(2)
    for _ in range(12):  # Qiskit keeps registers of blocks in a set, ordered by their names
        QuantumCircuit(QuantumRegister(1), ClassicalRegister(1))
        assert made(2) == first
    assert made(3) != first


WAIT = Parameter("wait")
UNITS = ("s", "ms", "us", "ns", "ps", "dt")


def waiting(unit, where, time=100):
    """A delay by itself, in a block within a block, in a gate made of a circuit, or of a free length."""
    circuit, part = QuantumCircuit(1, 1, metadata={"mine": 1}), QuantumCircuit(1, name="part")
    part.delay(time, 0, unit)
    if where == "blocks":
        with circuit.if_test((circuit.clbits[0], 1)), circuit.box(label="named"):
            circuit.delay(time, 0, unit)
    elif where == "part":
        circuit.append(part.to_instruction(label="named"), [0])
    else:
        circuit.delay(WAIT if where == "free" else time, 0, unit)
    circuit.delay(3, 0, "dt")
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize("where", ["alone", "blocks", "part", "free"])
def test_the_unit_of_a_delay_is_part_of_a_program_and_of_what_is_read_back(where):
    """QPY drops it: 100 us were 100 ns to a sampler that had compiled these, and 100 dt when they were read back."""
    programs = [waiting(unit, where) for unit in UNITS]
    assert len({identify_circuits([program]) for program in programs}) == len(UNITS)
    read = load_circuits(dump_circuits(programs))
    assert read == programs == [waiting(unit, where) for unit in UNITS]
    assert all(program.metadata == {"mine": 1} for program in read)


def lengths_keep_their_type():
    circuit, buffer = QuantumCircuit(1), BytesIO()
    circuit.delay(1.0, 0, "us")
    qpy.dump(circuit, buffer)
    buffer.seek(0)
    return isinstance(qpy.load(buffer)[0].data[0].params[0], float)


@pytest.mark.parametrize("where", ["alone", "blocks", "part", "free"])
def test_a_delay_whose_unit_is_lost_is_refused(where):
    buffer = BytesIO()
    qpy.dump(waiting("us", where, 100.0), buffer)
    if where != "free" and not lengths_keep_their_type():
        pytest.skip("this version of Qiskit writes 100.0 us as the whole number 100, which tells nothing")
    with pytest.raises(ValueError, match=r"delays in a QPY file must be whole numbers of dt.*OpenQASM 3"):
        load_circuits(buffer.getvalue())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("a", 1, 0), ("b", 2, 0)], [("b", 2, 0), ("a", 1, 0)]),
        ([("a", 1, 0), ("b", 2, 0)], [("a", 1, 0), ("b", 2, 1)]),
        ([("a", 1, 0), ("b", 2, 0)], [("a", 1, 0), ("c", 2, 0)]),
        ([("a", 1, 0), ("b", 2, 0)], [("a", 2, 0), ("b", 1, 0)]),
        ([("a", 1, 0), (None, 2, 0), ("b", 2, 0)], [("a", 1, 0), ("b", 2, 0), (None, 2, 0)]),
    ],
)
def test_programs_of_several_gates_are_told_apart_by_their_order_places_names_and_bodies(one, other):
    def made(gates):
        circuit = QuantumCircuit(2)
        for name, angle, qubit in gates:
            if name is None:
                circuit.h(qubit)
            else:
                circuit.append(named_part(angle, name), [qubit])
        return identify_circuits([circuit])

    assert made(one) == made(one) != made(other)


@pytest.mark.parametrize("label", ["mine", "yours"])
def test_labels_are_part_of_a_program(label):
    circuits = QuantumCircuit(2), QuantumCircuit(2)
    for circuit, name in zip(circuits, ("mine", label), strict=True):
        circuit.append(unnamed_part(1, name), [0])
        circuit.append(unnamed_part(2, name), [1])
    one, other = (identify_circuits([circuit]) for circuit in circuits)
    assert (one == other) is (label == "mine")


def test_what_a_condition_reads_is_part_of_a_program():
    """Registers are told apart by their places, which their numbers do not."""

    def made(which):
        circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1), ClassicalRegister(1))
        with circuit.if_test((circuit.cregs[which], 1)):
            circuit.x(0)
        return identify_circuits([circuit])

    assert made(0) == made(0) != made(1)


def test_a_program_on_unnamed_registers_goes_on_with_its_request(tmp_path):
    """It was refused, "with other circuits or another seed"."""

    def counts():
        circuit = _unnamed()
        circuit.x(0)
        circuit.measure([0, 1], circuit.cregs[0])
        with circuit.if_test((circuit.cregs[0], 1)):
            circuit.x(1)
        circuit.measure(1, 2)
        return execute([circuit], "aer", shots=50, directory=tmp_path / "kept")[0].counts

    assert counts() == counts()
    assert set(counts()) == {"101"}


@pytest.mark.filterwarnings("ignore:The qiskit version used to generate:UserWarning")  # some warn, as they may
@pytest.mark.parametrize(("version", "header"), [("1.2.3", (1, 2, 3)), ("2.99.0rc1", (2, 99, 0))])
@pytest.mark.parametrize("repeats", [0, 1, 2])
def test_the_folder_of_another_qiskit_goes_on_where_it_writes_the_same(tmp_path, monkeypatch, version, header, repeats):
    """QPY holds the version of Qiskit: after an upgrade the same call was refused, "with other circuits or another
    seed". Of several gates of the user's own each is told by a hash of QPY, which holds it too."""

    def counts(angle, seed=1):
        circuit = QuantumCircuit(2, 2)
        for number in range(repeats):
            circuit.append(named_part(angle + number, f"part{number}"), [number])
        circuit.rx(angle, 0)
        circuit.measure([0, 1], [0, 1])
        return execute([circuit], "aer", shots=50, seed=seed, directory=tmp_path / "kept")[0].counts

    def dump(circuits, file):
        data = BytesIO()
        write(circuits, data)
        file.write(data.getvalue()[:7] + bytes(header) + data.getvalue()[10:])

    write = qpy.dump
    with monkeypatch.context() as older:
        older.setattr(qpy, "dump", dump)
        older.setattr("qcluster.device.prepare.version", lambda name: version)
        first = counts(1.0)
    request = RunFolder(tmp_path / "kept").request
    assert request.versions["qiskit"] == version
    assert counts(1.0) == first
    assert RunFolder(tmp_path / "kept").request.id == request.id
    for wrong in ({"angle": 2.0}, {"angle": 1.0, "seed": 2}):
        with pytest.raises(
            StorageError, match=rf"another seed, or the same circuits, written differently by Qiskit {version}: repeat"
        ):
            counts(**wrong)


def counted(number, value):
    """A gate of Qiskit's library of which its class and parameters, all that QPY keeps, do not tell what it does."""
    return {
        "comparison": lambda: library.IntegerComparatorGate(number, value),
        "flags": lambda: library.AndGate(number, [value, *[1] * (number - 1)]),
        "slope": lambda: library.LinearPauliRotationsGate(number, value),
        "reciprocal": lambda: library.ExactReciprocalGate(number, value / 4),
        "axis": lambda: library.UCPauliRotGate([1.0, 2.0] * number, "XYZ"[value % 3]),
        "controls": lambda: library.MCMTGate(library.RYGate(value), number, 2),
        "controlled": lambda: library.QFTGate(number + value).control(),
        "inverse": lambda: library.UCRXGate([value, 0.5]).inverse(),
    }


GATES = tuple(counted(2, 1))


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("name", GATES)
def test_gates_of_the_library_are_told_by_what_they_do(name, repeats):
    """Comparisons with 1 and with 3 were one program: a sampler ran the first for the second."""

    def made(value):
        circuit = QuantumCircuit(8)
        for gate in (counted(2, value)[name]() for _ in range(repeats)):
            circuit.append(gate, range(gate.num_qubits))
        return identify_circuits([circuit])

    first = made(1)
    assert all(made(1) == first for _ in range(6))
    assert made(3 if name != "flags" else -1) != first


def test_a_sampler_compiles_each_of_two_comparisons():
    def made(value):
        circuit = QuantumCircuit(4, 1)
        circuit.x(1)  # the number is 2
        gate = library.IntegerComparatorGate(2, value)
        circuit.append(gate, range(gate.num_qubits))
        circuit.measure(2, 0)
        return circuit

    sampler = MitigatedSampler("aer", seed=1)
    found = [sampler.run([made(value)], shots=20).result()[0].data.c.get_counts() for value in (1, 3)]
    assert found == [{"1": 20}, {"0": 20}]


def test_names_that_qpy_draws_are_no_part_of_a_program(monkeypatch):
    """Before 2.6 Qiskit writes an identifier that it draws into the name of each gate of the user's own."""

    def drawn(circuits, file, **options):
        data = BytesIO()
        write(circuits, data, **options)
        own = [item.name for circuit in circuits for item in circuit.data if item.name == "mine"]
        file.write(data.getvalue() + b"".join(uuid4().bytes for _ in own))

    write = qpy.dump
    monkeypatch.setattr(qpy, "dump", drawn)
    identities = []
    for angle in (1, 1, 2):
        circuit = QuantumCircuit(1)
        circuit.append(named_part(angle, "mine"), [0])
        identities.append(identify_circuits([circuit]))
    assert identities[0] == identities[1] != identities[2]


def test_what_symengine_wrote_is_not_unpickled(monkeypatch):
    """Qiskit 1.2 and older left expressions to it; all else in such a file is read."""

    def unpickle(payload):
        raise AssertionError("it was unpickled")

    monkeypatch.setattr("qiskit.qpy.common.load_symengine_payload", unpickle)
    circuit = QuantumCircuit(1, 1)
    circuit.rx(0.5, 0)
    circuit.measure(0, 0)
    assert load_circuits(as_of_symengine(circuit)) == [circuit]
    circuit.rx(2 * Parameter("a") + 1, 0)
    with pytest.raises(ValueError, match="QPY without expressions by symengine, which can run code"):
        load_circuits(as_of_symengine(circuit))


def as_of_symengine(circuit):
    """Format 12 differs from 13 in expressions alone."""
    buffer = BytesIO()
    qpy.dump(circuit, buffer, version=13)
    data = bytearray(buffer.getvalue())
    data[6], data[18] = 12, ord("e")
    return bytes(data)
