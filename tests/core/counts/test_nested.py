"""Counts as people have them: from the REST interface, from older Results, wrapped, and what cannot be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.result import QuasiDistribution, Result
from qiskit_aer import AerSimulator

from qcluster import Distribution, mitigate
from qcluster.files import read_counts

WANTED = {"00011": 3, "00001": 1}


def rest(n=1, **more):
    """As GET /v1/jobs/{id}/results gives it."""
    pub = {"data": {"c": {"samples": ["0x3", "0x1", "0x3", "0x3"], "num_bits": 5}}, "metadata": {}}
    return {"results": [pub] * n, "metadata": {"version": 2}, **more}


def forms():
    yield "rest", rest()
    yield "rest pub", rest()["results"][0]
    yield "rest register", rest()["results"][0]["data"]["c"]
    yield "under counts", {"counts": WANTED, "shots": 4}
    yield "under data", {"data": WANTED}
    yield "under data and counts", {"data": {"counts": WANTED}}
    yield "under counts and data", {"counts": {"data": WANTED}}
    yield "hexadecimal with slots", {"data": {"counts": {"0x3": 3, "0x1": 1}}, "header": {"memory_slots": 5}}
    yield "hexadecimal with bits", {"counts": {"0x3": 3, "0x1": 1}, "n_bits": 5}
    yield "hexadecimal with bits of all", {"results": [{"data": {"counts": {"0x3": 3, "0x1": 1}}}], "n_bits": 5}
    yield "hexadecimal without a name", {"results": [{"0x3": 3, "0x1": 1}], "num_bits": 5, "n_bits": None}
    yield "memory", {"data": {"memory": ["0x3", "0x3", "0x1", "0x3"]}, "header": {"memory_slots": 5}}
    yield "shots under data", {"data": ["00011", "00001", "00011", "00011"]}
    yield "wrapped once more", {"results": [{"counts": WANTED}]}


@pytest.mark.parametrize(("name", "source"), list(forms()))
def test_counts_are_found_where_they_are(name, source, tmp_path):
    assert Distribution.of(source).to_counts() == WANTED
    assert mitigate(source).raw.to_counts() == WANTED
    path = tmp_path / "counts.json"
    path.write_text("\ufeff" + json.dumps(source), encoding="utf-8")
    assert read_counts(str(path)).to_counts() == WANTED, "also behind a byte order mark"


@pytest.mark.parametrize("simulator", [AerSimulator(seed_simulator=1), BasicSimulator()])
@pytest.mark.parametrize("memory", [False, True])
def test_results_of_backends_are_read_with_their_width(simulator, memory):
    """Leading zeros and several registers: the keys are hexadecimal, and show neither."""
    circuit = QuantumCircuit(QuantumRegister(5), ClassicalRegister(2, "a"), ClassicalRegister(3, "b"))
    circuit.x(0)
    circuit.measure(range(5), range(5))
    result = simulator.run(circuit, shots=20, memory=memory).result()
    assert isinstance(result, Result)
    for source in (result, result.to_dict(), result.to_dict()["results"][0]):
        assert Distribution.of(source).to_counts() == {"00001": 20}
    assert Distribution.of(result, num_bits=5).n_bits == 5
    with pytest.raises(ValueError, match="num_bits must be the width of the counts, 5; got 4"):
        Distribution.of(result, num_bits=4)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"counts": {"0x3": 3}, "n_bits": 1}, r"keys must lie in 0\.\.2\*\*1 - 1 for 1 bit; got '0x3'"),
        ({"counts": {"011": 3}, "n_bits": 5}, "keys must have 5 bits; got '011' with 3"),
        ({"counts": {"0x3": 3}, "n_bits": 5, "num_bits": 4}, "num_bits and n_bits must be one number; got 4 and 5"),
        ({"counts": {"0x3": 3}, "n_bits": "5"}, "the number of bits must be a whole number from 1 to 100000; got '5'"),
        ({"counts": {}, "n_bits": 5}, "counts must hold at least one bitstring"),
    ],
)
def test_a_width_that_does_not_fit_its_counts_is_refused(source, said):
    with pytest.raises(ValueError, match=said):
        Distribution.of(source)


def test_a_width_told_of_several_sets_is_that_of_each(tmp_path):
    path = tmp_path / "counts.json"
    path.write_text(json.dumps({"results": [{"counts": {"0x3": 3}}, {"0x1": 2}], "n_bits": 3}))
    assert [read_counts(str(path), pub=i).to_counts() for i in (0, 1)] == [{"011": 3}, {"001": 2}]


def test_several_circuits_are_chosen_by_their_number(tmp_path):
    path = tmp_path / "rest.json"
    path.write_text(json.dumps(rest(2)))
    assert read_counts(str(path), pub=1).to_counts() == WANTED
    with pytest.raises(ValueError, match="choose one by pub, 0 to 1; got None"):
        read_counts(str(path))
    with pytest.raises(ValueError, match=r"several sets of counts: pass one, \['results'\]\[0\]"):
        Distribution.of(rest(2))


class OldSamplerResult:
    """What Sampler V1 gave."""

    quasi_dists = (QuasiDistribution({0: 1.1, 1: -0.1}, shots=100),)


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ({"quasi_dists": [{"0": 1.1, "1": -0.1}]}, ValueError, "quasi-distributions have no shots.*convert them to"),
        (OldSamplerResult(), ValueError, "quasi-distributions have no shots.*convert them to"),
        ({"results": [{"data": {"quasi_dists": []}}]}, ValueError, "quasi-distributions"),
        ({"results": []}, ValueError, "a result must hold the counts of one circuit; got none"),
        ({"results": 3}, TypeError, "'results' must be a list of objects; got int"),
        ({"data": 3}, TypeError, "'data' must hold counts or registers; got int"),
        ({"counts": 3}, TypeError, "'counts' must hold counts or shots; got int"),
        ({"results": [{"success": False, "status": "ERROR: no lab"}]}, ValueError, "the experiment failed.*no lab"),
        (
            {"data": {"a": {"samples": ["0x1"], "num_bits": 1}, "b": {"samples": ["0x0"], "num_bits": 1}}},
            ValueError,
            r"registers a, b have no order in JSON: pass one, \['data'\]\['a'\]",
        ),
        ({"samples": ["0x3"], "num_bits": 1}, ValueError, r"keys must lie in 0..2\*\*1 - 1"),
        ({"samples": ["0x3"], "num_bits": "five"}, ValueError, "number of bits must be a whole number.*'five'"),
        ({"counts": {}}, ValueError, "at least one bitstring"),
        ({"samples": []}, TypeError, "counts must be .* got a list of nothing"),
    ],
)
def test_what_is_ambiguous_or_none_is_refused_with_the_way_out(source, error, said):
    with pytest.raises(error, match=said):
        Distribution.of(source)


@given(st.dictionaries(st.text("01", min_size=4, max_size=4), st.integers(1, 99), min_size=1), st.integers(0, 3))
def test_wrapping_changes_nothing(counts, depth):
    source = counts
    for level in range(depth):
        source = {"data": source} if level % 2 else {"counts": source}
    assert Distribution.of(source) == Distribution.of(counts)


def pub_of_two(**more):
    """Two registers whose order matters: shots b a = 01 110, 10 001."""
    a = {"samples": ["0x6", "0x1"], "num_bits": 3}
    b = {"samples": ["0x1", "0x2"], "num_bits": 2}
    return {"data": {"b": b, "a": a}, **more}


@pytest.mark.parametrize(
    "wrapped",
    [
        pub_of_two(field_names=["a", "b"]),
        pub_of_two(header={"creg_sizes": [["a", 3], ["b", 2]], "memory_slots": 5}),
        {"results": [pub_of_two(field_names=["a", "none", "b"])]},
    ],
)
def test_registers_in_a_told_order_are_joined(wrapped):
    assert Distribution.of(wrapped).to_counts() == {"01110": 1, "10001": 1}
    turned = pub_of_two(field_names=["b", "a"])
    assert Distribution.of(turned).to_counts() == {"11001": 1, "00110": 1}


@pytest.mark.parametrize("name", ["data", "counts", "samples", "memory", "results", "quasi_dists"])
def test_a_register_may_be_called_as_a_wrapping_is(name):
    """Beside one that is called "data", the other register was dropped without a word."""
    data = {name if key == "a" else key: register for key, register in pub_of_two()["data"].items()}
    wrapped = {"results": [{"data": data, "header": {"creg_sizes": [[name, 3], ["b", 2]]}}]}
    assert Distribution.of(wrapped).to_counts() == {"01110": 1, "10001": 1}
    with pytest.raises(ValueError, match=f"registers b, {name} have no order in JSON"):
        Distribution.of({"data": data})
    del data["b"]
    assert Distribution.of({"data": data}).to_counts() == {"110": 1, "001": 1}


def test_registers_without_bits_do_not_matter():
    c = {"samples": ["0x3", "0x0", "0x3"], "num_bits": 2}
    data = {"none": {"samples": ["0x0"] * 3, "num_bits": 0}, "c": c}
    assert Distribution.of({"results": [{"data": data}]}).to_counts() == {"00": 1, "11": 2}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"field_names": ["a"]}, ValueError, "registers b, a have no order in JSON"),
        ({}, ValueError, "registers b, a have no order in JSON"),
        ({"header": {"creg_sizes": 5}}, ValueError, "registers b, a have no order in JSON"),
        ({"header": {"creg_sizes": [5, 6]}}, ValueError, "registers b, a have no order in JSON"),
        ({"header": {"creg_sizes": [{"a": 3}, {"b": 2}]}}, ValueError, "registers b, a have no order in JSON"),
        ({"data": {"b": 5, "a": {"samples": [], "num_bits": 0}}}, ValueError, "registers b, a have no order in JSON"),
    ],
)
def test_registers_in_no_order_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        Distribution.of({**pub_of_two(), **change})


@pytest.mark.parametrize(
    ("register", "error", "message"),
    [
        ({"samples": ["0x1"], "num_bits": 2}, ValueError, "equally many shots; 'b' holds 1, not 2"),
        ({"samples": ["0x1", "0x4"], "num_bits": 2}, ValueError, "'b' must have 2 bits; got '0x4'"),
        ({"samples": ["0x1", 7], "num_bits": 2}, ValueError, "'b' must be '0x...' or bits; got 7"),
        ({"samples": ["0x1", "100"], "num_bits": 2}, ValueError, "'b' must have 2 bits; got '100'"),
        *(
            ({"samples": ["0x1", wrong], "num_bits": 2}, ValueError, "'b' must be '0x...' or bits; got")
            for wrong in ("-1", "+1", "1_0", "0x0_1", " 1", "1\n", "\u0661", "", "0x", None)
        ),
        ({"samples": 5, "num_bits": 2}, TypeError, "'b' must hold 'samples', a list"),
        ({"samples": ["0x1", "0x1"], "num_bits": -2}, TypeError, "'b' must hold 'samples', a list, and 'num_bits'"),
        ({"samples": ["0x1", "0x1"], "num_bits": True}, TypeError, "'b' must hold 'samples', a list, and 'num_bits'"),
        ({"samples": ["0x1", "0x1"]}, TypeError, "'b' must hold 'samples', a list, and 'num_bits'"),
        (["0x1", "0x1"], TypeError, "'b' must hold 'samples', a list, and 'num_bits'"),
        ("0x1", TypeError, "'b' must hold 'samples', a list, and 'num_bits'"),
    ],
)
def test_registers_that_do_not_fit_are_refused(register, error, message):
    wrapped = pub_of_two(field_names=["a", "b"])
    wrapped["data"]["b"] = register
    with pytest.raises(error, match=message):
        Distribution.of(wrapped)
