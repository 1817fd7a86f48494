import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, Parameter, Qubit
from qiskit.circuit.library import quantum_volume
from qiskit.primitives import BaseSamplerV2, PrimitiveResult, StatevectorSampler
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError
from qiskit_ibm_runtime.fake_provider import FakeFractionalBackend, FakeManilaV2

import qcluster as qc
from qcluster import Distribution, metrics
from qcluster.baselines import hammer
from qcluster.device import MitigatedSampler
from qcluster.device.execute import execute
from qcluster.device.sampler import to_shots


@pytest.fixture(scope="module")
def noisy():
    noise = NoiseModel()
    noise.add_all_qubit_readout_error(ReadoutError([[0.93, 0.07], [0.07, 0.93]]))
    return AerSimulator(noise_model=noise)


@pytest.fixture
def turning():
    """Two angles, two registers: register a reads qubit 1 then 0, register b reads qubit 2."""
    a, b = ClassicalRegister(2, "a"), ClassicalRegister(1, "b")
    circuit = QuantumCircuit(QuantumRegister(3), a, b, metadata={"mine": 1})
    circuit.rx(Parameter("s"), 0)
    circuit.rx(Parameter("t"), 1)
    circuit.x(2)
    circuit.measure([1, 0, 2], [a[0], a[1], b[0]])
    return circuit


def test_shapes_types_and_bits_as_the_reference_sampler_has_them(turning):
    values = np.pi * np.array([[[0, 0], [0, 1], [1, 0]], [[1, 1], [0, 0], [1, 0]]])
    pubs = [(turning, values), (turning, [0, np.pi], 37), (turning, {"s": [0, np.pi], "t": [np.pi, np.pi]}, 41)]
    mine = MitigatedSampler("aer", seed=1, shots=53, method="none").run(pubs).result()
    reference = StatevectorSampler(seed=1, default_shots=53).run(pubs).result()
    assert isinstance(mine, PrimitiveResult)
    for ours, theirs in zip(mine, reference, strict=True):
        assert type(ours) is type(theirs)
        assert ours.data.shape == theirs.data.shape
        assert list(ours.data) == list(theirs.data)
        for name in theirs.data:
            left, right = ours.data[name], theirs.data[name]
            assert (left.shape, left.num_shots, left.num_bits) == (right.shape, right.num_shots, right.num_bits)
            assert np.array_equal(left.array, right.array), "each angle leads to one string only"
        assert ours.join_data().get_counts() == theirs.join_data().get_counts()
        assert ours.metadata["shots"] == theirs.metadata["shots"]
        assert ours.metadata["circuit_metadata"] == theirs.metadata["circuit_metadata"]


def test_data_are_the_mitigated_distribution_in_whole_shots(noisy, ghz):
    sampler = MitigatedSampler(noisy, seed=3, noise=0.07, method="paper")
    (pub,) = sampler.run([ghz(5)], shots=2000).result()
    fixed, run = pub.metadata["mitigations"].item(), pub.metadata["runs"].item()
    assert pub.data.meas.get_counts() == fixed.distribution.to_counts()
    assert pub.data.meas.num_shots == 2000
    assert fixed.raw == run.counts
    ideal = {"00000": 0.5, "11111": 0.5}
    assert metrics.hellinger_fidelity(pub.data.meas, ideal) > metrics.hellinger_fidelity(run.counts, ideal) + 0.05
    rows = pub.data.meas.array[:, 0]
    assert (rows[:1000] == rows[1000:]).mean() < 0.9, "shots come in random order"


def test_registers_of_one_shot_belong_together(noisy):
    a, b = ClassicalRegister(1, "a"), ClassicalRegister(1, "b")
    circuit = QuantumCircuit(QuantumRegister(2), a, b)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    (pub,) = MitigatedSampler("aer", seed=3, method="none").run([circuit], shots=200).result()
    assert set(pub.join_data().get_counts()) == {"00", "11"}


def test_rates_may_follow_from_the_run(noisy, ghz):
    seen = []

    def rates(run):
        seen.append(run)
        return run.calibration.readout[run.profile.measured].mean(axis=1)

    MitigatedSampler(noisy, seed=3, noise=rates, method="paper").run([ghz(3)]).result()
    assert len(seen) == 1


