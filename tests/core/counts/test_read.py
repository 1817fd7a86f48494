"""Every way in, each with a string that shows the order of its bits."""

import json
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from math import prod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit.quantum_info import Statevector
from qiskit.result import Counts, ProbDistribution, QuasiDistribution, Result
from qiskit_ibm_runtime import RuntimeEncoder

from qcluster import mitigate, mitigate_many
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.read import notes_on, sets_pooled
from tests.strategies import counts

WANTED = {"00110": 1, "10000": 3}


def deep(levels):
    source = {"00": 3}
    for _ in range(levels):
        source = {"data": source}
    return source


@pytest.mark.parametrize(
    ("source", "num_bits"),
    [
        ({"10000": 3, "00110": 1}, None),
        ({"10 000": 3, "00 110": 1}, None),
        ({"0x10": 3, "0x6": 1}, None),
        ({"0X10": 3, "0x6": 1}, 5),
        ({"0b10000": 3, "0b00110": 1}, None),
        ({"0b10000": 3, "0b110": 1}, None),
        ({16: 3, 6: 1}, None),
        ({np.int64(16): np.int64(3), np.uint8(6): 1.0}, None),
        ({"10000": Fraction(3), "00110": 1}, None),
        (Counts({"0x10": 3, "0x6": 1}), None),
        (Counts({"0x10": 3, "0x6": 1}, memory_slots=5), None),
        (Counts({"0x10": 3, "0x6": 1}, memory_slots=5, creg_sizes=[["a", 2], ["b", 3]]), None),
        (["10000", "00110", "10000", "10000"], None),
        (("10 000", "00 110", "10 000", "10 000"), None),
        (np.array(["10000", "00110", "10000", "10000"]), None),
        (np.array(["0x10", "0x6", "0x10", "0x10"], dtype=object), 5),
        (BitArray.from_counts({"10000": 3, "00110": 1}), None),
        (BitArray.from_counts({"10000": 3, "00110": 1}).reshape(2, 2), None),
        (~BitArray.from_counts({"01111": 3, "11001": 1}), None),
        (DataBin(meas=BitArray.from_counts({"10000": 3, "00110": 1})), None),
        (SamplerPubResult(DataBin(meas=BitArray.from_counts({"10000": 3, "00110": 1}))), None),
        (PrimitiveResult([SamplerPubResult(DataBin(c=BitArray.from_counts({"10000": 3, "00110": 1})))]), None),
        (SimpleNamespace(counts={"10000": 3, "00110": 1}), None),
        (SimpleNamespace(counts=Distribution.of({"10000": 3, "00110": 1})), None),
        (Distribution.of({"10000": 3, "00110": 1}), 5),
    ],
)
def test_every_way_in_gives_the_same_counts(source, num_bits):
    assert Distribution.of(source, num_bits=num_bits).to_counts() == WANTED
    assert Distribution.from_counts(source, num_bits=num_bits).to_counts() == WANTED


def two_registers() -> DataBin:
    low = BitArray.from_samples(["110", "000", "000", "000"], num_bits=3)
    high = BitArray.from_samples(["00", "10", "10", "10"], num_bits=2)
    return DataBin(low=low, high=high)


@pytest.mark.parametrize("source", [two_registers(), SamplerPubResult(two_registers()), PubResult(two_registers())])
def test_the_first_register_is_least_significant(source):
    assert Distribution.of(source).to_counts() == WANTED
    assert SamplerPubResult(two_registers()).join_data().get_counts() == WANTED


def test_registers_may_be_named_as_one_likes():
    one, two = (BitArray.from_samples([text], num_bits=len(text)) for text in ("1", "00"))
    pairs = ("array", "num_bits"), ("bits", "weights"), ("data", "metadata"), ("counts", "join_data")
    for names in (*pairs, ("to_dict", "faults_missing"), ("reference", "noiseless")):
        registers = DataBin(**dict(zip(names, (one, two), strict=True)))
        for source in (registers, SamplerPubResult(registers), PubResult(registers)):
            assert Distribution.of(source).to_counts() == {"001": 1}
            (fixed,) = mitigate_many([source], workers=1)
            assert fixed == mitigate(source) == mitigate({"001": 1})
    swept = DataBin(shape=(1,), to_dict=one.reshape(1, 1))
    assert Distribution.of(swept).to_counts() == {"1": 1}


