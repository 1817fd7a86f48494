"""The circuits of `benchmarks.outside`, and that its runs are kept, read back and scored as they should be."""

from itertools import combinations
from math import pi, sin

import numpy as np
import pytest
from qiskit import transpile
from qiskit_aer import AerSimulator

import qcluster as qc
from benchmarks import outside, outside_circuits
from benchmarks.compiled_records import write_records
from benchmarks.outside_circuits import FAMILIES, ROTATED, cases
from qcluster.bench import circuits as suites
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity, total_variation
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.learn.decision.table import recorded

CASES = {case.name: case for case in (*cases(), *cases(ROTATED))}


def test_there_are_enough_circuits_of_families_that_no_suite_holds():
    assert len(CASES) == len(outside_circuits.CASES) + len(ROTATED)
    assert len(outside_circuits.CASES) >= 40
    assert len(FAMILIES) >= 14
    assert set(FAMILIES) & set(suites.FAMILIES) <= {"dicke"}  # a family of the table of rates, which no suite lists
    assert {case.family for case in cases()} == set(FAMILIES)
    assert not {case.family for case in cases(ROTATED)} & (set(FAMILIES) | set(suites.FAMILIES))
    assert all(3 <= case.n_qubits <= 10 for case in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_the_ideal_is_a_distribution_over_the_bits_of_the_circuit(name):
    case = CASES[name]
    assert case.ideal.n_bits == case.circuit.num_clbits
    assert case.ideal.weights.sum() == pytest.approx(1)
    assert (case.ideal.weights > 0).all()


@pytest.mark.parametrize("name", CASES)
def test_the_ideal_is_what_a_noiseless_machine_counts(name):
    shots = 4000
    simulator = AerSimulator(seed_simulator=1)
    circuit = transpile(CASES[name].circuit, simulator, optimization_level=0)
    counts = Distribution.of(simulator.run(circuit, shots=shots).result().get_counts())
    spread = np.sqrt(CASES[name].ideal.weights / shots).sum() / 2
    assert total_variation(counts, CASES[name].ideal) < 0.02 + spread


def equal(*texts):
    return {text: pytest.approx(1 / len(texts)) for text in texts}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("draper-3-5-6-0", equal("011101")),  # 5, and 5 + 6 modulo 8
        ("draper-3-2-3-2", equal("101010", "110011", "011000", "100001")),  # 2, 3, 0 and 1, each with 3 more
        ("iterative_phase-4-0.3125", equal("0101")),  # five sixteenths
        ("order_finding-7", equal("000", "010", "100", "110")),
        ("order_finding-11", equal("000", "100")),
        ("counting-3-2", equal("010", "110")),  # half of the strings: a quarter turn either way
        ("code_422-zero-x", equal("010100", "011011")),  # the parity check tells of the flip
        ("repetition_code-3-1.2-1", {"01110": pytest.approx(1 - sin(0.6) ** 2), "11011": pytest.approx(sin(0.6) ** 2)}),
    ],
)
def test_outputs_that_are_known(name, expected):
    assert CASES[name].ideal.to_probs() == expected


@pytest.mark.parametrize(("n", "ones"), [(4, 2), (5, 2), (6, 2), (6, 3)])
def test_a_dicke_state_holds_all_strings_of_its_weight(n, ones):
    texts = ["".join("1" if place in chosen else "0" for place in range(n)) for chosen in combinations(range(n), ones)]
    assert CASES[f"dicke-{n}-{ones}"].ideal.to_probs() == equal(*texts)


@pytest.mark.parametrize(("name", "angle"), [("teleportation-1-0.9", 0.9), ("teleportation-2-2.2", 2.2)])
def test_what_is_teleported_arrives(name, angle):
    ideal = CASES[name].ideal
    arrived = ideal.marginal([ideal.n_bits - 1]).to_probs()
    assert arrived["1"] == pytest.approx(sin(angle / 2) ** 2)


@pytest.mark.parametrize("probability", [0.3, 0.2])
def test_amplitudes_are_estimated_to_the_nearest_value(probability):
    (case,) = [
        case for name, case in CASES.items() if name.endswith(f"-{probability}") and case.family.startswith("amp")
    ]
    bits = case.n_bits - 1
    read = case.ideal.marginal(range(bits)).top(1)
    estimates = sin(pi * int(next(iter(read)), 2) / 2**bits) ** 2
    grid = np.sin(pi * np.arange(2**bits) / 2**bits) ** 2
    assert estimates == pytest.approx(grid[np.abs(grid - probability).argmin()])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


TWO = [CASES["rabi-4-0.7"], CASES["teleportation-1-0.9"]]
"""One circuit without entanglement, one with feed-forward."""


@pytest.fixture
def runs(cache):
    return list(outside.simulate(cache, TWO, ["fake_manila"], 200))


def test_runs_are_read_back_as_they_were(cache, runs):
    saved = outside.load(cache, TWO)
    assert [(name, machine) for name, _, machine, _, _ in saved] == [
        ("rabi-4-0.7", "fake_manila"), ("teleportation-1-0.9", "fake_manila")
    ]  # fmt: skip
    for (name, _, _, read, ideal), run in zip(saved, runs, strict=True):
        assert read.counts.to_counts() == run.counts.to_counts()
        assert read.shots == 200
        assert ideal == CASES[name].ideal.to_probs()


