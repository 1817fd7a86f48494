"""Benchmark circuits: closed forms against simulation, the published table, names and files."""

import contextlib
import csv
import json
import time

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2, qasm3, qpy, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import DensityMatrix, SparsePauliOp

from qcluster.bench.circuits import FAMILIES, PAPER, SUITES, Case, make_case, read_cases, simulate, suite
from qcluster.bench.circuits.case import measured_qubits
from qcluster.bench.tasks import find_case
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy, hellinger_fidelity
from qcluster.device.circuits.files import parse_qasm
from qcluster.errors import StorageError
from tests.conftest import DATA

SMALL = [
    *("adder:1", "adder:2:left=3,right=2", "full_adder", "basis_change:3", "basis_change:6", "bv:5:secret=01101"),
    *("cat:4", "cat:5:pattern=01100", "coin:3", "deutsch_jozsa:3", "deutsch_jozsa:5", "dense:5", "fredkin:5"),
    *("ghz:1", "ghz:6", "grover:2", "grover:4:marked=0110", "grover:3:rounds=1", "hidden_shift:6:shift=110100"),
    *("inverse_qft:5", "inverse_qft:4:value=7", "iqp:5", "ising:5", "ising:4:steps=3", "linear_solver:3", "lpn:6"),
    *("mirror:5:depth=6,seed=2", "parity_encoder:5", "qaoa:5:layers=2", "qft:4:value=5", "qpe:4", "qpe:9:phase=0.3"),
    *(
        "qpe:3:phase=0.25",
        "quantum_walk:3",
        "sat:7",
        "simon:4",
        "simon:3:period=011",
        "toffoli:4",
        "trotter:4:layers=9",
    ),
    *(
        "variational:4",
        "vqe:4",
        "w_state:1",
        "w_state:6",
        "brickwork:5:depth=3",
        "dicke:5",
        "dicke:6:ones=3",
        "dicke:4:ones=1",
    ),
]


@pytest.mark.parametrize("spec", SMALL)
def test_the_ideal_is_what_the_circuit_does(spec):
    case = make_case(spec)
    assert case.name == spec
    assert hellinger_fidelity(case.ideal, simulate(case.circuit)) == pytest.approx(1.0, abs=1e-9)
    assert case.ideal.n_bits == case.n_bits


def test_every_family_is_tried():
    """Those of ``broad`` are simulated for their ideal: test_broad tells what each must compute."""
    tried = {spec.split(":")[0] for spec in (*SMALL, *SUITES["broad"])}
    assert tried == set(FAMILIES)


def test_each_suite_builds_with_distinct_names():
    for name, specs in SUITES.items():
        cases = suite(name)
        assert [case.name for case in cases] == list(specs)
        assert len(set(specs)) == len(specs)


def test_the_suites_are_what_they_say():
    assert all(case.ideal_entropy <= 0.6 for case in suite("low_entropy"))
    assert len(SUITES["paper"]) == 29
    wide = suite("scale")
    assert max(case.n_qubits for case in wide) == 127
    assert all(case.ideal.n_outcomes <= 2 for case in wide)
    spread = [case for case in suite("guard") if case.family not in {"mirror", "trotter", "bv"}]
    assert all(case.ideal_entropy > 0.6 for case in spread)


def published_rows():
    path = DATA / "effective_rates_2025.csv"
    if not path.exists():
        pytest.skip("needs the published table: effective_rates_2025.csv is not in QCLUSTER_DATA or ../shared/data")
    with path.open() as lines:
        return list(csv.DictReader(lines))


def test_the_paper_suite_has_the_published_circuits():
    assert set(PAPER) == {row["circuit"] for row in published_rows()}


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_suite_matches_the_published_widths_and_entropies(name):
    """Entropies are those of 16,384 shots, as in the table: wide, spread outputs show less than their own."""
    rows = [row for row in published_rows() if row["circuit"] == name]
    case = make_case(f"paper/{name}")
    assert case.n_bits == int(rows[0]["n_measured"])
    used = min(int(row["n_qubits"]) for row in rows)
    routing = {"adder_n10": 1}.get(name, 0)  # the published count has a qubit that only routes
    assert case.n_qubits + routing == used
    p = case.ideal.probabilities
    sampled = Distribution(case.ideal.bits, np.random.default_rng(0).multinomial(16384, p).astype(float))
    published = np.mean([float(row["ideal_entropy"]) for row in rows])
    assert entropy(sampled, normalised=True) == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize("n", [5, 60, 127])