def test_leading_zeros_are_kept():
    assert Distribution.of(Counts({"0x1": 2}, memory_slots=4)).to_counts() == {"0001": 2}
    assert Distribution.of({"0x1": 2}, num_bits=4).to_counts() == {"0001": 2}
    assert Distribution.of({0: 2}).to_counts() == {"0": 2}
    for numbers in ({"0x1": 2}, {"0b01": 2}, {1: 2}):
        assert Distribution.of(Counts(numbers), num_bits=4).to_counts() == {"0001": 2}
        assert Distribution.of(Counts(numbers)).n_bits == 1
    with pytest.raises(ValueError, match="keys must have 4 bits; got '01' with 2"):
        Distribution.of(Counts({"01": 2}), num_bits=4)


@given(counts(min_bits=1, max_bits=70))
def test_bit_arrays_of_any_width_agree_with_text(given_counts):
    n_bits = len(next(iter(given_counts)))
    array = BitArray.from_counts(given_counts, num_bits=n_bits)
    assert Distribution.of(array) == Distribution.of(given_counts)
    assert Distribution.of(array).to_counts() == array.get_counts()


def test_wide_registers_straight_from_bytes():
    rng = np.random.default_rng(5)
    array = BitArray((rng.random((500, 16)) < 0.02).astype(np.uint8), 127)
    assert Distribution.of(array).to_counts() == dict(sorted(array.get_counts().items()))


@given(st.dictionaries(st.text("01", min_size=3, max_size=3), st.just(0) | st.floats(1e-18, 1e9), min_size=1))
def test_weights_may_be_fractions(weights):
    total = sum(weights.values())
    if total == 0:
        with pytest.raises(ValueError, match="all weights are zero"):
            Distribution.of(weights)
    else:
        assert Distribution.of(weights).shots == pytest.approx(total)


@pytest.mark.parametrize("kind", [ProbDistribution, QuasiDistribution])
def test_probabilities_that_know_their_shots_are_counts(kind):
    assert Distribution.of(kind({0: 0.25, 3: 0.75}, shots=400)).to_counts() == {"00": 100, "11": 300}
    for unknown in (kind({0: 0.25, 3: 0.75}), {0: 0.25, 3: 0.75}):
        assert Distribution.of(unknown).shots == 1
    assert Distribution.of(Counts({"00": 1})).shots == 1, "of Counts shots is a method"


@pytest.mark.parametrize("kind", [ProbDistribution, QuasiDistribution])
def test_distributions_made_of_bitstrings_keep_their_leading_zeros(kind):
    """Qiskit makes numbers of the keys, and remembers how long they were."""
    made = kind({"0000": 0.25, "0011": 0.75}, shots=400)
    assert Distribution.of(made).to_counts() == {"0000": 100, "0011": 300}
    assert Distribution.of(made, num_bits=5).to_counts() == {"00000": 100, "00011": 300}


def test_the_width_of_registers_is_that_of_the_counts():
    registers = [["a", 2], ["b", 3]]
    for source in (
        Counts({"0x6": 1, "0x1": 3}, creg_sizes=registers),
        {"data": {"counts": {"0x6": 1, "0x1": 3}}, "header": {"creg_sizes": registers}},
        {"data": {"memory": ["0x6", "0x1", "0x1", "0x1"]}, "header": {"creg_sizes": registers}},
    ):
        assert Distribution.of(source).to_counts() == {"00001": 3, "00110": 1}
    assert Distribution.of({"data": {"counts": {"0x6": 1}}, "header": {"creg_sizes": [["a"]]}}).n_bits == 3