def test_a_run_that_was_interrupted_is_finished_and_others_stay(cache, runs):
    whole, cut = (outside.place(cache, "fake_manila", CASES[run.profile.name]) for run in runs)
    before = (whole / "results" / "0000.json").stat().st_mtime_ns
    (cut / "results" / "0000.json").unlink()
    assert len(outside.load(cache, TWO)) == 1
    again = list(outside.simulate(cache, TWO, ["fake_manila"], 200))
    assert [run.counts.to_counts() for run in again] == [run.counts.to_counts() for run in runs]
    assert (whole / "results" / "0000.json").stat().st_mtime_ns == before


def test_a_machine_without_feed_forward_runs_the_others(tmp_path):
    assert [run.profile.name for run in outside.simulate(tmp_path, TWO, ["fake_mumbai"], 100)] == ["rabi-4-0.7"]


def test_a_cache_keeps_one_number_of_shots(cache, runs):
    with pytest.raises(ValueError, match="--shots must be 200"):
        next(outside.simulate(cache, TWO, ["fake_manila"], 300))


def test_every_method_is_scored_under_every_condition_that_it_can_feel(cache, runs):
    for saved in outside.load(cache, TWO):
        rows = list(outside.score(saved))
        found = {(row["method"], row["condition"]): row["fidelity"] for row in rows}
        assert len(found) == len(rows) == 4 + 3 * len(outside.CONDITIONS)
        assert found["raw", "any"] == round(hellinger_fidelity(saved[3].counts, saved[4]), 4)
        assert rows == list(outside.score(saved))


def test_runs_with_a_reference_are_scored_under_the_noise_that_it_measured(tmp_path):
    (run,) = outside.simulate(tmp_path, [CASES["rotated_w-4-0.3"]], ["fake_manila"], 400, reference=True)
    (saved,) = outside.load(tmp_path, [CASES["rotated_w-4-0.3"]])
    assert saved[3].reference is not None
    assert saved[3].reference.counts == run.reference.counts
    rows = list(outside.score(saved))
    assert {row["condition"] for row in rows} == {"any", "measured"}
    (told,) = (row["fidelity"] for row in rows if row["method"] == "mitigate(run)")
    assert told == round(hellinger_fidelity(qc.mitigate(run).distribution, saved[4]), 4)


def test_runs_are_records_that_a_table_can_hold(cache, runs, tmp_path):
    saved = list(outside.load(cache, TWO))
    write_records(tmp_path / "outside.jsonl.gz", map(outside.record, saved))
    read = list(recorded(tmp_path / "outside.jsonl.gz"))
    assert len(read) == len(saved) > 0
    for case, (_, _, machine, run, ideal) in zip(read, saved, strict=True):
        assert (case.family, case.kind, case.counts) == ("outside", machine, run.counts)
        assert hellinger_fidelity(case.ideal, ideal) == pytest.approx(1)


def test_wrong_calibrations_are_wrong_in_gates_and_readout():
    faults = FaultMasks(2, np.array([[1], [3]], np.uint64), np.array([0.01, 0.02]), np.zeros(2), np.full((2, 2), 0.03))
    told = {name: change(faults, np.random.default_rng(1)) for name, change in outside.CONDITIONS.items()}
    assert told["right"] is faults
    for name, factor in (("3 x too bad", 3), ("3 x too good", 1 / 3)):
        assert told[name].rates == pytest.approx(faults.rates * factor)
        assert told[name].readout == pytest.approx(faults.readout * factor)
    scattered = told["scattered"]
    assert len(np.unique(np.r_[scattered.rates / faults.rates, (scattered.readout / faults.readout).ravel()])) == 6


def test_richardson_lucy_undoes_the_kernel():
    readout = np.array([[0.02, 0.05]] * 3)
    faults = FaultMasks(3, np.array([[5], [3]], np.uint64), np.array([0.1, 0.05]), np.zeros(2), readout)
    ideal = np.array([0.5, 0, 0, 0.2, 0, 0, 0, 0.3])
    bits = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(bool)
    noisy = Distribution(bits, Kernel.of(faults).forward(ideal) * 1e6)
    undone = outside.richardson_lucy(noisy, faults)
    truth = Distribution(bits, ideal)
    assert undone.shots == pytest.approx(noisy.shots)
    assert hellinger_fidelity(noisy, truth) < 0.9
    assert hellinger_fidelity(undone, truth) > 0.995


@pytest.mark.parametrize(
    ("file", "circuits", "conditions"),
    [
        ("outside", cases(), outside.CONDITIONS),
        ("outside_rotated", cases(ROTATED), outside.CONDITIONS),
        ("outside_rotated_reference", cases(ROTATED), outside.MEASURED),
    ],
)
def test_the_figures_are_of_these_circuits(file, circuits, conditions):
    rows = outside.read_rows(f"{file}.csv")
    assert {row["circuit"] for row in rows} == {case.name for case in circuits}
    assert {row["machine"] for row in rows} == set(outside.MACHINES)
    methods = 4 + 3 * len(conditions)
    without = {case.name for case in circuits if "if_else" not in case.circuit.count_ops()}
    runs = {(row["circuit"], row["machine"]) for row in rows}
    assert len(rows) == len(runs) * methods
    assert {(name, machine) for name in without for machine in outside.MACHINES} <= runs
