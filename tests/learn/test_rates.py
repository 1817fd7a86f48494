from dataclasses import replace
from time import process_time

import numpy as np
import pytest
import qiskit
from qiskit.circuit import Clbit, Gate, Qubit
from qiskit.circuit.classical import expr, types
from qiskit.primitives import BitArray
from qiskit_ibm_runtime.fake_provider import FakeTorino

import qcluster as qc
from qcluster import estimate_rates
from qcluster.device import read_profile
from qcluster.device.machines.machine import find_machine
from qcluster.device.noise.rates import compiled_profile
from qcluster.errors import CalibrationError
from qcluster.learn.features import NAMES, features
from qcluster.learn.rates import HIGHEST, TRIED, Rates, clustering_rate, looks_uniform, new_model, rate_model
from qcluster.learn.table import read_table
from tests.learn.test_features import Machine, profile

SWEPT = BitArray.from_samples(["000"] * 400 + ["111"] * 400).reshape(2, 400)
"""Two parameter sets."""


def noisy(rate, bits=8, shots=4096, seed=2, scatter=0.0):
    rates = rate * np.random.default_rng([seed, bits]).lognormal(0, scatter, bits)
    rows = np.random.default_rng(seed).random((shots, bits)) < rates
    return qc.Distribution(rows, np.ones(shots))


def test_counts_alone_tell_the_rate_of_a_certain_output():
    """Beyond some per cent, flips that are the same on every bit may as well be qubits turned by one small angle."""
    for rate, scatter in ((0.02, 0.0), (0.05, 0.0), (0.08, 0.35)):
        found = estimate_rates(counts=noisy(rate, scatter=scatter))
        assert found.value == pytest.approx(rate, rel=0.35)
        assert found.low < found.value < found.high
        assert found.in_range
        assert np.allclose(found.per_bit, np.full(8, found.value), rtol=1e-12)


def test_probabilities_are_no_counts():
    """They would count as one shot, from which any rate follows."""
    with pytest.raises(ValueError, match="counts must be counts of shots; got weights that sum to 1"):
        estimate_rates({"000": 0.8, "001": 0.1, "100": 0.1})


def test_bits_need_no_register():
    known = []
    for circuit in (qiskit.QuantumCircuit(2, 2), qiskit.QuantumCircuit([Qubit(), Qubit()], [Clbit(), Clbit()])):
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.measure([0, 1], [1, 0])
        known.append(estimate_rates(circuit, "fake_manila", {"00": 480, "01": 10, "11": 510}))
    assert np.array_equal(known[0].per_bit, known[1].per_bit)


def test_any_part_may_be_missing():
    machine, circuit, counts = Machine(), profile(), {"00": 900, "01": 40, "10": 50, "11": 10}
    for known in ((circuit, machine, counts), (circuit, machine, None), (None, None, counts), (circuit, None, counts)):
        rates = estimate_rates(*known)
        assert 0 <= rates.low <= rates.value <= rates.high < 0.5
        assert rates.per_bit.shape == (2,)
    with pytest.raises(ValueError, match="got none of them"):
        estimate_rates(None, machine)


def test_the_split_follows_the_qubits_and_keeps_the_mean():
    circuit = profile(measured=np.array([1, 2, -1]), gates={("sx", (0,)): 1})
    rates = estimate_rates(circuit, Machine(), None)
    assert rates.per_bit[1] > rates.per_bit[0] > 0
    assert rates.per_bit[2] == 0
    assert np.mean(np.log1p(-rates.per_bit[:2])) == pytest.approx(np.log1p(-rates.value))


def test_rates_go_straight_into_mitigation():
    counts = noisy(0.05, bits=5)
    rates = estimate_rates(counts=counts)
    fixed = qc.mitigate(counts, rates, method="paper")
    assert np.allclose(fixed.rates, rates.clustering[:, None])
    assert fixed.distribution.probabilities.max() > counts.probabilities.max()
    assert np.asarray(rates) is not rates.per_bit
    assert np.array(rates, copy=False) is rates.per_bit
    plain = qc.mitigate(counts, rates.value, method="paper")
    assert np.allclose(plain.rates, rates.value)
    assert fixed.distribution.probabilities.max() > plain.distribution.probabilities.max()