def test_a_register_without_bits_is_no_obstacle():
    empty = BitArray(np.zeros((4, 0), dtype=np.uint8), 0)
    read = Distribution.of(DataBin(none=empty, meas=BitArray.from_samples(["01", "01", "10", "01"])))
    assert read.to_counts() == {"01": 3, "10": 1}
    with pytest.raises(ValueError, match="at least one shot of one bit"):
        Distribution.of(empty)


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ({}, ValueError, "empty mapping"),
        ({"00": 0, "11": 0}, ValueError, "all weights are zero"),
        ({"00": 1, "11": -2}, ValueError, "got -2.0 for key '11'"),
        ({"00": 1, "11": float("nan")}, ValueError, "got nan for key '11'"),
        ({"00": 1, "11": float("inf")}, ValueError, "got inf for key '11'"),
        ({"00": 1e308, "11": 1e308}, ValueError, "2\\*\\*63 shots; got inf"),
        ({"00": 2.0**62, "11": 2**62}, ValueError, "2\\*\\*63 shots; got 9.2"),
        ({"00": 5e-324}, ValueError, "2\\*\\*63 shots; got 4.9"),
        ({"00": 1, "11": 10**400}, ValueError, "too large for key '11'"),
        ({"00": 1, "11": "2"}, TypeError, "got '2' for key '11'"),
        ({"00": 1, "11": None}, TypeError, "got None for key '11'"),
        ({"00": 1, "11": 1 + 2j}, TypeError, "for key '11'"),
        ({"00": 1, "11": True}, TypeError, "got True for key '11'"),
        ({"00": 1, "11": Decimal(1)}, TypeError, "for key '11'"),
        ({"00": 1, "011": 1}, ValueError, "'011' has 3"),
        ({"00": 1, "0 11": 1}, ValueError, "'011' has 3"),
        ({"00": 1, "0a": 1}, ValueError, "got '0a'"),
        ({"": 1}, ValueError, "at least one bit"),
        ({"0x1": 1, "11": 1}, ValueError, "got '11'"),
        ({"0b2": 1}, ValueError, "got '0b2'"),
        ({"0xg": 1}, ValueError, "got '0xg'"),
        ({"0x1_0": 1, "0x2": 1}, ValueError, "got '0x1_0'"),
        ({"0x1\n": 1}, ValueError, r"got '0x1\\n'"),
        ({"0x\uff11": 1}, ValueError, "got '0x\uff11'"),
        ({"0b0001": 1, "0x2": 1}, ValueError, "got '0x2'"),
        ({"00": 1, 3: 1}, TypeError, "got 3 and '00'|got '00' and 3"),
        ({1: 1, "00": 1}, TypeError, "got '00' and 1|got 1 and '00'"),
        ({-1: 1}, ValueError, "got -1"),
        ({True: 1}, TypeError, "all integers"),
        ({(0, 1): 1}, TypeError, "all integers"),
        (Counts({"0x1f": 1}, memory_slots=4), ValueError, "got '11111'|4 bits"),
        (None, TypeError, "NoneType"),
        (3, TypeError, "int"),
        (
            "0101",
            TypeError,
            r"got a str: a bitstring goes in a list, a file by qcluster.files.read_counts\(path\), JSON by",
        ),
        (Path("counts.json"), TypeError, r"got a \w+Path: .* a file by qcluster.files.read_counts"),
        ([], TypeError, "list of nothing"),
        ([1, 0], TypeError, "list of int: write integers as bitstrings"),
        (np.array([1, 0]), TypeError, "array of int64: write integers as bitstrings"),
        ([0.5, 0.5], TypeError, r"list of float: values of all strings are read by Distribution.of\(dict\(enumerate"),
        (np.array([0.5, 0.5]), TypeError, "array of float64: values of all strings are read by"),
        (np.array([0.5j, 0.5]), TypeError, "array of complex128$"),
        (Statevector([1, 0]), TypeError, r"a Statevector: give its probabilities_dict\(\)"),
        ([[1, 0], [1, 1]], TypeError, r"list of list: for rows of bits, .* use Distribution\(np.array\(rows"),
        ([("00", 1), ("11", 2)], TypeError, "a list of tuple$"),
        ([["00", "01"], ["11"]], TypeError, "a list of list: pass one of them; mitigate_many takes them all"),
        (deep(2000), ValueError, "nested too deeply"),
        (json.loads("[" * 900 + "]" * 900), TypeError, "a list of list$"),
        (
            {"a": {"00": 1}, "b": {"11": 1}},
            TypeError,
            r"key 'a': pass one set of counts, such as counts\['a'",
        ),
        (
            {"0": 4, "3": 5},
            ValueError,
            r"got '3': JSON writes integers as text; convert them back by \{int\(key\): shots",
        ),
        ({"٣": 1}, ValueError, "must consist of 0 and 1; got '٣'$"),  # a digit that JSON never writes
        ({"0": 4, "10": 5, "2": 1}, ValueError, r"'10' has 2: JSON writes integers as text"),
        ({"0": 4, "10": 5, "111": 1}, ValueError, "'10' has 2: leading zeros are missing; a column of bitstrings must"),
        ({"00": 4, "111": 1}, ValueError, "'111' has 3$"),
        ({"0": 4, "a": 5}, ValueError, "consist of 0 and 1; got 'a'$"),
        (PrimitiveResult([]), ValueError, "at least one PUB; got none"),
        ({"results": []}, ValueError, "the counts of one circuit; got none"),
        ([{"00": 1}, {"11": 1}], TypeError, "a list of dict: pass one of them; mitigate_many takes them all"),
        (np.array([1, 0]), TypeError, "an array"),
        (QuantumCircuit(1, 1), TypeError, r"a QuantumCircuit: run it first, such as \(run,\) = execute\(\[circuit\]"),
        ([QuantumCircuit(1, 1)], TypeError, "a list of circuits: run it first"),
        (np.array([["00", "11"]]), TypeError, "an array"),
        ({"format": "qcluster-mitigation", "raw": {"00": 1.0}}, TypeError, "of the format qcluster-mitigation"),
        (np.zeros((9, 2), dtype=bool), TypeError, r"use Distribution\(bits, np.ones\(n\)\)"),
        ({"00": 0.6, "01": -0.1, "11": 0.5}, ValueError, r"'01': make them probabilities by nearest_probability"),
        (QuasiDistribution({0: 0.6, 1: -0.1, 3: 0.5}, shots=9), ValueError, "got -0.1 for key 1: make them prob"),
        (DataBin(meas=np.array([1 + 2j, 0.5])), TypeError, "'meas' holds ndarray"),
        (DataBin(), ValueError, "at least one register"),
        (BitArray(np.zeros((0, 1), dtype=np.uint8), 3), ValueError, "at least one shot"),
        (PrimitiveResult([SamplerPubResult(two_registers())] * 2), TypeError, r"result\[0\]"),
        (
            DataBin(a=BitArray.from_counts({"0": 1}), b=BitArray.from_counts({"1": 2})),
            ValueError,
            r"equally many shots; got \{'a': 1, 'b': 2\}",
        ),
    ],
)
def test_wrong_counts_are_named(source, error, said):
    with pytest.raises(error, match=said):
        Distribution.of(source)