def test_mirrors_are_certain_at_any_width(n):
    from qiskit.quantum_info import StabilizerState

    case = make_case(f"mirror:{n}:depth=3,seed={n}")
    state = StabilizerState(case.circuit.remove_final_measurements(inplace=False))
    (text,) = case.ideal.to_probs()
    assert state.probabilities_dict_from_bitstring(outcome_bitstring=text) == {text: 1.0}


def test_the_same_name_is_the_same_circuit():
    spec = "mirror:6:depth=5,seed=1"
    assert make_case(spec).fingerprint == make_case(spec).fingerprint
    others = {make_case(f"mirror:6:depth=5,seed={seed}").fingerprint for seed in range(20)}
    assert len(others) == 20


@pytest.mark.parametrize(("family", "width"), [("sat", 7), ("parity_encoder", 5)])
def test_a_family_with_a_usual_width_needs_none(family, width):
    assert make_case(family).fingerprint == make_case(f"{family}:{width}").fingerprint


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nonsense:4", "no family"),
        ("paper/nonsense", "no paper circuit"),
        ("bv:four", "cannot be built"),
        ("bv:4:secret=01", "4 characters"),
        ("bv:4:colour=3", "the options of bv are secret; got 'colour'"),
        ("ghz:3:depth=2", "ghz has no options; got 'depth'"),
        ("mirror:4:n=3", "the options of mirror are depth, seed; got 'n'"),
        ("ghz:", "ghz must have a width, written ghz:WIDTH"),
        ("ghz", "ghz must have a width, written ghz:WIDTH"),
        ("full_adder:4", "full_adder has one width, and is written full_adder"),
        ("mirror:4:depth=6,depth=7", "each option must come once; got depth=6,depth=7"),
        ("mirror:4:depth", "key=value"),
        ("hidden_shift:3", "even"),
        ("fredkin:4", "odd"),
        ("variational:5", "multiple of 4"),
        ("adder:2:left=9", "2 bits"),
        ("ghz:0", r"the width of ghz must lie in 1\.\.1000; got 0"),
        ("ghz:-1", r"must lie in 1\.\.1000; got -1"),
        ("ghz:1001", "got 1001"),
        ("ghz:1e3", "the width must be a whole number; got '1e3'"),
        ("mirror:4:depth=nan", "depth must be a whole number; got 'nan'"),
        ("ising:4:angle=0.1.2", "angle must be a number; got '0.1.2'"),
        ("ghz:" + "9" * 40, "at most 20 digits; got 40 characters"),
        ("ghz:" + "9" * 5000, "at most 20 digits; got 5000 characters"),
        ("grover:60", r"must lie in 1\.\.22; got 60"),
        ("qpe:64", r"must lie in 1\.\.22; got 64"),
        ("lpn:1", "cannot be built"),
        ("simon:3:period=000", "period must have at least one 1; got '000'"),
        ("toffoli:1", "cannot be built"),
        ("iqp:4:density=1.5", r"density must lie in \[0, 1\]; got 1\.5"),
        ("qpe:4:phase=1e400.0", "cannot be built"),
        ("ising:4:angle=" + "9" * 400 + ".0", "angle must be finite"),
        ("qft:3:value=8", r"value must lie in 0\.\.2\*\*3 - 1; got 8"),
        ("inverse_qft:3:value=99", "value must lie in"),
        ("mirror:4:depth=1.5", "depth of mirror at width 4 must lie in"),
        *((f"{name}=100000000", "must lie in 0") for name in (
            *("mirror:4:depth", "dense:3:layers", "qaoa:4:layers", "vqe:4:layers", "trotter:4:layers", "ising:4:steps"),
            *("quantum_walk:3:steps", "grover:3:rounds"),
        )),
        *((f"{name}=-1", "must lie in 0") for name in ("mirror:4:depth", "quantum_walk:3:steps", "grover:3:rounds")),
    ],
)  # fmt: skip
def test_wrong_names_are_explained_before_anything_is_built(spec, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=message):
        make_case(spec)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("width", range(1, 6))