def test_clusters_reach_farther_than_one_flip_and_leave_spread_outputs_alone():
    few = estimate_rates(noisy(0.05, bits=5))
    assert (few.clustering > few.value).all()
    spread = estimate_rates(noisy(0.5, bits=5))
    assert not spread.clustering.any()
    fixed = qc.mitigate(noisy(0.5, bits=5), spread, method="paper")
    assert np.allclose(fixed.distribution.probabilities, noisy(0.5, bits=5).probabilities)
    before = estimate_rates(profile(), Machine(), None)
    assert before.clustering == pytest.approx(np.full(2, before.value))
    part = estimate_rates(profile(measured=np.array([1, 2, -1])), Machine(), {"001": 900, "000": 100})
    assert part.clustering[2] == 0 < part.clustering[0] <= HIGHEST


def test_no_rate_that_is_tried_comes_nearer_to_an_answer():
    counts, answer = noisy(0.1, bits=5), qc.Distribution.of({"00000": 900, "11111": 100})
    rate = clustering_rate(counts, answer, np.ones(5, dtype=bool))
    near = [
        qc.metrics.hellinger_fidelity(qc.mitigate(counts, float(other), method="paper").distribution, answer)
        for other in TRIED
    ]
    assert near[int(np.searchsorted(TRIED, rate))] == max(near)


def test_mixed_counts_are_marked_and_bound_nothing_from_above():
    assert (read_table().facts["saturated"] == "1").any()
    mixed = noisy(0.5, bits=4)
    assert looks_uniform(mixed)
    rates = estimate_rates(mixed)
    assert rates.saturated
    assert not rates.in_range
    assert rates.high == HIGHEST
    assert rates.high > rates.value > rates.low
    assert not estimate_rates(noisy(0.1, bits=4)).saturated
    assert all(looks_uniform(qc.Distribution.of({"00": total, "11": total})) for total in (0.1, 0.4, 0.5))


def test_many_bits_that_repeat_no_shot_are_not_mixed():
    """Of 40 bits that flip at .2 no shot comes twice, but `mitigate` finds the string: bits agree in most shots."""
    counts = noisy(0.2, bits=40)
    assert list(qc.mitigate(counts).distribution.top(1)) == ["0" * 40]
    rates = estimate_rates(counts)
    assert not rates.saturated
    assert rates.value < rates.high < HIGHEST
    assert looks_uniform(noisy(0.5, bits=40))


def test_a_run_a_circuit_and_a_backend_are_understood():
    from qiskit import QuantumCircuit
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx([0, 1], [1, 2])
    circuit.measure_all()
    (run,) = qc.execute([circuit], "fake_manila", shots=2000, seed=3)
    rates = estimate_rates(run)
    assert rates.value == pytest.approx(estimate_rates(run.profile, run.calibration, run.counts).value, abs=0.01)
    before = estimate_rates(circuit, "fake_manila")
    assert before.value == estimate_rates(circuit, FakeManilaV2()).value
    assert len(set(before.per_bit)) > 1
    assert estimate_rates(circuit, "fake_manila", run.counts).value == pytest.approx(rates.value, abs=0.02)
    alone, at = estimate_rates(run.counts), estimate_rates(None, "fake_manila", run.counts)
    assert at.value != alone.value
    for wrong, said in (
        ((run, "fake_manila"), "a run has its machine"),
        ((run.counts, None, run.counts), "given twice"),
        ((None, "fake_manila"), "got none of them"),
        ((SWEPT,), "of one parameter set; got 2 sets.* pass one, such as"),
        ((circuit, "fake_manila", SWEPT), "of one parameter set; got 2 sets"),
        ((circuit, "nonsense"), "nonsense"),
    ):
        with pytest.raises(ValueError, match=said):
            estimate_rates(*wrong)


