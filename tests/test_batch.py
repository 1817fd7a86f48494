from types import SimpleNamespace

import joblib
import numpy as np
import pandas
import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray, DataBin, SamplerPubResult, StatevectorSampler

import qcluster as qc
from benchmarks.speed.many import drawn


def sets(many: int) -> list[qc.Distribution]:
    rng = np.random.default_rng(3)
    return [qc.Distribution(rng.random((200, 4)) < 0.2 + 0.01 * i, np.ones(200)) for i in range(many)]


@pytest.mark.parametrize("workers", [1, 2])
def test_many_are_mitigated_as_one_by_one_and_in_order(workers):
    many = sets(5)
    for fixed, counts in zip(qc.mitigate_many(many, workers=workers), many, strict=True):
        alone = qc.mitigate(counts)
        assert fixed.distribution.to_probs() == pytest.approx(alone.distribution.to_probs(), abs=1e-12)
        assert fixed.reason == alone.reason


def apart(one: qc.Mitigation, other: qc.Mitigation) -> float:
    assert (one.reason, one.applied) == (other.reason, other.applied)
    assert (one.centroids == other.centroids).all()
    first, second = one.distribution.to_probs(), other.distribution.to_probs()
    names = first.keys() | second.keys()
    far = max(abs(first.get(name, 0.0) - second.get(name, 0.0)) for name in names)
    return max(far, abs((one.confidence or 0) - (other.confidence or 0)), float(abs(one.rates - other.rates).max()))


def test_small_counts_together_are_as_alone_whatever_else_there_is():
    many = drawn(30)
    together = list(qc.mitigate_many(many, workers=1))
    assert len({fixed.reason for fixed in together}) > 10
    assert max(apart(fixed, qc.mitigate(counts)) for fixed, counts in zip(together, many, strict=True)) < 1e-9
    order = np.random.default_rng(0).permutation(30)[:20].tolist()
    others = list(qc.mitigate_many([many[i] for i in order], workers=1))
    assert max(apart(fixed, together[i]) for fixed, i in zip(others, order, strict=True)) < 1e-9


def test_small_counts_have_rates_and_words_of_their_own():
    many, rates = drawn(6), [0.02, None, np.full((3, 2), 0.03), 0.05, None, 0.1]
    for options in ({}, {"expect": "sparse"}, {"guard": False}):
        found = qc.mitigate_many(many, rates, workers=1, **options)
        for fixed, counts, known in zip(found, many, rates, strict=True):
            assert apart(fixed, qc.mitigate(counts, known, **options)) < 1e-9