@pytest.mark.parametrize(
    ("source", "num_bits", "said"),
    [
        ({"111": 1}, 2, "must have 2 bits; got '111'"),
        ({"1": 1}, 2, "must have 2 bits; got '1'"),
        ({"0x7": 1}, 2, "got '0x7'"),
        ({9: 1}, 3, "got 9"),
        (BitArray.from_counts({"111": 1}), 4, "width of the counts, 3; got 4"),
        (Distribution.of({"111": 1}), 4, "width of the counts, 3; got 4"),
        (SimpleNamespace(counts=Distribution.of({"111": 1})), 4, "got 4"),
    ],
)
def test_the_width_asked_for_must_fit(source, num_bits, said):
    with pytest.raises(ValueError, match=said):
        Distribution.of(source, num_bits=num_bits)


def test_unequal_bytes_are_refused():
    broken = SimpleNamespace(array=np.zeros((4, 3), dtype=np.uint8), num_bits=9)
    with pytest.raises(ValueError, match="2 bytes a shot; got 3"):
        Distribution.of(broken)


@pytest.mark.parametrize("wrong", [0, -1, 4.0, "4", True])
def test_a_width_is_a_whole_number(wrong):
    with pytest.raises(ValueError, match=f"num_bits must be a whole number from 1 to 100000; got {wrong!r}"):
        Distribution.of({"0x1": 3}, num_bits=wrong)


