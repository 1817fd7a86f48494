from math import pi

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import DensityMatrix, Pauli, Statevector, partial_trace

from benchmarks.outside_circuits import FAMILIES
from benchmarks.rates_circuits import (
    AGAIN,
    CASES,
    cases,
    cloning,
    five_qubit_code,
    hadamard_test,
    loschmidt,
    molmer_sorensen,
    particle_ansatz,
    zeno,
)
from benchmarks.rates_fresh import SETS, SPREAD
from qcluster.bench.circuits import simulate
from qcluster.bench.circuits.suites import SUITES
from qcluster.bench.rate_plan import MACHINES
from qcluster.learn.table import read_table


def output(circuit: QuantumCircuit) -> dict[str, float]:
    circuit.measure_all()
    return {string: share for string, share in simulate(circuit).to_probs().items() if share > 1e-9}


def test_no_table_suite_or_other_set_has_these_families():
    mine = {case.family for case in cases()}
    suites = {name.split(":")[0] for names in SUITES.values() for name in names}
    assert not mine & (set(read_table().facts["family"].tolist()) | set(FAMILIES) | suites)
    assert len({case.name for case in cases()}) == len(CASES) >= 30


def test_the_fourth_set_has_other_circuits_of_families_that_no_table_has():
    again = {case.name: case.family for case in cases(AGAIN)}
    others = {case.name for one in SETS[:3] for case, _ in one.cases()}
    assert len(again) == len(AGAIN) >= 60
    assert not set(again) & others
    assert not set(again.values()) & set(read_table().facts["family"].tolist())


@pytest.mark.parametrize("listed", [CASES, AGAIN])
def test_half_of_them_are_spread_and_all_can_be_simulated(listed):
    spread = [case.ideal_entropy > SPREAD for case in cases(listed)]
    assert 0.4 < np.mean(spread) < 0.6
    assert max(case.n_qubits for case in cases(listed)) <= 8


def test_no_two_sets_share_a_machine_and_none_is_in_the_table():
    machines = [machine for one in SETS for machine in one.machines]
    assert len(set(machines)) == len(machines)
    assert not set(machines) & {machine for generation in MACHINES.values() for machine in generation}


@pytest.mark.parametrize(("angle", "logical"), [(0.0, 1.0), (pi, -1.0), (1.1, np.cos(1.1))])
def test_the_code_s_stabilisers_hold_and_its_qubit_is_kept(angle, logical):
    state = Statevector(five_qubit_code(angle, False))
    for generator in ("XZZXI", "IXZZX", "XIXZZ", "ZXIXZ"):
        assert state.expectation_value(Pauli(generator)).real == pytest.approx(1)
    assert state.expectation_value(Pauli("ZZZZZ")).real == pytest.approx(logical)
    assert output(five_qubit_code(angle, True)).get("00000", 0.0) == pytest.approx(np.cos(angle / 2) ** 2)


def test_two_copies_are_as_good_as_can_be():
    angle = 0.9
    state, wanted = DensityMatrix(cloning(angle)), np.array([np.cos(angle / 2), np.sin(angle / 2)])
    for copy in (0, 1):
        kept = partial_trace(state, [qubit for qubit in range(3) if qubit != copy])
        assert (wanted @ kept.data @ wanted).real == pytest.approx(5 / 6)


def test_outputs_that_are_known():
    assert output(molmer_sorensen(4, pi / 2)) == pytest.approx({"0000": 0.5, "1111": 0.5})
    assert output(loschmidt(4, 3, 0.0)) == pytest.approx({"1001": 1.0})
    assert output(hadamard_test(2, 0.0)) == pytest.approx({"010": 1.0})
    assert output(zeno(2, 0.0)) == pytest.approx({"000": 1.0})
    assert {string.count("1") for string in output(particle_ansatz(6, 2, 0.8, 1))} == {2}