@pytest.fixture(scope="module")
def mixed() -> list:
    """Runs, which bring the faults of their circuits, between counts of other kinds."""
    circuits = [QuantumCircuit(n) for n in (3, 4)]
    for circuit in circuits:
        circuit.h(0)
        for qubit in range(circuit.num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
        circuit.measure_all()
    first, second = qc.execute(circuits, "fake_manila", shots=600, seed=7)
    return [first, {"00": 60, "01": 5, "11": 40}, second, ["00", "11", "11"] * 40, SimpleNamespace(counts={"0": 9})]


@pytest.mark.parametrize(("workers", "backend"), [(1, "loky"), (2, "loky"), (2, "threading")])
def test_runs_keep_the_faults_of_their_circuits(mixed, workers, backend):
    with joblib.parallel_config(backend=backend):
        found = list(qc.mitigate_many(mixed, workers=workers))
    for fixed, one in zip(found, mixed, strict=True):
        alone = qc.mitigate(one)
        assert (fixed.method, fixed.reason, fixed.applied) == (alone.method, alone.reason, alone.applied)
        assert fixed.distribution.to_probs() == pytest.approx(alone.distribution.to_probs(), abs=1e-12)
    assert [fixed.method for fixed in found[:3]] == ["circuit", "mixture", "circuit"]


def test_options_reach_the_runs_too(mixed):
    runs = [mixed[0], mixed[2]]
    for options in ({"method": "circuit"}, {"method": "mixture"}, {"guard": False}):
        for fixed, run in zip(qc.mitigate_many(runs, workers=1, **options), runs, strict=True):
            alone = qc.mitigate(run, **options)
            assert (fixed.method, fixed.distribution) == (alone.method, alone.distribution)


def test_each_set_has_its_own_rates():
    many, rates = sets(2), [0.02, 0.1]
    found = [fixed.rates.mean() for fixed in qc.mitigate_many(many, rates, workers=1, method="paper")]
    assert found == pytest.approx(rates)


def test_results_come_one_by_one():
    fixed = qc.mitigate_many([{"0": 5, "1": 7}, {"0": "many"}], workers=1)
    assert next(fixed).distribution.shots == 12
    with pytest.raises(TypeError, match="weights must be real numbers"):
        next(fixed)


def test_rates_must_be_as_many_as_counts():
    with pytest.raises(ValueError, match="one entry for each of the 2 sets of counts; got 1"):
        qc.mitigate_many(sets(2), [0.1])


@pytest.mark.parametrize("one", [{"00": 5, "11": 6}, "0101", 7, None])
def test_one_set_of_counts_is_not_many(one):
    with pytest.raises(TypeError, match=r"must be a list of sets of counts, such as \[counts\]; got a "):
        qc.mitigate_many(one)


def one_set(kind: str) -> object:
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.measure_all()
    job = StatevectorSampler(seed=1).run([circuit], shots=5)
    (pub,) = job.result()
    return {
        "circuit": circuit,
        "job": job,
        "PUB": pub,
        "data": pub.data,
        "register": pub.data.meas,
        "shots": ["01", "01"],
        "array of shots": np.array(["01", "01"]),
        "parameter sets": BitArray.from_samples(["01", "10", "11"]).reshape(3, 1),
        "PUB of parameter sets": SamplerPubResult(
            DataBin(meas=BitArray.from_samples(["01", "10", "11"]).reshape(3, 1), shape=(3,))
        ),
        "dict of counts": {"a": {"01": 3}, "b": {"10": 1}},
        "result": SimpleNamespace(get_counts=lambda: [{"01": 3}, {"10": 1}]),
        "series": pandas.Series({"01": 3, "10": 1}),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("circuit", r"a QuantumCircuit: run it first, by execute\(\[circuit\], backend\)"),
        ("job", r"a PrimitiveJob: give its result, job\.result\(\)"),
        ("PUB", "a SamplerPubResult, which is one set: give it to mitigate, or a list of such sets to mitigate_many"),
        ("data", "a DataBin, which is one set"),
        ("register", "a BitArray, which is one set"),
        ("shots", "a list, which is one set"),
        ("array of shots", "a ndarray, which is one set"),
        ("series", "a Series, which is one set"),
        ("parameter sets", r"a BitArray of 3 .*: give \[bits\[i\] for i in np.ndindex\(bits.shape\)\] for the BitA"),
        ("PUB of parameter sets", r"a SamplerPubResult of 3 .*: give \[bits.* for bits = pub.join_data\(\)"),
        ("dict of counts", r"a dict of them: give list\(many.values\(\)\)"),
        ("result", r"a SimpleNamespace: give its get_counts\(\)"),
    ],
)
def test_what_is_not_many_says_what_to_pass(kind, said):
    """The names of registers were taken for counts, which must be "a dict, a list of bitstrings ...; got str"."""
    with pytest.raises(TypeError, match=rf"a list of sets of counts, such as \[counts\]; got {said}"):
        qc.mitigate_many(one_set(kind))