def test_every_width_is_built_or_refused_in_words(family, width):
    with contextlib.suppress(ValueError):
        case = make_case(f"{family}:{width}")
        assert 1 <= case.n_bits <= case.n_qubits


@pytest.mark.parametrize("spec", ["coin:64", "qft:64", "simon:30"])
def test_an_ideal_that_fills_memory_is_refused(spec):
    with pytest.raises(ValueError, match="over all strings are computed up to 22 bits"):
        _ = make_case(spec).ideal


DOUBLING = "gate g0 a { x a; } gate g1 a { x a; }\n" + "".join(
    f"gate g{i} a {{ g{i - 1} a; g{i - 2} a; }}\n" for i in range(2, 60)
)
CHAIN = "gate g0 a { x a; }\n" + "".join(f"gate g{i} a {{ g{i - 1} a; }}\n" for i in range(1, 3000))
LOOP = "gate f0 a { x a; }\n" + "".join(
    f"gate f{i} a {{ if (true) {{ f{i - 1} a; f{i - 1} a; }} }}\n" for i in range(1, 60)
)
HEADS = {
    2: 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; ',
    3: 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; ',
}


@pytest.mark.parametrize("version", HEADS)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (DOUBLING, "the gates it defines must have 50,000 operations or fewer"),
        (LOOP, "the gates it defines must have 50,000 operations or fewer"),
        (CHAIN, "must be nested in 200 levels or fewer"),
        (DOUBLING[: DOUBLING.index("gate g18")] + "g17 q[0]; " * 400, "1,000,000 operations or fewer"),
        ("x q; " * 500_100, "1,000,000 operations or fewer"),
        ("/* twice */ creg d // here\n [ 100000 ];", "100,000 bits together, or fewer; they have"),
        ('include "/etc/passwd";', "no include but"),
        ('include "//etc/passwd";', "no include but"),
        ('include\n"other.inc";', "no include but"),
    ],
)
def test_files_that_would_grow_or_read_others_are_refused(tmp_path, version, body, message):
    path, start = tmp_path / "c.qasm", time.process_time()
    (tmp_path / "other.inc").write_text("secret")
    path.write_text(HEADS[version] + body)
    with contextlib.chdir(tmp_path), pytest.raises(StorageError, match=message) as refused:
        read_cases(path)
    assert time.process_time() - start < 10
    said = str(refused.value).replace(str(path), "")
    assert "root" not in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "size", ["100_000", "0x186A0", "0b11000011010100000", "0o303240", "99_999 + 1", "400*250", "9" * 400]
)
@pytest.mark.parametrize("declared", ["qubit[{}] more;", "bit[{}] more;", "qreg more[{}];"])
def test_a_register_is_too_large_however_its_size_is_written(declared, size):
    """Only sizes in plain digits were seen, and one beyond the range of a float was an OverflowError."""
    with pytest.raises(ValueError, match=r"100,000 bits together, or fewer; they have "):
        parse_qasm(HEADS[3] + declared.format(size))


@pytest.mark.parametrize("size", ["1_0", "0xA", "4 + 6", "2*5"])
def test_sizes_of_registers_are_read_however_they_are_written(size):
    assert parse_qasm(HEADS[3] + f"qubit[{size}] more;").num_qubits == 12


@pytest.mark.parametrize("version", HEADS)
def test_gates_of_a_file_are_read(tmp_path, version):
    measured = "measure q -> c;" if version == 2 else "c = measure q;"
    body = 'gate one a { x a; } gate two a, b { one a; cx a, b; } // include "/etc/passwd";\n' + "two q[0], q[1];"
    (tmp_path / "c.qasm").write_text(HEADS[version] + body + "barrier q; " * 300 + measured)
    (case,) = read_cases(tmp_path / "c.qasm")
    assert case.ideal.to_probs() == {"11": 1.0}


@pytest.mark.parametrize("number", ["1", "-1", "", "x", "9" * 5000])
def test_a_circuit_that_the_file_lacks_is_told(tmp_path, number):
    (tmp_path / "c.qasm").write_text(HEADS[2] + "measure q -> c;")
    assert find_case(f"file:{tmp_path / 'c.qasm'}#0").n_bits == 2
    with pytest.raises(ValueError, match=r"must end in #k, k in 0\.\.0"):
        find_case(f"file:{tmp_path / 'c.qasm'}#{number}")