def test_same_seed_same_result_and_each_run_the_same(noisy, ghz):
    first, second = MitigatedSampler(noisy, seed=5, method="none"), MitigatedSampler(noisy, seed=5, method="none")
    results = [s.run([ghz(3), (ghz(2), None, 7)]).result() for s in (first, first, second)]
    for other in results[1:]:
        for left, right in zip(results[0], other, strict=True):
            assert np.array_equal(left.data.meas.array, right.data.meas.array)


def test_off_is_off(noisy, ghz):
    (pub,) = MitigatedSampler(noisy, seed=5, method="none").run([ghz(3)]).result()
    fixed = pub.metadata["mitigations"].item()
    assert (fixed.applied, fixed.share) == (False, 0.0)
    assert Distribution.of(pub) == pub.metadata["runs"].item().counts


def test_twirls_share_the_shots(torino, ghz):
    sampler = MitigatedSampler(torino, seed=5, method="none", twirls=4, optimization_level=1)
    (pub,) = sampler.run([ghz(3)], shots=403).result()
    assert pub.data.meas.num_shots == 403
    assert len(pub.metadata["runs"].item().twirl_counts) == 4


def test_a_loop_over_parameters_compiles_once(turning, monkeypatch):
    from qcluster.device import sampler as module

    calls = []
    real = module.compile_circuits
    monkeypatch.setattr(module, "compile_circuits", lambda *args: calls.append(1) or real(*args))
    sampler = MitigatedSampler("aer", seed=5, method="none")
    for angle in (0.0, 0.1, 0.2):
        sampler.run([(turning, [angle, angle])], shots=10).result()
    assert len(calls) == 1
    for _ in range(2):  # Qiskit gives each a number for a name
        fixed = QuantumCircuit(1)
        fixed.measure_all()
        (pub,) = sampler.run([fixed], shots=10).result()
        assert pub.metadata["runs"].item().profile.name == fixed.name
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("unit", "times"), [("us", [0.1, 30.3, 100]), ("ns", [100, 30301.5, 1e5]), ("dt", [25, 7575, 25000])]
)
def test_a_sweep_of_delays_shows_t1(torino, unit, times):
    """The compiler turns seconds into dt, and what comes of a parameter there is not whole."""
    wait = Parameter("wait")
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.delay(wait, 0, unit)
    circuit.measure_all()
    sampler = MitigatedSampler(torino, seed=1, method="none", optimization_level=1)
    (pub,) = sampler.run([(circuit, [[time] for time in times])], shots=20000).result()
    runs = pub.metadata["runs"].tolist()
    (qubit,) = {int(run.profile.measured[0]) for run in runs}
    up, down = runs[0].calibration.readout[qubit]
    seconds = np.array(times) * {"us": 1e-6, "ns": 1e-9, "dt": torino.dt}[unit]
    assert np.diff([run.profile.duration for run in runs]) == pytest.approx(np.diff(seconds), abs=torino.dt)
    left = np.exp(-seconds / runs[0].calibration.t1[qubit])
    read = [run.counts.to_probs()["1"] for run in runs]
    assert read == pytest.approx(up + left * (1 - up - down), abs=0.02)


@pytest.mark.parametrize(("unit", "time"), [("dt", 10.5), ("dt", -3), ("us", -3)])
def test_delays_that_are_no_times_are_refused_in_words(torino, unit, time):
    wait = Parameter("wait")
    circuit = QuantumCircuit(1, name="mine")
    circuit.delay(wait, 0, unit)
    circuit.measure_all()
    with pytest.raises(ValueError, match="delays of 'mine' must be times"):
        MitigatedSampler(torino).run([(circuit, [time])])
    with pytest.raises(ValueError, match=r"delays of 'mine-[0-9]+' must be times"):
        execute([circuit.assign_parameters([time])], torino)