@pytest.mark.parametrize("others", [0, 1])
def test_pooled_parameter_sets_are_named_among_others_too(others):
    swept = BitArray.from_samples(["00", "01", "11", "11"]).reshape(2, 2)
    fixed, *_ = qc.mitigate_many([swept] + [{"00": 3, "11": 4}] * others, workers=1)
    assert fixed.reason.endswith("; the shots of 2 parameter sets are pooled")
    assert fixed.reason == qc.mitigate(swept).reason


def test_a_result_of_several_pubs_is_many():
    circuit = QuantumCircuit(2)
    circuit.measure_all()
    result = StatevectorSampler(seed=1).run([circuit, circuit], shots=5).result()
    assert [fixed.distribution.shots for fixed in qc.mitigate_many(result, workers=1)] == [5, 5]


@pytest.mark.parametrize("workers", [0, -2, 1.5, True, None, "2"])
def test_workers_are_a_number(workers):
    with pytest.raises(ValueError, match="workers must be 1 or more, or -1"):
        qc.mitigate_many(sets(1), workers=workers)


def test_sets_may_come_from_a_generator():
    found = qc.mitigate_many((one for one in sets(2)), [0.02, 0.1], workers=1, method="paper")
    assert [fixed.distribution.shots for fixed in found] == [200, 200]


def shared(kind: str) -> object:
    if kind == "measured":
        return qc.MeasuredNoise(qc.Distribution.of({"0000": 900, "0001": 60, "1000": 40}), "0000")
    return {"number": 0.05, "by bit": np.array([0.02, 0.1, 0.03, 0.04]), "pairs": np.full((4, 2), 0.03)}[kind]


@pytest.mark.parametrize("kind", ["number", "by bit", "pairs", "measured"])
@pytest.mark.parametrize("many", [3, 4])
def test_one_noise_is_that_of_all_sets(kind, many):
    noise = shared(kind)  # of 4 bits: that there are as many sets makes an array no list of entries
    for fixed, counts in zip(qc.mitigate_many(sets(many), noise, workers=1), sets(many), strict=True):
        assert apart(fixed, qc.mitigate(counts, noise)) < 1e-9


def test_one_noise_reaches_other_processes():
    noise = shared("measured")
    found = list(qc.mitigate_many(sets(4), noise, workers=2))
    assert [fixed.method for fixed in found] == ["measured"] * 4
    assert max(apart(fixed, qc.mitigate(one, noise)) for fixed, one in zip(found, sets(4), strict=True)) < 1e-9


def test_a_list_or_tuple_has_an_entry_for_each_set():
    rates = [0.01, 0.02, 0.05, 0.1]
    for given in rates, tuple(rates):
        found = [fixed.rates.mean() for fixed in qc.mitigate_many(sets(4), given, workers=1, method="paper")]
        assert found == pytest.approx(rates)
    with pytest.raises(ValueError, match=r"one entry for each of the 2 sets of counts; got 4: .* as an array"):
        qc.mitigate_many(sets(2), rates)


def test_one_noise_that_does_not_fit_names_the_first_set():
    with pytest.raises(ValueError, match=r"\(4,\) or \(4, 2\); got shape \(2,\)") as caught:
        list(qc.mitigate_many(sets(2), np.array([0.02, 0.1]), workers=1))
    assert caught.value.__notes__ == ["This is about set 0 of the counts, the first being 0."]


def test_none_give_none():
    assert list(qc.mitigate_many([], workers=1)) == []


@pytest.mark.parametrize(
    ("workers", "wrong"),
    [
        (1, {"00": -1}),
        (1, ["00", "0"]),
        (1, SimpleNamespace(counts={"00": -1})),
        (2, SimpleNamespace(counts={"00": -1})),
    ],
)
def test_an_error_tells_which_set_it_is_about(workers, wrong):
    good = {"00": 50, "11": 40}
    with pytest.raises(ValueError, match="must") as caught:
        list(qc.mitigate_many([good, good, wrong, good], workers=workers))
    assert caught.value.__notes__ == ["This is about set 2 of the counts, the first being 0."]