def test_a_series_is_shots_over_bitstrings():
    counted = {"00": 6, "01": 1, "11": 3}
    assert Distribution.of(pandas.Series(counted)) == Distribution.of(counted)
    assert Distribution.of(pandas.Series([3, 1], index=[1, 2]), num_bits=3).to_counts() == {"001": 3, "010": 1}
    shots = pandas.Series(["00", "11", "11"])
    assert Distribution.of(shots.value_counts()).to_counts() == {"00": 1, "11": 2}
    with pytest.raises(TypeError, match=r"got one of text: of bitstrings, pass value_counts\(\)"):
        Distribution.of(shots)
    with pytest.raises(ValueError, match="keys must be distinct; got 1 among 2"):
        Distribution.of(pandas.Series([3, 1], index=["00", "00"]))


def test_columns_of_a_table_are_shots_only_over_its_bitstrings():
    """By themselves they are numbered by rows, which were taken for what was read."""
    table = pandas.DataFrame({"bitstring": ["00", "11", "01"], "counts": [5, 4, 1]})
    with pytest.raises(TypeError, match="got one over row numbers: give it the bitstrings as its index"):
        Distribution.of(table["counts"])
    for whole in (table, table.set_index("bitstring"), table.rename(columns={"bitstring": "data"})):
        with pytest.raises(TypeError, match=r"got a DataFrame: give .* table.set_index\('bitstring'\)\['shots'\]"):
            Distribution.of(whole)
    assert Distribution.of(table.set_index("bitstring")["counts"]).to_counts() == {"00": 5, "01": 1, "11": 4}
    for meant in (Distribution.of(table["counts"].to_dict()), Distribution.of(table["counts"], num_bits=2)):
        assert meant.to_counts() == {"00": 5, "01": 4, "10": 1}


def test_bitstrings_that_a_reader_of_tables_took_for_numbers_are_refused():
    """``read_csv`` makes 1 of 001 and 111 of 111, which as a number has 7 bits."""
    text = "bitstring,shots\n000,5\n001,1\n111,4\n"
    spoilt = pandas.read_csv(StringIO(text)).set_index("bitstring")["shots"]
    with pytest.raises(
        TypeError, match=r"such as 111, must have num_bits if .*; bitstrings must be read as text: read_csv"
    ):
        Distribution.of(spoilt)
    assert Distribution.of(spoilt, num_bits=7).to_counts() == {"0000000": 5, "0000001": 1, "1101111": 4}
    whole = pandas.read_csv(StringIO(text), dtype={"bitstring": str}).set_index("bitstring")["shots"]
    assert Distribution.of(whole).to_counts() == {"000": 5, "001": 1, "111": 4}
    assert Distribution.of(pandas.Series([5, 4], index=[0, 1])).to_counts() == {"0": 5, "1": 4}  # either way the same


def test_a_result_of_several_circuits_says_how_one_is_taken():
    """A `Result` has no ['results'], which it was told to be asked for."""
    data = {"data": {"counts": {"0x1": 5}}, "shots": 5, "success": True, "header": {"name": "a", "memory_slots": 2}}
    several = {"backend_name": "x", "backend_version": "1", "job_id": "j", "success": True, "results": [data, data]}
    result = Result.from_dict(several)
    with pytest.raises(
        ValueError, match=r"of 2 circuits .* result.get_counts\(0\); mitigate_many takes all of them, result.get_counts"
    ):
        Distribution.of(result)
    assert Distribution.of(result.get_counts(0)).to_counts() == {"01": 5}


