"""Random programs that the decision learns from: what they are, and that none is a circuit it is judged on."""

import numpy as np
import pytest

from benchmarks.compiled_records import programs
from benchmarks.random_programs import BLOCKS, WIDE, WIDTHS, program, wide
from qcluster.bench.circuits.case import simulate
from qcluster.bench.circuits.suites import SUITES, make_case
from qcluster.core.counts.distribution import Distribution
from qcluster.core.stats.special import perplexity
from qcluster.learn.decision.circuits import read_faults


def test_programs_are_the_same_every_time_and_of_all_kinds():
    made = [program(seed) for seed in range(60)]
    assert [case.fingerprint for case in made[:9]] == [program(seed).fingerprint for seed in range(9)]
    assert {case.family for case in made} == {f"random_{name}" for name in BLOCKS}
    assert {case.n_qubits for case in made} <= set(WIDTHS)
    assert any(case.n_bits < case.n_qubits for case in made)
    spread = [float(perplexity(case.ideal.probabilities)) / (1 << case.n_bits) for case in made]
    assert np.quantile(spread, 0.25) < 0.3 < np.quantile(spread, 0.75), "peaked outputs, and broad ones"


def test_no_program_is_a_circuit_of_the_suite_that_judges():
    judged = {make_case(spec).fingerprint for spec in SUITES["broad"]}
    assert not judged & {program(seed).fingerprint for seed in range(60)}


@pytest.mark.parametrize("seed", [3])
def test_a_program_becomes_a_record_with_faults(seed):
    for number, record in enumerate(programs(seed, 2, ["fake_lagos", "fake_manila"])):
        case = program(10_000 * seed + number)
        assert record["circuit"] == case.name
        counts, ideal = Distribution.of(record["counts"]), Distribution.of(record["ideal"])
        assert counts.n_bits == ideal.n_bits == case.n_bits == read_faults(record["faults"]).n_bits
        assert counts.shots == 1000
        assert np.sqrt(ideal.probabilities) @ np.sqrt(case.ideal.probabilities) > 0.999


def test_wide_programs_put_out_what_they_say():
    made = [wide(seed) for seed in range(24)]
    assert [case.fingerprint for case in made[:3]] == [wide(seed).fingerprint for seed in range(3)]
    assert [case.ideal.to_probs() for case in made[:3]] == [wide(seed).ideal.to_probs() for seed in range(3)]
    assert {case.family for case in made} == {f"random_{name}" for name in WIDE}
    assert all(13 <= case.n_qubits <= 70 and case.ideal.n_outcomes <= 256 for case in made)
    assert {case.ideal.n_outcomes for case in made} >= {1, 2, 4}
    narrow = [case for case in made if case.n_qubits <= 16]
    assert narrow
    for case in narrow:
        assert case.ideal.to_probs() == pytest.approx(simulate(case.circuit).to_probs())


def test_a_wide_program_becomes_a_record_with_faults():
    (record,) = programs(3, 1, ["fake_kyiv"], wide)
    counts, ideal = Distribution.of(record["counts"]), Distribution.of(record["ideal"])
    assert counts.n_bits == ideal.n_bits == read_faults(record["faults"]).n_bits == wide(30_000).n_qubits