@pytest.mark.parametrize("machine", [FakeManilaV2(), AerSimulator.from_backend(FakeManilaV2())])
def test_delays_between_the_ticks_of_a_machine_are_refused_in_words(machine):
    def waiting(*delay):
        circuit = QuantumCircuit(1, name="mine")
        circuit.delay(delay[0], 0, delay[1])
        circuit.measure_all()
        return circuit

    (run,) = execute([waiting(1008, "dt")], machine, shots=20, seed=1)
    assert run.counts.shots == 20
    for delay in ((1000, "dt"), (222.222, "ns")):
        said = r"multiples of 16 dt .* in 'mine' one is 1000 dt: the nearest are 992 dt \(220.444 ns\) and 1008"
        with pytest.raises(ValueError, match=said):
            execute([waiting(*delay)], machine)
    with pytest.raises(ValueError, match="in 'mine' one is a parameter: give it a value before"):
        MitigatedSampler(machine).run([(waiting(Parameter("wait"), "us"), [2])])


def test_what_was_measured_is_kept_on_request(noisy, ghz, tmp_path):
    from qcluster.device import jobs

    sampler = MitigatedSampler(noisy, seed=5, method="none", directory=tmp_path)
    result = sampler.run([ghz(3), (ghz(2), None, 7)], shots=11).result()
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 2, "one request for each number of shots"
    counts = [jobs.collect(directory)[0].counts for directory in kept]
    for pub in result:
        assert pub.metadata["runs"].item().counts in counts


def test_no_parameter_sets_no_results(turning):
    (pub,) = MitigatedSampler("aer", seed=5, method="none").run([(turning, np.zeros((0, 2)))], shots=10).result()
    assert pub.data.a.shape == (0,)
    assert MitigatedSampler("aer").run([]).result().metadata == {"version": 2}


def test_whole_shots_split_a_fraction_by_largest_remainder():
    rows = to_shots(Distribution.of({"00": 1.5, "01": 0.6, "11": 0.9}), 3, np.random.default_rng(0))
    assert Distribution(rows, np.ones(3)).to_counts() == {"00": 1, "01": 1, "11": 1}


def test_a_register_without_bits_stays_one():
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1, "c"), ClassicalRegister(0, "none"))
    circuit.x(0)
    circuit.measure(0, 0)
    (mine,) = MitigatedSampler("aer", seed=1, shots=9).run([circuit]).result()
    (theirs,) = StatevectorSampler(seed=1, default_shots=9).run([circuit]).result()
    assert mine.data.none.array.shape == theirs.data.none.array.shape
    assert mine.data.c.get_counts() == {"1": 9}
    assert Distribution.of(mine).to_counts() == {"1": 9}


@pytest.mark.parametrize("backend", ["aer", "fake_manila"])
def test_a_pub_that_measures_nothing_is_empty_or_zero_and_stops_no_other(backend, ghz):
    bare, idle = QuantumCircuit(1, name="bare"), QuantumCircuit(2, 2, name="idle")
    bare.x(0)
    idle.rx(Parameter("t"), 0)
    pubs = [bare, (idle, [[0.1], [0.2]]), ghz(2)]
    with pytest.warns(UserWarning, match=r"PUB 0 \('bare'\) has no classical registers, so that its data are empty"):
        mine = MitigatedSampler(backend, seed=1, shots=50, method="none").run(pubs).result()
    with pytest.warns(UserWarning, match="no output classical registers"):
        theirs = StatevectorSampler(seed=1, default_shots=50).run(pubs).result()
    for ours, reference in zip(mine, theirs, strict=True):
        assert list(ours.data) == list(reference.data)
        assert ours.data.shape == reference.data.shape
    assert np.array_equal(mine[1].data.c.array, theirs[1].data.c.array)
    assert mine[1].metadata["runs"].tolist() == [None, None]
    assert mine[2].metadata["mitigations"].item().raw.shots == 50
    assert mine[2].data.meas.num_shots == 50


def test_bits_that_no_register_holds_are_in_the_run(noisy):
    circuit = QuantumCircuit([Qubit()], [Clbit()])
    circuit.x(0)
    circuit.measure(0, 0)
    with pytest.warns(UserWarning, match="no classical registers"):
        (pub,) = MitigatedSampler("fake_manila", seed=1, shots=100).run([circuit]).result()
    assert pub.metadata["runs"].item().counts.to_probs()["1"] > 0.8