def ghz(bits=4, spare=0):
    circuit = qiskit.QuantumCircuit(bits, bits + spare)
    circuit.h(0)
    circuit.cx(range(bits - 1), range(1, bits))
    circuit.measure(range(bits), range(bits))
    return circuit


@pytest.mark.parametrize("machine", [None, "fake_manila", "aer"])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_bit_that_is_never_measured_changes_no_other_rate(machine, mixed):
    counts = {"0000": 450, "1111": 430, "0001": 30, "0100": 25, "1110": 25, "0111": 40}
    if mixed:
        counts = {f"{value:04b}": 60 for value in range(16)}
    plain = estimate_rates(ghz(), machine, counts)
    spare = estimate_rates(ghz(spare=3), machine, {f"000{key}": count for key, count in counts.items()})
    assert (spare.value, spare.low, spare.high, spare.saturated) == (plain.value, plain.low, plain.high, mixed)
    assert spare.per_bit.tolist() == [*plain.per_bit, 0, 0, 0]
    assert spare.clustering.tolist() == [*plain.clustering, 0, 0, 0]
    before = estimate_rates(ghz(spare=3), machine)
    assert before.per_bit.tolist() == [*estimate_rates(ghz(), machine).per_bit, 0, 0, 0]


@pytest.mark.parametrize("counts", [None, {"00": 480, "01": 60, "10": 50, "11": 410}])
def test_the_noise_of_a_machine_that_publishes_no_errors_is_unknown(counts):
    """A simulator counted as a machine without errors: every flip was put down to the circuit, and the rate to 0."""
    circuit = qiskit.QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    found, blind = estimate_rates(circuit, "aer", counts), estimate_rates(circuit, None, counts)
    assert (found.value, found.low, found.high) == (blind.value, blind.low, blind.high)
    assert found.high > 0.01
    machine = find_machine("aer").calibration
    assert estimate_rates(circuit, machine, counts).value == blind.value
    if counts:
        assert estimate_rates(None, machine, counts).value == estimate_rates(counts).value


def test_a_run_without_noise_gives_its_measured_bits_one_rate():
    (run,) = qc.execute([ghz(3, spare=1)], "aer", shots=500, seed=1)
    rates = estimate_rates(run)
    assert rates.value > 0
    assert rates.per_bit == pytest.approx([rates.value] * 3 + [0])


def test_gates_that_the_machine_has_elsewhere_are_compiled():
    """A pair without a coupling, and a gate in a branch: the names alone look compiled."""
    far = qiskit.QuantumCircuit(6)
    far.x(0)
    far.cz(0, 5)
    far.measure_all()
    branch = qiskit.QuantumCircuit(2, 2)
    branch.measure(0, 0)
    with branch.if_test((branch.clbits[0], 1)):
        branch.h(1)
    branch.measure(1, 1)
    machine = find_machine("fake_torino")
    for circuit in far, branch:
        profile, calibration = compiled_profile(circuit, machine)
        assert all(np.isfinite(calibration.error(gate, qubits)) for gate, qubits in profile.gates), profile.gates


def test_a_circuit_that_fits_with_dead_parts_alone_is_compiled_there():
    """Every coupling of this machine was published as dead; `execute` runs on it with a warning."""
    rates = estimate_rates(ghz(3), "fake_kyoto")
    assert 0.2 < rates.value <= rates.high == HIGHEST