def test_an_evolution_counts_as_what_runs():
    """Two terms that do not commute: one step of the product formula is not the evolution."""
    circuit = QuantumCircuit(2, 2)
    circuit.append(PauliEvolutionGate(SparsePauliOp(["XX", "ZI", "IZ"], [0.4, 0.9, 0.3]), 1.0), [0, 1])
    circuit.append(PauliEvolutionGate(SparsePauliOp(["ZZ", "XI"], [0.4, 0.9]), 1.0), [0, 1])
    circuit.measure([0, 1], [0, 1])
    runs = transpile(circuit, basis_gates=["cx", "rz", "sx", "x"], optimization_level=0, seed_transpiler=0)
    assert simulate(circuit).to_probs() == pytest.approx(simulate(runs).to_probs())


def test_simulation_refuses_what_it_cannot_do():
    wide = QuantumCircuit(30, 1)
    wide.measure(0, 0)
    with pytest.raises(ValueError, match="up to 22 qubits"):
        simulate(wide)
    middle = QuantumCircuit(1, 2)
    middle.measure(0, 0)
    middle.h(0)
    middle.measure(0, 1)
    with pytest.raises(ValueError, match=r"at the end; 'circuit-.*' uses classical bits before"):
        simulate(middle)


@pytest.mark.parametrize(("bits", "into"), [(3, {1: 2}), (3, {0: 0, 1: 2}), (2, {}), (70, {0: 69, 1: 0})])
def test_a_bit_that_nothing_is_measured_into_is_zero(tmp_path, bits, into):
    """As machines return it: ``measure_all`` of a circuit that has a register already leaves that register empty."""
    circuit = QuantumCircuit(2, bits)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(list(into), list(into.values()))
    assert measured_qubits(circuit) == {bit: qubit for qubit, bit in into.items()}
    if not into:
        circuit.measure_all()
        into, bits = {0: 2, 1: 3}, 4
    ones = "".join("01"[bit in into.values()] for bit in reversed(range(bits)))
    assert simulate(circuit).to_probs() == pytest.approx({"0" * bits: 0.5, ones: 0.5})
    with (tmp_path / "mine.qpy").open("wb") as file:
        qpy.dump(circuit, file)
    (case,) = read_cases(tmp_path / "mine.qpy")
    assert case.ideal == simulate(circuit)


def test_a_case_without_an_ideal_says_so():
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    case = Case("mine", "user", circuit, None)
    assert case.ideal is None
    assert np.isnan(case.ideal_entropy)


def resets(kind, seed):
    """A random circuit of three qubits whose middle one is reset twice, in one of the ways to write that."""
    circuit, inner = QuantumCircuit(3, 3), QuantumCircuit(1)
    inner.reset(0)
    for turn in range(3):
        circuit.compose(random_circuit(3, 3, max_operands=2, seed=seed + turn), inplace=True)
        if turn == 2:
            break
        if kind == "reset":
            circuit.reset(1)
        elif kind == "initialize":
            circuit.initialize([1, 0], [1])
        else:
            circuit.append(inner.to_instruction(), [1])
    return circuit


@pytest.mark.parametrize("kind", ["reset", "initialize", "instruction"])
def test_resets_have_one_ideal_and_the_right_one(kind):
    """Qiskit's statevector measures what is reset, and goes on with one outcome by chance."""
    for seed in range(3):
        whole = np.asarray(DensityMatrix(resets("reset", seed)).probabilities([2, 0, 1]))
        circuit = resets(kind, seed)
        circuit.measure([2, 0, 1], [0, 1, 2])
        wanted = {f"{value:03b}": p for value, p in enumerate(whole) if p > 1e-12}
        assert simulate(circuit).to_probs() == pytest.approx(wanted)


def test_more_resets_than_can_be_simulated_leave_the_ideal_unknown(tmp_path):
    circuit = QuantumCircuit(2)
    for _ in range(21):
        circuit.x(0)
        circuit.reset(0)
    circuit.measure_all()
    with (tmp_path / "many.qpy").open("wb") as stream:
        qpy.dump(circuit, stream)
    (case,) = read_cases(tmp_path / "many.qpy")
    assert case.ideal is None