def test_what_could_not_be_mitigated_is_not_run(noisy):
    for options, said in (
        ({"method": "magic"}, "method must be one of none, .*mixture.*hammer.*; got 'magic'"),
        ({"method": "paper"}, "method='paper' needs flip rates as its noise"),
        ({"method": "m3"}, "method='m3' needs flip rates"),
        ({"method": "hammer", "noise": 0.1}, "method='hammer' takes nothing as its noise; got flip rates"),
        ({"method": "circuit", "noise": 0.1}, "method='circuit' takes fault patterns"),
        ({"method": "paper", "noise": 0.1, "guard": False}, "method='paper' has no guard"),
        ({"method": "none", "noise": 0.1}, "omit noise"),
        ({"method": "none", "guard": False}, "omit guard"),
        ({"method": "mixture", "expect": "few"}, "expect must be 'sparse' or 'dense', or None; got 'few'"),
        ({"expect": "few"}, "expect must be 'sparse' or 'dense', or None; got 'few'"),
    ):
        with pytest.raises(ValueError, match=said):
            MitigatedSampler(noisy, **options)
    with pytest.raises(TypeError, match="guard must be True or False; got 'on'"):
        MitigatedSampler(noisy, guard="on")


def test_noise_that_does_not_fit_is_refused_before_anything_runs(noisy, ghz, monkeypatch):
    monkeypatch.setattr("qcluster.device.sampler.send", lambda *_: pytest.fail("it was sent"))
    three = qc.MeasuredNoise({"010": 830, "011": 50}, "010")
    for options, said in (
        ({"noise": 0.7}, r"rates must lie in \[0, 0.5\]; got 0.7 for bit 0"),
        ({"noise": [0.1, 0.2, 0.3]}, r"rates must be one number, \(2,\) or \(2, 2\); got shape \(3,\)"),
        ({"noise": three}, "must have one width; got 2 and 3 bits"),
        ({"noise": qc.MeasuredNoise({"01": 9, "10": 90}, "01")}, "the expected string must be the reference's most"),
        ({"method": "paper", "noise": -1}, r"rates must lie in \[0, 0.5\]; got -1.0"),
        (
            {"method": "dem"},
            "method='dem' needs the noise of a reference circuit .* or a Run with a reference; got none",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            MitigatedSampler(noisy, **options).run([ghz(2)])


@pytest.mark.parametrize("name", ["keys", "items", "values", "size", "shape", "self"])
def test_registers_that_no_result_can_hold_are_refused_before_anything_runs(noisy, name, monkeypatch):
    monkeypatch.setattr("qcluster.device.sampler.send", lambda *_: pytest.fail("it was sent"))
    circuit = QuantumCircuit(QuantumRegister(1, "q"), ClassicalRegister(1, name))
    circuit.measure(0, 0)
    with pytest.raises(ValueError, match=f"results can have no register named '{name}'"):
        MitigatedSampler(noisy).run([circuit])


def test_metadata_that_no_result_can_be_decoded_with_are_refused_before_anything_runs(noisy, monkeypatch):
    monkeypatch.setattr("qcluster.device.sampler.send", lambda *_: pytest.fail("it was sent"))
    circuit = QuantumCircuit(1, 1, metadata={"__type__": "bell"})
    circuit.measure(0, 0)
    with pytest.raises(ValueError, match="metadata may not have the key '__type__'"):
        MitigatedSampler(noisy).run([circuit])


def test_one_drowned_reference_does_not_cost_the_results_of_all(ghz):
    """It ended the job, whose shots were paid for; it is known to be one only now."""
    deep = QuantumCircuit(3)
    deep.h(0)
    for _ in range(400):
        deep.cx(0, 1)
        deep.barrier()
        deep.cx(1, 2)
        deep.barrier()
    deep.measure_all()
    sampler = MitigatedSampler("fake_manila", method="measured", reference=True, seed=1, optimization_level=0)
    few, none = (pub.metadata["mitigations"].item() for pub in sampler.run([ghz(3), deep], shots=2000).result())
    assert few.applied
    assert (none.applied, none.distribution == none.raw) == (False, True)
    assert "the expected string must be the reference's most frequent" in none.reason


def test_what_is_expected_goes_with_a_method(noisy, ghz):
    (pub,) = MitigatedSampler(noisy, method="mixture", expect="sparse", seed=2).run([ghz(3)], shots=500).result()
    fixed = pub.metadata["mitigations"].item()
    assert fixed == qc.mitigate(fixed.raw, method="mixture", expect="sparse")
    assert set(fixed.distribution.top(2)) == {"000", "111"}


def test_methods_of_others_are_taken(noisy, ghz):
    (pub,) = MitigatedSampler(noisy, seed=3, method="hammer").run([ghz(3)]).result()
    fixed, run = pub.metadata["mitigations"].item(), pub.metadata["runs"].item()
    assert fixed.method == "hammer"
    assert fixed.distribution == hammer(run.counts)


def test_refusals(turning, ghz):
    assert issubclass(MitigatedSampler, BaseSamplerV2)
    with pytest.raises(TypeError, match="got 'gard'"):
        MitigatedSampler("aer", gard=False)
    with pytest.raises(ValueError, match="shots must be"):
        MitigatedSampler("aer", shots=0)
    with pytest.raises(ValueError, match="inconsistent with last dimension"):
        MitigatedSampler("aer").run([(turning, [1.0])])
    with pytest.raises(ValueError, match="shots must be positive"):
        MitigatedSampler("aer").run([ghz(2)], shots=0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("shots", 100, r"options: sampler\.options\.shots = 100"),  # the run had 4096
        ("twirls", 8, r"options: sampler\.options\.twirls = 8"),
        ("guard", False, r"when the sampler is made: MitigatedSampler\(backend, guard=False\)"),
        ("expect", "sparse", r"when the sampler is made: MitigatedSampler\(backend, expect='sparse'\)"),
    ],
)
def test_an_option_set_where_it_has_no_effect_is_refused(name, value, said):
    sampler = MitigatedSampler("aer")
    with pytest.raises(AttributeError, match=said):
        setattr(sampler, name, value)
    sampler.label = "mine"  # attributes of users are theirs
    assert sampler.label == "mine"


def test_how_a_circuit_is_compiled_does_not_depend_on_what_ran_before_or_beside_it():
    """It was compiled by the seed of its place in the first run that had it, and kept: the same call gave other counts
    by what the sampler had run before."""
    small, wide = QuantumCircuit(1), quantum_volume(5, seed=1).copy()
    small.measure_all()
    wide.measure_all()

    def places(sampler, pubs):
        return sampler.run(pubs).result()[-1].metadata["runs"].item().profile.measured.tolist()

    used, fresh = (MitigatedSampler("fake_torino", seed=5, shots=50) for _ in range(2))
    beside, alone = places(used, [small, wide]), places(used, [wide])
    assert beside == alone == places(fresh, [wide])
    used.seed = fresh.seed = 6
    assert places(used, [small, wide]) == places(MitigatedSampler("fake_torino", seed=6, shots=50), [wide])


@pytest.mark.parametrize("dead", [False, True])
def test_angles_of_a_sweep_are_those_that_fractional_gates_take(dead):
    """They were bound behind the compiler, which folds numbers only, so that IBM's machines refused the job; and the
    target without dead parts has no bounds, so that numbers were not folded either."""
    machine = FakeFractionalBackend()
    if dead:
        broken = next(iter(machine.target["rzz"]))
        machine.target["rzz"][broken].error = 1.0
    angle = Parameter("t")
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.rzz(angle, 0, 1)
    circuit.h([0, 1])
    circuit.measure_all()
    values = [-3.0, -1.0, 0.5, 2.0, 4.0]
    runs = MitigatedSampler(machine, seed=1, shots=4000).run([(circuit, values)]).result()[0].metadata["runs"]
    plain = execute([circuit.assign_parameters([value]) for value in values], machine, shots=4000, seed=1)
    for run, alike, value in zip(runs, plain, values, strict=True):
        for one in (run, alike):
            angles = [item.params[0] for item in one.profile.circuit.data if item.name == "rzz"]
            assert angles
            assert all(0 <= found <= np.pi / 2 for found in angles)
            assert one.counts.expectation("ZI") == pytest.approx((np.cos(value), 0), abs=0.12)