def test_neither_a_break_nor_a_reset_is_a_gate_of_unknown_error():
    circuit = qiskit.QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.sx(1)
        circuit.sx(0)
        circuit.measure(0, 0)
        circuit.break_loop()
    circuit.reset(0)
    circuit.measure(1, 1)
    calibration = qc.read_calibration("fake_torino")
    profile = read_profile(circuit, calibration)
    assert profile.n_two_qubit == profile.two_qubit_depth == 0
    row = dict(zip(NAMES, features(profile, calibration), strict=True))
    assert row["loss_1q"] == pytest.approx(
        -2 * np.log1p(-calibration.error("sx", (0,))) - np.log1p(-calibration.error("sx", (1,)))
    )
    assert 0 < row["esp"] < 1


@pytest.mark.parametrize("kind", ["input", "variable"])
def test_a_circuit_may_have_variables(kind):
    circuit = qiskit.QuantumCircuit(2, 2)
    flag = circuit.add_input("flag", types.Bool()) if kind == "input" else circuit.add_var("flag", expr.lift(False))
    circuit.sx(0)
    circuit.measure(0, 0)
    with circuit.if_test(flag):
        circuit.x(1)
    circuit.measure(1, 1)
    rates = estimate_rates(circuit, "fake_manila")
    assert rates.per_bit.shape == (2,)
    assert rates.value > 0


def test_a_circuit_that_cannot_be_compiled_is_named():
    circuit = qiskit.QuantumCircuit(1)
    circuit.append(Gate("mystery", 1, []), [0])
    circuit.measure_all()
    with pytest.raises(ValueError, match=r"the circuit cannot be compiled for fake_manila: .*mystery"):
        estimate_rates(circuit, "fake_manila")


def test_a_circuit_that_is_not_compiled_for_the_calibration_is_refused():
    calibration = qc.read_calibration("fake_torino")
    said = r"the calibration of fake_torino lists no gate 'h' on \(0,\): give the circuit as compiled"
    for known in ghz(), read_profile(ghz()), read_profile(ghz(), calibration):
        with pytest.raises(CalibrationError, match=said):
            estimate_rates(known, calibration)
        with pytest.raises(CalibrationError, match=said):
            estimate_rates(known, calibration, {"0000": 5, "1111": 4})
    with pytest.raises(CalibrationError, match=said):
        estimate_rates(read_profile(ghz()), "fake_torino")
    for gate, places in ("ecr", [0, 1]), ("ccx", [0, 1, 2]):
        circuit = qiskit.QuantumCircuit(3)
        getattr(circuit, gate)(*places)
        circuit.measure_all()
        with pytest.raises(CalibrationError, match=f"lists no gate '{gate}'"):
            estimate_rates(circuit, calibration)
    branch = qiskit.QuantumCircuit(2, 2)
    branch.measure(0, 0)
    with branch.if_test((branch.clbits[0], 1)):
        branch.h(1)
    branch.measure(1, 1)
    with pytest.raises(CalibrationError, match=r"lists no gate 'h' on \(1,\)"):
        estimate_rates(branch, calibration)


def test_a_compiled_circuit_and_its_calibration_are_as_good_as_the_machine():
    backend = FakeTorino()
    compiled = qiskit.transpile(ghz(), backend, optimization_level=3, seed_transpiler=0)
    calibration = qc.read_calibration(backend)
    found, wanted = estimate_rates(compiled, calibration), estimate_rates(compiled, "fake_torino")
    assert found.value == pytest.approx(wanted.value, rel=0.2)
    profile = read_profile(compiled, calibration)
    assert estimate_rates(profile, calibration).value == found.value


def test_what_is_no_gate_or_virtual_need_not_be_listed():
    circuit = qiskit.QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.rz(0.3, 0)
    circuit.p(0.2, 1)
    circuit.barrier()
    circuit.delay(100, 0, unit="ns")
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.measure(0, 0)
        circuit.break_loop()
    circuit.reset(0)
    circuit.measure(1, 1)
    full = qc.read_calibration("fake_torino")
    rows = [row for row, name in enumerate(full.gates_1q) if name != "rz"]
    changes = {"errors_1q": full.errors_1q[rows], "durations_1q": full.durations_1q[rows]}
    for calibration in full, replace(full, gates_1q=tuple(full.gates_1q[row] for row in rows), **changes):
        rates = estimate_rates(circuit, calibration, {"00": 80, "11": 20})
        assert 0 < rates.low <= rates.value <= rates.high
        assert (rates.per_bit > 0).all()