def test_a_circuit_with_free_parameters_is_named(tmp_path):
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("theta"), 0)
    with (tmp_path / "mine.qpy").open("wb") as stream:
        qpy.dump(circuit, stream)
    with pytest.raises(StorageError, match=r"the parameters of mine.qpy must have values.*; got none for theta"):
        read_cases(tmp_path / "mine.qpy")


def test_a_string_that_comes_twice_in_an_ideal_is_refused(tmp_path):
    (tmp_path / "mine.qasm").write_text(qasm2.dumps(make_case("ghz:2").circuit))
    (tmp_path / "mine.ideal.json").write_text('{"00": 0.5, "00": 0.25, "11": 0.25}')
    with pytest.raises(StorageError, match="keys must be distinct; '00' came twice"):
        read_cases(tmp_path / "mine.qasm")


def test_files_of_every_kind_give_the_same_case(tmp_path):
    case = make_case("bv:4:secret=0110")
    (tmp_path / "two.qasm").write_text(qasm2.dumps(case.circuit))
    (tmp_path / "three.qasm").write_text(qasm3.dumps(case.circuit))
    with (tmp_path / "one.qpy").open("wb") as stream:
        qpy.dump([case.circuit, make_case("ghz:3").circuit], stream)
    (two,), (three,) = read_cases(tmp_path / "two.qasm"), read_cases(tmp_path / "three.qasm")
    first, second = read_cases(tmp_path / "one.qpy")
    assert two.ideal.to_probs() == three.ideal.to_probs() == first.ideal.to_probs() == {"0110": pytest.approx(1.0)}
    assert second.name == "one.qpy/1"
    assert second.ideal.to_probs() == pytest.approx({"000": 0.5, "111": 0.5})
    assert first.family == "user"


def test_a_file_without_measurements_is_measured_and_may_bring_its_ideal(tmp_path):
    circuit = QuantumCircuit(2)
    circuit.x(0)
    (tmp_path / "mine.qasm").write_text(qasm2.dumps(circuit))
    (plain,) = read_cases(tmp_path / "mine.qasm")
    assert plain.ideal.to_probs() == {"01": pytest.approx(1.0)}
    (tmp_path / "mine.ideal.json").write_text(json.dumps({"00": 0.25, "01": 0.75}))
    (given,) = read_cases(tmp_path / "mine.qasm")
    assert given.ideal.to_probs() == {"00": 0.25, "01": 0.75}


def test_unreadable_files_are_clear_errors(tmp_path):
    for name, text in (("a.qasm", "nonsense"), ("a.txt", ""), ("a.qpy", "nonsense")):
        (tmp_path / name).write_text(text)
        with pytest.raises(StorageError, match="cannot read circuits from"):
            read_cases(tmp_path / name)
    with pytest.raises(StorageError, match="cannot read circuits from"):
        read_cases(tmp_path / "absent.qasm")
    (tmp_path / "b.qasm").write_text(qasm2.dumps(QuantumCircuit(1)))
    (tmp_path / "b.ideal.json").mkdir()
    with pytest.raises(StorageError, match=r"cannot read the ideal output from .*b\.ideal\.json: Is a directory$"):
        read_cases(tmp_path / "b.qasm")
    (tmp_path / "b.ideal.json").rmdir()
    (tmp_path / "b.ideal.json").write_text("{")
    with pytest.raises(StorageError, match="ideal output"):
        read_cases(tmp_path / "b.qasm")
    (tmp_path / "b.ideal.json").write_text('{"01": 1}')
    with pytest.raises(StorageError, match=r"its strings must have the 1 bit of b\.qasm; got 2"):
        read_cases(tmp_path / "b.qasm")


def test_a_hexadecimal_ideal_has_the_width_of_its_circuit(tmp_path):
    """It was refused for the width of its widest key."""
    (tmp_path / "b.qasm").write_text(qasm2.dumps(QuantumCircuit(5)))
    (tmp_path / "b.ideal.json").write_text('{"0x3": 1}')
    (case,) = read_cases(tmp_path / "b.qasm")
    assert case.ideal.to_probs() == {"00011": 1}