def test_shots_that_were_mitigated_before_are_told():
    """Results of a MitigatedSampler were mitigated once more without a word."""
    data = DataBin(meas=BitArray.from_counts({"00": 5}))
    said = "the shots came out of a MitigatedSampler, whose metadata has the raw counts"
    pub = SamplerPubResult(data, {"mitigations": []})
    for source in (pub, PrimitiveResult([pub], {"version": 2})):
        assert notes_on(source) == [said]
        assert mitigate(source).reason.endswith(f"; {said}")
    for plain in (data, DataBin(metadata=data.meas), SamplerPubResult(data, {"shots": 5}), {"00": 5}):
        assert notes_on(plain) == []


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 2)])
def test_parameter_sets_that_are_pooled_are_counted(shape):
    array = BitArray.from_samples(["00", "01", "11", "11"])
    array = array.reshape(*shape, 4 // prod(shape))
    data = DataBin(meas=array, other=array, shape=shape)
    pub = SamplerPubResult(data)
    for source in (array, data, pub, PrimitiveResult([pub])):
        assert sets_pooled(source) == prod(shape)
    assert sets_pooled({"00": 1}) == sets_pooled(["00"]) == sets_pooled(pandas.Series({"00": 1})) == 1


@pytest.mark.parametrize(
    ("source", "cure"),
    [
        (SimpleNamespace(distribution=1, raw=2), "give its distribution, or raw, the counts that it was made from"),
        (SimpleNamespace(result=lambda: None), r"give its result, job.result\(\)"),
    ],
    ids=["mitigation", "job"],
)
def test_what_has_counts_within_reach_is_told_how(source, cure):
    with pytest.raises(TypeError, match=f"got a SimpleNamespace: {cure}"):
        Distribution.of(source)


@pytest.mark.parametrize("several", [False, True])
def test_results_that_were_not_decoded_are_told_how(several):
    """The runtime's encoder writes objects with their type, whose name was taken for shots."""
    pub = json.loads(json.dumps(SamplerPubResult(DataBin(c=BitArray.from_samples(["01"]))), cls=RuntimeEncoder))
    for source in ([pub] if several else pub, {"counts": pub}):
        with pytest.raises(TypeError, match=r"of RuntimeEncoder: decode it by json.load\(file, cls=RuntimeDecoder\)"):
            mitigate(source)


@pytest.mark.parametrize("n_bits", [100_001, 10**9, 10**30])
@pytest.mark.parametrize(
    "stated",
    [
        lambda n: ({"0x1": 3}, n),
        lambda n: (["0x1", "0x3"], n),
        lambda n: (Counts({"1": 3}), n),
        lambda n: ({"counts": {"0x1": 3}, "n_bits": n}, None),
        lambda n: ({"results": [{"data": {"c": {"samples": ["0x3"], "num_bits": n}}}]}, None),
        lambda n: ({"counts": {"0x1": 3}, "header": {"creg_sizes": [["c", n]]}}, None),
        lambda n: ({"format": "qcluster-distribution", "version": 1, "counts": {}, "n_bits": n}, None),
    ],
)
def test_more_bits_than_any_machine_has_are_refused(stated, n_bits):
    """They were an OverflowError, or took minutes and gigabytes."""
    source, num_bits = stated(n_bits)
    with pytest.raises(ValueError, match=f"bits must be a whole number from . to 100000; got {n_bits}"):
        Distribution.of(source, num_bits=num_bits)


def test_a_marginal_of_endless_bits_is_refused():
    with pytest.raises(ValueError, match=r"bits must lie in 0\.\.1; got 2"):
        Distribution.of({"01": 3}).marginal(range(10**30))