@pytest.mark.parametrize("bits", [0, 2])
@pytest.mark.parametrize("counts", [None, {"00": 3, "11": 4}])
def test_a_circuit_must_measure_something(bits, counts):
    circuit = qiskit.QuantumCircuit(2, bits, name="silent")
    for machine in None, "fake_torino", qc.read_calibration("fake_torino"):
        with pytest.raises(ValueError, match="the circuit must measure something; 'silent' does not"):
            estimate_rates(circuit, machine, counts)
    with pytest.raises(ValueError, match="the circuit must measure something; 'silent' does not"):
        estimate_rates(read_profile(circuit), None, counts)


def test_counts_have_the_width_of_the_circuit():
    for machine in None, "fake_torino":
        with pytest.raises(ValueError, match="one bit per classical bit of the circuit, 4; got 2"):
            estimate_rates(ghz(), machine, {"00": 5, "11": 4})
        numbers = estimate_rates(ghz(), machine, {0: 45, 1: 55})  # numbers have the width that the circuit says
        assert numbers.value == estimate_rates(ghz(), machine, {"0000": 45, "0001": 55}).value


def test_far_inputs_say_so():
    wide = {"0" * 60: 10, "1" * 60: 5}
    assert not estimate_rates(counts=wide).in_range


def test_your_own_rows_count():
    table = read_table()
    model = rate_model(table[:400], seed=3)
    assert np.array_equal(
        model.predict(table.features[:5]), rate_model(table[:400], seed=3).predict(table.features[:5])
    )
    other = rate_model(table[300:700], seed=3)
    assert not np.array_equal(model.predict(table.features[:5]), other.predict(table.features[:5]))
    rates = estimate_rates(counts=noisy(0.05), model=model)
    assert isinstance(rates, Rates)
    broken = table[[0, 1]]
    broken.rates[0] = np.nan
    with pytest.raises(ValueError, match="must have a rate"):
        rate_model(broken)
    with pytest.raises(TypeError, match=r"table must be a RateTable, as read_table\(path\) gives; got str"):
        rate_model("mine.csv")
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0; got None"):
        rate_model(table[:400], seed=None)


def test_a_model_is_one_of_rates():
    from sklearn.linear_model import LinearRegression

    with pytest.raises(TypeError, match=r"from qcluster.learn.rates.rate_model; got LinearRegression"):
        estimate_rates({"00": 5}, model=LinearRegression())


def test_an_interval_needs_rows_of_two_groups_that_have_what_is_known():
    table = read_table()
    table = table[~np.isnan(table.features[:, NAMES.index("esp")])]
    one, other = (table[table.facts["family"] == name] for name in ("ghz", "bv"))
    other.features[:, NAMES.index("entropy")] = np.nan
    model = rate_model(one + other)
    with pytest.raises(ValueError, match="are of one group: an interval needs two"):
        model[-1].predict_interval(model[:-1].transform(one.features[:1]))


def test_it_is_a_scikit_learn_pipeline():
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score

    table = read_table()[::8]
    model = clone(new_model(trees=5))
    assert model.get_params()["forest__trees"] == 5
    scores = cross_val_score(model, table.features, table.rates, cv=3)
    assert scores.mean() > 0.6


def test_it_is_quick():
    """In processor time, since others may use the machine; `python -m benchmarks.rates speed` measures."""
    start = process_time()
    model = rate_model(read_table())
    fitted = process_time() - start
    row = features(counts=noisy(0.05))[None]
    model.predict(row)
    start = process_time()
    for _ in range(5):
        model.predict(row)
    assert fitted < 15
    assert (process_time() - start) / 5 < 0.2
